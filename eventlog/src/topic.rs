//! What a topic is: its name, its partitions, and how long its records are kept.

use std::time::Duration;

/// How old records of a topic are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Records older than this may go (`None`: never).
    Delete {
        /// The age.
        after: Option<Duration>,
    },
    /// At least the latest record of each key stays, for ever or until it is older than this.
    Compact {
        /// The age.
        after: Option<Duration>,
    },
}

/// A topic as it is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name, e.g. `calltide.events`.
    pub name: String,
    /// How many partitions it has; fixed at creation.
    pub partitions: u32,
    /// How it is cleaned.
    pub cleanup: Cleanup,
}
