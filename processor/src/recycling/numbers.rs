//! The fold of numbers: what all campaigns, PBXs and people do with one number, and who may not call it.
//!
//! It answers the wishes of contacts: a wish that cannot be is refused with the reason and the contact decides anew; one whose
//! time has come is published ([`super::publishing`]). Only ticks publish.

use std::collections::BTreeMap;

use calltide_eventlog::{Change, Record};
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::Elsewhere;
use calltide_schemas::recycling::{
    Call, CallingNumber, Dial, DoNotCall, ForContacts, ForNumbers, Listing, Notice, Reached, Wish, Word,
};
use serde::{Deserialize, Serialize};

use super::digest;
use super::number::{Entry, Member, Number, Stage, Want};
use super::rows::DoNotCallRow;
use crate::fold::{Effects, Fold};
use crate::store::{Store, name};

/// Numbers that are looked at with one tick: a commit of them takes some tens of milliseconds.
const LOOKED_AT_ONCE: usize = 5_000;

/// What an entry of the state is, by the first letter of its key.
const NUMBER: &[u8] = b"n";
const PREFIX: &[u8] = b"p";
const SWEEPS: &[u8] = b"s";
const NOW: &[u8] = b"t";

/// All numbers that begin so are to be told of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sweep {
    prefix: String,
    /// Done up to this key.
    after: Option<Vec<u8>>,
    at: Micros,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Numbers {
    pub(super) store: Store,
    /// Entries of all numbers that begin so, by campaign.
    prefixes: BTreeMap<String, Vec<Entry>>,
    sweeps: Vec<Sweep>,
    /// By the moment (see [`slot`]) the numbers that something must be done with. One may be there for nothing.
    timers: BTreeMap<i64, Vec<Box<str>>>,
    /// The latest tick.
    pub(super) now: Micros,
}

