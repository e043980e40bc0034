//! Facts that an answer cannot have, since neither the lake nor the log can give them. Whoever asks is told: a count that
//! lacks rows must not look like one that does not.
//!
//! It knows where, not what: [`super::tail`] finds them, the doors say so in their own words.

use std::fmt::{Display, Formatter, Result};

use calltide_eventlog::{Offset, Partition};

/// A run of offsets of which an answer has no facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The topic of the table's facts.
    pub topic: &'static str,
    /// The partition.
    pub partition: Partition,
    /// The first offset.
    pub from: Offset,
    /// The first one after it that can be read.
    pub to: Offset,
    /// Why.
    pub why: Lost,
}

/// Why facts cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// What is on disk is not what was written.
    Damaged,
    /// The log was cleaned of them before the lake had them.
    Gone,
}

impl Display for Lacking {
    /// In a line, e.g. `calltide.calls/3: offsets 10 to 12 are damaged`.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let why = match self.why {
            Lost::Damaged => "are damaged",
            Lost::Gone => "are gone from the log before the lake had them",
        };
        let Self { topic, partition, from, to, .. } = self;
        write!(f, "{topic}/{partition}: offsets {from} to {} {why}", to.saturating_sub(1))
    }
}
