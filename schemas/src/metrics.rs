//! The metrics of reports, as plain data: each formula once, with its version and a sentence for people; in files of their own
//! those of [`agents`], [`callers`], [`charges`] and [`queues`], and those of the running processes ([`exposed`]).
//!
//! Formulas are SQL aggregates over the outcome columns that `calls` and `attempts` share; `{name}` in one stands for
//! another metric. Reports, SQL views and the documents are made from this list. It knows no engine; which rows a metric is
//! taken over is the report's matter.

pub mod agents;
pub mod callers;
pub mod charges;
pub mod exposed;
pub mod queues;

pub use callers::CALLERS;
pub use charges::CHARGES;
pub use queues::QUEUES;

use crate::status::Status;

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of calls, attempts, contacts or visits.
    Count,
    /// A percentage, 0 to 100; null over zero.
    Percent,
    /// Milliseconds.
    Millis,
    /// How many of one for each of another; null over zero.
    Ratio,
    /// A point in time.
    Moment,
    /// Seconds.
    Seconds,
    /// An amount of money, in the currency that stands beside it.
    Amount,
}

/// What a row of a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Each attempt, inbound each call.
    Attempt,
    /// Each contact by its best attempt, inbound each call.
    Contact,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its column's name.
    pub name: &'static str,
    /// Raised whenever the formula changes what it says.
    pub version: u32,
    /// What its values count.
    pub unit: Unit,
    /// An SQL aggregate.
    pub formula: &'static str,
    /// What it says, in a sentence.
    pub doc: &'static str,
    /// Where it has a meaning; none named where a report's rows count one thing only.
    pub bases: &'static [Basis],
}

const BOTH: &[Basis] = &[Basis::Attempt, Basis::Contact];
const PER_ATTEMPT: &[Basis] = &[Basis::Attempt];
const PER_CONTACT: &[Basis] = &[Basis::Contact];

/// The metrics of the outcomes report, in the order of its columns; the counts of the single statuses follow them.
pub const OUTCOMES: &[Metric] = &[
    count("total", "count(*)", "attempts, or contacts on that basis, and inbound calls", BOTH),
    count("connected", "count(*) FILTER (WHERE class = 'connected')", "of these, connected", BOTH),
    count("unanswered", "count(*) FILTER (WHERE class = 'unanswered')", "of these, unanswered", BOTH),
    count("failed", "count(*) FILTER (WHERE class = 'failed')", "of these, failed", BOTH),
    count("pending", "count(*) FILTER (WHERE class = 'pending')", "contacts without a closed attempt", PER_CONTACT),
    percent("connected_pct", "100.0 * {connected} / nullif({total}, 0)", "connected / total", BOTH),
    percent("unanswered_pct", "100.0 * {unanswered} / nullif({total}, 0)", "unanswered / total", BOTH),
    percent("failed_pct", "100.0 * {failed} / nullif({total}, 0)", "failed / total", BOTH),
    percent("pending_pct", "100.0 * {pending} / nullif({total}, 0)", "pending / total", PER_CONTACT),
    count("reached", "count(*) FILTER (WHERE handled_by = 'agent')", "handled by an agent", BOTH),
    percent("reached_pct", "100.0 * {reached} / nullif({total}, 0)", "reached / total", BOTH),
    count(
        "dials",
        "count(*) FILTER (WHERE direction = 'outbound' AND dialled)",
        "attempts really dialled",
        PER_ATTEMPT,
    ),
    percent(
        "asr_pct",
        "100.0 * count(*) FILTER (WHERE direction = 'outbound' AND dialled AND class = 'connected') / nullif({dials}, 0)",
        "answer-seizure ratio: connected dials / dials",
        PER_ATTEMPT,
    ),
    count(
        "dropped",
        "count(*) FILTER (WHERE dropped)",
        "a person answered, an agent was sought, none came",
        PER_ATTEMPT,
    ),
    percent(
        "drop_rate_pct",
        "100.0 * {dropped} / nullif(count(*) FILTER (WHERE direction = 'outbound' AND handled_by = 'agent') + {dropped}, 0)",
        "dropped / (reached outbound + dropped)",
        PER_ATTEMPT,
    ),
    count(
        "short",
        "count(*) FILTER (WHERE short)",
        "connected with a talk under ten seconds (configurable)",
        PER_ATTEMPT,
    ),
    millis(
        "acd_ms",
        "CAST(round(avg(up_ms) FILTER (WHERE class = 'connected')) AS BIGINT)",
        "average call duration: up time / connected",
        PER_ATTEMPT,
    ),
    millis("wait_avg_ms", "CAST(round(avg(wait_ms)) AS BIGINT)", "average wait for a person", PER_ATTEMPT),
    millis("talk_ms", "coalesce(sum(talk_ms), 0)", "conversation with agents, hold left out, summed", PER_ATTEMPT),
];

