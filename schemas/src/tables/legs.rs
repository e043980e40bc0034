//! `legs`: one row per agent's or device's part in a call.

use super::{Column, TableDef, int, maybe_flag, maybe_int, maybe_text, maybe_time, text, time};

/// One row per agent's part.
pub(super) const TABLE: TableDef = TableDef {
    name: "legs",
    topic: "calltide.legs",
    doc: "One agent's or device's part in a call: offered, answered, held, ended.",
    key: Some("leg_id"),
    day_of: "offered_at",
    sort: &["agent", "offered_at"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("pbx", "the Asterisk server"),
    text("leg_id", "`<call_id>#<uniqueid of the leg's channel>`, or a number where only the queue's log knows it"),
    text("call_id", "the call it is a part of"),
    maybe_text("agent", "the agent as the queue names it, else the device"),
    maybe_text("device", "what rang, e.g. PJSIP/101"),
    maybe_text("queue", "the queue that offered the call, if one did"),
    time("offered_at", "when it began to ring (the call belongs to this moment's bucket)"),
    maybe_time("answered_at", "when it was answered"),
    time("ended_at", "when the part ended"),
    maybe_int("ring_ms", "from the offer to the answer or the end, in ms"),
    maybe_int("talk_ms", "in conversation with the customer, without hold, in ms"),
    maybe_int("hold_ms", "on hold, in ms"),
    maybe_text("direction", "of the call: inbound, outbound or internal"),
    maybe_flag("transferred", "whether this agent moved the call on: blind, or after asking"),
    maybe_text("hangup_by", "who hung up first, where this part was the call's last: agent, customer or system"),
    text("outcome", "answered, missed, refused, elsewhere, caller_left or unreachable"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the PBX's clock when this version was made"),
];
