//! The log: where every event and every derived fact is kept, in order, before anything else happens to it.
//!
//! This crate knows topics, partitions, offsets, keys and bytes. It must not know what a call is, nor look into payloads.
//! [`EventLog`] is the contract, [`embedded`] keeps it in files on one machine, [`kafka`] on the brokers of a cluster.
//! Start with [`EventLog::append`], [`EventLog::read`] and [`Worker`].

pub mod embedded;
pub mod kafka;
mod layer;
mod partitioning;
mod record;
pub mod slow;
mod topic;

pub use layer::Layer;
pub use partitioning::partition_of;
pub use record::{Batch, Change, Commit, Output, ReadRecord, Record};
pub use topic::{Cleanup, TopicSpec};

use std::{any::Any, collections::BTreeMap, fmt, time::Duration};

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
    /// No broker answered in time, or none let us in. What was appended or committed before is safe.
    #[error("cannot {what}: no answer from Kafka at {servers}{}", because(.reason))]
    Unreachable { what: String, servers: String, reason: String },
    /// A topic of the cluster is not as this log needs it.
    #[error("topic {topic}: {problem}")]
    WrongTopic { topic: String, problem: String, command: String },
    /// A commit was given up: nothing of it counts, or a worker that joins anew will know whether it does.
    #[error("a commit of {group} was given up: {reason}")]
    Aborted { group: String, reason: String },
    /// Kafka's word, with what was being done.
    #[error("cannot {what}")]
    Kafka {
        what: String,
        #[source]
        source: rdkafka::error::KafkaError,
    },
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

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

impl LogError {
    /// Whether the same may succeed later, with a worker that joined anew: others took over, or the brokers were away.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Aborted { .. } | Self::Fenced { .. } | Self::DiskFull { .. } => true,
            Self::Locked { .. }
            | Self::ReadOnly { .. }
            | Self::Missing { .. }
            | Self::UnknownTopic { .. }
            | Self::Stopped { .. }
            | Self::Damaged { .. }
            | Self::WrongTopic { .. }
            | Self::Kafka { .. }
            | Self::Io { .. } => false,
        }
    }
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, LogError>;

/// Read at once by whoever looks through a partition.
const SCAN_BYTES: usize = 4 << 20;

/// What every implementation of the log promises.
///
/// All calls block; callers give them their own threads. Embedded, one process writes and any number may read; on Kafka any
/// number does both.
pub trait EventLog: Send + Sync {
    /// The topics of this log, in the order of their creation.
    fn topics(&self) -> Vec<TopicSpec>;

    /// Appends records to one partition and returns only when they survive a power loss (concurrent callers share one
    /// fsync). All or nothing, except that after an error on Kafka some of the first ones may be there: whoever repeats the
    /// append is recognised by the records' journal ids and offsets. Returns the offset of the first one.
    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset>;

    /// Appends each record to the partition of its key ([`partition_of`]), otherwise as [`EventLog::append`] does; after an
    /// error the same holds for each partition.
    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        let partitions = self.partitions(topic)?;
        let mut parts: BTreeMap<Partition, Vec<Record>> = BTreeMap::new();
        for record in records {
            parts.entry(partition_of(&record.key, partitions)).or_default().push(record);
        }
        parts.into_iter().try_for_each(|(partition, records)| self.append(topic, partition, records).map(drop))
    }

    /// How many partitions a topic has.
    fn partitions(&self, topic: &str) -> Result<u32> {
        let found = self.topics().into_iter().find(|spec| spec.name == topic);
        found.map(|spec| spec.partitions).ok_or_else(|| LogError::UnknownTopic { topic: topic.to_owned() })
    }

    /// Reads from `from` on, at most about `bytes_max` of payload but at least one record if there is one. Never blocks:
    /// at the end it returns no records and `next == from`. Only synced, committed records are ever seen.
    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch>;

    /// The first offset whose record's time ([`Record::at`]) is not before `at`, or the end if there is none. Times need not
    /// be in order: it is the first such record, older ones may follow it.
    /// As it is given here, everything before it is read.
    fn offset_at(&self, topic: &str, partition: Partition, at: i64) -> Result<Offset> {
        let (mut next, _) = self.bounds(topic, partition)?;
        loop {
            let batch = self.read(topic, partition, next, SCAN_BYTES)?;
            if let Some(found) = batch.records.iter().find(|read| read.record.at >= at) {
                return Ok(found.offset);
            }
            if batch.next == next {
                return Ok(next);
            }
            next = batch.next;
        }
    }

    /// Keeps what is there from `from` on from being removed by retention or compaction, until the pin is dropped. For whoever
    /// reads what must not go meanwhile; where somebody else decides what stays (a Kafka broker), it does nothing.
    fn pin(&self, topic: &str, partition: Partition, from: Offset) -> Result<Pin> {
        let _ = (topic, partition, from);
        Ok(Pin::nothing())
    }

    /// The first offset still kept and the one that the next record will get.
    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)>;

    /// The ends of all partitions of these topics, topic by topic, at one moment as far as that can be had: what
    /// [`EventLog::bounds`] tells of each, with fewer questions.
    fn ends(&self, topics: &[&str]) -> Result<Vec<Vec<Offset>>> {
        let ends = |topic: &&str| {
            let end = |partition| self.bounds(topic, partition).map(|(_, end)| end);
            (0..self.partitions(topic)?).map(end).collect()
        };
        topics.iter().map(ends).collect()
    }

    /// The journals ([`Record::journal`]) whose id begins with `prefix`, each with the highest journal offset appended under
    /// it: where an import or a forwarder goes on after it was interrupted. Outlives the retention of the records.
    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>>;

    /// Whether a record of a journal may be there twice, at different offsets: sent again after its first sending seemed lost.
    /// Where the log itself recognises that, never.
    fn may_repeat(&self) -> bool {
        false
    }

    /// Sleeps until something was appended or committed after the moment `seen` stands for, or until the timeout. Returns
    /// the present moment, for the next call. Begin with 0.
    fn wait(&self, seen: u64, timeout: Duration) -> u64;

    /// Joins a group of workers that derive `group`'s state from `topic`, e.g. the fold `calls` from `events`.
    fn worker(&self, group: &str, topic: &str) -> Result<Box<dyn Worker>>;
}

/// See [`EventLog::pin`].
#[must_use = "what is pinned may go as soon as this is dropped"]
pub struct Pin(#[expect(dead_code, reason = "held, not looked at")] Option<Box<dyn Any + Send + Sync>>);

impl Pin {
    /// Nothing needs to be held.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Holds this until dropped.
    pub fn holding(held: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(held)))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
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

    /// Publishes outputs, each to the partition of its key, changes state and moves the progress to `commit.next`, durably: all
    /// of what a partition commits or nothing of it. Many partitions in one call cost little more than one.
    fn commit_all(&mut self, commits: Vec<(Partition, Commit)>) -> Result<()>;

    /// The same for one partition.
    fn commit(&mut self, partition: Partition, commit: Commit) -> Result<()> {
        self.commit_all(vec![(partition, commit)])
    }
}
