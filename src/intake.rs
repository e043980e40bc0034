//! What people and programs say, on its way into the log: contacts, promises, do-not-call entries, claims, agents' logins, the
//! directory.
//!
//! Whoever has the log open for writing appends; beside a running `up` it is asked to ([`crate::control`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use calltide_eventlog::{EventLog, LogError, Record};
use calltide_processor::agents::for_agents;
use calltide_processor::recycling::{for_all, for_contacts, for_numbers};
use calltide_query_api::recycling::Takes;
use calltide_schemas::recycling::{Intake, IntakeKey};
use calltide_schemas::topics::{IN_AGENTS, IN_CONTACTS, IN_NUMBERS};

use crate::args::Places;
use crate::cluster;
use crate::config::Config;
use crate::control;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::fold::Time;
use crate::reader::{self, Patience};
use crate::site::Site;

/// Records appended at once: some hundred kilobytes.
pub(crate) const AT_ONCE: usize = 1_000;

/// Appends what is said. All of it, or an error; then some may be there.
pub(crate) fn append(log: &dyn EventLog, said: Vec<Intake>) -> std::result::Result<(), LogError> {
    let mut keyed: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for one in said {
        let topic = match one {
            Intake::Contact(_) | Intake::AllContacts(_) => IN_CONTACTS,
            Intake::Number(_) | Intake::AllNumbers(_) => IN_NUMBERS,
            Intake::Agents(_) => IN_AGENTS,
        };
        let record = match (&one, one.key()) {
            (Intake::Contact(said) | Intake::AllContacts(said), IntakeKey::Contact(of)) => for_contacts(&of, said),
            (Intake::Number(said) | Intake::AllNumbers(said), IntakeKey::Number(number)) => for_numbers(&number, said),
            (Intake::Contact(said) | Intake::AllContacts(said), _) => {
                to_all(log, topic, &for_all(said.kind(), said.at(), said))?;
                continue;
            }
            (Intake::Number(said) | Intake::AllNumbers(said), _) => {
                to_all(log, topic, &for_all(said.kind(), said.at(), said))?;
                continue;
            }
            (Intake::Agents(said), _) => for_agents(said),
        };
        keyed.entry(topic).or_default().push(record);
    }
    keyed.into_iter().try_for_each(|(topic, records)| log.append_by_key(topic, records))
}

fn to_all(log: &dyn EventLog, topic: &str, record: &Record) -> std::result::Result<(), LogError> {
    (0..log.partitions(topic)?).try_for_each(|partition| log.append(topic, partition, vec![record.clone()]).map(drop))
}

/// Takes in what a command says, wherever the log is; `next` gives it part by part. Returns when the tables have it, where this
/// process or a running `up` writes them.
pub(crate) fn take_in(places: &Places, config: &Config, next: &mut dyn FnMut() -> Result<Vec<Intake>>) -> Result<()> {
    let data = places.data();
    let way = Way::open(&data, config)?;
    loop {
        let said = next()?;
        if said.is_empty() {
            return way.close();
        }
        way.tell(said)?;
    }
}

/// How records get into the log.
pub(crate) enum Way {
    /// This process writes to it.
    Site(Box<Site>),
    /// A running `up` does.
    Up(DataDir),
    /// Brokers.
    Cluster(Arc<dyn EventLog>),
}

impl Way {
    /// Opens the log for writing, or finds who has it open.
    pub(crate) fn open(data: &DataDir, config: &Config) -> Result<Self> {
        if let Some(options) = config.kafka(data)? {
            return Ok(Self::Cluster(cluster::open(&options, config)?));
        }
        match Site::open(data, config, Time::Stands) {
            Ok(site) => Ok(Self::Site(Box::new(site))),
            Err(locked) if locked.exit == Exit::Locked => match control::tell(data, Vec::new())? {
                Some(()) => Ok(Self::Up(data.clone())),
                None => Err(locked),
            },
            Err(error) => Err(error),
        }
    }

    fn tell(&self, said: Vec<Intake>) -> Result<()> {
        match self {
            Self::Site(site) => Ok(append(&*site.log, said)?),
            Self::Cluster(log) => Ok(append(&**log, said)?),
            Self::Up(data) => control::tell(data, said)?.ok_or_else(|| {
                Failure::new(Exit::Failed, "the running `up` ended before all was said")
                    .hint("do it again: what was taken in before changes nothing")
            }),
        }
    }

    /// The log for reading.
    pub(crate) fn log(&self, config: &Config) -> Result<Arc<dyn EventLog>> {
        match self {
            Self::Site(site) => Ok(Arc::clone(&site.log)),
            Self::Cluster(log) => Ok(Arc::clone(log)),
            Self::Up(data) => reader::log(data, config, Patience::None)?
                .ok_or_else(|| Failure::new(Exit::NotFound, format!("there is no log in {}", data.path().display()))),
        }
    }

    /// Ends it, when the tables have what was said, where this process writes them.
    pub(crate) fn close(self) -> Result<()> {
        match self {
            Self::Site(site) => {
                let flushed = site.flush();
                site.close().and(flushed)
            }
            Self::Up(_) | Self::Cluster(_) => Ok(()),
        }
    }
}

impl Takes for Way {
    fn take(&self, said: Vec<Intake>) -> std::result::Result<(), String> {
        self.tell(said).map_err(|failure| failure.error().to_owned())
    }
}
