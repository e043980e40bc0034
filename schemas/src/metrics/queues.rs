//! The metrics of queue visits, as plain data like those of the other reports.
//!
//! Formulas are SQL aggregates over the columns of `queue_visits`, beside which each row has the limits that were asked for,
//! `within_ms` and `short_ms`. Whether a row is a visit, or a call with all its visits, is the report's matter: the formulas
//! are the same. Who still waits is counted beside them, and in no other metric. Wrap-up is in the agents report.

use super::{Basis, Metric, count, millis, percent};

/// How a visit ends: each in one of these ways, so that `offered` is the sum of the metrics of these names.
pub const OUTCOMES_OF_VISITS: [&str; 11] = [
    "answered",
    "abandoned",
    "timeout",
    "key",
    "callback",
    "empty",
    "withdrawn",
    "transferred",
    "lost",
    "full",
    "join_empty",
];

/// What a visit that has not ended says instead.
pub const WAITING: &str = "waiting";

/// The service level's limit when none is asked for, in seconds: the trade's usual 80/20 is meant so.
pub const WITHIN_S: u32 = 20;

/// Abandons before it are short when nothing else is asked for, in seconds: the usual limit, too. Nobody could have answered.
pub const SHORT_S: u32 = 5;

/// Rows of this report have one meaning only, which it says itself.
const VISITS: &[Basis] = &[];

/// The metrics of the queues report, in the order of its columns.
pub const QUEUES: &[Metric] = &[
    again(count(
        "offered",
        "count(*) FILTER (WHERE outcome <> 'waiting')",
        "all that came to the queue and left it, the refused included: the sum of the eleven outcomes",
        VISITS,
    )),
    count("waiting", "count(*) FILTER (WHERE outcome = 'waiting')", "beside them, those who still wait", VISITS),
    count("answered", "count(*) FILTER (WHERE outcome = 'answered')", "an agent took it, whatever came after", VISITS),
    count("abandoned", "count(*) FILTER (WHERE outcome = 'abandoned')", "the caller hung up while waiting", VISITS),
    count("timeout", "count(*) FILTER (WHERE outcome = 'timeout')", "the queue's time was over", VISITS),
    count("key", "count(*) FILTER (WHERE outcome = 'key')", "the caller left by a key", VISITS),
    count("callback", "count(*) FILTER (WHERE outcome = 'callback')", "the caller is to be called back", VISITS),
    count("empty", "count(*) FILTER (WHERE outcome = 'empty')", "put out while waiting: no agent was left", VISITS),
    count("withdrawn", "count(*) FILTER (WHERE outcome = 'withdrawn')", "taken out of the queue by command", VISITS),
    count("transferred", "count(*) FILTER (WHERE outcome = 'transferred')", "moved away while waiting", VISITS),
    count("lost", "count(*) FILTER (WHERE outcome = 'lost')", "the PBX died while it waited", VISITS),
    count("full", "count(*) FILTER (WHERE outcome = 'full')", "refused: the queue was full", VISITS),
    count("join_empty", "count(*) FILTER (WHERE outcome = 'join_empty')", "refused: the queue had no agents", VISITS),
    count(
        "short_abandons",
        "count(*) FILTER (WHERE outcome = 'abandoned' AND wait_ms < short_ms)",
        "of the abandoned, those that waited less than the short limit (5 s, configurable)",
        VISITS,
    ),
    count(
        "answered_within",
        "count(*) FILTER (WHERE outcome = 'answered' AND wait_ms <= within_ms)",
        "answered within X: 20 s (configurable), the limit included",
        VISITS,
    ),
    again(count(
        "removed_within",
        "count(*) FILTER (WHERE outcome NOT IN ('lost', 'full', 'join_empty', 'waiting') AND wait_ms <= within_ms)",
        "left the queue within X, however; the refused were never in it, and the lost did not leave",
        VISITS,
    )),
    percent("answer_rate_pct", "100.0 * {answered} / nullif({offered}, 0)", "answered / offered", VISITS),
    percent("abandon_rate_pct", "100.0 * {abandoned} / nullif({offered}, 0)", "abandoned / offered", VISITS),
    percent(
        "service_level_answered_pct",
        "100.0 * {answered_within} / nullif({answered}, 0)",
        "service level on the basis answered: answered within X / answered",
        VISITS,
    ),
    percent(
        "service_level_offered_pct",
        "100.0 * {answered_within} / nullif({offered} - {short_abandons}, 0)",
        "service level on the basis offered: answered within X / offered less short abandons",
        VISITS,
    ),
    percent(
        "service_level_removed_pct",
        "100.0 * {removed_within} / nullif({offered}, 0)",
        "service level on the basis removed: left the queue within X / offered",
        VISITS,
    ),
    again(millis(
        "wait_avg_ms",
        "CAST(round(avg(wait_ms) FILTER (WHERE outcome NOT IN ('full', 'join_empty', 'waiting'))) AS BIGINT)",
        "average wait, however it ended; the refused did not wait",
        VISITS,
    )),
    again(millis(
        "wait_p50_ms",
        "CAST(round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_ms) FILTER (WHERE outcome NOT IN ('full', 'join_empty', 'waiting'))) \
         AS BIGINT)",
        "median of the same waits; between two waits it is as far as its rank is",
        VISITS,
    )),
    again(millis(
        "wait_p90_ms",
        "CAST(round(percentile_cont(0.9) WITHIN GROUP (ORDER BY wait_ms) FILTER (WHERE outcome NOT IN ('full', 'join_empty', 'waiting'))) \
         AS BIGINT)",
        "90th percentile of the same waits",
        VISITS,
    )),
    again(millis(
        "wait_p95_ms",
        "CAST(round(percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_ms) FILTER (WHERE outcome NOT IN ('full', 'join_empty', 'waiting'))) \
         AS BIGINT)",
        "95th percentile of the same waits",
        VISITS,
    )),
    again(millis(
        "wait_max_ms",
        "max(wait_ms) FILTER (WHERE outcome NOT IN ('full', 'join_empty', 'waiting'))",
        "the longest of the same waits",
        VISITS,
    )),
    millis(
        "asa_ms",
        "CAST(round(avg(wait_ms) FILTER (WHERE outcome = 'answered')) AS BIGINT)",
        "average speed of answer: wait of the answered / answered",
        VISITS,
    ),
    millis(
        "wait_abandoned_avg_ms",
        "CAST(round(avg(wait_ms) FILTER (WHERE outcome = 'abandoned')) AS BIGINT)",
        "wait of the abandoned / abandoned",
        VISITS,
    ),
    millis(
        "talk_ms",
        "coalesce(sum(talk_ms), 0)",
        "conversation with the agents who answered, hold left out, summed",
        VISITS,
    ),
    millis("hold_ms", "coalesce(sum(hold_ms), 0)", "on hold with them, summed", VISITS),
    millis(
        "aht_ms",
        "CAST(round(1.0 * ({talk_ms} + {hold_ms}) / nullif({answered}, 0)) AS BIGINT)",
        "average handling time: (talk + hold) / answered; wrap-up is not in it",
        VISITS,
    ),
];

