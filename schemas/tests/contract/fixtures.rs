//! What version 1 wrote can be read today: its fixtures are frozen, never renewed.
//!
//! So fields may be added (optional, or nullable) and nothing else. Rows are checked against the tables' columns.

use std::collections::BTreeSet;
use std::path::Path;

use calltide_schemas::envelope::{Envelope, Source};
use calltide_schemas::tables::{Kind, Null, TABLES, TableDef};
use serde_json::Value;

/// (file name without its ending, text)
fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1");
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("a fixture"))
    };
    let entries = std::fs::read_dir(folder).expect("the fixtures of version 1");
    entries.map(|entry| read(entry.expect("an entry").path())).collect()
}

#[test]
fn envelopes_of_every_source_are_read() {
    let mut sources = BTreeSet::new();
    for (name, text) in fixtures().iter().filter(|(name, _)| name.starts_with("envelope-")) {
        let read: Envelope<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(*name, format!("envelope-{}", read.source.name()));
        let written = serde_json::to_value(&read).expect("an envelope is JSON");
        let stored: Value = serde_json::from_str(text).expect("JSON");
        for (field, value) in stored.as_object().expect("an object") {
            assert_eq!(written.get(field), Some(value), "{name}: {field}");
        }
        sources.insert(read.source);
    }
    let all = [
        Source::Ami,
        Source::Cel,
        Source::QueueLog,
        Source::Heartbeat,
        Source::ImportEnd,
        Source::Gap,
        Source::Unreadable,
    ];
    assert_eq!(sources, BTreeSet::from(all));
}

#[test]
fn rows_of_every_table_are_read() {
    let fixtures = fixtures();
    let of_v1 = ["calls", "attempts", "legs", "queue_visits", "stories", "rejects", "sources", "inputs"];
    for name in of_v1 {
        let def = TABLES.iter().find(|def| def.name == name).unwrap_or_else(|| panic!("table {name} is gone"));
        let file = format!("row-{name}");
        let (_, text) = fixtures.iter().find(|(n, _)| *n == file).unwrap_or_else(|| panic!("no fixture {file}"));
        let row: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(misfit(def, &row), None, "{file}");
    }
}

/// Why a row of an earlier version is none of the table any more.
fn misfit(def: &TableDef, row: &Value) -> Option<String> {
    let row = row.as_object()?;
    for (name, value) in row {
        let Some(column) = def.column(name) else { return Some(format!("column {name} is gone")) };
        let fits = match column.kind {
            _ if value.is_null() => column.null == Null::Yes,
            Kind::Text | Kind::Decimal => value.is_string(),
            Kind::Int | Kind::Time => value.is_i64(),
            Kind::Bool => value.is_boolean(),
        };
        if !fits {
            return Some(format!("column {name} can't hold {value} any more"));
        }
    }
    let missing = |c: &&calltide_schemas::tables::Column| c.null == Null::No && !row.contains_key(c.name);
    def.columns.iter().find(missing).map(|c| format!("column {} is new and can't be null", c.name))
}

#[test]
fn a_change_that_breaks_old_rows_is_noticed() {
    let def = TABLES.iter().find(|def| def.name == "rejects").expect("a table");
    let (_, text) = fixtures().into_iter().find(|(name, _)| name == "row-rejects").expect("its fixture");
    let good: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(misfit(def, &good), None);
    let changed = |field: &str, value: Option<Value>| {
        let mut row = good.clone();
        let fields = row.as_object_mut().expect("an object");
        fields.remove(field);
        fields.extend(value.map(|value| (field.to_owned(), value)));
        misfit(def, &row)
    };
    assert_eq!(changed("colour", Some("red".into())).as_deref(), Some("column colour is gone"));
    assert_eq!(changed("version", Some("1".into())).as_deref(), Some("column version can't hold \"1\" any more"));
    assert_eq!(changed("reason", Some(Value::Null)).as_deref(), Some("column reason can't hold null any more"));
    assert_eq!(changed("reason", None).as_deref(), Some("column reason is new and can't be null"));
    assert_eq!(changed("detail", None), None);
}
