//! A disk as full as can be, so that not even a byte in place can be written: a file size limit of zero. [`super::disks`] has
//! real ones.
//!
//! The limit is set on a child process, this binary with the test `child`, which then lifts it.

use std::{path::Path, process::Command};

use calltide_eventlog::{
    EventLog, LogError,
    embedded::{EmbeddedLog, EmbeddedOptions},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{EVENTS, event, ids, open};

const DIR: &str = "CALLTIDE_FULL_DISK_DIR";

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let log = open(dir);
    limit(Some(64 << 10));
    let mut appended = 0;
    let error = loop {
        match log.append(EVENTS, 0, (appended..appended + 20).map(event).collect()) {
            Ok(first) => assert_eq!(first, appended),
            Err(error) => break error,
        }
        appended += 20;
    };
    assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
    assert_eq!(ids(&log, EVENTS, 0).len() as u64, appended, "what was acknowledged can be read");
    assert!(matches!(log.append(EVENTS, 0, (0..20).map(event).collect()), Err(LogError::DiskFull { .. })));
    drop(log);
    // Smaller than any file is now: nothing can be written any more, not even in place.
    limit(Some(0));
    let log = open(dir);
    assert_eq!(ids(&log, EVENTS, 0).len() as u64, appended, "it opens");
    assert!(matches!(log.append(EVENTS, 0, vec![event(appended)]), Err(LogError::DiskFull { .. })));
    let new = EmbeddedLog::open(&dir.join("new"), &[], EmbeddedOptions::default());
    assert!(matches!(new, Err(LogError::DiskFull { .. })));
    limit(None);
    assert_eq!(log.append(EVENTS, 0, vec![event(appended)]).unwrap(), appended, "space has come back");
    drop(log);
    assert_eq!(ids(&open(dir), EVENTS, 0).len() as u64, appended + 1);
}

#[test]
fn a_full_disk_costs_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    // The shell ignores the signal that comes with the limit; the child inherits that.
    let status = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; exec "$0" faults::limits::child --exact --test-threads=1"#])
        .arg(std::env::current_exe().unwrap())
        .env(DIR, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}
