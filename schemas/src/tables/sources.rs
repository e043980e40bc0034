//! `sources`: where each PBX's events come from, and how well: alive or not, late, repeated, missing.

use super::{Column, TableDef, int, maybe_flag, maybe_int, maybe_text, maybe_time, text, time};

/// One row per PBX and source of its events.
pub(super) const TABLE: TableDef = TableDef {
    name: "sources",
    topic: "calltide.sources",
    doc: "One row per PBX and source of its events: when it was last heard of, how late its events come, what came twice and what never came. \
          Renewed about once a minute of the PBX's time while something comes.",
    key: Some("source_id"),
    // A source that nothing is heard of any more goes with the days that are not kept.
    day_of: "updated_at",
    sort: &["source_id"],
    columns: COLUMNS,
};

const COLUMNS: &[Column] = &[
    text("pbx", "the Asterisk server"),
    text("source_id", "`<pbx>/<source>`; of imported files `<pbx>/import/<source>`"),
    text("source", "which log of the PBX: ami, cel or queue_log"),
    text("way", "live: a connection or followed files; import: files that were imported"),
    maybe_flag("connected", "AMI: whether the line to the PBX was up when last heard of; null where there is no line"),
    text("journal", "the journal of the latest record: a connection or a file"),
    int("journals", "how many there were: connections made, files read"),
    maybe_time("first_event_at", "the earliest event, by the PBX's clock"),
    maybe_time("last_event_at", "the latest event, by the PBX's clock"),
    time("last_seen_at", "when the collector got the latest record, heartbeats included, by the collector's clock"),
    maybe_int(
        "lag_ms",
        "live: how long after it happened the latest event was collected, in ms, the difference of the clocks taken out where it is known",
    ),
    maybe_int("lag_max_ms", "the longest lag since the row's version before, in ms"),
    maybe_int(
        "clock_ahead_ms",
        "how far the PBX's clock was ahead of the collector's when it was last asked, in ms; null where nobody asks it",
    ),
    int("events", "events, rows or lines that were taken in"),
    int("unreadable", "pieces that could not be read; see `rejects`"),
    int("duplicates", "records that came again, by journal and offset, and were dropped"),
    int("gaps", "runs of journal offsets that never came"),
    int("missing", "how many offsets these are"),
    maybe_text(
        "gap_places",
        "where the latest gaps are, newest first: `<journal>:<first>-<last>` offset, with spaces between",
    ),
    maybe_time("pbx_started_at", "when the PBX last started"),
    maybe_time("pbx_stopped_at", "when it last stopped: as it said, else its last sign of life before that start"),
    int("version", "1, 2, …: a later one replaces the earlier"),
    time("updated_at", "the PBX's clock when this version was made"),
];
