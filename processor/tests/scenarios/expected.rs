//! Expected rows as a compact table: a line with the table's name and columns, then a line per row.
//!
//! Durations are in seconds, times as `HH:MM:SS`, null is `-`, spaces within a value are `_`. Tables that are not named are
//! not looked at; a name alone says that there is no row.

use serde_json::Value;

use crate::replay::{Row, Tables, rows};
use crate::timeline::DAY_SECS;

/// Compares the tables that the text names; what differs is said with both sides.
pub(crate) fn compare(tables: &Tables, expected: &str, way: &str) {
    let expected: Vec<Vec<&str>> =
        expected.lines().map(|l| l.split_whitespace().collect()).filter(|l: &Vec<&str>| !l.is_empty()).collect();
    let mut differs = false;
    let (mut wanted, mut got) = (String::new(), String::new());
    let mut lines = expected.iter().peekable();
    while let Some(header) = lines.next() {
        let table = table_name(header[0]).unwrap_or_else(|| panic!("no table: {}", header[0]));
        let columns = &header[1..];
        let mut want: Vec<Vec<String>> = Vec::new();
        while let Some(row) = lines.next_if(|l| table_name(l[0]).is_none()) {
            assert_eq!(row.len(), columns.len(), "cells of the row {row:?} under {columns:?}");
            want.push(row.iter().map(|&cell| cell.to_owned()).collect());
        }
        let have: Vec<Vec<String>> =
            in_order(tables, table).iter().map(|row| columns.iter().map(|c| cell(row, c)).collect()).collect();
        differs |= if columns.is_empty() { !have.is_empty() } else { want != have };
        wanted += &format!("{}\n{}", header.join("  "), lines_of(&want));
        got += &format!("{}\n{}", header.join("  "), lines_of(&have));
    }
    assert!(!differs, "{way}: expected\n{wanted}\nbut got\n{got}");
}

fn lines_of(cells: &[Vec<String>]) -> String {
    cells.iter().map(|row| format!("    {}\n", row.join("  "))).collect()
}

fn table_name(word: &str) -> Option<&'static str> {
    Some(match word {
        "calls" => "calls",
        "attempts" => "attempts",
        "legs" => "legs",
        "visits" => "queue_visits",
        "rejects" => "rejects",
        "sources" => "sources",
        _ => return None,
    })
}

/// Rows in the order of their beginning.
fn in_order<'a>(tables: &'a Tables, table: &str) -> Vec<&'a Row> {
    let begin = match table {
        "legs" => "offered_at",
        "queue_visits" => "entered_at",
        "rejects" => "at",
        "sources" => "first_event_at",
        _ => "started_at",
    };
    let mut rows = rows(tables, table);
    // Stable: what begins at once is in the order of keys.
    rows.sort_by_key(|row| row[begin].as_i64());
    rows
}

fn cell(row: &Row, column: &str) -> String {
    let value = row.get(column).unwrap_or_else(|| panic!("no column {column}"));
    match value {
        Value::Null => "-".to_owned(),
        Value::Number(n) if column.ends_with("_ms") => {
            let tenths = (n.as_i64().unwrap() + 50) / 100;
            if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
        }
        Value::Number(n) if column.ends_with("at") => {
            let secs = n.as_i64().unwrap() / 1_000_000 - DAY_SECS;
            format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
        }
        Value::String(text) => text.replace(' ', "_"),
        Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
