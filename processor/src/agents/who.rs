//! Who is who: the directory by the times in which its entries held, and what PBXs' names and devices say beside it.
//!
//! An entry's first version counts for all that was before it, so that history that is imported later has an owner. Whoever is
//! not in the directory is called as the PBX does. Pure; what is published of it is in [`super::rows`].

use std::collections::BTreeMap;

use calltide_schemas::Micros;
use calltide_schemas::agents::directory::{Agent, Device, DirectoryChange, Entry, EntryKind, Origin, Queue, User};
use serde::{Deserialize, Serialize};

use super::rating::RateBook;

/// A time in which an entry held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) since: Micros,
    pub(super) until: Option<Micros>,
    pub(super) origin: Origin,
    pub(super) who: String,
    /// The entry, as JSON.
    pub(super) definition: String,
}

/// An entry's key.
pub(super) type EntryId = (EntryKind, String);

/// A person, as tables name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Person {
    /// The agent's id in the directory, else `<pbx>/<agent>`.
    pub(super) key: String,
    pub(super) agent: String,
    /// Of who is not in the directory.
    pub(super) pbx: Option<String>,
    pub(super) team: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: BTreeMap<EntryId, Vec<(Version, Entry)>>,
    /// By `<pbx>/<name>`, the agents that ever had it.
    names: BTreeMap<String, Vec<String>>,
    /// By `<pbx>/<endpoint>`, the agents whose device it ever was.
    devices: BTreeMap<String, Vec<String>>,
    /// The rates that stand in it now: their days say when they hold.
    rates: RateBook,
}

impl Directory {
    /// Takes an entry in as it was committed.
    pub(super) fn restore(&mut self, id: EntryId, versions: Vec<Version>) {
        let parsed = |version: Version| Some((serde_json::from_str(&version.definition).ok()?, version));
        let versions: Vec<(Version, Entry)> =
            versions.into_iter().filter_map(parsed).map(|(entry, version)| (version, entry)).collect();
        versions.iter().for_each(|(_, entry)| self.index(entry));
        if id.0 == EntryKind::Rate && versions.last().is_some_and(|(last, _)| last.until.is_some()) {
            self.rates.remove(&id.1);
        }
        self.entries.insert(id, versions);
    }

    /// The versions of an entry, oldest first.
    pub(super) fn versions(&self, id: &EntryId) -> Vec<Version> {
        self.entries.get(id).into_iter().flatten().map(|(version, _)| version.clone()).collect()
    }

    /// Changes it; returns the entries that are others now.
    pub(super) fn change(&mut self, said: &DirectoryChange) -> Vec<EntryId> {
        let mut changed: Vec<EntryId> = Vec::new();
        for entry in &said.entries {
            let id = (entry.kind(), entry.id().to_owned());
            if self.put(&id, entry, said) {
                changed.push(id);
            }
        }
        let named = |id: &EntryId| said.entries.iter().any(|entry| (entry.kind(), entry.id()) == (id.0, &id.1));
        let mut gone: Vec<EntryId> = said.removed.clone();
        if said.whole {
            let of_origin = |versions: &[(Version, Entry)]| {
                versions.last().is_some_and(|(last, _)| last.until.is_none() && last.origin == said.origin)
            };
            let others = self.entries.iter().filter(|(id, versions)| of_origin(versions) && !named(id));
            gone.extend(others.map(|(id, _)| id.clone()));
        }
        for id in gone {
            let last = self.entries.get_mut(&id).and_then(|versions| versions.last_mut());
            if let Some((last, _)) = last.filter(|(last, _)| last.until.is_none()) {
                last.until = Some(said.at.max(last.since));
                if id.0 == EntryKind::Rate {
                    self.rates.remove(&id.1);
                }
                changed.push(id);
            }
        }
        changed
    }

    /// Whether the entry is another than before.
    fn put(&mut self, id: &EntryId, entry: &Entry, said: &DirectoryChange) -> bool {
        let definition = serde_json::to_string(entry).unwrap_or_default();
        let versions = self.entries.entry(id.clone()).or_default();
        if versions.last().is_some_and(|(last, _)| last.until.is_none() && last.definition == definition) {
            return false;
        }
        let since = versions.last().map_or(said.at, |(last, _)| said.at.max(last.since + 1));
        if let Some((last, _)) = versions.last_mut() {
            last.until = Some(last.until.unwrap_or(since));
        }
        let version = Version { since, until: None, origin: said.origin, who: said.who.clone(), definition };
        versions.push((version, entry.clone()));
        self.index(entry);
        true
    }

    fn index(&mut self, entry: &Entry) {
        if let Entry::Rate(rate) = entry {
            // One that can't be read was refused before it came here.
            self.rates.put(rate);
        }
        let Entry::Agent(agent) = entry else { return };
        let add = |list: &mut BTreeMap<String, Vec<String>>, key: &String| {
            let ids = list.entry(key.clone()).or_default();
            if !ids.contains(&agent.id) {
                ids.push(agent.id.clone());
            }
        };
        agent.names.iter().for_each(|name| add(&mut self.names, name));
        agent.device.iter().for_each(|device| add(&mut self.devices, device));
    }

