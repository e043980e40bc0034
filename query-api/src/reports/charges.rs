//! What connections cost, and whom: counts, times and amounts by user, device, agent, team, campaign, kind, hour, day, week, month.
//!
//! Every row is of one currency, which is always the last of its groups: amounts of several are never summed. So there is a
//! total for each currency, and one of what has no rate. A charge belongs to the bucket in which it was answered.
//! The formulas are in [`calltide_schemas::metrics::CHARGES`].

use std::str::FromStr;

use calltide_schemas::metrics::CHARGES;

use super::outcomes::UnknownWord;
use super::{Bucket, ColumnDoc, Range, Report, by_name, each_once, whole};
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
    /// The local hour, day, week or month in which it was answered.
    Bucket(Bucket),
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
        Self::Bucket(Bucket::Hour),
        Self::Bucket(Bucket::Day),
        Self::Bucket(Bucket::Week),
        Self::Bucket(Bucket::Month),
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
            Self::Bucket(bucket) => bucket.name(),
        }
    }

    fn doc(self) -> String {
        let what = match self {
            Self::User => "who is charged, null: nobody owns the device".to_owned(),
            Self::Device => "the device, `<pbx>/<endpoint>`".to_owned(),
            Self::Agent => "the agent whose device it was".to_owned(),
            Self::Team => "that agent's team".to_owned(),
            Self::Campaign => "the campaign".to_owned(),
            // Totals have one, too.
            Self::Currency => {
                return "the currency of all amounts of the row, null: no rate fits the numbers".to_owned();
            }
            Self::What => "call_out or external_leg".to_owned(),
            Self::Bucket(bucket) => format!("{} when it was answered", bucket.doc()),
        };
        format!("{what}; `total` on the last rows")
    }

    /// Which it is of the time of the answer; `None` where it is a column.
    const fn bucket(self) -> Option<Bucket> {
        match self {
            Self::User | Self::Device | Self::Agent | Self::Team | Self::Campaign | Self::Currency | Self::What => None,
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
#[derive(Debug, Clone, Default)]
pub struct ChargesQuery {
    /// Grouping, outermost first; the currency comes last, asked for or not.
    pub by: Vec<Dimension>,
    /// What was answered in it.
    pub range: Range,
}

/// Answers it: rows sorted by their groups, the totals last, one for each currency.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn charges(engine: &Engine, query: &ChargesQuery) -> Result<Report, QueryError> {
    query.range.check()?;
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
    let groups = by.iter().chain([&Dimension::Currency]).map(|d| doc(d.name(), None, &d.doc()));
    groups.chain(CHARGES.iter().map(|m| doc(m.name, Some(m.unit), m.doc))).collect()
}

fn sql(query: &ChargesQuery, by: &[Dimension]) -> String {
    let buckets = by.iter().filter_map(|dimension| dimension.bucket());
    let with = format!(
        "WITH charged AS (SELECT \"user\", device, agent, team, campaign, currency, what, up_ms, billed_s, amount{} \
         FROM charges WHERE true{})",
        buckets.map(|bucket| bucket.column("started_at", &query.range)).collect::<String>(),
        query.range.within("started_at"),
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
