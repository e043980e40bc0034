//! What the folds of recycling are told, record by record.
//!
//! Records of one contact are keyed by its [`ContactKey`](super::ContactKey), those of one number by the number; what concerns
//! all of them (rules, ticks, lists, prefixes) is in every partition. `live` is false of what was imported: it counts, and
//! nothing is published to dialers because of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{Elsewhere, SiteRules};
use super::{CallingNumber, Notice, Reached, Wish};
use crate::Micros;
use crate::status::Status;

/// A record for the fold `contacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum ForContacts {
    /// In every partition: these are the rules from now on.
    #[serde(rename = "rules")]
    Rules(SiteRules),
    /// In every partition: so late it is.
    #[serde(rename = "tick")]
    Tick(Tick),
    /// A contact was put on a list.
    #[serde(rename = "contact_loaded")]
    Loaded(Loaded),
    /// Contacts are held, released or removed; without a contact in every partition.
    #[serde(rename = "standing")]
    Standing(Standing),
    /// A call was promised.
    #[serde(rename = "callback")]
    Callback(Callback),
    /// A dial for the contact is under way.
    #[serde(rename = "contact_dial")]
    Dial(Dial),
    /// A dial for the contact is over, or its outcome was corrected.
    #[serde(rename = "contact_attempt")]
    Attempt(Attempt),
    /// What is known of one of its numbers.
    #[serde(rename = "notice")]
    Notice(Notice),
}

/// A record for the fold `numbers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum ForNumbers {
    /// In every partition: so late it is.
    #[serde(rename = "numbers_tick")]
    Tick(Tick),
    /// What a contact wants of the number.
    #[serde(rename = "wish")]
    Wish(Wish),
    /// A do-not-call entry; one with a prefix is in every partition.
    #[serde(rename = "listing")]
    DoNotCall(DoNotCall),
    /// A dial to the number is under way.
    #[serde(rename = "number_dial")]
    Dial(Dial),
    /// A call with the number is over, or was corrected.
    #[serde(rename = "number_call")]
    Call(Call),
    /// A dialer wants to have what is due.
    #[serde(rename = "claim")]
    Claim(Claim),
    /// A dialer says what it did with it.
    #[serde(rename = "acknowledged")]
    Acknowledged(Acknowledged),
    /// A contact of that person was reached; keyed by `person:<id>`.
    #[serde(rename = "reached")]
    Reached(Reached),
}

impl ForContacts {
    /// The record's kind (`ce_type`).
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rules(_) => "rules",
            Self::Tick(_) => "tick",
            Self::Loaded(_) => "contact_loaded",
            Self::Standing(_) => "standing",
            Self::Callback(_) => "callback",
            Self::Dial(_) => "contact_dial",
            Self::Attempt(_) => "contact_attempt",
            Self::Notice(_) => "notice",
        }
    }

    /// When it happened.
    pub const fn at(&self) -> Micros {
        match self {
            Self::Rules(said) => said.at,
            Self::Tick(said) => said.at,
            Self::Loaded(said) => said.at,
            Self::Standing(said) => said.at,
            Self::Callback(said) => said.given_at,
            Self::Dial(said) => said.at,
            Self::Attempt(said) => said.ended_at,
            Self::Notice(said) => said.at,
        }
    }
}

impl ForNumbers {
    /// The record's kind (`ce_type`).
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tick(_) => "numbers_tick",
            Self::Wish(_) => "wish",
            Self::DoNotCall(_) => "listing",
            Self::Dial(_) => "number_dial",
            Self::Call(_) => "number_call",
            Self::Claim(_) => "claim",
            Self::Acknowledged(_) => "acknowledged",
            Self::Reached(_) => "reached",
        }
    }

    /// When it happened.
    pub const fn at(&self) -> Micros {
        match self {
            Self::Tick(said) => said.at,
            Self::Wish(said) => said.at,
            Self::DoNotCall(said) => said.at,
            Self::Dial(said) => said.at,
            Self::Call(said) => said.ended_at,
            Self::Claim(said) => said.at,
            Self::Acknowledged(said) => said.at,
            Self::Reached(said) => said.at,
        }
    }
}

/// So late it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// By the clock of whoever derives this partition.
    pub at: Micros,
}

/// A contact as it was put on a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Loaded {
    /// When.
    pub at: Micros,
    /// Who did.
    pub who: String,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// Its numbers, the first one first.
    pub numbers: Vec<CallingNumber>,
    /// Its time zone (IANA), if it is known.
    pub tz: Option<String>,
    /// The list within the campaign.
    pub list: Option<String>,
    /// Who it is, over all campaigns.
    pub person: Option<String>,
    /// The agent who shall speak with it.
    pub agent: Option<String>,
    /// Begins a new round: earlier attempts count no more.
    pub reset: bool,
    /// The campaigns that it comes from, the first one first.
    pub from_campaigns: Vec<String>,
    /// The call that was lost, of a caller who is called back.
    pub lost_call: Option<String>,
    /// Whether dialers may be told because of it; not if all that is known was imported.
    pub live: bool,
}

