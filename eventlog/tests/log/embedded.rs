//! What only the embedded log promises: its lock, its readers in other processes, its segments and snapshots.

use std::{fs, time::Duration};

use calltide_eventlog::{
    Change, Cleanup, Commit, EventLog, LogError, Polled, TopicSpec,
    embedded::{Damage, EmbeddedLog, EmbeddedOptions, Lost, verify},
};

use crate::{CALLS, EVENTS, append, assigned, call, event, ids, open, open_small, topics};

#[test]
fn a_second_writer_is_told_who_holds_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let second = EmbeddedLog::open(dir.path(), &topics(), EmbeddedOptions::default());
    assert!(matches!(second, Err(LogError::Locked { pid: Some(pid), .. }) if pid == std::process::id()));
    drop(log);
    open(dir.path());
}

#[test]
fn a_worker_keeps_the_log_locked_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let worker = log.worker("calls", EVENTS).unwrap();
    drop(log);
    assert!(EmbeddedLog::open(dir.path(), &topics(), EmbeddedOptions::default()).is_err());
    drop(worker);
    open(dir.path());
}

#[test]
fn there_is_nothing_to_read_where_no_log_is() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(EmbeddedLog::open_reader(dir.path()), Err(LogError::Missing { .. })));
    assert!(matches!(EmbeddedLog::open_reader(&dir.path().join("none")), Err(LogError::Missing { .. })));
}

#[test]
fn a_reader_follows_the_writer_through_new_frames_and_segments() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_small(dir.path());
    let reader = EmbeddedLog::open_reader(dir.path()).unwrap();
    assert_eq!(reader.topics(), topics());
    let mut seen = reader.wait(0, Duration::ZERO);
    for n in 0..100 {
        assert_eq!(reader.bounds(EVENTS, 0).unwrap(), (0, n));
        log.append(EVENTS, 0, vec![event(n)]).unwrap();
        let moment = reader.wait(seen, Duration::from_secs(60));
        assert_ne!(moment, seen);
        seen = moment;
        assert_eq!(reader.read(EVENTS, 0, n, 1).unwrap().records.len(), 1);
    }
    assert!(fs::read_dir(dir.path()).unwrap().count() > 10, "many segments");
    assert_eq!(ids(&reader, EVENTS, 0), ids(&log, EVENTS, 0));
    assert_eq!(reader.journals("").unwrap(), log.journals("").unwrap());
}

#[test]
fn a_reader_sees_nothing_beyond_the_published_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(EVENTS, 0, vec![event(0)]).unwrap();
    let published = fs::read(dir.path().join("synced")).unwrap();
    let reader = EmbeddedLog::open_reader(dir.path()).unwrap();
    log.append(EVENTS, 0, vec![event(1)]).unwrap();
    // As if the second frame was written but its sync had not returned yet.
    fs::write(dir.path().join("synced"), published).unwrap();
    assert_eq!(ids(&reader, EVENTS, 0).len(), 1);
    assert_eq!(ids(&EmbeddedLog::open_reader(dir.path()).unwrap(), EVENTS, 0).len(), 1);
}

#[test]
fn a_reader_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(EVENTS, 0, vec![event(0)]).unwrap();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    worker.commit(0, Commit { next: 1, ..Commit::default() }).unwrap();
    let reader = EmbeddedLog::open_reader(dir.path()).unwrap();
    let refused = |result| matches!(result, Err(LogError::ReadOnly { .. }));
    assert!(refused(reader.append(EVENTS, 0, vec![event(1)]).map(drop)));
    assert!(refused(reader.worker("new", EVENTS).map(drop)));
    let mut watching = reader.worker("calls", EVENTS).unwrap();
    assert_eq!(assigned(&mut *watching, 2)[0].0, 1);
    assert!(refused(watching.commit(0, Commit::default())));
    worker.commit(0, Commit { next: 1, ..Commit::default() }).unwrap();
}

#[test]
fn topics_may_be_added_but_keep_their_partitions() {
    let dir = tempfile::tempdir().unwrap();
    {
        let log = open(dir.path());
        log.append(CALLS, 0, vec![call(1)]).unwrap();
        log.worker("calls", EVENTS).unwrap();
    }
    let legs = TopicSpec { name: "calltide.legs".into(), partitions: 3, cleanup: Cleanup::Compact { after: None } };
    let log = EmbeddedLog::open(dir.path(), std::slice::from_ref(&legs), EmbeddedOptions::default()).unwrap();
    assert_eq!(log.topics().len(), 3);
    log.append("calltide.legs", 2, vec![call(2)]).unwrap();
    assert_eq!(ids(&log, CALLS, 0).len(), 1);
    drop(log);
    let more = TopicSpec { partitions: 4, ..legs };
    assert!(EmbeddedLog::open(dir.path(), &[more], EmbeddedOptions::default()).is_err());
}

#[test]
fn a_large_state_is_restored_from_its_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = EmbeddedOptions { snapshot_bytes: 20_000, ..EmbeddedOptions::default() };
        EmbeddedLog::open(dir.path(), &topics(), options).unwrap()
    };
    let restored = |log: &EmbeddedLog| assigned(&mut *log.worker("calls", EVENTS).unwrap(), 2).swap_remove(0);
    let log = open();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    for n in 0..2500_u64 {
        let changes = vec![
            Change { key: format!("call/{:03}", n % 500).into(), value: Some(format!("{n:0100}").into()) },
            Change { key: format!("call/{:03}", (n + 250) % 500).into(), value: None },
        ];
        worker.commit(0, Commit { changes, next: n + 1, ..Commit::default() }).unwrap();
    }
    drop(worker);
    let live = restored(&log);
    let number = |n: u64| (format!("call/{:03}", n % 500).into_bytes(), format!("{n:0100}").into_bytes());
    assert_eq!(live, (2500, (2250..2500).map(number).collect()));
    let snapshot = dir.path().join("000003.state");
    assert!(fs::metadata(&snapshot).unwrap().len() > 500);
    drop(log);
    let log = open();
    assert_eq!(restored(&log), live, "the same from the disk");
    fs::write(&snapshot, "bad").unwrap();
    assert_eq!(restored(&log), live, "without the snapshot it is worked out from all changes");
    let expected = Lost::Snapshot { group: "calls".into(), partition: 0 };
    assert_eq!(verify(dir.path()).unwrap(), [Damage { file: snapshot, position: 0, lost: expected }]);
}

#[test]
fn poll_takes_partitions_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    [0, 1, 2, 3].iter().for_each(|n| append(&log, n % 2, u64::from(*n)));
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    let turns: Vec<_> = (0..4)
        .map(|_| match worker.poll(1, Duration::ZERO).unwrap() {
            Polled::Batch { partition, batch } => (partition, batch.records.len()),
            Polled::Assigned { .. } | Polled::Revoked { .. } => panic!("all are assigned"),
        })
        .collect();
    assert_eq!(turns, [(0, 1), (1, 1), (0, 1), (1, 1)]);
}
