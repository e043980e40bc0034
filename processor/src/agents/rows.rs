//! The rows that the fold of agents publishes; their fields are the columns of `schemas::tables`, in the same order.

use calltide_schemas::Micros;
use serde::Serialize;

use crate::fold::{Row, keyed_rows};

/// A row of `agent_sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct SessionRow {
    pub(super) session_id: String,
    pub(super) person: String,
    pub(super) agent: String,
    pub(super) pbx: Option<String>,
    pub(super) team: Option<String>,
    pub(super) kind: &'static str,
    pub(super) queue: Option<String>,
    pub(super) terminal: Option<String>,
    pub(super) device: Option<String>,
    pub(super) started_at: Micros,
    pub(super) logout_at: Option<Micros>,
    pub(super) ended_at: Option<Micros>,
    pub(super) ended_by: Option<&'static str>,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `agent_intervals`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct IntervalRow {
    pub(super) interval_id: String,
    pub(super) person: String,
    pub(super) agent: String,
    pub(super) pbx: Option<String>,
    pub(super) team: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) call_id: Option<String>,
    pub(super) while_paused: bool,
    pub(super) at_once: usize,
    pub(super) started_at: Micros,
    pub(super) ended_at: Option<Micros>,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `agent_names`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct NameRow {
    pub(super) name_id: String,
    pub(super) pbx: String,
    pub(super) name: String,
    pub(super) person: String,
    pub(super) agent: String,
    pub(super) team: Option<String>,
    pub(super) user: Option<String>,
    pub(super) groups: Option<String>,
    pub(super) since_at: Micros,
    pub(super) until_at: Option<Micros>,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `directory`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct DirectoryRow {
    pub(super) entry_id: String,
    pub(super) entry: &'static str,
    pub(super) id: String,
    pub(super) definition: String,
    pub(super) origin: &'static str,
    pub(super) who: String,
    pub(super) since_at: Micros,
    pub(super) until_at: Option<Micros>,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `rejects`: a law that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct LawRow {
    pub(super) pbx: String,
    pub(super) reject_id: String,
    pub(super) source: &'static str,
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) raw: Option<String>,
    pub(super) at: Micros,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

keyed_rows!(
    SessionRow: session_id,
    IntervalRow: interval_id,
    NameRow: name_id,
    DirectoryRow: entry_id,
    LawRow: reject_id
);
