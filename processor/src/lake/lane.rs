//! One table's way into the lake: its writer, and what becomes of it when something fails.
//!
//! After a disk or store error it is tried again from the last commit, after ever longer pauses; a record that is no row, or
//! another writer, stops it for good. When it reads and commits is decided by [`super::run`].

use calltide_eventlog::EventLog;
use calltide_schemas::Micros;
use calltide_schemas::errors::in_one_line;
use calltide_schemas::tables::TableDef;
use metrics::gauge;

use super::share::Tables;
use super::{Lake, LakeError, LakeWriter, Result};

/// Between attempts to write a table after errors: from one second, doubled up to a minute.
const RETRY_FIRST: i64 = 1_000_000;
const RETRY_LAST: i64 = 60_000_000;

/// One table's way into the lake.
pub(super) struct Lane {
    pub(super) def: &'static TableDef,
    pub(super) writer: Option<LakeWriter>,
    pub(super) state: State,
    /// Whether the last attempt failed for want of an answer from the store.
    pub(super) away: bool,
    /// Whether this process is its writer, and whether it may be another one.
    pub(super) is_ours: bool,
    is_shared: bool,
}

pub(super) enum State {
    Running,
    /// Opened again at that time.
    Waiting {
        until: Micros,
        pause: i64,
        reason: String,
    },
    /// For good.
    Stopped {
        reason: String,
    },
}

impl State {
    /// After one more failure.
    pub(super) fn later(&self, now: Micros, reason: String) -> Self {
        let pause = if let Self::Waiting { pause, .. } = self { (pause * 2).min(RETRY_LAST) } else { RETRY_FIRST };
        Self::Waiting { until: now + pause, pause, reason }
    }
}

impl Lane {
    pub(super) fn new(def: &'static TableDef, tables: &Tables) -> Self {
        let (is_ours, is_shared) = (tables.has(def), tables.are_shared());
        Self { def, writer: None, state: State::Running, away: false, is_ours, is_shared }
    }

    /// What was read and not committed of a table that went to another process, that one reads again.
    pub(super) fn follow(&mut self, tables: &Tables) {
        let is_ours = tables.has(self.def);
        if is_ours != self.is_ours {
            tracing::info!(table = self.def.name, is_ours, "a table changed its writer");
            (self.is_ours, self.writer, self.state, self.away) = (is_ours, None, State::Running, false);
            gauge!("calltide_lake_table_stopped", "table" => self.def.name).set(0.0);
        }
    }

    /// Does something with the writer, opening it where needed. `None`: it failed, or the table is stopped or waiting.
    pub(super) fn attempt<T>(
        &mut self,
        lake: &Lake,
        log: &dyn EventLog,
        act: impl FnOnce(&mut LakeWriter, &dyn EventLog) -> Result<T>,
    ) -> Option<T> {
        match &self.state {
            _ if !self.is_ours => return None,
            State::Running => {}
            State::Waiting { until, .. } if lake.now() >= *until => {}
            State::Waiting { .. } | State::Stopped { .. } => return None,
        }
        let result = match &mut self.writer {
            Some(writer) => act(writer, log),
            none => LakeWriter::open(lake, self.def, log).and_then(|opened| act(none.insert(opened), log)),
        };
        match result {
            Ok(value) => {
                (self.state, self.away) = (State::Running, false);
                gauge!("calltide_lake_table_stopped", "table" => self.def.name).set(0.0);
                Some(value)
            }
            Err(error) => {
                self.fail(lake.now(), &error);
                None
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others may pass")]
    fn fail(&mut self, now: Micros, error: &LakeError) {
        // Whatever it had read and not committed is read again.
        self.writer = None;
        // Where tables are shared, it was the last commit of whoever had this one before; elsewhere a writer that should not be.
        let final_ = match error {
            LakeError::Fenced { .. } => !self.is_shared,
            LakeError::Row { .. } | LakeError::Column { .. } | LakeError::AheadOfLog { .. } => true,
            _ => false,
        };
        tracing::error!(table = self.def.name, error = error as &dyn std::error::Error, stopped = final_, "lake");
        gauge!("calltide_lake_table_stopped", "table" => self.def.name).set(1.0);
        self.away = error.is_away();
        self.state = if final_ {
            State::Stopped { reason: in_one_line(error) }
        } else {
            self.state.later(now, in_one_line(error))
        };
    }

    pub(super) fn error(&self) -> LakeError {
        let reason = match &self.state {
            State::Stopped { reason } => reason.clone(),
            State::Waiting { reason, .. } => format!("it is tried again soon, after: {reason}"),
            State::Running => "it is tried again soon".to_owned(),
        };
        LakeError::Stopped { table: self.def.name, reason }
    }

    /// What it waited for is over.
    pub(super) fn try_now(&mut self) {
        if matches!(self.state, State::Waiting { .. }) {
            self.state = State::Running;
        }
    }

    pub(super) fn pending_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, LakeWriter::pending_bytes)
    }
}
