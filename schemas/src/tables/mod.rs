//! The tables of the lake, as plain data: columns, types, docs, key, day, sort order.
//!
//! The Arrow schema, the JSON Schema of the facts, the SQL column comments and the data dictionary all come from here.
//! A fact's payload is one JSON object with exactly these columns; times are microseconds since 1970 UTC.

mod agent_intervals;
mod agent_names;
mod agent_sessions;
mod attempts;
mod calls;
mod charges;
mod contacts;
mod directory;
mod do_not_call;
mod inputs;
mod legs;
mod queue_visits;
mod rejects;
mod rules;
mod sources;
mod stories;
mod verdicts;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A whole number (64 bits).
    Int,
    /// True or false.
    Bool,
    /// A point in time, microseconds, UTC.
    Time,
    /// An exact decimal number with [`DECIMAL_SCALE`] digits after its point, e.g. an amount of money. In payloads it is text,
    /// such as `0.0375`, since many readers take a JSON number for a binary fraction.
    Decimal,
}

/// Digits of a [`Kind::Decimal`] in all: as many as fit 64 bits in a file, so that millions are exact.
pub const DECIMAL_DIGITS: u8 = 18;

/// Those of them after the point: a call's price has four or five, and of billions of them none is rounded noticeably.
pub const DECIMAL_SCALE: i8 = 6;

/// Whether a column may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// Always there.
    No,
    /// May be unknown or not apply.
    Yes,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name; a unit is the last part of it.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it may be null.
    pub null: Null,
    /// What it says, in a sentence.
    pub doc: &'static str,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct TableDef {
    /// Its name in SQL.
    pub name: &'static str,
    /// The topic whose records are its rows.
    pub topic: &'static str,
    /// What a row is, in a sentence.
    pub doc: &'static str,
    /// The column that is the primary key: the row with the highest `version` counts. Tables without one only grow.
    pub key: Option<&'static str>,
    /// The time column whose UTC day partitions the files (`day=YYYY-MM-DD`).
    pub day_of: &'static str,
    /// Columns that files are sorted by.
    pub sort: &'static [&'static str],
    /// The columns, in order.
    pub columns: &'static [Column],
}

/// Name of the partition column that every table has, as text `YYYY-MM-DD` (UTC). It is in the path, not in the files.
pub const DAY: &str = "day";

/// Every table, in the order of the data dictionary.
pub const TABLES: &[&TableDef] = &[
    &calls::TABLE,
    &attempts::TABLE,
    &legs::TABLE,
    &queue_visits::TABLE,
    &stories::TABLE,
    &rejects::TABLE,
    &sources::TABLE,
    &inputs::TABLE,
    &contacts::TABLE,
    &verdicts::TABLE,
    &rules::TABLE,
    &do_not_call::TABLE,
    &agent_sessions::TABLE,
    &agent_intervals::TABLE,
    &agent_names::TABLE,
    &directory::TABLE,
    &charges::TABLE,
];

/// The table of that name.
pub fn table(name: &str) -> Option<&'static TableDef> {
    TABLES.iter().copied().find(|t| t.name == name)
}

impl TableDef {
    /// The Arrow schema of its files: every column, docs as `comment` in the field's metadata; without [`DAY`].
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::field).collect::<Vec<_>>()))
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

impl Kind {
    /// How Arrow holds it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal => DataType::Decimal128(DECIMAL_DIGITS, DECIMAL_SCALE),
        }
    }
}

impl Column {
    fn field(&self) -> Field {
        Field::new(self.name, self.kind.data_type(), self.null == Null::Yes)
            .with_metadata([("comment".to_owned(), self.doc.to_owned())].into())
    }
}

const fn text(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Text, null: Null::No, doc }
}

const fn maybe_text(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Text, null: Null::Yes, doc }
}

const fn int(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Int, null: Null::No, doc }
}

const fn maybe_int(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Int, null: Null::Yes, doc }
}

const fn flag(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Bool, null: Null::No, doc }
}

const fn maybe_flag(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Bool, null: Null::Yes, doc }
}

const fn time(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Time, null: Null::No, doc }
}

const fn maybe_time(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Time, null: Null::Yes, doc }
}

const fn maybe_decimal(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: Kind::Decimal, null: Null::Yes, doc }
}
