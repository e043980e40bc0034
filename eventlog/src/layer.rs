//! A log over another one that does some things in its own way: a slower disk, a quota, a fault.
//!
//! Implement [`Layer`] and override what is different; everything else goes to the log below.

use std::time::Duration;

use crate::{Batch, EventLog, Offset, Partition, Pin, Record, Result, TopicSpec, Worker};

/// See the module. Every layer is an [`EventLog`].
#[expect(missing_docs, reason = "the methods are those of EventLog")]
pub trait Layer: Send + Sync {
    /// The log below.
    fn below(&self) -> &dyn EventLog;

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        self.below().append(topic, partition, records)
    }

    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        self.below().append_by_key(topic, records)
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        self.below().read(topic, partition, from, bytes_max)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)> {
        self.below().bounds(topic, partition)
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        self.below().journals(prefix)
    }

    fn worker(&self, group: &str, topic: &str) -> Result<Box<dyn Worker>> {
        self.below().worker(group, topic)
    }
}

impl<L: Layer> EventLog for L {
    fn topics(&self) -> Vec<TopicSpec> {
        self.below().topics()
    }

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        Layer::append(self, topic, partition, records)
    }

    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        Layer::append_by_key(self, topic, records)
    }

    fn partitions(&self, topic: &str) -> Result<u32> {
        self.below().partitions(topic)
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        Layer::read(self, topic, partition, from, bytes_max)
    }

    fn offset_at(&self, topic: &str, partition: Partition, at: i64) -> Result<Offset> {
        self.below().offset_at(topic, partition, at)
    }

    fn pin(&self, topic: &str, partition: Partition, from: Offset) -> Result<Pin> {
        self.below().pin(topic, partition, from)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)> {
        Layer::bounds(self, topic, partition)
    }

    fn ends(&self, topics: &[&str]) -> Result<Vec<Vec<Offset>>> {
        self.below().ends(topics)
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        Layer::journals(self, prefix)
    }

    fn may_repeat(&self) -> bool {
        self.below().may_repeat()
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.below().wait(seen, timeout)
    }

    fn worker(&self, group: &str, topic: &str) -> Result<Box<dyn Worker>> {
        Layer::worker(self, group, topic)
    }
}
