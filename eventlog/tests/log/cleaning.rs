//! What cleaning takes and what it must leave: by age, by size and by key, with readers, groups and the lake in the way.
//!
//! The caller says what time it is. Records here are a second apart.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use calltide_eventlog::{
    Change, Cleanup, Commit, EventLog, Output, Record, TopicSpec,
    embedded::{Cleaned, Cleaning, EmbeddedLog, EmbeddedOptions, Groups, Lost, verify},
};

use crate::{CALLS, Dice, EVENTS, assigned, call, event, ids, quick_dir};

const SECOND: i64 = 1_000_000;
const KEPT: Duration = Duration::from_secs(100);
const NOTES: &str = "calltide.notes";

/// Events are kept for 100 s, calls by key for ever, notes by key for 100 s.
fn topics() -> Vec<TopicSpec> {
    let topic = |name: &str, cleanup| TopicSpec { name: name.into(), partitions: 1, cleanup };
    vec![
        topic(EVENTS, Cleanup::Delete { after: Some(KEPT) }),
        topic(CALLS, Cleanup::Compact { after: None }),
        topic(NOTES, Cleanup::Compact { after: Some(KEPT) }),
    ]
}

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, &topics(), EmbeddedOptions { segment_bytes: 2000, snapshot_bytes: 500 }).unwrap()
}

/// A record that happened `second` seconds after the first one.
fn at(second: u64, record: Record) -> Record {
    Record { at: event(0).at + i64::try_from(second).unwrap() * SECOND, ..record }
}

fn append(log: &EmbeddedLog, topic: &str, record: Record) {
    log.append(topic, 0, vec![record]).unwrap();
}

/// Cleans at a time, with everything free to go but what `protect` says.
fn clean_with(log: &EmbeddedLog, second: u64, bytes_max: Option<u64>, protect: u64) -> Cleaned {
    clean_for(log, second, bytes_max, protect, Groups::Work)
}

fn clean_for(log: &EmbeddedLog, second: u64, bytes_max: Option<u64>, protect: u64, groups: Groups) -> Cleaned {
    let now = at(second, event(0)).at;
    // Files are written now, records say that they are from long ago: what counts is the older of the two.
    let asked = Cleaning { now, settled: Duration::ZERO, bytes_max, protect: &|_, _| protect, groups };
    // Segments are as young as the machine's clock says, which is far ahead of `now`.
    age_files(log, now);
    log.clean(&asked).unwrap()
}

fn clean(log: &EmbeddedLog, second: u64) -> Cleaned {
    clean_with(log, second, None, u64::MAX)
}

/// Lets files be as old as the time that the test is told in.
fn age_files(log: &EmbeddedLog, now: i64) {
    let time = std::time::UNIX_EPOCH + Duration::from_micros(u64::try_from(now - SECOND).unwrap());
    for file in fs::read_dir(log.dir()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
    }
}

fn keys(log: &dyn EventLog, topic: &str) -> Vec<(u64, String)> {
    let (mut next, mut found) = (0, Vec::new());
    loop {
        let batch = log.read(topic, 0, next, 4000).unwrap();
        assert_eq!(batch.damaged, []);
        if batch.next == next {
            return found;
        }
        next = batch.next;
        found.extend(batch.records.into_iter().map(|r| (r.offset, String::from_utf8(r.record.key).unwrap())));
    }
}

