//! Both folds of recycling with their topics, in memory: what one tells the other is delivered in order, time goes on in ticks.

use std::collections::{BTreeMap, VecDeque};

use calltide_eventlog::{Change, Record};
use calltide_processor::fold::{Effects, Fold};
use calltide_processor::recycling::{Contacts, Numbers, for_all, for_contacts, for_numbers};
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::SiteRules;
use calltide_schemas::recycling::{CallingNumber, ContactKey, Due, ForContacts, ForNumbers, Lease, Retargeted, Tick};
use calltide_schemas::topics::{IN_CONTACTS, IN_NUMBERS, LEASES, RETARGET, RETRY_DUE, RETRY_LATER};
use serde_json::Value;

/// How a story is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    /// Both folds are made anew from what was committed after every record.
    Restarted,
    /// Every record that comes from outside is told twice.
    Twice,
}

/// What a fold wrote, by key.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) struct Site {
    way: Way,
    contacts: Contacts,
    contacts_state: State,
    numbers: Numbers,
    numbers_state: State,
    for_contacts: VecDeque<Record>,
    for_numbers: VecDeque<Record>,
    pub(crate) now: Micros,
    ticked: Micros,
    /// The time is told at every step, whether something is to be done or not.
    pub(crate) dense: bool,
    /// Everything told to dialers, in order.
    pub(crate) dues: Vec<Due>,
    pub(crate) retargets: Vec<Retargeted>,
    pub(crate) leases: Vec<Lease>,
    /// By key the latest row or tombstone.
    pub(crate) retry_later: BTreeMap<String, Option<Value>>,
    /// By topic and key the latest row.
    pub(crate) rows: BTreeMap<(String, String), Value>,
    /// Verdicts in order.
    pub(crate) verdicts: Vec<Value>,
    pub(crate) notes: BTreeMap<&'static str, u64>,
    /// Ids of everything published, to find what is told twice.
    pub(crate) ids: BTreeMap<(String, String), usize>,
}

