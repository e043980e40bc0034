//! The recycling report for people: its columns in tables that fit a screen, contacts first, then what calling again yields.

use calltide_query_api::format::{self, Format};
use calltide_query_api::reports::Report;
use calltide_schemas::metrics::{Basis, Metric, RECYCLING, Unit};
use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use serde_json::{Map, Value};

use crate::errors::{Exit, Failure, Result};

type Row = Map<String, Value>;

/// The tables; a sentence if nothing is counted.
pub(crate) fn tables(report: &Report) -> Result<String> {
    let unreadable = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "the report cannot be shown").because(e);
    let json = format::write(&report.output, Format::Json).map_err(|e| unreadable(&e))?;
    let rows: Vec<Row> = serde_json::from_slice(&json).map_err(|e| unreadable(&e))?;
    if rows.is_empty() {
        return Ok("no contacts and no attempts for any in this range\n".to_owned());
    }
    let groups: Vec<&str> = report.columns.iter().filter(|c| c.unit.is_none()).map(|c| c.name.as_str()).collect();
    let shown = |metric: &&Metric| report.columns.iter().any(|column| column.name == metric.name);
    let (classes, rest): (Vec<&Metric>, Vec<&Metric>) =
        RECYCLING.iter().filter(shown).partition(|metric| metric.bases == [Basis::Contact]);
    let share = |metric: &&&Metric| metric.unit == Unit::Percent;
    let by_class: Vec<&Metric> = classes.iter().filter(share).copied().collect();
    let by_verdict: Vec<&Metric> = classes.iter().skip_while(|m| m.name != "open").copied().collect();
    let contacts: Vec<&Metric> = classes.iter().filter(|m| m.name == "contacts").copied().collect();
    let mut text = String::new();
    if !classes.is_empty() {
        text += &drawn(&rows, &groups, &[contacts, by_class].concat());
        text.push('\n');
        text += &drawn(&rows, &groups, &by_verdict);
        text.push('\n');
    }
    Ok(text + &drawn(&rows, &groups, &rest))
}

fn drawn(rows: &[Row], groups: &[&str], metrics: &[&Metric]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
    let titles = metrics.iter().map(|m| m.name.replace("_pct", " %").replace('_', " "));
    let title = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    table.set_header(groups.iter().map(Cell::new).chain(titles.map(title)));
    for row in rows {
        let group = |name: &&str| Cell::new(row.get(*name).map_or_else(String::new, text));
        let value = |metric: &&Metric| Cell::new(number(row, metric)).set_alignment(CellAlignment::Right);
        table.add_row(groups.iter().map(group).chain(metrics.iter().map(value)));
    }
    format!("{table}\n")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn number(row: &Row, metric: &Metric) -> String {
    let value = row.get(metric.name).and_then(Value::as_f64);
    match (value, metric.unit) {
        (None, _) => "–".to_owned(),
        (Some(value), Unit::Percent) => format!("{value:.1}%"),
        (Some(value), Unit::Ratio) => format!("{value:.2}"),
        (Some(value), Unit::Count | Unit::Millis | Unit::Seconds | Unit::Amount | Unit::Moment) => {
            format!("{value:.0}")
        }
    }
}
