//! What `/metrics` shows of the running processes, as plain data: name, shape, labels and a sentence for each.
//!
//! The data dictionary and the exporter's help texts are made from this list; a test holds that no other metric is kept.
//! Times are seconds since 1970 UTC, names follow Prometheus' habits. It knows nothing of who measures.

/// How a metric's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Values whose distribution is kept.
    Histogram,
}

/// A metric of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposed {
    /// Its name; counters' end in `_total`.
    pub name: &'static str,
    /// How its values behave.
    pub shape: Shape,
    /// The labels of each of its series.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub doc: &'static str,
}

const PBX: &[&str] = &["pbx"];
const FILE: &[&str] = &["pbx", "source"];
/// A row of the table `sources`: `source` is its `source_id` without the PBX.
const SOURCE: &[&str] = &["pbx", "source"];
const FOLD: &[&str] = &["fold"];
const TABLE: &[&str] = &["table"];

/// Events of a source that were taken in.
pub const SOURCE_EVENTS: Exposed =
    counter("calltide_source_events_total", SOURCE, "events, rows or lines of a source that were taken in");
/// Its pieces that could not be read.
pub const SOURCE_UNREADABLE: Exposed =
    counter("calltide_source_unreadable_total", SOURCE, "pieces of a source that could not be read");
/// Its records that came again.
pub const SOURCE_DUPLICATES: Exposed = counter(
    "calltide_source_duplicates_total",
    SOURCE,
    "records of a source that came again, by journal and offset, and were dropped",
);
/// Its gaps.
pub const SOURCE_GAPS: Exposed =
    gauge("calltide_source_gaps", SOURCE, "runs of journal offsets of a source that never came");
/// The offsets in them.
pub const SOURCE_MISSING: Exposed =
    gauge("calltide_source_missing_offsets", SOURCE, "journal offsets of a source that never came");
/// Its latest event.
pub const SOURCE_LAST_EVENT: Exposed = gauge(
    "calltide_source_last_event_timestamp_seconds",
    SOURCE,
    "when the latest event of a source happened, by the PBX's clock",
);
/// Its latest record.
pub const SOURCE_LAST_SEEN: Exposed = gauge(
    "calltide_source_last_seen_timestamp_seconds",
    SOURCE,
    "when the latest record of a source, heartbeats included, was collected",
);
/// How late its events come.
pub const SOURCE_LAG: Exposed = gauge(
    "calltide_source_lag_seconds",
    SOURCE,
    "how long after it happened the latest event of a live source was collected",
);
/// Whether the line to the PBX is up.
pub const SOURCE_CONNECTED: Exposed =
    gauge("calltide_source_connected", SOURCE, "1 while the log says that the line to the PBX's AMI is up");
/// How long the PBX is up.
pub const PBX_STARTED: Exposed =
    gauge("calltide_pbx_started_timestamp_seconds", PBX, "when the PBX last started, by its clock");

