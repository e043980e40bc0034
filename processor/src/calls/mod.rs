//! The calls fold: raw events in, calls, attempts, legs, queue visits, stories and rejects out.
//!
//! A call's story can be read here: an event is decoded into facts ([`crate::vocabulary`]); each fact is kept with its channel
//! and channels that belong together are gathered ([`gather`]); when they are gone, a heartbeat closes the group
//! ([`closing`]) and its calls are told from all facts at once ([`telling`]). The fold knows no clock but heartbeats.

mod channel;
mod clock;
mod closing;
mod feeding;
mod gather;
mod informing;
mod legs;
mod originate;
mod outcome;
mod queueing;
mod rejects;
mod resync;
mod roles;
mod rows;
mod settings;
mod sources;
mod state;
mod story;
mod talking;
mod telling;
mod timeline;

use std::collections::BTreeSet;

use calltide_eventlog::{Change, Record};
use calltide_schemas::Micros;
use calltide_schemas::agents::{ForAgents, MemberSaid, Registered, Server, ServerWhat, Tick};
use calltide_schemas::envelope::{Envelope, HEARTBEAT_OF_FILES, Source};

pub use settings::{CallSettings, CampaignMatch};

use crate::fold::{Effects, Fold, Measure};
use crate::vocabulary::{self, Fact, Said, Teller, Uid, What};
pub use clock::Sign;
use state::{Key, State};

/// The calls fold.
#[derive(Debug)]
pub struct Calls {
    settings: CallSettings,
    state: State,
}

impl Calls {
    /// A fold without a past.
    pub fn new(settings: CallSettings) -> Self {
        Self { settings, state: State::default() }
    }

    /// A fold as it was committed; `None` if the entries were written by another version of it, so that everything must be
    /// derived anew.
    pub fn restore(settings: CallSettings, entries: Vec<(Vec<u8>, Vec<u8>)>) -> Option<Self> {
        let mut calls = Self::new(settings);
        calls.state.restore(entries).then_some(calls)
    }

    fn take_in(&mut self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Effects) {
        let decoded = vocabulary::decode(envelope, &self.settings.reading);
        if let Some((reason, detail)) = decoded.problem {
            rejects::reject(envelope, payload, reason, Some(detail), out);
        }
        let mut too_late = false;
        for said in decoded.said {
            too_late |= !self.hear(&envelope.pbx, &envelope.journal, said, out);
        }
        if too_late {
            let detail = "the call it belongs to can no longer be corrected".to_owned();
            rejects::reject(envelope, payload, "too_late", Some(detail), out);
        }
    }

    /// Takes in what a PBX said by a journal; `false` if it is about a channel that was forgotten long ago.
    pub fn hear(&mut self, pbx: &str, journal: &str, said: Said, out: &mut Effects) -> bool {
        match said {
            Said::Fact { uid, name, linkedid, fact } => {
                return self.fact(pbx, journal, uid, name.zip(linkedid), fact, out);
            }
            Said::Originate(response) => originate::answered(&mut self.state, pbx, response, &self.settings),
            Said::Booted { at } => self.booted(pbx, at, out),
            Said::ShutDown { at } => self.shut_down(pbx, at, out),
            Said::Member { at, teller, member, what } => {
                let (pbx, by_log) = (pbx.to_owned(), teller == Teller::QueueLog);
                out.tell_agents(&ForAgents::Member(MemberSaid { at, pbx, by_log, member, what }));
            }
            Said::MembersListed { at } => {
                out.tell_agents(&ForAgents::Server(Server { at, pbx: pbx.to_owned(), what: ServerWhat::AllListed }));
            }
            Said::Registered { at, device, address } => {
                let (pbx, device) = (pbx.to_owned(), device.into_string());
                let address = address.map(String::from);
                out.tell_agents(&ForAgents::Registered(Registered { at, pbx, device, address }));
            }
        }
        true
    }

    /// Keeps a fact.
    fn fact(
        &mut self,
        pbx: &str,
        journal: &str,
        uid: Uid,
        hint: Option<(Box<str>, Box<str>)>,
        fact: Fact,
        out: &mut Effects,
    ) -> bool {
        let of = self.state.pbxs.get(pbx);
        let known = of.is_some_and(|of| of.channels.get(&uid).is_some_and(|c| !c.facts.is_empty()));
        if !known && of.is_some_and(|of| of.gone.contains_key(&state::digest(uid.as_bytes()))) {
            return false;
        }
        // The queue's log names no channel, so the first fact need not be the one that does.
        let named =
            |c: &state::Channel| c.facts.iter().any(|f| matches!(f.what, What::Created { .. } | What::Seen { .. }));
        let named = of.is_some_and(|of| of.channels.get(&uid).is_some_and(named));
        if let Some((name, linkedid)) = hint.filter(|_| !named && !matches!(fact.what, What::Created { .. })) {
            let seen = Fact { at: fact.at, teller: fact.teller, what: What::Seen { name, linkedid } };
            gather::take_in(&mut self.state, pbx, &uid, seen, journal);
        }
        if !gather::take_in(&mut self.state, pbx, &uid, fact, journal) {
            out.note("duplicate_fact");
            return true;
        }
        let group = self.state.pbxs.get(pbx).and_then(|of| of.channels.get(&uid)).map(|c| c.group.clone());
        if let Some(group) = group {
            closing::schedule(&mut self.state, pbx, &group, &self.settings);
        }
        true
    }

