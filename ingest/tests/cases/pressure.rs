//! Collecting while the log is slow, stalls or is full: the PBX never has reason to cut the line while the buffer has room,
//! what was read is in the log once and in order, and memory stays bounded.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use calltide_eventlog::EventLog;
use calltide_eventlog::slow::{Pace, SlowLog};
use calltide_ingest::ami::{AmiConfig, AmiStatus, CollectError, collect};
use calltide_ingest::playback::{Playback, PlaybackOptions, Recording};
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::live::has_events;
use crate::memory::MemoryLog;

const PATIENCE: Duration = Duration::from_secs(60);

/// As the README advises for manager.conf.
const WRITE_TIMEOUT: Duration = Duration::from_millis(5000);

/// Events a second that nobody can take.
const AT_ONCE: f64 = 1e7;

/// Events in one piece of the load.
const PIECE_EVENTS: u64 = 500;

/// Numbered events as long as Asterisk's are on average, 1,000 a second by their times.
fn numbered(from: u64) -> Recording {
    let mut text = String::new();
    for number in from..from + PIECE_EVENTS {
        let at = 1_795_345_923_000 + number;
        write!(
            text,
            "Event: Newexten\r\nPrivilege: dialplan,all\r\nTimestamp: {}.{:03}000\r\nNumber: {number}\r\nFiller: {}\r\n\r\n",
            at / 1000,
            at % 1000,
            "x".repeat(300)
        )
        .unwrap();
    }
    Recording::new(text.into_bytes()).unwrap()
}

/// Plays so many numbered events.
async fn play(events: u64, per_second: f64) -> Playback {
    let mut next = 0;
    let more = Box::new(move || {
        let from = next;
        next += PIECE_EVENTS;
        (from < events).then(|| numbered(from))
    });
    let write_timeout = Some(WRITE_TIMEOUT);
    let options = PlaybackOptions { write_timeout, ..PlaybackOptions::new("collector", "collect") };
    Playback::start_load(more, per_second, options).await.unwrap()
}

struct Collector {
    stop: watch::Sender<bool>,
    status: watch::Receiver<AmiStatus>,
    task: JoinHandle<Result<(), CollectError>>,
}

impl Collector {
    fn start(pbx: &str, port: u16, buffer_bytes: usize, log: Arc<dyn EventLog>) -> Self {
        LazyLock::force(&METERS);
        let config = AmiConfig { port, buffer_bytes, ..AmiConfig::new(pbx, "127.0.0.1", "collector", "collect") };
        let (stop, stopping) = watch::channel(false);
        let (told, status) = watch::channel(AmiStatus::Connecting);
        let ticks = AtomicU64::new(1_000_000);
        let clock = Arc::new(move || Micros(ticks.fetch_add(1, Ordering::Relaxed) as i64));
        Self { stop, status, task: tokio::spawn(collect(config, log, clock, stopping, told)) }
    }

    async fn until(&mut self, wanted: AmiStatus) {
        let status = tokio::time::timeout(PATIENCE, self.status.wait_for(|status| *status == wanted)).await;
        drop(status.unwrap().unwrap());
    }

