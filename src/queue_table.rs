//! The queues report for people: what it says in thirty columns, in three tables that fit a screen.
//!
//! The first has how many were served and how fast, the second the waits and the talk, the third the other ends that occur,
//! and who still waits.
//! The formulas are in `calltide_schemas::metrics::queues`.

use calltide_query_api::reports::Report;
use calltide_query_api::reports::queues::QueuesQuery;
use calltide_schemas::metrics::queues::{OUTCOMES_OF_VISITS, WAITING};

use crate::errors::Result;
use crate::report_table::{Column, clock, drawn, groups, number, percent, rows, seconds, share};

/// The tables; a sentence if nothing is counted.
pub(crate) fn tables(report: &Report, query: &QueuesQuery) -> Result<String> {
    let rows = rows(report)?;
    if rows.iter().all(|row| number(row, "offered") + number(row, WAITING) == 0) {
        return Ok("no visits to queues in this range\n".to_owned());
    }
    let groups = groups(report);
    let served = drawn(&rows, &groups, &served(query));
    let mut text = format!("{served}\n{}", drawn(&rows, &groups, &waits()));
    let others = OUTCOMES_OF_VISITS.into_iter().filter(|outcome| !["answered", "abandoned"].contains(outcome));
    let occurring: Vec<_> =
        others.chain([WAITING]).filter(|outcome| rows.iter().any(|row| number(row, outcome) > 0)).collect();
    if !occurring.is_empty() {
        let columns: Vec<_> = occurring.into_iter().map(Column::occurring).collect();
        text.push('\n');
        text.push_str(&drawn(&rows, &groups, &columns));
    }
    if groups.contains(&"queue") {
        text.push_str("\nThe total counts a call once, however many queues it was in.\n");
    }
    Ok(text)
}

fn served(query: &QueuesQuery) -> Vec<Column> {
    let level = |basis: &str| format!("{basis} ≤{} s", query.within_s);
    vec![
        Column::new("offered", |row| number(row, "offered").to_string()),
        Column::new("answered", |row| share(row, "answered", "answer_rate_pct")),
        Column::new("abandoned", |row| share(row, "abandoned", "abandon_rate_pct")),
        Column::new(&format!("<{} s", query.short_s), |row| number(row, "short_abandons").to_string()),
        Column::new(&level("of answered"), |row| percent(row, "service_level_answered_pct")),
        Column::new(&level("of offered"), |row| percent(row, "service_level_offered_pct")),
        Column::new(&level("removed"), |row| percent(row, "service_level_removed_pct")),
    ]
}

fn waits() -> Vec<Column> {
    vec![
        Column::new("avg wait", |row| seconds(row, "wait_avg_ms")),
        Column::new("p50", |row| seconds(row, "wait_p50_ms")),
        Column::new("p90", |row| seconds(row, "wait_p90_ms")),
        Column::new("p95", |row| seconds(row, "wait_p95_ms")),
        Column::new("max", |row| seconds(row, "wait_max_ms")),
        Column::new("answered", |row| seconds(row, "asa_ms")),
        Column::new("abandoned", |row| seconds(row, "wait_abandoned_avg_ms")),
        Column::new("talk", |row| clock(number(row, "talk_ms"))),
        Column::new("hold", |row| clock(number(row, "hold_ms"))),
        Column::new("handling", |row| seconds(row, "aht_ms")),
    ]
}
