//! The reports: questions that are asked every day, with the columns explained.
//!
//! A report writes one SQL query from the metrics in `schemas` and lets the [`crate::engine`] answer it. Which time it is about
//! is a [`Range`], whose hours, days, weeks and months are [`Bucket`]s.

pub mod agents;
mod bucket;
pub mod callers;
pub mod charges;
mod instant;
pub mod live;
mod names;
pub mod outcomes;
pub mod queues;
mod range;
pub mod recycling;

pub use bucket::{Bucket, DayStart, NoTimeOfDay};
pub use instant::instant;
pub use range::Range;

use calltide_schemas::Micros;
use calltide_schemas::metrics::Unit;

use self::outcomes::UnknownWord;
use crate::{QueryError, QueryOutput};

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

/// The one of that name; what is not one is refused with what there is.
fn by_name<T: Copy>(
    what: &'static str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    word: &str,
) -> Result<T, UnknownWord> {
    let found = all.iter().copied().find(|it| name(*it) == word);
    found.ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|it| name(*it)).collect();
        UnknownWord { what, word: word.to_owned(), known: known.join(", ") }
    })
}

/// What is asked for, each once, in the order in which it first was.
fn each_once<T: Copy + PartialEq>(asked: &[T]) -> Vec<T> {
    let mut once = Vec::with_capacity(asked.len());
    for it in asked {
        if !once.contains(it) {
            once.push(*it);
        }
    }
    once
}

/// Refuses rows that were cut: a report ends with its total.
fn whole(output: QueryOutput) -> Result<QueryOutput, QueryError> {
    if output.truncated {
        let rows = output.rows();
        let message = format!(
            "the report has more than {rows} rows, and its total would be missing: narrow its range, group by less, or raise \
             [query] rows"
        );
        return Err(QueryError::Failed { message });
    }
    Ok(output)
}

/// A literal of the columns' own type, so that whole files can be left out by it.
fn time(at: Micros) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.0)
}
