//! `agent_intervals`: what each agent did, as one sequence without holes or overlaps.

use super::{Column, TableDef, flag, int, maybe_text, maybe_time, text, time};

/// One row per state of an agent.
pub(super) const TABLE: TableDef = TableDef {
    name: "agent_intervals",
    topic: "calltide.agent-intervals",
    doc: "What an agent did: one state after the other, without holes or overlaps while the agent is logged in. Of who is not, \
          only what calls show. The row without `ended_at` is what they do now.",
    key: Some("interval_id"),
    day_of: "started_at",
    sort: &["agent", "started_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("interval_id", "`<person>@<started_at in microseconds>`"),
    text("person", "the agent's id in the directory, else `<pbx>/<agent>`"),
    text("agent", "the agent's id in the directory, else what the PBX calls them"),
    maybe_text("pbx", "the Asterisk server of the call or the pause; null where it is none's or several's"),
    maybe_text("team", "the agent's team at that time"),
    maybe_text("session_id", "the login that it is a part of; null of who is not logged in"),
    text("state", "on_call, hold, ringing, wrap_up, paused or available: of several at once the first of these"),
    maybe_text("reason", "why the agent is paused; of an available one, in the queue that is named"),
    maybe_text("queue", "the queue of the call or the wrap-up; of an available agent the queues with a pause"),
    maybe_text("call_id", "the call"),
    flag("while_paused", "whether the agent is paused at the same time"),
    int("at_once", "how many calls at once"),
    time("started_at", "when it began"),
    maybe_time("ended_at", "when it ended; null while it lasts"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the time of what led to this version"),
];
