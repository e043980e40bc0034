//! Behaviour of the collectors against recorded files and a played-back Asterisk, over a log in memory.
//!
//! One binary; each file of `cases` is about one thing.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "cases/follow.rs"]
mod follow;
#[path = "cases/forward.rs"]
mod forward;
#[path = "cases/import.rs"]
mod import;
#[path = "cases/live.rs"]
mod live;
#[path = "cases/memory.rs"]
mod memory;
#[path = "cases/pressure.rs"]
mod pressure;
