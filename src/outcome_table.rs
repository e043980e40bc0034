//! The outcomes report for people: what the report says in thirty columns, in two tables that fit a screen.
//!
//! The first has the classes with their percentages, the second the statuses that occur. Nothing is computed here but how
//! values are written; the formulas are in `calltide_schemas::metrics`.

use calltide_query_api::format::{self, Format};
use calltide_query_api::reports::Report;
use calltide_query_api::reports::outcomes::{Direction, OutcomesQuery};
use calltide_schemas::metrics::Basis;
use calltide_schemas::status::Status;
use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use serde_json::{Map, Value};

use crate::errors::{Exit, Failure, Result};

type Row = Map<String, Value>;

/// Both tables; a sentence if nothing is counted.
pub(crate) fn tables(report: &Report, query: &OutcomesQuery) -> Result<String> {
    let rows = rows(report)?;
    if rows.iter().all(|row| number(row, "total") == 0) {
        return Ok("no calls in this range\n".to_owned());
    }
    let mut text = classes(&rows, query);
    text.push('\n');
    text.push_str(&statuses(&rows, query));
    Ok(text)
}

fn rows(report: &Report) -> Result<Vec<Row>> {
    let unreadable = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "the report cannot be shown").because(e);
    let json = format::write(&report.output, Format::Json).map_err(|e| unreadable(&e))?;
    serde_json::from_slice(&json).map_err(|e| unreadable(&e))
}

fn classes(rows: &[Row], query: &OutcomesQuery) -> String {
    let per_contact = query.basis == Basis::Contact;
    let inbound_only = query.directions == [Direction::Inbound];
    let counted = match (per_contact, inbound_only) {
        (_, true) => "calls",
        (true, false) => "contacts",
        (false, false) => "attempts",
    };
    let mut columns: Vec<Column> = vec![
        Column::new(counted, |row| number(row, "total").to_string()),
        Column::new("connected", |row| share(row, "connected")),
        Column::new("unanswered", |row| share(row, "unanswered")),
        Column::new("failed", |row| share(row, "failed")),
    ];
    if per_contact {
        columns.push(Column::new("pending", |row| share(row, "pending")));
    }
    columns.push(Column::new("reached", |row| share(row, "reached")));
    if !per_contact {
        if !inbound_only {
            columns.push(Column::new("dropped", |row| number(row, "dropped").to_string()));
        }
        columns.push(Column::new("short", |row| number(row, "short").to_string()));
        columns.push(Column::new("avg wait", |row| seconds(row, "wait_avg_ms")));
        columns.push(Column::new("avg call", |row| seconds(row, "acd_ms")));
        columns.push(Column::new("talk", |row| clock(number(row, "talk_ms"))));
    }
    drawn(rows, query, &columns)
}

fn statuses(rows: &[Row], query: &OutcomesQuery) -> String {
    let occurs = |status: &Status| rows.iter().any(|row| number(row, status.name()) > 0);
    let occurring = Status::ALL.into_iter().filter(occurs);
    let columns: Vec<_> = occurring
        .map(|status| {
            let shown = move |row: &Row| match number(row, status.name()) {
                0 => "·".to_owned(),
                count => count.to_string(),
            };
            Column { title: status.name().replace('_', " "), shown: Box::new(shown) }
        })
        .collect();
    drawn(rows, query, &columns)
}

struct Column {
    title: String,
    shown: Box<dyn Fn(&Row) -> String>,
}

impl Column {
    fn new(title: &str, shown: impl Fn(&Row) -> String + 'static) -> Self {
        Self { title: title.to_owned(), shown: Box::new(shown) }
    }
}

/// The rows under the columns, the groups first, the total below a line.
fn drawn(rows: &[Row], query: &OutcomesQuery, columns: &[Column]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for dimension in &query.by {
        if !groups.contains(&dimension.name()) {
            groups.push(dimension.name());
        }
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let titles = groups.iter().map(Cell::new).chain(columns.iter().map(|c| right(c.title.clone())));
    table.set_header(titles.collect::<Vec<_>>());
    for row in rows {
        let labels = groups.iter().enumerate().map(|(place, name)| Cell::new(label(row, name, place)));
        table.add_row(labels.chain(columns.iter().map(|c| right((c.shown)(row)))).collect::<Vec<_>>());
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    if !groups.is_empty() && lines.len() > 3 {
        let rule = lines[1].clone();
        lines.insert(lines.len() - 1, rule);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What a row is about; the total's further groups are empty, unlike a group without a name.
fn label(row: &Row, name: &str, place: usize) -> String {
    match row.get(name).and_then(Value::as_str) {
        Some(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        None if place == 0 => "(none)".to_owned(),
        None => "-".to_owned(),
    }
}

fn number(row: &Row, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// A count with its percentage, which always takes the same width.
fn share(row: &Row, name: &str) -> String {
    let percent = row.get(&format!("{name}_pct")).and_then(Value::as_f64);
    let percent = percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1} %"));
    format!("{} {percent:>7}", number(row, name))
}

fn seconds(row: &Row, name: &str) -> String {
    row.get(name)
        .and_then(Value::as_i64)
        .map_or_else(|| "-".to_owned(), |ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100))
}

/// Hours, minutes and seconds.
pub(crate) fn clock(ms: i64) -> String {
    let secs = ms / 1000;
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, minutes, secs) => format!("{minutes}:{secs:02}"),
        (hours, minutes, secs) => format!("{hours}:{minutes:02}:{secs:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_clocks_show_them() {
        assert_eq!(clock(0), "0:00");
        assert_eq!(clock(61_999), "1:01");
        assert_eq!(clock(3_600_000), "1:00:00");
    }

    #[test]
    fn a_share_of_nothing_has_no_percentage() {
        let row = serde_json::json!({"connected": 0, "connected_pct": null});
        let Value::Object(row) = row else { panic!("an object") };
        assert_eq!(share(&row, "connected"), "0       -");
    }
}