#[test]
fn old_records_go_and_the_latest_of_each_key_stays_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in (0..200).step_by(5) {
        log.append(EVENTS, 0, (n..n + 5).map(|n| at(n, event(n))).collect()).unwrap();
        log.append(CALLS, 0, (n..n + 5).map(|n| at(n, call(n % 20))).collect()).unwrap();
    }
    assert_eq!(clean_with(&log, 220, None, 0), Cleaned::default(), "protected");
    let done = clean(&log, 220);
    assert!(done.rewritten > 3 && done.bytes > 5000, "{done:?}");
    let (first, next) = log.bounds(EVENTS, 0).unwrap();
    assert!((100..=120).contains(&first) && next == 200, "{first}");
    assert_eq!(ids(&log, EVENTS, 0).len() as u64, 200 - first);
    let calls = keys(&log, CALLS);
    assert!(calls.len() < 100, "{} of 200 are left", calls.len());
    assert!(calls.iter().all(|(offset, key)| *key == format!("call-{}", offset % 20)), "offsets are what they were");
    let latest: BTreeMap<_, _> = calls.iter().map(|(offset, key)| (key.clone(), *offset)).collect();
    assert_eq!(latest.len(), 20);
    assert!(latest.values().all(|offset| *offset >= 180), "{latest:?}");
    assert_eq!(log.bounds(CALLS, 0).unwrap().0, calls[0].0);
    drop(log);
    assert_eq!(verify(dir.path()).unwrap(), [], "what was removed is not lost");
    let log = open(dir.path());
    assert_eq!(keys(&log, CALLS), calls);
    assert_eq!(log.bounds(EVENTS, 0).unwrap(), (first, 200));
    assert_eq!(log.journals("").unwrap(), [("pbx-1/ami".to_owned(), 199)], "journals outlive the records");
    assert_eq!(keys(&EmbeddedLog::open_reader(dir.path()).unwrap(), CALLS), calls);
}

#[test]
fn nothing_goes_that_somebody_has_still_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    (0..100).for_each(|n| append(&log, EVENTS, at(n, event(n))));
    let kept = |log: &EmbeddedLog| log.bounds(EVENTS, 0).unwrap().0;
    assert_eq!(clean(&log, 90).bytes, 0, "too young");
    assert_eq!(clean_with(&log, 1000, None, 0).bytes, 0, "protected");
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 1);
    assert_eq!(clean(&log, 1000).bytes, 0, "the group has not read them");
    worker.commit(0, Commit { next: 80, ..Commit::default() }).unwrap();
    clean_with(&log, 1000, None, 50);
    assert!((40..=50).contains(&kept(&log)), "{}", kept(&log));
    let reader = EmbeddedLog::open_reader(dir.path()).unwrap();
    let pin = reader.pin(EVENTS, 0, 60).unwrap();
    clean(&log, 1000);
    assert!((50..=60).contains(&kept(&log)), "pinned in another process: {}", kept(&log));
    assert_eq!(reader.read(EVENTS, 0, 60, 1).unwrap().records[0].offset, 60);
    drop(pin);
    clean(&log, 1000);
    assert!((61..=80).contains(&kept(&log)), "the group is at 80: {}", kept(&log));
    assert_eq!(ids(&reader, EVENTS, 0)[0].0, kept(&log), "a reader goes on at what is left");
    (100..200).for_each(|n| append(&log, EVENTS, at(n, event(n))));
    clean(&log, 1000);
    assert!((61..=80).contains(&kept(&log)), "the group is still at 80: {}", kept(&log));
    drop(worker);
    clean_for(&log, 1000, None, 150, Groups::Left);
    assert!((120..=150).contains(&kept(&log)), "the group works elsewhere: {}", kept(&log));
    assert_eq!(verify(dir.path()).unwrap(), []);
}

#[test]
fn a_log_that_is_too_large_loses_its_oldest_records_that_have_an_age() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..100 {
        log.append(EVENTS, 0, vec![at(n, event(n))]).unwrap();
        log.append(CALLS, 0, vec![at(n, call(n))]).unwrap();
        log.append(NOTES, 0, vec![at(n, call(n))]).unwrap();
    }
    let bytes: u64 = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let done = clean_with(&log, 100, Some(bytes / 2), u64::MAX);
    assert_eq!(done.over, 0, "{done:?}");
    assert_eq!(keys(&log, CALLS).len(), 100, "for ever is for ever");
    let events = log.bounds(EVENTS, 0).unwrap().0;
    assert!(events > 0 && events < 90, "{events}");
    assert!(log.bounds(NOTES, 0).unwrap().0.abs_diff(events) <= 1);
    let done = clean_with(&log, 100, Some(1000), u64::MAX);
    assert!(done.over > 5000, "the calls must stay: {done:?}");
}

