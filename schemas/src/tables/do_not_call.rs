//! `do_not_call`: who may not be called, since when, who said so and why.

use super::{Column, TableDef, flag, int, maybe_text, text, time};

/// One row per entry.
pub(super) const TABLE: TableDef = TableDef {
    name: "do_not_call",
    topic: "calltide.do-not-call",
    doc: "One row per do-not-call entry, of all campaigns or of one; an entry that was taken off keeps its row.",
    key: Some("entry_id"),
    day_of: "first_listed_at",
    sort: &["number"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("entry_id", "`<campaign, or * for all>/<number>`"),
    text("number", "the number; with a `*` at its end all numbers that begin so"),
    maybe_text("campaign", "only this campaign; null for all"),
    flag("listed", "whether it holds"),
    text("who", "who put it on the list or took it off"),
    maybe_text("reason", "why"),
    time("since_at", "when they did"),
    time("first_listed_at", "when it was first put on the list"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "as `since_at`"),
];
