//! The lake in an object store, over S3's API: what a folder promises holds there too, and a store that is away harms nothing.
//!
//! `server` starts the store, `tables` writes to it as a library does, `commands` as people do, `outages` take it away.

#![expect(clippy::unwrap_used, reason = "tests")]

mod commands;
mod outages;
pub(crate) mod server;
mod tables;
