//! A story as text, a line each, and what came of it as text.
//!
//! `06-01 09:00:00 load autumn/c1 +34911234567` and so on; all times are UTC of 2026, in which 06-01 is a Monday. A line
//! without a date is on the date of the line before.

use std::fmt::Write as _;

use calltide_processor::recycling::Profile;
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{CampaignRules, Elsewhere, FirstDial, SiteRules};
use calltide_schemas::recycling::{
    Acknowledged, Acknowledgement, Attempt, Call, Callback, CallingNumber, Claim, Dial, DoNotCall, ForContacts,
    ForNumbers, Listing, Loaded, Standing, StandingChange,
};
use calltide_schemas::status::Status;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::site::{Site, Way};

/// Rules to test with: no windows and no caps but what a test asks for.
pub(crate) fn rules(change: impl FnOnce(&mut CampaignRules)) -> CampaignRules {
    let mut rules = CampaignRules { windows: Vec::new(), attempts: 20, attempts_24h: 20, ..Profile::Calltide.rules() };
    change(&mut rules);
    rules
}

/// Rules of one campaign called `autumn`, and of all others.
pub(crate) fn site(autumn: CampaignRules, others: CampaignRules) -> SiteRules {
    let campaigns = [("autumn".to_owned(), autumn)].into();
    SiteRules { at: moment("01-01 00:00:00"), who: "a test".to_owned(), campaigns, default: others }
}

/// Checks a story of campaign `autumn` under these rules; other campaigns have the same.
#[track_caller]
pub(crate) fn check(autumn: CampaignRules, story: &str, expected: &str) {
    check_site(&site(autumn.clone(), autumn), story, expected);
}

#[track_caller]
pub(crate) fn check_site(rules: &SiteRules, story: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for way in [Way::Straight, Way::Restarted, Way::Twice] {
        let told = tell(rules, story, way);
        let told: Vec<&str> = told.lines().collect();
        assert!(told == expected, "{way:?}\n--- expected\n{}\n--- told\n{}", expected.join("\n"), told.join("\n"));
    }
}

/// Checks what became of the contacts alone.
#[track_caller]
pub(crate) fn check_verdict(autumn: CampaignRules, story: &str, expected: &str) {
    let told = tell(&site(autumn.clone(), autumn), story, Way::Straight);
    let verdicts: Vec<&str> = told.lines().filter(|line| line.contains(": ") && !line.contains("withdrawn")).collect();
    assert_eq!(verdicts, [expected], "{told}");
}

/// What came of a story: dues, withdrawals and retargets in order, then each contact's verdict.
pub(crate) fn tell(rules: &SiteRules, story: &str, way: Way) -> String {
    let site = run(rules, story, way);
    let mut text = String::new();
    for due in &site.dues {
        let id = &due.verdict_id;
        if due.withdrawn {
            writeln!(text, "{} withdrawn {id}: {}", short(due.at), due.reason.as_deref().unwrap()).unwrap();
        } else {
            let agent = due.agent.as_deref().map(|agent| format!(" with {agent}")).unwrap_or_default();
            writeln!(text, "{} due {id} {} attempt {}{agent}", short(due.due_at), due.number, due.attempt).unwrap();
        }
    }
    for retarget in &site.retargets {
        writeln!(text, "{} retarget {} to {:?}", short(retarget.at), retarget.verdict_id, retarget.to).unwrap();
    }
    for ((topic, key), row) in &site.rows {
        if topic == "calltide.contacts" {
            let due = row["due_at"].as_i64().map(|due| format!(" at {}", short(Micros(due)))).unwrap_or_default();
            let (verdict, rule) = (row["verdict"].as_str().unwrap(), row["rule"].as_str().unwrap());
            writeln!(text, "{key}: {verdict}{due} ({rule})").unwrap();
        }
    }
    text
}

/// Runs a story.
pub(crate) fn run(rules: &SiteRules, story: &str, way: Way) -> Site {
    let mut site = Site::new(way);
    site.rules(rules);
    let mut teller = Teller { date: "06-01".to_owned(), calls: Vec::new() };
    let mut begun = false;
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (at, words) = teller.at(line);
        if begun {
            site.until(at);
        } else {
            site.jump(at);
        }
        begun = true;
        teller.say(&mut site, at, &words);
    }
    site
}

struct Teller {
    date: String,
    /// Calls under way: name, campaign, contact, number, beginning.
    calls: Vec<Dial>,
}

