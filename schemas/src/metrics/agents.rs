//! The metrics of agents and teams, as plain data like those of the other reports.
//!
//! Each says what rows it is taken over. Formulas over pieces of intervals, legs and sessions are SQL aggregates; the report
//! sums those up per row, and ratios are formulas over the sums. A piece is what of an interval lies in one bucket; alike ones
//! may be one row: `ms` long together, so many of their intervals `began` in it, `logged_in` if they are parts of logins. So may
//! `legs`: `talk_ms` and `hold_ms` long together, so many of them `held`, and `short` by the limit that was asked for.

use super::{Metric, Unit, count, millis, percent, ratio};

/// A talk under so many seconds is short when nothing else is asked for: what is short of a call, too.
pub const SHORT_TALK_S: u32 = 10;

/// What a metric is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// All pieces of an agent's logins: of who has none it is null. A queue or a PBX has only a part of a login.
    Logins,
    /// The pieces in one state, logged in or not.
    States,
    /// Legs, each in the bucket in which it was offered.
    Legs,
    /// Logins, in the bucket in which they began or ended.
    Sessions,
    /// Other metrics of the row.
    Row,
    /// Other metrics of the row, one of a login among them.
    RowWithLogins,
}

/// A metric, and what it is taken over.
#[derive(Debug, Clone, Copy)]
pub struct AgentMetric {
    /// The metric.
    pub metric: Metric,
    /// What it is taken over.
    pub over: Over,
}

