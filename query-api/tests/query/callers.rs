//! The callers report: who called, who called again, and who was never spoken with.

use calltide_query_api::reports::callers::{CallersQuery, Dimension, callers};
use calltide_query_api::reports::{Bucket, DayStart, Range};
use calltide_schemas::Micros;
use serde_json::{Value, json};

use crate::bench::{Bench, at, rows};

/// `1 +49301 09:00:00 inbound answered sales`; `-` for a number that was withheld.
fn call(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let [id, number, time, direction, status, queue] = words[..] else { panic!("{line}") };
    let (class, handled_by) = match status {
        "answered" => ("connected", "agent"),
        "voicemail" => ("connected", "machine"),
        _ => ("unanswered", "nobody"),
    };
    let started = if time.contains('T') { at(time) } else { at(&format!("2026-03-01T{time}Z")) };
    bench.publish(
        "calls",
        json!({
            "call_id": format!("p/{id}"), "pbx": "p", "number_e164": (number != "-").then_some(number), "direction": direction,
            "status": status, "class": class, "handled_by": handled_by, "queue": queue, "started_at": started, "version": 1,
        }),
    );
}

fn with(lines: &[&str]) -> Bench {
    let bench = Bench::new();
    lines.iter().for_each(|line| call(&bench, line));
    bench
}

async fn report(bench: &Bench, query: &CallersQuery) -> Value {
    let report = callers(&bench.engine, query).await.unwrap_or_else(|e| panic!("{query:?}: {e:?}"));
    let names: Vec<_> = report.output.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, report.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    rows(&report.output)
}

/// Seven callers of ten calls, and two whose numbers nobody knows.
const WORKED: [&str; 14] = [
    "01 +1 09:00:00 inbound answered sales",
    // Tried again and got somebody.
    "02 +2 09:00:00 inbound abandoned sales",
    "03 +2 09:05:00 inbound answered sales",
    // Was spoken with, then gave up; nobody called.
    "04 +3 09:00:00 inbound answered sales",
    "05 +3 09:10:00 inbound abandoned sales",
    // Gave up and was called back.
    "06 +4 09:00:00 inbound abandoned sales",
    "07 +4 09:30:00 outbound answered -",
    // Was called back, and not reached.
    "08 +5 09:00:00 inbound abandoned sales",
    "09 +5 09:30:00 outbound no_answer -",
    // Left a message; that was an answer.
    "10 +6 09:00:00 inbound voicemail sales",
    // Was called before.
    "11 +7 08:59:00 outbound answered -",
    "12 +7 09:00:00 inbound no_agent help",
    "13 - 09:00:00 inbound abandoned sales",
    "14 - 09:00:00 inbound answered sales",
];

#[tokio::test]
async fn every_metric_as_computed_by_hand() {
    let rows = report(&with(&WORKED), &CallersQuery::default()).await;
    assert_eq!(
        rows,
        json!([{
            "calls": 11, "withheld": 2, "callers": 7,
            "repeat_callers": 2, // +2 and +3
            "repeat_pct": 200.0 / 7.0,
            "calls_per_caller": 9.0 / 7.0,
            "lost_callers": 4, // +3, +4, +5, +7
            "lost_served": 1,  // +4
            "lost_open": 3,
            "lost_pct": 400.0 / 7.0,
        }])
    );
}

/// Who called on two days is a caller of each, and one of the whole; who got through on the second was served on the first.
#[tokio::test]
async fn each_row_and_the_total_have_a_caller_once() {
    let bench = with(&[
        "1 +1 2026-03-01T22:59:59Z inbound abandoned sales",
        "2 +1 2026-03-01T23:00:00Z inbound abandoned help",
        "3 +1 2026-03-02T10:00:00Z inbound answered help",
        "4 +2 2026-03-02T10:00:00Z inbound abandoned sales",
    ]);
    let range = Range::all("Europe/Berlin", DayStart::default());
    let query = CallersQuery { by: vec![Dimension::Bucket(Bucket::Day)], range };
    let columns = ["calls", "callers", "repeat_callers", "lost_callers", "lost_open"];
    let told = |rows: &Value, group: &str| -> Value {
        let row = |row: &Value| std::iter::once(group).chain(columns).map(|c| row[c].clone()).collect::<Vec<_>>();
        rows.as_array().unwrap().iter().map(|r| Value::from(row(r))).collect()
    };
    let expected = json!([["2026-03-01", 1, 1, 0, 1, 0], ["2026-03-02", 3, 2, 1, 1, 1], ["total", 4, 2, 1, 1, 1]]);
    assert_eq!(told(&report(&bench, &query).await, "day"), expected);
    let query = CallersQuery { by: vec![Dimension::Queue], ..query };
    let expected = json!([["help", 2, 1, 1, 0, 0], ["sales", 2, 2, 0, 2, 1], ["total", 4, 2, 1, 1, 1]]);
    assert_eq!(told(&report(&bench, &query).await, "queue"), expected);
    // From six in the morning on the night is of the day before.
    let range = Range::all("Europe/Berlin", "06:00".parse().unwrap());
    let query = CallersQuery { by: vec![Dimension::Bucket(Bucket::Day)], range };
    let expected = json!([["2026-03-01", 2, 1, 1, 1, 0], ["2026-03-02", 2, 2, 0, 1, 1], ["total", 4, 2, 1, 1, 1]]);
    assert_eq!(told(&report(&bench, &query).await, "day"), expected);
    // The range judges calls; what came after it serves.
    let to = Some(Micros(at("2026-03-02T00:00:00Z")));
    let range = Range { to, ..Range::default() };
    let rows = report(&bench, &CallersQuery { range, ..CallersQuery::default() }).await;
    assert_eq!((&rows[0]["lost_callers"], &rows[0]["lost_served"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn over_nothing_counts_are_zero_and_ratios_null() {
    let rows = report(&Bench::new(), &CallersQuery::default()).await;
    for (name, value) in rows[0].as_object().unwrap() {
        let ratio = name.ends_with("_pct") || name == "calls_per_caller";
        assert_eq!(*value, if ratio { Value::Null } else { json!(0) }, "{name}");
    }
}
