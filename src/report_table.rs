//! How the rows of a report that ends with a total are drawn for people: groups, columns, the total below a line.
//!
//! It knows no report; what stands in a column is said by [`crate::outcome_table`], [`crate::queue_table`] and
//! [`crate::agent_table`]. Nothing is computed here but how values are written.

use calltide_query_api::format::{self, Format};
use calltide_query_api::reports::Report;
use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use serde_json::{Map, Value};

use crate::errors::{Exit, Failure, Result};

/// A row of the report, by column.
pub(crate) type Row = Map<String, Value>;

/// The report's rows.
pub(crate) fn rows(report: &Report) -> Result<Vec<Row>> {
    let unreadable = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "the report cannot be shown").because(e);
    let json = format::write(&report.output, Format::Json).map_err(|e| unreadable(&e))?;
    serde_json::from_slice(&json).map_err(|e| unreadable(&e))
}

/// The columns that its rows are grouped by.
pub(crate) fn groups(report: &Report) -> Vec<&str> {
    report.columns.iter().filter(|column| column.unit.is_none()).map(|column| column.name.as_str()).collect()
}

/// A column: its title, and how it is written.
pub(crate) struct Column {
    title: String,
    shown: Box<dyn Fn(&Row) -> String>,
}

impl Column {
    pub(crate) fn new(title: &str, shown: impl Fn(&Row) -> String + 'static) -> Self {
        Self { title: title.to_owned(), shown: Box::new(shown) }
    }

    /// A count of what rarely occurs: a point where it did not.
    pub(crate) fn occurring(name: &'static str) -> Self {
        Self::new(&name.replace('_', " "), move |row| match number(row, name) {
            0 => "·".to_owned(),
            count => count.to_string(),
        })
    }
}

/// The rows under the columns, the groups first, the total below a line.
pub(crate) fn drawn(rows: &[Row], groups: &[&str], columns: &[Column]) -> String {
    drawn_with_totals(rows, groups, columns, usize::from(!groups.is_empty()))
}

/// The same where so many of the rows, the last ones, are totals.
pub(crate) fn drawn_with_totals(rows: &[Row], groups: &[&str], columns: &[Column], totals: usize) -> String {
    let mut lines = lines(rows, groups, columns);
    if (1..rows.len()).contains(&totals) {
        let rule = lines[1].clone();
        lines.insert(lines.len() - totals, rule);
    }
    text(lines)
}

/// The rows under the columns, where there is no total.
pub(crate) fn listed(rows: &[Row], groups: &[&str], columns: &[Column]) -> String {
    text(lines(rows, groups, columns))
}

fn text(mut lines: Vec<String>) -> String {
    lines.push(String::new());
    lines.join("\n")
}

fn lines(rows: &[Row], groups: &[&str], columns: &[Column]) -> Vec<String> {
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
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// What a row is about; the total's further groups are empty, unlike a group without a name.
fn label(row: &Row, name: &str, place: usize) -> String {
    match row.get(name).and_then(Value::as_str) {
        Some(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        None if place == 0 => "(none)".to_owned(),
        None => "-".to_owned(),
    }
}

/// A count, or milliseconds.
pub(crate) fn number(row: &Row, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// A percentage, a line where it is one of nothing.
pub(crate) fn percent(row: &Row, name: &str) -> String {
    let percent = row.get(name).and_then(Value::as_f64);
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1} %"))
}

/// A count with its percentage, which always takes the same width.
pub(crate) fn share(row: &Row, count: &str, pct: &str) -> String {
    format!("{} {:>7}", number(row, count), percent(row, pct))
}

/// Milliseconds as seconds with tenths.
pub(crate) fn seconds(row: &Row, name: &str) -> String {
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
        assert_eq!(share(&row, "connected", "connected_pct"), "0       -");
    }
}