#[test]
fn a_tombstone_stays_for_a_day_and_as_long_as_there_is_what_it_takes_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let gone = |n: u64| Record { payload: None, ..at(20, call(n)) };
    log.append(CALLS, 0, (0..20).map(|n| at(n, call(n))).collect()).unwrap();
    log.append(CALLS, 0, (0..20).map(gone).collect()).unwrap();
    // So that all of it lies in sealed segments that may be cleaned.
    (100..160).for_each(|n| append(&log, CALLS, at(30, call(n))));
    clean(&log, 1000);
    let left = keys(&log, CALLS);
    assert_eq!(left.iter().filter(|(offset, _)| *offset < 20).count(), 0, "what was taken back is gone");
    assert_eq!(left.iter().filter(|(offset, _)| (20..40).contains(offset)).count(), 20, "whoever follows learns of it");
    drop(log);
    let log = open(dir.path());
    clean(&log, 90_000);
    assert_eq!(keys(&log, CALLS).iter().filter(|(offset, _)| *offset < 40).count(), 0);
    assert_eq!(keys(&log, CALLS).len(), 60);
}

#[test]
fn a_reader_that_lags_behind_or_has_an_old_segment_open_reads_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let write = |from: u64| (from..from + 100).for_each(|n| append(&log, CALLS, at(n, call(n % 10))));
    write(0);
    let reader = EmbeddedLog::open_reader(dir.path()).unwrap();
    let first = reader.read(CALLS, 0, 0, 1).unwrap();
    assert_eq!(first.records[0].offset, 0);
    write(100);
    assert!(clean(&log, 1000).rewritten > 0);
    let left = keys(&log, CALLS);
    assert!(left.len() < 60);
    let read = keys(&reader, CALLS);
    assert!(left.iter().all(|record| read.contains(record)), "what it has open it reads as it was");
    assert_eq!(keys(&EmbeddedLog::open_reader(dir.path()).unwrap(), CALLS), left);
    assert_eq!(reader.journals("").unwrap(), log.journals("").unwrap());
}

#[test]
fn state_survives_the_cleaning_of_its_changes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 1);
    for n in 0..300 {
        log.append(EVENTS, 0, vec![at(n, event(n))]).unwrap();
        let change = Change { key: format!("k{}", n % 7).into(), value: Some(n.to_string().into()) };
        let outputs = vec![Output { topic: CALLS.into(), record: at(n, call(n % 30)) }];
        worker.commit(0, Commit { outputs, changes: vec![change], next: n + 1 }).unwrap();
    }
    drop(worker);
    let restored = |log: &EmbeddedLog| assigned(&mut *log.worker("calls", EVENTS).unwrap(), 1).swap_remove(0);
    let before = restored(&log);
    assert_eq!(before.0, 300);
    let size = |dir: &Path| fs::read_dir(dir).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum::<u64>();
    let was = size(dir.path());
    let done = clean(&log, 1000);
    assert!(size(dir.path()) < was / 2, "{was} bytes, now {}: {done:?}", size(dir.path()));
    assert_eq!(restored(&log), before);
    drop(log);
    assert_eq!(restored(&open(dir.path())), before);
    assert_eq!(verify(dir.path()).unwrap(), []);
}

