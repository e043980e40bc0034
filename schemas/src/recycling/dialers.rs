//! What dialers are told: who is due now, who was taken back, who goes on elsewhere, and who has leased what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CallingNumber;
use super::rules::Target;
use crate::Micros;

/// A contact may be called now, or, with `withdrawn`, may not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Due {
    /// The verdict: to be handed back with the dial. A withdrawal has the same.
    pub verdict_id: String,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// The number to dial, in E.164, or as it was dialled where that could not be understood.
    pub number: CallingNumber,
    /// Which attempt this would be, from 1.
    pub attempt: u32,
    /// The agent who shall speak with the contact, if one is named.
    pub agent: Option<String>,
    /// From when on the call is allowed.
    pub due_at: Micros,
    /// From then on it is not any more.
    pub valid_until: Micros,
    /// Whether an earlier message of this verdict is taken back.
    pub withdrawn: bool,
    /// Of a withdrawal: why.
    pub reason: Option<String>,
    /// The tick or the event by which it was told.
    pub at: Micros,
}

/// A contact goes on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retargeted {
    /// The verdict.
    pub verdict_id: String,
    /// The campaign that it comes from.
    pub from_campaign: String,
    /// The contact within it.
    pub contact: String,
    /// Its numbers.
    pub numbers: Vec<CallingNumber>,
    /// Where it goes on.
    pub to: Target,
    /// The rule.
    pub rule: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When that was decided.
    pub at: Micros,
}

/// How it stands with what a dialer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// The dialer has it.
    Granted,
    /// Another dialer has it.
    Elsewhere,
    /// Nobody may have it any more.
    Refused,
    /// The dialer gave it back: others may have it.
    Returned,
    /// It is being dialled.
    Dialled,
}

/// Who may dial what is due, and until when nobody else may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// The request that it answers; empty where it answers none.
    pub lease_id: String,
    /// Who asked.
    pub dialer: String,
    /// The verdict.
    pub verdict_id: String,
    /// How it stands with it.
    pub state: LeaseState,
    /// Until when it is theirs, if it is.
    pub until: Option<Micros>,
    /// Why it is not, if it is not.
    pub reason: Option<String>,
    /// When it was answered.
    pub at: Micros,
}
