//! `charges`: what calls out and legs to ordinary telephones cost, and whom.

use super::{Column, TableDef, int, maybe_decimal, maybe_int, maybe_text, text, time};

/// One row per connection that costs money.
pub(super) const TABLE: TableDef = TableDef {
    name: "charges",
    topic: "calltide.charges",
    doc: "A connection by a trunk that was answered, and what it is charged: to the user of the internal device that placed it, \
          or that owns the external device that it reached.",
    key: Some("charge_id"),
    day_of: "started_at",
    sort: &["user", "started_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("charge_id", "`call:<call_id>` or `leg:<leg_id>`"),
    text("pbx", "the Asterisk server"),
    text("call_id", "the call"),
    maybe_text("leg_id", "the leg, of a leg"),
    text("what", "call_out or external_leg"),
    maybe_text("user", "who is charged; null where nobody owns the device"),
    maybe_text("device", "the device, `<pbx>/<endpoint>`"),
    maybe_text("agent", "the agent whose device it was"),
    maybe_text("team", "that agent's team"),
    maybe_text("campaign", "the campaign, of a campaign's call"),
    maybe_text("number_e164", "the number, where it could be understood"),
    maybe_text("number_raw", "the number as it was dialled"),
    time("started_at", "when it was answered: the charge belongs to this moment's bucket, and to the rate of this day"),
    int("up_ms", "how long it was up, in ms"),
    maybe_int("billed_s", "the seconds that are charged: the minimum, then whole steps"),
    maybe_text("rate", "the rate; null where none fits the number"),
    maybe_text("currency", "ISO 4217"),
    maybe_decimal("amount", "what it is charged, rounded half up; null where no rate fits"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the time of what led to this version"),
];