/// The metrics of the recycling report. Its rows are contacts (`kind = 'contact'`) and attempts for them; those counted per
/// contact have no meaning where rows are grouped by what only attempts have.
pub const RECYCLING: &[Metric] = &[
    count("contacts", "count(*) FILTER (WHERE kind = 'contact')", "contacts loaded or dialled", PER_CONTACT),
    count("connected", "count(*) FILTER (WHERE best_class = 'connected')", "of these, connected at best", PER_CONTACT),
    count(
        "unanswered",
        "count(*) FILTER (WHERE best_class = 'unanswered')",
        "of these, unanswered at best",
        PER_CONTACT,
    ),
    count("failed", "count(*) FILTER (WHERE best_class = 'failed')", "of these, failed at best", PER_CONTACT),
    count(
        "pending",
        "count(*) FILTER (WHERE best_class = 'pending')",
        "of these, without a closed attempt",
        PER_CONTACT,
    ),
    percent("connected_pct", "100.0 * {connected} / nullif({contacts}, 0)", "connected / contacts", PER_CONTACT),
    percent("unanswered_pct", "100.0 * {unanswered} / nullif({contacts}, 0)", "unanswered / contacts", PER_CONTACT),
    percent("failed_pct", "100.0 * {failed} / nullif({contacts}, 0)", "failed / contacts", PER_CONTACT),
    percent("pending_pct", "100.0 * {pending} / nullif({contacts}, 0)", "pending / contacts", PER_CONTACT),
    count("open", "count(*) FILTER (WHERE verdict IN ('retry', 'held'))", "contacts still to be called", PER_CONTACT),
    count("retry", "count(*) FILTER (WHERE verdict = 'retry')", "to be called at a known time", PER_CONTACT),
    count("held", "count(*) FILTER (WHERE verdict = 'held')", "not called for now", PER_CONTACT),
    count("done", "count(*) FILTER (WHERE verdict = 'done')", "reached, here or elsewhere", PER_CONTACT),
    count(
        "exhausted",
        "count(*) FILTER (WHERE verdict = 'exhausted')",
        "called as often as the rules allow",
        PER_CONTACT,
    ),
    count("suppressed", "count(*) FILTER (WHERE verdict = 'suppressed')", "must not be called", PER_CONTACT),
    count("invalid", "count(*) FILTER (WHERE verdict = 'invalid')", "without a number that exists", PER_CONTACT),
    count("retargeted", "count(*) FILTER (WHERE verdict = 'retarget')", "went on elsewhere", PER_CONTACT),
    count(
        "closed",
        "count(*) FILTER (WHERE verdict = 'closed')",
        "off the list, or of a campaign that ended",
        PER_CONTACT,
    ),
    count("dials", "count(*) FILTER (WHERE kind = 'attempt' AND dialled)", "attempts really dialled", BOTH),
    count("answered", "count(*) FILTER (WHERE class = 'connected')", "of these, connected", BOTH),
    count(
        "reached",
        "count(*) FILTER (WHERE kind = 'attempt' AND handled_by = 'agent')",
        "of these, handled by an agent",
        BOTH,
    ),
    percent("reached_pct", "100.0 * {reached} / nullif({dials}, 0)", "reached / dials", BOTH),
    ratio("dials_per_reached", "1.0 * {dials} / nullif({reached}, 0)", "attempts per connect: dials / reached", BOTH),
    count(
        "recycled",
        "count(*) FILTER (WHERE dialled AND attempt_no >= 2)",
        "dials that were the second or a later attempt",
        BOTH,
    ),
    count(
        "recycled_reached",
        "count(*) FILTER (WHERE attempt_no >= 2 AND handled_by = 'agent')",
        "of these, handled by an agent",
        BOTH,
    ),
    percent(
        "recycle_yield_pct",
        "100.0 * {recycled_reached} / nullif({recycled}, 0)",
        "recycle yield: reached on attempt 2 or later / such attempts",
        BOTH,
    ),
];

