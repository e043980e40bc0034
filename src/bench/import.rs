//! The whole import, from a file to the lake, in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{PBX, files, line};
use crate::errors::{Exit, Failure, Result};

/// How often the process's peak memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Measures and tells.
pub(crate) fn measure(events: u64) -> Result<String> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io("make", Path::new("a temporary folder"), &error))?;
    let file = files::repeated(folder.path(), events)?;
    let bytes = file.metadata().map_or(0, |meta| meta.len());
    let me = std::env::current_exe().map_err(|error| Failure::io("find", Path::new("this program"), &error))?;
    let mut command = Command::new(me);
    command.args(["import", "--pbx", PBX, "--ami"]).arg(&file).arg("--data").arg(folder.path().join("data"));
    let started = Instant::now();
    let started_child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child =
        started_child.map_err(|error| Failure::new(Exit::Failed, "cannot start the import").because(&error))?;
    let mut peak_kb = 0;
    let status = loop {
        peak_kb = peak_kb.max(resident_peak_kb(child.id()));
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(Failure::new(Exit::Failed, "cannot wait for the import").because(&error)),
        }
    };
    let secs = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(Failure::new(Exit::Failed, format!("the import ended with {status}")));
    }
    let count = usize::try_from(super::copies(events)).unwrap_or(0) * super::copies_events();
    let mut text = line("import: file to lake", count, "events", usize::try_from(bytes).unwrap_or(0), secs);
    text += &format!("{:<24} peak memory {:.0} MB\n", "", peak_kb as f64 / 1024.0);
    Ok(text)
}

/// The highest resident memory that a process had, as Linux tells it; 0 where it doesn't.
pub(super) fn resident_peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|kb| kb.trim().parse().ok()).unwrap_or(0)
}
