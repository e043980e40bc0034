//! A data directory that is written to: the log, the calls fold that reads it, and the lake's writer, each on its own thread.
//!
//! Whoever collects or imports appends to [`Site::log`]; the rest follows by itself. What goes wrong with one thread leaves
//! what was appended safe: it is derived when the directory is opened again. Must not know where events come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_eventlog::{Cleanup, EventLog, LogError, TopicSpec};
use calltide_processor::calls::{CallSettings, Calls};
use calltide_processor::lake::{Done, Lake, LakeThread, Upkeep};
use calltide_processor::runtime::{Driver, RuntimeError};
use calltide_schemas::topics::{EVENTS, TOPICS};
use tokio::sync::watch;

use crate::clock;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};

/// The group of the calls fold.
pub(crate) const FOLD: &str = "calls";
/// How long a request to the fold may wait while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the fold waits for space on a full disk before it tries again.
const DISK_FULL_WAIT: Duration = Duration::from_secs(1);
/// How long raw events are meant to stay in the log beside the table `inputs`, which keeps them. Nothing trims the log yet.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// See the module.
pub(crate) struct Site {
    /// Where events are appended to.
    pub(crate) log: Arc<dyn EventLog>,
    fold: FoldThread,
    lake: LakeThread,
}

impl Site {
    /// Opens the directory, creating what is not there.
    ///
    /// # Errors
    /// Among others with [`Exit::Locked`] while another process writes to it.
    pub(crate) fn open(data: &DataDir, config: &Config) -> Result<Self> {
        let log = open_log(data)?;
        let lake = Lake::open(&data.lake(), clock::wall())?;
        let lake = LakeThread::start(lake, Arc::clone(&log), config.lake.options())?;
        let fold = FoldThread::start(Arc::clone(&log), config.calls.settings())?;
        Ok(Self { log, fold, lake })
    }

    /// Returns when everything that is in the log now is derived and in the lake.
    pub(crate) fn flush(&self) -> Result<()> {
        self.fold.caught_up()?;
        Ok(self.lake.flush_and_wait()?)
    }

    /// Looks after the tables, and tells what was done.
    pub(crate) fn upkeep(&self, asked: Upkeep, told: &mut dyn FnMut(Done)) -> Result<()> {
        Ok(self.lake.upkeep(asked, told)?)
    }

    /// Ends the fold, so that nobody waits for what it cannot do, e.g. on a full disk. What was appended stays.
    pub(crate) fn give_up(&self) {
        self.fold.stop.store(true, Ordering::Release);
    }

    /// Becomes ready when the fold ended although nobody asked it to.
    pub(crate) fn fold_ended(&self) -> watch::Receiver<()> {
        self.fold.ended.clone()
    }

    /// Derives and writes what is there, and ends the threads.
    pub(crate) fn close(self) -> Result<()> {
        self.fold.stop()?;
        Ok(self.lake.stop()?)
    }
}

/// Opens the log for writing, creating it if it is not there.
pub(crate) fn open_log(data: &DataDir) -> Result<Arc<dyn EventLog>> {
    Ok(Arc::new(EmbeddedLog::open(&data.log(), &topics(), EmbeddedOptions::default())?))
}

/// The topics as the log is created with: one partition each, since one process does all.
fn topics() -> Vec<TopicSpec> {
    let cleanup = |compacted| if compacted { Cleanup::Compact } else { Cleanup::Delete { after: Some(EVENTS_KEPT) } };
    let spec = |topic: &calltide_schemas::topics::TopicDef| TopicSpec {
        name: topic.name.to_owned(),
        partitions: 1,
        cleanup: cleanup(topic.compacted),
    };
    TOPICS.iter().map(spec).collect()
}

/// The calls fold on its thread.
struct FoldThread {
    requests: Sender<Sender<()>>,
    stop: Arc<AtomicBool>,
    ended: watch::Receiver<()>,
    thread: JoinHandle<std::result::Result<(), RuntimeError>>,
}

impl FoldThread {
    fn start(log: Arc<dyn EventLog>, settings: CallSettings) -> Result<Self> {
        let (requests, asked) = channel();
        let (alive, ended) = watch::channel(());
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let fold = move || {
            // Dropped at the end, however that comes, by which others see it.
            let _alive = alive;
            run(&*log, &settings, &asked, &stopping)
        };
        let thread = std::thread::Builder::new().name("calls-fold".to_owned()).spawn(fold);
        let thread = thread.map_err(|e| Failure::new(Exit::Failed, "cannot start the fold's thread").because(&e))?;
        Ok(Self { requests, stop, ended, thread })
    }

    /// Returns when it has processed everything that was in the log.
    fn caught_up(&self) -> Result<()> {
        let (reply, done) = channel();
        let ended =
            || Failure::new(Exit::Failed, "the calls fold has ended").hint("its error is in the messages above");
        self.requests.send(reply).map_err(|_| ended())?;
        done.recv().map_err(|_| ended())
    }

    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        match self.thread.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(Failure::new(Exit::Failed, "the calls fold ended with a panic")
                .hint("this is a defect; the events are safe in the log")),
        }
    }
}

/// Drives the fold until told to stop; a full disk is waited out.
fn run(
    log: &dyn EventLog,
    settings: &CallSettings,
    asked: &Receiver<Sender<()>>,
    stop: &AtomicBool,
) -> std::result::Result<(), RuntimeError> {
    loop {
        match follow(log, settings, asked, stop) {
            Err(RuntimeError::Log(LogError::DiskFull { dir })) if !stop.load(Ordering::Acquire) => {
                tracing::error!(dir, "disk full: calls are derived when there is space again");
                std::thread::sleep(DISK_FULL_WAIT);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the calls fold has stopped");
                return Err(error);
            }
            Ok(()) => return Ok(()),
        }
    }
}

fn follow(
    log: &dyn EventLog,
    settings: &CallSettings,
    asked: &Receiver<Sender<()>>,
    stop: &AtomicBool,
) -> std::result::Result<(), RuntimeError> {
    let settings = settings.clone();
    let restore = Box::new(move |state| Calls::restore(settings.clone(), state));
    let mut driver = Driver::join(log, FOLD, EVENTS, restore)?;
    while !stop.load(Ordering::Acquire) {
        driver.step(LOOK_EVERY)?;
        let waiting: Vec<_> = asked.try_iter().collect();
        if !waiting.is_empty() {
            driver.drain(|_| {})?;
            for reply in waiting {
                // Whoever asked may have gone.
                let _ = reply.send(());
            }
        }
    }
    driver.drain(|_| {}).map(drop)
}
