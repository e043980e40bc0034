//! The log: where every event and every derived fact is kept, in order, before anything else happens to it.
//!
//! This crate knows topics, partitions, offsets, keys and bytes. It must not know what a call is, nor look into payloads.
//! [`EventLog`] is the contract, [`embedded`] keeps it in files on one machine; a Kafka implementation of the same traits
//! fits beside it (one transactional producer and one consumer group member behind each [`Worker`]).
//! Start with [`EventLog::append`], [`EventLog::read`] and [`Worker`].

pub mod embedded;
mod record;
pub mod slow;
mod topic;

pub use record::{Batch, Change, Commit, Output, ReadRecord, Record};
pub use topic::{Cleanup, TopicSpec};

use std::time::Duration;

/// The position of a record in one partition of one topic. Offsets increase; gaps are allowed (Kafka's transaction markers
/// make some), so the next one to read comes from the read itself ([`Batch::next`]), never from adding one.
pub type Offset = u64;

/// A partition of a topic; counts are fixed when the topic is created.
pub type Partition = u32;

/// What can go wrong with the log. Damage is data for the reader ([`Batch::damaged`]), not an error here.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LogError {
    /// Another process holds the writer's lock.
    #[error("the log in {dir} is open for writing in another process{}", holder(*.pid))]
    Locked { dir: String, pid: Option<u32> },
    /// This handle was opened for reading only.
    #[error("the log in {dir} was opened for reading only")]
    ReadOnly { dir: String },
    /// No log is there to be read.
    #[error("no log in {dir}")]
    Missing { dir: String },
    /// A topic that this log was not created with.
    #[error("unknown topic {topic}")]
    UnknownTopic { topic: String },
    /// An earlier write failed; what had been acknowledged is safe and can be read, but nothing more is written
    /// until the log is opened again, since the state of the file after a failed fsync is not known.
    #[error("the log stopped writing after an earlier error: {reason}")]
    Stopped { reason: String },
    /// A newer worker of the same group and partition has taken over; this one must drop its state.
    #[error("worker of {group} was fenced by a newer one")]
    Fenced { group: String },
    /// The disk is full: nothing of this write is kept, everything acknowledged before is.
    #[error("no space left on the log's disk, in {dir}")]
    DiskFull { dir: String },
    /// What a worker needs to go on was damaged on disk: its state must be derived again from its input.
    #[error("damaged on disk: {what}")]
    Damaged { what: String },
    /// The operating system's word, with what was being done.
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, LogError>;

/// What every implementation of the log promises.
///
/// All calls block; callers give them their own threads. One process writes, any number may read.
pub trait EventLog: Send + Sync {
    /// The topics of this log, in the order of their creation.
    fn topics(&self) -> Vec<TopicSpec>;

    /// Appends records to one partition and returns only when they survive a power loss (concurrent callers share one
    /// fsync). All or nothing. Returns the offset of the first one.
    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset>;

    /// Reads from `from` on, at most about `bytes_max` of payload but at least one record if there is one. Never blocks:
    /// at the end it returns no records and `next == from`. Only synced, committed records are ever seen.
    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch>;

    /// The first offset still kept and the one that the next record will get.
    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)>;

    /// The journals ([`Record::journal`]) whose id begins with `prefix`, each with the highest journal offset appended under
    /// it: where an import or a forwarder goes on after it was interrupted. Outlives the retention of the records.
    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>>;

    /// Sleeps until something was appended or committed after the moment `seen` stands for, or until the timeout. Returns
    /// the present moment, for the next call. Begin with 0.
    fn wait(&self, seen: u64, timeout: Duration) -> u64;

    /// Joins a group of workers that derive `group`'s state from `topic`, e.g. the fold `calls` from `events`.
    fn worker(&self, group: &str, topic: &str) -> Result<Box<dyn Worker>>;
}

/// What a worker is told when it polls.
#[derive(Debug)]
pub enum Polled {
    /// A partition is now this worker's. Its state is complete: (key, value) pairs, each key once, in the order of keys.
    Assigned {
        /// Which one.
        partition: Partition,
        /// The input offset at which the work goes on.
        next: Offset,
        /// Key and value of each entry.
        state: Vec<(Vec<u8>, Vec<u8>)>,
    },
    /// A partition is gone: its state must be dropped, nothing of it may be committed.
    Revoked {
        /// Which one.
        partition: Partition,
    },
    /// Records to process. Empty when the timeout passed without any.
    Batch {
        /// Where they come from.
        partition: Partition,
        /// The records, and where to read on.
        batch: Batch,
    },
}

/// One member of a group: it alone derives from the partitions assigned to it.
pub trait Worker: Send {
    /// The next thing to do. A batch that was not committed is not given again by itself: after an error, drop the
    /// worker and join anew.
    fn poll(&mut self, bytes_max: usize, timeout: Duration) -> Result<Polled>;

    /// Publishes outputs, changes state and moves the progress to `commit.next`, all of it or nothing, durably.
    fn commit(&mut self, partition: Partition, commit: Commit) -> Result<()>;
}
