//! What is remembered of a number: calls out to it, who may not call it, and which contacts want to hear of it or to be called.
//!
//! A person is kept in the same way, without calls. What follows from it is decided in [`super::numbers`] and
//! [`super::publishing`].

use calltide_schemas::Micros;
use calltide_schemas::recycling::{CallingNumber, ContactKey, Wanted};
use serde::{Deserialize, Serialize};

/// How long a call out counts.
pub(super) const CAP_SPAN_US: i64 = 24 * 3600 * 1_000_000;

/// Calls by which somebody was reached that are remembered, since one of them may turn out not to be.
const REACHED_MAX: usize = 8;

/// A number, or a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Number {
    /// Calls out to it that still count: digest of the call, version, and when it began.
    pub(super) dials: Vec<(u64, i64, Micros)>,
    /// Digests of calls that are under way.
    pub(super) open: Vec<u64>,
    /// Who may not call it.
    pub(super) entries: Vec<Entry>,
    /// Contacts that have it.
    pub(super) members: Vec<Member>,
    /// Digests of the latest calls by which somebody was reached.
    pub(super) reached: Vec<u64>,
}

/// A do-not-call entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Only for this campaign.
    pub(super) campaign: Option<Box<str>>,
    pub(super) listed: bool,
    pub(super) who: Box<str>,
    pub(super) reason: Option<Box<str>>,
    pub(super) since: Micros,
    pub(super) first_listed: Micros,
    pub(super) version: u32,
}

impl Entry {
    pub(super) fn forbids(&self, campaign: &str) -> bool {
        self.listed && self.campaign.as_deref().is_none_or(|only| only == campaign)
    }

    /// Why nobody may call, in a sentence.
    pub(super) fn sentence(&self, number: &CallingNumber) -> String {
        let list = self
            .campaign
            .as_deref()
            .map_or_else(|| "the do-not-call list".to_owned(), |c| format!("the do-not-call list of campaign {c}"));
        let why = self.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{number} is on {list} since {}, by {}{why}", super::deciding::moment(self.since), self.who)
    }
}

/// A contact that has the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) campaign: Box<str>,
    pub(super) contact: Box<str>,
    pub(super) live: bool,
    pub(super) wants: Option<Box<Want>>,
}

/// A call that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Want {
    pub(super) verdict: u32,
    pub(super) attempt: u32,
    pub(super) agent: Option<Box<str>>,
    pub(super) due: Micros,
    pub(super) valid_until: Micros,
    pub(super) cap_24h: u32,
    pub(super) stage: Stage,
    pub(super) lease: Option<Box<Leased>>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// It waits for its time.
    Waiting,
    /// Its time has come; it waits for others who call the number.
    Blocked,
    /// Dialers were told.
    Published,
    /// It is over: dialled, refused, or run out; the contact says what is next.
    Over,
}

/// Who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leased {
    pub(super) lease_id: Box<str>,
    pub(super) until: Micros,
}

impl Member {
    pub(super) fn key(&self) -> ContactKey {
        ContactKey::new(&self.campaign, &self.contact)
    }

    pub(super) fn is(&self, campaign: &str, contact: &str) -> bool {
        &*self.campaign == campaign && &*self.contact == contact
    }
}

impl Want {
    pub(super) fn new(wanted: &Wanted) -> Self {
        Self {
            verdict: wanted.verdict,
            attempt: wanted.attempt,
            agent: wanted.agent.as_deref().map(Into::into),
            due: wanted.due_at,
            valid_until: wanted.valid_until,
            cap_24h: wanted.cap_24h,
            stage: Stage::Waiting,
            lease: None,
        }
    }

    /// When something must be done with it.
    pub(super) const fn moment(&self) -> Option<Micros> {
        match self.stage {
            Stage::Waiting => Some(self.due),
            Stage::Blocked | Stage::Published => Some(self.valid_until),
            Stage::Over => None,
        }
    }
}

impl Number {
    /// Nothing is to be remembered.
    pub(super) const fn is_empty(&self) -> bool {
        self.dials.is_empty() && self.open.is_empty() && self.entries.is_empty() && self.members.is_empty()
    }

    /// How many calls still count at `at`. A call that began later by its PBX's clock counts, too.
    pub(super) fn counting(&self, at: Micros) -> usize {
        self.dials.iter().filter(|dial| dial.2 + CAP_SPAN_US > at).count()
    }

    /// When it may be called again by whoever calls at most so often, if not at `at`.
    pub(super) fn capped_until(&self, at: Micros, cap: u32) -> Option<Micros> {
        // Those that must have become old, for one more to be allowed.
        let over = (self.counting(at) + 1).checked_sub(cap as usize).filter(|over| *over > 0)?;
        let mut counting: Vec<Micros> =
            self.dials.iter().map(|dial| dial.2).filter(|dial| *dial + CAP_SPAN_US > at).collect();
        counting.sort_unstable();
        counting.get(over - 1).or(counting.last()).map(|dial| *dial + CAP_SPAN_US)
    }

    /// What waited for others who call the number is looked at again.
    pub(super) fn wake(&mut self) {
        for want in self.members.iter_mut().filter_map(|member| member.wants.as_mut()) {
            if want.stage == Stage::Blocked {
                want.stage = Stage::Waiting;
            }
        }
    }

    /// Remembers by which calls somebody was reached; `false` if the call is none of them and `reached` says that it is none.
    pub(super) fn note_reached(&mut self, call: u64, reached: bool) -> bool {
        let known = self.reached.iter().position(|one| *one == call);
        match (known, reached) {
            (None, true) => self.reached.push(call),
            (Some(at), false) => drop(self.reached.remove(at)),
            (Some(_), true) | (None, false) => {}
        }
        if self.reached.len() > REACHED_MAX {
            self.reached.remove(0);
        }
        known.is_some() || reached
    }

    /// Dues that dialers were told of and that nobody has dialled yet: each may become a call at any moment.
    pub(super) fn published(&self) -> usize {
        let wants = self.members.iter().filter_map(|member| member.wants.as_ref());
        wants.filter(|want| want.stage == Stage::Published).count()
    }

    pub(super) fn member(&mut self, campaign: &str, contact: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.is(campaign, contact))
    }

    /// Forgets calls that no longer count at `now`.
    pub(super) fn prune(&mut self, now: Micros) {
        self.dials.retain(|dial| dial.2 + CAP_SPAN_US > now);
        // Of a PBX that is gone for good the end is never told.
        let counts = |call: &u64| self.dials.iter().any(|dial| dial.0 == *call);
        self.open.retain(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_call_counts_for_twenty_four_hours_to_the_microsecond() {
        let dials = [10, 12, 14].map(|hour| (hour as u64, 1, Micros(hour * HOUR))).to_vec();
        let number = Number { dials, ..Number::default() };
        for (at, cap, until) in [
            (15 * HOUR, 3, Some(34 * HOUR)),
            (15 * HOUR, 4, None),
            (34 * HOUR - 1, 3, Some(34 * HOUR)),
            (34 * HOUR, 3, None),
            (15 * HOUR, 1, Some(38 * HOUR)),
            (15 * HOUR, 2, Some(36 * HOUR)),
            (36 * HOUR, 1, Some(38 * HOUR)),
        ] {
            assert_eq!(number.capped_until(Micros(at), cap), until.map(Micros), "at {at}, {cap} allowed");
        }
    }
}
