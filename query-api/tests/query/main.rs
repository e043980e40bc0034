//! The query side from outside: small lakes on disk, a log in memory, and what queries, reports and HTTP make of them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bench;
mod broken;
mod data;
mod formats;
mod growth;
mod http;
mod limits;
mod memory;
mod outcomes;
mod parameters;
mod plans;
mod queues;
mod random;
mod refusals;
