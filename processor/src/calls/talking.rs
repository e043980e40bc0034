//! Who talked with the customer and when: through bridges and Local pairs; what of it was hold.
//!
//! Spans of time and nothing else: who is an agent, and what is reported of it, is not for here.

use std::collections::BTreeMap;

use calltide_schemas::Micros;

use super::roles::{Cast, Company, Role};
use crate::vocabulary::BridgeKind;

/// A span of time.
pub(super) type Span = (Micros, Micros);

/// Pieces shorter than this are the order in which channels leave a bridge, not something that happened.
pub(super) const NOISE_US: i64 = 250_000;

/// The customer's conversations.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// By channel: when it was connected with the customer, hold included.
    pub(super) with: BTreeMap<usize, Vec<Span>>,
    /// When anybody was connected with the customer.
    pub(super) anybody: Vec<Span>,
    /// When the customer was on hold, or waited in a bridge for someone who had left it.
    pub(super) hold: Vec<Span>,
}

impl Talk {
    /// Reads the conversations of a call off its channels' stays in bridges.
    pub(super) fn of(company: &Company<'_, '_>, cast: &Cast) -> Self {
        let with = connected(company, cast);
        let anybody = union(with.values().flatten().copied().collect());
        let hold = holds(company, cast, &with, &anybody);
        Self { with, anybody, hold }
    }

    /// When it was first connected with that channel.
    pub(super) fn first(&self, index: usize) -> Option<Micros> {
        self.with.get(&index).and_then(|spans| spans.first()).map(|s| s.0)
    }

    /// Milliseconds in conversation, without hold.
    pub(super) fn talk_ms(&self) -> i64 {
        millis(&subtract(&self.anybody, &self.hold))
    }

    /// Milliseconds on hold.
    pub(super) fn hold_ms(&self) -> i64 {
        millis(&self.hold)
    }

    /// When a channel's conversation was on hold, within these bounds.
    pub(super) fn holds_within(&self, bounds: Span) -> Vec<Span> {
        clip(&self.hold, bounds)
    }

    /// One channel's (talk, hold), from its first connection to its end.
    pub(super) fn part_ms(&self, index: usize, end: Micros) -> (i64, i64) {
        let (Some(spans), Some(first)) = (self.with.get(&index), self.first(index)) else { return (0, 0) };
        let last = spans.last().map_or(end, |s| s.1).max(end);
        let hold = clip(&self.hold, (first, last));
        (millis(&subtract(spans, &hold)), millis(&hold))
    }
}

/// For each channel, when it was connected with one of the customer's legs.
fn connected(company: &Company<'_, '_>, cast: &Cast) -> BTreeMap<usize, Vec<Span>> {
    let mut stays: Vec<(Micros, Micros, &str, usize)> = Vec::new();
    let mut customer: Vec<Span> = Vec::new();
    for index in 0..company.lives.len() {
        for stay in company.lives[index].stays.iter().filter(|s| s.kind != BridgeKind::Holding) {
            stays.push((stay.from, stay.to, stay.bridge, index));
            if cast.customers.contains(&index) {
                customer.push((stay.from, stay.to));
            }
        }
    }
    let mut edges: Vec<Micros> = stays.iter().flat_map(|s| [s.0, s.1]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut with: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
    for pair in edges.windows(2) {
        let span = (pair[0], pair[1]);
        if !customer.iter().any(|c| c.0 < span.1 && span.0 < c.1) {
            continue;
        }
        let present: Vec<(&str, usize)> =
            stays.iter().filter(|s| s.0 < span.1 && span.0 < s.1).map(|s| (s.2, s.3)).collect();
        for index in reached(company, cast, &present) {
            let spans = with.entry(index).or_default();
            match spans.last_mut() {
                Some(last) if last.1 == span.0 => last.1 = span.1,
                _ => spans.push(span),
            }
        }
    }
    with
}

/// The devices that are connected with the customer while these channels are in these bridges.
fn reached(company: &Company<'_, '_>, cast: &Cast, present: &[(&str, usize)]) -> Vec<usize> {
    let mut seen: Vec<usize> = cast.customers.clone();
    let mut next = 0;
    while let Some(&index) = seen.get(next) {
        next += 1;
        let bridges = present.iter().filter(|p| p.1 == index).map(|p| p.0);
        for bridge in bridges {
            for other in present.iter().filter(|p| p.0 == bridge).map(|p| p.1) {
                if !seen.contains(&other) {
                    seen.push(other);
                }
            }
        }
        if let Some(other) = company.pair[index].filter(|other| !seen.contains(other)) {
            seen.push(other);
        }
    }
    seen.retain(|i| !cast.customers.contains(i) && company.roles[*i] != Role::Local);
    seen.retain(|i| present.iter().any(|p| p.1 == *i));
    seen
}

/// Holds that were told, and the time that the customer was alone in a bridge or parked after having talked.
fn holds(company: &Company<'_, '_>, cast: &Cast, with: &BTreeMap<usize, Vec<Span>>, anybody: &[Span]) -> Vec<Span> {
    let Some(first) = anybody.first().map(|s| s.0) else { return Vec::new() };
    let mut stays: Vec<Span> = Vec::new();
    for &index in &cast.customers {
        stays.extend(company.lives[index].stays.iter().map(|s| (s.from.max(first), s.to)));
    }
    let stays = union(stays.into_iter().filter(|s| s.0 < s.1).collect());
    let mut hold: Vec<Span> = subtract(&stays, anybody).into_iter().filter(|s| s.1 - s.0 >= NOISE_US).collect();
    for (index, life) in company.lives.iter().enumerate() {
        let own = with.contains_key(&index) || cast.customers.contains(&index);
        for &(from, to) in life.holds.iter().filter(|_| own) {
            // Without a word of its end a hold lasts until the holder is gone or somebody else takes over.
            let taken_over = with
                .iter()
                .filter(|(other, _)| **other != index)
                .flat_map(|(_, spans)| spans.iter().map(|s| s.0))
                .filter(|&at| at > from)
                .min();
            let end = to.unwrap_or(life.end).min(taken_over.unwrap_or(life.end)).min(life.end);
            hold.extend(clip(&stays, (from, end)));
        }
    }
    union(hold)
}

/// Sorted, without overlaps.
pub(super) fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::new();
    for span in spans {
        match out.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => out.push(span),
        }
    }
    out
}

fn clip(spans: &[Span], within: Span) -> Vec<Span> {
    spans.iter().map(|s| (s.0.max(within.0), s.1.min(within.1))).filter(|s| s.0 < s.1).collect()
}

fn subtract(spans: &[Span], less: &[Span]) -> Vec<Span> {
    let mut out = Vec::new();
    for &(from, to) in spans {
        let mut at = from;
        for &(cut_from, cut_to) in less.iter().filter(|l| l.0 < to && from < l.1) {
            if at < cut_from {
                out.push((at, cut_from));
            }
            at = at.max(cut_to);
        }
        if at < to {
            out.push((at, to));
        }
    }
    out
}

fn millis(spans: &[Span]) -> i64 {
    let micros: i64 = spans.iter().map(|s| s.1 - s.0).sum();
    (micros + 500) / 1_000
}
