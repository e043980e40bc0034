//! The verdict on a contact: the first of these that holds, from all that is known of it. Pure; the story of a decision.
//!
//! Whether it is over (the campaign's end, reached, retargeted), whether it may be called at all (numbers, do-not-call, held),
//! whether something was promised, what the last result and the caps say, and then when: after the delay, in a window.

use calltide_schemas::Micros;
use calltide_schemas::recycling::CallingNumber;
use calltide_schemas::recycling::rules::{
    CampaignState, Elsewhere, FirstDial, NextNumber, ResultMatch, ResultRule, Target,
};
use calltide_schemas::status::{Class, Status};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::contact::{Contact, Kind, Line, Try, Where};
use super::rulebook::Book;
use super::zones::{Atlas, Zones};

/// The rule of promised calls.
pub(super) const CALLBACK: &str = "callback";

/// A decision, with what it was decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) kind: Kind,
    pub(super) due: Option<Due>,
    pub(super) rule: String,
    pub(super) reason: String,
    pub(super) to: Option<Target>,
    /// A window was missed: not before this, whatever is decided later.
    pub(super) not_before: Option<Micros>,
    pub(super) facts: Value,
}

/// When to call whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Micros,
    pub(super) valid_until: Micros,
    pub(super) line: usize,
    pub(super) agent: Option<String>,
    /// Most calls out to the number within 24 hours.
    pub(super) cap_24h: u32,
}

/// What a decision looks at.
pub(super) struct Case<'a> {
    pub(super) contact: &'a Contact,
    pub(super) campaign: &'a str,
    pub(super) book: &'a Book,
    /// Its list is held.
    pub(super) list_held: bool,
    /// The campaign's end was told.
    pub(super) has_ended: bool,
    /// When it is decided: nothing is due in a window that is over by then.
    pub(super) at: Micros,
}

