//! Which channels belong together: those that share a linkedid at birth, a dial, a queue's offer, a bridge, a transfer.
//!
//! Linkedid is only one hint among them. Conferences and waiting places join nobody: strangers meet there; nor does an agent's
//! channel that stays up for a whole shift (AgentLogin). Which calls a group tells is decided elsewhere ([`super::roles`]).

use crate::vocabulary::{BridgeKind, Fact, Uid, Variable, What};

use super::informing;
use super::state::{Channel, Group, Mark, State};

/// What a fact lets a group be found by.
pub(super) fn mark(what: &What) -> Option<Mark> {
    if let What::Created { linkedid, .. } | What::Seen { linkedid, .. } = what {
        Some(Mark::Linkedid(linkedid.clone()))
    } else if let What::Listed(listed) = what {
        Some(Mark::Linkedid(listed.linkedid.clone()))
    } else if let What::Entered { bridge, kind: BridgeKind::Basic } = what {
        Some(Mark::Bridge(bridge.clone()))
    } else {
        None
    }
}

/// The other channels that a fact names as belonging to the same call.
fn relatives(what: &What) -> [Option<&Uid>; 2] {
    match what {
        What::DialBegan { caller, .. } | What::DialEnded { caller, .. } => [caller.as_ref(), None],
        What::Offered { leg, .. } => [Some(leg), None],
        What::RangOut { leg, .. } | What::Connected { leg, .. } => [leg.as_ref(), None],
        What::Transferred { by, target, .. } => [by.as_ref(), target.as_ref()],
        What::PairedWith { other } => [Some(other), None],
        What::Unparked { by } => [by.as_ref(), None],
        What::PickedUp { by } => [Some(by), None],
        What::Created { .. }
        | What::Seen { .. }
        | What::Dialled { .. }
        | What::Ringing
        | What::Up
        | What::Entered { .. }
        | What::Left { .. }
        | What::Held
        | What::Unheld
        | What::HangupAsked { .. }
        | What::SoftHangup { .. }
        | What::Hungup { .. }
        | What::App { .. }
        | What::Set { .. }
        | What::QueueJoined { .. }
        | What::QueueLeft { .. }
        | What::QueueExited { .. }
        | What::Completed { .. }
        | What::Parked
        | What::Machine
        | What::Forbidden
        | What::OriginateReason { .. }
        | What::EndedUnseen
        | What::Listed(_) => [None, None],
    }
}

/// Adds a fact to its channel and unites the groups that it shows to belong together; `false` for a repeated fact.
pub(super) fn take_in(state: &mut State, pbx: &str, uid: &Uid, fact: Fact, journal: &str) -> bool {
    let id = group_of(state, pbx, uid);
    let Some(of) = state.pbxs.get_mut(pbx) else { return false };
    let Some(channel) = of.channels.get_mut(uid) else { return false };
    // A channel that was only named by another one counts as open from its own first fact on.
    let appeared = channel.facts.is_empty();
    if channel.facts.len() >= FACTS_MAX && !is_essential(&fact.what) {
        return false;
    }
    if !remember(&mut channel.facts, &fact) {
        return false;
    }
    let gone_now = !channel.gone && matches!(fact.what, What::Hungup { .. } | What::EndedUnseen);
    channel.gone |= gone_now;
    channel.stays_up |= matches!(&fact.what, What::App { name, .. } if &**name == "AgentLogin");
    let stays_up = channel.stays_up;
    state.touch_channel(pbx, uid);
    let mut relatives: Vec<Uid> = relatives(&fact.what).into_iter().flatten().cloned().collect();
    let Some(of) = state.pbxs.get_mut(pbx) else { return false };
    if !stays_up {
        relatives.extend(of.mark(uid, &fact.what));
        relatives.retain(|other| !of.channels.get(other).is_some_and(|c| c.stays_up));
    } else {
        relatives.clear();
    }
    if let Some(group) = of.groups.get_mut(&id) {
        group.open = (group.open + u32::from(appeared)).saturating_sub(u32::from(gone_now));
        if group.open == 0 {
            of.open.remove(&id);
        } else {
            of.open.insert(id.clone());
        }
        if matches!(&fact.what, What::Set { variable: Variable::Contact, .. }) {
            of.dialling.insert(id.clone());
            group.dialling = true;
        }
        if informing::stirs(&fact.what, journal) {
            of.stirred.insert(id.clone());
            group.stirred = true;
        }
        group.last = group.last.max(fact.at);
        group.heard = group.heard.max(of.clock.now);
        group.dirty = true;
        if !journal.is_empty() && !group.journals.contains(journal) {
            group.journals.insert(journal.into());
        }
    }
    let id = relatives.into_iter().fold(id, |id, other| unite(state, pbx, id, &other));
    state.touch_group(pbx, &id);
    true
}

