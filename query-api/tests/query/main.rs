//! The query side from outside: small lakes on disk, a log in memory, and what queries, reports and HTTP make of them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agents_report;
mod bench;
mod broken;
mod callers;
mod charges;
mod data;
mod formats;
mod growth;
mod http;
mod limits;
mod live;
mod memory;
mod outcomes;
mod parameters;
mod plans;
mod queues;
mod random;
mod refusals;
mod terminals;