impl Case<'_> {
    /// Decides.
    pub(super) fn decide(&self, atlas: &mut Atlas) -> Decision {
        let over = self.over().or_else(|| self.forbidden()).or_else(|| self.held());
        if let Some(decision) = over {
            return decision;
        }
        if let Some(promise) = &self.contact.promise {
            let line = promise.line.map(usize::from).filter(|line| self.usable(*line)).or_else(|| self.next_line());
            let agent = promise.agent.as_deref().map(str::to_owned).or_else(|| self.agent());
            let why = Why {
                rule: CALLBACK,
                from: promise.at,
                agent,
                text: "a call was promised".to_owned(),
                extra: json!({}),
            };
            return self.due(line, why, atlas);
        }
        if self.is_done() {
            return self.done();
        }
        self.retarget().unwrap_or_else(|| self.by_results(atlas))
    }

    fn verdict(&self, kind: Kind, rule: &str, reason: String) -> Decision {
        Decision { kind, due: None, rule: rule.to_owned(), reason, to: None, not_before: None, facts: self.facts() }
    }

    /// What every decision looks at.
    fn facts(&self) -> Value {
        let last = self.last();
        json!({
            "attempts": self.contact.dials(),
            "attempts_max": self.book.rules.attempts,
            "last_call_id": last.and(self.contact.last_call.as_deref()),
            "last_status": last.map(|tried| tried.status.name()),
            "last_cause": last.and_then(|tried| tried.cause),
            "last_ended_at": last.map(|tried| moment(tried.ended)),
        })
    }

    fn last(&self) -> Option<&Try> {
        self.contact.counted().next_back()
    }

    /// The campaign has ended, or the contact is off the list.
    fn over(&self) -> Option<Decision> {
        let rules = &self.book.rules;
        if rules.state == CampaignState::Ended {
            return Some(self.verdict(Kind::Closed, "campaign ended", "the campaign has ended".to_owned()));
        }
        if let Some(end) = rules.ends_at.filter(|end| self.has_ended || *end <= self.at) {
            let reason = format!("the campaign ended at {}", moment(end));
            return Some(self.verdict(Kind::Closed, "campaign ended", reason));
        }
        (self.contact.standing == Where::Removed)
            .then(|| self.verdict(Kind::Closed, "removed", "it was taken off the list".to_owned()))
    }

    /// No number may be called, or none exists. What is done stays done.
    fn forbidden(&self) -> Option<Decision> {
        if self.is_done() && self.contact.promise.is_none() {
            return None;
        }
        let lines = &self.contact.lines;
        if lines.is_empty() {
            return Some(self.verdict(Kind::Invalid, "no number", "no number of it is known".to_owned()));
        }
        if let Some(told) = self.last().filter(|tried| tried.status == Status::DoNotCall) {
            let reason = format!("the dialer or the dialplan forbade the dial of {}", moment(told.started));
            return Some(self.verdict(Kind::Suppressed, "do not call", reason));
        }
        if self.next_line().is_some() {
            return None;
        }
        let suppressed = lines.iter().enumerate().filter(|(at, line)| !self.is_dead(*at) && !line.replaced);
        let mut because: Vec<&str> = suppressed.filter_map(|(_, line)| line.suppressed.as_deref()).collect();
        if because.is_empty() {
            let times = self.book.rules.invalid_after;
            let reason = format!("each of its numbers was called {times} times and does not exist");
            return Some(self.verdict(Kind::Invalid, "invalid number", reason));
        }
        because.dedup();
        Some(self.verdict(Kind::Suppressed, "do not call", because.join("; ")))
    }

    fn held(&self) -> Option<Decision> {
        let reason = if self.book.rules.state == CampaignState::Paused {
            "the campaign is paused"
        } else if self.contact.standing == Where::Held {
            "the contact is held"
        } else if self.list_held {
            "its list is held"
        } else {
            return None;
        };
        let is_over = self.is_done() && self.contact.promise.is_none();
        (!is_over).then(|| self.verdict(Kind::Held, "held", reason.to_owned()))
    }

    fn reached_elsewhere(&self) -> bool {
        let counts = |by: Elsewhere| self.book.rules.reached_by.contains(&by);
        let in_round = |at: Micros| self.contact.round.is_none_or(|round| at >= round);
        self.contact.reached.as_ref().is_some_and(|it| counts(it.by) && in_round(it.ended))
    }

    fn is_done(&self) -> bool {
        let unnamed = |tried: &Try| self.rule_of(tried).is_none();
        // A short talk is one unless a rule says otherwise.
        let reached = self.contact.counted().any(|tried| tried.reached() && (!tried.short() || unnamed(tried)));
        let served = self.last().is_some_and(|tried| tried.status.class() == Class::Connected && unnamed(tried));
        reached || served || self.reached_elsewhere()
    }

    fn done(&self) -> Decision {
        if let Some(it) = self.contact.reached.as_ref().filter(|_| self.reached_elsewhere()) {
            let recovered = self.contact.about().lost_call.is_some();
            let how = match it.by {
                Elsewhere::Inbound => "they called us",
                Elsewhere::Manual => "they were called by hand",
                Elsewhere::Campaign => "another campaign reached them",
                Elsewhere::Person => "the same person was reached as another contact",
            };
            let reason = format!("{how}: call {}, ended at {}", it.call_id, moment(it.ended));
            return self.verdict(Kind::Done, if recovered { "recovered" } else { "reached elsewhere" }, reason);
        }
        match self.contact.counted().rev().find(|tried| tried.reached()) {
            Some(tried) => {
                let reason = format!("an agent spoke with them in the attempt of {}", moment(tried.started));
                self.verdict(Kind::Done, "reached", reason)
            }
            None => self.verdict(
                Kind::Done,
                "connected without an agent",
                "the last attempt was answered, and no rule says that such a contact is called again".to_owned(),
            ),
        }
    }

    /// A number that proved not to exist.
    fn is_dead(&self, line: usize) -> bool {
        let of_line = |tried: &&Try| tried.line.map(usize::from) == Some(line);
        let invalid = self.contact.tries.iter().filter(of_line).filter(|t| t.status == Status::InvalidNumber);
        invalid.count() >= self.book.rules.invalid_after as usize
    }

    fn usable(&self, line: usize) -> bool {
        self.contact.lines.get(line).is_some_and(|it| it.suppressed.is_none() && !it.replaced) && !self.is_dead(line)
    }

    /// The number to dial next.
    fn next_line(&self) -> Option<usize> {
        let count = self.contact.lines.len();
        let last = self.contact.tries.last().and_then(|tried| tried.line).map(usize::from);
        let first = match (last, self.book.rules.next_number) {
            (None, _) => 0,
            (Some(last), NextNumber::Rotate) => last + 1,
            (Some(last), NextNumber::Same) => last,
        };
        (first..first + count).map(|line| line % count).find(|line| self.usable(*line))
    }

    fn agent(&self) -> Option<String> {
        self.contact.about().agent.map(String::from)
    }

    /// The rule that names an attempt's result.
    fn rule_of(&self, tried: &Try) -> Option<&ResultRule> {
        let named = |rule: &&ResultRule| rule.results.iter().any(|result| tried.is(result));
        self.book.rules.results.iter().find(named)
    }

    /// After so many such results in a row it goes on elsewhere.
    fn retarget(&self) -> Option<Decision> {
        for rule in &self.book.rules.retargets {
            let named = |tried: &&Try| match rule.results.as_slice() {
                [] => tried.status.class() == Class::Unanswered,
                named => named.iter().any(|result: &ResultMatch| tried.is(result)),
            };
            let run = self.contact.counted().rev().take_while(named).count();
            if run == 0 || run < rule.after as usize {
                continue;
            }
            let (word, name) = match &rule.to {
                Target::Campaign(name) => ("campaign", name),
                Target::Queue(name) => ("queue", name),
                Target::Agent(name) => ("agent", name),
            };
            if word == "campaign" && (name == self.campaign || self.contact.about().from_campaigns.contains(name)) {
                let reason = format!("it would go on in campaign {name}, which it has been in");
                return Some(self.verdict(Kind::Exhausted, &rule.name, reason));
            }
            let reason = format!("after {run} such results in a row it goes on with {word} {name}");
            return Some(Decision { to: Some(rule.to.clone()), ..self.verdict(Kind::Retarget, &rule.name, reason) });
        }
        None
    }

    /// What the last result and the caps say.
    fn by_results(&self, atlas: &mut Atlas) -> Decision {
        let rules = &self.book.rules;
        let Some(last) = self.last() else { return self.first_dial(atlas) };
        if self.contact.dials() >= rules.attempts {
            let reason = format!("{} of {} attempts were made", self.contact.dials(), rules.attempts);
            return self.verdict(Kind::Exhausted, "attempts of the campaign", reason);
        }
        let result = if last.dropped() { "dropped" } else { last.status.name() };
        let Some(rule) = self.rule_of(last) else {
            return self.verdict(Kind::Exhausted, "no rule", format!("no rule says what follows `{result}`"));
        };
        let same = |tried: &&Try| self.rule_of(tried).is_some_and(|other| std::ptr::eq(other, rule));
        let nth = self.contact.counted().filter(same).count();
        if rule.attempts.is_some_and(|most| nth >= most as usize) {
            let reason = format!("{nth} attempts ended with {}, which is the most", rule.name);
            return self.verdict(Kind::Exhausted, &rule.name, reason);
        }
        let delay_s = rule.delays_s.get(nth - 1).or(rule.delays_s.last()).copied().unwrap_or(0);
        let from = last.ended + micros(delay_s);
        let text = format!("{result}, {nth}. of {}: the delay is {}", most(rule.attempts), span(delay_s));
        let extra = json!({ "rule_attempts": nth, "rule_attempts_max": rule.attempts, "delay_s": delay_s });
        self.due(self.next_line(), Why { rule: &rule.name, from, agent: self.agent(), text, extra }, atlas)
    }

    fn first_dial(&self, atlas: &mut Atlas) -> Decision {
        if self.book.rules.first_dial == FirstDial::Dialer {
            let reason = "it was never dialled, and the dialer works through the list itself".to_owned();
            return self.verdict(Kind::Held, "first dial", reason);
        }
        let from = self.contact.round.or(self.contact.loaded).unwrap_or(self.contact.first_seen);
        let text = "it was not dialled yet".to_owned();
        self.due(self.next_line(), Why { rule: "first dial", from, agent: self.agent(), text, extra: json!({}) }, atlas)
    }

    /// To be called: not before the wait is over, in the next window.
    fn due(&self, line: Option<usize>, why: Why<'_>, atlas: &mut Atlas) -> Decision {
        let Some((place, line)) = line.and_then(|at| Some((at, self.contact.lines.get(at)?))) else {
            return self.verdict(Kind::Invalid, "no number", "no number of it can be dialled".to_owned());
        };
        let zones = self.zones(line, atlas);
        let locked_out = self.locked_out().filter(|until| why.rule != CALLBACK && *until > why.from);
        let from = why.from.max(locked_out.unwrap_or(why.from));
        let capped = line.capped_until.filter(|until| *until > from);
        let ready = from.max(capped.unwrap_or(from)).max(self.contact.not_before.unwrap_or(from));
        let valid = |from: Micros| self.book.valid_until(from, &zones);
        let open = self.book.windows.next_open(ready, &zones);
        // A window that is over by now is of no use; the next one is.
        let missed = open.is_some_and(|open| valid(open) <= self.at);
        let open = open.filter(|_| !missed).or_else(|| self.book.windows.next_open(self.at.max(ready), &zones));
        let Some(at) = open else {
            let reason = format!("{}, but no calling window opens within 400 days in {}", why.text, named(&zones));
            return self.verdict(Kind::Held, "calling windows", reason);
        };
        let mut reason = format!("{}; due from {}", why.text, moment(why.from));
        if let Some(until) = locked_out {
            reason += &format!("; after a dropped call nobody calls until {}", moment(until));
        }
        let rule = match capped {
            Some(until) => {
                reason +=
                    &format!("; the number was called as often as is allowed in 24 hours until {}", moment(until));
                "calls in 24 hours"
            }
            None => why.rule,
        };
        if at > ready {
            reason += &format!("; the next calling window in {} opens at {}", named(&zones), moment(at));
        }
        let mut facts = self.facts();
        for (name, value) in why.extra.as_object().into_iter().flatten() {
            facts[name] = value.clone();
        }
        facts["zones"] = json!(zones.names());
        facts["number"] = json!(line.number);
        let due =
            Due { at, valid_until: valid(at), line: place, agent: why.agent, cap_24h: self.book.rules.attempts_24h };
        Decision {
            kind: Kind::Retry,
            due: Some(due),
            rule: rule.to_owned(),
            reason,
            to: None,
            not_before: missed.then_some(at),
            facts,
        }
    }

    /// Until when a dropped call forbids to call.
    fn locked_out(&self) -> Option<Micros> {
        let lockout = micros(self.book.rules.drop_lockout_s);
        self.contact.tries.iter().filter(|tried| tried.dropped()).map(|tried| tried.ended + lockout).max()
    }

    /// Where the contact may be.
    fn zones(&self, line: &Line, atlas: &mut Atlas) -> std::sync::Arc<Zones> {
        let about = self.contact.about();
        let given = about.tz.as_deref().or(self.book.rules.tz.as_deref());
        let named = given.and_then(|name| atlas.named(name));
        named.or_else(|| by_number(&line.number, atlas)).unwrap_or_else(|| atlas.utc())
    }
}

