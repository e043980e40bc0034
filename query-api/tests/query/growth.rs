//! What queries may build: functions, constants, what is gathered and what is spread. Each of these once took gigabytes, or a
//! thread for as long as it liked.

use std::time::{Duration, Instant};

use calltide_query_api::QueryError;
use serde_json::json;

use crate::bench::{Bench, at};

/// A row at a time it could be anything: no constant.
fn of_rows(rows: u32, text: &str) -> String {
    format!("(SELECT {text} AS a, value FROM generate_series(1, {rows}))")
}

async fn refused(bench: &Bench, sql: &str, says: &str) {
    let began = Instant::now();
    match bench.query(sql).await {
        Err(QueryError::Failed { message: said } | QueryError::Refused { reason: said }) => {
            assert!(said.contains(says), "{sql:.300}: {said}, not {says}");
        }
        other => panic!("{sql:.300}: {:?}", other.map(|output| output.rows())),
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{sql:.300} took {:?}", began.elapsed());
}

#[tokio::test]
async fn functions_that_grow_are_asked_before_they_build() {
    let bench = Bench::new();
    let long = of_rows(1, "repeat('x', value + 99999)");
    let longer = of_rows(1, "repeat('x', value + 19999999)");
    for (sql, function) in [
        ("SELECT length(repeat('x', 1000000000))".to_owned(), "repeat"),
        ("SELECT length(repeat(value::text, 100000)) FROM generate_series(1, 8000)".to_owned(), "repeat"),
        ("SELECT length(lpad('x', 1000000000))".to_owned(), "lpad"),
        ("SELECT length(rpad(value::text, 1000000)) FROM generate_series(1, 8000)".to_owned(), "rpad"),
        (format!("SELECT length(replace(a, '', a)) FROM {long}"), "replace"),
        (format!("SELECT length(replace(a, 'x', a)) FROM {long}"), "replace"),
        (format!("SELECT length(regexp_replace(a, '.', a, 'g')) FROM {long}"), "regexp_replace"),
        (format!("SELECT length(concat(a, a, a, a)) FROM {longer}"), "concat"),
        (format!("SELECT length(concat_ws(a, '', '', '', '')) FROM {longer}"), "concat_ws"),
        (format!("SELECT make_array(a, a, a, a) FROM {longer}"), "make_array"),
        (
            format!("SELECT array_to_string(string_to_array(a, 'x'), repeat('y', value + 99999)) FROM {long}"),
            "array_to_string",
        ),
    ] {
        refused(&bench, &sql, &format!("{function}() would build")).await;
    }
}

#[tokio::test]
async fn all_functions_of_a_query_share_what_may_be_built() {
    let bench = Bench::new();
    let each = |one: &dyn Fn(u32) -> String, n| (0..n).map(one).collect::<Vec<_>>().join(", ");
    let from = "FROM generate_series(1, 8000)";
    let constants = each(&|n| format!("length(repeat('x', {})) AS l{n}", 60_000_000 + n), 20);
    refused(&bench, &format!("SELECT {constants}"), "would build").await;
    let rows = each(&|n| format!("repeat(value::text, {}) AS l{n}", 250 + n), 60);
    refused(&bench, &format!("SELECT {rows} {from}"), "all functions of the query").await;
    let choices = each(&|n| format!("CASE WHEN value > {n} THEN a END AS l{n}"), 60);
    let rows = of_rows(8000, "repeat(value::text, 300)");
    refused(&bench, &format!("SELECT {choices} FROM {rows}"), "all functions of the query").await;
    // What is built for one batch after the other is no more than for one.
    let long = "SELECT sum(length(repeat(value::text, 100))) AS n FROM generate_series(1, 1000000)";
    assert_eq!(bench.rows(long).await, json!([{"n": 588_889_600}]));
}

#[tokio::test]
async fn a_text_that_is_put_into_itself_at_every_step_stops_at_the_cap() {
    let bench = Bench::new();
    let steps =
        |step: &str| (1..30).map(|n| format!(", t{n} AS (SELECT {step} AS a FROM t{})", n - 1)).collect::<String>();
    for step in ["a || a", "concat(a, a)", "encode(arrow_cast(a, 'Binary'), 'hex')"] {
        let first = "WITH t0 AS (SELECT 'start' || value AS a FROM generate_series(1, 100))";
        let sql = format!("{first}{} SELECT sum(length(a)) FROM t29", steps(step));
        refused(&bench, &sql, "").await;
    }
}

#[tokio::test]
async fn functions_within_their_caps_give_what_they_always_gave() {
    let bench = Bench::new();
    let sql = "SELECT repeat(t, 2) AS a, lpad(t, 4, '-') AS b, replace(t, 'a', 'x') AS c, regexp_replace(t, '(b)', '<\\1>') AS d,
               t || '!' AS e, upper(t) AS f, concat_ws('/', t, NULL, 'z') AS g, array_to_string(make_array(t, t), ', ') AS h,
               CASE WHEN t = 'ab' THEN t ELSE 'none' END AS i, coalesce(t, 'null') AS j, levenshtein(t, 'ax') AS k
               FROM (VALUES ('ab'), (NULL)) v(t)";
    let expected = json!([
        {"a": "abab", "b": "--ab", "c": "xb", "d": "a<b>", "e": "ab!", "f": "AB", "g": "ab/z", "h": "ab, ab",
         "i": "ab", "j": "ab", "k": 1},
        {"a": null, "b": null, "c": null, "d": null, "e": null, "f": null, "g": "z", "h": "", "i": "none", "j": "null",
         "k": null},
    ]);
    assert_eq!(bench.rows(sql).await, expected);
    let names = bench.rows("SELECT upper('a') || 'b', repeat('c', 1)").await;
    assert_eq!(names, json!([{"upper(Utf8(\"a\")) || Utf8(\"b\")": "Ab", "repeat(Utf8(\"c\"),Int64(1))": "c"}]));
    let gathered = "SELECT value % 2 AS k, string_agg(value::text, ',' ORDER BY value) AS t, array_agg(value ORDER BY value) AS l
                    FROM generate_series(1, 5) GROUP BY 1 HAVING string_agg(value::text, ',' ORDER BY value) <> '' ORDER BY 1";
    let expected = json!([{"k": 0, "t": "2,4", "l": [2, 4]}, {"k": 1, "t": "1,3,5", "l": [1, 3, 5]}]);
    assert_eq!(bench.rows(gathered).await, expected);
    let unnested = "SELECT v, unnest(make_array(v, v + 1)) AS u FROM (VALUES (1), (5)) t(v)";
    let expected = json!([{"v": 1, "u": 1}, {"v": 1, "u": 2}, {"v": 5, "u": 5}, {"v": 5, "u": 6}]);
    assert_eq!(bench.rows(unnested).await, expected);
}

#[tokio::test]
async fn what_would_stand_in_every_row_is_refused() {
    let bench = Bench::new();
    let long = "y".repeat(5_000);
    for (sql, says) in [
        (format!("SELECT '{long}'"), "a text in the query has 5000 bytes"),
        ("SELECT string_agg(status, '') OVER (ORDER BY call_id) FROM calls".to_owned(), "use it with GROUP BY"),
        ("SELECT array_agg(status) OVER () FROM calls".to_owned(), "use it with GROUP BY"),
        ("SELECT array_transform(make_array(1), x -> x + 1)".to_owned(), ""),
        ("SELECT array_repeat(1, 5)".to_owned(), ""),
    ] {
        match bench.query(&sql).await {
            Err(QueryError::Refused { reason }) => assert!(reason.contains(says), "{sql}: {reason}"),
            Err(QueryError::Invalid { .. }) => assert!(says.is_empty(), "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_constant_that_a_function_made_is_no_longer_than_one_that_was_written() {
    let bench = Bench::new();
    let from = "FROM generate_series(1, 8192)";
    for made in [
        "repeat('x', 250000)",
        "CASE WHEN value > 5 THEN repeat('x', 250000) END",
        "coalesce(NULL, repeat('x', 250000))",
        "overlay(value::text placing repeat('x', 250000) from 1)",
        "split_part(repeat('x', 250000), ',', 1)",
        "left(repeat('x', 250000), value)",
        "to_char(TIMESTAMP '2026-03-01', repeat('%A', 100000))",
        "lpad(value::text, 10, repeat('x', 250000))",
    ] {
        refused(&bench, &format!("SELECT {made} AS a, value {from}"), "would build").await;
    }
    let separated = format!("SELECT string_agg(value::text, repeat('x', 250000)) {from}");
    assert!(matches!(bench.query(&separated).await, Err(QueryError::Invalid { .. })), "the separator is a literal");
    let many: Vec<_> = (0..80).map(|n| format!("repeat('x', {}) AS l{n}", 4_000 - n)).collect();
    refused(&bench, &format!("SELECT {} {from}", many.join(", ")), "the constants of the query").await;
    // Fewer may stand in each row: fewer rows at once.
    let some: Vec<_> = (0..20).map(|n| format!("repeat('x', {}) AS l{n}", 1_000 - n)).collect();
    let output = bench.query(&format!("SELECT {} {from}", some.join(", "))).await.unwrap();
    assert!(output.batches.iter().all(|batch| batch.num_rows() <= 1_024), "{}", output.batches[0].num_rows());
}

#[tokio::test]
async fn what_was_gathered_is_not_spread_over_many_rows() {
    let bench = Bench::new();
    let rows = "generate_series(1, 1000000)";
    let wide = format!("SELECT string_agg(repeat('x', 100), '') AS t FROM {rows}");
    refused(&bench, &format!("SELECT value, ({wide}) FROM {rows}"), "has gathered").await;
    refused(&bench, &format!("SELECT value, t FROM {rows} CROSS JOIN ({wide})"), "has gathered").await;
    refused(&bench, &format!("SELECT array_length(array_agg(value)) FROM {rows}"), "has gathered").await;
    // Siblings come along into each row that an UNNEST makes.
    let list = "string_to_array(repeat(',', 500 + value % 2), ',')";
    let sql = format!("SELECT unnest({list}) AS u, repeat(value::text, 50) AS t FROM {rows}");
    refused(&bench, &sql, "UNNEST would make").await;
    let joined = "SELECT count(t) AS n FROM generate_series(1, 10000) CROSS JOIN
                  (SELECT string_agg(value::text, ',') AS t FROM generate_series(1, 1000))";
    assert_eq!(bench.rows(joined).await, json!([{"n": 10000}]));
}

#[tokio::test]
async fn a_condition_that_grows_when_it_is_pushed_down_is_refused_before() {
    let bench = Bench::new();
    bench.publish(
        "calls",
        json!({"call_id": "p/1", "wait_ms": 1, "version": 1, "started_at": at("2026-03-01T09:00:00Z")}),
    );
    let steps: String = (1..30).map(|n| format!(", t{n} AS (SELECT x + x AS x FROM t{})", n - 1)).collect();
    let with = format!("WITH t0 AS (SELECT wait_ms AS x FROM calls){steps} SELECT * FROM t29");
    for end in ["WHERE x > 1", "ORDER BY x LIMIT 5", "WHERE EXISTS (SELECT 1 FROM legs WHERE talk_ms = x)"] {
        refused(&bench, &format!("{with} {end}"), "the conditions of the query").await;
    }
    let arms = vec!["SELECT queue FROM calls"; 90].join(" UNION ALL ");
    let ors: Vec<_> = (0..400).map(|n| format!("queue = 'q{n}'")).collect();
    refused(&bench, &format!("SELECT * FROM ({arms}) WHERE {}", ors.join(" OR ")), "the conditions of the query").await;
}

/// The caps are there for this; the largest that they let through are planned in time.
#[tokio::test]
async fn what_is_allowed_is_planned_within_seconds() {
    let bench = Bench::new();
    let steps: String = (1..12).map(|n| format!(", t{n} AS (SELECT x + x AS x FROM t{})", n - 1)).collect();
    let arms = vec!["SELECT queue FROM calls"; 90].join(" UNION ALL ");
    let ors = |n: u32| (0..n).map(|n| format!("queue = 'q{n}'")).collect::<Vec<_>>().join(" OR ");
    let columns: Vec<_> = (0..490).map(|n| format!("CASE WHEN talk_ms > {n} THEN 1 ELSE 0 END AS c{n}")).collect();
    for sql in [
        format!("WITH t0 AS (SELECT wait_ms AS x FROM calls){steps} SELECT * FROM t11 WHERE x > 1"),
        format!("SELECT * FROM ({arms}) WHERE {}", ors(50)),
        format!("SELECT * FROM calls WHERE {}", ors(490)),
        format!("SELECT {} FROM calls", columns.join(", ")),
        format!("SELECT {}", vec!["1"; 1_000].join("+")),
    ] {
        let began = Instant::now();
        bench.query(&sql).await.unwrap_or_else(|e| panic!("{sql:.300}: {e:?}"));
        assert!(began.elapsed() < Duration::from_secs(10), "{sql:.300}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_takes_many_steps_for_a_row_is_asked_before() {
    let bench = Bench::new();
    let from = "FROM generate_series(1, 8000)";
    for (sql, says) in [
        (format!("SELECT sum(levenshtein(repeat(value::text, 500), repeat('x', 2000))) {from}"), "steps"),
        (format!("SELECT count(*) {from} WHERE regexp_like('x', value::text)"), "must be a constant"),
        (format!("SELECT count(*) {from} WHERE value::text ~ value::text"), "must be a constant"),
        (format!("SELECT regexp_replace('x', value::text, '') {from}"), "must be a constant"),
        (format!("SELECT count(*) {from} WHERE regexp_like(value::text, '{}')", "a?".repeat(1_000)), "1024"),
        (format!("SELECT count(*) {from} WHERE value::text ~ '(\\w{{100}}){{100}}'"), "repeats too much"),
    ] {
        refused(&bench, &sql, says).await;
    }
    let sql = format!("SELECT count(*) AS n {from} WHERE regexp_like(value::text, '^1.*7$') AND value::text ~* '00'");
    assert_eq!(bench.rows(&sql).await, json!([{"n": 1}]));
}

#[tokio::test]
async fn types_whose_values_may_have_any_size_cannot_be_cast_to() {
    let bench = Bench::new();
    bench.publish("calls", json!({"call_id": "p/1", "version": 1, "started_at": at("2026-03-01T09:00:00Z")}));
    for cast in [
        "arrow_cast(NULL, 'FixedSizeBinary(1000000000)')",
        "arrow_try_cast(NULL, 'FixedSizeBinary(1000000000)')",
        "arrow_cast(make_array(1), 'FixedSizeList(100000000, Int64)')",
    ] {
        refused(&bench, &format!("SELECT {cast} FROM calls"), "cannot be made").await;
    }
    let allowed = "SELECT arrow_cast(1, 'Decimal128(10, 2)') AS d, CAST('1' AS BIGINT) AS i, TRY_CAST('x' AS DATE) AS t FROM calls";
    assert_eq!(bench.rows(allowed).await, json!([{"d": 1.0, "i": 1, "t": null}]));
}
