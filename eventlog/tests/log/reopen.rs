//! A log that is closed and opened between any two steps is the same as one that was never closed.

use calltide_eventlog::{Change, Commit, EventLog, Output, Record};
use proptest::prelude::*;

use crate::{CALLS, EVENTS, assigned, event, open_small, quick_dir};

#[derive(Debug, Clone)]
enum Step {
    Append { partition: u32, records: Vec<Record> },
    Commit { outputs: Vec<Record>, changes: Vec<(u8, Option<Vec<u8>>)> },
}

fn record() -> impl Strategy<Value = Record> {
    let payload = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    let journal = proptest::option::of(("[ab]", 0..100_u64));
    (any::<u64>(), any::<i64>(), payload, journal).prop_map(|(key, at, payload, journal)| Record {
        key: key.to_le_bytes().to_vec(),
        at,
        payload,
        journal,
        ..event(0)
    })
}

fn step() -> impl Strategy<Value = Step> {
    let records = || proptest::collection::vec(record(), 1..8);
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50));
    let changes = proptest::collection::vec((0..6_u8, value), 0..4);
    prop_oneof![
        (0..2_u32, records()).prop_map(|(partition, records)| Step::Append { partition, records }),
        (records(), changes).prop_map(|(outputs, changes)| Step::Commit { outputs, changes }),
    ]
}

/// Takes all steps, each commit by a new worker; reopens in between where told to. Returns all that can be seen at the end.
fn run(steps: &[(Step, bool)]) -> String {
    let dir = quick_dir();
    let mut log = open_small(dir.path());
    for (n, (step, reopen)) in (1..).zip(steps) {
        if *reopen {
            drop(log);
            log = open_small(dir.path());
        }
        match step.clone() {
            Step::Append { partition, records } => drop(log.append(EVENTS, partition, records).unwrap()),
            Step::Commit { outputs, changes } => {
                let output = |record| Output { topic: CALLS.into(), record };
                let outputs = outputs.into_iter().map(output).collect();
                let changes = changes.into_iter().map(|(key, value)| Change { key: vec![key], value }).collect();
                log.worker("calls", EVENTS).unwrap().commit(1, Commit { outputs, changes, next: n }).unwrap();
            }
        }
    }
    let read =
        |topic, partition| (log.read(topic, partition, 0, 1 << 30).unwrap(), log.bounds(topic, partition).unwrap());
    let state = assigned(&mut *log.worker("calls", EVENTS).unwrap(), 2);
    format!("{:?}", (read(EVENTS, 0), read(EVENTS, 1), read(CALLS, 0), state, log.journals("").unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn reopening_changes_nothing(steps in proptest::collection::vec((step(), any::<bool>()), 0..25)) {
        let straight: Vec<_> = steps.iter().map(|(step, _)| (step.clone(), false)).collect();
        prop_assert_eq!(run(&steps), run(&straight));
    }
}
