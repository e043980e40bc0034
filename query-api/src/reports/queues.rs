//! What became of those who waited in queues: counts, rates, service levels and waits by queue, PBX, hour, day, week and month.
//!
//! Decides what a row counts. Grouped by queue it counts visits, each in the bucket in which it entered. A row over several
//! queues, as the total is, counts each call once: by the first visit in which an agent took it, else by its last one, with all
//! that it waited until then and all its talk. So the outcomes of every row sum up to what was offered, and no rate passes 100.
//! The formulas are in [`calltide_schemas::metrics::QUEUES`].

use std::str::FromStr;

use calltide_schemas::metrics::QUEUES;
use calltide_schemas::metrics::queues::{SHORT_S, WITHIN_S};

use super::outcomes::UnknownWord;
use super::{Bucket, ColumnDoc, Range, Report, by_name, each_once, whole};
use crate::{Engine, QueryError};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The queue.
    Queue,
    /// The PBX.
    Pbx,
    /// The local hour, day, week or month in which the caller entered.
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
        match self {
            Self::Queue => "the queue; `total` on the last row, which counts a call once".to_owned(),
            Self::Pbx => "the Asterisk server; `total` on the last row".to_owned(),
            Self::Bucket(bucket) => format!("{} when the caller entered; `total` on the last row", bucket.doc()),
        }
    }

    /// Which it is of the time of entry; `None` where it is a column.
    const fn bucket(self) -> Option<Bucket> {
        match self {
            Self::Queue | Self::Pbx => None,
            Self::Bucket(bucket) => Some(bucket),
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
#[derive(Debug, Clone)]
pub struct QueuesQuery {
    /// Grouping, outermost first; none: one row.
    pub by: Vec<Dimension>,
    /// Visits that began in it.
    pub range: Range,
    /// The service level's limit, included.
    pub within_s: u32,
    /// Abandons earlier than this are short.
    pub short_s: u32,
}

impl Default for QueuesQuery {
    fn default() -> Self {
        Self { by: Vec::new(), range: Range::default(), within_s: WITHIN_S, short_s: SHORT_S }
    }
}

/// Answers it: rows sorted by their groups, the total last.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn queues(engine: &Engine, query: &QueuesQuery) -> Result<Report, QueryError> {
    query.range.check()?;
    let output = whole(engine.report(&sql(query)).await?)?;
    Ok(Report { columns: columns(query), output })
}

fn columns(query: &QueuesQuery) -> Vec<ColumnDoc> {
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = each_once(&query.by).into_iter().map(|d| doc(d.name(), None, &d.doc()));
    groups.chain(QUEUES.iter().map(|m| doc(m.name, Some(m.unit), m.doc))).collect()
}

fn sql(query: &QueuesQuery) -> String {
    let by = each_once(&query.by);
    let groups: Vec<_> = by.iter().map(|d| format!("\"{}\"", d.name())).collect();
    let with = format!(
        "WITH visits AS ({}), again AS (SELECT DISTINCT call_id FROM visits WHERE visit_id NOT LIKE '%#1')",
        visits(query, &by)
    );
    let values: Vec<_> = QUEUES.iter().map(|m| format!("{} AS {}", m.sql(QUEUES), m.name)).collect();
    let values = values.join(", ");
    let counted = |rows: &str| {
        let limits = (i64::from(query.within_s) * 1_000, i64::from(query.short_s) * 1_000);
        format!("(SELECT *, {} AS within_ms, {} AS short_ms FROM ({rows}))", limits.0, limits.1)
    };
    let total = counted(&calls(&[]));
    let Some((_, others)) = groups.split_first() else {
        return format!("{with} SELECT {values} FROM {total}");
    };
    let rows = if by.contains(&Dimension::Queue) { "SELECT * FROM visits".to_owned() } else { calls(&groups) };
    let rows = counted(&rows);
    let names = QUEUES.iter().map(|m| format!(", {}", m.name)).collect::<String>();
    let nothing = ", NULL".repeat(others.len());
    let order = groups.iter().map(|group| format!(", {group} NULLS LAST")).collect::<String>();
    let groups = groups.join(", ");
    format!(
        "{with} SELECT {groups}{names} FROM (SELECT 0 AS is_total, {groups}, {values} FROM {rows} GROUP BY {groups} \
         UNION ALL SELECT 1, 'total'{nothing}, {values} FROM {total}) ORDER BY is_total{order}"
    )
}

/// The visits of the range, with what they are grouped by.
fn visits(query: &QueuesQuery, by: &[Dimension]) -> String {
    let buckets = by.iter().filter_map(|dimension| dimension.bucket());
    format!(
        "SELECT pbx, queue, call_id, visit_id, entered_at, outcome, wait_ms, talk_ms, hold_ms{} FROM queue_visits WHERE true{}",
        buckets.map(|bucket| bucket.column("entered_at", &query.range)).collect::<String>(),
        query.range.within("entered_at"),
    )
}

/// The calls of each group, each once, in the form of visits. Few came to a queue twice: only their visits are gone through
/// call by call, and the number in a visit's id tells which they are. Visits before or after the range do not count.
fn calls(groups: &[String]) -> String {
    let groups: String = groups.iter().map(|group| format!("{group}, ")).collect();
    let waited = format!(
        "SELECT visits.*, coalesce(min(CASE WHEN outcome = 'answered' THEN entered_at END) \
         OVER (PARTITION BY {groups}visits.call_id), entered_at) AS decided_at \
         FROM again RIGHT SEMI JOIN visits ON again.call_id = visits.call_id"
    );
    format!(
        "SELECT {groups}outcome, wait_ms, talk_ms, hold_ms FROM again RIGHT ANTI JOIN visits ON again.call_id = visits.call_id \
         UNION ALL SELECT {groups}CASE WHEN bool_or(outcome = 'answered') THEN 'answered' \
         ELSE last_value(outcome ORDER BY entered_at, length(visit_id), visit_id) END, \
         sum(wait_ms) FILTER (WHERE entered_at <= decided_at), sum(talk_ms), sum(hold_ms) \
         FROM ({waited}) GROUP BY {groups}call_id"
    )
}
