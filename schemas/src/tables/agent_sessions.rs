//! `agent_sessions`: when agents were logged in, and when they were in which queue.

use super::{Column, TableDef, int, maybe_text, maybe_time, text, time};

/// One row per login and per stay in a queue.
pub(super) const TABLE: TableDef = TableDef {
    name: "agent_sessions",
    topic: "calltide.agent-sessions",
    doc: "One login of an agent, or one stay in a queue (check-in). Static members have none of either, unless they log in.",
    key: Some("session_id"),
    day_of: "started_at",
    sort: &["agent", "started_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("session_id", "`<person>@<kind>@<queue, of a check-in>@<started_at in microseconds>`"),
    text("person", "the agent's id in the directory, else `<pbx>/<agent>`"),
    text("agent", "the agent's id in the directory, else what the PBX calls them"),
    maybe_text("pbx", "the Asterisk server; null of a login on a terminal"),
    maybe_text("team", "the agent's team when it began"),
    text("kind", "login or checkin"),
    maybe_text("queue", "of a check-in the queue"),
    maybe_text("terminal", "of a login on a terminal the first of them"),
    maybe_text("device", "the agent's device in it, `<pbx>/<endpoint>` or as the PBX names it"),
    time("started_at", "when it began"),
    maybe_time("logout_at", "when the agent logged out, while a call went on or not"),
    maybe_time(
        "ended_at",
        "when it ended: with the last leg, if the agent logged out during a call; null while it lasts",
    ),
    maybe_text(
        "ended_by",
        "hand, timeout, logout (a check-out that follows from one), restart (of the PBX), or checkout (a login that is known by check-ins alone)",
    ),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the time of what led to this version"),
];
