//! What became of the calls: counts and percentages by campaign, direction, queue, agent, PBX, hour and day.
//!
//! Decides which rows are counted: outbound each attempt (or each contact by its best one), inbound each call, internal
//! calls only when asked for. A call belongs to the bucket in which it started. The formulas are in
//! [`calltide_schemas::metrics`]; it must not know how rows are stored or shown.

use std::str::FromStr;

use calltide_schemas::metrics::{Basis, OUTCOMES, Statuses, Unit};
use calltide_schemas::status::Status;

use super::{Bucket, ColumnDoc, Range, Report, by_name, each_once, names, whole};
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
    /// The first agent: a person, whatever their PBXs call them.
    Agent,
    /// The PBX.
    Pbx,
    /// The local hour, day, week or month in which the call started.
    Bucket(Bucket),
}

impl Dimension {
    /// All that can be asked for by name.
    pub const ALL: [Self; 9] = [
        Self::Campaign,
        Self::Direction,
        Self::Queue,
        Self::Agent,
        Self::Pbx,
        Self::Bucket(Bucket::Hour),
        Self::Bucket(Bucket::Day),
        Self::Bucket(Bucket::Week),
        Self::Bucket(Bucket::Month),
    ];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Direction => "direction",
            Self::Queue => "queue",
            Self::Agent => "agent",
            Self::Pbx => "pbx",
            Self::Bucket(bucket) => bucket.name(),
        }
    }

    fn doc(self) -> String {
        let what = match self {
            Self::Campaign => "outbound: the list; inbound: the entry".to_owned(),
            Self::Direction => "inbound, outbound or internal".to_owned(),
            Self::Queue => "the first queue entered".to_owned(),
            Self::Agent => {
                "the first agent who spoke with the customer, by the directory, else as the PBX calls them".to_owned()
            }
            Self::Pbx => "the Asterisk server".to_owned(),
            Self::Bucket(bucket) => format!("{} when the call started", bucket.doc()),
        };
        format!("{what}; `total` on the last row")
    }

    /// Its column of the rows that are counted.
    fn key(self) -> String {
        match self {
            Self::Agent => "known_agent".to_owned(),
            Self::Campaign | Self::Direction | Self::Queue | Self::Pbx | Self::Bucket(_) => {
                format!("\"{}\"", self.name())
            }
        }
    }

    /// Which it is of the time at which the call started; `None` where it is a column.
    const fn bucket(self) -> Option<Bucket> {
        match self {
            Self::Campaign | Self::Direction | Self::Queue | Self::Agent | Self::Pbx => None,
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
    /// Calls that started in it. Per contact: attempts that ended before its end, whenever they began.
    pub range: Range,
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
            range: Range::default(),
            basis: Basis::Attempt,
            directions: Vec::new(),
            statuses: Statuses::All,
        }
    }
}

/// The columns that outcomes are counted from.
const SOURCE: &str = "campaign, direction, queue, agent, pbx, started_at, ended_at, status, class, handled_by, dropped, short, dialled, \
                      wait_ms, talk_ms, up_ms";

/// The same on the basis of contacts: what the metrics and groups of that basis need.
const OF_CONTACTS: &str = "campaign, direction, queue, agent, pbx, started_at, ended_at, status, class, handled_by";

/// Answers it: rows sorted by their groups, the total last.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn outcomes(engine: &Engine, query: &OutcomesQuery) -> Result<Report, QueryError> {
    query.range.check()?;
    let output = whole(engine.report(&sql(query)).await?)?;
    Ok(Report { columns: columns(query), output })
}

fn columns(query: &OutcomesQuery) -> Vec<ColumnDoc> {
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = each_once(&query.by).into_iter().map(|d| doc(d.name(), None, &d.doc()));
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
    let by = each_once(&query.by);
    let metrics = OUTCOMES.iter().filter(|m| m.bases.contains(&query.basis)).map(|m| (m.name, m.sql(OUTCOMES)));
    let statuses = query.statuses.counts().into_iter().map(|(status, sql)| (status.name(), sql));
    let (columns, values): (Vec<_>, Vec<_>) =
        metrics.chain(statuses).map(|(name, sql)| (name, format!("{sql} AS {name}"))).unzip();
    let with = format!("WITH counted AS ({}), bucketed AS ({})", rows(query), bucketed(query, &by));
    let (columns, values) = (columns.join(", "), values.join(", "));
    let keys: Vec<_> = by.iter().map(|dimension| dimension.key()).collect();
    let Some(first) = keys.first() else {
        return format!("{with} SELECT {values} FROM bucketed");
    };
    let shown = by.iter().zip(&keys).enumerate().map(|(place, (dimension, key))| {
        let label = if *dimension == Dimension::Agent { names::label(key) } else { key.clone() };
        let label = if place == 0 { format!("CASE WHEN is_total = 1 THEN 'total' ELSE {label} END") } else { label };
        format!("{label} AS \"{}\", ", dimension.name())
    });
    let order = (1..=keys.len()).map(|place| format!(", {place} NULLS LAST")).collect::<String>();
    // Agents of the same name on two PBXs are two persons.
    let person = if by.contains(&Dimension::Agent) { ", person" } else { "" };
    format!(
        "{with}, grouped AS (SELECT grouping({first}) AS is_total, {keys}{person}, {values} FROM bucketed \
         GROUP BY GROUPING SETS (({keys}{person}), ())) SELECT {}{columns} FROM grouped ORDER BY is_total{order}",
        shown.collect::<String>(),
        keys = keys.join(", "),
    )
}

/// The rows with all that they are grouped by. Who their agents were is looked up only where it is asked for: at the end of
/// their calls, since what a name means may have begun when they were offered to it.
fn bucketed(query: &OutcomesQuery, by: &[Dimension]) -> String {
    let buckets = by.iter().filter_map(|dimension| dimension.bucket());
    let buckets = buckets.map(|bucket| bucket.column("started_at", &query.range)).collect::<String>();
    if !by.contains(&Dimension::Agent) {
        return format!("SELECT *{buckets} FROM counted");
    }
    format!(
        "SELECT counted.*, coalesce(names.agent, counted.agent) AS known_agent, \
         coalesce(names.person, counted.pbx || '/' || counted.agent) AS person{buckets} FROM {}",
        names::joined("counted", "coalesce(counted.ended_at, counted.started_at)")
    )
}

/// The rows that are counted.
fn rows(query: &OutcomesQuery) -> String {
    let directions: &[Direction] =
        if query.directions.is_empty() { &[Direction::Inbound, Direction::Outbound] } else { &query.directions };
    let range = query.range.within("started_at");
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
    let attempts = format!("FROM attempts WHERE contact IS NOT NULL{}", query.range.before("ended_at"));
    let of_the_attempt = |dimension: &Dimension| match dimension {
        Dimension::Queue | Dimension::Agent | Dimension::Pbx => true,
        Dimension::Campaign | Dimension::Direction | Dimension::Bucket(_) => false,
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
         arrow_cast(NULL, 'Timestamp(Microsecond, Some(\"UTC\"))') AS ended_at, \
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