const fn count(name: &'static str, formula: &'static str, doc: &'static str, bases: &'static [Basis]) -> Metric {
    Metric { name, version: 1, unit: Unit::Count, formula, doc, bases }
}

const fn percent(name: &'static str, formula: &'static str, doc: &'static str, bases: &'static [Basis]) -> Metric {
    Metric { name, version: 1, unit: Unit::Percent, formula, doc, bases }
}

const fn millis(name: &'static str, formula: &'static str, doc: &'static str, bases: &'static [Basis]) -> Metric {
    Metric { name, version: 1, unit: Unit::Millis, formula, doc, bases }
}

const fn ratio(name: &'static str, formula: &'static str, doc: &'static str, bases: &'static [Basis]) -> Metric {
    Metric { name, version: 1, unit: Unit::Ratio, formula, doc, bases }
}

impl Metric {
    /// The formula with the metrics of its report that it names written out.
    pub fn sql(&self, report: &[Self]) -> String {
        let mut sql = self.formula.to_owned();
        // Every round removes one level of names; formulas name earlier metrics only, so this ends.
        while sql.contains('{') {
            for metric in report {
                sql = sql.replace(&format!("{{{}}}", metric.name), metric.formula);
            }
        }
        sql
    }
}

/// Which statuses a report shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statuses {
    /// All fourteen.
    #[default]
    All,
    /// The nine classic ones; the others are counted under the one that they read as ([`Status::classic`]).
    Classic,
}

impl Statuses {
    /// The statuses shown, each with the SQL aggregate that counts it.
    pub fn counts(self) -> Vec<(Status, String)> {
        let shown = Status::ALL.into_iter().filter(|s| self == Self::All || s.classic() == *s);
        shown
            .map(|shown| {
                let read_so = Status::ALL
                    .into_iter()
                    .filter(|s| if self == Self::All { *s == shown } else { s.classic() == shown });
                let names: Vec<_> = read_so.map(|s| format!("'{}'", s.name())).collect();
                (shown, format!("count(*) FILTER (WHERE status IN ({}))", names.join(", ")))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_a_formula_is_an_earlier_metric() {
        for report in [OUTCOMES, RECYCLING, QUEUES, CALLERS, CHARGES] {
            for (place, metric) in report.iter().enumerate() {
                let mut rest = metric.formula;
                while let Some((_, after)) = rest.split_once('{') {
                    let (name, after) = after.split_once('}').expect("a closed name");
                    assert!(report[..place].iter().any(|m| m.name == name), "{}: {name}", metric.name);
                    rest = after;
                }
                assert!(!metric.sql(report).contains('{'));
            }
        }
    }

    #[test]
    fn nine_statuses_hold_all_fourteen() {
        let counts = Statuses::Classic.counts();
        assert_eq!(counts.len(), 9);
        for status in Status::ALL {
            let quoted = format!("'{}'", status.name());
            assert_eq!(counts.iter().filter(|(_, sql)| sql.contains(&quoted)).count(), 1, "{quoted}");
        }
    }
}
