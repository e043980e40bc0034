//! A log that takes so many bytes of a disk and no more: beyond that it says that the disk is full, loudly.
//!
//! Collectors then stop reading, as on a full disk, and go on when the forwarder has freed something. Nothing that was
//! appended is ever dropped: what is missed meanwhile is missed at the PBX, where files still have it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_eventlog::{EventLog, Layer, LogError, Offset, Partition, Record, Result};
use parking_lot::Mutex;

/// How often the disk is asked while there is room. Within it a busy PBX writes some megabytes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub struct Quota {
    log: Arc<dyn EventLog>,
    dir: PathBuf,
    bytes_max: u64,
    looked: Mutex<Looked>,
    full: metrics::Gauge,
    bytes: metrics::Gauge,
}

#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    bytes: u64,
    full: bool,
}

impl Quota {
    /// Over the log in that directory.
    pub fn new(log: Arc<dyn EventLog>, dir: &Path, bytes_max: u64) -> Self {
        let (full, bytes) = (metrics::gauge!("calltide_journal_full"), metrics::gauge!("calltide_journal_bytes"));
        full.set(0.0);
        // Displays in bytes; they need not be exact.
        metrics::gauge!("calltide_journal_bytes_max").set(bytes_max as f64);
        bytes.set(used(dir) as f64);
        Self { log, dir: dir.to_owned(), bytes_max, looked: Mutex::default(), full, bytes }
    }

    /// Whether these fit.
    fn keep(&self, records: &[Record]) -> Result<()> {
        let bytes =
            records.iter().filter_map(|record| record.payload.as_ref()).map(|payload| payload.len() as u64).sum();
        if self.has_room(bytes) { Ok(()) } else { Err(LogError::DiskFull { dir: self.dir.display().to_string() }) }
    }

    /// Whether another so many bytes fit.
    fn has_room(&self, bytes: u64) -> bool {
        let mut looked = self.looked.lock();
        looked.bytes += bytes;
        if looked.full || looked.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) || looked.bytes > self.bytes_max {
            looked.bytes = used(&self.dir) + bytes;
            looked.at = Some(Instant::now());
            self.bytes.set((looked.bytes - bytes) as f64);
        }
        let full = looked.bytes > self.bytes_max;
        if full {
            looked.bytes -= bytes;
        }
        if full != std::mem::replace(&mut looked.full, full) {
            self.full.set(f64::from(u8::from(full)));
            let (dir, bytes_max) = (self.dir.display(), self.bytes_max);
            if full {
                tracing::error!(%dir, bytes_max, "the journal's quota is used up: nothing is read until the centre takes events");
            } else {
                tracing::warn!(%dir, "the journal has room again: reading goes on");
            }
        }
        !full
    }
}

/// Bytes of the files in a directory. What cannot be asked counts as nothing: it may just have been deleted.
fn used(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

impl Layer for Quota {
    fn below(&self) -> &dyn EventLog {
        &*self.log
    }

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        self.keep(&records)?;
        self.log.append(topic, partition, records)
    }

    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        self.keep(&records)?;
        self.log.append_by_key(topic, records)
    }
}