impl Numbers {
    /// A fold without a past.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fold as it was committed; `None` if the entries were written by another version of it.
    pub fn restore(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Option<Self> {
        let mut numbers = Self::new();
        for (key, value) in entries {
            if !numbers.store.restore(&key, &value) {
                return None;
            }
        }
        numbers.now = numbers.store.get(NOW).unwrap_or_default();
        numbers.sweeps = numbers.store.get(SWEEPS).unwrap_or_default();
        numbers.prefixes = numbers.store.all(PREFIX).filter_map(|(key, entries)| Some((name(key)?, entries))).collect();
        let waiting = numbers.store.all::<Number>(NUMBER);
        let waiting: Vec<_> = waiting.filter_map(|(key, number)| Some((name(key)?, next_moment(&number)?))).collect();
        waiting.iter().for_each(|(name, at)| numbers.wait(name, *at));
        Some(numbers)
    }

    pub(super) fn get(&self, number: &str) -> Number {
        self.store.get(&[NUMBER, number.as_bytes()].concat()).unwrap_or_default()
    }

    /// Keeps a number, and looks at it again when something must be done.
    pub(super) fn keep(&mut self, name: &str, number: &Number) {
        let key = [NUMBER, name.as_bytes()].concat();
        if number.is_empty() {
            self.store.remove(&key);
            return;
        }
        let known = self.store.get::<Number>(&key).and_then(|known| next_moment(&known));
        if let Some(at) = next_moment(number).filter(|at| known != Some(*at)) {
            self.wait(name, at);
        }
        self.store.put(&key, number);
    }

    /// Looks at a number again then.
    fn wait(&mut self, name: &str, at: Micros) {
        self.timers.entry(slot(at)).or_default().push(name.into());
    }

    /// Does what is due by then. A tick that says no later time only goes on with what was begun.
    fn tick(&mut self, at: Micros, out: &mut Effects) {
        self.go_on(out);
        if at > self.now {
            self.now = at;
            self.store.put(NOW, &self.now);
            self.fire(out);
        }
    }

    /// Looks at numbers whose time has come, so many at once: slot by slot, in the order of numbers.
    fn fire(&mut self, out: &mut Effects) {
        let mut left = LOOKED_AT_ONCE;
        while let Some(due) = self.timers.first_entry().filter(|due| left > 0 && *due.key() < slot(self.now)) {
            let (at, mut names) = due.remove_entry();
            names.sort_unstable();
            names.dedup();
            let rest = names.split_off(left.min(names.len()));
            left -= names.len();
            if !rest.is_empty() {
                self.timers.entry(at).or_default().extend(rest);
            }
            names.iter().for_each(|name| self.look_at(name, at, out));
        }
    }

    /// Looks at a number whose time has come. What was put off since, or done, has another moment now: the order in which things
    /// are done depends on nothing but what they are.
    fn look_at(&mut self, name: &str, at: i64, out: &mut Effects) {
        let mut number = self.get(name);
        if next_moment(&number).map(slot) != Some(at) {
            return;
        }
        let open = number.open.len();
        number.prune(self.now);
        if number.open.len() < open {
            // Whose dial it was decides anew; the others are looked at below.
            let name = CallingNumber(name.to_owned());
            for member in &number.members {
                if let Some(want) = member.wants.as_ref().filter(|want| want.stage == Stage::Over) {
                    tell(member, &name, self.now, Word::Expired { verdict: want.verdict }, out);
                }
            }
        }
        number.wake();
        self.consider(&CallingNumber(name.to_owned()), &mut number, out);
        self.keep(name, &number);
    }

    fn wish(&mut self, said: &Wish, out: &mut Effects) {
        let name = &said.number;
        let mut number = self.get(&name.0);
        if said.gone {
            if let Some(at) = number.members.iter().position(|member| member.is(&said.campaign, &said.contact)) {
                let mut member = number.members.remove(at);
                self.take_back(name, &mut member, said, out);
            }
            number.wake();
            return self.keep(&name.0, &number);
        }
        let is_new = number.member(&said.campaign, &said.contact).is_none();
        if is_new {
            let (campaign, contact) = (said.campaign.as_str().into(), said.contact.as_str().into());
            number.members.push(Member { campaign, contact, live: said.live, wants: None });
        }
        if let Some(mut member) = number.member(&said.campaign, &said.contact).cloned() {
            self.take_back(name, &mut member, said, out);
            member.live |= said.live;
            member.wants = said.call.as_ref().map(|wanted| Box::new(Want::new(wanted)));
            if let Some(because) = self.forbidden(name, &number, &said.campaign) {
                if let Some(want) = &mut member.wants {
                    want.stage = Stage::Over;
                }
                if is_new || member.wants.is_some() {
                    tell(&member, name, said.at, Word::Suppressed { because }, out);
                }
            }
            if let Some(place) = number.member(&said.campaign, &said.contact) {
                *place = member;
            }
        }
        self.refuse_capped(name, &mut number, said, out);
        number.wake();
        self.keep(&name.0, &number);
    }

    /// A wish for a time at which the number will have been called too often is refused at once, so that the verdict says so.
    fn refuse_capped(&self, name: &CallingNumber, number: &mut Number, said: &Wish, out: &mut Effects) {
        let Some(wanted) = &said.call else { return };
        let Some(until) = number.capped_until(wanted.due_at, wanted.cap_24h) else { return };
        if let Some(member) = number.member(&said.campaign, &said.contact)
            && let Some(want) = member.wants.as_mut().filter(|want| want.stage == Stage::Waiting)
        {
            want.stage = Stage::Over;
            let word = Word::Capped { verdict: want.verdict, until };
            tell(member, name, said.at, word, out);
        }
    }

    /// Why a campaign may not call a number.
    pub(super) fn forbidden(&self, name: &CallingNumber, number: &Number, campaign: &str) -> Option<String> {
        let own = number.entries.iter().find(|entry| entry.forbids(campaign)).map(|entry| entry.sentence(name));
        own.or_else(|| {
            let mut beginnings = (1..=name.0.len()).filter_map(|end| name.0.get(..end));
            beginnings.find_map(|prefix| {
                let entry = self.prefixes.get(prefix)?.iter().find(|entry| entry.forbids(campaign))?;
                Some(entry.sentence(&CallingNumber(format!("{prefix}*"))))
            })
        })
    }

    fn do_not_call(&mut self, said: &DoNotCall, out: &mut Effects) {
        if let Some(prefix) = said.number.0.strip_suffix('*') {
            let entries = self.prefixes.entry(prefix.to_owned()).or_default();
            let row = list(entries, said);
            out.publish("calltide.do-not-call", "do_not_call", said.at.0, &row);
            self.store.put(&[PREFIX, prefix.as_bytes()].concat(), &*entries);
            self.sweeps.push(Sweep { prefix: prefix.to_owned(), after: None, at: said.at });
            self.store.put(SWEEPS, &self.sweeps);
            return;
        }
        let mut number = self.get(&said.number.0);
        let row = list(&mut number.entries, said);
        out.publish("calltide.do-not-call", "do_not_call", said.at.0, &row);
        self.judge_members(&said.number, &mut number, said.at, out);
        self.keep(&said.number.0, &number);
    }

    /// Tells every contact of a number whether it may be called; what dialers were told is taken back if it may not.
    fn judge_members(&mut self, name: &CallingNumber, number: &mut Number, at: Micros, out: &mut Effects) {
        let mut members = std::mem::take(&mut number.members);
        for member in &mut members {
            let word = match self.forbidden(name, number, &member.campaign) {
                Some(because) => {
                    self.end_want(name, member, at, &because, out);
                    Word::Suppressed { because }
                }
                None => Word::Allowed,
            };
            tell(member, name, at, word, out);
        }
        number.members = members;
        number.wake();
    }

    /// Tells the next numbers of an entry for all that begin so.
    fn go_on(&mut self, out: &mut Effects) {
        let Some(sweep) = self.sweeps.first().cloned() else { return };
        let prefix = [NUMBER, sweep.prefix.as_bytes()].concat();
        let keys: Vec<Vec<u8>> =
            self.store.keys(&prefix, sweep.after.as_deref()).take(LOOKED_AT_ONCE).map(<[u8]>::to_vec).collect();
        for name in keys.iter().filter_map(|key| name(key)) {
            let mut number = self.get(&name);
            self.judge_members(&CallingNumber(name.clone()), &mut number, sweep.at, out);
            self.keep(&name, &number);
        }
        match keys.into_iter().next_back() {
            Some(last) => self.sweeps[0].after = Some(last),
            None => drop(self.sweeps.remove(0)),
        }
        self.store.put(SWEEPS, &self.sweeps);
    }

    fn dial(&mut self, said: &Dial, out: &mut Effects) {
        let mut number = self.get(&said.number.0);
        let call = digest(said.call_id.as_bytes());
        // A version of nothing yet: whatever comes of it replaces it.
        if !number.dials.iter().any(|dial| dial.0 == call) {
            number.dials.push((call, 0, said.at));
            number.open.push(call);
            self.dialled(
                &said.number,
                &mut number,
                said.campaign.as_deref().zip(said.contact.as_deref()),
                said.at,
                out,
            );
        }
        self.keep(&said.number.0, &number);
    }

    fn call(&mut self, said: &Call, out: &mut Effects) {
        let mut number = self.get(&said.number.0);
        let call = digest(said.call_id.as_bytes());
        if number.dials.iter().any(|dial| dial.0 == call && dial.1 >= said.version) {
            out.note("known_version_of_a_call");
            return;
        }
        number.open.retain(|open| *open != call);
        number.dials.retain(|dial| dial.0 != call);
        if said.counts && !said.withdrawn {
            number.dials.push((call, said.version, said.started_at));
        }
        let of = said.campaign.as_deref().zip(said.contact.as_deref());
        let own = |member: &Member| of.is_some_and(|(campaign, contact)| member.is(campaign, contact));
        // A short call may be over before it was told that it began.
        if let Some((campaign, contact)) = of.filter(|_| said.counts && !said.withdrawn)
            && let Some(want) = number.member(campaign, contact).and_then(|member| member.wants.as_mut())
            && (want.stage == Stage::Published || want.due <= said.started_at)
        {
            want.stage = Stage::Over;
        }
        let by = said.reached.filter(|_| !said.withdrawn);
        if number.note_reached(call, by.is_some()) {
            let (call_id, started_at, ended_at) = (said.call_id.clone(), said.started_at, said.ended_at);
            let word = Word::Reached {
                call_id,
                by: by.unwrap_or(Elsewhere::Manual),
                started_at,
                ended_at,
                withdrawn: by.is_none(),
            };
            for member in number.members.iter_mut().filter(|member| !own(member)) {
                tell(member, &said.number, said.ended_at, word.clone(), out);
                if by.is_some() {
                    // What it still wishes, now that they were reached, it says anew.
                    self.start_over(&said.number, member, said.ended_at, "somebody spoke with them", out);
                }
            }
        }
        self.take_back_capped(&said.number, &mut number, said.ended_at, out);
        // Of a number that nobody asks for, calls need only be known as long as they count.
        number.prune(self.now.max(said.started_at));
        number.wake();
        self.keep(&said.number.0, &number);
    }

    fn reached(&self, said: &Reached, out: &mut Effects) {
        let name = CallingNumber(format!("person:{}", said.person));
        let number = self.get(&name.0);
        for member in number.members.iter().filter(|member| !member.is(&said.campaign, &said.contact)) {
            let (call_id, started_at, ended_at) = (said.call_id.clone(), said.started_at, said.at);
            let word =
                Word::Reached { call_id, by: Elsewhere::Person, started_at, ended_at, withdrawn: said.withdrawn };
            tell(member, &name, said.at, word, out);
        }
    }
}

/// Puts an entry on a list or takes it off; returns its row.
fn list(entries: &mut Vec<Entry>, said: &DoNotCall) -> DoNotCallRow {
    let at = entries.iter().position(|entry| entry.campaign.as_deref() == said.campaign.as_deref());
    let earlier = at.map(|at| entries.remove(at));
    let entry = Entry {
        campaign: said.campaign.as_deref().map(Into::into),
        listed: said.listing == Listing::Add,
        who: said.who.as_str().into(),
        reason: said.reason.as_deref().map(Into::into),
        since: said.at,
        first_listed: earlier.as_ref().map_or(said.at, |entry| entry.first_listed),
        version: earlier.map_or(1, |entry| entry.version + 1),
    };
    let row = DoNotCallRow {
        entry_id: format!("{}/{}", said.campaign.as_deref().unwrap_or("*"), said.number),
        number: said.number.clone(),
        campaign: said.campaign.clone(),
        listed: entry.listed,
        who: said.who.clone(),
        reason: said.reason.clone(),
        since_at: said.at,
        first_listed_at: entry.first_listed,
        version: i64::from(entry.version),
        updated_at: said.at,
    };
    entries.push(entry);
    row
}

/// Tells a contact something of one of its numbers.
pub(super) fn tell(member: &Member, number: &CallingNumber, at: Micros, word: Word, out: &mut Effects) {
    let notice = Notice {
        at,
        campaign: member.campaign.to_string(),
        contact: member.contact.to_string(),
        number: number.clone(),
        word,
    };
    out.tell_contact(&member.key(), &ForContacts::Notice(notice));
}

/// When something must be done with a number: what is wanted of it, or its calls no longer count.
fn next_moment(number: &Number) -> Option<Micros> {
    let live = number.members.iter().filter(|member| member.live);
    let wanted = live.filter_map(|member| member.wants.as_ref()?.moment()).min();
    let forgotten = || number.dials.iter().map(|dial| dial.2 + super::number::CAP_SPAN_US).min();
    // Who waits for others may be let when a call of theirs no longer counts.
    let is_blocked = number.members.iter().filter_map(|it| it.wants.as_ref()).any(|want| want.stage == Stage::Blocked);
    let wanted = wanted.map(|at| forgotten().filter(|_| is_blocked).map_or(at, |sooner| sooner.min(at)));
    // An end that was never told.
    let under_way = number.dials.iter().filter(|dial| number.open.contains(&dial.0));
    let stuck = under_way.map(|dial| dial.2 + super::number::CAP_SPAN_US).min();
    let wanted = [wanted, stuck].into_iter().flatten().min();
    wanted.or_else(|| forgotten().filter(|_| number.open.is_empty() && number.members.is_empty()))
}

/// Short beside a second, within which what is due is to be published.
const SLOT_US: i64 = 100_000;

/// Moments that are looked at together: an entry is looked at when all of its slot is over.
const fn slot(at: Micros) -> i64 {
    at.0.div_euclid(SLOT_US)
}

impl Fold for Numbers {
    fn apply(&mut self, record: &Record, out: &mut Effects) {
        let said = record.payload.as_deref().and_then(|payload| serde_json::from_slice(payload).ok());
        match said {
            Some(ForNumbers::Tick(said)) => self.tick(said.at, out),
            Some(ForNumbers::Wish(said)) => self.wish(&said, out),
            Some(ForNumbers::DoNotCall(said)) => self.do_not_call(&said, out),
            Some(ForNumbers::Dial(said)) => self.dial(&said, out),
            Some(ForNumbers::Call(said)) => self.call(&said, out),
            Some(ForNumbers::Claim(said)) => self.claim(&said, out),
            Some(ForNumbers::Acknowledged(said)) => self.acknowledged(&said, out),
            Some(ForNumbers::Reached(said)) => self.reached(&said, out),
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
        // A slot is looked at when it is over.
        self.timers.first_key_value().map(|(at, _)| Micros((at + 1) * SLOT_US))
    }
}