/// The metrics of the agents and teams reports, in the order of their columns.
pub const AGENTS: &[AgentMetric] = &[
    over(Over::Sessions, count("logins", "count(logins.started_at)", "logins that began", &[])),
    over(Over::Sessions, moment("first_login_at", "min(logins.started_at)", "when the first of them began")),
    over(
        Over::Sessions,
        moment("last_logout_at", "max(logins.left_at)", "when the last log-out was; a login that goes on has none"),
    ),
    over(Over::Logins, millis("login_ms", "sum(CASE WHEN logged_in THEN ms END)", "logged in", &[])),
    over(
        Over::Logins,
        millis(
            "pause_ms",
            "sum(CASE WHEN logged_in THEN CASE WHEN state = 'paused' THEN ms ELSE 0 END END)",
            "paused, and in no call",
            &[],
        ),
    ),
    over(
        Over::Logins,
        count(
            "pauses",
            "sum(CASE WHEN logged_in THEN CASE WHEN state = 'paused' THEN began ELSE 0 END END)",
            "pauses that began; one that a call interrupts begins again after it",
            &[],
        ),
    ),
    over(
        Over::Logins,
        millis(
            "available_ms",
            "sum(CASE WHEN logged_in THEN CASE WHEN state = 'available' THEN ms ELSE 0 END END)",
            "waiting for calls: idle",
            &[],
        ),
    ),
    over(
        Over::Logins,
        millis(
            "on_contact_ms",
            "sum(CASE WHEN logged_in THEN CASE WHEN state IN ('on_call', 'hold', 'wrap_up') THEN ms ELSE 0 END END)",
            "talk, hold and wrap-up within logins, by the clock: two calls at once count once",
            &[],
        ),
    ),
    over(Over::States, millis("ringing_ms", "sum(ms) FILTER (WHERE state = 'ringing')", "rung and not in a call", &[])),
    over(Over::States, millis("talk_ms", "sum(ms) FILTER (WHERE state = 'on_call')", "in conversation", &[])),
    over(Over::States, millis("hold_ms", "sum(ms) FILTER (WHERE state = 'hold')", "with the other end on hold", &[])),
    over(Over::States, millis("wrap_up_ms", "sum(ms) FILTER (WHERE state = 'wrap_up')", "after calls", &[])),
    over(Over::States, count("holds", "sum(began) FILTER (WHERE state = 'hold')", "holds that began", &[])),
    over(
        Over::RowWithLogins,
        percent(
            "occupancy_pct",
            "100.0 * {on_contact_ms} / nullif({on_contact_ms} + {available_ms}, 0)",
            "occupancy: on contact / (on contact + idle); ringing and pauses are in neither",
            &[],
        ),
    ),
    over(
        Over::RowWithLogins,
        percent(
            "utilisation_pct",
            "100.0 * {on_contact_ms} / nullif({login_ms}, 0)",
            "utilisation: (talk + hold + wrap-up) / login, within logins",
            &[],
        ),
    ),
    over(
        Over::RowWithLogins,
        percent(
            "availability_pct",
            "100.0 * ({login_ms} - {pause_ms}) / nullif({login_ms}, 0)",
            "availability: (login - pause) / login",
            &[],
        ),
    ),
    over(Over::RowWithLogins, percent("pause_pct", "100.0 * {pause_ms} / nullif({login_ms}, 0)", "pause / login", &[])),
    over(Over::Legs, count("offers", "sum(legs)", "parts in calls, whatever came of them", &[])),
    over(Over::Legs, count("handled", "sum(legs) FILTER (WHERE outcome = 'answered')", "of these, answered", &[])),
    over(
        Over::Legs,
        count(
            "missed",
            "sum(legs) FILTER (WHERE outcome IN ('missed', 'refused'))",
            "missed offers: it rang and nobody answered, or the agent refused; not what another took or the caller gave up",
            &[],
        ),
    ),
    over(Over::Row, percent("answer_rate_pct", "100.0 * {handled} / nullif({offers}, 0)", "handled / offers", &[])),
    over(Over::Row, percent("missed_pct", "100.0 * {missed} / nullif({offers}, 0)", "missed / offers", &[])),
    over(
        Over::Legs,
        count(
            "inbound",
            "sum(legs) FILTER (WHERE outcome = 'answered' AND direction = 'inbound')",
            "handled, inbound",
            &[],
        ),
    ),
    over(
        Over::Legs,
        count(
            "outbound",
            "sum(legs) FILTER (WHERE outcome = 'answered' AND direction = 'outbound')",
            "handled, outbound",
            &[],
        ),
    ),
    over(
        Over::Legs,
        count(
            "internal",
            "sum(legs) FILTER (WHERE outcome = 'answered' AND direction = 'internal')",
            "handled, internal",
            &[],
        ),
    ),
    over(
        Over::Legs,
        millis(
            "handled_talk_ms",
            "sum(talk_ms) FILTER (WHERE outcome = 'answered')",
            "talk of the handled, each whole where it was offered",
            &[],
        ),
    ),
    over(
        Over::Legs,
        millis(
            "handled_hold_ms",
            "sum(hold_ms) FILTER (WHERE outcome = 'answered')",
            "hold of the handled, likewise",
            &[],
        ),
    ),
    over(Over::Legs, count("held", "sum(held) FILTER (WHERE outcome = 'answered')", "handled with a hold", &[])),
    over(
        Over::Row,
        millis(
            "aht_ms",
            "CAST(round(1.0 * ({handled_talk_ms} + {handled_hold_ms} + {wrap_up_ms}) / nullif({handled}, 0)) AS BIGINT)",
            "average handling time: (talk + hold of the handled + wrap-up) / handled",
            &[],
        ),
    ),
    over(
        Over::Row,
        millis(
            "talk_avg_ms",
            "CAST(round(1.0 * {handled_talk_ms} / nullif({handled}, 0)) AS BIGINT)",
            "average talk: talk of the handled / handled",
            &[],
        ),
    ),
    over(
        Over::Row,
        millis(
            "hold_avg_ms",
            "CAST(round(1.0 * {handled_hold_ms} / nullif({held}, 0)) AS BIGINT)",
            "average hold: hold of the handled / those with a hold",
            &[],
        ),
    ),
    over(
        Over::Legs,
        count(
            "transfers_out",
            "sum(legs) FILTER (WHERE outcome = 'answered' AND transferred)",
            "handled that the agent moved on",
            &[],
        ),
    ),
    over(
        Over::Row,
        percent("transfer_rate_pct", "100.0 * {transfers_out} / nullif({handled}, 0)", "transfers out / handled", &[]),
    ),
    over(
        Over::Legs,
        count(
            "hung_up_first",
            "sum(legs) FILTER (WHERE outcome = 'answered' AND hangup_by = 'agent')",
            "handled in which the agent hung up first",
            &[],
        ),
    ),
    over(
        Over::Legs,
        count(
            "customer_hung_up_first",
            "sum(legs) FILTER (WHERE outcome = 'answered' AND hangup_by = 'customer')",
            "handled in which the other end did",
            &[],
        ),
    ),
    over(
        Over::Row,
        percent(
            "hung_up_first_pct",
            "100.0 * {hung_up_first} / nullif({hung_up_first} + {customer_hung_up_first}, 0)",
            "hung up by the agent / by the agent or the customer",
            &[],
        ),
    ),
    over(
        Over::Legs,
        count(
            "short",
            "sum(short) FILTER (WHERE outcome = 'answered')",
            "handled with a talk under the limit (10 s, configurable)",
            &[],
        ),
    ),
    over(Over::Row, percent("short_pct", "100.0 * {short} / nullif({handled}, 0)", "short / handled", &[])),
    over(
        Over::RowWithLogins,
        ratio("handled_per_hour", "3600000.0 * {handled} / nullif({login_ms}, 0)", "handled per hour logged in", &[]),
    ),
];

