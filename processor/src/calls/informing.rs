//! What the fold of agents is told of calls: each agent's part while it goes on and when it is over, and what costs money.
//!
//! Told at heartbeats, when something about a call that goes on changed, and whenever it is published; what was told is
//! remembered with the group by a digest, so that nothing is told twice and what turns out to be a mistake is taken back.
//! Who waits in a queue is published at the same time. Of imports only what is over is told.

use std::collections::BTreeMap;
use std::hash::Hash;

use calltide_schemas::Micros;
use calltide_schemas::agents::{Billable, BillableKind, ForAgents, LegSaid};
use calltide_schemas::journals::IMPORTED;

use super::closing::{self, tell_group};
use super::settings::CallSettings;
use super::state::{Group, State};
use super::telling::{Scope, Told};
use crate::fold::{Effects, content_digest};
use crate::vocabulary::What;

/// By leg or charge a digest of what was told.
pub(super) type Informed = BTreeMap<Box<str>, u64>;

/// Whether a fact changes what an agent does, or who waits.
pub(super) fn stirs(what: &What, journal: &str) -> bool {
    let matters = matches!(
        what,
        What::Up
            | What::DialBegan { .. }
            | What::DialEnded { .. }
            | What::Entered { .. }
            | What::Left { .. }
            | What::Held
            | What::Unheld
            | What::Hungup { .. }
            | What::EndedUnseen
            | What::QueueJoined { .. }
            | What::QueueLeft { .. }
            | What::QueueExited { .. }
            | What::Offered { .. }
            | What::RangOut { .. }
            | What::Connected { .. }
            | What::Completed { .. }
            | What::Transferred { .. }
            | What::Listed(_)
    );
    matters && !journal.starts_with(IMPORTED)
}

/// Tells of the calls that go on and changed since the last heartbeat.
pub(super) fn under_way(state: &mut State, pbx: &str, settings: &CallSettings, out: &mut Effects) {
    let stirred = state.pbxs.get_mut(pbx).map(|of| std::mem::take(&mut of.stirred)).unwrap_or_default();
    for id in stirred {
        let Some(of) = state.pbxs.get_mut(pbx) else { return };
        let now = of.clock.now;
        // Of what is over the published call is told.
        let goes_on = of.groups.get(&id).is_some_and(|group| closing::goes_on(group, &of.clock));
        let told = goes_on.then(|| tell_group(of, pbx, &id, Scope::UnderWay, settings));
        let Some(group) = of.groups.get_mut(&id) else { continue };
        group.stirred = false;
        if let Some(told) = told.flatten() {
            closing::publish_visits(group, &told, now, out);
            parts(group, &told, now, out);
        }
        state.touch_group(pbx, &id);
    }
}

/// Tells what agents did in the calls of a group, and what that cost.
pub(super) fn over(group: &mut Group, told: &Told, now: Micros, out: &mut Effects) {
    parts(group, told, now, out);
    let (new, gone) = renewed(&mut group.billed, &told.billables, |billable| &billable.charge_id);
    new.into_iter().for_each(|billable| out.tell_agents(&ForAgents::Billable(billable.clone())));
    gone.into_iter().for_each(|id| out.tell_agents(&ForAgents::Billable(no_charge(&id, now))));
}

fn parts(group: &mut Group, told: &Told, now: Micros, out: &mut Effects) {
    let (new, gone) = renewed(&mut group.informed, &told.parts, |part| &part.leg_id);
    new.into_iter().for_each(|part| out.tell_agents(&ForAgents::Leg(LegSaid { at: now, ..part.clone() })));
    gone.into_iter().for_each(|id| out.tell_agents(&ForAgents::Leg(no_leg(&id, now))));
}

/// Takes note of what is told now; returns what of it differs from what was told before, and the ids of what is no more.
fn renewed<'a, T: Hash>(known: &mut Informed, told: &'a [T], id: fn(&T) -> &str) -> (Vec<&'a T>, Vec<Box<str>>) {
    let mut gone = std::mem::take(known);
    let mut new = Vec::new();
    for it in told {
        let digest = content_digest(it);
        let removed = gone.remove(id(it));
        if known.insert(id(it).into(), digest).or(removed) != Some(digest) {
            new.push(it);
        }
    }
    (new, gone.into_keys().collect())
}

fn no_leg(leg_id: &str, at: Micros) -> LegSaid {
    LegSaid {
        at,
        pbx: String::new(),
        leg_id: leg_id.to_owned(),
        call_id: String::new(),
        agent: None,
        device: None,
        queue: None,
        activities: Vec::new(),
        is_answered: false,
        withdrawn: true,
    }
}

fn no_charge(charge_id: &str, at: Micros) -> Billable {
    Billable {
        charge_id: charge_id.to_owned(),
        what: BillableKind::CallOut,
        pbx: String::new(),
        call_id: String::new(),
        leg_id: None,
        device: None,
        campaign: None,
        number_e164: None,
        number_raw: None,
        answered_at: at,
        up_ms: 0,
        withdrawn: true,
    }
}
