//! What recycling came to: contacts by their best class and their verdict, and what calling again yields.
//!
//! By campaign both contacts and their attempts are counted; by attempt number, hour of the day and day only attempts are. The
//! formulas are in [`calltide_schemas::metrics::RECYCLING`].

use std::str::FromStr;

use calltide_schemas::metrics::{Basis, Metric, RECYCLING};

use super::outcomes::UnknownWord;
use super::{Bucket, ColumnDoc, Range, Report, by_name, each_once, time};
use crate::{Engine, QueryError};

/// What rows can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The campaign.
    Campaign,
    /// The number of the attempt within its contact, from 1.
    Attempt,
    /// The local hour of the day in which the attempt began, `00` to `23`.
    Hour,
    /// The local date on which it began.
    Day,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Campaign, Self::Attempt, Self::Hour, Self::Day];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Attempt => "attempt",
            Self::Hour => "hour",
            Self::Day => Bucket::Day.name(),
        }
    }

    const fn doc(self) -> &'static str {
        match self {
            Self::Campaign => "the campaign",
            Self::Attempt => "which attempt of its contact it was, from 1",
            Self::Hour => "the local hour of the day in which the attempt began",
            Self::Day => "the local date on which the attempt began",
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
pub struct RecyclingQuery {
    /// Grouping, outermost first; none: one row.
    pub by: Vec<Dimension>,
    /// Attempts that began in it, and contacts heard of before its end, with their best class at that time.
    pub range: Range,
}

/// Answers it: rows sorted by their groups.
///
/// # Errors
/// An unknown time zone, or whatever the engine says.
pub async fn recycling(engine: &Engine, query: &RecyclingQuery) -> Result<Report, QueryError> {
    let query = &RecyclingQuery { by: each_once(&query.by), ..query.clone() };
    query.range.check()?;
    let output = engine.report(&sql(query)).await?;
    Ok(Report { columns: columns(query), output })
}

/// The metrics that are shown: where only attempts have a group, those of contacts would be of nobody.
fn metrics(query: &RecyclingQuery) -> impl Iterator<Item = &'static Metric> {
    let of_contacts = query.by.iter().all(|dimension| *dimension == Dimension::Campaign);
    RECYCLING.iter().filter(move |metric| of_contacts || metric.bases.contains(&Basis::Attempt))
}

fn columns(query: &RecyclingQuery) -> Vec<ColumnDoc> {
    let doc = |name: &str, unit, doc: &str| ColumnDoc { name: name.to_owned(), unit, doc: doc.to_owned() };
    let groups = query.by.iter().map(|d| doc(d.name(), None, d.doc()));
    groups.chain(metrics(query).map(|m| doc(m.name, Some(m.unit), m.doc))).collect()
}

fn sql(query: &RecyclingQuery) -> String {
    let values: Vec<_> = metrics(query).map(|m| format!("{} AS {}", m.sql(RECYCLING), m.name)).collect();
    let groups: Vec<_> = query.by.iter().map(|d| format!("\"{}\"", d.name())).collect();
    let counted = format!("WITH counted AS ({} UNION ALL {})", contacts(query), attempts(query));
    let values = values.join(", ");
    if groups.is_empty() {
        return format!("{counted} SELECT {values} FROM counted");
    }
    let only = if query.by.iter().all(|d| *d == Dimension::Campaign) { "" } else { " WHERE kind = 'attempt'" };
    let groups = groups.join(", ");
    format!("{counted} SELECT {groups}, {values} FROM counted{only} GROUP BY {groups} ORDER BY {groups}")
}

/// Contacts as they are, or as they were at the end of the range.
fn contacts(query: &RecyclingQuery) -> String {
    let nothing = "NULL::bigint AS attempt_no, NULL::text AS \"hour\", NULL::text AS \"day\", NULL::boolean AS dialled, \
                   NULL::text AS class, NULL::text AS handled_by, NULL::bigint AS attempt";
    let Some(to) = query.range.to.map(time) else {
        return format!("SELECT 'contact' AS kind, campaign, verdict, best_class, {nothing} FROM contacts");
    };
    let verdicts = format!(
        "SELECT contact_key, verdict FROM (SELECT contact_key, verdict, row_number() OVER (PARTITION BY contact_key ORDER BY \
         decided_at DESC, length(verdict_id) DESC, verdict_id DESC) AS nth FROM verdicts WHERE decided_at < {to}) WHERE nth = 1"
    );
    format!(
        "SELECT 'contact' AS kind, campaign, verdict, CASE best WHEN 0 THEN 'connected' WHEN 1 THEN 'unanswered' WHEN 2 THEN \
         'failed' ELSE 'pending' END AS best_class, {nothing} FROM (SELECT c.campaign, c.contact, min(v.verdict) AS verdict, \
         min(CASE a.class WHEN 'connected' THEN 0 WHEN 'unanswered' THEN 1 WHEN 'failed' THEN 2 END) AS best FROM contacts c \
         LEFT JOIN ({verdicts}) v ON v.contact_key = c.contact_key \
         LEFT JOIN attempts a ON a.campaign = c.campaign AND a.contact = c.contact AND a.ended_at < {to} \
         WHERE c.first_seen_at < {to} GROUP BY c.campaign, c.contact)"
    )
}

fn attempts(query: &RecyclingQuery) -> String {
    let of = |bucket: Bucket| bucket.sql("started_at", &query.range);
    format!(
        "SELECT 'attempt' AS kind, campaign, NULL::text AS verdict, NULL::text AS best_class, attempt_no, \
         substr({}, 12, 2) AS \"hour\", {} AS \"day\", dialled, class, handled_by, attempt_no AS attempt FROM attempts \
         WHERE contact IS NOT NULL AND campaign IS NOT NULL{}",
        of(Bucket::Hour),
        of(Bucket::Day),
        query.range.within("started_at"),
    )
}
