//! The few file operations that the log needs beyond the standard library's, with errors that name the file.
//!
//! Must not know what is in the files.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::failed;
use crate::{LogError, Result};

/// What Linux says of a sector that cannot be read.
const EIO: i32 = 5;
/// What it reads at a time, at least.
const PAGE_BYTES: usize = 4096;

/// Replaces a file as a whole: after a crash either the old or the new content is there.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}.new"));
    let write = || {
        let file = File::create(&temporary)?;
        file.write_all_at(bytes, 0)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_dir(dir)
    };
    write().map_err(|e| write_error(dir, &format!("write {}", path.display()), e))
}

/// Makes the names in a directory survive a power loss.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Tells a full disk from other errors of writing. A file size limit and a quota are full disks too.
pub(super) fn write_error(dir: &Path, what: &str, error: io::Error) -> LogError {
    if is_full(&error) {
        return LogError::DiskFull { dir: dir.display().to_string() };
    }
    failed(what, error)
}

pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    [StorageFull, QuotaExceeded, FileTooLarge].contains(&error.kind())
}

/// Reads as much of `[position, position + length)` as the file has. What the disk cannot read any more comes as zeros, so
/// that it is damage like any other, found by its checksum, and the rest is read all the same.
pub(super) fn read_up_to(file: &File, position: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.raw_os_error() == Some(EIO) => {
                let at = position + filled as u64;
                tracing::error!(position = at, "a page of a segment cannot be read from the disk");
                let rest_of_page = PAGE_BYTES - usize::try_from(at % PAGE_BYTES as u64).unwrap_or(0);
                filled = length.min(filled + rest_of_page);
            }
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
