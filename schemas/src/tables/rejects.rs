//! `rejects`: what could not be read or came too late, with its bytes and the reason.

use super::{Column, TableDef, int, maybe_text, text, time};

/// One row per rejected record.
pub(super) const TABLE: TableDef = TableDef {
    name: "rejects",
    topic: "calltide.rejects",
    doc: "What could not be read, or came too late to change anything, with its bytes and why.",
    key: Some("reject_id"),
    day_of: "at",
    sort: &["at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("pbx", "the Asterisk server"),
    text("reject_id", "`<journal>:<journal offset>`"),
    text("source", "which log it came from: ami, cel, queue_log or unreadable"),
    text("reason", "why, in a word: malformed, torn_frame, too_long, unknown_columns, bad_time, too_late, …"),
    maybe_text("detail", "why, in a sentence"),
    maybe_text(
        "raw",
        "the record as text, its first 64 KiB; bytes that are not UTF-8 in base64 with the prefix `base64:`",
    ),
    time("at", "when it happened or, if that is not known, when it was seen"),
    int("version", "always 1"),
    time("updated_at", "the same as `at`"),
];
