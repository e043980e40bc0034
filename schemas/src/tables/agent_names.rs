//! `agent_names`: who is who on each PBX, by periods.

use super::{Column, TableDef, int, maybe_text, maybe_time, text, time};

/// One row per name and period.
pub(super) const TABLE: TableDef = TableDef {
    name: "agent_names",
    topic: "calltide.agent-names",
    doc: "Who an agent or device of a PBX is, by periods: joins `legs` and `queue_visits` with persons, teams and users. Who \
          stands neither here nor in the directory is called as the PBX does.",
    key: Some("name_id"),
    day_of: "since_at",
    sort: &["pbx", "name", "since_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("name_id", "`<pbx>/<name>@<since_at in microseconds>`"),
    text("pbx", "the Asterisk server"),
    text("name", "as `agent` of `legs` has it: the member's name or the device"),
    text("person", "the agent's id in the directory, else `<pbx>/<agent>`"),
    text("agent", "the agent's id in the directory, else what the PBX calls them"),
    maybe_text("team", "their team"),
    maybe_text("user", "the user that owns them"),
    maybe_text("groups", "their groups, separated by commas"),
    time("since_at", "from when on it is so"),
    maybe_time("until_at", "until when; null while it lasts"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the time of what led to this version"),
];
