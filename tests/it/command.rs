//! The built program as people use it: what is on stdout and stderr, which exit code, what is in the data directory.
//!
//! Each file is about one command or one promise.

#![expect(clippy::unwrap_used, reason = "tests")]

mod aborted;
mod agents;
mod attacks;
mod checks;
mod failures;
mod followed;
mod generated;
mod imports;
mod lake;
mod questions;
mod recycling;
mod running;
mod sources;

use crate::started;