#[test]
fn damage_in_a_cleaned_segment_is_reported_with_its_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..120 {
        log.append(EVENTS, 0, vec![at(n, event(n))]).unwrap();
        log.append(CALLS, 0, vec![at(n, call(if n % 2 == 0 { n } else { 1001 }))]).unwrap();
    }
    assert!(clean(&log, 1000).rewritten > 10);
    let before = keys(&log, CALLS);
    drop(log);
    let mut segments: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().path()).collect();
    let is_cleaned = |path: &Path| fs::read(path).unwrap().windows(4).any(|bytes| bytes == [0xff, b'C', b'T', 0xfd]);
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "seg") && is_cleaned(path));
    segments.sort();
    let mut bytes = fs::read(&segments[0]).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&segments[0], bytes).unwrap();
    let found = verify(dir.path()).unwrap();
    let lost: Vec<_> = found.iter().map(|damage| &damage.lost).collect();
    let [Lost::Records { topic, from, to, .. }] = lost.as_slice() else { panic!("{found:?}") };
    assert_eq!(topic, CALLS);
    let log = open(dir.path());
    let batch = log.read(CALLS, 0, 0, usize::MAX).unwrap();
    assert_eq!(batch.damaged, [(*from, *to)]);
    let rest: Vec<_> = batch.records.iter().map(|record| record.offset).collect();
    let expected: Vec<_> = before.iter().map(|(offset, _)| *offset).filter(|o| !(*from..*to).contains(o)).collect();
    assert_eq!(rest, expected, "the rest is read");
    // It stays what it is, however often the segment is cleaned.
    (0..200).for_each(|n| append(&log, CALLS, at(500, call(1000 + n))));
    clean(&log, 2000);
    assert_eq!(log.read(CALLS, 0, 0, usize::MAX).unwrap().damaged, [(*from, *to)]);
}

/// Random appends, commits, cleanings, reopenings: whatever may not go is there, with its offset, and nothing else than was
/// written.
#[test]
fn random_cleaning_takes_only_what_may_go() {
    let mut dice = Dice::seeded("cleaning");
    for _ in 0..20 {
        let dir = quick_dir();
        let mut log = open(dir.path());
        let mut written: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
        let (mut second, mut free) = (0, 0);
        for _ in 0..150 {
            second += dice.below(3);
            match dice.below(12) {
                0 => {
                    drop(log);
                    log = open(dir.path());
                }
                1 | 2 => {
                    let protect = dice.below(400);
                    free = protect.max(free);
                    clean_with(&log, second, (dice.below(3) == 0).then(|| dice.below(30_000)), protect);
                    check(&log, &written, free);
                }
                roll => {
                    let topic = [EVENTS, CALLS, NOTES][usize::try_from(roll % 3).unwrap()];
                    let one = |dice: &mut Dice| {
                        let record = at(second, call(dice.below(25)));
                        Record { payload: record.payload.filter(|_| dice.below(6) > 0), ..record }
                    };
                    let records: Vec<_> = (0..1 + dice.below(12)).map(|_| one(&mut dice)).collect();
                    written.entry(topic).or_default().extend(records.iter().cloned());
                    log.append(topic, 0, records).unwrap();
                }
            }
        }
        drop(log);
        assert_eq!(verify(dir.path()).unwrap(), []);
    }
}

fn check(log: &EmbeddedLog, written: &BTreeMap<&str, Vec<Record>>, protect: u64) {
    for (topic, records) in written {
        let batch = log.read(topic, 0, 0, usize::MAX).unwrap();
        assert_eq!((batch.next, batch.damaged.len()), (records.len() as u64, 0));
        let there: BTreeMap<u64, &Record> = batch.records.iter().map(|read| (read.offset, &read.record)).collect();
        let mut latest = BTreeMap::new();
        for (offset, record) in (0..).zip(records) {
            latest.insert(&record.key, offset);
            if let Some(found) = there.get(&offset) {
                assert_eq!(*found, record, "{topic} {offset}");
            }
            assert!(offset < protect || there.contains_key(&offset), "{topic} {offset} is protected from {protect}");
        }
        if *topic == CALLS {
            // No tombstone is a day old here.
            assert!(latest.values().all(|offset| there.contains_key(offset)), "the latest of each key stays");
        }
    }
}
