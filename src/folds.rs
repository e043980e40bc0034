//! All folds of a process that does everything, and how what one tells the others comes to rest.

use std::sync::Arc;

use calltide_eventlog::EventLog;
use calltide_schemas::topics::IN_CONTACTS;

use crate::clock;
use crate::config::Config;
use crate::errors::Result;
use crate::fold::{AtEnd, Derives, FoldThread, Time};

/// Who gives the rules and the directory that stand in the configuration.
pub(crate) const CONFIGURATION: &str = "the configuration";

/// The folds of a process.
pub(crate) struct Folds {
    log: Arc<dyn EventLog>,
    calls: FoldThread,
    contacts: FoldThread,
    numbers: FoldThread,
    agents: FoldThread,
}

impl Folds {
    /// Starts them. The rules and the directory that are configured hold before anything else is taken in.
    pub(crate) fn start(log: &Arc<dyn EventLog>, config: &Config, time: Time) -> Result<Self> {
        let start = |derives| FoldThread::start(Arc::clone(log), derives, time, AtEnd::CatchUp);
        let now = clock::now();
        let contacts = Derives::Contacts(config.site_rules(now, CONFIGURATION)?);
        let agents = Derives::Agents(config.directory.change(now, CONFIGURATION));
        for derives in [&contacts, &agents] {
            let given = log.append(derives.topic(), 0, derives.first().into_iter().collect());
            match (given, time) {
                (Ok(_), _) => {}
                (Err(error), Time::Stands) => return Err(error.into()),
                // Collecting goes on, whatever becomes of what follows from it.
                (Err(error), Time::GoesOn) => {
                    let (group, error) = (derives.group(), &error as &dyn std::error::Error);
                    tracing::warn!(
                        error,
                        "the configuration could not be given to {group}: that of the last start holds"
                    );
                }
            }
        }
        let (contacts, numbers) = (start(contacts)?, start(Derives::Numbers)?);
        let agents = start(agents)?;
        let calls = start(Derives::Calls(config.call_settings()))?;
        Ok(Self { log: Arc::clone(log), calls, contacts, numbers, agents })
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
                // It tells nobody anything.
                return self.agents.caught_up();
            }
            told = now;
        }
    }

    /// Asks them to end soon, whether they can do their work or not.
    pub(crate) fn give_up(&self) {
        [&self.calls, &self.contacts, &self.numbers, &self.agents].into_iter().for_each(FoldThread::give_up);
    }

    /// Processes what is there and ends them.
    pub(crate) fn stop(self) -> Result<()> {
        let settled = if self.calls.is_given_up() { Ok(()) } else { self.caught_up() };
        let Self { calls, contacts, numbers, agents, .. } = self;
        let ended = [calls, contacts, numbers, agents].map(FoldThread::stop);
        settled?;
        ended.into_iter().collect()
    }
}
