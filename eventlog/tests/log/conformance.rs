//! What every implementation of the log promises, told through its traits alone.
//!
//! `check_all` takes a way to open the log again, so that each implementation can be put through the same.

use std::time::Duration;

use calltide_eventlog::{Change, Commit, EventLog, LogError, Output, Polled, Record, Worker, partition_of};

use crate::{ALL, CALLS, EVENTS, assigned, call, event, ids, open};

/// Opens the log of one test, empty at first; dropping what it gave closes it.
type Open<'a> = &'a dyn Fn() -> Box<dyn EventLog>;
type Check = fn(Open<'_>);

const CHECKS: &[Check] = &[
    offsets_follow_the_order_of_appending,
    a_read_keeps_to_its_limit_but_always_gives_one_record,
    records_come_back_as_they_were,
    keys_decide_the_partition,
    a_commit_publishes_outputs_state_and_progress_at_once,
    state_is_restored_after_reopening,
    an_uncommitted_batch_is_given_to_the_next_worker,
    a_newer_worker_fences_the_older_one,
    journals_tell_where_an_import_goes_on,
    unknown_topics_are_refused,
    reading_begins_at_a_time,
    what_is_pinned_can_be_read,
    waiting_ends_with_an_append,
    concurrent_appends_lose_nothing,
];

/// Runs everything; `open_new` gives each check its own log.
pub(crate) fn check_all(open_new: &dyn Fn() -> Box<dyn Fn() -> Box<dyn EventLog>>) {
    CHECKS.iter().for_each(|check| check(&*open_new()));
}

#[test]
fn the_embedded_log_conforms() {
    check_all(&|| {
        let dir = tempfile::tempdir().unwrap();
        Box::new(move || Box::new(open(dir.path())))
    });
}

fn offsets_follow_the_order_of_appending(open: Open<'_>) {
    let log = open();
    let first = log.append(EVENTS, 0, vec![event(1), event(2)]).unwrap();
    let second = log.append(EVENTS, 0, vec![event(3)]).unwrap();
    let other = log.append(EVENTS, 1, vec![event(4)]).unwrap();
    assert!(first < second);
    let found = ids(&*log, EVENTS, 0);
    assert_eq!(found.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["event-1", "event-2", "event-3"]);
    assert!(found.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!((found[0].0, found[2].0), (first, second));
    assert_eq!(ids(&*log, EVENTS, 1), [(other, "event-4".to_owned())]);
    let (begin, end) = log.bounds(EVENTS, 0).unwrap();
    assert!(begin <= first && second < end);
}

fn a_read_keeps_to_its_limit_but_always_gives_one_record(open: Open<'_>) {
    let log = open();
    let begin = log.append(EVENTS, 0, (0..10).map(event).collect()).unwrap();
    let one = log.read(EVENTS, 0, begin, 1).unwrap();
    assert_eq!(one.records.len(), 1);
    let weight = |r: &Record| r.key.len() + r.payload.as_ref().map_or(0, Vec::len);
    let three = log.read(EVENTS, 0, one.next, (1..4).map(|n| weight(&event(n))).sum()).unwrap();
    assert_eq!(
        three.records.iter().map(|r| r.record.id.as_str()).collect::<Vec<_>>(),
        ["event-1", "event-2", "event-3"]
    );
    let end = log.read(EVENTS, 0, three.next, ALL).unwrap().next;
    let nothing = log.read(EVENTS, 0, end, ALL).unwrap();
    assert_eq!((nothing.records.len(), nothing.next), (0, end));
}

fn records_come_back_as_they_were(open: Open<'_>) {
    let tombstone = Record { payload: None, ..call(1) };
    let odd =
        Record {
            key: vec![0, 255], at: -1, id: String::new(), kind: "ж".into(), payload: Some(vec![]), journal: None
        };
    let records = vec![call(1), tombstone, odd];
    let first = open().append(CALLS, 0, records.clone()).unwrap();
    let read = open().read(CALLS, 0, first, ALL).unwrap();
    assert_eq!(read.records.into_iter().map(|r| r.record).collect::<Vec<_>>(), records);
}

fn keys_decide_the_partition(open: Open<'_>) {
    let log = open();
    log.append_by_key(EVENTS, (0..20).map(call).collect()).unwrap();
    let found = [0, 1].map(|partition| log.read(EVENTS, partition, 0, ALL).unwrap().records);
    for (partition, reads) in (0..).zip(&found) {
        assert!(reads.iter().all(|read| partition_of(&read.record.key, 2) == partition));
        assert!(reads.is_sorted_by_key(|read| read.record.at), "in order");
    }
    assert_eq!(found.map(|reads| reads.len()).iter().sum::<usize>(), 20);
    assert_eq!(log.journals("").unwrap(), []);
    log.append_by_key(EVENTS, Vec::new()).unwrap();
    assert!(matches!(log.append_by_key("calltide.cals", vec![call(1)]), Err(LogError::UnknownTopic { .. })));
}

fn change(key: &str, value: Option<&str>) -> Change {
    Change { key: key.into(), value: value.map(Into::into) }
}

fn publish(n: u64) -> Output {
    Output { topic: CALLS.into(), record: call(n) }
}

/// Polls until there are records.
fn batch(worker: &mut dyn Worker) -> (u32, calltide_eventlog::Batch) {
    loop {
        match worker.poll(ALL, Duration::from_secs(20)).unwrap() {
            Polled::Batch { partition, batch } => return (partition, batch),
            Polled::Assigned { .. } | Polled::Revoked { .. } => {}
        }
    }
}

fn a_commit_publishes_outputs_state_and_progress_at_once(open: Open<'_>) {
    let log = open();
    log.append(EVENTS, 1, vec![event(1), event(2)]).unwrap();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    let (partition, batch) = batch(&mut *worker);
    assert_eq!((partition, batch.records.len()), (1, 2));
    assert_eq!(ids(&*log, CALLS, 0), []);
    let outputs = vec![publish(1), Output { topic: EVENTS.into(), record: event(9) }, publish(2)];
    let changes = vec![change("call/1", Some("up")), change("call/2", Some("ringing"))];
    worker.commit(partition, Commit { outputs, changes, next: batch.next }).unwrap();
    let calls: Vec<_> = ids(&*log, CALLS, 0).into_iter().map(|(_, id)| id).collect();
    assert_eq!(calls, ["event-1", "event-2"]);
    let partition = partition_of(&event(9).key, 2);
    let events = ids(&*log, EVENTS, partition).into_iter().filter(|(_, id)| id == "event-9");
    assert_eq!(events.count(), 1, "in the partition of its key");
}

fn state_is_restored_after_reopening(open: Open<'_>) {
    let next = {
        let log = open();
        log.append(EVENTS, 0, vec![event(1), event(2)]).unwrap();
        let mut worker = log.worker("calls", EVENTS).unwrap();
        let (partition, batch) = batch(&mut *worker);
        let changes = vec![change("b", Some("1")), change("a", Some("1")), change("c", Some("1"))];
        worker.commit(partition, Commit { changes, next: batch.records[1].offset, ..Commit::default() }).unwrap();
        let changes = vec![change("c", None), change("b", Some("2")), change("never", None)];
        worker.commit(partition, Commit { changes, next: batch.next, ..Commit::default() }).unwrap();
        batch.next
    };
    let log = open();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    let parts = assigned(&mut *worker, 2);
    let state = vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
    assert_eq!(parts[0], (next, state));
    assert_eq!(parts[1].1, []);
    let mut other = log.worker("agents", EVENTS).unwrap();
    assert_eq!(assigned(&mut *other, 2)[0].1, [], "groups have nothing to do with each other");
}

fn an_uncommitted_batch_is_given_to_the_next_worker(open: Open<'_>) {
    let log = open();
    log.append(EVENTS, 0, vec![event(1)]).unwrap();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assert_eq!(batch(&mut *worker).1.records.len(), 1);
    loop {
        match worker.poll(ALL, Duration::ZERO).unwrap() {
            Polled::Batch { batch, .. } => break assert!(batch.records.is_empty(), "not again by itself"),
            Polled::Assigned { .. } | Polled::Revoked { .. } => {}
        }
    }
    drop(worker);
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assert_eq!(batch(&mut *worker).1.records.len(), 1);
}

fn a_newer_worker_fences_the_older_one(open: Open<'_>) {
    let log = open();
    log.append(EVENTS, 0, vec![event(1)]).unwrap();
    let mut old = log.worker("calls", EVENTS).unwrap();
    let (partition, read) = batch(&mut *old);
    let mut new = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *new, 2);
    let commit = Commit { outputs: vec![publish(1)], changes: vec![change("a", Some("old"))], next: read.next };
    assert!(matches!(old.commit(partition, commit.clone()), Err(LogError::Fenced { .. })));
    assert_eq!(ids(&*log, CALLS, 0), []);
    let (partition, _) = batch(&mut *new);
    new.commit(partition, commit).unwrap();
    assert_eq!(ids(&*log, CALLS, 0).len(), 1);
}

fn journals_tell_where_an_import_goes_on(open: Open<'_>) {
    let from = |journal: &str, offset| Record { journal: Some((journal.into(), offset)), ..event(offset) };
    {
        let log = open();
        log.append(EVENTS, 0, vec![from("import/a.csv", 7), from("import/b.csv", 2), from("import/a.csv", 5)]).unwrap();
        log.append(EVENTS, 1, vec![from("import/b.csv", 3), from("ami/pbx-1", 100)]).unwrap();
    }
    let log = open();
    let journals = log.journals("import/").unwrap();
    assert_eq!(journals, [("import/a.csv".to_owned(), 7), ("import/b.csv".to_owned(), 3)]);
    assert_eq!(log.journals("").unwrap().len(), 3);
    assert_eq!(log.journals("import/c").unwrap(), []);
}

fn unknown_topics_are_refused(open: Open<'_>) {
    let log = open();
    assert_eq!(log.topics(), crate::topics());
    let unknown = |result| matches!(result, Err(LogError::UnknownTopic { .. }));
    assert!(unknown(log.append("calltide.cals", 0, vec![event(1)]).map(drop)));
    assert!(unknown(log.append(EVENTS, 2, vec![event(1)]).map(drop)));
    assert!(unknown(log.read(CALLS, 1, 0, ALL).map(drop)));
    assert!(unknown(log.worker("calls", "calltide.cals").map(drop)));
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    let outputs = vec![publish(1), Output { topic: "calltide.cals".into(), record: call(1) }];
    assert!(unknown(worker.commit(0, Commit { outputs, ..Commit::default() })));
    assert_eq!(ids(&*log, CALLS, 0), []);
}

fn reading_begins_at_a_time(open: Open<'_>) {
    let log = open();
    let minutes = |n: i64| event(0).at + n * 60_000_000;
    let at = |n: i64| Record { at: minutes(n), ..event(0) };
    let offset = |n| log.append(EVENTS, 0, vec![at(n)]).unwrap();
    // The third one came late.
    let offsets = [offset(1), offset(5), offset(2), offset(9)];
    log.append(EVENTS, 1, vec![at(1)]).unwrap();
    let found = |n: i64| log.offset_at(EVENTS, 0, minutes(n)).unwrap();
    assert_eq!([found(0), found(1), found(2), found(6)], [offsets[0], offsets[0], offsets[1], offsets[3]]);
    assert_eq!(found(10), log.bounds(EVENTS, 0).unwrap().1, "nothing is so young");
    assert_eq!(log.offset_at(CALLS, 0, 0).unwrap(), log.bounds(CALLS, 0).unwrap().1, "nothing is there");
}

fn what_is_pinned_can_be_read(open: Open<'_>) {
    let log = open();
    let first = log.append(EVENTS, 0, vec![event(0)]).unwrap();
    let pin = log.pin(EVENTS, 0, first).unwrap();
    let beyond = log.pin(CALLS, 0, 1_000_000).unwrap();
    log.append(EVENTS, 0, vec![event(1)]).unwrap();
    assert_eq!(log.read(EVENTS, 0, first, ALL).unwrap().records.len(), 2);
    drop((pin, beyond));
    assert!(matches!(log.pin("calltide.cals", 0, 0), Err(LogError::UnknownTopic { .. })));
}

fn waiting_ends_with_an_append(open: Open<'_>) {
    let log = open();
    let seen = log.wait(0, Duration::ZERO);
    assert_eq!(log.wait(seen, Duration::from_millis(1)), seen);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| log.wait(seen, Duration::from_secs(60)));
        log.append(EVENTS, 0, vec![event(1)]).unwrap();
        assert_ne!(sleeper.join().unwrap(), seen);
    });
}

fn concurrent_appends_lose_nothing(open: Open<'_>) {
    let log = open();
    let appended: Vec<_> = std::thread::scope(|scope| {
        let append = |thread: u64| {
            let log = &log;
            move || (0..50).map(|n| log.append(EVENTS, 0, vec![event(thread * 100 + n)]).unwrap()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(append(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let found = ids(&*log, EVENTS, 0);
    assert_eq!(found.len(), 200);
    for (thread, offsets) in appended.iter().enumerate() {
        for (n, offset) in offsets.iter().enumerate() {
            assert!(found.contains(&(*offset, format!("event-{}", thread * 100 + n))));
        }
    }
}
