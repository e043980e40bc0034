//! The few file operations that the log needs beyond the standard library's, with errors that name the file.
//!
//! Must not know what is in the files.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
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
    replace_by(dir, name, |file| file.write_all(bytes).map_err(|e| write_error(dir, &format!("write {name}"), e)))
}

/// Like [`replace`], with what `fill` writes. If that fails, the old content stays and no space is taken.
pub(super) fn replace_by<T>(dir: &Path, name: &str, fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    let temporary = dir.join(format!("{name}.new"));
    let failing = |e| write_error(dir, &format!("write {name}"), e);
    let write = || {
        let mut file = BufWriter::new(File::create(&temporary).map_err(failing)?);
        let filled = fill(&mut file)?;
        let mut finish = || {
            file.flush()?;
            file.get_ref().sync_all()?;
            fs::rename(&temporary, dir.join(name))?;
            sync_dir(dir)
        };
        finish().map_err(failing)?;
        Ok(filled)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))
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
