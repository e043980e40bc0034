//! `rules`: what the rules of each campaign were, by version, since when and by whom.

use super::{Column, TableDef, int, text, time};

/// One row per version of a campaign's rules.
pub(super) const TABLE: TableDef = TableDef {
    name: "rules",
    topic: "calltide.rules",
    doc: "One row per version of a campaign's rules for recycling; verdicts name the version.",
    key: Some("rules_id"),
    day_of: "since_at",
    sort: &["campaign", "rules_version"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("rules_id", "`<campaign>@<rules_version>`"),
    text("campaign", "the campaign; `*` for all that have no rules of their own"),
    int("rules_version", "1, 2, …"),
    text("rules", "JSON: the rules in full; durations in seconds"),
    text("who", "who gave them"),
    time("since_at", "since when they hold"),
    int("version", "always 1"),
    time("updated_at", "as `since_at`"),
];
