//! Legs: each agent's or device's part in a call. Offered, answered or not and why, how long it talked.
//!
//! A leg's own cause says more than its dial's end; what only the queue knows of is a leg, too.

use std::collections::BTreeMap;

use calltide_schemas::agents::{Activity, Doing};
use calltide_schemas::{Micros, status::DialStatus};

use super::channel::Life;
use super::queueing::{Outcome, Visit};
use super::roles::{Cast, Company, Role};
use super::talking::{NOISE_US, Span, Talk};
use super::telling::Scope;
use super::timeline::Moment;
use crate::vocabulary::{Dialler, Uid, What};

/// One agent's part.
#[derive(Debug, Clone)]
pub(super) struct Leg<'a> {
    /// The leg's channel.
    pub(super) uid: &'a Uid,
    /// Its index among the group's channels, if more than a queue's log knows it.
    pub(super) index: Option<usize>,
    /// The agent as the queue names it, else the device.
    pub(super) agent: Option<String>,
    pub(super) device: Option<String>,
    pub(super) queue: Option<&'a str>,
    pub(super) offered: Micros,
    pub(super) answered: Option<Micros>,
    pub(super) ended: Micros,
    pub(super) talk_ms: i64,
    pub(super) hold_ms: i64,
    pub(super) outcome: &'static str,
    /// What the agent did, in order and without holes; the last of it goes on if it has no end.
    pub(super) activities: Vec<Activity>,
    /// This agent moved the call on.
    pub(super) transferred: bool,
}

/// What a queue called the channels it rang.
type Names<'a> = BTreeMap<&'a str, (&'a str, &'a str)>;

/// The legs of a call, in the order of their offers.
pub(super) fn legs<'a>(
    company: &Company<'a, '_>,
    cast: &Cast,
    talk: &Talk,
    visits: &[Visit<'a>],
    moments: &'a [Moment<'a>],
    scope: Scope,
) -> Vec<Leg<'a>> {
    let names = names(company, cast, moments);
    let customer_end = cast.customers.iter().map(|&i| company.lives[i].end).max().unwrap_or(Micros(i64::MAX));
    let mut legs: Vec<Leg<'a>> = cast
        .members
        .iter()
        .filter(|&&index| is_leg(company, cast, index))
        .map(|&index| leg(company, index, talk, &names, (visits, scope), customer_end))
        .collect();
    for visit in visits {
        legs.extend(out_of_sight(company, visit, &legs, scope));
    }
    legs.sort_by(|a, b| (a.offered, a.uid).cmp(&(b.offered, b.uid)));
    legs
}

fn is_leg(company: &Company<'_, '_>, cast: &Cast, index: usize) -> bool {
    let life = &company.lives[index];
    let device = matches!(company.roles[index], Role::Inside | Role::Outside) && !life.name.is_empty();
    let spy = life.ran("ChanSpy").is_some() || life.ran("ExtenSpy").is_some();
    device && !spy && !cast.customers.contains(&index)
}

fn leg<'a>(
    company: &Company<'a, '_>,
    index: usize,
    talk: &Talk,
    names: &Names<'a>,
    (visits, scope): (&[Visit<'a>], Scope),
    customer_end: Micros,
) -> Leg<'a> {
    let life = &company.lives[index];
    let name = name(company, index, names);
    let device = life.endpoint().to_owned();
    let by_queue = visits.iter().find(|v| v.leg == Some(life.uid) && v.outcome == Outcome::Answered);
    let offered = life.dials.first().map_or(life.created, |d| d.0);
    // The queue's log knows whole seconds only, which may be over before the offer.
    let answered = talk.first(index).or(by_queue.and_then(|v| v.left)).map(|at| at.max(offered));
    let moved_on = company.lives.iter().flat_map(|l| &l.transfers).filter(|t| t.by == Some(life.uid)).map(|t| t.at);
    let moved_on = moved_on.filter(|_| answered.is_some()).min();
    let ended = moved_on.unwrap_or(life.end).min(life.end).max(answered.unwrap_or(offered));
    let (talk_ms, hold_ms) = talk.part_ms(index, ended);
    let goes_on = scope == Scope::UnderWay && life.gone.is_none() && moved_on.is_none();
    let holds = answered.map(|answered| talk.holds_within((answered, ended))).unwrap_or_default();
    Leg {
        uid: life.uid,
        index: Some(index),
        agent: Some(name.map_or_else(|| device.clone(), |n| n.1.to_owned())),
        device: Some(device),
        queue: name.map(|n| n.0),
        offered,
        answered,
        ended,
        talk_ms,
        hold_ms,
        outcome: if answered.is_some() { "answered" } else { unanswered(life, customer_end) },
        activities: activities((offered, answered, ended), &holds, goes_on.then_some(ended)),
        transferred: moved_on.is_some(),
    }
}

