//! What goes into the log and what comes out: records, batches of them, and the one atomic commit of a worker.
//!
//! Records look as they do in Kafka: a key, a time, CloudEvents headers (`ce_id`, `ce_type`) and a payload.

use crate::Offset;

/// One record as it is appended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Partitioning and compaction key, e.g. the PBX of an event or the primary key of a fact; see
    /// [`partition_of`](crate::partition_of).
    pub key: Vec<u8>,
    /// When it happened, in microseconds since 1970 UTC (`ce_time`).
    pub at: i64,
    /// Identity of the record: a repeat has the same (`ce_id`).
    pub id: String,
    /// What it is, e.g. `ami`, `heartbeat`, `call` (`ce_type`).
    pub kind: String,
    /// The journal that the record came from and its offset there, for records of collectors.
    pub journal: Option<(String, u64)>,
    /// JSON. `None` is a tombstone: in a compacted topic the key is forgotten.
    pub payload: Option<Vec<u8>>,
}

/// A record with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRecord {
    /// Its offset in the partition.
    pub offset: Offset,
    /// The record itself.
    pub record: Record,
}

/// What one read returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The records, in the order of their offsets.
    pub records: Vec<ReadRecord>,
    /// Where to read on.
    pub next: Offset,
    /// Ranges `[from, to)` of offsets within this read that were damaged on disk and could not be read.
    pub damaged: Vec<(Offset, Offset)>,
}

/// One record for one topic, as part of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where to.
    pub topic: String,
    /// What; its key decides the partition.
    pub record: Record,
}

/// A change of a worker's keyed state. `None` removes the entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The entry's key.
    pub key: Vec<u8>,
    /// Its new value.
    pub value: Option<Vec<u8>>,
}

/// What a worker commits at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Records to publish.
    pub outputs: Vec<Output>,
    /// State entries that changed, each key once.
    pub changes: Vec<Change>,
    /// The offset of its input at which the worker goes on.
    pub next: Offset,
}
