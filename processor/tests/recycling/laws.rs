//! What must hold whatever happens: generated histories of lists, dials, promises, do-not-call entries and clocks that jump.
//!
//! Each due message is judged at the moment of its publication by what the history said so far, with arithmetic of its own.

use std::collections::{BTreeMap, BTreeSet};

use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{CampaignRules, Elsewhere, SiteRules, Window};
use calltide_schemas::recycling::{
    Attempt, Call, Callback, CallingNumber, Dial, DoNotCall, Due, ForContacts, ForNumbers, Listing, Loaded, Standing,
    StandingChange,
};
use calltide_schemas::status::Status;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::site::{Site, Way};
use super::story::{moment, rules, short, site};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
const CAMPAIGNS: [&str; 2] = ["autumn", "winter"];
const NUMBERS: [&str; 4] = ["+34911000001", "+34911000002", "+34922000003", "+34922000004"];
/// Of everybody, daily: nine to seventeen in UTC.
const OPEN: (i64, i64) = (9 * 60, 17 * 60);

fn generated_rules(seed: u8) -> SiteRules {
    let of = |cap: u32, attempts: u32| {
        rules(|rules: &mut CampaignRules| {
            rules.windows = vec![Window { days: (1..=7).collect(), from_minute: 540, to_minute: 1020 }];
            rules.tz = Some("UTC".to_owned());
            rules.attempts_24h = cap;
            rules.attempts = attempts;
        })
    };
    site(of(1 + u32::from(seed % 3), 4 + u32::from(seed % 5)), of(2, 5))
}

/// What the history said so far.
struct World {
    site: Site,
    rules: SiteRules,
    calls: u32,
    /// Under way: call, campaign and contact, number, beginning.
    open: Vec<Dial>,
    /// Number and beginning of each call out.
    dialled: Vec<(String, Micros)>,
    /// Entries that hold, as they were written.
    forbidden: BTreeSet<String>,
    held: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Told and neither taken back nor dialled: by contact.
    told: BTreeMap<String, Due>,
    judged: usize,
}

impl World {
    fn new(rules: SiteRules, way: Way) -> Self {
        let mut site = Site::new(way);
        site.rules(&rules);
        site.jump(moment("06-01 08:30:00"));
        let (open, dialled, forbidden) = (Vec::new(), Vec::new(), BTreeSet::new());
        let (held, removed, told) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { site, rules, calls: 0, open, dialled, forbidden, held, removed, told, judged: 0 }
    }

    fn now(&self) -> Micros {
        self.site.now
    }

    /// Does one thing, lets some time pass, and judges what was told meanwhile.
    fn step(&mut self, (what, who, pause): (u8, u8, u8)) {
        let at = self.now();
        self.act(what, who, at);
        self.judge();
        if pause > 250 {
            // Nothing worked for a while.
            self.site.jump(at + 5 * 60 * MINUTE);
        } else {
            let until = at + [1, 5, 60, 300, 1800, 7200][usize::from(pause % 6)] * 1_000_000;
            while self.now() < until {
                let next = Micros(until.0.min(self.now().0 + 20_000_000));
                self.site.until_by(next, 20);
                self.judge();
            }
        }
        self.judge();
    }

    fn act(&mut self, what: u8, who: u8, at: Micros) {
        let (campaign, contact) = (CAMPAIGNS[usize::from(who % 2)].to_owned(), format!("c{}", who / 2 % 5));
        let number = NUMBERS[usize::from(who / 16 % 4)];
        match what % 16 {
            0..=2 => {
                self.removed.remove(&format!("{campaign}/{contact}"));
                let (numbers, reset) = (vec![CallingNumber(number.to_owned())], what > 200);
                let (of, name) = (campaign.clone(), contact.clone());
                let said = Loaded { at, live: true, campaign, contact, numbers, reset, ..Loaded::default() };
                self.site.contact(&of, &name, &ForContacts::Loaded(said));
            }
            3..=6 => self.dial_a_due(),
            7..=9 => self.end_a_call(who),
            10 => self.dial(None, number),
            11 => self.list(number, if what > 127 { Listing::Add } else { Listing::Remove }, who),
            12 => self.stand(campaign, contact, usize::from(what / 16 % 3)),
            13 => {
                let callback_at = (what > 60).then(|| at + i64::from(what) * 10 * MINUTE);
                let (of, name, who) = (campaign.clone(), contact.clone(), "t".to_owned());
                let said = Callback { given_at: at, who, campaign, contact, callback_at, agent: None, number: None };
                self.site.contact(&of, &name, &ForContacts::Callback(said));
            }
            14 => {
                let reached = Call { reached: Some(Elsewhere::Inbound), counts: false, ..self.call("i", number, at) };
                self.site.number(number, &ForNumbers::Call(reached));
            }
            _ => {
                if let Some(autumn) = self.rules.campaigns.get_mut("autumn") {
                    autumn.attempts_24h = 1 + u32::from(what / 16 % 4);
                }
                self.rules.at = at;
                self.site.rules(&self.rules.clone());
            }
        }
    }

