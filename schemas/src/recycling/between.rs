//! What the two folds of recycling tell each other: wishes for calls, and what is known of numbers.
//!
//! They are records of the folds' input topics like all others ([`super::inputs`]), so that a replay sees them in their order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CallingNumber;
use super::rules::Elsewhere;
use crate::Micros;

/// What a contact is told of one of its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// When.
    pub at: Micros,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// The number.
    pub number: CallingNumber,
    /// What.
    pub word: Word,
}

/// See [`Notice`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Nobody may call it, because of this.
    Suppressed {
        /// In a sentence.
        because: String,
    },
    /// It may be called again.
    Allowed,
    /// It was called as often within 24 hours as is allowed.
    Capped {
        /// The nth verdict of the contact, which cannot be.
        verdict: u32,
        /// From then on it may be called again.
        until: Micros,
    },
    /// Nobody dialled in time.
    Expired {
        /// The nth verdict of the contact, which is over.
        verdict: u32,
    },
    /// Somebody spoke with them.
    Reached {
        /// By which call.
        call_id: String,
        /// Of which kind.
        by: Elsewhere,
        /// When it began.
        started_at: Micros,
        /// When it ended.
        ended_at: Micros,
        /// It turned out that nobody did.
        withdrawn: bool,
    },
}

/// What a contact wants of a number: to be told of it, and to be called, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wish {
    /// When.
    pub at: Micros,
    /// Whether dialers may be told.
    pub live: bool,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// The number, or `person:<id>`.
    pub number: CallingNumber,
    /// What is wanted; `None`: no call.
    pub call: Option<Wanted>,
    /// The verdict before was dialled: nothing is to be taken back.
    pub dialled: bool,
    /// Of what is taken back: why.
    pub reason: Option<String>,
    /// The contact does not want to be told any more.
    pub gone: bool,
}

/// A call that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The contact's nth verdict.
    pub verdict: u32,
    /// Which attempt it will be.
    pub attempt: u32,
    /// With whom.
    pub agent: Option<String>,
    /// Not before.
    pub due_at: Micros,
    /// Not at this time or after it.
    pub valid_until: Micros,
    /// Most calls out to the number within 24 hours.
    pub cap_24h: u32,
}

/// A contact of a person was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    /// When the call ended.
    pub at: Micros,
    /// Whether it was told as it happened, not imported.
    pub live: bool,
    /// Who.
    pub person: String,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// By which call.
    pub call_id: String,
    /// When that began.
    pub started_at: Micros,
    /// It turned out that nobody did.
    pub withdrawn: bool,
}
