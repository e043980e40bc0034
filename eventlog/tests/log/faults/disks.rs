//! Small real disks that run full: nothing acknowledged is lost, the log opens and reads while they are full, and goes on
//! writing when there is space again.
//!
//! The disks are file systems in memory, which only root can mount; elsewhere that is said, and [`super::limits`] is what remains.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use calltide_eventlog::{
    Change, Commit, EventLog, LogError, Output,
    embedded::{Cleaning, EmbeddedLog, EmbeddedOptions, Groups, verify},
};

use super::{Figures, runs};
use crate::{CALLS, Dice, EVENTS, assigned, call, event, ids, topics};

const DISKS: u64 = 200;

/// A mounted file system, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(kilobytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={kilobytes}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn small(dir: &Path) -> EmbeddedLog {
    let options = EmbeddedOptions { segment_bytes: 30_000, snapshot_bytes: 3_000 };
    EmbeddedLog::open(dir, &topics(), options).unwrap()
}

#[test]
fn a_disk_that_runs_full_costs_nothing_that_was_acknowledged() {
    let mut dice = Dice::seeded("full disks");
    let mut figures = Figures::default();
    for _ in 0..runs(DISKS) {
        let Some(disk) = Disk::of(200 + 4 * dice.below(200)) else {
            return skipped();
        };
        run(&disk, &mut dice);
        figures.add(0);
    }
    figures.show("a full disk, opened while full, then freed");
}

#[expect(clippy::print_stdout, reason = "the figures are what the run is for")]
fn skipped() {
    println!("a full disk: SKIPPED, since only root can mount a small file system");
}

fn run(disk: &Disk, dice: &mut Dice) {
    let dir = disk.path().join("log");
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 40_000 + usize::try_from(dice.below(60_000)).unwrap()]).unwrap();
    let (mut appended, mut committed) = (0, 0);
    let log = small(&dir);
    fill(&log, dice, &mut appended, &mut committed);
    check(&log, appended, committed, "while it runs");
    drop(log);
    let log = small(&dir);
    check(&log, appended, committed, "opened while full");
    check(&EmbeddedLog::open_reader(&dir).unwrap(), appended, committed, "by a reader while full");
    fill(&log, dice, &mut appended, &mut committed);
    fs::remove_file(&ballast).unwrap();
    let many = (appended..appended + 3).map(event).collect();
    assert_eq!(log.append(EVENTS, 0, many).unwrap(), appended, "space has come back");
    appended += 3;
    check(&log, appended, committed, "after it was freed");
    drop(log);
    check(&small(&dir), appended, committed, "opened again");
    assert_eq!(verify(&dir).unwrap(), []);
}

/// Appends and commits until there is no space, a few times over.
fn fill(log: &EmbeddedLog, dice: &mut Dice, appended: &mut u64, committed: &mut u64) {
    let mut full = 0;
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    // What is still to be read stays; changes that a snapshot covers may go, where there is space to write the rest anew.
    let cleaning = Cleaning {
        now: i64::MAX / 2,
        settled: Duration::ZERO,
        bytes_max: None,
        protect: &|_, _| 0,
        groups: Groups::Work,
    };
    while full < 5 {
        if dice.below(20) == 0 {
            log.clean(&cleaning).unwrap();
        }
        let many = 1 + dice.below(40);
        match log.append(EVENTS, 0, (*appended..*appended + many).map(event).collect()) {
            Ok(first) => {
                assert_eq!(first, *appended);
                *appended += many;
            }
            Err(LogError::DiskFull { .. }) => full += 1,
            Err(other) => panic!("{other:?}"),
        }
        let next = (*committed + dice.below(30)).min(*appended);
        let outputs = (*committed..next).map(|n| Output { topic: CALLS.into(), record: call(n) }).collect();
        let value = Some(next.to_string().into_bytes());
        match worker.commit(0, Commit { outputs, changes: vec![Change { key: b"next".to_vec(), value }], next }) {
            Ok(()) => *committed = next,
            Err(LogError::DiskFull { .. }) => {
                full += 1;
                // Its state may be ahead of what is committed: it begins anew.
                worker = log.worker("calls", EVENTS).unwrap();
                assigned(&mut *worker, 2);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn check(log: &EmbeddedLog, appended: u64, committed: u64, when: &str) {
    assert_eq!(ids(log, EVENTS, 0).len() as u64, appended, "events, {when}");
    assert_eq!(ids(log, CALLS, 0).len() as u64, committed, "calls, {when}");
}
