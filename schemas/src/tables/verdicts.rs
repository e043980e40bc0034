//! `verdicts`: every verdict of every contact, with the rule, a sentence, and the facts that it was decided by.

use super::{Column, TableDef, int, maybe_text, maybe_time, text, time};

/// One row per verdict.
pub(super) const TABLE: TableDef = TableDef {
    name: "verdicts",
    topic: "calltide.verdicts",
    doc: "One row per verdict on a contact: what was decided, by which rule, and the facts used. None is ever changed.",
    key: Some("verdict_id"),
    day_of: "decided_at",
    sort: &["campaign", "decided_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("verdict_id", "`<campaign>/<contact>/<nth>`"),
    text("contact_key", "`<campaign>/<contact>`"),
    text("campaign", "the campaign"),
    text("contact", "the contact within it"),
    text("verdict", "retry, exhausted, done, suppressed, retarget, invalid, held or closed"),
    maybe_time("due_at", "retry: not before this time"),
    maybe_time("valid_until", "retry: not any more at this time"),
    maybe_text("number_e164", "the number to dial"),
    maybe_text("agent", "the agent who shall speak with it"),
    text("rule", "the rule that decided"),
    text("reason", "why, in a sentence"),
    text("trigger", "what led to the decision: contact_loaded, contact_attempt, callback, rules, notice, standing, …"),
    text(
        "facts",
        "JSON: what was looked at, e.g. attempts, the last call and its end, the delay, the zones of the number",
    ),
    int("rules_version", "the version of the campaign's rules, see the table `rules`; 0: the usual ones"),
    int("attempts", "dials of this round that were over"),
    time("decided_at", "when, by the clock of what led to it"),
    int("version", "always 1"),
    time("updated_at", "as `decided_at`"),
];