/// A channel in a dialplan's endless loop must not take all memory and time: so many facts are far more than any call has.
const FACTS_MAX: usize = 2_000;

/// What decides who talked with whom and how it ended; the rest only colours the story.
fn is_essential(what: &What) -> bool {
    matches!(
        what,
        What::Up
            | What::Left { .. }
            | What::Hungup { .. }
            | What::EndedUnseen
            | What::HangupAsked { .. }
            | What::Connected { .. }
            | What::Completed { .. }
            | What::QueueExited { .. }
            | What::Transferred { .. }
    )
}

/// Keeps a fact once. Of things that stay true (a variable, ringing) the earliest telling is kept.
fn remember(facts: &mut Vec<Fact>, fact: &Fact) -> bool {
    let lasting = matches!(
        fact.what,
        What::Dialled { .. }
            | What::Set { .. }
            | What::Ringing
            | What::Seen { .. }
            | What::Machine
            | What::Forbidden
            | What::Offered { .. }
            | What::PairedWith { .. }
            | What::OriginateReason { .. }
    );
    // The newest come last, and repeats come soon: look from the end.
    for known in facts.iter_mut().rev() {
        if (lasting || known.at == fact.at) && known.teller == fact.teller && known.what == fact.what {
            let earlier = fact.at < known.at;
            known.at = known.at.min(fact.at);
            return earlier;
        }
    }
    facts.push(fact.clone());
    true
}

/// The group of a channel; a channel not seen before gets one of its own.
fn group_of(state: &mut State, pbx: &str, uid: &Uid) -> Uid {
    let of = state.pbxs.entry(pbx.into()).or_default();
    if let Some(channel) = of.channels.get(uid) {
        return channel.group.clone();
    }
    of.channels.insert(uid.clone(), Channel::new(uid.clone()));
    of.groups.insert(uid.clone(), Group::new(uid.clone()));
    // A channel that was only named must be there after a restart, too, or its first fact would begin the group anew.
    state.touch_channel(pbx, uid);
    state.touch_group(pbx, uid);
    uid.clone()
}

/// Unites the group `id` with the group of `other`; returns the group that remains.
fn unite(state: &mut State, pbx: &str, id: Uid, other: &Uid) -> Uid {
    let other_id = group_of(state, pbx, other);
    if id == other_id {
        return id;
    }
    let Some(of) = state.pbxs.get_mut(pbx) else { return id };
    let (keep, drop) = (id.clone().min(other_id.clone()), id.max(other_id));
    let Some(dropped) = of.groups.remove(&drop) else { return keep };
    if let Some((at, _)) = dropped.due {
        of.timers.remove(&(at, drop.clone()));
    }
    of.open.remove(&drop);
    let Some(kept) = of.groups.get_mut(&keep) else { return keep };
    for uid in &dropped.channels {
        if let Some(channel) = of.channels.get_mut(uid) {
            channel.group = keep.clone();
        }
    }
    kept.open += dropped.open;
    if kept.open > 0 {
        of.open.insert(keep.clone());
    }
    kept.journals.extend(dropped.journals);
    kept.last = kept.last.max(dropped.last);
    kept.heard = kept.heard.max(dropped.heard);
    kept.cut = kept.cut.zip(dropped.cut).map(|(a, b)| a.max(b));
    kept.dirty = true;
    kept.settled &= dropped.settled;
    kept.published.extend(dropped.published);
    kept.fed.extend(dropped.fed);
    kept.informed.extend(dropped.informed);
    kept.billed.extend(dropped.billed);
    kept.stirred |= dropped.stirred;
    if of.stirred.remove(&drop) {
        of.stirred.insert(keep.clone());
    }
    kept.dialling |= dropped.dialling;
    if of.dialling.remove(&drop) {
        of.dialling.insert(keep.clone());
    }
    kept.channels.extend(dropped.channels.iter().cloned());
    for uid in dropped.channels {
        state.touch_channel(pbx, &uid);
    }
    state.touch_group(pbx, &drop);
    state.touch_group(pbx, &keep);
    keep
}
