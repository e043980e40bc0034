//! A data directory that is written to: the log, the calls fold that reads it, and the lake's writer, each on its own thread.
//!
//! Whoever collects or imports appends to [`Site::log`]; the rest follows by itself. What goes wrong with one thread leaves
//! what was appended safe: it is derived when the directory is opened again. Must not know where events come from.

use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::embedded::{Cleaned, Cleaning, EmbeddedLog, EmbeddedOptions, Groups};
use calltide_eventlog::{EventLog, Offset};
use calltide_processor::lake::{Done, LakeThread, Tables, Upkeep};
use calltide_schemas::topics::TOPICS;

use crate::clock;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::Result;
use crate::fold::Time;
use crate::folds::Folds;

/// What was written to the log within this time stays: longer than a query may take between looking at the tables and
/// reading what the log has beyond them.
const LOG_SETTLED: Duration = Duration::from_secs(10 * 60);

/// See the module.
pub(crate) struct Site {
    /// Where events are appended to.
    pub(crate) log: Arc<dyn EventLog>,
    files: Arc<EmbeddedLog>,
    folds: Folds,
    lake: LakeThread,
}

impl Site {
    /// Opens the directory, creating what is not there.
    ///
    /// # Errors
    /// Among others with [`Exit::Locked`] while another process writes to it.
    pub(crate) fn open(data: &DataDir, config: &Config, time: Time) -> Result<Self> {
        let files = open_log(data, config)?;
        let log: Arc<dyn EventLog> = Arc::clone(&files) as _;
        let lake = config.lake.place(data)?.open_or_wait()?;
        let lake = LakeThread::start(lake, Arc::clone(&log), config.lake.options(), Tables::All)?;
        let folds = Folds::start(&log, config, time)?;
        Ok(Self { log, files, folds, lake })
    }

    /// Returns when everything that is in the log now is derived and in the lake.
    pub(crate) fn flush(&self) -> Result<()> {
        self.folds.caught_up()?;
        Ok(self.lake.flush_and_wait()?)
    }

    /// Looks after the tables, and tells what was done.
    pub(crate) fn upkeep(&self, asked: Upkeep, told: &mut dyn FnMut(Done)) -> Result<()> {
        Ok(self.lake.upkeep(asked, told)?)
    }

    /// See [`clean_log`].
    pub(crate) fn clean_log(&self, config: &Config) -> Result<Cleaned> {
        clean_log(&self.files, &self.lake, config)
    }

    /// Ends the fold, so that nobody waits for what it cannot do, e.g. on a full disk. What was appended stays.
    pub(crate) fn give_up(&self) {
        self.folds.give_up();
    }

    /// Derives and writes what is there, and ends the threads.
    pub(crate) fn close(self) -> Result<()> {
        self.folds.stop()?;
        Ok(self.lake.stop()?)
    }
}

/// Opens the log for writing, creating it if it is not there.
pub(crate) fn open_log(data: &DataDir, config: &Config) -> Result<Arc<EmbeddedLog>> {
    Ok(Arc::new(EmbeddedLog::open(&data.log(), &config.log.topics(), EmbeddedOptions::default())?))
}

/// Removes from the log what is older than it is to stay, or too much, as far as the tables have it.
pub(crate) fn clean_log(log: &EmbeddedLog, lake: &LakeThread, config: &Config) -> Result<Cleaned> {
    let stored = lake.stored()?;
    let protect = |topic: &str, partition| match TOPICS.iter().find(|known| known.name == topic) {
        // No table has it: whoever works with it has taken it in, see `groups`.
        Some(known) if known.table.is_none() => Offset::MAX,
        Some(_) | None => stored.get(&(topic.to_owned(), partition)).copied().unwrap_or(0),
    };
    let cleaning = Cleaning {
        now: clock::now().0,
        settled: LOG_SETTLED,
        bytes_max: config.log.bytes_max(),
        protect: &protect,
        groups: Groups::Work,
    };
    let done = log.clean(&cleaning)?;
    if done.over > 0 {
        tracing::warn!(bytes = done.over, "the log is larger than [log] bytes says, but nothing more may go yet");
    }
    Ok(done)
}
