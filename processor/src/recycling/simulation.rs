//! Both folds over a history, under rules of one's choice: what would have been due, capped and suppressed.
//!
//! What people, PBXs and dialers said is taken as it was; what the folds told each other, and the ticks, are made anew. That
//! other rules would have led to other calls is not known here: the history's calls are those that were made.

use std::collections::{BTreeMap, VecDeque};

use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::SiteRules;
use calltide_schemas::recycling::{Due, ForContacts, ForNumbers, Tick, Word};
use calltide_schemas::topics::{IN_CONTACTS, IN_NUMBERS, RETRY_DUE};
use serde::Serialize;

use super::contact::{Contact, Kind};
use super::{Contacts, Numbers, for_all, record};
use crate::fold::{Effects, Fold as _};

/// Whose rules hold.
#[derive(Debug, Clone)]
pub enum Rules {
    /// Those of the history; before the first of them these, which hold for what was imported, too.
    OfThatTime(Box<SiteRules>),
    /// These, all the time.
    These(Box<SiteRules>),
}

/// What came of it, for a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Outcome {
    /// Contacts at the end.
    pub contacts: u64,
    /// Due messages.
    pub due: u64,
    /// Due messages that were taken back.
    pub withdrawn: u64,
    /// Verdicts that had to wait for the cap over 24 hours.
    pub capped: u64,
    /// Contacts to be called again at the end.
    pub retry: u64,
    /// Contacts held at the end.
    pub held: u64,
    /// Contacts that are done at the end.
    pub done: u64,
    /// Contacts called as often as the rules allow.
    pub exhausted: u64,
    /// Contacts that must not be called at the end.
    pub suppressed: u64,
    /// Contacts without a number that exists.
    pub invalid: u64,
    /// Contacts that went on elsewhere.
    pub retargeted: u64,
    /// Contacts of ended campaigns, or off their list.
    pub closed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Simulation {
    rules: Rules,
    contacts: Contacts,
    numbers: Numbers,
    now: Micros,
    counts: BTreeMap<String, Outcome>,
}

impl Simulation {
    /// Begins with nothing.
    pub fn new(rules: Rules) -> Self {
        let (contacts, numbers) = (Contacts::new(), Numbers::new());
        let mut simulation = Self { rules, contacts, numbers, now: Micros(i64::MIN), counts: BTreeMap::new() };
        let (Rules::OfThatTime(rules) | Rules::These(rules)) = simulation.rules.clone();
        let record = for_all("rules", rules.at, &ForContacts::Rules(*rules));
        simulation.run(IN_CONTACTS, record);
        simulation
    }

    /// Takes in the next record of the history, in the order of time.
    pub fn take(&mut self, topic: &str, said: &Record) {
        let Some(again) = self.again(topic, said) else { return };
        self.until(Micros(said.at));
        self.run(topic, again);
    }

    /// A record as it is told again: as if it happened now, so that what it leads to is seen. `None`: it is made anew.
    fn again(&self, topic: &str, said: &Record) -> Option<Record> {
        let payload = said.payload.as_deref()?;
        let key = || String::from_utf8_lossy(&said.key).into_owned();
        if topic == IN_CONTACTS {
            let mut again: ForContacts = serde_json::from_slice(payload).ok()?;
            match &mut again {
                ForContacts::Rules(_) if matches!(self.rules, Rules::These(_)) => return None,
                ForContacts::Tick(_) | ForContacts::Notice(_) => return None,
                // Of a retarget rule.
                ForContacts::Loaded(loaded) if !loaded.from_campaigns.is_empty() => return None,
                ForContacts::Loaded(loaded) => loaded.live = true,
                ForContacts::Attempt(attempt) => attempt.live = true,
                ForContacts::Rules(_) | ForContacts::Standing(_) | ForContacts::Callback(_) | ForContacts::Dial(_) => {}
            }
            return Some(record(key(), again.kind(), again.at(), &again));
        }
        let mut again: ForNumbers = serde_json::from_slice(payload).ok()?;
        match &mut again {
            ForNumbers::DoNotCall(_) | ForNumbers::Dial(_) => {}
            ForNumbers::Call(call) => call.live = true,
            ForNumbers::Tick(_)
            | ForNumbers::Wish(_)
            | ForNumbers::Claim(_)
            | ForNumbers::Acknowledged(_)
            | ForNumbers::Reached(_) => return None,
        }
        Some(record(key(), again.kind(), again.at(), &again))
    }

