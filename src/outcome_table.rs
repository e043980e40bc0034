//! The outcomes report for people: what the report says in thirty columns, in two tables that fit a screen.
//!
//! The first has the classes with their percentages, the second the statuses that occur. Nothing is computed here but how
//! values are written; the formulas are in `calltide_schemas::metrics`.

use calltide_query_api::reports::Report;
use calltide_query_api::reports::outcomes::{Direction, OutcomesQuery};
use calltide_schemas::metrics::Basis;
use calltide_schemas::status::Status;

use crate::errors::Result;
use crate::report_table::{Column, Row, clock, drawn, groups, number, rows, seconds, share};

/// Both tables; a sentence if nothing is counted.
pub(crate) fn tables(report: &Report, query: &OutcomesQuery) -> Result<String> {
    let rows = rows(report)?;
    if rows.iter().all(|row| number(row, "total") == 0) {
        return Ok("no calls in this range\n".to_owned());
    }
    let groups = groups(report);
    let mut text = drawn(&rows, &groups, &classes(query));
    text.push('\n');
    text.push_str(&drawn(&rows, &groups, &statuses(&rows)));
    Ok(text)
}

fn classes(query: &OutcomesQuery) -> Vec<Column> {
    let per_contact = query.basis == Basis::Contact;
    let inbound_only = query.directions == [Direction::Inbound];
    let counted = match (per_contact, inbound_only) {
        (_, true) => "calls",
        (true, false) => "contacts",
        (false, false) => "attempts",
    };
    let mut columns: Vec<Column> = vec![
        Column::new(counted, |row| number(row, "total").to_string()),
        Column::new("connected", |row| share(row, "connected", "connected_pct")),
        Column::new("unanswered", |row| share(row, "unanswered", "unanswered_pct")),
        Column::new("failed", |row| share(row, "failed", "failed_pct")),
    ];
    if per_contact {
        columns.push(Column::new("pending", |row| share(row, "pending", "pending_pct")));
    }
    columns.push(Column::new("reached", |row| share(row, "reached", "reached_pct")));
    if !per_contact {
        if !inbound_only {
            columns.push(Column::new("dropped", |row| number(row, "dropped").to_string()));
        }
        columns.push(Column::new("short", |row| number(row, "short").to_string()));
        columns.push(Column::new("avg wait", |row| seconds(row, "wait_avg_ms")));
        columns.push(Column::new("avg call", |row| seconds(row, "acd_ms")));
        columns.push(Column::new("talk", |row| clock(number(row, "talk_ms"))));
    }
    columns
}

fn statuses(rows: &[Row]) -> Vec<Column> {
    let occurs = |status: &Status| rows.iter().any(|row| number(row, status.name()) > 0);
    Status::ALL.into_iter().filter(occurs).map(|status| Column::occurring(status.name())).collect()
}
