//! Several workers of one group: they share its partitions, a partition moves with its state, and who was replaced is told.

use std::time::{Duration, Instant};

use calltide_eventlog::{Batch, Commit, EventLog, LogError, Output, Polled, Record, kafka::KafkaOptions};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use super::{Counted, Counter, assert_called_once, named, open, options, shared};
use crate::{ALL, CALLS, EVENTS, append, call, event};

/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Some hundred milliseconds, on a machine that does much else.
const SOON: Duration = Duration::from_secs(5);

/// Lets counters work in turn until something is so.
fn work(counters: &mut [&mut Counter], until: impl Fn(&[&mut Counter]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut busy = false;
        for counter in counters.iter_mut() {
            busy |= counter.step().unwrap();
        }
        if !busy && until(counters) {
            return;
        }
        assert!(Instant::now() < deadline, "{:?}", counters.iter().map(|c| &c.counted).collect::<Vec<_>>());
    }
}

fn counted(counters: &[&mut Counter]) -> Vec<(u32, Counted)> {
    let mut all: Vec<_> = counters.iter().flat_map(|counter| counter.counted.clone()).collect();
    all.sort_unstable_by_key(|(partition, _)| *partition);
    all
}

#[test]
fn a_partition_moves_with_its_state() {
    let Some(broker) = shared() else { return };
    let options = options(broker);
    let log = open(&options);
    let events = |from: u64, to: u64| (from..to).for_each(|n| append(&log, u32::try_from(n % 2).unwrap(), n));
    events(2, 22);
    let mut one = Counter::join(&log).unwrap();
    let ten = vec![(0, Counted { events: 10, journal: 20 }), (1, Counted { events: 10, journal: 21 })];
    work(&mut [&mut one], |all| counted(all) == ten);
    let two_log = open(&named(&options, "two"));
    let mut two = Counter::join(&two_log).unwrap();
    // What the new one counts on from is what the old one committed.
    work(&mut [&mut one, &mut two], |all| all.iter().all(|counter| counter.counted.len() == 1) && counted(all) == ten);
    events(22, 42);
    let twenty = vec![(0, Counted { events: 20, journal: 40 }), (1, Counted { events: 20, journal: 41 })];
    work(&mut [&mut one, &mut two], |all| counted(all) == twenty);
    assert_called_once(&log, (2..42).map(|n| event(n).id).collect());
}

#[test]
fn who_was_away_too_long_is_fenced_and_what_it_did_counts_for_nothing() {
    let Some(broker) = shared() else { return };
    let (options, quick) = (options(broker), Duration::from_secs(2));
    let log = open(&options);
    (1..6).for_each(|n| append(&log, 0, n));
    // The others have more time: on a busy machine they must not be taken for away themselves.
    let hasty = open(&KafkaOptions { silence_max: quick, away_max: quick, ..options.clone() });
    let mut away = Counter::join(&hasty).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let (partition, batch) = loop {
        assert!(Instant::now() < deadline, "the events do not come");
        match away.worker.poll(ALL, Duration::from_millis(100)) {
            Ok(Polled::Batch { partition, batch }) if !batch.records.is_empty() => break (partition, batch),
            Ok(Polled::Batch { .. } | Polled::Assigned { .. } | Polled::Revoked { .. }) => {}
            Err(LogError::Fenced { .. }) => away = Counter::join(&hasty).unwrap(),
            Err(error) => panic!("{error}"),
        }
    };
    // It does not come back to poll, as if its thread hung; the other one takes over.
    let other_log = open(&named(&options, "other"));
    let mut other = Counter::join(&other_log).unwrap();
    let all = vec![(0, Counted { events: 5, journal: 5 }), (1, Counted::default())];
    work(&mut [&mut other], |counters| counted(counters) == all);
    let (_, commit) = Counted::default().after(&batch);
    let refused = away.worker.commit(partition, commit);
    assert!(matches!(refused, Err(LogError::Fenced { .. })), "{refused:?}");
    assert!(matches!(away.worker.poll(ALL, Duration::ZERO), Err(LogError::Fenced { .. })), "it is over");
    assert_called_once(&log, (1..6).map(|n| event(n).id).collect());
    drop(away);
    // It may join again.
    let mut back = Counter::join(&log).unwrap();
    append(&log, 0, 6);
    let six = vec![(0, Counted { events: 6, journal: 6 }), (1, Counted::default())];
    work(&mut [&mut other, &mut back], |counters| counters[1].counted.len() == 1 && counted(counters) == six);
}