    /// Time goes on: from one thing that becomes due to the next.
    pub fn until(&mut self, at: Micros) {
        while let Some(next) = self.numbers.next_look().filter(|next| *next <= at) {
            // What waits since then is looked at with a later tick.
            self.tick(next.max(self.now + 1));
        }
        self.tick(at.max(self.now));
    }

    fn tick(&mut self, at: Micros) {
        self.now = at;
        let tick = Tick { at };
        self.run(IN_CONTACTS, for_all("tick", at, &ForContacts::Tick(tick)));
        self.run(IN_NUMBERS, for_all("numbers_tick", at, &ForNumbers::Tick(tick)));
    }

    /// Takes in a record and what follows from it.
    fn run(&mut self, topic: &str, said: Record) {
        let mut waiting = VecDeque::from([(topic.to_owned(), said)]);
        let nothing = Tick { at: Micros(i64::MIN) };
        loop {
            let Some((topic, said)) = waiting.pop_front() else {
                if self.contacts.has_more() {
                    let record = for_all("tick", nothing.at, &ForContacts::Tick(nothing));
                    waiting.push_back((IN_CONTACTS.to_owned(), record));
                } else if self.numbers.has_more() {
                    let record = for_all("numbers_tick", nothing.at, &ForNumbers::Tick(nothing));
                    waiting.push_back((IN_NUMBERS.to_owned(), record));
                } else {
                    return;
                }
                continue;
            };
            let mut effects = Effects::default();
            match topic.as_str() {
                IN_CONTACTS => self.contacts.apply(&said, &mut effects),
                _ => self.numbers.apply(&said, &mut effects),
            }
            // Nothing is kept of a history.
            drop((self.contacts.changes(), self.numbers.changes()));
            for output in effects.outputs {
                self.count(&output.topic, &output.record);
                if [IN_CONTACTS, IN_NUMBERS].contains(&output.topic.as_str()) {
                    waiting.push_back((output.topic, output.record));
                }
            }
        }
    }

    fn count(&mut self, topic: &str, told: &Record) {
        let Some(payload) = told.payload.as_deref() else { return };
        if topic == RETRY_DUE {
            let Ok(due) = serde_json::from_slice::<Due>(payload) else { return };
            let counts = self.counts.entry(due.campaign).or_default();
            if due.withdrawn {
                counts.withdrawn += 1;
            } else {
                counts.due += 1;
            }
        } else if topic == IN_CONTACTS
            && let Ok(ForContacts::Notice(notice)) = serde_json::from_slice(payload)
            && matches!(notice.word, Word::Capped { .. })
        {
            self.counts.entry(notice.campaign).or_default().capped += 1;
        }
    }

    /// What came of it, by campaign.
    pub fn outcome(mut self) -> BTreeMap<String, Outcome> {
        for (of, contact) in self.contacts.all() {
            let counts = self.counts.entry(of.campaign).or_default();
            counts.contacts += 1;
            let Contact { verdict: Some(given), .. } = contact else { continue };
            let count = match given.kind {
                Kind::Retry => &mut counts.retry,
                Kind::Held => &mut counts.held,
                Kind::Done => &mut counts.done,
                Kind::Exhausted => &mut counts.exhausted,
                Kind::Suppressed => &mut counts.suppressed,
                Kind::Invalid => &mut counts.invalid,
                Kind::Retarget => &mut counts.retargeted,
                Kind::Closed => &mut counts.closed,
            };
            *count += 1;
        }
        self.counts
    }
}
