//! How fast reports are: a lake of a million calls over fifty days, a log that is 20,000 facts ahead, and some questions.
//!
//! `cargo run --release -p calltide-query-api --example outcomes_bench`; prints milliseconds, best of three.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark for people")]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/query/bench.rs"]
mod bench;

use std::time::{Duration, Instant};

use bench::Bench;
use calltide_query_api::reports::outcomes::{Dimension, OutcomesQuery, outcomes};
use calltide_schemas::Micros;
use calltide_schemas::status::Status;
use serde_json::{Value, json};

const DAYS: i64 = 50;
const CALLS_A_DAY: i64 = 20_000;
const FACTS_AHEAD: i64 = 20_000;
const DAY_MICROS: i64 = 86_400_000_000;

fn attempt(n: i64) -> Value {
    let started = bench::at("2026-03-01T00:00:00Z") + n * (DAY_MICROS / CALLS_A_DAY);
    let status = Status::ALL[(n * 7 % 14) as usize];
    json!({
        "call_id": format!("pbx{}/{n}.1", n % 3), "pbx": format!("pbx{}", n % 3), "version": 1, "direction": "outbound",
        "campaign": format!("campaign {}", n % 20), "contact": format!("lead {}", n % 300_000),
        "agent": format!("agent {}", n % 200), "status": status.name(), "class": status.class().name(),
        "handled_by": if n % 3 == 0 { "agent" } else { "nobody" }, "dialled": true, "started_at": started,
        "ended_at": started + 60_000_000, "talk_ms": n % 100_000, "up_ms": n % 120_000, "wait_ms": n % 9_000,
    })
}

#[tokio::main]
async fn main() {
    let bench = Bench::new();
    let mut lake = bench.lake("attempts");
    for day in 0..DAYS {
        let rows: Vec<_> = (day * CALLS_A_DAY..(day + 1) * CALLS_A_DAY).map(attempt).collect();
        let date = jiff::civil::date(2026, 3, 1) + jiff::SignedDuration::from_hours(24 * day);
        lake.commit(&date.to_string(), &rows, 0);
    }
    time(&bench, "first query, lake only", OutcomesQuery::default(), 1).await;
    for n in DAYS * CALLS_A_DAY - FACTS_AHEAD / 2..DAYS * CALLS_A_DAY + FACTS_AHEAD / 2 {
        bench.publish("attempts", attempt(n));
    }
    time(&bench, "first query with the log ahead", OutcomesQuery::default(), 1).await;
    time(&bench, "totals", OutcomesQuery::default(), 3).await;
    for by in [Dimension::Campaign, Dimension::Agent, Dimension::Hour, Dimension::Day] {
        let query = OutcomesQuery { by: vec![by], tz: "Europe/Berlin".to_owned(), ..OutcomesQuery::default() };
        time(&bench, &format!("by {}", by.name()), query, 3).await;
    }
    let from = Some(Micros(bench::at("2026-03-20T00:00:00Z")));
    let to = Some(Micros(bench::at("2026-03-21T00:00:00Z")));
    let query = OutcomesQuery { by: vec![Dimension::Campaign], from, to, ..OutcomesQuery::default() };
    time(&bench, "one day by campaign", query, 3).await;
    let basis = calltide_schemas::metrics::Basis::Contact;
    time(&bench, "by contact", OutcomesQuery { basis, ..OutcomesQuery::default() }, 3).await;
}

async fn time(bench: &Bench, what: &str, query: OutcomesQuery, runs: usize) {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let started = Instant::now();
        let report = outcomes(&bench.engine, &query).await.unwrap();
        assert!(report.output.rows() > 0);
        best = best.min(started.elapsed());
    }
    println!("{what}: {} ms", best.as_millis());
}
