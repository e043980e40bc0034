//! A log in memory, with the promises of the real one that collectors rely on, and a switch that makes it fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use calltide_eventlog::{Batch, Cleanup, EventLog, LogError, Offset, Partition, Record, Result, TopicSpec, Worker};
use calltide_schemas::envelope::{Envelope, Source};

#[derive(Default)]
pub(crate) struct MemoryLog {
    records: Mutex<Vec<Record>>,
    /// Appends that still succeed, if limited.
    allowed: Mutex<Option<usize>>,
    /// Appends that find the disk full before one succeeds.
    disk_full: Mutex<usize>,
}

impl MemoryLog {
    /// From now on this many appends succeed, then all fail.
    pub(crate) fn fail_after(&self, appends: Option<usize>) {
        *self.allowed.lock().unwrap() = appends;
    }

    /// The next so many appends find the disk full.
    pub(crate) fn fill_disk(&self, appends: usize) {
        *self.disk_full.lock().unwrap() = appends;
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        self.records().into_iter().map(|record| String::from_utf8(record.payload.unwrap()).unwrap()).collect()
    }

    pub(crate) fn count(&self, source: Source) -> usize {
        self.records().iter().filter(|record| record.kind == source.name()).count()
    }

    /// Gives each envelope to `each`, after checking that record and envelope agree.
    pub(crate) fn each(&self, mut each: impl FnMut(&Envelope<'_>)) {
        for record in self.records() {
            let payload = record.payload.unwrap();
            let envelope: Envelope<'_> = serde_json::from_slice(&payload).unwrap();
            assert_eq!(record.key, envelope.pbx.as_bytes());
            assert_eq!(record.at, envelope.at.0);
            assert_eq!(record.kind, envelope.source.name());
            assert_eq!(record.id, format!("{}:{}", envelope.journal, envelope.offset));
            assert_eq!(record.journal, Some((envelope.journal.to_string(), envelope.offset)));
            assert_eq!(serde_json::to_vec(&envelope).unwrap(), payload, "as serde writes it");
            each(&envelope);
        }
    }
}

impl EventLog for MemoryLog {
    fn topics(&self) -> Vec<TopicSpec> {
        let cleanup = Cleanup::Delete { after: None };
        vec![TopicSpec { name: "calltide.events".into(), partitions: 1, cleanup }]
    }

    fn append(&self, topic: &str, partition: Partition, mut records: Vec<Record>) -> Result<Offset> {
        assert_eq!((topic, partition), ("calltide.events", 0));
        if let Some(allowed) = self.allowed.lock().unwrap().as_mut() {
            if *allowed == 0 {
                return Err(LogError::Stopped { reason: "as the test wants".into() });
            }
            *allowed -= 1;
        }
        let mut disk_full = self.disk_full.lock().unwrap();
        if *disk_full > 0 {
            *disk_full -= 1;
            return Err(LogError::DiskFull { dir: "memory".into() });
        }
        let mut kept = self.records.lock().unwrap();
        let first = kept.len();
        kept.append(&mut records);
        Ok(first as Offset)
    }

    fn read(&self, _: &str, _: Partition, from: Offset, _: usize) -> Result<Batch> {
        Ok(Batch { next: from, ..Batch::default() })
    }

    fn bounds(&self, _: &str, _: Partition) -> Result<(Offset, Offset)> {
        Ok((0, self.records.lock().unwrap().len() as Offset))
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let mut journals = BTreeMap::new();
        for record in self.records.lock().unwrap().iter() {
            let (journal, offset) = record.journal.clone().unwrap();
            let highest = journals.entry(journal).or_insert(0);
            *highest = offset.max(*highest);
        }
        Ok(journals.into_iter().filter(|(journal, _)| journal.starts_with(prefix)).collect())
    }

    fn wait(&self, seen: u64, _: Duration) -> u64 {
        seen
    }

    fn worker(&self, _: &str, topic: &str) -> Result<Box<dyn Worker>> {
        Err(LogError::UnknownTopic { topic: topic.to_owned() })
    }
}
