//! What was collected arrives at the centre once and in order, whatever the line does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use calltide_eventlog::embedded::{Cleaning, EmbeddedLog, EmbeddedOptions, Groups};
use calltide_eventlog::{Cleanup, EventLog, Layer, LogError, Offset, Partition, ReadRecord, Record, Result, TopicSpec};
use calltide_ingest::forward::{ForwardConfig, ForwardError, Forwarder, Quota, Step, run};
use calltide_schemas::envelope::{Envelope, Source};
use calltide_schemas::topics::EVENTS;
use tokio::sync::watch;

const PARTITIONS: u32 = 2;

fn log(dir: &Path, partitions: u32) -> Arc<EmbeddedLog> {
    let cleanup = Cleanup::Delete { after: Some(Duration::ZERO) };
    let topic = TopicSpec { name: EVENTS.to_owned(), partitions, cleanup };
    let options = EmbeddedOptions { segment_bytes: 64 << 10, ..EmbeddedOptions::default() };
    Arc::new(EmbeddedLog::open(dir, &[topic], options).unwrap())
}

fn event(pbx: &str, journal: &str, offset: u64) -> Record {
    Record {
        key: pbx.as_bytes().to_vec(),
        at: i64::try_from(offset).unwrap(),
        id: format!("{journal}:{offset}"),
        kind: "ami".into(),
        journal: Some((journal.to_owned(), offset)),
        payload: Some(padding(offset, 300)),
    }
}

/// Bytes that no compression makes fewer.
fn padding(seed: u64, bytes: usize) -> Vec<u8> {
    let mut next = random(seed);
    (0..bytes).map(|_| u8::try_from(next(256)).unwrap()).collect()
}

/// Events of two PBXs, in batches, mixed.
fn collect(local: &dyn EventLog, from: u64, count: u64) {
    for n in from..from + count {
        let batch = ["north", "south"].map(|pbx| event(pbx, &format!("ami/{pbx}/1"), n));
        local.append(EVENTS, 0, batch.to_vec()).unwrap();
    }
}

/// What arrived: the offsets of each journal in the order of the partition.
fn arrived(centre: &dyn EventLog) -> BTreeMap<String, Vec<u64>> {
    let mut arrived: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for ReadRecord { record, .. } in centre.read(EVENTS, partition, 0, usize::MAX).unwrap().records {
            let (journal, offset) = record.journal.unwrap();
            arrived.entry(journal).or_default().push(offset);
        }
    }
    arrived
}

fn config() -> ForwardConfig {
    ForwardConfig {
        retry_min: Duration::from_millis(1),
        retry_max: Duration::from_millis(4),
        ..ForwardConfig::default()
    }
}

fn forwarder(local: &Arc<EmbeddedLog>, centre: &Arc<impl EventLog + 'static>) -> Forwarder {
    Forwarder::new(local.clone(), centre.clone(), config()).unwrap()
}

/// What the line does to an append.
#[derive(Debug, Clone, Copy)]
enum Line {
    Good,
    /// Nothing arrives.
    Cut,
    /// All arrives, but the answer doesn't.
    Unanswered,
    /// The first half arrives.
    Half,
    /// Everything takes long.
    Slow,
}

/// A centre behind a line.
struct Faulty {
    centre: Arc<EmbeddedLog>,
    line: Mutex<Box<dyn FnMut() -> Line + Send>>,
}

impl Faulty {
    fn new(centre: Arc<EmbeddedLog>, line: impl FnMut() -> Line + Send + 'static) -> Arc<Self> {
        Arc::new(Self { centre, line: Mutex::new(Box::new(line)) })
    }

    fn line(&self) -> Line {
        (self.line.lock().unwrap())()
    }
}

fn timed_out() -> LogError {
    LogError::Io { what: "ask the centre".into(), source: std::io::ErrorKind::TimedOut.into() }
}

