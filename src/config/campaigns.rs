//! `[[campaign]]` and `[recycling]`: which calls belong to a campaign, and when its contacts may be called again.
//!
//! `[recycling]` holds for every campaign; what a campaign says in `[campaign.rules]` goes before it. A profile is where rules
//! begin: a campaign that names its own has nothing of `[recycling]`. What the rules mean is decided by the folds of recycling.

use std::collections::BTreeMap;

use calltide_processor::calls::CampaignMatch;
use calltide_processor::recycling::{Profile, VICIDIAL_DELAY_MIN_S, is_zone};
use calltide_query_api::reports::instant;
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{
    CampaignRules, CampaignState, Elsewhere, FirstDial, NextNumber, ResultMatch, ResultRule, RetargetRule, SiteRules,
    Target, Window,
};
use calltide_schemas::status::Status;
use jiff::civil::Date;
use serde::Deserialize;

use super::units::{Pattern, Span};

/// Days of the week as they are written, from Monday on.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A campaign.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    pub(super) id: String,
    #[serde(default)]
    queues: Vec<String>,
    #[serde(default)]
    dids: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
    action_ids: Option<Pattern>,
    /// The campaign that calls back whoever was lost here.
    recall: Option<String>,
    #[serde(default)]
    rules: Rules,
}

/// See README.md for each key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rules {
    profile: Option<ProfileWord>,
    state: Option<CampaignState>,
    until: Option<Moment>,
    attempts: Option<AtLeastOne>,
    attempts_24h: Option<AtLeastOne>,
    invalid_after: Option<AtLeastOne>,
    first_dial: Option<FirstDial>,
    next_number: Option<NextNumber>,
    windows: Option<Vec<Hours>>,
    holidays: Option<Vec<Holiday>>,
    tz: Option<Zone>,
    drop_lockout: Option<Span>,
    valid: Option<Validity>,
    reached_by: Option<Vec<Elsewhere>>,
    results: Vec<Results>,
    retarget: Option<Vec<Retarget>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProfileWord {
    Calltide,
    Vicidial,
    Issabel,
}

/// `{ days = "mon-fri", from = "09:00", to = "20:00" }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hours {
    days: Days,
    from: TimeOfDay,
    to: TimeOfDay,
}

/// `{ results = ["busy"], delays = ["5m", "30m"], attempts = 4 }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Results {
    name: Option<String>,
    results: Vec<ResultWord>,
    delays: Delays,
    attempts: Option<AtLeastOne>,
}

/// `{ after = 3, results = ["no_answer"], campaign = "mail" }`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RetargetText")]
struct Retarget(RetargetRule);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetargetText {
    name: Option<String>,
    after: AtLeastOne,
    #[serde(default)]
    results: Vec<ResultWord>,
    campaign: Option<String>,
    queue: Option<String>,
    agent: Option<String>,
}

macro_rules! read_from {
    ($from:ty => $($word:ident($inner:ty) by $read:expr;)+) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        struct $word($inner);

        impl TryFrom<$from> for $word {
            type Error = String;

            fn try_from(text: $from) -> Result<Self, String> {
                let read: fn(&str) -> Result<$inner, String> = $read;
                read(&text).map(Self)
            }
        }
    )+};
}

