//! Live collecting under pressure: a PBX that says events at a steady rate and cuts a line that takes nothing, a collector in
//! a process of its own, a disk that is slow and stalls, and nobody who derives. Then it is checked and caught up with.
//!
//! `disk` slows the disk down; [`super::load`] makes the events and finds them again in the log.

mod disk;

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_eventlog::EventLog;
use calltide_eventlog::embedded::EmbeddedLog;
use calltide_eventlog::slow::{Pace, SlowLog};
use calltide_ingest::ami::{AmiConfig, AmiStatus, collect as collect_ami};
use calltide_ingest::playback::{Playback, PlaybackOptions};
use calltide_schemas::topics::EVENTS;
use tokio::sync::watch;

use super::PBX;
use super::import::resident_peak_kb;
use super::load::Load;
use crate::clock;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::fold::Time;
use crate::query_api;
use crate::site::{Site, open_log};
use disk::Disk;

/// What the README advises for manager.conf.
const WRITE_TIMEOUT: Duration = Duration::from_millis(5000);
/// The disk works for so long, then it stalls.
const WORKS: Duration = Duration::from_secs(8);
const STALLS: Duration = Duration::from_secs(2);
/// How much more than what comes it takes while it works.
const HEADROOM: f64 = 1.5;
/// How often it is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the collector may take: twice its buffer, for what it reads ahead and what is being written, and itself.
const MEMORY_KB_MAX: u64 = 256 << 10;
/// Longest wait after the last event.
const PATIENCE: Duration = Duration::from_secs(120);

const USERNAME: &str = "calltide";
const SECRET: &str = "bench";

/// Measures and tells.
pub(crate) fn measure(rate: u32, seconds: u32) -> Result<String> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io("make", Path::new("a temporary folder"), &error))?;
    let data = DataDir::at(&folder.path().join("data"));
    // Its topics; the collector opens it again.
    drop(open_log(&data, &Config::default())?);
    let load = Arc::new(Load::new(u64::from(rate) * u64::from(seconds)));
    let runtime = query_api::runtime()?;
    let options = PlaybackOptions { write_timeout: Some(WRITE_TIMEOUT), ..PlaybackOptions::new(USERNAME, SECRET) };
    let playing = runtime.block_on(Playback::start_load(load.recordings(), f64::from(rate), options));
    let mut playback = playing.map_err(|e| Failure::new(Exit::Failed, "cannot play the events").because(&e))?;
    let mut disk = Disk::new(data.log());
    let slow_to = (!disk.is_held_back()).then_some(f64::from(rate) * HEADROOM);
    let mut collector = Collector::start(playback.address.port(), &data, slow_to)?;
    disk.hold_back(collector.child.id());

    let began = Instant::now();
    let log = EmbeddedLog::open_reader(&data.log())?;
    let mut sent_after = None;
    loop {
        std::thread::sleep(LOOK_EVERY);
        collector.look()?;
        let played = playback.played();
        disk.pace(began.elapsed(), played.events);
        if played.events == played.events_total {
            sent_after.get_or_insert_with(|| began.elapsed());
            // Heartbeats and gaps are there too, so this is not too early by more than a batch; the collector ends with all.
            if log.bounds(EVENTS, 0)?.1 >= played.events as u64 {
                break;
            }
        }
        if sent_after.is_some_and(|sent| began.elapsed() > sent + PATIENCE) || played.dropped > 0 {
            break;
        }
    }
    let written_after = began.elapsed();
    disk.release();
    let told = collector.end()?;
    drop(disk);
    runtime.block_on(async {
        let _ = tokio::time::timeout(LOOK_EVERY, playback.all_sent()).await;
    });
    let played = playback.played();
    drop(playback);
    let found = load.find_in(&log)?;
    let (caught_up, archived) = catch_up(&data)?;
    let sent = sent_after.unwrap_or(written_after).as_secs_f64();
    let meter = |name: &str| told.meter(name).unwrap_or(0.0);
    let mut text = format!(
        "pressure: {} events in {sent:.1} s = {:.0} events/s; the disk: {}\n",
        played.events,
        played.events as f64 / sent,
        told.slowed.as_deref().unwrap_or("held back by the kernel, 1.5 times what came, stalls of 2 s every 10 s"),
    );
    text += &format!("  disconnects             {}\n", played.connections.saturating_sub(1).max(played.dropped));
    text += &format!("  lost or out of order    {}\n", found.wrong);
    text += &format!("  buffered at most        {:.1} MB\n", meter("calltide_ami_buffered_bytes_max") / 1e6);
    text += &format!("  reading had to wait     {:.0} times\n", meter("calltide_ami_reading_waits_total"));
    text += &format!("  longest socket stall    {:.0} ms\n", played.longest_stall.as_secs_f64() * 1e3);
    text += &format!("  collector's peak memory {:.0} MB\n", told.peak_kb as f64 / 1024.0);
    text += &format!("  written after the last  {:.1} s\n", written_after.as_secs_f64() - sent);
    text += &format!("  caught up into the lake {:.1} s, {archived} events\n", caught_up.as_secs_f64());
    if found.wrong > 0 || played.dropped > 0 || played.connections != 1 || archived < played.events as u64 {
        return Err(Failure::new(Exit::Failed, format!("not every event came through\n{text}")));
    }
    if told.peak_kb > MEMORY_KB_MAX {
        return Err(Failure::new(Exit::Failed, format!("the collector took too much memory\n{text}")));
    }
    Ok(text)
}