impl Layer for Faulty {
    fn below(&self) -> &dyn EventLog {
        &*self.centre
    }

    fn append(&self, topic: &str, partition: Partition, mut records: Vec<Record>) -> Result<Offset> {
        match self.line() {
            Line::Good => return self.centre.append(topic, partition, records),
            Line::Cut => {}
            Line::Unanswered => drop(self.centre.append(topic, partition, records)?),
            Line::Half => {
                records.truncate(records.len() / 2);
                if !records.is_empty() {
                    self.centre.append(topic, partition, records)?;
                }
            }
            Line::Slow => {
                std::thread::sleep(Duration::from_millis(3));
                return self.centre.append(topic, partition, records);
            }
        }
        Err(timed_out())
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        if matches!(self.line(), Line::Cut) { Err(timed_out()) } else { self.centre.journals(prefix) }
    }
}

/// Numbers by SplitMix64.
fn random(mut seed: u64) -> impl FnMut(u64) -> u64 + Send {
    move |limit| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

#[test]
fn everything_arrives_once_and_in_order_through_any_line_and_many_deaths() {
    for seed in 0..12 {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (local, centre) = (log(here.path(), 1), log(there.path(), PARTITIONS));
        let mut luck = random(seed);
        let faulty = Faulty::new(centre.clone(), move || match luck(8) {
            0 => Line::Cut,
            1 => Line::Unanswered,
            2 => Line::Half,
            3 => Line::Slow,
            _ => Line::Good,
        });
        let mut chance = random(seed + 1_000);
        let mut collected = 0;
        let mut sending = forwarder(&local, &faulty);
        while collected < 150 {
            let count = 1 + chance(20);
            collect(&*local, collected + 1, count);
            collected += count;
            for _ in 0..chance(4) {
                let _ = sending.step();
            }
            if chance(5) == 0 {
                sending = forwarder(&local, &faulty);
            }
        }
        while sending.step().ok() != Some(Step::Idle) {}
        let whole: Vec<u64> = (1..=collected).collect();
        let expected = ["ami/north/1", "ami/south/1"].map(|journal| (journal.to_owned(), whole.clone())).into();
        assert_eq!(arrived(&*centre), expected, "seed {seed}");
    }
}

/// Lets everything before an offset go, as far as whole segments hold it; says how many went.
fn trim(log: &EmbeddedLog, to: Offset) -> usize {
    let cleaning =
        Cleaning { now: i64::MAX, settled: Duration::ZERO, bytes_max: None, protect: &|_, _| to, groups: Groups::Work };
    log.clean(&cleaning).unwrap().deleted
}

#[test]
fn while_the_line_is_cut_everything_is_kept_and_afterwards_it_is_trimmed() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, centre) = (log(here.path(), 1), log(there.path(), PARTITIONS));
    collect(&*local, 1, 500);
    let cut = Faulty::new(centre.clone(), || Line::Cut);
    let mut sending = forwarder(&local, &cut);
    assert!(matches!(sending.step(), Err(ForwardError::Centre(_))));
    assert_eq!(trim(&local, sending.acknowledged()), 0, "nothing was acknowledged");
    let mut sending = forwarder(&local, &centre);
    while sending.step().unwrap() != Step::Idle {}
    assert!(trim(&local, sending.acknowledged()) > 1);
    let (first, end) = local.bounds(EVENTS, 0).unwrap();
    assert!(first > 0 && end == sending.acknowledged(), "{first} to {end}");
    // A later one begins with what is left, and knows that the centre has it.
    collect(&*local, 501, 10);
    let mut sending = forwarder(&local, &centre);
    assert_eq!(sending.step().unwrap(), Step::Sent(20));
    assert_eq!(arrived(&*centre)["ami/north/1"], (1..=510).collect::<Vec<_>>());
}

