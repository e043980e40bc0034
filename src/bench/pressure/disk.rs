//! A disk that is held back by the kernel, where that can be had: the block controller of cgroups v1, for one process.
//!
//! It limits what is synced, which is what the log does. At first the disk is free, to see how much comes; then it takes one
//! and a half times of that, and next to nothing for two seconds out of ten.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{HEADROOM, STALLS, WORKS};

const CONTROLLER: &str = "/sys/fs/cgroup/blkio";

/// For so long it is looked how much comes.
const FREE: Duration = Duration::from_secs(3);

/// A byte a second: as good as nothing.
const STALLED: u64 = 1;

pub(super) struct Disk {
    log: PathBuf,
    group: Option<Group>,
    /// Bytes that came in a second.
    came: Option<f64>,
    limit: u64,
}

/// A control group of ours; it goes with this.
struct Group {
    path: PathBuf,
    device: String,
}

impl Disk {
    /// The disk that the log is on.
    pub(super) fn new(log: PathBuf) -> Self {
        let group = Group::make(&log);
        Self { log, group, came: None, limit: 0 }
    }

    /// Whether the kernel can do it.
    pub(super) fn is_held_back(&self) -> bool {
        self.group.is_some()
    }

    /// From now on for this process.
    pub(super) fn hold_back(&self, pid: u32) {
        if let Some(group) = &self.group
            && let Err(error) = fs::write(group.path.join("cgroup.procs"), pid.to_string())
        {
            tracing::warn!(%error, "the disk is not held back");
        }
    }

    /// To be called often: sets what the disk takes after that time.
    pub(super) fn pace(&mut self, after: Duration, events: usize) {
        let Some(group) = &self.group else { return };
        if after < FREE || events == 0 {
            return;
        }
        let came = *self.came.get_or_insert_with(|| bytes_in(&self.log) as f64 / after.as_secs_f64());
        let turn = (after - FREE).as_millis() % (WORKS + STALLS).as_millis();
        // A log that came empty would be held back for ever.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of a second")]
        let limit = if turn < WORKS.as_millis() { (came * HEADROOM).max(1e5) as u64 } else { STALLED };
        if limit != self.limit {
            self.limit = limit;
            group.limit(limit);
        }
    }

    /// Takes the limit off.
    pub(super) fn release(&self) {
        if let Some(group) = &self.group {
            group.limit(0);
        }
    }
}

impl Group {
    fn make(log: &Path) -> Option<Self> {
        let device = fs::metadata(log).ok()?.dev();
        let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let path = Path::new(CONTROLLER).join(format!("calltide-bench-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self { path, device };
        // Not every device can be held back; 0 takes the limit off.
        group.set(0).ok().map(|()| group)
    }

    fn limit(&self, bytes_per_second: u64) {
        if let Err(error) = self.set(bytes_per_second) {
            tracing::warn!(%error, "the disk's pace could not be set");
        }
    }

    fn set(&self, bytes_per_second: u64) -> std::io::Result<()> {
        let line = format!("{} {bytes_per_second}", self.device);
        fs::write(self.path.join("blkio.throttle.write_bps_device"), line)
    }
}

impl Drop for Group {
    /// A group can only go when nobody is in it: its process has ended before.
    fn drop(&mut self) {
        self.limit(0);
        drop(fs::remove_dir(&self.path));
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}
