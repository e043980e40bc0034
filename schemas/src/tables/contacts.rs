//! `contacts`: each contact of a campaign with its latest verdict: who may be called again, when, and why.

use super::{Column, TableDef, flag, int, maybe_text, maybe_time, text, time};

/// One row per contact of a campaign.
pub(super) const TABLE: TableDef = TableDef {
    name: "contacts",
    topic: "calltide.contacts",
    doc: "One row per contact of a campaign, with its latest verdict: whether it is called again, when, and why.",
    key: Some("contact_key"),
    day_of: "first_seen_at",
    sort: &["campaign", "contact"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("contact_key", "`<campaign>/<contact>`"),
    text("campaign", "the campaign"),
    text("contact", "the contact within it"),
    maybe_text("list", "the list that it was loaded with"),
    maybe_text("person", "who it is, over all campaigns"),
    maybe_text(
        "number_e164",
        "the number that is dialled next, or was dialled last; as it was dialled where E.164 is not known",
    ),
    text("verdict", "retry, exhausted, done, suppressed, retarget, invalid, held or closed"),
    maybe_time("due_at", "retry: not before this time, which is in a calling window"),
    maybe_time("valid_until", "retry: not any more at this time: the window closes"),
    text("rule", "the rule that decided"),
    text("reason", "why, in a sentence"),
    text("verdict_id", "`<campaign>/<contact>/<nth>`, to be handed back by the dialer"),
    int("rules_version", "the version of the campaign's rules, see the table `rules`; 0: the usual ones"),
    maybe_text("agent", "the agent who shall speak with it"),
    maybe_time("callback_at", "the time of a promised call"),
    int("attempts", "dials of this round that are over; forbidden ones are not counted"),
    int("dialling", "dials under way"),
    maybe_text("last_call_id", "the latest attempt's call"),
    maybe_text("last_status", "the latest attempt's status"),
    maybe_text("last_class", "and class"),
    maybe_time("last_attempt_at", "when it ended"),
    text("best_class", "the best class of all attempts: connected, unanswered, failed, or pending without any"),
    flag("reached", "an agent spoke with them, in this campaign or elsewhere"),
    maybe_text("reached_by", "elsewhere: by which call, or `of contact <key>` of the same person"),
    flag("published", "dialers are told; false while all that is known was imported"),
    maybe_text("from_campaign", "the campaign that it came from"),
    maybe_time("loaded_at", "when it was put on a list; null where only its calls are known"),
    time("first_seen_at", "when it was first heard of"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "when it was decided, by the clock of what led to it"),
];