/// A formula that says something else since visits are told while they last.
const fn again(metric: Metric) -> Metric {
    Metric { version: 2, ..metric }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Unit;
    use crate::tables::table;

    /// Every outcome is counted once, under its own name, and `offered` counts each row that has one: so it is their sum.
    #[test]
    fn offered_is_the_sum_of_the_outcomes() {
        let formula = |name: &str| QUEUES.iter().find(|metric| metric.name == name).map(|metric| metric.formula);
        assert_eq!(formula("offered"), Some("count(*) FILTER (WHERE outcome <> 'waiting')"));
        for outcome in OUTCOMES_OF_VISITS.into_iter().chain([WAITING]) {
            let counted = format!("count(*) FILTER (WHERE outcome = '{outcome}')");
            assert_eq!(formula(outcome), Some(counted.as_str()), "{outcome}");
        }
    }

    #[test]
    fn the_outcomes_are_those_of_the_table() {
        let column = table("queue_visits").and_then(|visits| visits.column("outcome"));
        let (ended, lasting) = column.and_then(|column| column.doc.split_once(';')).unwrap_or_default();
        assert!(lasting.split(' ').any(|word| word == WAITING), "{lasting}");
        let told: Vec<_> = ended.split([',', ' ']).filter(|w| !w.is_empty()).collect();
        let words: Vec<_> = told.into_iter().filter(|word| *word != "or").collect();
        assert_eq!(words, OUTCOMES_OF_VISITS);
    }

    /// Words in quotes that no visit has would count nothing, and nobody would see it.
    #[test]
    fn formulas_name_no_other_outcomes() {
        for metric in QUEUES {
            for word in metric.formula.split('\'').skip(1).step_by(2) {
                assert!(OUTCOMES_OF_VISITS.contains(&word) || word == WAITING, "{}: {word}", metric.name);
            }
            if metric.unit == Unit::Percent {
                assert!(metric.formula.contains("nullif("), "{}", metric.name);
            }
        }
    }
}
