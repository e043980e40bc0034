//! Rules to begin with: our own, and what people know from VICIdial and Issabel.
//!
//! Facts about the others: VICIdial recycles a status after one delay of at least two minutes, at most a given number of times,
//! within the hours of its local call time; Issabel's dialer takes every lead that was not connected again, at once, until it
//! was dialled `retries` times, in the hours of the campaign by the server's clock.

use calltide_schemas::recycling::rules::{
    CampaignRules, CampaignState, Elsewhere, FirstDial, NextNumber, ResultMatch, ResultRule, Window,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What VICIdial's recycling waits at least, in seconds.
pub const VICIDIAL_DELAY_MIN_S: u64 = 120;

/// Where rules begin before anything is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// A delay for each result that grows with each attempt, caps, and calling hours.
    #[default]
    Calltide,
    /// As VICIdial's lead recycling does.
    Vicidial,
    /// As Issabel's dialer does.
    Issabel,
}

impl Profile {
    /// Its rules.
    pub fn rules(self) -> CampaignRules {
        match self {
            Self::Calltide => calltide(),
            Self::Vicidial => vicidial(),
            Self::Issabel => issabel(),
        }
    }
}

fn calltide() -> CampaignRules {
    CampaignRules {
        state: CampaignState::Active,
        ends_at: None,
        attempts: 8,
        attempts_24h: 3,
        invalid_after: 2,
        first_dial: FirstDial::Due,
        next_number: NextNumber::Rotate,
        windows: vec![hours(&[1, 2, 3, 4, 5, 6], 9, 20)],
        holidays: Vec::new(),
        tz: None,
        // Regulators of several countries want three days.
        drop_lockout_s: 3 * DAY,
        valid_s: DAY,
        reached_by: vec![Elsewhere::Inbound, Elsewhere::Manual, Elsewhere::Campaign, Elsewhere::Person],
        results: vec![
            result("dropped", &["dropped"], &[3 * DAY], Some(2)),
            result("busy", &["busy"], &[5 * MINUTE, 30 * MINUTE, 4 * HOUR], Some(5)),
            result("no_answer", &["no_answer"], &[HOUR, 4 * HOUR, DAY], Some(5)),
            result("voicemail", &["voicemail"], &[4 * HOUR, DAY], Some(3)),
            result("rejected", &["rejected"], &[DAY], Some(2)),
            result("cancelled", &["cancelled"], &[15 * MINUTE], Some(3)),
            result("out_of_service", &["out_of_service"], &[DAY], Some(2)),
            result("invalid_number", &["invalid_number"], &[DAY], None),
            result("line", &["congestion", "dialing_error"], &[5 * MINUTE, 30 * MINUTE, 2 * HOUR], Some(5)),
        ],
        retargets: Vec::new(),
    }
}

fn vicidial() -> CampaignRules {
    let names = ["busy", "no_answer", "voicemail", "rejected", "congestion", "dialing_error"];
    let mut results = vec![result("dropped", &["dropped"], &[3 * DAY], Some(2))];
    results.extend(names.map(|name| result(name, &[name], &[30 * MINUTE], Some(2))));
    CampaignRules {
        // Of each status alone it counts.
        attempts: 99,
        attempts_24h: 99,
        next_number: NextNumber::Same,
        windows: vec![hours(&[1, 2, 3, 4, 5, 6, 7], 9, 21)],
        results,
        ..calltide()
    }
}

fn issabel() -> CampaignRules {
    let all = [
        "busy",
        "no_answer",
        "voicemail",
        "dropped",
        "rejected",
        "cancelled",
        "out_of_service",
        "invalid_number",
        "congestion",
        "dialing_error",
    ];
    CampaignRules {
        attempts: 5,
        attempts_24h: 99,
        invalid_after: 99,
        next_number: NextNumber::Same,
        windows: vec![hours(&[1, 2, 3, 4, 5, 6, 7], 9, 18)],
        drop_lockout_s: 0,
        reached_by: Vec::new(),
        results: vec![result("retry", &all, &[0], None)],
        ..calltide()
    }
}

fn hours(days: &[u8], from: u16, to: u16) -> Window {
    Window { days: days.to_vec(), from_minute: from * 60, to_minute: to * 60 }
}

fn result(name: &str, results: &[&str], delays_s: &[u64], attempts: Option<u32>) -> ResultRule {
    let results = results.iter().map(|result| ResultMatch { result: (*result).to_owned(), cause: None }).collect();
    ResultRule { name: name.to_owned(), results, delays_s: delays_s.to_vec(), attempts }
}
