//! Limits that are about many queries, or about what functions build: who waits, who is turned away, what is never built.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_query_api::{Principal, QueryError};
use serde_json::json;

use crate::bench::Bench;

/// Keeps a thread busy until it is stopped.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000)";

#[tokio::test]
async fn functions_that_grow_are_asked_before_they_build() {
    let bench = Bench::new();
    for (sql, function) in [
        ("SELECT length(repeat('x', 1000000000))", "repeat"),
        ("SELECT length(repeat(value::text, 100000)) FROM generate_series(1, 8000)", "repeat"),
        ("SELECT length(lpad('x', 1000000000))", "lpad"),
        ("SELECT length(rpad(value::text, 1000000)) FROM generate_series(1, 8000)", "rpad"),
        ("SELECT length(replace(a, '', a)) FROM (SELECT repeat('x', 100000) AS a)", "replace"),
        ("SELECT length(replace(a, 'x', a)) FROM (SELECT repeat('x', 100000) AS a)", "replace"),
        ("SELECT length(regexp_replace(a, '.', a, 'g')) FROM (SELECT repeat('x', 100000) AS a)", "regexp_replace"),
        ("SELECT length(concat(a, a, a, a)) FROM (SELECT repeat('x', 20000000) AS a)", "concat"),
        ("SELECT length(concat_ws(a, '', '', '', '')) FROM (SELECT repeat('x', 20000000) AS a)", "concat_ws"),
        ("SELECT make_array(a, a, a, a) FROM (SELECT repeat('x', 20000000) AS a)", "make_array"),
        (
            "SELECT array_to_string(string_to_array(a, ','), b)
             FROM (SELECT repeat(',', 100000) AS a, repeat('y', 100000) AS b)",
            "array_to_string",
        ),
    ] {
        match bench.query(sql).await {
            Err(QueryError::Failed { message }) => {
                assert!(message.contains(&format!("{function}() would build")), "{sql}: {message}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_text_that_is_put_into_itself_at_every_step_stops_at_the_cap() {
    let bench = Bench::new();
    let steps =
        |step: &str| (1..30).map(|n| format!(", t{n} AS (SELECT {step} AS a FROM t{})", n - 1)).collect::<String>();
    for step in ["a || a", "concat(a, a)", "encode(arrow_cast(a, 'Binary'), 'hex')"] {
        let first = "WITH t0 AS (SELECT 'start' || value AS a FROM generate_series(1, 100))";
        let sql = format!("{first}{} SELECT sum(length(a)) FROM t29", steps(step));
        match bench.query(&sql).await {
            Err(QueryError::Failed { message }) => assert!(message.contains("would build"), "{step}: {message}"),
            other => panic!("{step}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn functions_within_their_caps_give_what_they_always_gave() {
    let bench = Bench::new();
    let sql = "SELECT repeat(t, 2) AS a, lpad(t, 4, '-') AS b, replace(t, 'a', 'x') AS c, regexp_replace(t, '(b)', '<\\1>') AS d,
               t || '!' AS e, upper(t) AS f, concat_ws('/', t, NULL, 'z') AS g, array_to_string(make_array(t, t), ', ') AS h
               FROM (VALUES ('ab'), (NULL)) v(t)";
    let expected = json!([
        {"a": "abab", "b": "--ab", "c": "xb", "d": "a<b>", "e": "ab!", "f": "AB", "g": "ab/z", "h": "ab, ab"},
        {"a": null, "b": null, "c": null, "d": null, "e": null, "f": null, "g": "z", "h": ""},
    ]);
    assert_eq!(bench.rows(sql).await, expected);
    let names = bench.rows("SELECT upper('a') || 'b', repeat('c', 1)").await;
    assert_eq!(names, json!([{"upper(Utf8(\"a\")) || Utf8(\"b\")": "Ab", "repeat(Utf8(\"c\"),Int64(1))": "c"}]));
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
async fn heavy_queries_of_one_asker_keep_neither_light_ones_nor_another_asker_waiting() {
    let bench = Bench::with(|mut options| {
        options.deadline = Duration::from_secs(20);
        options.queries_max = 4;
        options.waiting_max = 3;
        options
    });
    let heavy: Vec<_> = (0..30)
        .map(|_| {
            let engine = Arc::clone(&bench.engine);
            tokio::spawn(async move { engine.query(&Principal::named("greedy"), ENDLESS).await })
        })
        .collect();
    // Whoever has no seat is told at once; the others run or wait.
    let mut turned_away = 0;
    let began = Instant::now();
    while turned_away < 30 - 4 && began.elapsed() < Duration::from_secs(10) {
        turned_away = heavy.iter().filter(|task| task.is_finished()).count();
        tokio::task::yield_now().await;
    }
    assert_eq!(turned_away, 30 - 4, "one runs, three wait");
    let began = Instant::now();
    for name in ["greedy", "modest"] {
        let asker = Principal::named(name);
        bench.engine.query(&asker, "SELECT count(*) FROM calls").await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for task in heavy {
        if !task.is_finished() {
            task.abort();
            continue;
        }
        assert!(matches!(task.await.unwrap(), Err(QueryError::Busy { .. })));
    }
}

#[tokio::test]
async fn whoever_leaves_takes_the_query_along() {
    let bench = Bench::with(|mut options| {
        options.queries_max = 1;
        options.waiting_max = 100;
        options
    });
    // Each holds the only heavy turn; if leaving did not give it back, the second one would wait for its deadline.
    for _ in 0..5 {
        let asker = Principal::local();
        let query = bench.engine.query(&asker, ENDLESS);
        assert!(tokio::time::timeout(Duration::from_millis(50), query).await.is_err());
    }
    let quick = "SELECT count(*) AS n FROM generate_series(1, 10)";
    let answer = tokio::time::timeout(Duration::from_secs(10), bench.rows(quick)).await.unwrap();
    assert_eq!(answer, json!([{"n": 10}]));
}

#[tokio::test]
async fn memory_outside_the_pool_stops_the_heavy_and_at_last_calls_for_help() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let called = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&called);
    // Less than the process has before any query.
    let bench = Bench::with(|mut options| {
        options.memory_bytes = 1 << 20;
        options.margin_bytes = 1 << 20;
        options.last_resort = Some(Arc::new(move |reason| {
            assert!(reason.contains("MiB of memory"), "{reason}");
            told.store(true, Ordering::Relaxed);
        }));
        options
    });
    let answer = bench.query(ENDLESS);
    let help = async {
        while !called.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = answer => panic!("{answer:?}"),
        () = help => {}
    }
    let bench = Bench::with(|mut options| {
        options.memory_bytes = 1 << 20;
        options.margin_bytes = 8 << 30;
        options
    });
    bench.query("SELECT 1").await.unwrap();
}
