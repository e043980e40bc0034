//! The rows that the calls fold publishes; their fields are the columns of `schemas::tables`, in the same order.

use calltide_schemas::Micros;
use serde::Serialize;

use crate::fold::{Row, keyed_rows};

/// A row of `calls` and, for outbound, of `attempts`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct CallRow {
    pub(super) pbx: String,
    pub(super) call_id: String,
    pub(super) linkedid: Option<String>,
    pub(super) direction: &'static str,
    pub(super) campaign: Option<String>,
    pub(super) contact: Option<String>,
    pub(super) number_raw: Option<String>,
    pub(super) number_e164: Option<String>,
    pub(super) status: &'static str,
    pub(super) class: &'static str,
    pub(super) status_evidence: String,
    pub(super) handled_by: &'static str,
    pub(super) dial_status: &'static str,
    pub(super) originate_reason: Option<i64>,
    pub(super) hangup_cause: Option<u16>,
    pub(super) hangup_by: Option<&'static str>,
    pub(super) dropped: bool,
    pub(super) drop_wait_ms: Option<i64>,
    pub(super) short: bool,
    pub(super) dialled: bool,
    pub(super) settled: bool,
    pub(super) end_estimated: bool,
    pub(super) left_at: Option<&'static str>,
    pub(super) queue: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) device: Option<String>,
    pub(super) entry: Option<String>,
    pub(super) started_at: Micros,
    pub(super) answered_at: Option<Micros>,
    pub(super) ended_at: Micros,
    pub(super) ring_ms: Option<i64>,
    pub(super) wait_ms: Option<i64>,
    pub(super) talk_ms: Option<i64>,
    pub(super) hold_ms: Option<i64>,
    pub(super) up_ms: Option<i64>,
    pub(super) transfers: i64,
    pub(super) consult_of: Option<String>,
    pub(super) joined_call_id: Option<String>,
    pub(super) sources: String,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `legs`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct LegRow {
    pub(super) pbx: String,
    pub(super) leg_id: String,
    pub(super) call_id: String,
    pub(super) agent: Option<String>,
    pub(super) device: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) offered_at: Micros,
    pub(super) answered_at: Option<Micros>,
    pub(super) ended_at: Micros,
    pub(super) ring_ms: Option<i64>,
    pub(super) talk_ms: Option<i64>,
    pub(super) hold_ms: Option<i64>,
    pub(super) direction: &'static str,
    pub(super) transferred: bool,
    pub(super) hangup_by: Option<&'static str>,
    pub(super) outcome: &'static str,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `queue_visits`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct VisitRow {
    pub(super) pbx: String,
    pub(super) visit_id: String,
    pub(super) call_id: String,
    pub(super) queue: String,
    pub(super) entered_at: Micros,
    pub(super) left_at: Option<Micros>,
    pub(super) outcome: &'static str,
    pub(super) wait_ms: i64,
    pub(super) agent: Option<String>,
    pub(super) talk_ms: Option<i64>,
    pub(super) hold_ms: Option<i64>,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `stories`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct StoryRow {
    pub(super) pbx: String,
    pub(super) call_id: String,
    pub(super) started_at: Micros,
    pub(super) story: String,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `rejects`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct RejectRow {
    pub(super) pbx: String,
    pub(super) reject_id: String,
    pub(super) source: &'static str,
    pub(super) reason: String,
    pub(super) detail: Option<String>,
    pub(super) raw: Option<String>,
    pub(super) at: Micros,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `sources`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct SourceRow {
    pub(super) pbx: String,
    pub(super) source_id: String,
    pub(super) source: &'static str,
    pub(super) way: &'static str,
    pub(super) connected: Option<bool>,
    pub(super) journal: String,
    pub(super) journals: i64,
    pub(super) first_event_at: Option<Micros>,
    pub(super) last_event_at: Option<Micros>,
    pub(super) last_seen_at: Micros,
    pub(super) lag_ms: Option<i64>,
    pub(super) lag_max_ms: Option<i64>,
    pub(super) clock_ahead_ms: Option<i64>,
    pub(super) events: i64,
    pub(super) unreadable: i64,
    pub(super) duplicates: i64,
    pub(super) gaps: i64,
    pub(super) missing: i64,
    pub(super) gap_places: Option<String>,
    pub(super) pbx_started_at: Option<Micros>,
    pub(super) pbx_stopped_at: Option<Micros>,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row that gets its version when it is published.
pub(super) trait Versioned: Row + Serialize + Clone + std::hash::Hash {
    /// Sets version and time of publication.
    fn stamp(&mut self, version: i64, at: Micros);
}

macro_rules! versioned {
    ($($row:ty: $key:ident),+) => {$(
        keyed_rows!($row: $key);

        impl Versioned for $row {
            fn stamp(&mut self, version: i64, at: Micros) {
                self.version = version;
                self.updated_at = at;
            }
        }
    )+};
}

versioned!(
    CallRow: call_id,
    LegRow: leg_id,
    VisitRow: visit_id,
    StoryRow: call_id,
    RejectRow: reject_id,
    SourceRow: source_id
);
