//! What agents and teams did: logins, pauses, states and parts in calls, by who, where, why and when.
//!
//! Decides what can be asked and which metrics a row can have. Spans are cut at the borders of buckets and of the range; a leg
//! counts where it was offered, a login where it began. Of a queue or a PBX there is no login, so that what needs one is not
//! shown by them; by reason pauses alone are. The formulas are in [`calltide_schemas::metrics::agents`], the query is written by
//! [`sql`].

mod sql;

use std::str::FromStr;

use calltide_schemas::Micros;
use calltide_schemas::metrics::agents::{AGENTS, AgentMetric, Over, PAUSES, SHORT_TALK_S};

use super::outcomes::UnknownWord;
use super::{Bucket, ColumnDoc, Range, Report, by_name, each_once, whole};
use crate::{Engine, QueryError};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The agent: a person, whatever their PBXs call them.
    Agent,
    /// The PBX.
    Pbx,
    /// The agent's team.
    Team,
    /// The queue of the call.
    Queue,
    /// The reason of the pause.
    Reason,
    /// The local hour, day, week or month.
    Bucket(Bucket),
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Agent,
        Self::Pbx,
        Self::Team,
        Self::Queue,
        Self::Reason,
        Self::Bucket(Bucket::Hour),
        Self::Bucket(Bucket::Day),
        Self::Bucket(Bucket::Week),
        Self::Bucket(Bucket::Month),
    ];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Pbx => "pbx",
            Self::Team => "team",
            Self::Queue => "queue",
            Self::Reason => "reason",
            Self::Bucket(bucket) => bucket.name(),
        }
    }

    fn doc(self) -> String {
        let what = match self {
            Self::Agent => "the agent, by the directory, else as the PBX calls them",
            Self::Pbx => "the Asterisk server of the call or the pause",
            Self::Team => "the agent's team at that time",
            Self::Queue => "the queue of the call",
            Self::Reason => "why the agent paused",
            Self::Bucket(bucket) => bucket.doc(),
        };
        format!("{what}; `total` on the last row")
    }

    /// Which it is of a time; `None` where it is a column.
    const fn bucket(self) -> Option<Bucket> {
        match self {
            Self::Agent | Self::Pbx | Self::Team | Self::Queue | Self::Reason => None,
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
pub struct AgentsQuery {
    /// Grouping, outermost first; none: one row.
    pub by: Vec<Dimension>,
    /// What was in it; of what began before or ended later, the part.
    pub range: Range,
    /// What goes on is counted up to this moment; none: the present one.
    pub now: Option<Micros>,
    /// A talk under so many seconds is short.
    pub short_s: u32,
}

impl Default for AgentsQuery {
    fn default() -> Self {
        Self { by: Vec::new(), range: Range::default(), now: None, short_s: SHORT_TALK_S }
    }
}

/// Answers it: rows sorted by their groups, the total last.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn agents(engine: &Engine, query: &AgentsQuery) -> Result<Report, QueryError> {
    let query = &AgentsQuery { by: each_once(&query.by), ..query.clone() };
    query.range.check()?;
    let output = whole(engine.report(&sql::text(query)).await?)?;
    Ok(Report { columns: columns(query), output })
}

/// The metrics that rows so grouped can have.
fn shown(by: &[Dimension]) -> Vec<&'static AgentMetric> {
    let of_reasons = by.contains(&Dimension::Reason);
    let in_part = by.contains(&Dimension::Queue) || by.contains(&Dimension::Pbx);
    let fits = |of: &&AgentMetric| match of.over {
        Over::Logins | Over::Sessions | Over::RowWithLogins => !in_part,
        Over::States | Over::Legs | Over::Row => true,
    };
    if of_reasons {
        return AGENTS.iter().filter(|of| PAUSES.contains(&of.metric.name)).collect();
    }
    AGENTS.iter().filter(fits).collect()
}

fn columns(query: &AgentsQuery) -> Vec<ColumnDoc> {
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = query.by.iter().map(|d| doc(d.name(), None, &d.doc()));
    let metrics = shown(&query.by).into_iter().map(|of| &of.metric);
    groups.chain(metrics.map(|metric| doc(metric.name, Some(metric.unit), metric.doc))).collect()
}
