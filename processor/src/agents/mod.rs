//! The fold of agents: who was logged in, in which queue, and what they did, as one sequence of states for each person.
//!
//! What PBXs, terminals and the directory say is kept as it was told ([`kept`]); whom it is about is decided in [`people`].
//! Whenever something about a person changes, their sessions ([`sessions`]) and the part of their timeline ([`timeline`]) that
//! it concerns are told anew and what is different is published ([`telling`]). Its clock is the latest time that was told.

mod charging;
mod hearing;
mod kept;
mod laws;
mod people;
mod presence;
mod rating;
mod rows;
mod sessions;
mod telling;
mod terminals;
mod timeline;
mod who;

use std::collections::{BTreeMap, BTreeSet};

use calltide_eventlog::{Change, Output, Record};
use calltide_schemas::Micros;
use calltide_schemas::agents::ForAgents;
use calltide_schemas::topics::IN_AGENTS;

use charging::Charges;

use crate::fold::{Effects, Fold};
use crate::store::Store;
use people::People;
use timeline::Window;
use who::Directory;

/// A record for the fold of agents.
pub fn for_agents(said: &ForAgents) -> Record {
    let (key, at) = (said.key(), said.at().0);
    // Of one member there may be several at a moment.
    let which = match said {
        ForAgents::Member(said) => {
            format!(":{}:{}", said.member.queue.as_deref().unwrap_or_default(), said.what.name())
        }
        ForAgents::Terminal(said) => format!(":{}:{}", said.terminal, said.request_id),
        ForAgents::Tick(_)
        | ForAgents::Directory(_)
        | ForAgents::Server(_)
        | ForAgents::Registered(_)
        | ForAgents::Leg(_)
        | ForAgents::Billable(_) => String::new(),
    };
    Record {
        id: format!("{}:{key}:{at}{which}", said.kind()),
        key: key.into_bytes(),
        at,
        kind: said.kind().to_owned(),
        journal: None,
        payload: serde_json::to_vec(said).ok(),
    }
}

impl Effects {
    /// Tells the fold of agents.
    pub(crate) fn tell_agents(&mut self, said: &ForAgents) {
        self.outputs.push(Output { topic: IN_AGENTS.to_owned(), record: for_agents(said) });
    }
}

/// What is no older than this may still be corrected, as calls may be.
const CORRECT_US: i64 = 24 * 3_600 * 1_000_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Agents {
    store: Store,
    directory: Directory,
    charges: Charges,
    /// The latest time that was told.
    now: Micros,
    /// Persons by when something about them changes by itself: a time-out, the end of a wrap-up.
    timers: BTreeSet<(Micros, String)>,
    timer_of: BTreeMap<String, Micros>,
    /// Persons with the part of their timeline that is to be told anew.
    dirty: BTreeMap<String, Window>,
}

impl Agents {
    /// A fold without a past.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fold as it was committed; `None` if the entries were written by another version of it.
    pub fn restore(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Option<Self> {
        let mut agents = Self::new();
        for (key, value) in entries {
            let fits = match Charges::owns(&key) {
                true => agents.charges.restore(&key, &value),
                false => agents.store.restore(&key, &value),
            };
            if !fits {
                return None;
            }
        }
        agents.now = agents.store.get(b"c").unwrap_or_default();
        agents.restore_directory();
        let timers: Vec<(String, Micros)> =
            agents.store.all(b"z").map(|(key, at)| (kept::parts(key).concat(), at)).collect();
        timers.into_iter().for_each(|(person, at)| agents.remind(&person, Some(at)));
        Some(agents)
    }

    /// The clock goes on: what was due by then is done first.
    fn advance(&mut self, at: Micros, out: &mut Effects) {
        let before = self.now;
        while let Some((due, person)) = self.timers.first().filter(|(due, _)| *due <= at).cloned() {
            self.now = self.now.max(due);
            self.remind(&person, None);
            self.dirty(&person, Window { from: due, to: None });
            self.tell_dirty(out);
        }
        self.now = self.now.max(at);
        if self.now != before {
            self.store.put(b"c", &self.now);
            self.charges.passed(self.now);
        }
    }

    /// Something about a person changes by itself then.
    fn remind(&mut self, person: &str, at: Option<Micros>) {
        if let Some(known) = self.timer_of.remove(person) {
            self.timers.remove(&(known, person.to_owned()));
        }
        let key = kept::key(b'z', &[person]);
        match at {
            Some(at) => {
                self.timer_of.insert(person.to_owned(), at);
                self.timers.insert((at, person.to_owned()));
                self.store.put(&key, &at);
            }
            None => self.store.remove(&key),
        }
    }

    /// A part of a person's timeline is to be told anew.
    fn dirty(&mut self, person: &str, window: Window) {
        self.dirty.entry(person.to_owned()).and_modify(|known| *known = known.hull(window)).or_insert(window);
    }

    fn tell_dirty(&mut self, out: &mut Effects) {
        while let Some((person, window)) = self.dirty.pop_first() {
            self.tell(&person, window, out);
        }
    }
}

impl Fold for Agents {
    fn apply(&mut self, record: &Record, out: &mut Effects) {
        let said = record.payload.as_deref().and_then(|payload| serde_json::from_slice::<ForAgents>(payload).ok());
        let Some(said) = said else {
            out.note("unreadable_input");
            return;
        };
        self.advance(said.at(), out);
        match said {
            ForAgents::Tick(_) => {}
            ForAgents::Directory(said) => self.directory_changes(&said, out),
            ForAgents::Member(said) => self.member(&said, out),
            ForAgents::Server(said) => self.server(&said),
            ForAgents::Terminal(said) => self.terminal(&said, out),
            ForAgents::Registered(said) => self.registered(&said),
            ForAgents::Leg(said) => self.leg(&said, out),
            ForAgents::Billable(said) => {
                let known = People { store: &self.store, directory: &self.directory };
                self.charges.billable(self.now, &said, &known, out);
            }
        }
        self.tell_dirty(out);
        self.charges.go_on(&People { store: &self.store, directory: &self.directory }, out);
    }

    fn changes(&mut self) -> Vec<Change> {
        let mut changes = self.store.changes();
        changes.extend(self.charges.changes());
        changes
    }

    fn has_more(&self) -> bool {
        self.charges.has_more()
    }

    fn next_look(&self) -> Option<Micros> {
        self.timers.first().map(|(at, _)| *at)
    }
}
