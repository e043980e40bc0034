//! Local snapshots of a worker's state: they shorten restoring, and change nothing of what is restored.

use std::{fs, time::Duration};

use calltide_eventlog::{EventLog, Offset, Polled, kafka::KafkaLog, kafka::KafkaOptions};

use super::{Counted, Counter, open, options, shared};
use crate::{EVENTS, State, append};

/// Joins, and gives next and state of partition 0.
fn restored(log: &KafkaLog) -> (Offset, State) {
    let mut worker = log.worker("calls", EVENTS).unwrap();
    loop {
        if let Polled::Assigned { partition: 0, next, state } = worker.poll(1, Duration::from_secs(60)).unwrap() {
            return (next, state);
        }
    }
}

#[test]
fn a_snapshot_changes_nothing_of_what_is_restored() {
    let Some(broker) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Some(dir.path().join("snapshots"));
    let options = KafkaOptions { snapshots, snapshot_bytes: 1, ..options(broker) };
    let log = open(&options);
    let count_to = |last| {
        let mut counter = Counter::join(&log).unwrap();
        while counter.counted.get(&0) != Some(&Counted { events: last, journal: last }) {
            counter.step().unwrap();
        }
    };
    (1..6).for_each(|n| append(&log, 0, n));
    // It is made in the background when something is committed; the worker's end waits for it.
    count_to(5);
    let state = format!("{}calltide.state.calls", options.prefix);
    let file = dir.path().join(format!("snapshots/{state}-0.state"));
    let first = fs::read(&file).unwrap();
    let live = restored(&log);
    let number = |key: &str, number: &str| (key.as_bytes().to_vec(), number.as_bytes().to_vec());
    assert_eq!(live, (5, vec![number("events", "5"), number("journal", "5")]));

    fs::write(&file, "bad").unwrap();
    assert_eq!(restored(&log), live, "a damaged one is left aside");
    assert!(fs::read(&file).unwrap().len() > 3, "and replaced");
    fs::write(&file, &first).unwrap();
    assert_eq!(restored(&log), live, "an older one is read on from");
    append(&log, 0, 6);
    count_to(6);
    assert_eq!(restored(&log).0, 6);

    // Another topic of the same name has nothing to do with it.
    broker.tool("org.apache.kafka.tools.TopicCommand", &["--delete", "--topic", &state]);
    count_to(6);
    assert_eq!(restored(&log).0, 6);
    fs::write(&file, &first).unwrap();
    assert_eq!(restored(&log).0, 6);
}
