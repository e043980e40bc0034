//! What keeps the lake small: small files merged, days that are too old dropped, files that nobody needs removed.
//!
//! It is done in steps, each short and each a commit of its own or none, by the table's one writer between its other
//! commits; [`super::run`] says when. A crash between two steps leaves a table that is right, with some files to spare.

use std::collections::{BTreeMap, VecDeque};

use calltide_schemas::Micros;
use calltide_schemas::tables::{TABLES, TableDef};

use super::day::Day;

/// A day in microseconds.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// How many days of a table are kept beside the present one; a table without an entry is kept for ever.
pub type Retention = BTreeMap<&'static str, u32>;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Upkeep {
    /// Merge small files, also few of them.
    pub compact: bool,
    /// Drop days that are older than these.
    pub retain: Option<Retention>,
    /// Remove files that no snapshot of the last day needs, old generations, and old entries of the tables' logs.
    pub vacuum: bool,
    /// Write a checkpoint of each table that has changed since its last one, so that whoever opens it reads one file for all.
    pub checkpoint: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Merges the small files of one day, if a day has more of them than this: one before today, and today.
    Compact { past: usize, today: usize },
    /// Drops days before this one.
    Retain { before: Day },
    /// Writes a checkpoint.
    Checkpoint,
    /// Removes what is not needed.
    Vacuum,
    /// Removes generations that were replaced; of no table.
    Generations,
}

/// What a step did to a table, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The table; `None`: all of them.
    pub table: Option<&'static str>,
    /// In a word: `merged`, `dropped`, `removed`, `checkpointed`.
    pub what: &'static str,
    /// Files that are no part of the table any more, or of the folder; those that a checkpoint names.
    pub files: usize,
    /// Rows that are gone.
    pub rows: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Steps that wait, each with its table.
#[derive(Debug, Default)]
pub(super) struct Steps(VecDeque<(&'static TableDef, Step)>);

impl Steps {
    /// What is to be done at `now`, table by table. Dropped days need not be merged, what was merged can be removed later.
    pub(super) fn of(asked: &Upkeep, past: usize, today: usize, now: Micros) -> Self {
        let mut steps = VecDeque::new();
        for def in TABLES {
            if let Some(days) = asked.retain.as_ref().and_then(|retain| retain.get(def.name)) {
                let before = Day::of(Micros(now.0.saturating_sub(i64::from(*days).saturating_mul(DAY_MICROS))));
                steps.push_back((*def, Step::Retain { before }));
            }
            if asked.compact {
                steps.push_back((*def, Step::Compact { past, today }));
            }
            if asked.checkpoint {
                steps.push_back((*def, Step::Checkpoint));
            }
            if asked.vacuum {
                steps.push_back((*def, Step::Vacuum));
            }
        }
        if let (true, Some(first)) = (asked.vacuum, TABLES.first()) {
            steps.push_back((*first, Step::Generations));
        }
        Self(steps)
    }

    pub(super) fn next(&mut self) -> Option<(&'static TableDef, Step)> {
        self.0.pop_front()
    }

    /// The same step again: there may be more of it.
    pub(super) fn again(&mut self, def: &'static TableDef, step: Step) {
        self.0.push_front((def, step));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
