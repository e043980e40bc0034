//! The rows that recycling publishes; their fields are the columns of `schemas::tables`, in the same order.

use calltide_schemas::Micros;
use calltide_schemas::recycling::CallingNumber;
use serde::Serialize;

use crate::fold::{Row, keyed_rows};

/// A row of `contacts`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ContactRow {
    pub(super) contact_key: String,
    pub(super) campaign: String,
    pub(super) contact: String,
    pub(super) list: Option<String>,
    pub(super) person: Option<String>,
    pub(super) number_e164: Option<CallingNumber>,
    pub(super) verdict: &'static str,
    pub(super) due_at: Option<Micros>,
    pub(super) valid_until: Option<Micros>,
    pub(super) rule: String,
    pub(super) reason: String,
    pub(super) verdict_id: String,
    pub(super) rules_version: u32,
    pub(super) agent: Option<String>,
    pub(super) callback_at: Option<Micros>,
    pub(super) attempts: u32,
    pub(super) dialling: usize,
    pub(super) last_call_id: Option<String>,
    pub(super) last_status: Option<&'static str>,
    pub(super) last_class: Option<&'static str>,
    pub(super) last_attempt_at: Option<Micros>,
    pub(super) best_class: &'static str,
    pub(super) reached: bool,
    pub(super) reached_by: Option<String>,
    pub(super) published: bool,
    pub(super) from_campaign: Option<String>,
    pub(super) loaded_at: Option<Micros>,
    pub(super) first_seen_at: Micros,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `verdicts`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct VerdictRow {
    pub(super) verdict_id: String,
    pub(super) contact_key: String,
    pub(super) campaign: String,
    pub(super) contact: String,
    pub(super) verdict: &'static str,
    pub(super) due_at: Option<Micros>,
    pub(super) valid_until: Option<Micros>,
    pub(super) number_e164: Option<CallingNumber>,
    pub(super) agent: Option<String>,
    pub(super) rule: String,
    pub(super) reason: String,
    pub(super) trigger: &'static str,
    pub(super) facts: String,
    pub(super) rules_version: u32,
    pub(super) attempts: u32,
    pub(super) decided_at: Micros,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `rules`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RulesRow {
    pub(super) rules_id: String,
    pub(super) campaign: String,
    pub(super) rules_version: u32,
    pub(super) rules: String,
    pub(super) who: String,
    pub(super) since_at: Micros,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

/// A row of `do_not_call`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DoNotCallRow {
    pub(super) entry_id: String,
    pub(super) number: CallingNumber,
    pub(super) campaign: Option<String>,
    pub(super) listed: bool,
    pub(super) who: String,
    pub(super) reason: Option<String>,
    pub(super) since_at: Micros,
    pub(super) first_listed_at: Micros,
    pub(super) version: i64,
    pub(super) updated_at: Micros,
}

keyed_rows!(ContactRow: contact_key, VerdictRow: verdict_id, RulesRow: rules_id, DoNotCallRow: entry_id);
