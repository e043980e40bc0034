//! What every fold looks like from outside: records in, effects out, changed entries of its state to be committed with them.
//!
//! A fold is pure and total: no clock, no I/O, no logging, no errors. Bad input is data (a `rejects` row or a note).
//! The runtime drives any fold by this trait alone; adding a fold touches no other.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use calltide_eventlog::{Change, Output, Record};
use calltide_schemas::Micros;
use calltide_schemas::metrics::exposed::Exposed;
use serde::Serialize;

/// A pure state machine over one topic.
pub trait Fold: Send {
    /// Takes in one record.
    fn apply(&mut self, record: &Record, out: &mut Effects);

    /// The state entries that changed since the last call, each key once; they are committed together with the effects.
    fn changes(&mut self) -> Vec<Change>;

    /// Whether there is more to be done than was done with the last record: a tick now does the next part of it.
    fn has_more(&self) -> bool {
        false
    }

    /// When something is to be done next: a tick is wanted then.
    fn next_look(&self) -> Option<Micros> {
        None
    }

    /// What `/metrics` is to show of the state: the values that changed since the last call.
    fn measures(&mut self) -> Vec<Measure> {
        Vec::new()
    }
}

/// A value that a metric has now.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The metric.
    pub of: Exposed,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// In the metric's unit; of a counter the whole count.
    pub value: f64,
}

/// What a fold wants done: decisions as values, carried out by the runtime in one commit.
#[derive(Debug, Default)]
pub struct Effects {
    /// Records to publish.
    pub outputs: Vec<Output>,
    /// What was ignored and why, with its count, for metrics and for the question "why is my call missing?".
    pub notes: BTreeMap<&'static str, u64>,
}

impl Effects {
    /// Publishes a row of a table. Its id is kind, key and version, so that a repeat is recognised anywhere.
    pub fn publish(&mut self, topic: &'static str, kind: &'static str, at: i64, row: &(impl Row + Serialize)) {
        let payload = serde_json::to_vec(row).ok();
        self.push(topic, kind, row.key(), row.version(), at, payload);
    }

    /// Takes a row back: it was told of something that turned out to be a part of something else.
    pub fn withdraw(&mut self, topic: &'static str, kind: &'static str, key: &str, version: i64, at: i64) {
        self.push(topic, kind, key, version, at, None);
    }

    /// Counts something that was ignored.
    pub fn note(&mut self, reason: &'static str) {
        *self.notes.entry(reason).or_default() += 1;
    }

    fn push(
        &mut self,
        topic: &'static str,
        kind: &'static str,
        key: &str,
        version: i64,
        at: i64,
        payload: Option<Vec<u8>>,
    ) {
        self.outputs.push(Output {
            topic: topic.to_owned(),
            record: Record {
                key: key.as_bytes().to_vec(),
                at,
                id: format!("{kind}:{key}:{version}"),
                kind: kind.to_owned(),
                journal: None,
                payload,
            },
        });
    }
}

/// A digest of what a row or a record says, by which it is known whether that was told.
pub(crate) fn content_digest(of: &impl Hash) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A row of a keyed table.
pub trait Row {
    /// Its primary key.
    fn key(&self) -> &str;
    /// Its version, from 1.
    fn version(&self) -> i64;
}

/// Says of rows which column is the key; their version is in the column of that name.
macro_rules! keyed_rows {
    ($($row:ty: $key:ident),+ $(,)?) => {$(
        impl Row for $row {
            fn key(&self) -> &str {
                &self.$key
            }

            fn version(&self) -> i64 {
                self.version
            }
        }
    )+};
}

pub(crate) use keyed_rows;
