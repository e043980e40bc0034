//! A group's state in the cluster: a compacted topic with the input's partitions, written by the same transactions as outputs.
//!
//! An entry's key is behind `=`; the key `next` has the input offset of the same transaction as a JSON number, which is where
//! the work goes on. Kafka's own offsets of the group are for its tools, and expire. The first record of a partition is its
//! birth, which no other topic of the same name has. Must not know what entries mean. Read on in `snapshot`.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    thread::sleep,
    time::Instant,
};

use super::{Inner, LOOK_EVERY, record::STATE, snapshot};
use crate::{Change, LogError, Offset, Partition, Record, Result};

/// Read at once.
const READ_BYTES: usize = 16 << 20;
/// The key of the progress.
const NEXT: &[u8] = b"next";
/// The key of what tells a partition from all others.
const BIRTH: &[u8] = b"birth";
/// What stands before an entry's key.
const ENTRY: u8 = b'=';

/// The topic of a group's state.
pub(super) fn topic(group: &str) -> String {
    format!("calltide.state.{group}")
}

/// The records of a commit's changes and its progress.
pub(super) fn records(changes: Vec<Change>, next: Offset) -> impl Iterator<Item = Record> {
    let record = |key, payload| Record { key, kind: STATE.to_owned(), payload, ..Record::default() };
    let entry = move |change: Change| {
        let mut key = Vec::with_capacity(change.key.len() + 1);
        key.push(ENTRY);
        key.extend_from_slice(&change.key);
        record(key, change.value)
    };
    changes.into_iter().map(entry).chain([record(NEXT.to_vec(), Some(next.to_string().into_bytes()))])
}

/// The first record of a partition.
pub(super) fn birth() -> Record {
    // The standard library's only source of randomness.
    let random = || RandomState::new().build_hasher().finish();
    let payload = Some(format!("\"{:016x}{:016x}\"", random(), random()).into_bytes());
    Record { key: BIRTH.to_vec(), kind: STATE.to_owned(), payload, ..Record::default() }
}

/// A partition's state as it was committed last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The input offset at which the work goes on; `None` if none was ever committed.
    pub(super) next: Option<Offset>,
    /// Of the partition; `None` before the first commit.
    pub(super) birth: Option<Vec<u8>>,
    /// Where reading the topic goes on.
    pub(super) read_to: Offset,
}

impl State {
    /// The state as it is now, from the snapshot as far as there is one; after much was read a new one is made.
    pub(super) fn restore(log: &Inner, group: &str, partition: Partition) -> Result<Self> {
        let topic = log.name(&topic(group));
        let path = log.options.snapshots.as_ref().map(|dir| snapshot::path(dir, &topic, partition));
        let mut state = Self::default();
        if let Some(path) = &path {
            let first = log.read(&topic, partition, log.ends.begin(&topic, partition)?, 1)?.records.into_iter().next();
            let birth = first.filter(|first| first.record.key == BIRTH).and_then(|first| first.record.payload);
            state = birth.and_then(|birth| snapshot::load(path, &birth)).unwrap_or_default();
        }
        let read = state.read_on(log, group, partition)?;
        if let Some(path) = &path
            && read >= log.options.snapshot_bytes
            && let Err(error) = snapshot::store(path, &state)
        {
            tracing::warn!(%error, path = %path.display(), "a snapshot of the state was not made");
        }
        Ok(state)
    }

    /// Takes in what is in the topic, up to its present end. Whoever wrote to it before must be unable to by now; a
    /// transaction that they left open is waited for. Returns how many bytes that were.
    fn read_on(&mut self, log: &Inner, group: &str, partition: Partition) -> Result<u64> {
        let topic = log.name(&topic(group));
        let end = log.ends_of_all()?.end(&topic, partition)?;
        let until = Instant::now() + log.options.patience;
        // The last commit's markers may still be on their way, and what is behind an open transaction cannot be read.
        while log.ends.end(&topic, partition)? < end {
            if Instant::now() >= until {
                let reason = "a transaction was left open".to_owned();
                let (what, servers) = (format!("restore the state of {group}"), log.options.servers.clone());
                return Err(LogError::Unreachable { what, servers, reason });
            }
            sleep(LOOK_EVERY);
        }
        let mut bytes = 0;
        while self.read_to < end {
            let batch = log.read(&topic, partition, self.read_to, READ_BYTES)?;
            self.read_to = batch.next;
            for read in batch.records {
                bytes += read.record.payload.as_ref().map_or(0, Vec::len) as u64;
                self.take(read.record).ok_or_else(|| LogError::Damaged {
                    what: format!("the state of {group} in {topic}, partition {partition}, offset {}", read.offset),
                })?;
            }
        }
        Ok(bytes)
    }

    fn take(&mut self, record: Record) -> Option<()> {
        let Record { mut key, payload, .. } = record;
        if key == NEXT {
            self.next = Some(serde_json::from_slice(&payload?).ok()?);
            return Some(());
        }
        if key == BIRTH {
            self.birth = payload;
            return Some(());
        }
        if key.first() != Some(&ENTRY) {
            return None;
        }
        key.remove(0);
        match payload {
            Some(value) => drop(self.entries.insert(key, value)),
            None => drop(self.entries.remove(&key)),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_what_its_changes_left() {
        let change = |key: &str, value: Option<&str>| Change { key: key.into(), value: value.map(Into::into) };
        let mut state = State::default();
        let commits = [
            (vec![change("b", Some("1")), change("", Some("1")), change("next", Some("1"))], 7),
            (vec![change("b", None), change("a", Some("2")), change("", Some("2"))], 9),
        ];
        assert_ne!(birth(), birth());
        assert_eq!(state.take(birth()), Some(()));
        for (changes, next) in commits {
            records(changes, next).for_each(|record| assert_eq!(state.take(record), Some(())));
        }
        let entries = [("", "2"), ("a", "2"), ("next", "1")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!((state.entries, state.next), (BTreeMap::from(entries), Some(9)));
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for record in [
            Record { key: b"other".to_vec(), ..Record::default() },
            Record { key: NEXT.to_vec(), payload: Some(b"soon".to_vec()), ..Record::default() },
            Record::default(),
        ] {
            assert_eq!(State::default().take(record), None);
        }
    }
}