/// All of them: collectors, forwarder, folds, lake, queries.
pub const EXPOSED: &[Exposed] = &[
    gauge("calltide_ami_connected", PBX, "1 while the collector is logged in to the PBX"),
    counter("calltide_ami_connections_total", PBX, "log-ins to the PBX"),
    counter("calltide_ami_failures_total", PBX, "connections to the PBX that could not be made, or were lost"),
    counter("calltide_ami_bytes_total", PBX, "bytes read from the PBX"),
    counter("calltide_ami_events_total", PBX, "AMI events written to the log's journal"),
    counter("calltide_ami_unreadable_total", PBX, "pieces from the PBX that were no frames"),
    counter("calltide_ami_gaps_total", PBX, "beginnings and ends of connections that were written down"),
    counter("calltide_ami_resyncs_total", PBX, "whole lists of the channels that are up"),
    gauge("calltide_ami_clock_ahead_seconds", PBX, "how far the PBX's clock is ahead of the collector's"),
    gauge("calltide_ami_buffered_bytes", PBX, "bytes that were read and are not in the log yet"),
    gauge("calltide_ami_buffered_bytes_max", PBX, "the most bytes that may wait so"),
    gauge("calltide_ami_reading_waits", PBX, "1 while reading waits for room in that buffer"),
    counter("calltide_ami_reading_waits_total", PBX, "how often reading had to wait so"),
    counter("calltide_ami_reading_waited_milliseconds_total", PBX, "for how long, in ms"),
    counter("calltide_file_items_total", FILE, "rows or lines of followed files taken in"),
    counter("calltide_file_unreadable_total", FILE, "lines of followed files that could not be read"),
    counter("calltide_file_rotations_total", FILE, "how often the followed file became another"),
    gauge("calltide_file_readable", FILE, "1 while the followed file can be read"),
    gauge("calltide_file_position_bytes", FILE, "bytes of the file at the path that were read"),
    gauge(
        "calltide_file_behind_bytes",
        FILE,
        "bytes of the file at the path that had not been read when it was last looked at",
    ),
    gauge("calltide_file_lag_seconds", FILE, "how long after its own time the latest new line was read"),
    counter("calltide_forwarded_total", &[], "records that the centre acknowledged"),
    counter("calltide_forward_failures_total", &[], "how often the centre took nothing"),
    counter("calltide_forward_missing_total", &[], "offsets that were missing here, and named at the centre"),
    gauge("calltide_forward_behind_records", &[], "records that are not at the centre yet"),
    gauge("calltide_forward_connected", &[], "1 while the centre takes events"),
    gauge("calltide_journal_bytes", &[], "bytes of the disk that the site's journal takes"),
    gauge("calltide_journal_bytes_max", &[], "the most that it may take"),
    gauge("calltide_journal_full", &[], "1 while it may take no more, and nothing is collected"),
    SOURCE_EVENTS,
    SOURCE_UNREADABLE,
    SOURCE_DUPLICATES,
    SOURCE_GAPS,
    SOURCE_MISSING,
    SOURCE_LAST_EVENT,
    SOURCE_LAST_SEEN,
    SOURCE_LAG,
    SOURCE_CONNECTED,
    PBX_STARTED,
    counter("calltide_processed_total", FOLD, "records that a fold took in"),
    gauge("calltide_fold_stopped", FOLD, "workers of a fold that stand still, because of an error"),
    counter("calltide_ignored_total", &["fold", "reason"], "what a fold ignored or found wrong, by reason"),
    counter("calltide_damaged_offsets_total", FOLD, "damaged offsets that a fold passed over"),
    counter("calltide_lake_rows_total", TABLE, "rows written to a table"),
    counter("calltide_lake_commits_total", TABLE, "commits of a table"),
    histogram("calltide_lake_commit_seconds", TABLE, "how long they took"),
    counter("calltide_lake_bytes_total", TABLE, "bytes of the files written"),
    counter("calltide_lake_damaged_records_total", TABLE, "damaged records that a table goes without"),
    counter("calltide_lake_panics_total", &[], "how often the tables' writer panicked and was begun anew"),
    gauge("calltide_lake_table_stopped", TABLE, "1 while a table is not written, because of an error"),
    counter("calltide_queries_total", &["outcome"], "queries, by what became of them"),
    histogram("calltide_query_seconds", &[], "how long they took"),
    gauge("calltide_queries_running", &[], "queries that are being answered"),
    gauge("calltide_queries_stuck", &[], "queries that were stopped and have not ended"),
    counter("calltide_queries_stopped_for_memory_total", &[], "queries that were stopped for want of memory"),
    counter("calltide_query_process_restarts_total", &[], "how often `up` started the query process again"),
];

const fn counter(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Exposed {
    Exposed { name, shape: Shape::Counter, labels, doc }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Exposed {
    Exposed { name, shape: Shape::Gauge, labels, doc }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Exposed {
    Exposed { name, shape: Shape::Histogram, labels, doc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_a_counter_is_called_so() {
        let names: std::collections::BTreeSet<_> = EXPOSED.iter().map(|of| of.name).collect();
        assert_eq!(names.len(), EXPOSED.len());
        for of in EXPOSED {
            assert_eq!(of.shape == Shape::Counter, of.name.ends_with("_total"), "{}", of.name);
            assert!(of.name.starts_with("calltide_"), "{}", of.name);
        }
    }
}
