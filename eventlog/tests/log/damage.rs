//! Disks lie: bits flip, tails are torn, files vanish. Whatever is hit is named with its offsets; the rest is readable.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use calltide_eventlog::{
    Change, Commit, EventLog, LogError, Output, Polled,
    embedded::{EmbeddedLog, EmbeddedOptions, Lost, verify},
};

use crate::{ALL, CALLS, EVENTS, append, assigned, call, event, ids, open, open_small, quick_dir, topics};

/// A log of several segments: 60 events in two partitions, 30 commits.
pub(crate) fn write(dir: &Path) {
    let log = open_small(dir);
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    for n in 0..30 {
        log.append(EVENTS, 0, vec![event(2 * n), event(2 * n + 1)]).unwrap();
        log.append(EVENTS, 1, vec![event(n)]).unwrap();
        let change = Change { key: format!("call/{}", n % 7).into(), value: Some(n.to_string().into()) };
        let output = Output { topic: CALLS.into(), record: call(n) };
        worker.commit(0, Commit { outputs: vec![output], changes: vec![change], next: 2 * n + 2 }).unwrap();
    }
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Offsets that are there, whole, and those that are reported.
fn look(log: &dyn EventLog, topic: &str, partition: u32) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut next, mut there, mut lost) = (0, BTreeSet::new(), BTreeSet::new());
    loop {
        let batch = log.read(topic, partition, next, 300).unwrap();
        for read in batch.records {
            let n = read.offset;
            let expected = if topic == CALLS { call(n) } else { event(n) };
            assert_eq!(read.record, expected, "a record that is given is the one that was written");
            assert!(there.insert(n));
        }
        batch.damaged.iter().for_each(|(from, to)| lost.extend(*from..*to));
        if batch.next == next {
            return (there, lost);
        }
        next = batch.next;
    }
}