impl Teller {
    fn at(&mut self, line: &str) -> (Micros, Vec<String>) {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if words[0].contains('-') {
            self.date = words.remove(0);
        }
        let time = words.remove(0);
        (moment(&format!("{} {time}", self.date)), words)
    }

    fn say(&mut self, site: &mut Site, at: Micros, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let option =
            |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        let numbers = || words.iter().filter(|word| word.starts_with('+')).map(|n| CallingNumber((*n).to_owned()));
        let of = words.get(1).and_then(|word| word.split_once('/'));
        let who = "a test".to_owned();
        match (words[0], of) {
            ("load", Some((campaign, contact))) => {
                let loaded = Loaded {
                    at,
                    who,
                    campaign: campaign.to_owned(),
                    contact: contact.to_owned(),
                    numbers: numbers().collect(),
                    tz: option("tz"),
                    list: option("list"),
                    person: option("person"),
                    agent: option("agent"),
                    reset: words.contains(&"reset"),
                    live: !words.contains(&"imported"),
                    ..Loaded::default()
                };
                site.contact(campaign, contact, &ForContacts::Loaded(loaded));
            }
            ("dial", Some((campaign, contact))) => self.dial(site, at, Some((campaign, contact)), &words),
            ("handdial", _) => self.dial(site, at, None, &words),
            ("end", _) => self.end(site, at, &words),
            ("inbound", _) => {
                let number = numbers().next().unwrap();
                let reached = words.contains(&"reached").then_some(Elsewhere::Inbound);
                site.number(&number.0.clone(), &ForNumbers::Call(call(words[1], at, number, false, reached)));
            }
            ("until", _) => {}
            _ => self.say_more(site, at, &words),
        }
    }

    /// What is said of promises, lists and leases.
    fn say_more(&self, site: &mut Site, at: Micros, words: &[&str]) {
        let option =
            |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        let numbers = || words.iter().filter(|word| word.starts_with('+')).map(|n| CallingNumber((*n).to_owned()));
        let of = words.get(1).and_then(|word| word.split_once('/'));
        let who = "a test".to_owned();
        match (words[0], of) {
            ("callback", Some((campaign, contact))) => {
                let callback_at = option("for").map(|text| moment(&text.replace('T', " ")));
                let callback = Callback {
                    given_at: at,
                    who,
                    campaign: campaign.to_owned(),
                    contact: contact.to_owned(),
                    callback_at,
                    agent: option("agent"),
                    number: numbers().next(),
                };
                site.contact(campaign, contact, &ForContacts::Callback(callback));
            }
            ("dnc" | "undnc", _) => {
                let listing = if words[0] == "dnc" { Listing::Add } else { Listing::Remove };
                let number = numbers().next().unwrap();
                let (campaign, reason) = (option("campaign"), option("why"));
                let entry = DoNotCall { at, who, number: number.clone(), campaign, listing, reason };
                site.number(&number.0, &ForNumbers::DoNotCall(entry));
            }
            ("hold" | "release" | "remove", _) => {
                let change = match words[0] {
                    "hold" => StandingChange::Hold,
                    "release" => StandingChange::Release,
                    _ => StandingChange::Remove,
                };
                let (campaign, contact) = of.map_or((words[1], None), |(c, contact)| (c, Some(contact.to_owned())));
                let standing =
                    Standing { at, who, campaign: campaign.to_owned(), list: option("list"), contact, change };
                let contact = standing.contact.clone().unwrap_or_default();
                site.contact(campaign, &contact, &ForContacts::Standing(standing));
            }
            ("claim", Some(_)) => {
                let number = numbers().next().unwrap();
                let (lease_id, dialer) = (option("lease").unwrap(), option("by").unwrap_or_default());
                let (verdict_id, until) = (words[1].to_owned(), at + 60_000_000);
                let claim = Claim { at, lease_id, dialer, verdict_id, number: number.clone(), until };
                site.number(&number.0, &ForNumbers::Claim(claim));
            }
            ("ack" | "return", Some(_)) => {
                let number = numbers().next().unwrap();
                let done = if words[0] == "ack" { Acknowledgement::Dialled } else { Acknowledgement::Returned };
                let (lease_id, verdict_id) = (option("lease").unwrap(), words[1].to_owned());
                let said = Acknowledged { at, lease_id, verdict_id, number: number.clone(), done };
                site.number(&number.0, &ForNumbers::Acknowledged(said));
            }
            _ => panic!("the story says `{}`", words.join(" ")),
        }
    }

