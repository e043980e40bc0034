//! Pins: who reads from an offset on keeps its segment, and all after it, from being cleaned or deleted.
//!
//! A pin is the kernel's shared lock on the segment's file: it needs no place to write to, holds in every process, and ends
//! with the process that holds it. Cleaning goes from the oldest segment on and stops at the first that it cannot lock.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::{segment, view::Core};
use crate::Offset;

/// A locked segment file; unlocked when dropped.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing would not do: a child that another thread is just starting has a copy of the file until its exec.
        drop(self.0.unlock());
    }
}

/// Pins the segment that holds `from`, or the oldest one if that is gone already. Waits while that segment is being cleaned.
pub(super) fn pin(core: &Core, slot: u32, from: Offset) -> io::Result<Locked> {
    loop {
        let number = {
            let view = core.view.read();
            let after = view.segments.partition_point(|segment| segment.base(slot) <= from);
            view.segments.get(after.max(1) - 1).map_or(0, |segment| segment.number)
        };
        let path = segment::path(&core.dir, number);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && core.forget_deleted() => continue,
            file => file?,
        };
        file.lock_shared()?;
        let locked = Locked(file);
        // It may have been replaced or deleted before it was locked.
        if is_at(&locked.0, &path)? {
            return Ok(locked);
        }
        core.forget_deleted();
    }
}

/// Locks a segment for cleaning. `None`: somebody reads it.
pub(super) fn lock(path: &Path) -> io::Result<Option<Locked>> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Locked(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(there) => Ok(there.ino() == file.metadata()?.ino()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
