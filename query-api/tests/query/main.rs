//! The query side from outside: small lakes on disk, a log in memory, and what queries, reports and HTTP make of them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bench;
mod data;
mod formats;
mod http;
mod limits;
mod outcomes;
mod random;
mod refusals;
