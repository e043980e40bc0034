//! All folds of a process that does everything, and how what one tells the others comes to rest.

use std::sync::Arc;

use calltide_eventlog::EventLog;
use calltide_schemas::topics::IN_CONTACTS;

use crate::clock;
use crate::config::Config;
use crate::errors::Result;
use crate::fold::{AtEnd, Derives, FoldThread, Time};

/// Who gives the rules that stand in the configuration.
pub(crate) const CONFIGURATION: &str = "the configuration";

/// The folds of a process.
pub(crate) struct Folds {
    log: Arc<dyn EventLog>,
    calls: FoldThread,
    contacts: FoldThread,
    numbers: FoldThread,
}

impl Folds {
    /// Starts them. The rules that are configured hold before anything else is taken in.
    pub(crate) fn start(log: &Arc<dyn EventLog>, config: &Config, time: Time) -> Result<Self> {
        let start = |derives| FoldThread::start(Arc::clone(log), derives, time, AtEnd::CatchUp);
        let derives = Derives::Contacts(config.site_rules(clock::now(), CONFIGURATION)?);
        let given = log.append(derives.topic(), 0, derives.first().into_iter().collect());
        match (given, time) {
            (Ok(_), _) => {}
            (Err(error), Time::Stands) => return Err(error.into()),
            // Collecting goes on, whatever becomes of verdicts.
            (Err(error), Time::GoesOn) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the rules of recycling could not be given: those of the last start hold");
            }
        }
        let contacts = start(derives)?;
        let numbers = start(Derives::Numbers)?;
        let calls = start(Derives::Calls(config.call_settings()))?;
        Ok(Self { log: Arc::clone(log), calls, contacts, numbers })
    }

    /// Returns when they have processed everything that was in the log, and what they told each other.
    pub(crate) fn caught_up(&self) -> Result<()> {
        self.calls.caught_up()?;
        self.settled()
    }

    fn settled(&self) -> Result<()> {
        let end = || Ok::<_, crate::errors::Failure>(self.log.bounds(IN_CONTACTS, 0)?.1);
        let mut told = end()?;
        loop {
            self.contacts.caught_up()?;
            self.numbers.caught_up()?;
            let now = end()?;
            if now == told {
                return Ok(());
            }
            told = now;
        }
    }

    /// Asks them to end soon, whether they can do their work or not.
    pub(crate) fn give_up(&self) {
        [&self.calls, &self.contacts, &self.numbers].into_iter().for_each(FoldThread::give_up);
    }

    /// Processes what is there and ends them.
    pub(crate) fn stop(self) -> Result<()> {
        let settled = if self.calls.is_given_up() { Ok(()) } else { self.caught_up() };
        let Self { calls, contacts, numbers, .. } = self;
        let ended = [calls, contacts, numbers].map(FoldThread::stop);
        settled?;
        ended.into_iter().collect()
    }
}
