//! Limits that are about many queries: who waits, who is turned away, who is stopped. What functions build is in `growth`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_query_api::{Principal, QueryError};
use serde_json::json;

use crate::bench::Bench;

/// Keeps a thread busy until it is stopped.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000)";

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

#[tokio::test]
async fn texts_that_are_hard_to_plan_keep_nobody_from_planning() {
    let bench = Bench::with(|mut options| {
        options.deadline = Duration::from_secs(30);
        options
    });
    // Allowed by every cap, and slow to plan.
    let hard: String = format!("SELECT {} AS n", vec!["1"; 400].join("+"));
    let hard = format!("{hard} {}", " ".repeat(4_000));
    let planning: Vec<_> = (0..10)
        .map(|_| {
            let (engine, hard) = (Arc::clone(&bench.engine), hard.clone());
            tokio::spawn(async move { engine.query(&Principal::named("greedy"), &hard).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    bench.engine.query(&Principal::named("greedy"), "SELECT count(*) FROM calls").await.unwrap();
    bench.engine.query(&Principal::named("modest"), &format!("SELECT 1 {}", " ".repeat(4_000))).await.unwrap();
    let waited = began.elapsed();
    for task in planning {
        task.await.unwrap().unwrap();
    }
    assert!(waited * 2 < began.elapsed(), "{waited:?} of {:?}", began.elapsed());
}
