//! Opens a data directory for questions, beside whoever writes to it.

use std::sync::Arc;

use calltide_eventlog::embedded::EmbeddedLog;
use calltide_eventlog::{EventLog, LogError};
use calltide_query_api::{Engine, QueryError};

use crate::args::Places;
use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};

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
    Ok(Engine::new(config.engine(data, log))?)
}