/// What happens to contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandingChange {
    /// They are not called for now.
    Hold,
    /// They may be called again.
    Release,
    /// They are off the list.
    Remove,
}

/// Contacts are held, released or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// When.
    pub at: Micros,
    /// Who said so.
    pub who: String,
    /// The campaign.
    pub campaign: String,
    /// Only those of this list.
    pub list: Option<String>,
    /// Only this one.
    pub contact: Option<String>,
    /// What happens.
    pub change: StandingChange,
}

/// A call was promised, or, without a time, is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Callback {
    /// When it was.
    pub given_at: Micros,
    /// Who did.
    pub who: String,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// For when.
    pub callback_at: Option<Micros>,
    /// With whom.
    pub agent: Option<String>,
    /// On which of its numbers, or on one more.
    pub number: Option<CallingNumber>,
}

/// A dial is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dial {
    /// When it began.
    pub at: Micros,
    /// The call.
    pub call_id: String,
    /// The campaign, of a dial for a contact.
    pub campaign: Option<String>,
    /// The contact within it.
    pub contact: Option<String>,
    /// The number.
    pub number: CallingNumber,
}

/// What came of a dial for a contact; its call is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// The call.
    pub call_id: String,
    /// Of the call.
    pub version: i64,
    /// It turned out to be a part of another call, or to be none.
    pub withdrawn: bool,
    /// Whether it was told as it happened, not imported.
    pub live: bool,
    /// The campaign.
    pub campaign: String,
    /// The contact within it.
    pub contact: String,
    /// The number.
    pub number: Option<CallingNumber>,
    /// What became of it.
    pub status: Status,
    /// The Q.850 cause, if there is one.
    pub cause: Option<u16>,
    /// Handled by an agent.
    pub reached: bool,
    /// A person answered, an agent was sought, none came.
    pub dropped: bool,
    /// Connected, and the talk was short.
    pub short: bool,
    /// Not forbidden before it was dialled.
    pub dialled: bool,
    /// When it began.
    pub started_at: Micros,
    /// When it ended.
    pub ended_at: Micros,
}

/// What a do-not-call entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// From now on nobody may call.
    Add,
    /// They may again.
    Remove,
}

/// A number, or all numbers that begin so, are put on or taken off a do-not-call list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoNotCall {
    /// When.
    pub at: Micros,
    /// Who did.
    pub who: String,
    /// The number; with a `*` at its end every number that begins so.
    pub number: CallingNumber,
    /// Only for this campaign.
    pub campaign: Option<String>,
    /// What happens.
    pub listing: Listing,
    /// Why.
    pub reason: Option<String>,
}

/// A call with a number is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The call.
    pub call_id: String,
    /// Its version.
    pub version: i64,
    /// It turned out to be a part of another call, or to be none.
    pub withdrawn: bool,
    /// Whether it was told as it happened, not imported.
    pub live: bool,
    /// The number.
    pub number: CallingNumber,
    /// Out, and not forbidden before it was dialled: it counts.
    pub counts: bool,
    /// Whether somebody spoke with an agent, and in what kind of call.
    pub reached: Option<Elsewhere>,
    /// The campaign.
    pub campaign: Option<String>,
    /// The contact within it.
    pub contact: Option<String>,
    /// When it began.
    pub started_at: Micros,
    /// When it ended.
    pub ended_at: Micros,
}

/// A dialer wants to have what is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// When it asked.
    pub at: Micros,
    /// The request.
    pub lease_id: String,
    /// Who asks.
    pub dialer: String,
    /// Which verdict.
    pub verdict_id: String,
    /// Whose number this is.
    pub number: CallingNumber,
    /// Until when it is to be theirs.
    pub until: Micros,
}

/// What a dialer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledgement {
    /// It dials, or will: nobody else may have it.
    Dialled,
    /// It does not want it: others may have it.
    Returned,
}

/// A dialer says what it did with what it had leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledged {
    /// When.
    pub at: Micros,
    /// The request by which it had it.
    pub lease_id: String,
    /// Which verdict.
    pub verdict_id: String,
    /// Whose number this is.
    pub number: CallingNumber,
    /// What it did.
    pub done: Acknowledgement,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_is_called_in_its_header_is_its_tag() {
        let at = Micros(1);
        let tick = Tick { at };
        let contacts = [ForContacts::Tick(tick), ForContacts::Loaded(Loaded { at, ..Loaded::default() })];
        for record in contacts {
            let json = serde_json::to_value(&record).expect("a record is JSON");
            assert_eq!((json["kind"].as_str(), record.at()), (Some(record.kind()), at));
        }
        let number = CallingNumber("+4930".to_owned());
        let dial = Dial { at, call_id: "a/1".to_owned(), campaign: None, contact: None, number };
        for record in [ForNumbers::Tick(tick), ForNumbers::Dial(dial)] {
            let json = serde_json::to_value(&record).expect("a record is JSON");
            assert_eq!((json["kind"].as_str(), record.at()), (Some(record.kind()), at));
        }
    }
}
