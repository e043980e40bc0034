//! A campaign's rules: when a contact may be called again, how often, and when no more.
//!
//! They come from the configuration, enter the log as one record with who and when, and every verdict names their version.
//! Durations are seconds, times of day minutes since midnight in the contact's own time zone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Micros;

/// The rules of all campaigns of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SiteRules {
    /// When they were given.
    pub at: Micros,
    /// Who gave them.
    pub who: String,
    /// By campaign.
    pub campaigns: BTreeMap<String, CampaignRules>,
    /// Of campaigns that are not among these.
    pub default: CampaignRules,
}

/// The rules of one campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignRules {
    /// Whether it is at work.
    pub state: CampaignState,
    /// From then on it has ended.
    pub ends_at: Option<Micros>,
    /// Most dials of a contact, over all statuses.
    pub attempts: u32,
    /// Most calls out to a number within 24 rolling hours, over all campaigns, PBXs and dials by hand.
    pub attempts_24h: u32,
    /// A number with so many results `invalid_number` is not dialled any more.
    pub invalid_after: u32,
    /// Who dials a contact that was never dialled.
    pub first_dial: FirstDial,
    /// Which of a contact's numbers is dialled next.
    pub next_number: NextNumber,
    /// When calls are allowed; at any time if there are none.
    pub windows: Vec<Window>,
    /// Dates (`YYYY-MM-DD`) in the contact's zone on which no call is allowed.
    pub holidays: Vec<String>,
    /// The time zone of contacts that have none of their own; else the number tells.
    pub tz: Option<String>,
    /// After a dropped call nobody calls for so long.
    pub drop_lockout_s: u64,
    /// A due message is good for so long, if the window does not close before.
    pub valid_s: u64,
    /// By which other calls a contact counts as reached.
    pub reached_by: Vec<Elsewhere>,
    /// What follows which result; the first that names it counts.
    pub results: Vec<ResultRule>,
    /// When a contact goes on elsewhere.
    pub retargets: Vec<RetargetRule>,
}

/// Whether a campaign is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// It is.
    Active,
    /// Its contacts are held.
    Paused,
    /// Its contacts are closed.
    Ended,
}

/// Who dials a contact that was never dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstDial {
    /// It is due in the first window after it was loaded.
    Due,
    /// The dialer works through its own list; contacts are held until then.
    Dialer,
}

/// Which of a contact's numbers is dialled next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextNumber {
    /// The one after the last dialled, and then the first again.
    Rotate,
    /// The same, as long as it can be dialled.
    Same,
}

/// A kind of call beside the campaign's own that a contact can be reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Elsewhere {
    /// They called us.
    Inbound,
    /// A call dialled by hand.
    Manual,
    /// Another campaign.
    Campaign,
    /// Another contact of the same person.
    Person,
}

impl Elsewhere {
    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Manual => "manual",
            Self::Campaign => "campaign",
            Self::Person => "person",
        }
    }
}

/// When calls are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Days of the week on which it opens, 1 (Monday) to 7.
    pub days: Vec<u8>,
    /// When it opens, in minutes since midnight.
    pub from_minute: u16,
    /// When it closes (that minute is outside), up to 1440; not after the opening: on the next day.
    pub to_minute: u16,
}

/// What follows a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultRule {
    /// Its name in verdicts.
    pub name: String,
    /// The results that it is about.
    pub results: Vec<ResultMatch>,
    /// How long to wait after the first such result of a contact, the second, …; the last one holds for all others.
    pub delays_s: Vec<u64>,
    /// After so many such results the contact is exhausted.
    pub attempts: Option<u32>,
}

/// A result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultMatch {
    /// A status, or `dropped` (a person answered, and no agent came) or `short`.
    pub result: String,
    /// Only with this Q.850 cause.
    pub cause: Option<u16>,
}

/// When a contact goes on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetargetRule {
    /// Its name in verdicts.
    pub name: String,
    /// After so many of these results in a row.
    pub after: u32,
    /// The results; unanswered ones if there are none.
    pub results: Vec<ResultMatch>,
    /// Where to.
    pub to: Target,
}

/// Where a contact goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Another campaign.
    Campaign(String),
    /// A queue.
    Queue(String),
    /// An agent by name.
    Agent(String),
}
