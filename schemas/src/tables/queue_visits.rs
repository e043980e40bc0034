//! `queue_visits`: one row per entry of a caller into a queue.

use super::{Column, TableDef, int, maybe_int, maybe_text, maybe_time, text, time};

/// One row per entry into a queue.
pub(super) const TABLE: TableDef = TableDef {
    name: "queue_visits",
    topic: "calltide.queue-visits",
    doc: "One entry of a caller into a queue and how it ended.",
    key: Some("visit_id"),
    day_of: "entered_at",
    sort: &["queue", "entered_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("pbx", "the Asterisk server"),
    text("visit_id", "`<call_id>#<nth visit of the call>`"),
    text("call_id", "the call that waited"),
    text("queue", "the queue"),
    time("entered_at", "when the caller entered it"),
    maybe_time("left_at", "when the caller was answered or left"),
    text(
        "outcome",
        "answered, abandoned, timeout, key, callback, empty, withdrawn, transferred, lost, full or join_empty; waiting \
         while the caller waits",
    ),
    int("wait_ms", "from entry to answer or leaving, in ms"),
    maybe_text("agent", "who answered"),
    maybe_int("talk_ms", "in conversation with that agent, without hold, in ms"),
    maybe_int("hold_ms", "on hold, in ms"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the PBX's clock when this version was made"),
];
