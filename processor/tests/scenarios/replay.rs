//! Runs records through the calls fold as the runtime would, and keeps what came out: the latest row of every key.

use std::collections::BTreeMap;

use calltide_eventlog::{Output, Record};
use calltide_processor::agents::Agents;
use calltide_processor::calls::{CallSettings, Calls};
use calltide_processor::fold::{Effects, Fold, Measure};
use calltide_schemas::tables::TABLES;
use calltide_schemas::topics::IN_AGENTS;
use serde_json::{Map, Value};

/// A row as it was published.
pub(crate) type Row = Map<String, Value>;

/// The latest row of each key, by table.
pub(crate) type Tables = BTreeMap<&'static str, BTreeMap<String, Row>>;

/// A fold with what was committed of it.
pub(crate) struct Replay {
    settings: CallSettings,
    fold: Calls,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Everything published, in order.
    pub(crate) outputs: Vec<Output>,
    /// What was ignored, by reason.
    pub(crate) notes: BTreeMap<&'static str, u64>,
    /// What `/metrics` would show, by name and labels.
    pub(crate) measured: BTreeMap<String, f64>,
}

impl Replay {
    pub(crate) fn new(settings: &CallSettings) -> Self {
        Self {
            settings: settings.clone(),
            fold: Calls::new(settings.clone()),
            state: BTreeMap::new(),
            outputs: Vec::new(),
            notes: BTreeMap::new(),
            measured: BTreeMap::new(),
        }
    }

    /// One record, one commit.
    pub(crate) fn take(&mut self, record: &Record) {
        let mut effects = Effects::default();
        self.fold.apply(record, &mut effects);
        for Measure { of, labels, value } in self.fold.measures() {
            let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            self.measured.insert(format!("{} {}", of.name, labels.join(" ")), value);
        }
        for change in self.fold.changes() {
            match change.value {
                Some(value) => self.state.insert(change.key, value),
                None => self.state.remove(&change.key),
            };
        }
        self.outputs.append(&mut effects.outputs);
        for (reason, count) in effects.notes {
            *self.notes.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn take_all<'a>(mut self, records: impl IntoIterator<Item = &'a Record>) -> Self {
        for record in records {
            self.take(record);
        }
        self
    }

    /// The process dies and another one goes on with what was committed.
    pub(crate) fn restart(&mut self) {
        let entries = self.state.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        self.fold = Calls::restore(self.settings.clone(), entries).unwrap();
    }

    /// How many entries the committed state has.
    pub(crate) fn state_len(&self) -> usize {
        self.state.len()
    }

    /// What the fold of agents makes of what it was told, and what it ignored.
    pub(crate) fn agents(&self) -> (Tables, BTreeMap<&'static str, u64>) {
        let mut fold = Agents::new();
        let mut effects = Effects::default();
        for output in self.outputs.iter().filter(|output| output.topic == IN_AGENTS) {
            fold.apply(&output.record, &mut effects);
        }
        (tables(&effects.outputs), effects.notes)
    }

    /// What a reader sees: the latest row of each key, withdrawn ones left out.
    pub(crate) fn tables(&self) -> Tables {
        tables(&self.outputs)
    }
}

fn tables(outputs: &[Output]) -> Tables {
    let mut tables = Tables::new();
    for output in outputs {
        // What other folds are told is no table's.
        let Some(table) = TABLES.iter().find(|t| t.topic == output.topic) else { continue };
        let rows = tables.entry(table.name).or_default();
        let key = String::from_utf8(output.record.key.clone()).unwrap();
        match &output.record.payload {
            Some(payload) => rows.insert(key, serde_json::from_slice(payload).unwrap()),
            None => rows.remove(&key),
        };
    }
    tables.retain(|_, rows| !rows.is_empty());
    tables
}

/// The rows of one table, in the order of keys.
pub(crate) fn rows<'a>(tables: &'a Tables, table: &str) -> Vec<&'a Row> {
    tables.get(table).into_iter().flat_map(BTreeMap::values).collect()
}
