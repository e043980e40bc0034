//! The way over Kafka, on brokers that are named: how fast a journal is forwarded and events are processed when there is much to
//! catch up with, and how long it takes from an event to the call on its topic when there is not.
//!
//! Everything is done by the program's own parts, in this process: collector, journal, forwarder, fold. The topics have a prefix of
//! their own and stay, which is said.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calltide_eventlog::EventLog;
use calltide_eventlog::kafka::{KafkaLog, KafkaOptions};
use calltide_ingest::ami::{AmiConfig, AmiStatus, collect as collect_ami};
use calltide_ingest::forward::{ForwardConfig, Forwarder, Step as Forwarded, run as forward};
use calltide_ingest::import::{ImportPlan, import};
use calltide_ingest::playback::{Playback, PlaybackOptions};
use calltide_processor::calls::Calls;
use calltide_processor::runtime::{Driver, Step};
use calltide_schemas::envelope::Envelope;
use calltide_schemas::topics::EVENTS;
use serde::Deserialize;
use tokio::sync::watch;

use super::load::Load;
use super::stopwatch::Processors;
use super::{PBX, files};
use crate::clock;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::fold::{AtEnd, Derives, FoldThread, Time};
use crate::query_api;
use crate::site::open_log;

const CALLS: &str = "calltide.calls";
const USERNAME: &str = "calltide";
const SECRET: &str = "bench";
/// How often who looks at the topics asks whether that is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The first calls wait for connections, assignments and caches; they are not counted.
const WARM_UP: Duration = Duration::from_secs(5);
/// No call for so long after the last event: they are all there.
const QUIET: Duration = Duration::from_secs(3);
/// Longest wait for calls after the last event.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and tells.
pub(crate) fn measure(servers: &str, events: u64, rate: u32, seconds: u32) -> Result<String> {
    let prefix = format!("calltide-bench-{}.", clock::now().0);
    let options = KafkaOptions { prefix: prefix.clone(), ..KafkaOptions::new(servers, "bench") };
    let config = Config::default();
    let mut text = catching_up(&options, &config, events)?;
    text += &keeping_up(&options, &config, rate, seconds)?;
    text += &format!("the topics {prefix}* and {prefix}live.* stay; remove them with Kafka's own tools\n");
    Ok(text)
}

/// A journal that is full goes to the centre and through the fold.
fn catching_up(options: &KafkaOptions, config: &Config, events: u64) -> Result<String> {
    let folder = temporary()?;
    let file = files::repeated(folder.path(), events)?;
    let journal = open_log(&DataDir::at(&folder.path().join("data")), config)?;
    let plan = ImportPlan { pbx: Some(PBX.to_owned()), ami: vec![file], ..ImportPlan::default() };
    import(&*journal, &plan, clock::now(), &mut |_| {})?;
    let centre: Arc<dyn EventLog> = Arc::new(KafkaLog::open(options, &config.log.cluster_topics())?);
    let records = journal.bounds(EVENTS, 0)?.1;

    let watch = Processors::start();
    let mut forwarder = forwarder(journal, Arc::clone(&centre))?;
    while forwarder.step().map_err(|e| Failure::of(Exit::Failed, &e))? != Forwarded::Idle {}
    let mut text = watch.line("kafka: journal to centre", records);

    let settings = config.call_settings();
    let group = Derives::Calls(settings.clone()).group();
    let restore = Box::new(move |state| Calls::restore(settings.clone(), state));
    let mut driver = Driver::join(&*centre, group, EVENTS, restore)?;
    let mut watch = Processors::start();
    let mut processed = 0;
    while processed < records {
        match driver.step(Duration::from_secs(1))? {
            Step::Processed(count) => processed += count as u64,
            // Until its partition is there, nothing is measured.
            Step::Moved | Step::Idle if processed == 0 => watch = Processors::start(),
            Step::Moved | Step::Idle => {}
        }
    }
    text += &watch.line("kafka: events to calls", records);
    Ok(text)
}

/// A PBX at a steady rate, from its socket to the topic of calls.
fn keeping_up(options: &KafkaOptions, config: &Config, rate: u32, seconds: u32) -> Result<String> {
    let folder = temporary()?;
    let options = KafkaOptions { prefix: format!("{}live.", options.prefix), ..options.clone() };
    let open = |name: &str| KafkaLog::open(&named(&options, name), &config.log.cluster_topics());
    let journal = open_log(&DataDir::at(&folder.path().join("data")), config)?;
    let load = Arc::new(Load::new(u64::from(rate) * u64::from(seconds)));
    let runtime = query_api::runtime()?;
    let playing = Playback::start_load(load.recordings(), f64::from(rate), PlaybackOptions::new(USERNAME, SECRET));
    let playback = runtime.block_on(playing);
    let mut playback = playback.map_err(|e| Failure::new(Exit::Failed, "cannot play the events").because(&e))?;
    let (stop, stopping) = watch::channel(false);
    let (told, _status) = watch::channel(AmiStatus::Connecting);
    let ami = AmiConfig { port: playback.address.port(), ..AmiConfig::new(PBX, "127.0.0.1", USERNAME, SECRET) };
    let fold =
        FoldThread::start(Arc::new(open("fold")?), Derives::Calls(config.call_settings()), Time::GoesOn, AtEnd::Leave)?;
    let mut forwarder = forwarder(Arc::clone(&journal) as _, Arc::new(open("forwarder")?))?;
    let forwarding = stopping.clone();
    let forwarding = std::thread::spawn(move || forward(&mut forwarder, &forwarding));
    let looking = Looking::start(open("reader")?, stopping.clone());
    let watch = Processors::start();
    let collecting = runtime.spawn(collect_ami(ami, journal, clock::wall(), stopping, told));
    runtime.block_on(playback.all_sent());
    let sent = playback.played().events as u64;
    let line = watch.line("kafka: events at a pace", sent);
    let calls = looking.until_quiet()?;
    stop.send_replace(true);
    let collected = runtime.block_on(collecting);
    collected
        .map_err(|e| Failure::new(Exit::Failed, "collecting panicked").because(&e))?
        .map_err(|e| Failure::of(Exit::Failed, &e))?;
    joined(forwarding)?.map_err(|e| Failure::of(Exit::Failed, &e))?;
    fold.stop()?;
    Ok(format!("{line}{}", latencies(calls, WARM_UP)))
}

