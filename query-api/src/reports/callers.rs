//! Who called: unique and repeat callers, and those who got nobody and were not called back.
//!
//! Decides what a caller is: a number in E.164, once in each row and once in the total. What came of them is judged by their last
//! call in the row's part of the range; whether they were spoken with since, by all later calls, in or out, and beyond the range.
//! The formulas are in [`calltide_schemas::metrics::CALLERS`].

use std::str::FromStr;

use calltide_schemas::metrics::CALLERS;

use super::outcomes::UnknownWord;
use super::{Bucket, ColumnDoc, Range, Report, by_name, each_once, whole};
use crate::{Engine, QueryError};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The first queue that the call entered.
    Queue,
    /// The PBX.
    Pbx,
    /// The local hour, day, week or month in which it began.
    Bucket(Bucket),
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queue,
        Self::Pbx,
        Self::Bucket(Bucket::Hour),
        Self::Bucket(Bucket::Day),
        Self::Bucket(Bucket::Week),
        Self::Bucket(Bucket::Month),
    ];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Pbx => "pbx",
            Self::Bucket(bucket) => bucket.name(),
        }
    }

    fn doc(self) -> String {
        let what = match self {
            Self::Queue => "the first queue of the call".to_owned(),
            Self::Pbx => "the Asterisk server".to_owned(),
            Self::Bucket(bucket) => format!("{} when the call began", bucket.doc()),
        };
        format!("{what}; `total` on the last row, which has each caller once")
    }

    /// What it is of a call.
    fn of_call(self, range: &Range) -> String {
        match self {
            Self::Queue => "queue".to_owned(),
            Self::Pbx => "pbx".to_owned(),
            Self::Bucket(bucket) => bucket.sql("started_at", range),
        }
    }
}

impl FromStr for Dimension {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        by_name("dimension", &Self::ALL, Self::name, word)
    }
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct CallersQuery {
    /// Grouping, outermost first; none: one row.
    pub by: Vec<Dimension>,
    /// Calls that began in it.
    pub range: Range,
}

/// Answers it: rows sorted by their groups, the total last.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn callers(engine: &Engine, query: &CallersQuery) -> Result<Report, QueryError> {
    let query = &CallersQuery { by: each_once(&query.by), ..query.clone() };
    query.range.check()?;
    let output = whole(engine.report(&sql(query)).await?)?;
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = query.by.iter().map(|d| doc(d.name(), None, &d.doc()));
    let columns = groups.chain(CALLERS.iter().map(|m| doc(m.name, Some(m.unit), m.doc))).collect();
    Ok(Report { columns, output })
}

fn sql(query: &CallersQuery) -> String {
    let group = |d: &Dimension| (format!("\"{}\"", d.name()), d.of_call(&query.range));
    let groups: Vec<_> = query.by.iter().map(group).collect();
    let shown: String = groups.iter().map(|(name, of)| format!(", {of} AS {name}")).collect();
    let inbound = format!(
        "SELECT call_id, number_e164, started_at, class{shown} FROM calls WHERE direction = 'inbound'{}",
        query.range.within("started_at")
    );
    // Whoever was spoken with before the range was so before the last call in it.
    let served = format!(
        "SELECT number_e164, max(started_at) AS served_at FROM calls WHERE handled_by = 'agent' AND direction <> 'internal' \
         AND number_e164 IS NOT NULL{} GROUP BY number_e164",
        query.range.since("started_at")
    );
    let values: Vec<_> = CALLERS.iter().map(|m| format!("{} AS {}", m.sql(CALLERS), m.name)).collect();
    let values = values.join(", ");
    let with = format!("WITH inbound AS ({inbound}), served AS ({served})");
    let total = callers_by(&[]);
    let names: Vec<_> = groups.iter().map(|(name, _)| name.as_str()).collect();
    let Some((_, others)) = names.split_first() else {
        return format!("{with} SELECT {values} FROM ({total})");
    };
    let nothing = ", NULL".repeat(others.len());
    let order = names.iter().map(|name| format!(", {name} NULLS LAST")).collect::<String>();
    let columns = CALLERS.iter().map(|m| format!(", {}", m.name)).collect::<String>();
    let rows = callers_by(&names);
    let names = names.join(", ");
    format!(
        "{with} SELECT {names}{columns} FROM (SELECT 0 AS is_total, {names}, {values} FROM ({rows}) GROUP BY {names} \
         UNION ALL SELECT 1, 'total'{nothing}, {values} FROM ({total})) ORDER BY is_total{order}"
    )
}

/// Each caller once in each of these groups.
fn callers_by(names: &[&str]) -> String {
    let groups: String = names.iter().map(|name| format!("{name}, ")).collect();
    format!(
        "SELECT called.*, coalesce(last_class <> 'connected', false) AS lost, coalesce(served_at > last_at, false) AS served \
         FROM served RIGHT JOIN (SELECT {groups}number_e164, count(*) AS calls, max(started_at) AS last_at, \
         last_value(class ORDER BY started_at, call_id) AS last_class FROM inbound GROUP BY {groups}number_e164) AS called \
         ON served.number_e164 = called.number_e164"
    )
}