impl Site {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            way,
            contacts: Contacts::new(),
            contacts_state: State::new(),
            numbers: Numbers::new(),
            numbers_state: State::new(),
            for_contacts: VecDeque::new(),
            for_numbers: VecDeque::new(),
            now: Micros(0),
            ticked: Micros(0),
            dense: false,
            dues: Vec::new(),
            retargets: Vec::new(),
            leases: Vec::new(),
            retry_later: BTreeMap::new(),
            rows: BTreeMap::new(),
            verdicts: Vec::new(),
            notes: BTreeMap::new(),
            ids: BTreeMap::new(),
        }
    }

    pub(crate) fn rules(&mut self, rules: &SiteRules) {
        let record = for_all("rules", rules.at, &ForContacts::Rules(rules.clone()));
        self.told(IN_CONTACTS, record);
    }

    pub(crate) fn contact(&mut self, campaign: &str, contact: &str, said: &ForContacts) {
        self.told(IN_CONTACTS, for_contacts(&ContactKey::new(campaign, contact), said));
    }

    pub(crate) fn number(&mut self, number: &str, said: &ForNumbers) {
        self.told(IN_NUMBERS, for_numbers(&CallingNumber(number.to_owned()), said));
    }

    /// A record of a topic, as whoever wrote it.
    pub(crate) fn told(&mut self, topic: &str, record: Record) {
        if self.way == Way::Twice {
            self.deliver(topic, record.clone());
        }
        self.deliver(topic, record);
        self.settle();
    }

    fn deliver(&mut self, topic: &str, record: Record) {
        match topic {
            IN_CONTACTS => self.for_contacts.push_back(record),
            _ => self.for_numbers.push_back(record),
        }
    }

    /// Time goes on, a second at a time.
    pub(crate) fn until(&mut self, at: Micros) {
        self.until_by(at, 1);
    }

    /// Time goes on, so many seconds at a time.
    pub(crate) fn until_by(&mut self, at: Micros, seconds: i64) {
        while self.now < at {
            self.now = Micros(at.0.min(self.now.0 + seconds * 1_000_000));
            // As it is told: when something is to be done, and once in a while.
            let looks = [self.contacts.next_look(), self.numbers.next_look()];
            let due = looks.into_iter().flatten().any(|look| look <= self.now);
            if self.dense || due || self.now - self.ticked >= 60_000_000 {
                self.tick();
            }
        }
    }

    /// It is that time now, whatever was before.
    pub(crate) fn jump(&mut self, at: Micros) {
        self.now = at;
        self.tick();
    }

    fn tick(&mut self) {
        self.ticked = self.now;
        let tick = Tick { at: self.now };
        self.deliver(IN_CONTACTS, for_all("tick", self.now, &ForContacts::Tick(tick)));
        self.deliver(IN_NUMBERS, for_all("numbers_tick", self.now, &ForNumbers::Tick(tick)));
        self.settle();
    }

    /// Everything that is on its way arrives.
    pub(crate) fn settle(&mut self) {
        loop {
            let effects = if let Some(record) = self.for_contacts.pop_front() {
                let effects = take_in(&mut self.contacts, &record, &mut self.contacts_state);
                if self.way == Way::Restarted {
                    self.contacts = Contacts::restore(entries(&self.contacts_state)).unwrap();
                }
                effects
            } else if let Some(record) = self.for_numbers.pop_front() {
                let effects = take_in(&mut self.numbers, &record, &mut self.numbers_state);
                if self.way == Way::Restarted {
                    self.numbers = Numbers::restore(entries(&self.numbers_state)).unwrap();
                }
                effects
            } else if self.contacts.has_more() {
                self.for_contacts.push_back(for_all("tick", Micros(0), &ForContacts::Tick(Tick { at: Micros(0) })));
                continue;
            } else if self.numbers.has_more() {
                self.for_numbers.push_back(for_all(
                    "numbers_tick",
                    Micros(0),
                    &ForNumbers::Tick(Tick { at: Micros(0) }),
                ));
                continue;
            } else {
                return;
            };
            self.publish(effects);
        }
    }

    fn publish(&mut self, effects: Effects) {
        for (note, count) in effects.notes {
            *self.notes.entry(note).or_default() += count;
        }
        for output in effects.outputs {
            let key = String::from_utf8(output.record.key.clone()).unwrap();
            let json = |record: &Record| serde_json::from_slice::<Value>(record.payload.as_ref().unwrap()).unwrap();
            let told = |record: &Record| record.payload.as_deref().unwrap().to_vec();
            if ![IN_CONTACTS, IN_NUMBERS].contains(&output.topic.as_str()) {
                *self.ids.entry((output.topic.clone(), output.record.id.clone())).or_default() += 1;
            }
            match output.topic.as_str() {
                topic @ (IN_CONTACTS | IN_NUMBERS) => self.deliver(topic, output.record),
                RETRY_DUE => self.dues.push(serde_json::from_slice(&told(&output.record)).unwrap()),
                RETARGET => self.retargets.push(serde_json::from_slice(&told(&output.record)).unwrap()),
                LEASES => self.leases.push(serde_json::from_slice(&told(&output.record)).unwrap()),
                RETRY_LATER => {
                    let row = output.record.payload.is_some().then(|| json(&output.record));
                    self.retry_later.insert(key, row);
                }
                topic => {
                    let row = json(&output.record);
                    if topic == "calltide.verdicts" {
                        self.verdicts.push(row.clone());
                    }
                    self.rows.insert((topic.to_owned(), key), row);
                }
            }
        }
    }

    /// A contact's row.
    pub(crate) fn contact_row(&self, key: &str) -> Option<&Value> {
        self.rows.get(&("calltide.contacts".to_owned(), key.to_owned()))
    }
}

fn take_in(fold: &mut impl Fold, record: &Record, state: &mut State) -> Effects {
    let mut effects = Effects::default();
    fold.apply(record, &mut effects);
    for Change { key, value } in fold.changes() {
        match value {
            Some(value) => drop(state.insert(key, value)),
            None => drop(state.remove(&key)),
        }
    }
    effects
}

fn entries(state: &State) -> Vec<(Vec<u8>, Vec<u8>)> {
    state.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