#[test]
fn what_is_not_committed_is_never_seen_and_holds_nobody_up() {
    let Some(broker) = shared() else { return };
    let options = options(broker);
    let log = open(&options);
    append(&log, 0, 1);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.servers()).set("transactional.id", format!("{}raw", options.prefix));
    let raw: BaseProducer = config.create().unwrap();
    raw.init_transactions(PATIENCE).unwrap();
    let topic = format!("{}{EVENTS}", options.prefix);
    for commits in [false, true] {
        raw.begin_transaction().unwrap();
        for _ in 0..3 {
            raw.send(BaseRecord::<str, str>::to(&topic).partition(0).key("pbx-1").payload("{}")).unwrap();
        }
        raw.flush(PATIENCE).unwrap();
        // Open: what is behind it can't be seen either, and nobody waits for it.
        let (_, end) = log.bounds(EVENTS, 0).unwrap();
        let next = log.append(EVENTS, 0, vec![event(2)]).unwrap();
        assert_eq!(log.bounds(EVENTS, 0).unwrap().1, end);
        assert_eq!(log.read(EVENTS, 0, end, ALL).unwrap(), Batch { next: end, ..Batch::default() });
        assert_eq!(next, end + 3);
        let expected = if commits { 4 } else { 1 };
        let first = if commits { end } else { next };
        if commits { raw.commit_transaction(PATIENCE) } else { raw.abort_transaction(PATIENCE) }.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while log.bounds(EVENTS, 0).unwrap().1 == end {
            assert!(Instant::now() < deadline, "the marker does not come");
        }
        let batch = log.read(EVENTS, 0, end, ALL).unwrap();
        assert_eq!((batch.records.len(), batch.records[0].offset), (expected, first), "{commits}");
        let (_, end) = log.bounds(EVENTS, 0).unwrap();
        // The marker comes last, and is passed over.
        let rest = log.read(EVENTS, 0, batch.next, ALL).unwrap();
        assert_eq!(rest, Batch { next: end, ..Batch::default() });
    }
}

#[test]
fn what_was_removed_before_it_was_read_is_reported() {
    let Some(broker) = shared() else { return };
    let options = options(broker);
    let log = open(&options);
    (1..6).for_each(|n| append(&log, 0, n));
    let mut counter = Counter::join(&log).unwrap();
    work(&mut [&mut counter], |all| all[0].counted.get(&0).is_some_and(|counted| counted.events == 5));
    drop(counter);
    (6..11).for_each(|n| append(&log, 0, n));
    let topic = format!("{}{EVENTS}", options.prefix);
    let file = tempfile::NamedTempFile::new().unwrap();
    let asked = format!("{{\"partitions\":[{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":8}}],\"version\":1}}");
    std::fs::write(file.path(), asked).unwrap();
    broker.tool(
        "org.apache.kafka.tools.DeleteRecordsCommand",
        &["--offset-json-file", &file.path().display().to_string()],
    );
    let mut worker = log.worker("calls", EVENTS).unwrap();
    let batch = loop {
        match worker.poll(ALL, PATIENCE).unwrap() {
            Polled::Batch { partition: 0, batch } => break batch,
            Polled::Batch { .. } | Polled::Assigned { .. } | Polled::Revoked { .. } => {}
        }
    };
    assert_eq!((batch.records.len(), batch.next, batch.damaged), (0, 8, vec![(5, 8)]));
    let Polled::Batch { batch, .. } = worker.poll(ALL, PATIENCE).unwrap() else { panic!("all are assigned") };
    assert_eq!((batch.records.len(), batch.next), (2, 10));
}

#[test]
fn a_record_that_no_broker_takes_is_named_and_what_goes_without_it_is_committed() {
    let Some(broker) = shared() else { return };
    let log = open(&options(broker));
    append(&log, 0, 1);
    let commit = |payload: Vec<u8>| {
        let mut worker = log.worker("calls", EVENTS).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the event does not come");
            if let Polled::Batch { partition, batch } = worker.poll(ALL, Duration::from_millis(100)).unwrap()
                && !batch.records.is_empty()
            {
                let record = Record { payload: Some(payload), ..call(1) };
                let outputs = vec![Output { topic: CALLS.into(), record }];
                return worker.commit(partition, Commit { outputs, changes: Vec::new(), next: batch.next });
            }
        }
    };
    let error = commit(vec![b' '; 9 << 20]).unwrap_err();
    assert!(!error.may_pass() && error.to_string().contains(&call(1).id), "{error}");
    commit(b"{}".to_vec()).unwrap();
    assert_called_once(&log, vec![call(1).id]);
}

/// Between transactions a worker's only partition ends with a marker, which no fetch delivers: what follows it must not wait.
#[test]
fn what_comes_after_a_rest_comes_soon() {
    let Some(broker) = shared() else { return };
    let log = open(&options(broker));
    let mut counter = Counter::join(&log).unwrap();
    while counter.counted.len() < 2 {
        counter.step().unwrap();
    }
    let mut listener = log.worker("listeners", CALLS).unwrap();
    let mut hears = |wait: Duration| match listener.poll(ALL, wait).unwrap() {
        Polled::Batch { partition, batch } if !batch.records.is_empty() => {
            listener.commit(partition, Commit { next: batch.next, ..Commit::default() }).unwrap();
            true
        }
        Polled::Batch { .. } | Polled::Assigned { .. } | Polled::Revoked { .. } => false,
    };
    for n in 1..80 {
        append(&log, 0, n);
        let begun = Instant::now();
        let soon = || assert!(begun.elapsed() < SOON, "the {n}th is not there after {:?}", begun.elapsed());
        while counter.counted[&0].journal < n {
            counter.step().unwrap();
            soon();
        }
        while !hears(Duration::from_millis(100)) {
            soon();
        }
        // In any phase of the fetches that go on meanwhile.
        let rest = Instant::now() + Duration::from_millis(n * 37 % 400);
        while Instant::now() < rest {
            counter.step().unwrap();
            assert!(!hears(Duration::from_millis(20)), "nothing was called out");
        }
    }
}