/// Everything is there or reported, for a reader before the log is opened for writing and for the writer then. Returns how
/// many records are reported.
fn check(dir: &Path) -> usize {
    let reader = EmbeddedLog::open_reader(dir).unwrap();
    let lost = check_topics(&reader, "reader");
    let damage = verify(dir).unwrap();
    let named: u64 = damage.iter().map(|damage| records(&damage.lost)).sum();
    assert_eq!(named, lost as u64, "verify names what reads report: {damage:?}");
    let log = open(dir);
    assert_eq!(check_topics(&log, "writer"), lost);
    // The state is what was committed, or refused; a worker whose last commit is lost does it again.
    let mut worker = log.worker("calls", EVENTS).unwrap();
    match worker.poll(ALL, Duration::ZERO) {
        Ok(Polled::Assigned { next, state, .. }) => {
            let commits = next / 2;
            let expected: BTreeSet<_> = (commits.saturating_sub(7)..commits)
                .map(|n| (format!("call/{}", n % 7).into_bytes(), n.to_string().into_bytes()))
                .collect();
            assert_eq!(state.into_iter().collect::<BTreeSet<_>>(), expected, "after {commits} commits");
        }
        Err(LogError::Damaged { .. }) => {
            assert!(
                damage.iter().any(|damage| matches!(damage.lost, Lost::Changes { .. } | Lost::Snapshot { .. })),
                "{damage:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(log.append(EVENTS, 0, vec![event(60)]).unwrap() >= 60, "offsets that were given are not given again");
    lost
}

fn records(lost: &Lost) -> u64 {
    match lost {
        Lost::Records { from, to, .. } => to - from,
        Lost::Changes { .. } | Lost::Snapshot { .. } | Lost::Nothing => 0,
    }
}

fn check_topics(log: &dyn EventLog, who: &str) -> usize {
    [(EVENTS, 0, 60), (EVENTS, 1, 30), (CALLS, 0, 30)]
        .map(|(topic, partition, count)| {
            let (there, lost) = look(log, topic, partition);
            assert!(there.is_disjoint(&lost));
            let all: BTreeSet<u64> = &there | &lost;
            assert_eq!(all, (0..count).collect(), "{who}: {topic}/{partition}, {} lost", lost.len());
            lost.len()
        })
        .iter()
        .sum()
}

pub(crate) fn check_copy(original: &Path, change: impl FnOnce(&Path)) -> usize {
    let dir = quick_dir();
    copy(original, dir.path());
    change(dir.path());
    check(dir.path())
}

#[test]
fn a_lost_segment_is_reported() {
    let original = quick_dir();
    write(original.path());
    let segments: Vec<_> =
        files(original.path()).into_iter().filter(|file| file.extension().is_some_and(|e| e == "seg")).collect();
    assert!(segments.len() > 3);
    for lost in [&segments[1], &segments[segments.len() - 1]] {
        assert!(check_copy(original.path(), |dir| fs::remove_file(dir.join(lost.file_name().unwrap())).unwrap()) > 0);
    }
}

#[test]
fn a_log_that_was_cut_below_its_published_end_says_what_is_gone() {
    let original = quick_dir();
    write(original.path());
    let last = files(original.path()).into_iter().rfind(|file| file.extension().is_some_and(|e| e == "seg")).unwrap();
    let length = fs::metadata(&last).unwrap().len();
    for cut in [1, 50, 300] {
        let lost = check_copy(original.path(), |dir| {
            let file = fs::File::options().write(true).open(dir.join(last.file_name().unwrap())).unwrap();
            file.set_len(length - cut).unwrap();
        });
        assert!(lost > 0);
    }
}

/// A power loss in the middle of a write: the end was not published yet, and any part of the write may be on disk.
#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let original = quick_dir();
    {
        let log = open(original.path());
        (0..5).for_each(|n| append(&log, 0, n));
    }
    let segment = files(original.path()).into_iter().find(|file| file.extension().is_some_and(|e| e == "seg")).unwrap();
    let acknowledged = fs::metadata(&segment).unwrap().len();
    let published = fs::read(original.path().join("synced")).unwrap();
    {
        let log = open(original.path());
        log.append(EVENTS, 0, vec![event(5)]).unwrap();
        log.append(EVENTS, 0, vec![event(6)]).unwrap();
    }
    let bytes = fs::read(&segment).unwrap();
    let acknowledged = usize::try_from(acknowledged).unwrap();
    for length in acknowledged..bytes.len() {
        for (what, tail) in [("cut", vec![]), ("zeros", vec![0; bytes.len() - length])] {
            let dir = quick_dir();
            copy(original.path(), dir.path());
            fs::write(dir.path().join("synced"), &published).unwrap();
            fs::write(dir.path().join(segment.file_name().unwrap()), [&bytes[..length], &tail].concat()).unwrap();
            let log = open(dir.path());
            let (there, lost) = look(&log, EVENTS, 0);
            assert!(lost.is_empty() && (5..7).contains(&there.len()), "{what} at {length}: {there:?} {lost:?}");
            let next = there.len() as u64;
            assert_eq!(log.append(EVENTS, 0, vec![event(next)]).unwrap(), next, "its offset was never given");
            drop(log);
            assert_eq!(look(&open(dir.path()), EVENTS, 0).0.len() as u64, next + 1);
        }
    }
}

#[test]
fn a_damaged_frame_before_a_later_group_is_no_torn_tail() {
    let dir = quick_dir();
    {
        let log = open(dir.path());
        (0..3).for_each(|n| append(&log, 0, n));
    }
    // The published end was lost with the power, and the middle frame is damaged.
    fs::remove_file(dir.path().join("synced")).unwrap();
    let segment = files(dir.path()).into_iter().find(|file| file.extension().is_some_and(|e| e == "seg")).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (there, lost) = look(&open(dir.path()), EVENTS, 0);
    assert_eq!((there.into_iter().collect::<Vec<_>>(), lost.into_iter().collect::<Vec<_>>()), (vec![0, 2], vec![1]));
}

#[test]
fn state_that_is_lost_is_told_and_can_be_replaced() {
    let dir = quick_dir();
    // Without a snapshot: the state is all of its changes.
    let small = || {
        let options = EmbeddedOptions { segment_bytes: 2000, snapshot_bytes: 1 << 30 };
        EmbeddedLog::open(dir.path(), &topics(), options).unwrap()
    };
    let log = small();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    for n in 0..30 {
        log.append(EVENTS, 0, vec![event(n)]).unwrap();
        let change = Change { key: format!("call/{n}").into(), value: Some(b"old".to_vec()) };
        worker.commit(0, Commit { outputs: Vec::new(), changes: vec![change], next: n + 1 }).unwrap();
    }
    drop((worker, log));
    let first = files(dir.path()).into_iter().find(|file| file.extension().is_some_and(|end| end == "seg")).unwrap();
    fs::remove_file(&first).unwrap();

    let lost = verify(dir.path()).unwrap();
    let is_told = |lost: &Lost| matches!(lost, Lost::Changes { group, partition: 0, from: 0, .. } if group == "calls");
    assert!(lost.iter().any(|damage| is_told(&damage.lost)), "{lost:?}");
    let log = small();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assert!(matches!(worker.poll(ALL, Duration::ZERO), Err(LogError::Damaged { .. })));

    let state = [(b"call/1".to_vec(), b"new".to_vec()), (b"call/2".to_vec(), b"new".to_vec())];
    log.replace_state(("calls", EVENTS, 0), state.clone().into(), 30).unwrap();
    assert!(matches!(worker.poll(ALL, Duration::ZERO), Err(LogError::Fenced { .. })));
    let mut next = log.worker("calls", EVENTS).unwrap();
    assert_eq!(assigned(&mut *next, 2)[0], (30, state.to_vec()));
    drop((worker, next, log));
    let log = small();
    assert_eq!(assigned(&mut *log.worker("calls", EVENTS).unwrap(), 2)[0], (30, state.to_vec()), "opened again");
    assert_eq!(verify(dir.path()).unwrap(), []);
}

#[test]
fn a_log_of_which_only_segments_are_left_is_no_missing_log() {
    for gone in [&["synced"][..], &["layout", "layout.copy"]] {
        let dir = quick_dir();
        write(dir.path());
        gone.iter().for_each(|name| fs::remove_file(dir.path().join(name)).unwrap());
        let told = EmbeddedLog::open_reader(dir.path()).map(drop).unwrap_err();
        assert!(matches!(told, LogError::Damaged { .. }), "{gone:?}: {told}");
        drop(open(dir.path()));
        assert_eq!(ids(&EmbeddedLog::open_reader(dir.path()).unwrap(), CALLS, 0).len(), 30, "{gone:?}");
    }
    let empty = quick_dir();
    assert!(matches!(EmbeddedLog::open_reader(empty.path()).map(drop), Err(LogError::Missing { .. })));
}
