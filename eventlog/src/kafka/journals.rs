//! Where journals end: a compacted topic of its own, so that it outlives the records.
//!
//! Appends write to it after their records were acknowledged, without waiting: it is at most behind, never ahead. Whoever goes
//! on from there repeats a few records at worst, which are recognised by their journal offsets.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::Inner;
use crate::{Offset, Result};

/// Its name; the key is the journal, the payload its highest offset as a JSON number.
pub(super) const TOPIC: &str = "calltide.journals";

/// Read at once.
const READ_BYTES: usize = 4 << 20;

/// What was read of the topic.
#[derive(Debug, Default)]
pub(super) struct Journals {
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    ends: BTreeMap<String, u64>,
    next: Offset,
}

impl Journals {
    /// See [`EventLog::journals`](crate::EventLog::journals).
    pub(super) fn read(&self, log: &Inner, prefix: &str) -> Result<Vec<(String, u64)>> {
        let topic = log.name(TOPIC);
        let mut read = self.read.lock();
        loop {
            let batch = log.read(&topic, 0, read.next, READ_BYTES)?;
            if batch.next == read.next {
                break;
            }
            read.next = batch.next;
            for record in batch.records.into_iter().map(|read| read.record) {
                let end = record.payload.and_then(|payload| serde_json::from_slice(&payload).ok());
                if let (Ok(journal), Some(end)) = (String::from_utf8(record.key), end) {
                    read.take(journal, end);
                }
            }
        }
        // What this process wrote may not have arrived yet.
        log.appender.told().into_iter().for_each(|(journal, end)| read.take(journal, end));
        let matching = read.ends.range(prefix.to_owned()..).take_while(|(journal, _)| journal.starts_with(prefix));
        Ok(matching.map(|(journal, end)| (journal.clone(), *end)).collect())
    }
}

impl Read {
    fn take(&mut self, journal: String, end: u64) {
        let known = self.ends.entry(journal).or_default();
        *known = end.max(*known);
    }
}
