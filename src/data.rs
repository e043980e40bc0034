//! The data directory: what is where in it.
//!
//! `log/` has every event and every derived fact, `lake/` the tables, `spill/` what large queries cannot keep in memory, and
//! `control` is the socket of a running `up`, by which imports go through it.

use std::path::{Path, PathBuf};

/// Used when nothing else is said.
pub(crate) const DEFAULT: &str = "calltide-data";

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

    /// Where queries spill to.
    pub(crate) fn spill(&self) -> PathBuf {
        self.0.join("spill")
    }

    /// The socket of a running `up`.
    pub(crate) fn control(&self) -> PathBuf {
        self.0.join("control")
    }

    /// Whether tables were ever written here.
    pub(crate) fn has_lake(&self) -> bool {
        self.lake().join(calltide_schemas::lake::CURRENT).exists()
    }
}