/// Derives everything and writes the tables; how long that took, and how many events they have.
fn catch_up(data: &DataDir) -> Result<(Duration, u64)> {
    let (began, config) = (Instant::now(), Config::default());
    let site = Site::open(data, &config, Time::GoesOn)?;
    site.flush()?;
    site.close()?;
    let took = began.elapsed();
    let tables = config.lake.place(data)?.open()?.tables()?;
    Ok((took, tables.iter().filter(|table| table.table == "inputs").map(|table| table.rows).sum()))
}

/// What is started: collects until stdin ends, and tells what it measured.
pub(crate) fn collect(port: u16, into: &Path, slow_to: Option<u32>) -> Result<()> {
    let metrics = query_api::metrics()?;
    let mut log: Arc<dyn EventLog> = open_log(&DataDir::at(into), &Config::default())?;
    if let Some(records) = slow_to {
        let pace = Pace { records_per_second: f64::from(records), stall_every: WORKS, stall: STALLS };
        log = Arc::new(SlowLog::new(log, pace));
    }
    let (stop, stopping) = watch::channel(false);
    let (told, _) = watch::channel(AmiStatus::Connecting);
    let config = AmiConfig { port, ..AmiConfig::new(PBX, "127.0.0.1", USERNAME, SECRET) };
    std::thread::spawn(move || {
        // An error is an end too.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.send_replace(true);
    });
    let collected = query_api::runtime()?.block_on(collect_ami(config, log, clock::wall(), stopping, told));
    collected.map_err(|error| Failure::of(Exit::Failed, &error))?;
    crate::output::data(metrics.render().as_bytes())
}

/// The process that collects.
struct Collector {
    child: Child,
    alive: Option<ChildStdin>,
    peak_kb: u64,
    slowed: Option<String>,
}

/// What it told at its end.
struct Told {
    metrics: String,
    peak_kb: u64,
    slowed: Option<String>,
}

impl Collector {
    fn start(port: u16, data: &DataDir, slow_to: Option<f64>) -> Result<Self> {
        let me = std::env::current_exe().map_err(|error| Failure::io("find", Path::new("this program"), &error))?;
        let mut command = Command::new(me);
        command.args(["bench", "--collect-from", &port.to_string(), "--into"]).arg(data.path());
        let slowed = slow_to.map(|records| {
            command.args(["--slow-to", &format!("{records:.0}")]);
            format!("simulated by delayed appends, {records:.0} records/s, stalls of 2 s every 10 s")
        });
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| Failure::new(Exit::Failed, "cannot start the collector").because(&e))?;
        let alive = child.stdin.take();
        Ok(Self { child, alive, peak_kb: 0, slowed })
    }

    fn look(&mut self) -> Result<()> {
        self.peak_kb = self.peak_kb.max(resident_peak_kb(self.child.id()));
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Failure::new(Exit::Failed, format!("the collector ended with {status}"))),
            Err(error) => Err(Failure::new(Exit::Failed, "cannot watch the collector").because(&error)),
        }
    }

    fn end(mut self) -> Result<Told> {
        drop(self.alive.take());
        let mut metrics = String::new();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_string(&mut metrics).map_err(|e| Failure::io("read", Path::new("the collector"), &e))?;
        }
        let status = self.child.wait().map_err(|e| Failure::io("end", Path::new("the collector"), &e))?;
        if !status.success() {
            return Err(Failure::new(Exit::Failed, format!("the collector ended with {status}")));
        }
        Ok(Told { metrics, peak_kb: self.peak_kb, slowed: self.slowed.take() })
    }
}

impl Drop for Collector {
    /// Not before it has ended, since its data directory goes.
    fn drop(&mut self) {
        drop(self.alive.take());
        // In order it has ended already; otherwise a disk that stalls may keep it from that.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Told {
    fn meter(&self, name: &str) -> Option<f64> {
        let line = self.metrics.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}
