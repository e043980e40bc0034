//! Memory: what heavy queries hold keeps nobody from a good answer, and what the lake lacks has a budget of its own.

use std::ops::Range;

use calltide_eventlog::Record;
use calltide_query_api::reports::outcomes::{OutcomesQuery, outcomes};
use calltide_query_api::{QueryError, QueryOutput};
use serde_json::json;

use crate::bench::{Bench, at};

/// A heavy query whose result takes about so many rows of a kilobyte each.
fn heavy(rows: u32) -> String {
    format!("SELECT repeat(value::text, 200) AS t FROM generate_series(100000, {})", 100_000 + rows)
}

/// Results that leave no room for another one in the memory of the heavy.
async fn filled(bench: &Bench) -> Vec<QueryOutput> {
    let mut held = Vec::new();
    for rows in [3_000, 100, 1] {
        loop {
            match bench.query(&heavy(rows)).await {
                Ok(output) => held.push(output),
                Err(QueryError::Resources { .. }) => break,
                Err(other) => panic!("{other:?}"),
            }
            assert!(held.len() < 5_000, "it never fills");
        }
    }
    held
}

fn published(bench: &Bench, numbers: Range<usize>) {
    for n in numbers {
        let started = at("2026-03-01T09:00:00Z") + i64::try_from(n).unwrap();
        bench.publish(
            "calls",
            json!({
                "call_id": format!("p/{n:05}"), "version": 1, "started_at": started, "ended_at": started,
                "status": "answered", "class": "connected", "direction": "inbound", "queue": "sales",
            }),
        );
    }
}

#[tokio::test]
async fn while_heavy_queries_hold_all_of_theirs_light_ones_and_reports_sort_and_answer() {
    let bench = Bench::with(|mut options| {
        options.memory_bytes = 64 << 20;
        options
    });
    published(&bench, 0..500);
    let held = filled(&bench).await;
    let sorted = "SELECT value FROM generate_series(1, 1000) ORDER BY value DESC";
    assert!(matches!(bench.query(sorted).await, Err(QueryError::Resources { .. })), "the heavy have none left");
    let light = "SELECT call_id FROM calls ORDER BY started_at DESC, call_id";
    // As many as one asker has turns for.
    let answers = futures::future::join_all((0..6).map(|_| bench.rows(light))).await;
    for rows in answers {
        assert_eq!((rows[0]["call_id"].as_str(), rows.as_array().map(Vec::len)), (Some("p/00499"), Some(500)));
    }
    let report = outcomes(&bench.engine, &OutcomesQuery::default()).await.unwrap();
    assert_eq!(crate::bench::rows(&report.output)[0]["total"], 500);
    drop(held);
    assert_eq!(bench.query(sorted).await.unwrap().rows(), 1_000, "what was held is given back");
}

/// Events that are small in the log and large in memory.
fn events(bench: &Bench, count: u64) {
    for n in 0..count {
        let (id, payload) = (format!("j:{n}"), Some(b"{}".to_vec()));
        let at = at("2026-03-01T09:00:00Z");
        let record = Record { key: b"pbx1".to_vec(), at, id, kind: "ami".to_owned(), payload, ..Record::default() };
        bench.log.push("calltide.events", record);
    }
}

#[tokio::test]
async fn a_table_too_far_behind_is_told_so_and_keeps_no_other_from_being_asked() {
    let bench = Bench::with(|mut options| {
        options.tail_bytes_max = 4 << 20;
        options
    });
    published(&bench, 0..100);
    // Eighty kilobytes of payload, but some megabytes of rows.
    events(&bench, 40_000);
    let events = "SELECT count(*) AS n FROM inputs";
    let calls = "SELECT count(*) AS n FROM calls";
    let mut reads = 0;
    for time in 0..3 {
        match bench.query(events).await {
            Err(error @ QueryError::Behind { table: "inputs", .. }) => {
                assert!(error.to_string().contains("the 4 MiB that all tables together have"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.rows(calls).await, json!([{"n": 100}]));
        // It is not read again and again to find out the same.
        let read = bench.log.reads("calltide.events");
        assert!(time == 0 || read == reads, "{reads} reads became {read}");
        reads = read;
    }
    let row = |n: u64| json!({"topic": "calltide.events", "offset": n, "id": format!("j:{n}"), "payload": "{}", "at": at("2026-03-01T09:00:00Z")});
    bench.lake("inputs").commit("2026-03-01", &(0..39_000).map(row).collect::<Vec<_>>(), 39_000);
    assert_eq!(bench.rows(events).await, json!([{"n": 40_000}]), "the lake has caught up");
}

#[tokio::test]
async fn tails_that_nobody_asks_for_make_room_for_those_that_somebody_does() {
    let bench = Bench::with(|mut options| {
        options.tail_bytes_max = 4 << 20;
        options
    });
    events(&bench, 12_000);
    // As many calls as make both at once too much; either alone is not.
    let both = "SELECT (SELECT count(*) FROM inputs) + (SELECT count(*) FROM calls) AS n";
    let mut calls = 0;
    loop {
        match bench.query(both).await {
            Ok(_) => {
                published(&bench, calls..calls + 250);
                calls += 250;
                assert!(calls < 100_000, "they always fit");
            }
            Err(QueryError::Behind { .. }) => break,
            Err(other) => panic!("with {calls} calls: {other:?}"),
        }
    }
    for _ in 0..3 {
        assert_eq!(bench.rows("SELECT count(*) AS n FROM inputs").await, json!([{"n": 12_000}]));
        assert_eq!(bench.rows("SELECT count(*) AS n FROM calls").await, json!([{"n": calls}]));
    }
}
