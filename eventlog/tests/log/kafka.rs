//! The log on a real Kafka: the same conformance as the embedded one, and what only a cluster promises.
//!
//! Needs Java 17 and Maven, which fetches Kafka once. Without them these tests say that they are skipped; with `CI=true` they
//! fail. One broker serves all tests, each with a prefix of its own; those that harm theirs start one for themselves.

mod broker;
mod contract;
mod doors;
mod restarts;
mod security;
mod sharing;
mod snapshots;
mod topics;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use calltide_eventlog::{
    Change, Commit, EventLog, LogError, Output, Partition, Polled, Record, Result, Worker,
    kafka::{KafkaLog, KafkaOptions},
};

use crate::{CALLS, EVENTS, append, call, conformance::check_all, event, ids, topics};
use broker::{Broker, shared};

/// Options for a log that nobody else has.
fn options(broker: &Broker) -> KafkaOptions {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test-{}.", COUNT.fetch_add(1, Ordering::Relaxed));
    KafkaOptions { prefix, ..KafkaOptions::new(broker.servers(), "one") }
}

fn named(options: &KafkaOptions, instance: &str) -> KafkaOptions {
    KafkaOptions { instance: instance.to_owned(), ..options.clone() }
}

fn open(options: &KafkaOptions) -> KafkaLog {
    KafkaLog::open(options, &topics()).unwrap()
}

/// A worker that counts the events of each partition and calls out each of them, once.
struct Counter {
    worker: Box<dyn Worker>,
    counted: BTreeMap<Partition, Counted>,
}

/// What was counted in one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    events: u64,
    /// The last journal offset: what is at or below it was appended again.
    journal: u64,
}

impl Counter {
    fn join(log: &KafkaLog) -> Result<Self> {
        Ok(Self { worker: log.worker("calls", EVENTS)?, counted: BTreeMap::new() })
    }

    /// Does one thing; returns whether there was something to do.
    fn step(&mut self) -> Result<bool> {
        match self.worker.poll(1000, Duration::from_millis(1))? {
            Polled::Assigned { partition, state, .. } => {
                let number = |key: &[u8]| {
                    let value = state.iter().find(|entry| entry.0 == key).map(|entry| &entry.1);
                    value.map_or(0, |value| std::str::from_utf8(value).unwrap().parse().unwrap())
                };
                let counted = Counted { events: number(b"events"), journal: number(b"journal") };
                assert_eq!(self.counted.insert(partition, counted), None, "{partition}");
                Ok(true)
            }
            Polled::Revoked { partition } => {
                assert!(self.counted.remove(&partition).is_some(), "{partition}");
                Ok(true)
            }
            Polled::Batch { batch, .. } if batch.records.is_empty() => Ok(false),
            Polled::Batch { partition, batch } => {
                let (counted, commit) = self.counted[&partition].after(&batch);
                self.worker.commit(partition, commit)?;
                self.counted.insert(partition, counted);
                Ok(true)
            }
        }
    }
}

impl Counted {
    /// What it is after a batch, and the commit that makes it so.
    fn after(mut self, batch: &calltide_eventlog::Batch) -> (Self, Commit) {
        let mut outputs = Vec::new();
        for Record { id, journal, .. } in batch.records.iter().map(|read| &read.record) {
            let offset = journal.as_ref().unwrap().1;
            if offset > self.journal {
                self.events += 1;
                self.journal = offset;
                let record = Record { key: id.clone().into_bytes(), id: id.clone(), ..call(offset) };
                outputs.push(Output { topic: CALLS.into(), record });
            }
        }
        let change = |key: &str, number: u64| Change { key: key.into(), value: Some(number.to_string().into()) };
        let changes = vec![change("events", self.events), change("journal", self.journal)];
        (self, Commit { outputs, changes, next: batch.next })
    }
}

/// Each of the events was called out once, and nothing else was.
fn assert_called_once(log: &dyn EventLog, mut events: Vec<String>) {
    let mut called: Vec<_> = ids(log, CALLS, 0).into_iter().map(|(_, id)| id).collect();
    called.sort_unstable();
    events.sort_unstable();
    assert_eq!(called, events);
}

#[test]
fn kafka_conforms() {
    let Some(broker) = shared() else { return };
    check_all(&|| {
        let options = options(broker);
        Box::new(move || Box::new(open(&options)))
    });
}

#[test]
fn times_are_found_also_those_of_late_records() {
    let Some(broker) = shared() else { return };
    let log = open(&options(broker));
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let at = |n: u64, at: i64| Record { at, ..event(n) };
    // Two years late, in order and not; a second ago; now; a clock that is ahead.
    let times = [event(0).at, event(0).at + 500, event(0).at + 300, now - 1_000_000, now, now + 60_000_000];
    log.append(EVENTS, 0, (0..).zip(times).map(|(n, time)| at(n, time)).collect()).unwrap();
    for (asked, found) in [
        (i64::MIN, 0),
        (times[0], 0),
        (times[0] + 1, 1),
        (times[1] + 1, 3),
        (times[3], 3),
        (times[3] + 1, 4),
        (now + 1, 5),
        (now + 60_000_001, 6),
    ] {
        assert_eq!(log.offset_at(EVENTS, 0, asked).unwrap(), found, "{}", asked - now);
    }
    assert_eq!(log.offset_at(EVENTS, 1, 0).unwrap(), 0, "nothing is there");
}

#[test]
fn one_partition_can_be_read_at_many_places_at_once() {
    let Some(broker) = shared() else { return };
    let log = open(&options(broker));
    (0..10).for_each(|n| append(&log, 0, n));
    std::thread::scope(|scope| {
        for from in 0..10 {
            let log = &log;
            scope.spawn(move || {
                for _ in 0..20 {
                    let read = log.read(EVENTS, 0, from, 1).unwrap();
                    assert_eq!((read.records[0].offset, read.next), (from, from + 1));
                }
            });
        }
    });
    // Where nothing is yet, and where there never was anything.
    assert_eq!(log.read(EVENTS, 0, 10, 1).unwrap().next, 10);
    assert_eq!(log.read(EVENTS, 0, 1000, 1).unwrap().next, 1000);
}

#[test]
fn a_record_that_no_broker_takes_is_refused_and_nothing_with_it() {
    let Some(broker) = shared() else { return };
    let log = open(&options(broker));
    let large = Record { payload: Some(vec![b'x'; 9 << 20]), ..event(2) };
    let refused = log.append(EVENTS, 0, vec![event(1), large]);
    assert!(matches!(refused, Err(LogError::Kafka { .. })), "{refused:?}");
    assert_eq!(ids(&log, EVENTS, 0), []);
    let large = Record { payload: Some(vec![b'x'; 7 << 20]), ..event(2) };
    log.append(EVENTS, 0, vec![event(1), large]).unwrap();
    assert_eq!(ids(&log, EVENTS, 0).len(), 2);
    assert_eq!(ids(&log, CALLS, 0), []);
}
