//! The log as its users see it: what every implementation promises, and what the embedded one survives.
//!
//! `conformance` knows only the traits; the other modules know files, processes and damage.

#![expect(clippy::unwrap_used, reason = "tests")]

mod cleaning;
mod conformance;
mod damage;
mod embedded;
mod faults;
mod kafka;
mod reopen;

use std::path::Path;

use calltide_eventlog::{
    Cleanup, EventLog, Offset, Polled, Record, TopicSpec, Worker,
    embedded::{EmbeddedLog, EmbeddedOptions},
};

const EVENTS: &str = "calltide.events";
const CALLS: &str = "calltide.calls";
/// Enough for everything these tests write.
const ALL: usize = 1 << 30;

/// A directory in memory where there is one, for tests that open thousands of logs: what they are about is not the disk.
fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn topics() -> Vec<TopicSpec> {
    let after = Some(std::time::Duration::from_hours(24));
    vec![
        TopicSpec { name: EVENTS.into(), partitions: 2, cleanup: Cleanup::Delete { after } },
        TopicSpec { name: CALLS.into(), partitions: 1, cleanup: Cleanup::Compact { after: None } },
    ]
}

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, &topics(), EmbeddedOptions::default()).unwrap()
}

/// With segments and snapshots so small that a test has many.
fn open_small(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, &topics(), EmbeddedOptions { segment_bytes: 2000, snapshot_bytes: 200 }).unwrap()
}

fn append(log: &dyn EventLog, partition: u32, n: u64) {
    log.append(EVENTS, partition, vec![event(n)]).unwrap();
}

/// The n-th event of a PBX.
fn event(n: u64) -> Record {
    Record {
        key: b"pbx-1".to_vec(),
        at: 1_700_000_000_000_000 + i64::try_from(n).unwrap(),
        id: format!("event-{n}"),
        kind: "ami".into(),
        journal: Some(("pbx-1/ami".into(), n)),
        payload: Some(format!("{{\"event\":\"Newchannel\",\"n\":{n}}}").into_bytes()),
    }
}

fn call(n: u64) -> Record {
    Record { key: format!("call-{n}").into_bytes(), kind: "call".into(), journal: None, ..event(n) }
}

/// Ids with offsets, of everything there is.
fn ids(log: &dyn EventLog, topic: &str, partition: u32) -> Vec<(Offset, String)> {
    let (mut next, mut found) = (0, Vec::new());
    loop {
        let batch = log.read(topic, partition, next, ALL).unwrap();
        assert_eq!(batch.damaged, [], "{topic}/{partition} from {next}");
        if batch.next == next {
            return found;
        }
        next = batch.next;
        found.extend(batch.records.into_iter().map(|r| (r.offset, r.record.id)));
    }
}

type State = Vec<(Vec<u8>, Vec<u8>)>;

/// Polls until every partition of the input was assigned; gives next and state of each.
fn assigned(worker: &mut dyn Worker, partitions: usize) -> Vec<(Offset, State)> {
    let mut parts = vec![None; partitions];
    while parts.iter().any(Option::is_none) {
        if let Polled::Assigned { partition, next, state } = worker.poll(ALL, std::time::Duration::ZERO).unwrap() {
            parts[partition as usize] = Some((next, state));
        }
    }
    parts.into_iter().flatten().collect()
}

/// A small generator, so that a failure can be had again by its seed.
struct Dice(u64);

impl Dice {
    fn seeded(what: &str) -> Self {
        let time = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
        let seed = std::env::var("SEED").ok().map_or(time, |seed| seed.parse().unwrap());
        #[expect(clippy::print_stdout, reason = "shown when the test fails")]
        {
            println!("{what}: SEED={seed}");
        }
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        // Splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
