//! The data directory: what is where in it.
//!
//! `log/` has every event and every derived fact, `lake/` the tables, `spill/` what large queries cannot keep in memory, and
//! `control` is the socket of a running `up`, by which imports go through it. Where Kafka is the log, a collector's `log/` is
//! its journal, and `snapshots/` spares a processor reading its whole state from the brokers.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Pid, getuid, test_kill_process};

/// Used when nothing else is said.
pub(crate) const DEFAULT: &str = "calltide-data";
/// The folder of what queries cannot keep in memory, with one folder per process.
const SPILL: &str = "spill";

/// A data directory, which need not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// At that place.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The log's directory.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The lake's directory.
    pub(crate) fn lake(&self) -> PathBuf {
        self.0.join("lake")
    }

    /// Where this process's queries spill to: a folder of its own, in the system's one for temporary files, one for each user, where the data
    /// directory is not ours to write to.
    pub(crate) fn spill(&self) -> PathBuf {
        let parent = match access(&self.0, Access::WRITE_OK) {
            Ok(()) => self.0.join(SPILL),
            Err(_) => std::env::temp_dir().join(format!("calltide-{SPILL}-{}", getuid().as_raw())),
        };
        parent.join(std::process::id().to_string())
    }

    /// Removes what processes that are no more have spilled here.
    pub(crate) fn clear_spill(&self) {
        let Ok(folders) = std::fs::read_dir(self.0.join(SPILL)) else { return };
        for folder in folders.flatten() {
            let process = folder.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            // Where a process of that number lives, it may be its own.
            if process.is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH))
                && let Err(error) = std::fs::remove_dir_all(folder.path())
            {
                tracing::debug!(%error, folder = %folder.path().display(), "old temporary files stay");
            }
        }
    }

    /// Where the state of folds is kept beside a cluster's own copy.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.0.join("snapshots")
    }

    /// Held by the process that works with the data directory where no log in it is.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The socket of a running `up`.
    pub(crate) fn control(&self) -> PathBuf {
        self.0.join("control")
    }
}
