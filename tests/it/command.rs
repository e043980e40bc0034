//! The built program as people use it: what is on stdout and stderr, which exit code, what is in the data directory.
//!
//! `started` runs it; each other file is about one command or one promise.

#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod checks;
mod failures;
mod generated;
mod imports;
mod lake;
mod questions;
mod running;
mod started;
