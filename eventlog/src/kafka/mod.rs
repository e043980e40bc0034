//! The log on a Kafka cluster: any number of processes write, read and share the work.
//!
//! Topics of the log are topics of the cluster. An append is idempotent and acknowledged by all replicas in sync; a worker's
//! commit is one transaction over outputs, changed state and progress; readers see committed records only. Everything has a
//! deadline ([`KafkaOptions::patience`]). Must not know what records mean. Read on in `append`, `cursor` and `worker`.

mod append;
mod client;
mod cursor;
mod ends;
mod follow;
mod journals;
mod options;
mod reader;
mod record;
mod restore;
mod snapshot;
mod topics;
mod transaction;
mod worker;

pub use follow::Follower;
pub use options::{KafkaOptions, Login, Mechanism, Security, Tls};

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    Batch, Cleanup, EventLog, LogError, Offset, Partition, Pin, Record, Result, TopicSpec, Worker, partition_of,
};
use append::Appender;
use ends::{Ends, Isolation};
use journals::Journals;
use reader::Reader;
use topics::{Holds, Topics};
use worker::KafkaWorker;

/// How soon the ends of partitions are asked again by those who wait for records, one small request per broker each time; then
/// after twice as long, and so on.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long who does not want to wait waits for an answer to one such request.
const ANSWER: Duration = Duration::from_millis(500);
/// Read at once while looking for a time.
const SCAN_BYTES: usize = 4 << 20;

/// See the module. Its workers may outlive it.
pub struct KafkaLog {
    inner: Arc<Inner>,
    warnings: Vec<String>,
}

/// What the log and its workers share.
struct Inner {
    options: KafkaOptions,
    topics: Vec<TopicSpec>,
    appender: Appender,
    reader: Reader,
    ends: Ends,
    /// For whoever must wait for open transactions; made when it is needed.
    ends_of_all: OnceLock<Ends>,
    journals: Journals,
}

impl KafkaLog {
    /// Connects to the cluster, creates those of `topics` that it does not have, and looks whether all are as they must be.
    ///
    /// # Errors
    /// [`LogError::Unreachable`] if no broker answers or lets us in; [`LogError::WrongTopic`] for a topic with other
    /// partitions, or with settings that would lose records.
    pub fn open(options: &KafkaOptions, topics: &[TopicSpec]) -> Result<Self> {
        let ends = Ends::new(options, Isolation::Committed)?;
        ends.greet()?;
        let inner = Inner {
            options: options.clone(),
            topics: topics.to_vec(),
            appender: Appender::new(options),
            reader: Reader::new(options),
            ends,
            ends_of_all: OnceLock::new(),
            journals: Journals::default(),
        };
        let mut wanted: Vec<_> = topics.iter().map(|spec| (inner.in_cluster(spec), Holds::Records)).collect();
        let journals =
            TopicSpec { name: journals::TOPIC.to_owned(), partitions: 1, cleanup: Cleanup::Compact { after: None } };
        wanted.push((inner.in_cluster(&journals), Holds::Records));
        let warnings = Topics::new(options, &inner.ends)?.ensure(&wanted)?;
        Ok(Self { inner: Arc::new(inner), warnings })
    }

    /// What about the topics is otherwise than asked but does no harm, each with the command that mends it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Inner {
    /// What a topic, a group or a transactional id is called in the cluster.
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    fn in_cluster(&self, spec: &TopicSpec) -> TopicSpec {
        TopicSpec { name: self.name(&spec.name), ..spec.clone() }
    }

    fn spec(&self, topic: &str) -> Result<&TopicSpec> {
        let found = self.topics.iter().find(|spec| spec.name == topic);
        found.ok_or_else(|| LogError::UnknownTopic { topic: topic.to_owned() })
    }

    /// The name in the cluster of a topic that has this partition.
    fn place(&self, topic: &str, partition: Partition) -> Result<String> {
        if partition >= self.spec(topic)?.partitions {
            return Err(LogError::UnknownTopic { topic: format!("{topic}, partition {partition}") });
        }
        Ok(self.name(topic))
    }

    /// Appends, then tells where the journals end.
    fn append(&self, place: &str, parts: &BTreeMap<Partition, Vec<Record>>) -> Result<Vec<Offset>> {
        let firsts = self.appender.append(place, parts)?;
        let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
        for (journal, offset) in parts.values().flatten().filter_map(|record| record.journal.as_ref()) {
            let end = ends.entry(journal).or_default();
            *end = (*end).max(*offset);
        }
        self.appender.tell(&self.name(journals::TOPIC), ends);
        Ok(firsts)
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        self.reader.read(&self.ends, (topic, partition), from, bytes_max)
    }

