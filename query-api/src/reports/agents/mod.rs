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
use super::{ColumnDoc, Report, by_name, each_once, known_zone, whole};
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
    /// The local hour, with its offset from UTC.
    Hour,
    /// The local date.
    Day,
    /// The week, by its Monday's date.
    Week,
    /// The month, `2026-03`.
    Month,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Agent, Self::Pbx, Self::Team, Self::Queue, Self::Reason, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Pbx => "pbx",
            Self::Team => "team",
            Self::Queue => "queue",
            Self::Reason => "reason",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    const fn doc(self) -> &'static str {
        match self {
            Self::Agent => "the agent, by the directory, else as the PBX calls them; `total` on the last row",
            Self::Pbx => "the Asterisk server of the call or the pause; `total` on the last row",
            Self::Team => "the agent's team at that time; `total` on the last row",
            Self::Queue => "the queue of the call; `total` on the last row",
            Self::Reason => "why the agent paused; `total` on the last row",
            Self::Hour => "the local hour, with its offset; `total` on the last row",
            Self::Day => "the local date; `total` on the last row",
            Self::Week => "the Monday of the local week; `total` on the last row",
            Self::Month => "the local month; `total` on the last row",
        }
    }

    /// The function that finds it by a time; `None` where it is a column.
    const fn bucket(self) -> Option<&'static str> {
        match self {
            Self::Agent | Self::Pbx | Self::Team | Self::Queue | Self::Reason => None,
            Self::Hour => Some("local_hour"),
            Self::Day => Some("local_day"),
            Self::Week => Some("local_week"),
            Self::Month => Some("local_month"),
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
    /// What was from then on; of what began before, the rest.
    pub from: Option<Micros>,
    /// What was before this.
    pub to: Option<Micros>,
    /// What goes on is counted up to this moment; none: the present one.
    pub now: Option<Micros>,
    /// IANA zone of hours, days, weeks and months.
    pub tz: String,
    /// A talk under so many seconds is short.
    pub short_s: u32,
}

impl Default for AgentsQuery {
    fn default() -> Self {
        Self { by: Vec::new(), from: None, to: None, now: None, tz: "UTC".to_owned(), short_s: SHORT_TALK_S }
    }
}

/// Answers it: rows sorted by their groups, the total last.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn agents(engine: &Engine, query: &AgentsQuery) -> Result<Report, QueryError> {
    let query = &AgentsQuery { by: each_once(&query.by), ..query.clone() };
    known_zone(&query.tz)?;
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
    let groups = query.by.iter().map(|d| doc(d.name(), None, d.doc()));
    let metrics = shown(&query.by).into_iter().map(|of| &of.metric);
    groups.chain(metrics.map(|metric| doc(metric.name, Some(metric.unit), metric.doc))).collect()
}
