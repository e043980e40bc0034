//! `directory`: users, teams, agents, groups, devices, queues and rates, by versions.

use super::{Column, TableDef, int, maybe_time, text, time};

/// One row per entry and period.
pub(super) const TABLE: TableDef = TableDef {
    name: "directory",
    topic: "calltide.directory",
    doc: "One row per entry of the directory and period in which it held.",
    key: Some("entry_id"),
    day_of: "since_at",
    sort: &["entry", "id", "since_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("entry_id", "`<entry>/<id>@<since_at in microseconds>`"),
    text("entry", "user, team, group, agent, device, queue or rate"),
    text("id", "its id among those of its kind"),
    text("definition", "JSON: the entry in full"),
    text("origin", "configuration or api"),
    text("who", "who gave it"),
    time("since_at", "from when on it holds"),
    maybe_time("until_at", "until when; null while it does"),
    int("version", "1, 2: with its end"),
    time("updated_at", "the time of what led to this version"),
];