fn by_number(number: &CallingNumber, atlas: &mut Atlas) -> Option<std::sync::Arc<Zones>> {
    number.0.starts_with('+').then(|| atlas.of_number(&number.0)).flatten()
}

/// Why somebody is to be called, and from when on.
struct Why<'a> {
    rule: &'a str,
    from: Micros,
    agent: Option<String>,
    text: String,
    extra: Value,
}

/// Seconds of a rule in microseconds.
fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

/// Zones as people read them: of many, how many there are.
fn named(zones: &Zones) -> String {
    match zones.iter().count() {
        0..=3 => zones.names().to_owned(),
        many => format!("all {many} zones that the number may be in"),
    }
}

fn most(attempts: Option<u32>) -> String {
    attempts.map_or_else(|| "any number".to_owned(), |most| most.to_string())
}

/// A moment as people read it.
pub(super) fn moment(at: Micros) -> String {
    Timestamp::from_microsecond(at.0)
        .map_or_else(|_| at.0.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A time span as people read it, such as `1h 30m`.
fn span(seconds: u64) -> String {
    let parts = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut left = seconds;
    let mut text = Vec::new();
    for (unit, length) in parts {
        let count = left / length;
        left %= length;
        if count > 0 {
            text.push(format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text.join(" ") }
}
