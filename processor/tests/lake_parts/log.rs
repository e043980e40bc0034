//! A log in memory: what the lake's tests read from.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use calltide_eventlog::{
    Batch, Cleanup, EventLog, LogError, Offset, Partition, ReadRecord, Record, Result, TopicSpec, Worker,
};

/// Partitions of every topic.
pub(crate) const PARTITIONS: u32 = 2;

/// Offsets begin here and grow by two, as if every other record were a transaction marker.
const FIRST: u64 = 10;

/// The log.
#[derive(Default)]
pub(crate) struct MemoryLog {
    /// It may have a record twice, and says so.
    pub(crate) repeats: AtomicBool,
    records: Mutex<BTreeMap<(String, Partition), Vec<Record>>>,
}

impl MemoryLog {
    /// Appends one record to a partition.
    pub(crate) fn put(&self, topic: &str, partition: Partition, record: Record) {
        self.append(topic, partition, vec![record]).unwrap();
    }
}

impl EventLog for MemoryLog {
    fn topics(&self) -> Vec<TopicSpec> {
        let spec = |name: &str| TopicSpec {
            name: name.to_owned(),
            partitions: PARTITIONS,
            cleanup: Cleanup::Compact { after: None },
        };
        calltide_schemas::topics::TOPICS.iter().map(|topic| spec(topic.name)).collect()
    }

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        let mut all = self.records.lock().unwrap();
        let kept = all.entry((topic.to_owned(), partition)).or_default();
        let offset = FIRST + 2 * kept.len() as u64;
        kept.extend(records);
        Ok(offset)
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        let all = self.records.lock().unwrap();
        let mut batch = Batch { next: from, ..Batch::default() };
        let mut bytes = 0;
        for (index, record) in all.get(&(topic.to_owned(), partition)).into_iter().flatten().enumerate() {
            let offset = FIRST + 2 * index as u64;
            if offset >= from && (bytes < bytes_max || bytes == 0) {
                bytes += record.payload.as_ref().map_or(0, Vec::len);
                batch.records.push(ReadRecord { offset, record: record.clone() });
                batch.next = offset + 2;
            }
        }
        Ok(batch)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)> {
        let all = self.records.lock().unwrap();
        let count = all.get(&(topic.to_owned(), partition)).map_or(0, Vec::len) as u64;
        Ok((FIRST, FIRST + 2 * count))
    }

    fn journals(&self, _prefix: &str) -> Result<Vec<(String, u64)>> {
        Ok(Vec::new())
    }

    fn may_repeat(&self) -> bool {
        self.repeats.load(Ordering::Relaxed)
    }

    fn wait(&self, seen: u64, _timeout: Duration) -> u64 {
        std::thread::yield_now();
        seen
    }

    fn worker(&self, _group: &str, topic: &str) -> Result<Box<dyn Worker>> {
        Err(LogError::UnknownTopic { topic: topic.to_owned() })
    }
}
