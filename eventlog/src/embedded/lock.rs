//! The writer's lock: one process at a time.
//!
//! The lock is the kernel's and ends with the process; the file holds the process id for the message of whoever comes
//! second. Must not know what is in the log.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

use super::{disk, failed};
use crate::{LogError, Result};

/// Held as long as the log is open for writing.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let what = format!("lock the log in {}", dir.display());
        let locking = |e| disk::write_error(dir, &what, e);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join("lock"));
        let mut file = opened.map_err(locking)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The id is a courtesy: the lock is what counts.
                drop(file.read_to_string(&mut pid));
                return Err(LogError::Locked { dir: dir.display().to_string(), pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(e)) => return Err(failed(&what, e)),
        }
        // On a full disk the id may be missing; the lock holds all the same.
        drop(file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes())));
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child that another thread is just starting has a copy of the file until its exec.
        drop(self.0.unlock());
    }
}
