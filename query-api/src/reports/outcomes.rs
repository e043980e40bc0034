//! What became of the calls: counts and percentages by campaign, direction, queue, agent, PBX, hour and day.
//!
//! Decides which rows are counted: outbound each attempt (or each contact by its best one), inbound each call, internal
//! calls only when asked for. A call belongs to the bucket in which it started. The formulas are in
//! [`calltide_schemas::metrics`]; it must not know how rows are stored or shown.

use std::str::FromStr;

use calltide_schemas::Micros;
use calltide_schemas::metrics::{Basis, OUTCOMES, Statuses, Unit};
use calltide_schemas::status::Status;

use super::{ColumnDoc, Report, by_name, each_once, known_zone, range, time, whole};
use crate::{Engine, QueryError};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The campaign: outbound the list, inbound the entry.
    Campaign,
    /// Inbound, outbound or internal.
    Direction,
    /// The first queue.
    Queue,
    /// The first agent.
    Agent,
    /// The PBX.
    Pbx,
    /// The local hour in which the call started, with its offset from UTC.
    Hour,
    /// The local date on which it started.
    Day,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Campaign, Self::Direction, Self::Queue, Self::Agent, Self::Pbx, Self::Hour, Self::Day];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Direction => "direction",
            Self::Queue => "queue",
            Self::Agent => "agent",
            Self::Pbx => "pbx",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn doc(self) -> &'static str {
        match self {
            Self::Campaign => "outbound: the list; inbound: the entry; `total` on the last row",
            Self::Direction => "inbound, outbound or internal; `total` on the last row",
            Self::Queue => "the first queue entered; `total` on the last row",
            Self::Agent => "the first agent who spoke with the customer; `total` on the last row",
            Self::Pbx => "the Asterisk server; `total` on the last row",
            Self::Hour => "the local hour in which the call started, with its offset; `total` on the last row",
            Self::Day => "the local date on which the call started; `total` on the last row",
        }
    }
}

impl FromStr for Dimension {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        by_name("dimension", &Self::ALL, Self::name, word)
    }
}

/// The way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A customer called.
    Inbound,
    /// A customer was called.
    Outbound,
    /// Between extensions.
    Internal,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inbound, Self::Outbound, Self::Internal];

    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }
}

impl FromStr for Direction {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        by_name("direction", &Self::ALL, Self::name, word)
    }
}

/// A word that a report does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what} `{word}`; known are {known}")]
pub struct UnknownWord {
    /// What it should have been.
    pub what: &'static str,
    /// The word.
    pub word: String,
    /// What is known instead.
    pub known: String,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct OutcomesQuery {
    /// Grouping, outermost first; none: one row.
    pub by: Vec<Dimension>,
    /// Calls that started then or later.
    pub from: Option<Micros>,
    /// Calls that started earlier than this. Per contact: attempts that ended earlier, whenever they began.
    pub to: Option<Micros>,
    /// IANA zone of hours and days.
    pub tz: String,
    /// What is counted.
    pub basis: Basis,
    /// Which directions; none: inbound and outbound.
    pub directions: Vec<Direction>,
    /// Which statuses are shown.
    pub statuses: Statuses,
}

impl Default for OutcomesQuery {
    fn default() -> Self {
        Self {
            by: Vec::new(),
            from: None,
            to: None,
            tz: "UTC".to_owned(),
            basis: Basis::Attempt,
            directions: Vec::new(),
            statuses: Statuses::All,
        }
    }
}

/// The columns that outcomes are counted from.
const SOURCE: &str = "campaign, direction, queue, agent, pbx, started_at, status, class, handled_by, dropped, short, dialled, \
                      wait_ms, talk_ms, up_ms";

/// The same on the basis of contacts: what the metrics and groups of that basis need.
const OF_CONTACTS: &str = "campaign, direction, queue, agent, pbx, started_at, status, class, handled_by";

/// Answers it: rows sorted by their groups, the total last.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn outcomes(engine: &Engine, query: &OutcomesQuery) -> Result<Report, QueryError> {
    known_zone(&query.tz)?;
    let output = whole(engine.report(&sql(query)).await?)?;
    Ok(Report { columns: columns(query), output })
}

fn columns(query: &OutcomesQuery) -> Vec<ColumnDoc> {
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = each_once(&query.by).into_iter().map(|d| doc(d.name(), None, d.doc()));
    let metrics = OUTCOMES.iter().filter(|m| m.bases.contains(&query.basis)).map(|m| doc(m.name, Some(m.unit), m.doc));
    let statuses = query.statuses.counts().into_iter().map(|(status, _)| {
        doc(
            status.name(),
            Some(Unit::Count),
            &format!("with the status {}, class {}", status.name(), status.class().name()),
        )
    });
    groups.chain(metrics).chain(statuses).collect()
}

