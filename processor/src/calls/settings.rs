//! How the calls fold reads a site: who is outside, what variables mean, how long things may take.
//!
//! The defaults are meant to be right without any configuration on Issabel, FreePBX and plain Asterisk.

use std::collections::BTreeMap;

use calltide_schemas::status::ReasonCodes;
use regex::Regex;

use crate::vocabulary::Reading;

/// What a site may configure about its calls.
#[derive(Debug, Clone)]
pub struct CallSettings {
    /// What variables and user events mean.
    pub reading: Reading,
    /// How long, by the PBX's clock, late records may change a closed call before it is settled. Microseconds.
    pub settle_us: i64,
    /// How long a settled call may still be corrected. Microseconds.
    pub correct_us: i64,
    /// An open call of which nothing was heard for so long, by the PBX's clock, is closed. Microseconds.
    pub silence_us: i64,
    /// A connected call whose talk is shorter than this is `short`. Milliseconds.
    pub short_ms: i64,
    /// Endpoints that are trunks, e.g. `^PJSIP/provider`; before anything learned.
    pub trunks: Vec<Regex>,
    /// Endpoints that are our own devices.
    pub devices: Vec<Regex>,
    /// Contexts that hold outside callers.
    pub outside_contexts: Vec<Regex>,
    /// Contexts that hold our own devices.
    pub inside_contexts: Vec<Regex>,
    /// Applications that serve a caller without a person, besides conferences.
    pub self_service: Vec<String>,
    /// How an Originate's Reason is read.
    pub reason_codes: ReasonCodes,
    /// The country whose national numbers are dialled, as ISO 3166 (e.g. `RU`); without it only international ones are understood.
    pub country: Option<String>,
    /// The campaigns that call lost callers back, by the campaign of the call that was lost.
    pub recall: BTreeMap<String, String>,
    /// Which calls belong to which campaign, beside the variables.
    pub campaigns: Vec<CampaignMatch>,
}

/// Which calls belong to a campaign.
#[derive(Debug, Clone, Default)]
pub struct CampaignMatch {
    /// The campaign.
    pub campaign: String,
    /// Calls into these queues.
    pub queues: Vec<String>,
    /// Calls to these numbers or extensions of ours (DIDs).
    pub dids: Vec<String>,
    /// Calls whose first channel has one of these account codes.
    pub accounts: Vec<String>,
    /// Dials by an Originate with such an ActionID.
    pub action_ids: Option<Regex>,
}

impl Default for CallSettings {
    fn default() -> Self {
        let patterns = |list: &[&str]| list.iter().filter_map(|p| Regex::new(p).ok()).collect();
        Self {
            reading: Reading::default(),
            // Sources of one server differ by far less; a slow disk or a busy logger may take seconds.
            settle_us: 5_000_000,
            correct_us: 24 * 3600 * 1_000_000,
            // Longer than any conversation that says nothing: no hold, no transfer, no bridge.
            silence_us: 4 * 3600 * 1_000_000,
            short_ms: 10_000,
            trunks: Vec::new(),
            devices: Vec::new(),
            outside_contexts: patterns(&[
                r"(?i)^from-(trunk|pstn|did|outside|external|dahdi|zaptel|analog|sip-external|carrier|provider|voip)",
                r"(?i)^(ext-did|incoming|inbound|public|did)\b",
            ]),
            inside_contexts: patterns(&[
                r"(?i)^from-(internal|agents?|extensions?|queue|users?|phones?|local)",
                r"(?i)^(internal|phones|users|agents)\b",
            ]),
            self_service: Vec::new(),
            reason_codes: ReasonCodes::Asterisk,
            country: None,
            recall: BTreeMap::new(),
            campaigns: Vec::new(),
        }
    }
}