    /// The PBX started at that time: what was up before is gone.
    fn booted(&mut self, pbx: &str, at: Micros, out: &mut Effects) {
        if self.state.pbxs.entry(pbx.into()).or_default().clock.booted(at) {
            self.ended(pbx, at, out);
        }
        self.state.touch(Key::Clock(pbx.into()));
    }

    /// The PBX ended at that time, and what was up with it.
    fn shut_down(&mut self, pbx: &str, at: Micros, out: &mut Effects) {
        if self.state.pbxs.entry(pbx.into()).or_default().clock.shut_down(at) {
            self.ended(pbx, at, out);
        }
        self.state.touch(Key::Clock(pbx.into()));
    }

    /// What was up before `at` is not any more, nor is anybody in a queue who was before.
    fn ended(&mut self, pbx: &str, at: Micros, out: &mut Effects) {
        self.close_dead(pbx);
        sources::server_changed(&mut self.state, pbx);
        let died = self.state.pbxs.get(pbx).and_then(|of| of.clock.stopped()).filter(|died| *died <= at);
        let (at, pbx) = (died.unwrap_or(at), pbx.to_owned());
        out.tell_agents(&ForAgents::Server(Server { at, pbx, what: ServerWhat::Ended }));
    }

    /// What was open before a start of the PBX is to be told (again).
    fn close_dead(&mut self, pbx: &str) {
        let Some(of) = self.state.pbxs.get_mut(pbx) else { return };
        let open: Vec<Uid> = of.open.iter().cloned().collect();
        for id in open {
            let Some(of) = self.state.pbxs.get_mut(pbx) else { return };
            if let Some(group) = of.groups.get_mut(&id).filter(|group| of.clock.cut(group.last).is_some()) {
                group.dirty = true;
                closing::schedule(&mut self.state, pbx, &id, &self.settings);
            }
        }
    }

    /// The PBX's clock reached `at`: does what is due by then.
    pub fn heartbeat(&mut self, pbx: &str, at: Micros, sign: Sign, out: &mut Effects) {
        if self.state.pbxs.entry(pbx.into()).or_default().clock.beat(at, sign) {
            self.close_dead(pbx);
        }
        self.state.touch(Key::Clock(pbx.into()));
        originate::settle(&mut self.state, pbx, &self.settings);
        feeding::dials(&mut self.state, pbx, &self.settings, out);
        informing::under_way(&mut self.state, pbx, &self.settings, out);
        closing::fire(&mut self.state, pbx, &self.settings, out);
        sources::publish(&mut self.state, pbx, at, out);
    }

    fn import_ended(&mut self, envelope: &Envelope<'_>, out: &mut Effects) {
        sources::import_ended(&mut self.state, &envelope.pbx);
        self.heartbeat(&envelope.pbx, envelope.at, Sign::Asked, out);
        originate::settle_all(&mut self.state, &envelope.pbx, &self.settings);
        let journals: BTreeSet<&str> =
            envelope.headers.iter().filter(|h| h.0.as_str() == "journal").map(|h| h.1.as_str()).collect();
        let keep_open = envelope.keep_open;
        closing::close_imported(&mut self.state, &envelope.pbx, &journals, keep_open, &self.settings, out);
        // Where nothing else tells of the PBX, nothing is known of who stayed.
        if !keep_open && !sources::is_collected(&self.state, &envelope.pbx) {
            let (pbx, what) = (envelope.pbx.to_string(), ServerWhat::FilesEnded);
            out.tell_agents(&ForAgents::Server(Server { at: envelope.at, pbx, what }));
        }
        // So late it was for agents, too.
        out.tell_agents(&ForAgents::Tick(Tick { at: envelope.at }));
    }
}

impl Fold for Calls {
    fn apply(&mut self, record: &Record, out: &mut Effects) {
        let Some(payload) = &record.payload else { return };
        let Ok(envelope) = Envelope::read(payload) else {
            rejects::unreadable_record(record, payload, out);
            return;
        };
        if !sources::arrived(&mut self.state, &envelope, out) {
            return;
        }
        match envelope.source {
            Source::Ami | Source::Cel | Source::QueueLog => self.take_in(&envelope, payload, out),
            Source::Heartbeat if envelope.header(HEARTBEAT_OF_FILES.0) == Some(HEARTBEAT_OF_FILES.1) => {
                self.heartbeat(&envelope.pbx, envelope.at, Sign::Files, out);
            }
            Source::Heartbeat => self.heartbeat(&envelope.pbx, envelope.at, Sign::Asked, out),
            Source::ImportEnd => self.import_ended(&envelope, out),
            Source::Gap => {
                out.note("gap");
                sources::publish(&mut self.state, &envelope.pbx, envelope.at, out);
            }
            Source::Resync => resync::resync(&mut self.state, &envelope, &self.settings, out),
            Source::Unreadable => {
                let reason = envelope.reason.as_deref().unwrap_or("malformed");
                rejects::reject(&envelope, payload, reason, None, out);
            }
        }
    }

    fn changes(&mut self) -> Vec<Change> {
        self.state.changes()
    }

    fn measures(&mut self) -> Vec<Measure> {
        sources::measures(&mut self.state)
    }
}
