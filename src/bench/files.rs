//! The recording repeated into a file, for imports of any length.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::repeat::Repeated;
use super::{RECORDING, copies, step_secs};
use crate::errors::{Failure, Result};
use crate::output;

/// Writes `ami.raw` with at least so many events into the folder and says so.
pub(crate) fn write(folder: &Path, events: u64) -> Result<()> {
    let path = repeated(folder, events)?;
    output::note(&format!("wrote {} copies of a recording to {}", copies(events), path.display()));
    Ok(())
}

/// Writes the file; returns its path.
pub(crate) fn repeated(folder: &Path, events: u64) -> Result<PathBuf> {
    let path = folder.join("ami.raw");
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = BufWriter::new(File::create(&path)?);
        let recording = Repeated::new(RECORDING.to_vec());
        let step = step_secs(&recording);
        for nth in 0..copies(events) {
            file.write_all(&recording.copy(nth, i64::from(nth) * step))?;
        }
        file.flush()
    };
    written().map_err(|error| Failure::io("write", &path, &error))?;
    Ok(path)
}
