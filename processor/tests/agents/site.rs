//! The fold of agents with its topic, in memory.

use std::collections::BTreeMap;

use calltide_eventlog::Change;
use calltide_processor::agents::{Agents, for_agents};
use calltide_processor::fold::{Effects, Fold};
use calltide_schemas::Micros;
use calltide_schemas::agents::{Answer, ForAgents, Tick};
use calltide_schemas::topics::TERMINALS;
use serde_json::Value;

/// How a story is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    /// The fold is made anew from what was committed after every record.
    Restarted,
    /// Every record but what terminals say is told twice.
    Twice,
}

pub(crate) struct Site {
    way: Way,
    fold: Agents,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// By topic and key the latest row.
    pub(crate) rows: BTreeMap<(String, String), Value>,
    pub(crate) versions: BTreeMap<(String, String), i64>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) notes: BTreeMap<&'static str, u64>,
}

impl Site {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            way,
            fold: Agents::new(),
            state: BTreeMap::new(),
            rows: BTreeMap::new(),
            versions: BTreeMap::new(),
            answers: Vec::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Time goes on until then: it is told whenever something is due.
    pub(crate) fn until(&mut self, at: Micros) {
        while let Some(due) = self.fold.next_look().filter(|due| *due < at) {
            self.take(&ForAgents::Tick(Tick { at: due }));
        }
    }

    pub(crate) fn tell(&mut self, said: &ForAgents) {
        self.until(said.at());
        // A terminal that asks twice is told twice.
        if self.way == Way::Twice && !matches!(said, ForAgents::Terminal(_)) {
            self.take(said);
        }
        self.take(said);
    }

    fn take(&mut self, said: &ForAgents) {
        let mut effects = Effects::default();
        self.fold.apply(&for_agents(said), &mut effects);
        for Change { key, value } in self.fold.changes() {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
        if self.way == Way::Restarted {
            self.fold = Agents::restore(self.state.clone().into_iter().collect()).unwrap();
        }
        self.publish(effects);
    }

    fn publish(&mut self, effects: Effects) {
        for (note, count) in effects.notes {
            *self.notes.entry(note).or_default() += count;
        }
        for output in effects.outputs {
            let place = (output.topic, String::from_utf8(output.record.key).unwrap());
            let Some(payload) = output.record.payload else {
                let version: i64 = output.record.id.rsplit_once(':').unwrap().1.parse().unwrap();
                assert_eq!(version, self.versions[&place] + 1, "{place:?} was told before it is taken back");
                self.versions.insert(place.clone(), version);
                assert!(self.rows.remove(&place).is_some(), "{place:?} is taken back once");
                continue;
            };
            if place.0 == TERMINALS {
                self.answers.push(serde_json::from_slice(&payload).unwrap());
                continue;
            }
            let row: Value = serde_json::from_slice(&payload).unwrap();
            let version = row["version"].as_i64().unwrap();
            let before = self.versions.insert(place.clone(), version).unwrap_or(0);
            assert!(version > before, "{place:?} has version {version} after {before}");
            self.rows.insert(place, row);
        }
    }

    /// The rows of a topic, by key.
    pub(crate) fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Value> {
        self.rows.iter().filter(move |((of, _), _)| of == topic).map(|(_, row)| row)
    }
}