fn sql(query: &OutcomesQuery) -> String {
    let zone = query.tz.replace('\'', "''");
    let by = each_once(&query.by);
    let buckets = by.iter().filter_map(|dimension| match dimension {
        Dimension::Hour => Some(format!(", local_hour(started_at, '{zone}') AS \"hour\"")),
        Dimension::Day => Some(format!(", local_day(started_at, '{zone}') AS \"day\"")),
        Dimension::Campaign | Dimension::Direction | Dimension::Queue | Dimension::Agent | Dimension::Pbx => None,
    });
    let metrics = OUTCOMES.iter().filter(|m| m.bases.contains(&query.basis)).map(|m| (m.name, m.sql(OUTCOMES)));
    let statuses = query.statuses.counts().into_iter().map(|(status, sql)| (status.name(), sql));
    let (names, values): (Vec<_>, Vec<_>) =
        metrics.chain(statuses).map(|(name, sql)| (name, format!("{sql} AS {name}"))).unzip();
    let bucketed = format!(
        "WITH counted AS ({}), bucketed AS (SELECT *{} FROM counted)",
        rows(query),
        buckets.collect::<String>()
    );
    let (names, values) = (names.join(", "), values.join(", "));
    let groups: Vec<_> = by.iter().map(|d| format!("\"{}\"", d.name())).collect();
    let Some((first, others)) = groups.split_first() else {
        return format!("{bucketed} SELECT {values} FROM bucketed");
    };
    let others = others.iter().map(|group| format!("{group}, ")).collect::<String>();
    let order = (1..=groups.len()).map(|place| format!(", {place} NULLS LAST")).collect::<String>();
    format!(
        "{bucketed}, grouped AS (SELECT grouping({first}) AS is_total, {first}, {others}{values} FROM bucketed \
         GROUP BY GROUPING SETS (({groups}), ())) \
         SELECT CASE WHEN is_total = 1 THEN 'total' ELSE {first} END AS {first}, {others}{names} \
         FROM grouped ORDER BY is_total{order}",
        groups = groups.join(", "),
    )
}

/// The rows that are counted.
fn rows(query: &OutcomesQuery) -> String {
    let directions: &[Direction] =
        if query.directions.is_empty() { &[Direction::Inbound, Direction::Outbound] } else { &query.directions };
    let range = range(query.from, query.to, "started_at");
    let mut parts = Vec::new();
    if directions.contains(&Direction::Outbound) {
        parts.push(match query.basis {
            Basis::Attempt => format!("SELECT {SOURCE} FROM attempts WHERE true{range}"),
            Basis::Contact => contacts(query),
        });
    }
    let answered: Vec<_> =
        directions.iter().filter(|d| **d != Direction::Outbound).map(|d| format!("'{}'", d.name())).collect();
    if !answered.is_empty() {
        let source = if query.basis == Basis::Contact { OF_CONTACTS } else { SOURCE };
        parts.push(format!("SELECT {source} FROM calls WHERE direction IN ({}){range}", answered.join(", ")));
    }
    parts.join(" UNION ALL ")
}

/// Each contact by its best attempt up to the end of the range, whenever it was made.
fn contacts(query: &OutcomesQuery) -> String {
    let closed = query.to.map(|to| format!(" AND ended_at < {}", time(to))).unwrap_or_default();
    let attempts = format!("FROM attempts WHERE contact IS NOT NULL{closed}");
    let of_the_attempt = |dimension: &Dimension| match dimension {
        Dimension::Queue | Dimension::Agent | Dimension::Pbx => true,
        Dimension::Campaign | Dimension::Direction | Dimension::Hour | Dimension::Day => false,
    };
    if query.by.iter().any(of_the_attempt) { best_row(&attempts) } else { best_number(&attempts) }
}

/// With every column of the best attempt: all attempts are sorted for it.
fn best_row(attempts: &str) -> String {
    format!(
        "SELECT {OF_CONTACTS} FROM (SELECT {OF_CONTACTS}, row_number() OVER (PARTITION BY campaign, contact ORDER BY \
         {CLASS_RANK}, {HANDLED_RANK}, started_at, call_id) AS best {attempts}) WHERE best = 1"
    )
}

/// With what fits into one number, the least of which is the best attempt's: its class and who handled it, when it began, its
/// status. Nothing is sorted, which is several times faster.
fn best_number(attempts: &str) -> String {
    let numbered = || (0..).zip(Status::ALL);
    let code: String = numbered().map(|(code, status)| format!(" WHEN '{}' THEN {code}", status.name())).collect();
    let names: String = numbered().map(|(code, status)| format!(" WHEN {code} THEN '{}'", status.name())).collect();
    let classes: String =
        numbered().map(|(code, status)| format!(" WHEN {code} THEN '{}'", status.class().name())).collect();
    format!(
        "SELECT campaign, 'outbound' AS direction, NULL::text AS queue, NULL::text AS agent, NULL::text AS pbx, \
         arrow_cast(best % {RANK} / {CODES}, 'Timestamp(Microsecond, Some(\"UTC\"))') AS started_at, \
         CASE best % {CODES}{names} END AS status, CASE best % {CODES}{classes} END AS class, \
         CASE WHEN best / {RANK} % 2 = 0 THEN 'agent' END AS handled_by \
         FROM (SELECT campaign, min(({CLASS_RANK} * 2 + {HANDLED_RANK}) * {RANK} + \
         arrow_cast(started_at, 'Int64') * {CODES} + CASE status{code} ELSE {CODES} - 1 END) AS best {attempts} GROUP BY campaign, contact)"
    )
}

/// Connected before unanswered before failed, with an agent before without.
const CLASS_RANK: &str = "CASE class WHEN 'connected' THEN 0 WHEN 'unanswered' THEN 1 ELSE 2 END";
const HANDLED_RANK: &str = "CASE handled_by WHEN 'agent' THEN 0 ELSE 1 END";
/// More than there are statuses, and more than microseconds with a status have until the year 2168.
const CODES: i64 = 16;
const RANK: i64 = 100_000_000_000_000_000;