    /// Holds, releases or removes a contact of whom something is known.
    fn stand(&mut self, campaign: String, contact: String, change: usize) {
        let key = format!("{campaign}/{contact}");
        if self.site.contact_row(&key).is_none() {
            return;
        }
        let change = [StandingChange::Hold, StandingChange::Release, StandingChange::Remove][change];
        self.held.remove(&key);
        self.removed.remove(&key);
        match change {
            StandingChange::Hold => drop(self.held.insert(key)),
            StandingChange::Release => {}
            StandingChange::Remove => drop(self.removed.insert(key)),
        }
        let (at, who, of, name) = (self.now(), "t".to_owned(), campaign.clone(), contact.clone());
        let said = Standing { at, who, campaign, list: None, contact: Some(contact), change };
        self.site.contact(&of, &name, &ForContacts::Standing(said));
    }

    fn call(&mut self, kind: &str, number: &str, at: Micros) -> Call {
        self.calls += 1;
        Call {
            call_id: format!("{kind}{}", self.calls),
            version: 2,
            withdrawn: false,
            live: true,
            number: CallingNumber(number.to_owned()),
            counts: true,
            reached: None,
            campaign: None,
            contact: None,
            started_at: at,
            ended_at: at,
        }
    }

    fn dial_a_due(&mut self) {
        if let Some(due) = self.told.values().next().cloned() {
            self.dial(Some((due.campaign, due.contact)), &due.number.0);
        }
    }

    fn dial(&mut self, of: Option<(String, String)>, number: &str) {
        let at = self.now();
        self.calls += 1;
        let (campaign, contact) = of.unzip();
        let dial = Dial {
            at,
            call_id: format!("k{}", self.calls),
            campaign,
            contact,
            number: CallingNumber(number.to_owned()),
        };
        if let (Some(campaign), Some(contact)) = (&dial.campaign, &dial.contact) {
            self.told.remove(&format!("{campaign}/{contact}"));
            self.site.number(number, &ForNumbers::Dial(dial.clone()));
            self.site.contact(campaign, contact, &ForContacts::Dial(dial.clone()));
            self.dialled.push((number.to_owned(), at));
        }
        self.open.push(dial);
    }

    fn end_a_call(&mut self, who: u8) {
        if self.open.is_empty() {
            return;
        }
        let dial = self.open.remove(usize::from(who) % self.open.len());
        let at = self.now();
        let status = [Status::Busy, Status::NoAnswer, Status::InvalidNumber, Status::Answered, Status::Voicemail]
            [usize::from(who % 5)];
        let reached = status == Status::Answered;
        let (campaign, contact) = (dial.campaign.clone(), dial.contact.clone());
        let by = if contact.is_some() { Elsewhere::Campaign } else { Elsewhere::Manual };
        let said = Call {
            call_id: dial.call_id.clone(),
            reached: reached.then_some(by),
            campaign: campaign.clone(),
            contact: contact.clone(),
            started_at: dial.at,
            ..self.call("x", &dial.number.0, at)
        };
        self.site.number(&dial.number.0, &ForNumbers::Call(said));
        if let (Some(campaign), Some(contact)) = (&campaign, &contact) {
            let said = Attempt {
                call_id: dial.call_id.clone(),
                version: 2,
                withdrawn: false,
                live: true,
                campaign: campaign.clone(),
                contact: contact.clone(),
                number: Some(dial.number.clone()),
                status,
                cause: None,
                reached,
                dropped: false,
                short: false,
                dialled: true,
                started_at: dial.at,
                ended_at: at,
            };
            self.site.contact(campaign, contact, &ForContacts::Attempt(said));
        } else {
            self.dialled.push((dial.number.0.clone(), dial.at));
        }
    }

    fn list(&mut self, number: &str, listing: Listing, who: u8) {
        let number = if who > 127 { "+34922*" } else { number };
        match listing {
            Listing::Add => drop(self.forbidden.insert(number.to_owned())),
            Listing::Remove => drop(self.forbidden.remove(number)),
        }
        let said = DoNotCall {
            at: self.now(),
            who: "t".into(),
            number: CallingNumber(number.to_owned()),
            campaign: None,
            listing,
            reason: None,
        };
        self.site.number(number, &ForNumbers::DoNotCall(said));
    }

