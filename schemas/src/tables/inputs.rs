//! `inputs`: the raw archive of the topic `events`, from which every other table can be derived again.

use super::{Column, TableDef, int, text, time};

/// One row per raw event.
pub(super) const TABLE: TableDef = TableDef {
    name: "inputs",
    topic: "calltide.events",
    doc: "Every raw event as it was collected, so that a rebuild outlives the log's retention.",
    key: None,
    day_of: "at",
    sort: &[],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("topic", "the log's topic"),
    int("partition", "its partition"),
    int("offset", "its offset there"),
    text("pbx", "the record's key: the Asterisk server"),
    text("source", "ami, cel, queue_log, heartbeat, gap, import_end or unreadable"),
    text("id", "`<journal>:<journal offset>`"),
    time("at", "when it happened"),
    text("payload", "the envelope, JSON"),
];