    /// The ends of all partitions, open transactions included.
    fn ends_of_all(&self) -> Result<&Ends> {
        if let Some(ends) = self.ends_of_all.get() {
            return Ok(ends);
        }
        let ends = Ends::new(&self.options, Isolation::All)?;
        Ok(self.ends_of_all.get_or_init(|| ends))
    }

    /// The ends of all partitions of these topics, asked at once.
    fn ends_of<'a>(&self, topics: impl Iterator<Item = &'a str>, patience: Duration) -> Result<Vec<Vec<Offset>>> {
        let specs = topics.map(|topic| self.spec(topic)).collect::<Result<Vec<_>>>()?;
        let named: Vec<_> = specs.iter().map(|spec| (self.name(&spec.name), spec.partitions)).collect();
        let parts: Vec<_> =
            named.iter().flat_map(|(name, count)| (0..*count).map(|partition| (name.as_str(), partition))).collect();
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let mut ends = self.ends.ends_within(&parts, patience)?.into_iter();
        Ok(specs.iter().map(|spec| ends.by_ref().take(spec.partitions as usize).collect()).collect())
    }

    /// A number that grows with whatever is written to any topic.
    fn moment(&self, patience: Duration) -> Result<u64> {
        let ends = self.ends_of(self.topics.iter().map(|spec| spec.name.as_str()), patience)?;
        Ok(ends.iter().flatten().sum())
    }
}

impl EventLog for KafkaLog {
    fn topics(&self) -> Vec<TopicSpec> {
        self.inner.topics.clone()
    }

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        let place = self.inner.place(topic, partition)?;
        if records.is_empty() {
            return self.inner.ends.end(&place, partition);
        }
        let firsts = self.inner.append(&place, &BTreeMap::from([(partition, records)]))?;
        Ok(firsts.first().copied().unwrap_or_default())
    }

    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        let partitions = self.inner.spec(topic)?.partitions;
        let mut parts: BTreeMap<Partition, Vec<Record>> = BTreeMap::new();
        for record in records {
            parts.entry(partition_of(&record.key, partitions)).or_default().push(record);
        }
        self.inner.append(&self.inner.name(topic), &parts).map(drop)
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        self.inner.read(&self.inner.place(topic, partition)?, partition, from, bytes_max)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)> {
        let place = self.inner.place(topic, partition)?;
        Ok((self.inner.ends.begin(&place, partition)?, self.inner.ends.end(&place, partition)?))
    }

    fn ends(&self, topics: &[&str]) -> Result<Vec<Vec<Offset>>> {
        self.inner.ends_of(topics.iter().copied(), self.inner.options.patience)
    }

    fn offset_at(&self, topic: &str, partition: Partition, at: i64) -> Result<Offset> {
        let place = self.inner.place(topic, partition)?;
        // A timestamp is never before the record's own time, so the record is not before this one, but may be after it.
        let mut next = self.inner.ends.at_timestamp(&place, partition, record::timestamp_before(at))?;
        loop {
            let batch = self.inner.read(&place, partition, next, SCAN_BYTES)?;
            match batch.records.iter().find(|read| read.record.at >= at) {
                Some(found) => return Ok(found.offset),
                None if batch.next == next => return Ok(next),
                None => next = batch.next,
            }
        }
    }

    fn pin(&self, topic: &str, partition: Partition, _from: Offset) -> Result<Pin> {
        self.inner.place(topic, partition).map(|_| Pin(None))
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        self.inner.journals.read(&self.inner, prefix)
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let until = Instant::now() + timeout;
        let mut pause = LOOK_EVERY;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let moment = self.inner.moment(left.max(ANSWER)).unwrap_or_else(|error| {
                tracing::debug!(target: "kafka", error = &error as &dyn std::error::Error, "waiting for records");
                seen
            });
            let left = until.saturating_duration_since(Instant::now());
            if moment != seen || left.is_zero() {
                return moment;
            }
            sleep(left.min(pause));
            pause *= 2;
        }
    }

    fn worker(&self, group: &str, topic: &str) -> Result<Box<dyn Worker>> {
        let spec = self.inner.spec(topic)?;
        Ok(Box::new(KafkaWorker::join(Arc::clone(&self.inner), group, spec)?))
    }
}
