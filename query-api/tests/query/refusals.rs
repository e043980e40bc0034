//! What may not be asked, and what becomes of queries that ask too much: an error of their own, and nothing else.

use std::time::Duration;

use calltide_query_api::QueryError;
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn only_reading_statements_are_answered() {
    let bench = Bench::new();
    for sql in [
        "INSERT INTO calls VALUES (1)",
        "UPDATE calls SET status = 'answered'",
        "DELETE FROM calls",
        "MERGE INTO calls USING legs ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE calls",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "DROP TABLE calls",
        "ALTER TABLE calls ADD COLUMN x INT",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "COPY calls TO '/tmp/stolen.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE INSERT INTO calls VALUES (1)",
        "EXPLAIN COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "WITH x AS (SELECT 1) INSERT INTO calls SELECT * FROM x",
        "SELECT 1 INTO stolen",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE calls",
        "",
        " ; ",
    ] {
        match bench.query(sql).await {
            Err(QueryError::Refused { reason }) => assert!(reason.contains("allowed is one SELECT"), "{sql}: {reason}"),
            Err(QueryError::Invalid { .. }) => assert!(!sql.starts_with("SELECT"), "{sql} is SQL"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn reading_statements_of_all_kinds_are_answered() {
    let bench = Bench::new();
    for sql in [
        "SELECT 1",
        "SELECT 1;",
        "VALUES (1), (2)",
        "WITH x AS (SELECT status FROM calls) SELECT * FROM x UNION ALL SELECT status FROM attempts",
        "SELECT * FROM calls c JOIN legs l USING (call_id) WHERE l.agent IN (SELECT agent FROM queue_visits)",
        "EXPLAIN SELECT * FROM calls",
        "EXPLAIN ANALYZE SELECT * FROM calls",
        "SELECT * FROM public.calls",
        "SELECT * FROM calltide.public.calls",
    ] {
        bench.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }
}

#[tokio::test]
async fn no_file_and_no_address_can_be_read() {
    let bench = Bench::new();
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM 'http://localhost/x.parquet'",
    ] {
        assert!(matches!(bench.query(sql).await, Err(QueryError::Invalid { .. })), "{sql}");
    }
}

#[tokio::test]
async fn texts_that_would_break_the_planner_are_refused_before_it_sees_them() {
    let bench = Bench::new();
    let chain = |term: &str, n: usize, with: &str| vec![term; n].join(with);
    let doubled = (1..30).map(|n| format!("t{n} AS (SELECT a.x FROM t{m} a, t{m} b)", m = n - 1)).collect::<Vec<_>>();
    // Each clause has an inner one of its own name, and reads it twice.
    let within_itself =
        (0..20).fold("SELECT 1 AS x".to_owned(), |inner, _| format!("WITH t AS ({inner}) SELECT a.x FROM t a, t b"));
    for (what, sql) in [
        ("bytes", format!("SELECT '{}'", "x".repeat(70_000))),
        ("operators", format!("SELECT {}", chain("1", 2_000, "+"))),
        ("operators", format!("SELECT 1 WHERE {}", chain("1=0", 2_000, " OR "))),
        ("operators", format!("SELECT {}1", "NOT ".repeat(3_000))),
        ("operators", format!("SELECT 1 {}", "IS NOT NULL ".repeat(2_000))),
        ("operators", format!("SELECT 1{}", "::int".repeat(3_000))),
        ("levels", format!("SELECT {}1{}", "(".repeat(2_000), ")".repeat(2_000))),
        ("arms", chain("SELECT 1", 3_000, " UNION ALL ")),
        ("list entries", format!("SELECT 1 IN ({})", chain("1", 6_000, ","))),
        (
            "ways",
            "SELECT 1 FROM calls GROUP BY CUBE (call_id, status, pbx, queue, agent, campaign, contact, talk_ms)".into(),
        ),
        ("ways", format!("SELECT 1 FROM calls GROUP BY {}", chain("ROLLUP (call_id, status)", 5, ", "))),
        ("tables", format!("SELECT 1 FROM {}", chain("calls", 200, ","))),
        ("tables", within_itself),
        ("joins", format!("SELECT 1 FROM {}", (0..30).map(|n| format!("calls c{n}")).collect::<Vec<_>>().join(","))),
        ("tables", format!("SELECT 1 FROM {}", chain("(SELECT 1)", 150, ","))),
        ("columns", format!("SELECT {}", (0..2_500).map(|n| format!("{n} AS c{n}")).collect::<Vec<_>>().join(","))),
        ("EXPLAIN VERBOSE", "EXPLAIN VERBOSE SELECT 1".into()),
        ("tables", format!("WITH t0 AS (SELECT 1 AS x), {} SELECT * FROM t29", doubled.join(", "))),
    ] {
        match bench.query(&sql).await {
            Err(QueryError::Refused { reason }) => assert!(reason.contains(what), "{what}: {reason}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let allowed = format!("SELECT {} AS n", chain("1", 900, "+"));
    assert_eq!(bench.rows(&allowed).await, json!([{"n": 900}]));
}

#[tokio::test]
async fn an_endless_query_is_stopped_and_the_next_one_is_answered() {
    let bench = Bench::with(|mut options| {
        options.deadline = Duration::from_millis(300);
        options
    });
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b WHERE a.value % 7 = b.value % 5";
    let error = bench.query(endless).await.unwrap_err();
    assert!(matches!(error, QueryError::Deadline { .. }), "{error:?}");
    let recursive = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
    assert!(matches!(bench.query(recursive).await, Err(QueryError::Invalid { .. })));
    assert_eq!(bench.rows("SELECT 1 AS n").await, json!([{"n": 1}]));
}

#[tokio::test]
async fn a_result_is_cut_at_the_row_cap_and_says_so() {
    let bench = Bench::with(|mut options| {
        options.rows_max = 10;
        options
    });
    let output = bench.query("SELECT * FROM generate_series(1, 100000)").await.unwrap();
    assert_eq!((output.rows(), output.truncated), (10, true));
    let output = bench.query("SELECT * FROM generate_series(1, 10)").await.unwrap();
    assert_eq!((output.rows(), output.truncated), (10, false));
}

#[tokio::test]
async fn a_query_beyond_the_memory_limit_is_that_querys_error() {
    let bench = Bench::with(|mut options| {
        options.memory_bytes = 1_000_000;
        options.spill_bytes = 1_000_000;
        options
    });
    let hungry =
        "SELECT max(length(t)) FROM (SELECT string_agg(value::text, ',') AS t FROM generate_series(1, 5000000))";
    let error = bench.query(hungry).await.unwrap_err();
    assert!(matches!(error, QueryError::Resources { .. }), "{error:?}");
    assert_eq!(bench.rows("SELECT 1 AS n").await, json!([{"n": 1}]));
}

#[tokio::test]
async fn a_panic_in_a_query_is_that_querys_error() {
    let bench = Bench::new();
    bench.log.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    match bench.query("SELECT * FROM calls").await {
        Err(QueryError::Panicked { message }) => assert_eq!(message, "the log is not to be trusted"),
        other => panic!("{other:?}"),
    }
    bench.log.panics.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(bench.rows("SELECT count(*) AS n FROM calls").await, json!([{"n": 0}]));
}
