//! The fold of contacts: what is told of a contact changes what is remembered of it, and it is decided anew.
//!
//! What concerns many contacts at once (rules, a list, a campaign's end) is carried out some contacts at a time, tick by
//! tick, in the order of their keys. What is decided is in [`super::deciding`], what comes of it in [`super::telling`].

use std::collections::BTreeSet;

use calltide_eventlog::{Change, Record};
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{Elsewhere, SiteRules};
use calltide_schemas::recycling::{
    Attempt, Callback, ContactKey, Dial, ForContacts, Loaded, Notice, Standing, StandingChange, Word,
};
use serde::{Deserialize, Serialize};

use super::contact::{About, Contact, Open, Promise, ReachedBy, Where};
use super::digest;
use super::rows::RulesRow;
use super::rulebook::{ALL_OTHERS, Kept, Rulebook};
use super::zones::Atlas;
use crate::fold::{Effects, Fold};
use crate::store::{Store, name};

/// Contacts that are decided anew with one tick: a commit of them takes some tens of milliseconds.
const SWEPT_AT_ONCE: usize = 500;

/// What an entry of the state is, by the first letter of its key.
const CONTACT: &[u8] = b"c";
const RULES: &[u8] = b"r";
const HELD_LIST: &[u8] = b"h";
const ENDED: &[u8] = b"e";
const SWEEPS: &[u8] = b"s";

/// Contacts that are to be decided anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sweep {
    /// The campaign; all that have no rules of their own if there is none.
    campaign: Option<String>,
    /// Only those of this list.
    list: Option<String>,
    /// They are taken off the list.
    remove: bool,
    /// Done up to this key.
    after: Option<Vec<u8>>,
    at: Micros,
    trigger: Trigger,
}

/// What led to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Trigger {
    Loaded,
    Standing,
    Callback,
    Dial,
    Attempt,
    Notice,
    Rules,
    CampaignEnd,
}

