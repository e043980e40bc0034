//! One small result in every format.

use arrow::array::RecordBatch;
use calltide_query_api::QueryError;
use calltide_query_api::format::{Format, Pieces, write};

use crate::bench::Bench;

const RESULT: &str = "SELECT * FROM (VALUES \
    (1, 'anna', 12.345, TIMESTAMPTZ '2026-03-01T09:00:00Z', true), \
    (2, CAST(NULL AS VARCHAR), CAST(NULL AS DOUBLE), TIMESTAMPTZ '2026-03-01T09:00:00.25Z', false)) t(n, name, pct, at, ok)";

async fn written(sql: &str, format: Format) -> String {
    let bench = Bench::new();
    String::from_utf8(write(&bench.query(sql).await.unwrap(), format).unwrap()).unwrap()
}

#[tokio::test]
async fn json_is_an_array_of_objects_with_nulls_and_utc_times() {
    let expected = "[{\"n\":1,\"name\":\"anna\",\"pct\":12.345,\"at\":\"2026-03-01T09:00:00.000000Z\",\"ok\":true},\
                    {\"n\":2,\"name\":null,\"pct\":null,\"at\":\"2026-03-01T09:00:00.250000Z\",\"ok\":false}]\n";
    assert_eq!(written(RESULT, Format::Json).await, expected);
    assert_eq!(written("SELECT 1 AS n WHERE false", Format::Json).await, "[]\n");
}

#[tokio::test]
async fn csv_has_names_and_empty_nulls() {
    let expected =
        "n,name,pct,at,ok\n1,anna,12.345,2026-03-01T09:00:00.000000Z,true\n2,,,2026-03-01T09:00:00.250000Z,false\n";
    assert_eq!(written(RESULT, Format::Csv).await, expected);
    assert_eq!(written("SELECT 1 AS n WHERE false", Format::Csv).await, "n\n");
}

#[tokio::test]
async fn csv_disarms_formulas_and_leaves_telephone_numbers() {
    for (value, expected) in [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 170 123", "+49 170 123"),
        ("+49170123", "+49170123"),
        ("-12.5", "-12.5"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("-x", "'-x"),
        ("anna", "anna"),
    ] {
        assert_eq!(written(&format!("SELECT '{value}' AS v"), Format::Csv).await, format!("v\n{expected}\n"));
    }
}

#[tokio::test]
async fn a_table_is_for_people() {
    let text = written(RESULT, Format::Table).await;
    let lines: Vec<_> = text.lines().filter(|l| !l.contains('─') && !l.contains('═')).map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            " n   name   pct     at                        ok",
            " 1   anna   12.35   2026-03-01 09:00:00.000   true",
            " 2   -          -   2026-03-01 09:00:00.250   false",
        ]
    );
    assert!(written("SELECT chr(27) || '[2J' AS v", Format::Table).await.contains("\\u{1b}[2J"));
}

#[tokio::test]
async fn arrow_is_a_stream_that_reads_back() {
    let bench = Bench::new();
    let output = bench.query(RESULT).await.unwrap();
    let bytes = write(&output, Format::Arrow).unwrap();
    let read: Result<Vec<_>, _> = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap().collect();
    assert_eq!(read.unwrap(), output.batches);
}

#[tokio::test]
async fn a_large_result_is_written_in_pieces_and_counted_until_it_is() {
    let bench = Bench::with(|mut options| {
        // Three quarters are for heavy ones.
        options.memory_bytes = 88 << 20;
        options
    });
    let large = "SELECT repeat(value::text, 200) AS t FROM generate_series(1, 30000)";
    let output = bench.query(large).await.unwrap();
    let in_memory: usize = output.batches.iter().map(RecordBatch::get_array_memory_size).sum();
    assert!(in_memory > 24 << 20, "{in_memory}");
    let mut pieces = Pieces::new(output, Format::Json).unwrap();
    // Beside it there is no room for another two.
    let other = bench.query(large).await.unwrap();
    assert!(matches!(bench.query(large).await, Err(QueryError::Resources { .. })));
    let mut written = 0;
    for piece in pieces.by_ref() {
        let piece = piece.unwrap();
        assert!(piece.len() < 3 << 20, "{}", piece.len());
        written += piece.len();
    }
    assert!(written > 20 << 20, "{written}");
    bench.query(large).await.unwrap();
    drop((pieces, other));
}

#[tokio::test]
async fn a_table_for_people_ends_where_nobody_reads_on() {
    let text = written("SELECT value FROM generate_series(1, 50000)", Format::Table).await;
    assert_eq!(text.lines().last(), Some("(the first 10000 of 50000 rows; JSON and CSV have all of them)"));
}
