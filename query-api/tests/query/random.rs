//! Random queries, judged by what must hold whatever the answer is: rows where a condition holds, does not and is null are all
//! rows; counting by a filter and by a CASE is the same; so are a join and a filtered product, DISTINCT and GROUP BY, IN and
//! EXISTS; and rows in the order that was asked for.
//!
//! A query may fail on its data or be refused; a panic or an engine's "internal error" is a finding. It takes ten seconds, or
//! as long as `RANDOM_SECONDS` says; `RANDOM_SEED` repeats a run.

mod expressions;
mod order;

use std::time::{Duration, Instant};

use calltide_query_api::QueryError;
use serde_json::{Value, json};

use crate::bench::{Bench, at};
use expressions::Dice;

const SECONDS: u64 = 10;
const CALLS: u64 = 400;
/// Over so many days, each with files of its own.
const DAYS: u64 = 3;
const COUNT: &str = "count(*) AS n, count(talk_ms) AS t, sum(talk_ms) AS s, min(started_at) AS a, max(status) AS b";

/// What was asked, and what came of it.
#[derive(Default)]
struct Tally {
    rounds: u64,
    /// Rounds of which each query was answered.
    judged: u64,
    failed: u64,
    findings: Vec<String>,
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the seed and the figures are what the run is for")]
async fn random_queries_never_contradict_themselves() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = Duration::from_secs(setting("RANDOM_SECONDS").unwrap_or(SECONDS));
    let seed = setting("RANDOM_SEED")
        .unwrap_or_else(|| u64::from(std::process::id()) << 20 | u64::from(Instant::now().elapsed().subsec_nanos()));
    println!("RANDOM_SEED={seed} RANDOM_SECONDS={}", seconds.as_secs());
    let mut dice = Dice(seed);
    let bench = filled(&mut dice);
    let began = Instant::now();
    let mut tally = Tally::default();
    while began.elapsed() < seconds {
        round(&bench, &mut dice, &mut tally).await;
    }
    println!("{} rounds, {} judged, {} queries failed", tally.rounds, tally.judged, tally.failed);
    assert!(
        tally.findings.is_empty(),
        "seed {seed}: {} findings\n{}",
        tally.findings.len(),
        tally.findings.join("\n\n")
    );
    assert!(tally.judged * 2 > tally.rounds, "seed {seed}: most rounds came to nothing");
}

/// Calls in the lake, some of them corrected or withdrawn in the log, and some in the log alone; legs in the log.
fn filled(dice: &mut Dice) -> Bench {
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    let calls: Vec<_> = (0..CALLS).map(|n| call(dice, n, 1)).collect();
    for call in &calls {
        bench.publish("calls", call.clone());
    }
    // Two files a day; the newest calls are in the log alone.
    let (old, _) = calls.split_at(300);
    let mut next = 0;
    for file in old.chunks(50) {
        next += file.len() as u64;
        lake.commit(&format!("2026-03-{:02}", day_of(next - 1) + 1), file, next);
    }
    for n in 0..30 {
        bench.publish("calls", call(dice, n * 7, 2));
        bench.forget("calls", &format!("p/{}", n * 7 + 1));
    }
    for n in 0..60 {
        let call_id = format!("p/{}", dice.below(CALLS));
        let agent = dice.pick(&["anna", "bert", ""]);
        let talk = dice.below(100_000);
        bench.publish(
            "legs",
            json!({"leg_id": format!("l/{n}"), "call_id": call_id, "agent": agent, "talk_ms": talk, "version": 1}),
        );
    }
    bench
}

fn call(dice: &mut Dice, n: u64, version: i64) -> Value {
    let text = |dice: &mut Dice, texts: &[&str]| if dice.below(4) == 0 { Value::Null } else { json!(dice.pick(texts)) };
    let within = day_of(n) * 86_400_000_000 + dice.below(86_400_000_000);
    let started = at("2026-03-01T00:00:00Z") + i64::try_from(within).unwrap();
    json!({
        "call_id": format!("p/{n}"), "version": version, "started_at": started,
        "status": dice.pick(&["answered", "busy", "no_answer", "failed"]),
        "campaign": text(dice, &["spring", "autumn", "", "%", "Ä'ö"]),
        "queue": text(dice, &["sales", "support"]),
        "agent": text(dice, &["anna", "bert"]),
        "talk_ms": dice.below(100) * dice.below(3_000),
        "wait_ms": if dice.below(3) == 0 { Value::Null } else { json!(dice.below(60_000)) },
    })
}

