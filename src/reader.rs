//! Opens a data directory for questions, beside whoever writes to it.

use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::embedded::EmbeddedLog;
use calltide_eventlog::{EventLog, LogError};
use calltide_query_api::{Engine, EngineOptions, QueryError};
use rustix::process::{Signal, getpid, kill_process};

use crate::args::Places;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::output;

/// How long a process whose queries do not end may take to exit by itself.
const EXIT_PATIENCE: Duration = Duration::from_millis(300);

/// Tables and log of a data directory, with threads to ask them from.
pub(crate) struct Reader {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

impl Reader {
    /// Over the directory and the limits that these places name.
    pub(crate) fn open(places: &Places) -> Result<Self> {
        Self::over(engine(&places.data(), &Config::load(places, None)?)?)
    }

    fn over(engine: Engine) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(Exit::Failed, "cannot start").because(&e))?;
        Ok(Self { engine, runtime })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Engine) -> std::result::Result<T, QueryError>,
    ) -> Result<T> {
        Ok(self.runtime.block_on(question(&self.engine))?)
    }
}

/// The log of a data directory for reading; `None` where there is none.
pub(crate) fn log(data: &DataDir) -> Result<Option<Arc<dyn EventLog>>> {
    match EmbeddedLog::open_reader(&data.log()) {
        Ok(log) => Ok(Some(Arc::new(log))),
        Err(LogError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The engine over what is there: tables and log, or tables alone.
pub(crate) fn engine(data: &DataDir, config: &Config) -> Result<Engine> {
    let log = log(data)?;
    if log.is_none() && !data.has_lake() {
        return Err(Failure::new(Exit::NotFound, format!("there is no data in {}", data.path().display())).hint(
            "`calltide import` or `calltide up` makes it; give the right directory with --data, or try `calltide demo`",
        ));
    }
    data.clear_spill();
    let options = EngineOptions { last_resort: Some(Arc::new(end)), ..config.engine(data, log) };
    Ok(Engine::new(options)?)
}

/// Ends this process, since its queries cannot be ended otherwise.
fn end(reason: &str) {
    let failure = Failure::new(Exit::Failed, format!("queries were out of hand: {reason}"))
        .hint("narrow the range of started_at, or raise [query] memory in calltide.toml");
    output::complain(&failure.to_string());
    // What runs at an exit might wait for the very threads that do not end.
    std::thread::spawn(|| {
        std::thread::sleep(EXIT_PATIENCE);
        let _ = kill_process(getpid(), Signal::KILL);
    });
    std::process::exit(i32::from(Exit::Failed.code()));
}