fn forwarder(journal: Arc<dyn EventLog>, centre: Arc<dyn EventLog>) -> Result<Forwarder> {
    Forwarder::new(journal, centre, ForwardConfig::default()).map_err(|e| Failure::of(Exit::Failed, &e))
}

fn named(options: &KafkaOptions, name: &str) -> KafkaOptions {
    KafkaOptions { instance: format!("bench-{name}"), ..options.clone() }
}

fn temporary() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|error| Failure::io("make", Path::new("a temporary folder"), &error))
}

fn joined<T>(thread: JoinHandle<T>) -> Result<T> {
    thread.join().map_err(|_| Failure::new(Exit::Failed, "a thread of the measurement panicked"))
}

/// A call that came to its topic: moments, in microseconds.
struct Told {
    /// Its last channel's end was read from the socket.
    seen: i64,
    /// That was read from the topic of events.
    arrived: i64,
    /// The call was read from its topic.
    visible: i64,
}

/// Reads what goes on in the topics, as any consumer does.
struct Looking {
    thread: JoinHandle<std::result::Result<Vec<Told>, calltide_eventlog::LogError>>,
    quiet: watch::Sender<bool>,
}

impl Looking {
    fn start(log: KafkaLog, stopping: watch::Receiver<bool>) -> Self {
        let (quiet, until_quiet) = watch::channel(false);
        let look = move || {
            let mut ends: HashMap<String, (i64, i64)> = HashMap::new();
            let mut calls: HashMap<String, (Option<String>, i64)> = HashMap::new();
            let mut last = Instant::now();
            let is_over = |last: Instant| *until_quiet.borrow() && last.elapsed() > QUIET;
            let follower = log.follow(&[EVENTS, CALLS])?;
            while !*stopping.borrow() && !is_over(last) {
                let Some((topic, read)) = follower.next(LOOK_EVERY)? else { continue };
                let Some(payload) = &read.record.payload else { continue };
                if topic == EVENTS {
                    note_end(payload, &mut ends);
                } else if let Some(call) = call_in(payload) {
                    last = Instant::now();
                    calls.entry(call.call_id).or_insert((call.linkedid, clock::now().0));
                }
            }
            // A call may be read before its events are.
            let told = |(linked, visible): (Option<String>, i64)| {
                ends.get(&linked?).map(|(seen, arrived)| Told { seen: *seen, arrived: *arrived, visible })
            };
            Ok(calls.into_values().filter_map(told).collect())
        };
        Self { thread: std::thread::spawn(look), quiet }
    }

    /// Ends when no more calls come.
    fn until_quiet(self) -> Result<Vec<Told>> {
        self.quiet.send_replace(true);
        let until = Instant::now() + PATIENCE;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        if !self.thread.is_finished() {
            return Err(Failure::new(Exit::Failed, "calls do not end to come"));
        }
        Ok(joined(self.thread)??)
    }
}

/// Keeps when the last channel of a call was heard to be gone, and now.
fn note_end(payload: &[u8], ends: &mut HashMap<String, (i64, i64)>) {
    let Ok(envelope) = Envelope::read(payload) else { return };
    if envelope.header("Event") == Some("Hangup")
        && let Some(linked) = envelope.header("Linkedid")
    {
        ends.insert(linked.to_owned(), (envelope.seen.0, clock::now().0));
    }
}

/// What is needed of a row of `calls`.
#[derive(Deserialize)]
struct Call {
    call_id: String,
    linkedid: Option<String>,
}

fn call_in(payload: &[u8]) -> Option<Call> {
    serde_json::from_slice(payload).ok()
}

fn latencies(mut calls: Vec<Told>, warm_up: Duration) -> String {
    let first = calls.iter().map(|told| told.seen).min().unwrap_or_default();
    let warm_up = i64::try_from(warm_up.as_micros()).unwrap_or_default();
    calls.retain(|told| told.seen >= first + warm_up);
    let line = |what: &str, took: fn(&Told) -> i64| {
        let mut took: Vec<i64> = calls.iter().map(took).collect();
        took.sort_unstable();
        let quantile = |part: usize| took.get((took.len() * part / 1000).min(took.len().saturating_sub(1)));
        let ms = |part| quantile(part).map_or(f64::NAN, |micros| *micros as f64 / 1e3);
        format!("  {what}: p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms\n", ms(500), ms(990), ms(1000))
    };
    format!(
        "  of {} calls, from their last event\n{}{}",
        calls.len(),
        line("to its own topic", |told| told.arrived - told.seen),
        line("to their rows on the topic of calls", |told| told.visible - told.seen),
    )
}