impl Trigger {
    /// The word in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "contact_loaded",
            Self::Standing => "standing",
            Self::Callback => "callback",
            Self::Dial => "contact_dial",
            Self::Attempt => "contact_attempt",
            Self::Notice => "notice",
            Self::Rules => "rules",
            Self::CampaignEnd => "campaign_end",
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Contacts {
    pub(super) store: Store,
    pub(super) book: Rulebook,
    pub(super) atlas: Atlas,
    held_lists: BTreeSet<Vec<u8>>,
    sweeps: Vec<Sweep>,
}

impl Contacts {
    /// A fold without a past.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fold as it was committed; `None` if the entries were written by another version of it.
    pub fn restore(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Option<Self> {
        let mut contacts = Self::new();
        for (key, value) in entries {
            if !contacts.store.restore(&key, &value) {
                return None;
            }
        }
        let rules: Vec<(String, Kept)> =
            contacts.store.all(RULES).filter_map(|(key, kept)| Some((name(key)?, kept))).collect();
        rules.into_iter().for_each(|(campaign, kept)| contacts.book.keep(&campaign, kept));
        contacts.held_lists = contacts.store.keys(HELD_LIST, None).map(<[u8]>::to_vec).collect();
        contacts.sweeps = contacts.store.get(SWEEPS).unwrap_or_default();
        Some(contacts)
    }

    /// All contacts.
    pub(super) fn all(&self) -> impl Iterator<Item = (ContactKey, Contact)> {
        self.store.all(CONTACT).filter_map(|(key, contact)| Some((ContactKey::read(&name(key)?)?, contact)))
    }

    fn tick(&mut self, now: Micros) {
        let ended: Vec<String> =
            self.book.ends().filter(|(_, end)| *end <= now).map(|(campaign, _)| campaign.to_owned()).collect();
        for campaign in ended {
            if !self.has_ended(&campaign) {
                self.store.put(&[ENDED, campaign.as_bytes()].concat(), &true);
                self.sweep(
                    Some(campaign).filter(|campaign| campaign != ALL_OTHERS),
                    None,
                    now,
                    Trigger::CampaignEnd,
                    false,
                );
            }
        }
    }

    /// Whether what its end means was begun.
    pub(super) fn has_ended(&self, campaign: &str) -> bool {
        self.store.has(&[ENDED, campaign.as_bytes()].concat())
    }

    fn rules(&mut self, said: &SiteRules, out: &mut Effects) {
        for (campaign, kept) in self.book.changes(said) {
            let row = RulesRow {
                rules_id: format!("{campaign}@{}", kept.version),
                campaign: campaign.clone(),
                rules_version: kept.version,
                rules: serde_json::to_string(&kept.rules).unwrap_or_default(),
                who: said.who.clone(),
                since_at: said.at,
                version: 1,
                updated_at: said.at,
            };
            out.publish("calltide.rules", "campaign_rules", said.at.0, &row);
            self.store.put(&[RULES, campaign.as_bytes()].concat(), &kept);
            self.store.remove(&[ENDED, campaign.as_bytes()].concat());
            self.book.keep(&campaign, kept);
            let campaign = Some(campaign).filter(|campaign| campaign != ALL_OTHERS);
            self.sweep(campaign, None, said.at, Trigger::Rules, false);
        }
    }

    fn sweep(&mut self, campaign: Option<String>, list: Option<String>, at: Micros, trigger: Trigger, remove: bool) {
        let sweep = Sweep { campaign, list, remove, after: None, at, trigger };
        match trigger {
            // Who is held must not wait for anything.
            Trigger::Standing => self.sweeps.insert(0, sweep),
            Trigger::Loaded
            | Trigger::Callback
            | Trigger::Dial
            | Trigger::Attempt
            | Trigger::Notice
            | Trigger::Rules
            | Trigger::CampaignEnd => self.sweeps.push(sweep),
        }
        self.store.put(SWEEPS, &self.sweeps);
    }

    /// Decides the next contacts anew that must be.
    fn go_on(&mut self, out: &mut Effects) {
        let Some(sweep) = self.sweeps.first().cloned() else { return };
        let prefix = match &sweep.campaign {
            Some(campaign) => [CONTACT, ContactKey::new(campaign, "").to_string().as_bytes()].concat(),
            None => CONTACT.to_vec(),
        };
        let keys: Vec<Vec<u8>> =
            self.store.keys(&prefix, sweep.after.as_deref()).take(SWEPT_AT_ONCE).map(<[u8]>::to_vec).collect();
        for key in &keys {
            let Some(of) = name(key).and_then(|text| ContactKey::read(&text)) else { continue };
            if sweep.campaign.is_none() && self.book.own(&of.campaign).is_some() {
                continue;
            }
            let Some(before) = self.store.get::<Contact>(key) else { continue };
            if sweep.list.is_some() && before.about().list.as_deref() != sweep.list.as_deref() {
                continue;
            }
            let mut contact = before.clone();
            if sweep.remove {
                if contact.loaded_last > Some(sweep.at) {
                    continue;
                }
                contact.standing = Where::Removed;
            }
            if sweep.trigger == Trigger::Rules {
                // The cap may be another one now; the number's fold says so if it holds.
                contact.lines.iter_mut().for_each(|line| line.capped_until = None);
            }
            self.conclude(&of, (&before, contact), sweep.trigger, sweep.at, out);
        }
        match keys.into_iter().next_back() {
            Some(last) => self.sweeps[0].after = Some(last),
            None => drop(self.sweeps.remove(0)),
        }
        self.store.put(SWEEPS, &self.sweeps);
    }

    /// Changes what is remembered of a contact, then decides. `change` says whether there is anything to decide.
    fn with(
        &mut self,
        of: &ContactKey,
        (trigger, at): (Trigger, Micros),
        out: &mut Effects,
        change: impl FnOnce(&mut Contact) -> bool,
    ) {
        let key = entry_key(of);
        if key.len() > KEY_MAX {
            out.note("contact_id_too_long");
            return;
        }
        let known = self.store.get::<Contact>(&key);
        let mut contact = known.clone().unwrap_or_else(|| Contact::new(at));
        if change(&mut contact) {
            self.conclude(of, (&known.unwrap_or_default(), contact), trigger, at, out);
        } else {
            out.note("nothing_new_of_the_contact");
        }
    }

    fn loaded(&mut self, said: &Loaded, out: &mut Effects) {
        let of = ContactKey::new(&said.campaign, &said.contact);
        self.with(&of, (Trigger::Loaded, said.at), out, |contact| {
            contact.load(said);
            true
        });
    }

    fn standing(&mut self, said: &Standing, out: &mut Effects) {
        if let Some(contact) = &said.contact {
            let of = ContactKey::new(&said.campaign, contact);
            if !self.store.has(&entry_key(&of)) {
                out.note("unknown_contact");
                return;
            }
            return self.with(&of, (Trigger::Standing, said.at), out, |contact| {
                contact.standing = match said.change {
                    StandingChange::Hold => Where::Held,
                    // Who is off the list is not put on it by this.
                    StandingChange::Release if contact.standing == Where::Removed => Where::Removed,
                    StandingChange::Release => Where::Listed,
                    StandingChange::Remove => Where::Removed,
                };
                true
            });
        }
        let key = list_key(&said.campaign, said.list.as_deref());
        match said.change {
            StandingChange::Hold => {
                self.store.put(&key, &true);
                self.held_lists.insert(key);
            }
            StandingChange::Release | StandingChange::Remove => {
                self.store.remove(&key);
                self.held_lists.remove(&key);
            }
        }
        let remove = said.change == StandingChange::Remove;
        self.sweep(Some(said.campaign.clone()), said.list.clone(), said.at, Trigger::Standing, remove);
    }

    /// Whether the contact's list, or all lists of its campaign, are held.
    pub(super) fn list_held(&self, of: &ContactKey, about: &About) -> bool {
        let is_held = |list: Option<&str>| self.held_lists.contains(&list_key(&of.campaign, list));
        !self.held_lists.is_empty() && (is_held(None) || about.list.as_deref().is_some_and(|list| is_held(Some(list))))
    }

    fn callback(&mut self, said: &Callback, out: &mut Effects) {
        let of = ContactKey::new(&said.campaign, &said.contact);
        if said.number.is_none() && !self.store.has(&entry_key(&of)) {
            out.note("unknown_contact");
            return;
        }
        self.with(&of, (Trigger::Callback, said.given_at), out, |contact| {
            let number = said.number.as_ref().filter(|_| said.callback_at.is_some());
            let line = number.and_then(|number| contact.line(number));
            let agent = said.agent.as_deref().map(Into::into);
            contact.promise =
                said.callback_at.map(|at| Promise { given: said.given_at, at, agent, line, kept_by: None });
            contact.live = true;
            true
        });
    }

    fn dial(&mut self, said: &Dial, out: &mut Effects) {
        let (Some(campaign), Some(contact)) = (&said.campaign, &said.contact) else { return };
        let call = digest(said.call_id.as_bytes());
        self.with(&ContactKey::new(campaign, contact), (Trigger::Dial, said.at), out, |contact| {
            let known = contact.open.iter().any(|open| open.call == call);
            if known || contact.tries.iter().any(|tried| tried.call == call) {
                return false;
            }
            let line = contact.line(&said.number);
            contact.open.push(Open { call, at: said.at, line });
            true
        });
    }

    fn attempt(&mut self, said: &Attempt, out: &mut Effects) {
        let of = ContactKey::new(&said.campaign, &said.contact);
        self.with(&of, (Trigger::Attempt, said.ended_at), out, |contact| {
            contact.first_seen = contact.first_seen.min(said.started_at);
            contact.attempt(said, digest(said.call_id.as_bytes()))
        });
    }

    fn notice(&mut self, said: &Notice, out: &mut Effects) {
        let of = ContactKey::new(&said.campaign, &said.contact);
        if !self.store.has(&entry_key(&of)) {
            out.note("unknown_contact");
            return;
        }
        self.with(&of, (Trigger::Notice, said.at), out, |contact| {
            let latest = contact.verdict.as_ref().map(|verdict| verdict.nth);
            let line = contact.lines.iter_mut().find(|line| line.number == said.number);
            match (&said.word, line) {
                (Word::Suppressed { because }, Some(line)) => line.suppressed = Some(because.as_str().into()),
                (Word::Allowed, Some(line)) => line.suppressed = None,
                (Word::Capped { verdict, until }, Some(line)) if latest == Some(*verdict) => {
                    line.capped_until = Some(*until);
                    contact.end_verdict();
                }
                (Word::Expired { verdict }, _) if latest == Some(*verdict) => {
                    contact.not_before = Some(said.at);
                    contact.end_verdict();
                }
                (Word::Reached { call_id, by, started_at, ended_at, withdrawn }, _) => {
                    return reached(contact, call_id, (*by, *started_at, *ended_at), *withdrawn);
                }
                // Of a verdict that is not the latest any more, or of a number that it has not.
                (Word::Suppressed { .. } | Word::Allowed | Word::Capped { .. } | Word::Expired { .. }, _) => {
                    return false;
                }
            }
            true
        });
    }
}

/// Somebody spoke with the contact elsewhere, or it turned out that nobody did.
fn reached(
    contact: &mut Contact,
    call_id: &str,
    (by, started, ended): (Elsewhere, Micros, Micros),
    withdrawn: bool,
) -> bool {
    if withdrawn {
        let known = contact.reached.as_ref().is_some_and(|it| &*it.call_id == call_id);
        if known {
            contact.reached = None;
        }
        return known;
    }
    if contact.reached.as_ref().is_some_and(|it| it.ended > ended) {
        return false;
    }
    // What was promised before they spoke is no longer needed.
    if contact.promise.as_ref().is_some_and(|promise| promise.given < started) {
        contact.promise = None;
    }
    contact.reached = Some(ReachedBy { call_id: call_id.into(), by, started, ended });
    true
}

/// Longer keys than that are no ids.
const KEY_MAX: usize = 1_000;

pub(super) fn entry_key(of: &ContactKey) -> Vec<u8> {
    [CONTACT, of.to_string().as_bytes()].concat()
}

fn list_key(campaign: &str, list: Option<&str>) -> Vec<u8> {
    [HELD_LIST, campaign.as_bytes(), b"\0", list.unwrap_or_default().as_bytes()].concat()
}

impl Fold for Contacts {
    fn apply(&mut self, record: &Record, out: &mut Effects) {
        let said = record.payload.as_deref().and_then(|payload| serde_json::from_slice(payload).ok());
        match said {
            Some(ForContacts::Rules(said)) => self.rules(&said, out),
            Some(ForContacts::Tick(said)) => {
                self.tick(said.at);
                self.go_on(out);
            }
            Some(ForContacts::Loaded(said)) => self.loaded(&said, out),
            Some(ForContacts::Standing(said)) => self.standing(&said, out),
            Some(ForContacts::Callback(said)) => self.callback(&said, out),
            Some(ForContacts::Dial(said)) => self.dial(&said, out),
            Some(ForContacts::Attempt(said)) => self.attempt(&said, out),
            Some(ForContacts::Notice(said)) => self.notice(&said, out),
            None => out.note("unreadable_input"),
        }
    }

    fn changes(&mut self) -> Vec<Change> {
        self.store.changes()
    }

    fn has_more(&self) -> bool {
        !self.sweeps.is_empty()
    }

    fn next_look(&self) -> Option<Micros> {
        self.book.ends().filter(|(campaign, _)| !self.has_ended(campaign)).map(|(_, end)| end).min()
    }
}