read_from!(String =>
    Days(Vec<u8>) by days;
    TimeOfDay(u16) by time_of_day;
    Holiday(String) by holiday;
    Zone(String) by zone;
    Validity(u64) by validity;
    Moment(Micros) by |text| instant(text, "UTC").map_err(|error| error.to_string());
    ResultWord(ResultMatch) by result_word;
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
struct AtLeastOne(u32);

impl TryFrom<u32> for AtLeastOne {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        if count == 0 { Err("it must be 1 at least".to_owned()) } else { Ok(Self(count)) }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Span>")]
struct Delays(Vec<u64>);

impl TryFrom<Vec<Span>> for Delays {
    type Error = String;

    fn try_from(spans: Vec<Span>) -> Result<Self, String> {
        if spans.is_empty() {
            return Err("there must be one delay at least, such as \"0s\"".to_owned());
        }
        Ok(Self(spans.into_iter().map(|span| span.duration().as_secs()).collect()))
    }
}

impl TryFrom<RetargetText> for Retarget {
    type Error = String;

    fn try_from(text: RetargetText) -> Result<Self, String> {
        let to = match (text.campaign, text.queue, text.agent) {
            (Some(campaign), None, None) => Target::Campaign(campaign),
            (None, Some(queue), None) => Target::Queue(queue),
            (None, None, Some(agent)) => Target::Agent(agent),
            _ => return Err("it needs one of `campaign`, `queue` and `agent`".to_owned()),
        };
        let results = text.results.into_iter().map(|word| word.0).collect();
        let name = text.name.unwrap_or_else(|| "retarget".to_owned());
        Ok(Self(RetargetRule { name, after: text.after.0, results, to }))
    }
}

/// `mon-fri`, `sat,sun`, `daily`.
fn days(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` are no days such as mon-fri, sat or sat,sun; `daily` is every day");
    if text == "daily" {
        return Ok((1..=7).collect());
    }
    let day = |word: &str| DAYS.iter().position(|day| *day == word.trim()).ok_or_else(wrong);
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // Saturday to Monday goes over the week's end.
        let length = (last + 7 - first) % 7;
        all.extend((first..=first + length).map(|day| u8::try_from(day % 7 + 1).unwrap_or(1)));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// `09:00`; `24:00` is the end of the day.
fn time_of_day(text: &str) -> Result<u16, String> {
    let read =
        text.split_once(':').and_then(|(hour, minute)| Some((hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?)));
    match read {
        Some((hour, minute)) if (hour < 24 && minute < 60) || (hour, minute) == (24, 0) => Ok(hour * 60 + minute),
        Some(_) | None => Err(format!("`{text}` is no time of day such as 09:00 or 24:00")),
    }
}

/// Dialers look back no further than a day.
fn validity(text: &str) -> Result<u64, String> {
    let seconds = Span::try_from(text.to_owned())?.duration().as_secs();
    if (60..=86_400).contains(&seconds) { Ok(seconds) } else { Err(format!("`{text}` is not between 1m and 24h")) }
}

fn holiday(text: &str) -> Result<String, String> {
    let date = text.parse::<Date>();
    date.map(|date| date.to_string()).map_err(|_| format!("`{text}` is no date such as 2026-12-25"))
}

fn zone(text: &str) -> Result<String, String> {
    if is_zone(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no time zone such as Europe/Madrid or UTC"))
    }
}

/// `busy`, `dialing_error:38`, `dropped`.
fn result_word(text: &str) -> Result<ResultMatch, String> {
    let (result, cause) = match text.split_once(':') {
        Some((result, cause)) => {
            let cause = cause.parse().map_err(|_| format!("`{cause}` in `{text}` is no Q.850 cause such as 17"))?;
            (result, Some(cause))
        }
        None => (text, None),
    };
    let known = Status::ALL.map(Status::name);
    if !known.contains(&result) && !["dropped", "short"].contains(&result) {
        return Err(format!("`{result}` is no result: known are {}, dropped and short", known.join(", ")));
    }
    Ok(ResultMatch { result: result.to_owned(), cause })
}

impl Rules {
    /// These rules over those that hold without them.
    fn over(&self, base: &CampaignRules, inherited: Option<Profile>) -> Result<CampaignRules, String> {
        let mut rules = self.profile().map_or_else(|| base.clone(), Profile::rules);
        set(&mut rules.state, self.state);
        set(&mut rules.ends_at, self.until.clone().map(|until| Some(until.0)));
        set(&mut rules.attempts, self.attempts.map(|count| count.0));
        set(&mut rules.attempts_24h, self.attempts_24h.map(|count| count.0));
        set(&mut rules.invalid_after, self.invalid_after.map(|count| count.0));
        set(&mut rules.first_dial, self.first_dial);
        set(&mut rules.next_number, self.next_number);
        set(&mut rules.windows, self.windows.as_ref().map(|hours| hours.iter().map(Hours::window).collect()));
        let dates = self.holidays.as_ref().map(|dates| dates.iter().map(|date| date.0.clone()).collect());
        set(&mut rules.holidays, dates);
        set(&mut rules.tz, self.tz.clone().map(|tz| Some(tz.0)));
        set(&mut rules.drop_lockout_s, self.drop_lockout.map(|span| span.duration().as_secs()));
        set(&mut rules.valid_s, self.valid.as_ref().map(|valid| valid.0));
        set(&mut rules.reached_by, self.reached_by.clone());
        set(&mut rules.retargets, self.retarget.as_ref().map(|list| list.iter().map(|one| one.0.clone()).collect()));
        let mut results: Vec<ResultRule> = self.results.iter().map(Results::rule).collect();
        if self.profile().or(inherited) == Some(Profile::Vicidial)
            && let Some(rule) =
                results.iter().find(|rule| rule.delays_s.iter().any(|delay| *delay < VICIDIAL_DELAY_MIN_S))
        {
            return Err(format!("results `{}`: VICIdial waits for {VICIDIAL_DELAY_MIN_S} s at least", rule.name));
        }
        // What is said here goes before what is usual.
        results.append(&mut rules.results);
        rules.results = results;
        Ok(rules)
    }

    fn profile(&self) -> Option<Profile> {
        self.profile.map(|word| match word {
            ProfileWord::Calltide => Profile::Calltide,
            ProfileWord::Vicidial => Profile::Vicidial,
            ProfileWord::Issabel => Profile::Issabel,
        })
    }
}

impl Hours {
    fn window(&self) -> Window {
        Window { days: self.days.0.clone(), from_minute: self.from.0, to_minute: self.to.0 }
    }
}

impl Results {
    fn rule(&self) -> ResultRule {
        let results: Vec<ResultMatch> = self.results.iter().map(|word| word.0.clone()).collect();
        let usual = || results.first().map_or_else(String::new, |first| first.result.clone());
        let name = self.name.clone().unwrap_or_else(usual);
        ResultRule { name, results, delays_s: self.delays.0.clone(), attempts: self.attempts.map(|count| count.0) }
    }
}

/// The rules of a site, given at that moment by that person or process.
pub(super) fn site_rules(usual: &Rules, campaigns: &[Campaign], at: Micros, who: &str) -> Result<SiteRules, String> {
    let default = usual.over(&Profile::default().rules(), None).map_err(|error| format!("[recycling]: {error}"))?;
    let of = |campaign: &Campaign| match campaign.rules.over(&default, usual.profile()) {
        Ok(rules) => Ok((campaign.id.clone(), rules)),
        Err(error) => Err(format!("campaign {}: {error}", campaign.id)),
    };
    let campaigns = campaigns.iter().map(of).collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(SiteRules { at, who: who.to_owned(), campaigns, default })
}

impl Campaign {
    /// Which calls belong to it.
    pub(super) fn matches(&self) -> CampaignMatch {
        CampaignMatch {
            campaign: self.id.clone(),
            queues: self.queues.clone(),
            dids: self.dids.clone(),
            accounts: self.accounts.clone(),
            action_ids: self.action_ids.clone().map(|pattern| pattern.0),
        }
    }

    /// The campaign that calls back whoever was lost here.
    pub(super) fn recall(&self) -> Option<(String, String)> {
        self.recall.clone().map(|recall| (self.id.clone(), recall))
    }

    /// Other campaigns that its calls go on in.
    pub(super) fn goes_on_in(&self) -> impl Iterator<Item = &str> {
        let retargets = self.rules.retarget.iter().flatten();
        let named =
            retargets.filter_map(|it| if let Target::Campaign(to) = &it.0.to { Some(to.as_str()) } else { None });
        named.chain(self.recall.as_deref())
    }
}

fn set<T>(setting: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *setting = said;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn days_and_times_are_written_as_people_do() {
        for (text, expected) in [
            ("mon-fri", Ok(vec![1, 2, 3, 4, 5])),
            ("sat, sun", Ok(vec![6, 7])),
            ("sat-mon,wed", Ok(vec![1, 3, 6, 7])),
            ("daily", Ok((1..=7).collect())),
            ("Monday", Err(())),
        ] {
            assert_eq!(days(text).map_err(drop), expected, "{text}");
        }
        for (text, expected) in
            [("09:00", Some(540)), ("24:00", Some(1440)), ("24:01", None), ("9", None), ("23:60", None)]
        {
            assert_eq!(time_of_day(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_campaign_goes_before_the_usual_and_both_before_the_profile() {
        let usual: Rules = toml::from_str("attempts = 4\nattempts_24h = 2\n").unwrap();
        let campaign: Campaign = toml::from_str(
            "id = \"autumn\"\n[rules]\nattempts = 6\n[[rules.results]]\nresults = [\"busy\"]\ndelays = [\"1m\"]\n",
        )
        .unwrap();
        let rules = site_rules(&usual, &[campaign], Micros(1), "me").unwrap();
        let autumn = &rules.campaigns["autumn"];
        assert_eq!((autumn.attempts, autumn.attempts_24h, rules.default.attempts), (6, 2, 4));
        assert_eq!(autumn.results[0].delays_s, [60], "what is said here is looked at first");
        assert_eq!(autumn.results.len(), rules.default.results.len() + 1);
        assert_eq!(rules.default.windows, Profile::Calltide.rules().windows);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let read = |text: &str| toml::from_str::<Rules>(text).map_err(|error| error.to_string());
        for (text, says) in [
            ("attempts = 0", "1 at least"),
            ("holidays = [\"25.12.2026\"]", "`25.12.2026` is no date"),
            ("tz = \"Europe/Nowhere\"", "is no time zone"),
            ("windows = [{ days = \"mon\", from = \"9\", to = \"20:00\" }]", "`9` is no time of day"),
            ("results = [{ results = [\"bussy\"], delays = [\"5m\"] }]", "`bussy` is no result"),
            ("results = [{ results = [\"busy:x\"], delays = [\"5m\"] }]", "is no Q.850 cause"),
            ("results = [{ results = [\"busy\"], delays = [] }]", "one delay at least"),
            ("retarget = [{ after = 3 }]", "needs one of `campaign`, `queue` and `agent`"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
        let vicidial = read("profile = \"vicidial\"\nresults = [{ results = [\"busy\"], delays = [\"1m\"] }]").unwrap();
        assert!(vicidial.over(&Profile::default().rules(), None).unwrap_err().contains("120 s at least"));
    }
}