/// What is told of pauses where rows are grouped by their reason.
pub const PAUSES: [&str; 2] = ["pause_ms", "pauses"];

const fn over(over: Over, metric: Metric) -> AgentMetric {
    AgentMetric { metric, over }
}

const fn moment(name: &'static str, formula: &'static str, doc: &'static str) -> Metric {
    Metric { name, version: 1, unit: Unit::Moment, formula, doc, bases: &[] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::table;

    #[test]
    fn ratios_name_earlier_metrics_and_are_null_over_zero() {
        for (place, AgentMetric { metric, over }) in AGENTS.iter().enumerate() {
            let names: Vec<_> = metric.formula.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            for name in &names {
                assert!(AGENTS[..place].iter().any(|of| of.metric.name == *name), "{}: {name}", metric.name);
            }
            let of_row = matches!(over, Over::Row | Over::RowWithLogins);
            assert_eq!(of_row, !names.is_empty(), "{}", metric.name);
            assert_eq!(of_row, metric.formula.contains("nullif("), "{}", metric.name);
        }
    }

    /// What needs a login, directly or not, says so: where there is no whole login it is not shown.
    #[test]
    fn what_is_taken_over_logins_is_known() {
        let of_logins = |name: &str| {
            AGENTS.iter().any(|of| of.metric.name == name && matches!(of.over, Over::Logins | Over::RowWithLogins))
        };
        for AgentMetric { metric, over } in AGENTS {
            let names = metric.formula.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            let needs = names.into_iter().any(of_logins);
            match over {
                Over::Row => assert!(!needs, "{}", metric.name),
                Over::RowWithLogins => assert!(needs, "{}", metric.name),
                Over::Logins | Over::States | Over::Legs | Over::Sessions => {}
            }
        }
    }

    /// Words in quotes that no row has would count nothing, and nobody would see it.
    #[test]
    fn formulas_name_no_other_states_and_outcomes() {
        let told = |name: &str, column: &str| table(name).and_then(|t| t.column(column)).map_or("", |c| c.doc);
        let states = told("agent_intervals", "state");
        let legs = ["outcome", "direction", "hangup_by"].map(|column| told("legs", column)).join(" ");
        for AgentMetric { metric, over } in AGENTS {
            for word in metric.formula.split('\'').skip(1).step_by(2) {
                let known = if *over == Over::Legs { legs.as_str() } else { states };
                assert!(known.split([' ', ',', ':']).any(|known| known == word), "{}: {word}", metric.name);
            }
        }
    }
}
