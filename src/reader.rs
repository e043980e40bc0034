//! Opens tables and log for questions, beside whoever writes to them.
//!
//! Must not know what is asked; limits and patience come from the configuration.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::embedded::EmbeddedLog;
use calltide_eventlog::kafka::KafkaOptions;
use calltide_eventlog::{EventLog, LogError};
use calltide_query_api::{Engine, EngineOptions, Lacking, QueryError, QueryOutput};
use rustix::process::{Signal, getpid, kill_process};

use crate::args::Places;
use crate::cluster;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::output;

/// How long a process whose queries do not end may take to exit by itself.
const EXIT_PATIENCE: Duration = Duration::from_millis(300);

/// How long a query waits for an answer of the log on a cluster: those who ask are told soon that it is away.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

/// Tables and log of a data directory, with threads to ask them from.
pub(crate) struct Reader {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    /// What answers lacked and was told.
    lacking: RefCell<Vec<Lacking>>,
}

impl Reader {
    /// Over the directory and the limits that these places name.
    pub(crate) fn open(places: &Places) -> Result<Self> {
        Self::over(engine(&places.data(), &Config::load(places, None)?, Patience::None)?)
    }

    fn over(engine: Engine) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(Exit::Failed, "cannot start").because(&e))?;
        Ok(Self { engine, runtime, lacking: RefCell::default() })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Engine) -> std::result::Result<T, QueryError>,
    ) -> Result<T> {
        Ok(self.runtime.block_on(question(&self.engine))?)
    }

    /// Says which facts an answer lacks, each once.
    pub(crate) fn tell_of_lacking(&self, answer: &QueryOutput) {
        let mut told = self.lacking.borrow_mut();
        for lacking in answer.lacking.iter() {
            if !told.contains(lacking) {
                output::note(&format!(
                    "warning: facts are missing from the answer: {lacking}; see `calltide log verify`"
                ));
                told.push(lacking.clone());
            }
        }
    }
}

/// What is done when the log is on a cluster that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is an error.
    None,
    /// It is waited for: by what serves for long.
    Waits,
}

/// The log for reading, on the cluster or in the data directory; `None` where there is none.
pub(crate) fn log(data: &DataDir, config: &Config, patience: Patience) -> Result<Option<Arc<dyn EventLog>>> {
    if let Some(options) = config.kafka(data)? {
        let options = KafkaOptions { patience: LOG_PATIENCE, ..options };
        return match patience {
            Patience::None => Ok(Some(cluster::open(&options, config)?)),
            Patience::Waits => Ok(cluster::open_patiently(&options, config, &|| false)?),
        };
    }
    match EmbeddedLog::open_reader(&data.log()) {
        Ok(log) => Ok(Some(Arc::new(log))),
        Err(LogError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The engine over what is there: tables and log, or tables alone.
pub(crate) fn engine(data: &DataDir, config: &Config, patience: Patience) -> Result<Engine> {
    engine_over(data, config, log(data, config, patience)?)
}

/// The same over a log that is open.
pub(crate) fn engine_over(data: &DataDir, config: &Config, log: Option<Arc<dyn EventLog>>) -> Result<Engine> {
    if log.is_none() && !config.lake.place(data)?.may_have_tables() {
        return Err(Failure::new(Exit::NotFound, format!("there is no data in {}", data.path().display())).hint(
            "`calltide import` or `calltide up` makes it; give the right directory with --data, or try `calltide demo`",
        ));
    }
    data.clear_spill();
    let options = EngineOptions { last_resort: Some(Arc::new(end)), ..config.engine(data, log)? };
    Ok(Engine::new(options)?)
}

/// Ends this process, since its queries cannot be ended otherwise.
fn end(reason: &str) {
    // First of all: what runs at an exit might wait for the very threads that do not end, and stderr for its reader.
    std::thread::spawn(|| {
        std::thread::sleep(EXIT_PATIENCE);
        let _ = kill_process(getpid(), Signal::KILL);
    });
    let failure = Failure::new(Exit::Failed, format!("queries were out of hand: {reason}"))
        .hint("narrow the range of started_at, or raise [query] memory in calltide.toml");
    output::complain(&failure.to_string());
    std::process::exit(i32::from(Exit::OutOfHand.code()));
}
