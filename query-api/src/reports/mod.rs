//! The reports: questions that are asked every day, with the columns explained.
//!
//! A report writes one SQL query from the metrics in `schemas` and lets the [`crate::engine`] answer it.

mod instant;
pub mod outcomes;
pub mod recycling;

pub use instant::instant;

use calltide_schemas::Micros;
use calltide_schemas::metrics::Unit;

use crate::QueryOutput;

/// A report's rows and what its columns mean.
#[derive(Debug, Clone)]
pub struct Report {
    /// The columns, in the order of the rows' columns.
    pub columns: Vec<ColumnDoc>,
    /// The rows.
    pub output: QueryOutput,
}

/// What a column of a report is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDoc {
    /// Its name.
    pub name: String,
    /// What its values count; `None` for the columns that rows are grouped by.
    pub unit: Option<Unit>,
    /// What it says, in a sentence.
    pub doc: String,
}

/// A literal of the columns' own type, so that whole files can be left out by it.
fn time(at: Micros) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.0)
}