/// The day of a call, from 0.
fn day_of(n: u64) -> u64 {
    n / 100 % DAYS
}

async fn round(bench: &Bench, dice: &mut Dice, tally: &mut Tally) {
    tally.rounds += 1;
    // Much more work than the others.
    if dice.below(30) == 0 {
        return order::round(bench, dice, tally).await;
    }
    let condition = dice.condition(3, "");
    let parts = [format!("({condition})"), format!("NOT ({condition})"), format!("({condition}) IS NULL")];
    let (whole, parts): (String, Vec<String>) = match dice.below(7) {
        0 => {
            let rows = |when: &str| format!("SELECT call_id FROM calls {when}");
            (rows(""), parts.map(|part| rows(&format!("WHERE {part}"))).to_vec())
        }
        1 => {
            let by_case = parts.map(|part| format!("SELECT sum(CASE WHEN {part} THEN 1 ELSE 0 END) AS n FROM calls"));
            ("SELECT count(*) AS n FROM calls".to_owned(), by_case.to_vec())
        }
        2 => {
            let by_filter = format!("SELECT count(*) AS n FROM calls WHERE {condition}");
            (by_filter, vec![format!("SELECT count(CASE WHEN {condition} THEN 1 END) AS n FROM calls")])
        }
        3 => {
            let on = dice.pick(&["c.call_id = l.call_id", "c.agent = l.agent", "c.talk_ms < l.talk_ms"]);
            let condition = format!("{on} AND ({})", dice.condition(2, "c."));
            let select = "SELECT c.call_id AS c, l.leg_id AS l FROM calls c";
            (
                format!("{select} JOIN legs l ON {condition}"),
                vec![format!("{select} CROSS JOIN legs l WHERE {condition}")],
            )
        }
        4 => {
            let expr = dice.text(2, "");
            (
                format!("SELECT DISTINCT {expr} AS x FROM calls WHERE {condition}"),
                vec![format!("SELECT {expr} AS x FROM calls WHERE {condition} GROUP BY {expr}")],
            )
        }
        5 => {
            let inner = dice.condition(2, "l_call.");
            let legs =
                format!("SELECT leg_id FROM legs WHERE call_id IN (SELECT call_id FROM calls l_call WHERE {inner})");
            let exists = format!(
                "SELECT leg_id FROM legs WHERE EXISTS (SELECT 1 FROM calls l_call WHERE l_call.call_id = legs.call_id AND ({inner}))"
            );
            (legs, vec![exists])
        }
        _ => {
            let key = dice.text(1, "");
            let grouped = format!("SELECT {COUNT} FROM calls WHERE {condition} GROUP BY {key}");
            let again = "sum(n)::bigint AS n, sum(t)::bigint AS t, sum(s)::bigint AS s, min(a) AS a, max(b) AS b";
            (
                format!("SELECT {COUNT} FROM calls WHERE {condition} HAVING count(*) > 0"),
                vec![format!("SELECT {again} FROM ({grouped}) HAVING count(*) > 0")],
            )
        }
    };
    let Some(expected) = answers(bench, std::slice::from_ref(&whole), tally).await else { return };
    let Some(found) = answers(bench, &parts, tally).await else { return };
    tally.judged += 1;
    if sorted(expected.clone()) != sorted(found.clone()) {
        tally.findings.push(format!("{whole}\n  gives {expected:?}\n{}\n  give {found:?}", parts.join("\n")));
    }
}

/// The rows of all queries together; counts alone are added up. `None` if one was not answered.
async fn answers(bench: &Bench, queries: &[String], tally: &mut Tally) -> Option<Vec<Value>> {
    let mut all = Vec::new();
    for sql in queries {
        match bench.query(sql).await {
            Ok(output) => all.extend(crate::bench::rows(&output).as_array().cloned().unwrap_or_default()),
            Err(error @ (QueryError::Panicked { .. } | QueryError::Internal { .. })) => {
                tally.findings.push(format!("{sql}\n  {error}"));
                return None;
            }
            Err(_) => {
                tally.failed += 1;
                return None;
            }
        }
    }
    let count = |row: &Value| row.as_object().filter(|row| row.len() == 1)?.get("n")?.as_i64();
    let counts: Option<Vec<i64>> = all.iter().map(count).collect();
    match counts {
        Some(counts) if !counts.is_empty() => Some(vec![json!(counts.iter().sum::<i64>())]),
        Some(_) | None => Some(all),
    }
}

fn sorted(rows: Vec<Value>) -> Vec<String> {
    let mut rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}
