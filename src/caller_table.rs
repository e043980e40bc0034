//! The callers report for people. The formulas are in `calltide_schemas::metrics::callers`.

use calltide_query_api::reports::Report;

use crate::errors::Result;
use crate::report_table::{Column, drawn, groups, number, rows, share};

/// The table; a sentence if nothing is counted.
pub(crate) fn table(report: &Report) -> Result<String> {
    let rows = rows(report)?;
    if rows.iter().all(|row| number(row, "calls") == 0) {
        return Ok("no inbound calls in this range\n".to_owned());
    }
    let columns = [
        Column::new("calls", |row| number(row, "calls").to_string()),
        Column::new("withheld", |row| number(row, "withheld").to_string()),
        Column::new("callers", |row| number(row, "callers").to_string()),
        Column::new("called again", |row| share(row, "repeat_callers", "repeat_pct")),
        Column::new("lost", |row| share(row, "lost_callers", "lost_pct")),
        Column::new("served since", |row| number(row, "lost_served").to_string()),
        Column::new("to call back", |row| number(row, "lost_open").to_string()),
    ];
    Ok(drawn(&rows, &groups(report), &columns))
}