    /// Judges what was told since the last look.
    fn judge(&mut self) {
        for at in self.judged..self.site.dues.len() {
            let due = self.site.dues[at].clone();
            let key = format!("{}/{}", due.campaign, due.contact);
            if due.withdrawn {
                let told = self.told.remove(&key);
                assert_eq!(told.map(|it| it.verdict_id), Some(due.verdict_id), "taken back is what was told, once");
                continue;
            }
            self.judge_due(&key, &due);
            self.told.insert(key, due);
        }
        self.judged = self.site.dues.len();
    }

    fn judge_due(&self, key: &str, due: &Due) {
        let now = due.at;
        let told = format!("{} at {}", due.verdict_id, short(now));
        assert!(due.due_at <= now && now < due.valid_until, "{told}: not in its time");
        let minute = now.0.rem_euclid(DAY) / MINUTE;
        assert!((OPEN.0..OPEN.1).contains(&minute), "{told}: out of hours");
        assert!(due.valid_until.0.rem_euclid(DAY) <= OPEN.1 * MINUTE, "{told}: good beyond the hours");
        let number = due.number.0.as_str();
        let forbids =
            |entry: &String| entry.strip_suffix('*').map_or(entry == number, |prefix| number.starts_with(prefix));
        assert!(!self.forbidden.iter().any(forbids), "{told}: must not be called");
        assert!(!self.held.contains(key) && !self.removed.contains(key), "{told}: held or removed");
        assert!(!self.told.contains_key(key), "{told}: told twice");
        // Of a dial whose end is not told for a day nothing more is expected.
        let busy = |dial: &&Dial| dial.number == due.number && dial.contact.is_some() && dial.at.0 + DAY > now.0;
        assert!(!self.open.iter().any(|dial| busy(&dial)), "{told}: being dialled");
        let cap = self.rules.campaigns.get(&due.campaign).unwrap_or(&self.rules.default).attempts_24h;
        let recent = self.dialled.iter().filter(|(to, at)| to == number && at.0 > now.0 - DAY).count();
        let others = self.told.values().filter(|other| other.number == due.number).count();
        assert!(recent + others < cap as usize, "{told}: {recent} calls and {others} dues of {cap}");
    }

    /// What holds at the end: one verdict per contact, and what is told is what it says.
    fn judge_end(&self) {
        for (id, times) in &self.site.ids {
            assert!(*times == 1 || id.0.ends_with("leases"), "{id:?} was told {times} times");
        }
        let mut latest: BTreeMap<String, (i64, String)> = BTreeMap::new();
        for verdict in &self.site.verdicts {
            let (key, id) = (verdict["contact_key"].as_str().unwrap(), verdict["verdict_id"].as_str().unwrap());
            let nth = id.rsplit_once('/').unwrap().1.parse::<i64>().unwrap();
            let before = latest.insert(key.to_owned(), (nth, id.to_owned()));
            assert_eq!(nth, before.map_or(0, |it| it.0) + 1, "{id}: verdicts are numbered without holes");
        }
        for (key, due) in &self.told {
            let row = self.site.contact_row(key).unwrap();
            assert_eq!(row["verdict_id"], due.verdict_id.as_str(), "{key}: what dialers know is the latest verdict");
        }
        for (key, row) in &self.site.retry_later {
            let verdict = self.site.contact_row(key).unwrap()["verdict"].as_str().unwrap().to_owned();
            assert_eq!(row.is_some(), verdict == "retry", "{key}: {verdict}");
        }
    }
}

fn play(seed: u8, steps: &[(u8, u8, u8)], way: Way, dense: bool) -> World {
    let mut world = World::new(generated_rules(seed), way);
    world.site.dense = dense;
    steps.iter().for_each(|step| world.step(*step));
    world.judge_end();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_due_who_must_not_be_and_nothing_is_told_twice(seed in any::<u8>(), steps in vec(any::<(u8, u8, u8)>(), 1..60)) {
        // As it is told the time in production; judged as it goes.
        play(seed, &steps, Way::Straight, false);
        // When the time is told is a part of the history: to be compared, it must be the same.
        let straight = play(seed, &steps, Way::Straight, true);
        for way in [Way::Straight, Way::Restarted] {
            let again = play(seed, &steps, way, true);
            let told = straight.site.dues.iter().zip(&again.site.dues);
            let other = told.filter(|(one, other)| one != other).map(|(one, other)| format!("{one:?}\n{other:?}")).next();
            assert_eq!(other, None, "{way:?} it is the same");
            assert_eq!(straight.site.dues.len(), again.site.dues.len());
        }
    }
}