#[test]
fn what_has_arrived_is_freed_soon_even_if_it_is_little() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, centre) = (log(here.path(), 1), log(there.path(), PARTITIONS));
    collect(&*local, 1, 10);
    let freed = Arc::new(AtomicU64::new(0));
    let to = Arc::clone(&freed);
    let trim = Box::new(move |before| {
        to.store(before, Ordering::Relaxed);
        Ok(())
    });
    let mut sending = Forwarder::new(local.clone(), centre, ForwardConfig { trim, ..config() }).unwrap();
    while sending.step().unwrap() != Step::Idle {}
    assert_eq!(freed.load(Ordering::Relaxed), local.bounds(EVENTS, 0).unwrap().1);
}

#[test]
fn what_is_missing_here_is_named_there_once() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, centre) = (log(here.path(), 1), log(there.path(), PARTITIONS));
    for offset in [1, 2, 6, 7] {
        local.append(EVENTS, 0, vec![event("north", "ami/north/1", offset)]).unwrap();
    }
    for _ in 0..3 {
        let mut sending = forwarder(&local, &centre);
        while sending.step().unwrap() != Step::Idle {}
    }
    let records = centre.read(EVENTS, 0, 0, usize::MAX).unwrap().records;
    let ids: Vec<&str> = records.iter().map(|read| read.record.id.as_str()).collect();
    assert_eq!(ids, ["ami/north/1:1", "ami/north/1:2", "missing/ami/north/1:5", "ami/north/1:6", "ami/north/1:7"]);
    let gap: Envelope<'_> = serde_json::from_slice(records[2].record.payload.as_ref().unwrap()).unwrap();
    assert_eq!((gap.source, gap.pbx.as_ref(), gap.reason.as_deref()), (Source::Gap, "north", Some("missing")));
    let said = ["journal", "first", "last"].map(|name| gap.header(name).unwrap().to_owned());
    assert_eq!(said, ["ami/north/1", "3", "5"]);
}

#[test]
fn it_goes_on_by_itself_when_the_line_is_back() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, centre) = (log(here.path(), 1), log(there.path(), PARTITIONS));
    let asked = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&asked);
    let faulty =
        Faulty::new(
            centre.clone(),
            move || {
                if counting.fetch_add(1, Ordering::Relaxed) < 20 { Line::Cut } else { Line::Good }
            },
        );
    let mut sending = forwarder(&local, &faulty);
    let (stop, stopping) = watch::channel(false);
    let running = std::thread::spawn(move || run(&mut sending, &stopping));
    collect(&*local, 1, 100);
    let began = Instant::now();
    while arrived(&*centre).values().map(Vec::len).sum::<usize>() < 200 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.send_replace(true);
    running.join().unwrap().unwrap();
}

#[test]
fn a_quota_stops_the_reading_and_drops_nothing() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, centre) = (log(here.path(), 1), log(there.path(), PARTITIONS));
    let quota: Arc<dyn EventLog> = Arc::new(Quota::new(local.clone(), here.path(), 200 << 10));
    let incompressible = |n| Record { payload: Some(padding(n, 2_000)), ..event("north", "ami/north/1", n) };
    let mut taken = 0;
    while quota.append(EVENTS, 0, vec![incompressible(taken + 1)]).is_ok() {
        taken += 1;
        assert!(taken < 1_000, "the quota is not kept");
    }
    assert!(taken > 60, "only {taken}");
    assert!(matches!(quota.append(EVENTS, 0, vec![incompressible(taken + 1)]), Err(LogError::DiskFull { .. })));
    let mut sending = forwarder(&local, &centre);
    while sending.step().unwrap() != Step::Idle {}
    trim(&local, sending.acknowledged());
    quota.append(EVENTS, 0, vec![incompressible(taken + 1)]).unwrap();
    while sending.step().unwrap() != Step::Idle {}
    assert_eq!(arrived(&*centre)["ami/north/1"], (1..=taken + 1).collect::<Vec<_>>());
}