    /// The entry as it held then.
    pub(super) fn at(&self, kind: EntryKind, id: &str, at: Micros) -> Option<&Entry> {
        let versions = self.entries.get(&(kind, id.to_owned()))?;
        let holds = |(nth, (version, _)): &(usize, &(Version, Entry))| {
            (*nth == 0 || version.since <= at) && version.until.is_none_or(|until| at < until)
        };
        versions.iter().enumerate().find(holds).map(|(_, (_, entry))| entry)
    }

    /// An agent.
    pub(super) fn agent(&self, id: &str, at: Micros) -> Option<&Agent> {
        match self.at(EntryKind::Agent, id, at)? {
            Entry::Agent(agent) => Some(agent),
            Entry::User(_) | Entry::Team(_) | Entry::Group(_) | Entry::Device(_) | Entry::Queue(_) | Entry::Rate(_) => {
                None
            }
        }
    }

    /// A device, `<pbx>/<endpoint>`.
    pub(super) fn device(&self, id: &str, at: Micros) -> Option<&Device> {
        match self.at(EntryKind::Device, id, at)? {
            Entry::Device(device) => Some(device),
            Entry::User(_) | Entry::Team(_) | Entry::Group(_) | Entry::Agent(_) | Entry::Queue(_) | Entry::Rate(_) => {
                None
            }
        }
    }

    /// A queue, `<pbx>/<queue>`.
    pub(super) fn queue(&self, id: &str, at: Micros) -> Option<&Queue> {
        match self.at(EntryKind::Queue, id, at)? {
            Entry::Queue(queue) => Some(queue),
            Entry::User(_) | Entry::Team(_) | Entry::Group(_) | Entry::Agent(_) | Entry::Device(_) | Entry::Rate(_) => {
                None
            }
        }
    }

    /// A user.
    pub(super) fn user(&self, id: &str, at: Micros) -> Option<&User> {
        match self.at(EntryKind::User, id, at)? {
            Entry::User(user) => Some(user),
            Entry::Team(_)
            | Entry::Group(_)
            | Entry::Agent(_)
            | Entry::Device(_)
            | Entry::Queue(_)
            | Entry::Rate(_) => None,
        }
    }

    fn all(&self, kind: EntryKind) -> impl Iterator<Item = &str> {
        let range = self.entries.range((kind, String::new())..);
        range.take_while(move |((of, _), _)| *of == kind).map(|((_, id), _)| id.as_str())
    }

    /// Every device that held then.
    pub(super) fn devices(&self, at: Micros) -> impl Iterator<Item = &Device> {
        self.all(EntryKind::Device).filter_map(move |id| self.device(id, at))
    }

    /// The queues that a person is always in, each with the time in which that is so.
    pub(super) fn memberships(&self, person: &str) -> impl Iterator<Item = (&str, Micros, Option<Micros>)> {
        let queues = self.entries.range((EntryKind::Queue, String::new())..);
        let queues = queues.take_while(|((kind, _), _)| *kind == EntryKind::Queue);
        queues.flat_map(|(_, versions)| versions.iter().enumerate()).filter_map(move |(nth, (version, entry))| {
            let Entry::Queue(queue) = entry else { return None };
            let since = if nth == 0 { Micros(0) } else { version.since };
            queue.members.iter().any(|member| member == person).then_some((&*queue.id, since, version.until))
        })
    }

    /// Whoever was always in that queue at any time.
    pub(super) fn members_ever(&self, queue: &EntryId) -> impl Iterator<Item = &str> {
        let versions = self.entries.get(queue).into_iter().flatten();
        let queues = versions.filter_map(|(_, entry)| if let Entry::Queue(queue) = entry { Some(queue) } else { None });
        queues.flat_map(|queue| queue.members.iter().map(String::as_str))
    }

    /// The rates as they stand now.
    pub(super) const fn rates(&self) -> &RateBook {
        &self.rates
    }

    /// The agent that a PBX calls so.
    pub(super) fn named(&self, pbx: &str, name: &str, at: Micros) -> Option<&Agent> {
        let key = format!("{pbx}/{name}");
        let agents = self.names.get(&key)?.iter().filter_map(|id| self.agent(id, at));
        agents.into_iter().find(|agent| agent.names.contains(&key))
    }

    /// The agent whose own device it is.
    pub(super) fn owner_of(&self, pbx: &str, device: &str, at: Micros) -> Option<&Agent> {
        let key = format!("{pbx}/{device}");
        let agents = self.devices.get(&key)?.iter().filter_map(|id| self.agent(id, at));
        agents.into_iter().find(|agent| agent.device.as_ref() == Some(&key))
    }

    /// The external device with that number.
    pub(super) fn external(&self, pbx: &str, number: &str, at: Micros) -> Option<&Device> {
        let digits = |text: &str| text.trim_start_matches('+').to_owned();
        let of_pbx = format!("{pbx}/");
        let mut devices = self.devices(at).filter(|device| device.id.starts_with(&of_pbx));
        devices.find(|device| device.number.as_deref().is_some_and(|own| digits(own) == digits(number)))
    }

    /// A person by key.
    pub(super) fn person(&self, key: &str, at: Micros) -> Person {
        if let Some(agent) = self.agent(key, at) {
            return Person { key: key.to_owned(), agent: key.to_owned(), pbx: None, team: agent.team.clone() };
        }
        // An agent who was in the directory once has no PBX in the name.
        let (pbx, agent) = key.split_once('/').map_or((None, key), |(pbx, agent)| (Some(pbx.to_owned()), agent));
        Person { key: key.to_owned(), agent: agent.to_owned(), pbx, team: None }
    }
}
