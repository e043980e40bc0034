//! One JSON Schema (draft 2020-12) per topic: of its rows, made from the table's columns, and of the envelope.

use calltide_schemas::agents::{Answer, ForAgents};
use calltide_schemas::envelope::Envelope;
use calltide_schemas::recycling::{Due, ForContacts, ForNumbers, Lease, Retargeted};
use calltide_schemas::tables::{Column, DECIMAL_DIGITS, DECIMAL_SCALE, Kind, Null, TableDef, table};
use calltide_schemas::topics::{
    EVENTS, IN_AGENTS, IN_CONTACTS, IN_NUMBERS, LEASES, PREFIX, RETARGET, RETRY_DUE, RETRY_LATER, TERMINALS, TOPICS,
};
use serde_json::{Map, Value, json};

/// File name and schema of each topic's payload.
pub(super) fn all() -> Vec<(String, Value)> {
    let schema = |topic: &str, of: Option<&str>| match (topic, of.and_then(table)) {
        (EVENTS, _) => schemars::schema_for!(Envelope<'_>).to_value(),
        (IN_CONTACTS, _) => schemars::schema_for!(ForContacts).to_value(),
        (IN_NUMBERS, _) => schemars::schema_for!(ForNumbers).to_value(),
        (IN_AGENTS, _) => schemars::schema_for!(ForAgents).to_value(),
        (TERMINALS, _) => schemars::schema_for!(Answer).to_value(),
        (RETRY_DUE, _) => schemars::schema_for!(Due).to_value(),
        (RETARGET, _) => schemars::schema_for!(Retargeted).to_value(),
        (LEASES, _) => schemars::schema_for!(Lease).to_value(),
        (RETRY_LATER, _) => row(table("contacts").expect("the table of contacts")),
        (_, Some(def)) => row(def),
        (other, None) => panic!("{other} has neither a table nor a form of its own"),
    };
    let file = |topic: &str| format!("{}.schema.json", topic.trim_start_matches(PREFIX));
    TOPICS.iter().map(|topic| (file(topic.name), schema(topic.name, topic.table))).collect()
}

fn row(def: &TableDef) -> Value {
    let properties: Map<String, Value> = def.columns.iter().map(|c| (c.name.to_owned(), property(c))).collect();
    let required: Vec<&str> = def.columns.iter().filter(|c| c.null == Null::No).map(|c| c.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": def.name,
        "description": def.doc,
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

/// At most twelve digits before the point and six after it, as `Decimal128(18, 6)` has them.
const DECIMAL: &str = "^-?[0-9]{1,12}([.][0-9]{1,6})?$";

fn property(column: &Column) -> Value {
    let name = match column.kind {
        Kind::Text | Kind::Decimal => "string",
        Kind::Int | Kind::Time => "integer",
        Kind::Bool => "boolean",
    };
    let kind = match column.null {
        Null::No => json!(name),
        Null::Yes => json!([name, "null"]),
    };
    match column.kind {
        Kind::Time => {
            let doc = format!("{} (microseconds since 1970-01-01 UTC)", column.doc);
            json!({ "type": kind, "format": "int64", "description": doc })
        }
        Kind::Int => json!({ "type": kind, "format": "int64", "description": column.doc }),
        Kind::Decimal => json!({ "type": kind, "pattern": DECIMAL, "description": column.doc }),
        Kind::Text | Kind::Bool => json!({ "type": kind, "description": column.doc }),
    }
}

#[test]
fn a_time_is_whole_microseconds_and_may_be_null_where_the_column_may() {
    let calls = row(table("calls").expect("the table of calls"));
    let answered = &calls["properties"]["answered_at"];
    assert_eq!(answered["type"], json!(["integer", "null"]));
    assert!(answered["description"].as_str().expect("a description").ends_with("(microseconds since 1970-01-01 UTC)"));
    let required = calls["required"].as_array().expect("the required columns");
    assert!(required.contains(&json!("started_at")) && !required.contains(&json!("answered_at")));
}

#[test]
fn an_amount_is_text_that_fits_its_column() {
    let charges = row(table("charges").expect("the table of charges"));
    let amount = &charges["properties"]["amount"];
    assert_eq!(amount["type"], json!(["string", "null"]));
    assert_eq!(amount["pattern"], json!(DECIMAL));
    let (before, after) = (DECIMAL_DIGITS as i8 - DECIMAL_SCALE, DECIMAL_SCALE);
    assert_eq!(DECIMAL, format!("^-?[0-9]{{1,{before}}}([.][0-9]{{1,{after}}})?$"));
}