/// Ringing, then talk with its holds; what ends at `open` goes on.
fn activities(
    (offered, answered, ended): (Micros, Option<Micros>, Micros),
    holds: &[Span],
    open: Option<Micros>,
) -> Vec<Activity> {
    let mut spans = vec![(Doing::Ringing, offered, answered.unwrap_or(ended))];
    if let Some(mut at) = answered {
        for &(from, to) in holds {
            spans.push((Doing::Talking, at, from));
            spans.push((Doing::Hold, from, to));
            at = to;
        }
        // After a hold, the moment in which channels leave is no talk.
        match spans.last_mut().filter(|last| last.0 == Doing::Hold && ended - at < NOISE_US) {
            Some(hold) => hold.2 = ended,
            None => spans.push((Doing::Talking, at, ended)),
        }
    }
    let last = spans.iter().rposition(|(_, from, to)| from < to).unwrap_or(spans.len() - 1);
    let spans = spans.into_iter().enumerate().filter(|(nth, (_, from, to))| from < to || *nth == last);
    spans
        .map(|(nth, (doing, from, to))| Activity { doing, from, to: (nth != last || open != Some(to)).then_some(to) })
        .collect()
}

/// Why a leg that rang was not answered: its own cause, else the first end of its dial.
fn unanswered(life: &Life<'_>, customer_end: Micros) -> &'static str {
    match life.cause {
        Some(17 | 21) => return "refused",
        Some(26) => return "elsewhere",
        Some(1 | 3 | 20 | 22 | 27 | 28 | 34 | 38 | 41 | 42 | 44 | 58) => return "unreachable",
        Some(_) | None => {}
    }
    if life.picked_up_by.is_some() {
        return "elsewhere";
    }
    match life.dial_end.map(|d| d.1) {
        Some(DialStatus::Busy) => "refused",
        Some(DialStatus::Unavailable | DialStatus::Congestion) => "unreachable",
        Some(DialStatus::Cancel) => "caller_left",
        Some(DialStatus::NoAnswer) => "missed",
        // Nobody told (CEL): it ended with the caller, or before.
        Some(DialStatus::Answer | DialStatus::Other) | None if life.end + 500_000 >= customer_end => "caller_left",
        Some(DialStatus::Answer | DialStatus::Other) | None => "missed",
    }
}

/// A part of which only the queue tells: its log alone is there, or the agent stays on the line in another call.
fn out_of_sight<'a>(company: &Company<'a, '_>, visit: &Visit<'a>, seen: &[Leg<'a>], scope: Scope) -> Option<Leg<'a>> {
    let (member, uid) = (visit.member?, visit.leg?);
    let in_sight = seen.iter().any(|l| l.agent.as_deref() == Some(member) && l.answered.is_some());
    if in_sight || visit.outcome != Outcome::Answered {
        return None;
    }
    let answered = visit.left?;
    let caller = &company.lives[visit.channel];
    let ended = visit.completed.unwrap_or(caller.end).max(answered);
    let goes_on = scope == Scope::UnderWay && visit.completed.is_none() && caller.gone.is_none();
    Some(Leg {
        uid,
        index: None,
        agent: Some(member.to_owned()),
        device: None,
        queue: Some(visit.queue),
        offered: visit.entered,
        answered: Some(answered),
        ended,
        talk_ms: ended.millis_since(answered),
        hold_ms: 0,
        outcome: "answered",
        // When it began to ring is not known.
        activities: activities((answered, Some(answered), ended), &[], goes_on.then_some(ended)),
        transferred: false,
    })
}

/// What the queue called a channel, or the Local pair that it was dialled through.
fn name<'a>(company: &Company<'a, '_>, index: usize, names: &Names<'a>) -> Option<(&'a str, &'a str)> {
    let named = |i: usize| names.get(&**company.lives[i].uid).copied();
    let by_way_of = || {
        // CEL does not say who dialled: the pair's far half was in a bridge with it.
        (0..company.lives.len()).find_map(|i| {
            let other = company.pair[i]?;
            named(i).filter(|_| company.met(other, index))
        })
    };
    named(index).or_else(|| company.cause_chain(index).find_map(named)).or_else(by_way_of)
}

/// What the queue called each channel: told with the channel, else matched with the queue's log by device and order.
fn names<'a>(company: &Company<'a, '_>, cast: &Cast, moments: &'a [Moment<'a>]) -> Names<'a> {
    let mut names: Names<'a> = BTreeMap::new();
    let mut nameless: Vec<(&str, &str, Micros)> = Vec::new();
    for moment in moments.iter().filter(|m| cast.members.contains(&m.channel)) {
        if let What::Offered { queue, member, leg }
        | What::Connected { queue, member, leg: Some(leg) }
        | What::RangOut { queue, member, leg: Some(leg), .. } = &moment.what
        {
            names.entry(leg).or_insert((queue, member));
        } else if let What::RangOut { queue, member, leg: None, .. } = &moment.what {
            nameless.push((queue, member, moment.at));
        }
    }
    let mut unnamed: Vec<usize> = cast
        .members
        .iter()
        .copied()
        .filter(|&i| {
            company.lives[i].dialled_by == Some(Dialler::Queue) && !names.contains_key(&**company.lives[i].uid)
        })
        .collect();
    unnamed.sort_by_key(|&i| (company.lives[i].end, company.lives[i].uid));
    for (queue, member, at) in nameless {
        let fits = |&i: &usize| company.lives[i].end.0.abs_diff(at.0) <= 2_000_000;
        let same_device = unnamed.iter().position(|i| fits(i) && member.ends_with(company.lives[*i].resource()));
        if let Some(position) = same_device.or_else(|| unnamed.iter().position(fits)) {
            let index = unnamed.remove(position);
            names.insert(company.lives[index].uid, (queue, member));
        }
    }
    names
}
