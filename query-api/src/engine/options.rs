//! What an engine is told: where it reads, and how much its queries may take of time, memory and places.
//!
//! Which of these limits holds where is said by the modules that hold them: [`super::memory`], [`super::admission`],
//! [`super::watch`], [`super::moment`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::EventLog;

use super::{LakePlace, LastResort};

/// Where an engine reads, and what a query may use.
#[derive(Clone)]
pub struct EngineOptions {
    /// Where the lake is.
    pub lake: LakePlace,
    /// The log, for what is not in the lake yet; `None`: the lake alone.
    pub log: Option<Arc<dyn EventLog>>,
    /// Memory of all running queries together, in bytes (sorts, joins, aggregates, which spill when it is used up; results):
    /// a quarter for light queries and our own reports, the rest for heavy ones.
    pub memory_bytes: usize,
    /// What the process may take beside that, in bytes, for rows in passing, caches and the facts that the lake does not have
    /// yet: with three quarters of it taken the heavy queries are stopped, beyond it comes the last resort.
    pub margin_bytes: usize,
    /// Where they spill to; made, and removed when it is empty at the end.
    pub spill_dir: PathBuf,
    /// Most bytes spilled at once.
    pub spill_bytes: u64,
    /// Most rows of a result; more are cut off, and the output says so.
    pub rows_max: usize,
    /// Most bytes of a result in memory; more are an error.
    pub result_bytes_max: usize,
    /// Longest time of a query, waiting included.
    pub deadline: Duration,
    /// Most light queries at once; of heavy ones at most half as many, and one for each 256 MiB of the margin. Others wait
    /// within their deadline.
    pub queries_max: usize,
    /// Most queries that wait in a lane for one asker; more are turned away.
    pub waiting_max: usize,
    /// Work that goes on for so long after it was stopped counts as stuck; when all threads are, that calls for the last resort.
    pub stuck_after: Duration,
    /// Called when memory or threads cannot be had back otherwise. `None`: it is only logged.
    pub last_resort: Option<LastResort>,
    /// Most bytes of memory that the facts take which the log has and the lake does not yet, all tables together; a quarter of
    /// the margin at most, whatever this says.
    pub tail_bytes_max: usize,
    /// Threads for queries.
    pub threads: usize,
}

impl EngineOptions {
    /// Limits that fit a machine of 4 GB or more.
    pub fn new(lake: LakePlace, log: Option<Arc<dyn EventLog>>) -> Self {
        Self {
            lake,
            log,
            memory_bytes: 1024 * 1024 * 1024,
            margin_bytes: 1024 * 1024 * 1024,
            spill_dir: std::env::temp_dir(),
            spill_bytes: 10 * 1024 * 1024 * 1024,
            rows_max: 1_000_000,
            result_bytes_max: 512 * 1024 * 1024,
            deadline: Duration::from_secs(60),
            queries_max: 8,
            waiting_max: 32,
            stuck_after: Duration::from_secs(5),
            last_resort: None,
            tail_bytes_max: 256 * 1024 * 1024,
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2),
        }
    }
}
