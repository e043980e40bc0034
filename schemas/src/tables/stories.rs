//! `stories`: what happened in each call, event by event, and which event decided: what `inspect` shows.

use super::{Column, TableDef, int, text, time};

/// One row per call.
pub(super) const TABLE: TableDef = TableDef {
    name: "stories",
    topic: "calltide.stories",
    doc: "The event-by-event story of each call and what decided its status; shown by `calltide inspect`.",
    key: Some("call_id"),
    day_of: "started_at",
    sort: &["call_id"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("pbx", "the Asterisk server"),
    text("call_id", "the call"),
    time("started_at", "when the call started"),
    text(
        "story",
        "JSON: an array of lines, each with `at` (µs UTC), `source`, `what` (a sentence) and, on those that decided, `decides`",
    ),
    int("version", "the version of the call that it explains"),
    time("updated_at", "the PBX's clock when this version was made"),
];