    async fn stop(self) -> Result<(), CollectError> {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

/// Every number from 0 on, once and in order, over one connection.
fn check(log: &MemoryLog, events: u64) {
    let (mut number, mut gaps) = (0, Vec::new());
    log.each(|envelope| {
        if let Some(told) = envelope.header("Number") {
            assert_eq!(told.parse::<u64>().unwrap(), number);
            number += 1;
        }
        gaps.extend(envelope.reason.as_deref().map(str::to_owned));
    });
    assert_eq!(number, events);
    assert_eq!(gaps, ["connected", "stopped"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_of_one_and_a_half_times_the_input_with_stalls_disconnects_nobody() {
    const RATE: f64 = 20_000.0;
    const EVENTS: u64 = 120_000;
    const BUFFER: usize = 64 << 20;
    let pace =
        Pace { records_per_second: 1.5 * RATE, stall_every: Duration::from_secs(2), stall: Duration::from_secs(2) };
    let kept = Arc::new(MemoryLog::default());
    let log = Arc::new(SlowLog::new(kept.clone(), pace));
    let mut playback = play(EVENTS, RATE).await;
    let collector = Collector::start("slow", playback.address.port(), BUFFER, log);
    tokio::time::timeout(PATIENCE, playback.all_sent()).await.unwrap();
    let played = playback.played();
    has_events(&kept, EVENTS as usize).await;
    collector.stop().await.unwrap();
    check(&kept, EVENTS);
    assert_eq!((played.connections, played.dropped), (1, 0));
    // Two seconds' events at the least: there was something to hold.
    let held = meter("calltide_ami_buffered_bytes_max", "slow");
    assert!((2.0 * RATE * 300.0..BUFFER as f64).contains(&held), "{held} bytes buffered");
    assert_eq!(meter("calltide_ami_reading_waits_total", "slow"), 0.0);
    assert!(played.longest_stall < Duration::from_secs(1), "{:?}: the reader only reads", played.longest_stall);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_the_pbx_is_held_back_and_with_room_it_goes_on() {
    const BUFFER: usize = 256 << 10;
    // More than buffer and sockets can hold, so that the server is held back; the disk is full for a while.
    const EVENTS: u64 = 60_000;
    let log = Arc::new(MemoryLog::default());
    log.fill_disk(2);
    let mut playback = play(EVENTS, AT_ONCE).await;
    let mut collector = Collector::start("full", playback.address.port(), BUFFER, log.clone());
    collector.until(AmiStatus::DiskFull).await;
    tokio::time::timeout(PATIENCE, playback.all_sent()).await.unwrap();
    has_events(&log, EVENTS as usize).await;
    let (played, status) = (playback.played(), collector.status.borrow().clone());
    assert!(matches!(status, AmiStatus::Connected { .. }), "{status:?}");
    collector.stop().await.unwrap();
    check(&log, EVENTS);
    assert_eq!((played.connections, played.dropped), (1, 0));
    let held = meter("calltide_ami_buffered_bytes_max", "full");
    assert!((BUFFER as f64 / 2.0..=BUFFER as f64).contains(&held), "{held} bytes buffered");
    assert!(meter("calltide_ami_reading_waits_total", "full") >= 1.0);
    assert_eq!(meter("calltide_ami_reading_waits", "full"), 0.0);
    assert!(meter("calltide_ami_reading_waited_milliseconds_total", "full") >= 500.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pbx_that_is_held_back_for_too_long_cuts_the_line_and_that_is_on_record() {
    // More than what sockets of this machine hold for a reader who does not read.
    const EVENTS: u64 = 60_000;
    let log = Arc::new(MemoryLog::default());
    log.fill_disk(8);
    let mut playback = play(EVENTS, AT_ONCE).await;
    let collector = Collector::start("cut", playback.address.port(), 64 << 10, log.clone());
    tokio::time::timeout(PATIENCE, playback.all_sent()).await.unwrap();
    collector.stop().await.unwrap();
    let played = playback.played();
    assert_eq!((played.connections, played.dropped), (2, 1));
    assert!(played.longest_stall < WRITE_TIMEOUT);
    let (mut last, mut gaps) = (None, Vec::new());
    log.each(|envelope| {
        let number = envelope.header("Number").map(|told| told.parse::<u64>().unwrap());
        assert!(number.is_none() || number > last, "{number:?} after {last:?}");
        last = number.or(last);
        gaps.extend(envelope.reason.as_deref().map(str::to_owned));
    });
    assert!(gaps.windows(2).any(|two| two == ["closed", "connected"] || two == ["broken", "connected"]), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_is_full_it_can_be_told_to_stop_and_ends_also_if_nobody_is_left_to_tell() {
    for told in [true, false] {
        let log = Arc::new(MemoryLog::default());
        log.fill_disk(usize::MAX);
        let playback = play(5_000, AT_ONCE).await;
        let mut collector = Collector::start("ends", playback.address.port(), 64 << 10, log.clone());
        collector.until(AmiStatus::DiskFull).await;
        let ended = if told {
            collector.stop().await
        } else {
            drop(collector.stop);
            tokio::time::timeout(PATIENCE, collector.task).await.unwrap().unwrap()
        };
        assert!(matches!(ended, Err(CollectError::Log { .. })), "what was read and is not in the log is no success");
        assert_eq!(log.count(Source::Ami), 0);
    }
}

/// What was measured, of all tests; each has a PBX of its own.
static METERS: LazyLock<Arc<Meters>> = LazyLock::new(|| {
    let meters = Arc::new(Meters::default());
    assert!(metrics::set_global_recorder(Arc::clone(&meters)).is_ok(), "nobody else records here");
    meters
});

#[derive(Default)]
struct Meters(Mutex<HashMap<(String, String), Arc<AtomicU64>>>);

impl Meters {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        let pbx = key.labels().find(|label| label.key() == "pbx").map_or("", |label| label.value());
        let mut meters = self.0.lock().unwrap();
        Arc::clone(meters.entry((key.name().to_owned(), pbx.to_owned())).or_default())
    }
}

/// The present value; a gauge's bits are those of its number, a counter is one.
fn meter(name: &str, pbx: &str) -> f64 {
    let meters = METERS.0.lock().unwrap();
    let value = meters.get(&(name.to_owned(), pbx.to_owned())).map_or(0, |value| value.load(Ordering::Relaxed));
    if name.ends_with("_total") { value as f64 } else { f64::from_bits(value) }
}

impl metrics::Recorder for Meters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
