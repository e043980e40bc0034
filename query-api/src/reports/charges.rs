//! What connections cost, and whom: counts, times and amounts by user, device, agent, team, campaign, kind, hour, day, week, month.
//!
//! Every row is of one currency, which is always the last of its groups: amounts of several are never summed. So there is a
//! total for each currency, and one of what has no rate. A charge belongs to the bucket in which it was answered.
//! The formulas are in [`calltide_schemas::metrics::CHARGES`].

use std::str::FromStr;

use calltide_schemas::Micros;
use calltide_schemas::metrics::CHARGES;

use super::outcomes::UnknownWord;
use super::{ColumnDoc, Report, by_name, each_once, known_zone, range, whole};
use crate::{Engine, QueryError};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Who is charged.
    User,
    /// The device.
    Device,
    /// The agent whose device it was.
    Agent,
    /// That agent's team.
    Team,
    /// The campaign.
    Campaign,
    /// The currency, by which rows are grouped whether it is asked for or not.
    Currency,
    /// A call out, or a leg to an ordinary telephone.
    What,
    /// The local hour in which it was answered, with its offset from UTC.
    Hour,
    /// The local date on which it was.
    Day,
    /// The week of it, by its Monday's date.
    Week,
    /// The month of it, `2026-03`.
    Month,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::User,
        Self::Device,
        Self::Agent,
        Self::Team,
        Self::Campaign,
        Self::Currency,
        Self::What,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
    ];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Device => "device",
            Self::Agent => "agent",
            Self::Team => "team",
            Self::Campaign => "campaign",
            Self::Currency => "currency",
            Self::What => "what",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    const fn doc(self) -> &'static str {
        match self {
            Self::User => "who is charged, null: nobody owns the device; `total` on the last rows",
            Self::Device => "the device, `<pbx>/<endpoint>`; `total` on the last rows",
            Self::Agent => "the agent whose device it was; `total` on the last rows",
            Self::Team => "that agent's team; `total` on the last rows",
            Self::Campaign => "the campaign; `total` on the last rows",
            Self::Currency => "the currency of all amounts of the row, null: no rate fits the numbers",
            Self::What => "call_out or external_leg; `total` on the last rows",
            Self::Hour => "the local hour in which it was answered, with its offset; `total` on the last rows",
            Self::Day => "the local date on which it was answered; `total` on the last rows",
            Self::Week => "the Monday of the local week in which it was answered; `total` on the last rows",
            Self::Month => "the local month in which it was answered; `total` on the last rows",
        }
    }

    /// The function that finds it by the time of the answer; `None` where it is a column.
    const fn bucket(self) -> Option<&'static str> {
        match self {
            Self::User | Self::Device | Self::Agent | Self::Team | Self::Campaign | Self::Currency | Self::What => None,
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
pub struct ChargesQuery {
    /// Grouping, outermost first; the currency comes last, asked for or not.
    pub by: Vec<Dimension>,
    /// What was answered then or later.
    pub from: Option<Micros>,
    /// What was answered earlier than this.
    pub to: Option<Micros>,
    /// IANA zone of hours, days, weeks and months.
    pub tz: String,
}

impl Default for ChargesQuery {
    fn default() -> Self {
        Self { by: Vec::new(), from: None, to: None, tz: "UTC".to_owned() }
    }
}

/// Answers it: rows sorted by their groups, the totals last, one for each currency.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn charges(engine: &Engine, query: &ChargesQuery) -> Result<Report, QueryError> {
    known_zone(&query.tz)?;
    let by = grouped_by(query);
    let output = whole(engine.report(&sql(query, &by)).await?)?;
    Ok(Report { columns: columns(&by), output })
}

/// What rows are grouped by but for the currency.
fn grouped_by(query: &ChargesQuery) -> Vec<Dimension> {
    let mut by = each_once(&query.by);
    by.retain(|dimension| *dimension != Dimension::Currency);
    by
}

fn columns(by: &[Dimension]) -> Vec<ColumnDoc> {
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = by.iter().chain([&Dimension::Currency]).map(|d| doc(d.name(), None, d.doc()));
    groups.chain(CHARGES.iter().map(|m| doc(m.name, Some(m.unit), m.doc))).collect()
}

fn sql(query: &ChargesQuery, by: &[Dimension]) -> String {
    let zone = query.tz.replace('\'', "''");
    let bucket = |d: &Dimension| d.bucket().map(|f| format!(", {f}(started_at, '{zone}') AS \"{}\"", d.name()));
    let with = format!(
        "WITH charged AS (SELECT \"user\", device, agent, team, campaign, currency, what, up_ms, billed_s, amount{} \
         FROM charges WHERE true{})",
        by.iter().filter_map(bucket).collect::<String>(),
        range(query.from, query.to, "started_at"),
    );
    let values: Vec<_> = CHARGES.iter().map(|m| format!("{} AS {}", m.sql(CHARGES), m.name)).collect();
    let values = values.join(", ");
    let groups: Vec<_> = by.iter().map(|d| format!("\"{}\"", d.name())).collect();
    let Some((_, others)) = groups.split_first() else {
        return format!("{with} SELECT currency, {values} FROM charged GROUP BY currency ORDER BY currency NULLS LAST");
    };
    let names = CHARGES.iter().map(|m| format!(", {}", m.name)).collect::<String>();
    let nothing = ", NULL".repeat(others.len());
    let order = groups.iter().map(|group| format!(", {group} NULLS LAST")).collect::<String>();
    let groups = groups.join(", ");
    format!(
        "{with} SELECT {groups}, currency{names} FROM (\
         SELECT 0 AS is_total, {groups}, currency, {values} FROM charged GROUP BY {groups}, currency \
         UNION ALL SELECT 1, 'total'{nothing}, currency, {values} FROM charged GROUP BY currency\
         ) ORDER BY is_total{order}, currency NULLS LAST"
    )
}