    /// `dial autumn/c1 +34… k1`: call k1 is under way.
    fn dial(&mut self, site: &mut Site, at: Micros, of: Option<(&str, &str)>, words: &[&str]) {
        let number = CallingNumber((*words.iter().find(|word| word.starts_with('+')).unwrap()).to_owned());
        let call_id = (*words.last().unwrap()).to_owned();
        let named = of.map(|(campaign, contact)| (campaign.to_owned(), contact.to_owned()));
        let (campaign, contact) = named.unzip();
        let dial = Dial { at, call_id, campaign, contact, number: number.clone() };
        if let Some((campaign, contact)) = of {
            // The fold of calls tells both at once; what the contact makes of it comes after.
            site.number(&number.0, &ForNumbers::Dial(dial.clone()));
            site.contact(campaign, contact, &ForContacts::Dial(dial.clone()));
        }
        self.calls.push(dial);
    }

    /// `end k1 busy [cause=17] [reached] [dropped] [short] [version=3] [imported] [withdrawn]`
    fn end(&mut self, site: &mut Site, at: Micros, words: &[&str]) {
        let dial = self.calls.iter().find(|dial| dial.call_id == words[1]).unwrap().clone();
        let has = |word: &str| words.contains(&word);
        let number_after = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.parse::<i64>().ok());
        let status = Status::ALL.into_iter().find(|status| status.name() == words[2]).unwrap();
        let version = number_after("version=").unwrap_or(2);
        let (reached, live) = (has("reached"), !has("imported"));
        let manual = if dial.contact.is_some() { Elsewhere::Campaign } else { Elsewhere::Manual };
        let dialled = status != Status::DoNotCall;
        let call = Call {
            version,
            withdrawn: has("withdrawn"),
            live,
            counts: dialled,
            campaign: dial.campaign.clone(),
            contact: dial.contact.clone(),
            started_at: dial.at,
            ..call(&dial.call_id, at, dial.number.clone(), true, reached.then_some(manual))
        };
        site.number(&dial.number.0, &ForNumbers::Call(call));
        if let (Some(campaign), Some(contact)) = (dial.campaign.clone(), dial.contact.clone()) {
            let attempt = Attempt {
                call_id: dial.call_id.clone(),
                version,
                withdrawn: has("withdrawn"),
                live,
                campaign: campaign.clone(),
                contact: contact.clone(),
                number: Some(dial.number.clone()),
                status,
                cause: number_after("cause=").and_then(|cause| u16::try_from(cause).ok()),
                reached,
                dropped: has("dropped"),
                short: has("short"),
                dialled,
                started_at: dial.at,
                ended_at: at,
            };
            site.contact(&campaign, &contact, &ForContacts::Attempt(attempt));
        }
    }
}

/// A dial that was over before anybody was told that it had begun.
pub(crate) fn over_at_once(
    site: &mut Site,
    call_id: &str,
    (campaign, contact): (&str, &str),
    number: &str,
    at: Micros,
) {
    let number = CallingNumber(number.to_owned());
    let (of, named) = (Some(campaign.to_owned()), Some(contact.to_owned()));
    let call = Call { campaign: of, contact: named, started_at: at, ..call(call_id, at, number.clone(), true, None) };
    site.number(&number.0, &ForNumbers::Call(call));
    let attempt = Attempt {
        call_id: call_id.to_owned(),
        version: 2,
        withdrawn: false,
        live: true,
        campaign: campaign.to_owned(),
        contact: contact.to_owned(),
        number: Some(number),
        status: Status::Busy,
        cause: Some(17),
        reached: false,
        dropped: false,
        short: false,
        dialled: true,
        started_at: at,
        ended_at: at,
    };
    site.contact(campaign, contact, &ForContacts::Attempt(attempt));
}

fn call(call_id: &str, at: Micros, number: CallingNumber, counts: bool, reached: Option<Elsewhere>) -> Call {
    Call {
        call_id: call_id.to_owned(),
        version: 2,
        withdrawn: false,
        live: true,
        number,
        counts,
        reached,
        campaign: None,
        contact: None,
        started_at: at + -30_000_000,
        ended_at: at,
    }
}

/// `06-01 09:00:00` of 2026, UTC.
pub(crate) fn moment(text: &str) -> Micros {
    let civil: DateTime = format!("2026-{}", text.replace(' ', "T")).parse().unwrap();
    Micros(civil.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond())
}

pub(crate) fn short(at: Micros) -> String {
    Timestamp::from_microsecond(at.0).unwrap().strftime("%m-%d %H:%M:%S").to_string()
}

/// The dialer works through lists itself.
pub(crate) const fn by_dialer(rules: &mut CampaignRules) {
    rules.first_dial = FirstDial::Dialer;
}
