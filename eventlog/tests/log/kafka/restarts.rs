//! The broker is killed while records are appended and commits are under way: nothing acknowledged is lost, nothing is done
//! twice.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::scope,
    time::{Duration, Instant},
};

use calltide_eventlog::{EventLog, kafka::KafkaLog};

use super::{Broker, Counted, Counter, assert_called_once, open, options};
use crate::{Dice, EVENTS, event, faults::runs, ids};

/// A tenth of them in a plain run, as with the embedded log's faults.
const KILLS: u64 = 30;
/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn a_broker_that_is_killed_loses_nothing_and_doubles_nothing() {
    let Some(mut broker) = Broker::start() else { return };
    let mut dice = Dice::seeded("broker kill -9");
    let options = options(&broker);
    let log = open(&options);
    let (appended, committed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (over, all_appended) = (AtomicBool::new(false), AtomicBool::new(false));
    scope(|scope| {
        scope.spawn(|| {
            append_all(&log, &appended, &over);
            all_appended.store(true, Ordering::Release);
        });
        scope.spawn(|| count_all(&log, &appended, &committed, &all_appended));
        for _ in 0..runs(KILLS) {
            // While both are at work.
            let goal = committed.load(Ordering::Acquire) + 20 + dice.below(200);
            wait(|| committed.load(Ordering::Acquire) >= goal);
            broker.kill();
            broker.run();
        }
        let goal = committed.load(Ordering::Acquire) + 1;
        wait(|| committed.load(Ordering::Acquire) >= goal);
        over.store(true, Ordering::Release);
    });
    let appended = appended.into_inner();
    let mut seen: Vec<_> = ids(&log, EVENTS, 0).into_iter().map(|(_, id)| id).collect();
    let all: Vec<_> = (1..=appended).map(|n| event(n).id).collect();
    // What was appended again comes once more, after what it repeats.
    seen.dedup();
    seen.sort_unstable_by_key(|id| id.strip_prefix("event-").unwrap().parse::<u64>().unwrap());
    seen.dedup();
    assert_eq!(seen, all);
    assert_called_once(&log, all);
    assert!(log.journals("").unwrap()[0].1 == appended);
}

fn wait(until: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !until() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Appends events in order, each batch until it is acknowledged.
fn append_all(log: &KafkaLog, appended: &AtomicU64, over: &AtomicBool) {
    let mut next = 1;
    while !over.load(Ordering::Acquire) {
        let batch: Vec<_> = (next..next + 1 + next % 7).map(event).collect();
        next += batch.len() as u64;
        while let Err(error) = log.append(EVENTS, 0, batch.clone()) {
            assert!(error.may_pass(), "{error}");
        }
        appended.store(next - 1, Ordering::Release);
    }
}

/// Counts until everything is counted, joining anew after each error.
fn count_all(log: &KafkaLog, appended: &AtomicU64, committed: &AtomicU64, all_appended: &AtomicBool) {
    let mut last = Counted::default();
    loop {
        let worked = Counter::join(log).and_then(|mut counter| {
            loop {
                let busy = counter.step()?;
                if let Some(counted) = counter.counted.get(&0) {
                    assert!(counted.events >= last.events, "{counted:?} after {last:?}");
                    last = *counted;
                    committed.store(counted.events, Ordering::Release);
                    if !busy
                        && all_appended.load(Ordering::Acquire)
                        && counted.events == appended.load(Ordering::Acquire)
                    {
                        return Ok(());
                    }
                }
            }
        });
        match worked {
            Ok(()) => return,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
    }
}
