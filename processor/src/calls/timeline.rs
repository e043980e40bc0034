//! One timeline from all sources: the same happening told by several is one moment, with the best clock's time.
//!
//! Matching is by identity, never by time: (channel, kind, what it names, nth). Within one source the telling order is that of
//! its own times. Payloads are combined, since each source knows something the others don't.

use calltide_schemas::Micros;

use super::state::Channel;
use crate::vocabulary::{Fact, QueueExit, Teller, Uid, What};

/// Something that happened, told by one or more sources.
#[derive(Debug, Clone)]
pub(super) struct Moment<'a> {
    pub(super) at: Micros,
    /// Index of the channel among the group's, in the order of ids.
    pub(super) channel: usize,
    pub(super) what: What,
    /// Who told it, best clock first.
    pub(super) tellers: Vec<Teller>,
    pub(super) uid: &'a Uid,
}

/// What makes two tellings the same happening: kind, what it names, and the rest of the identity.
type Identity<'a> = (u8, &'a str, &'a str);

fn identity(what: &What) -> Identity<'_> {
    match what {
        What::Created { .. } => (0, "", ""),
        What::Seen { .. } => (1, "", ""),
        What::Dialled { .. } => (2, "", ""),
        What::Ringing => (3, "", ""),
        What::Up => (4, "", ""),
        What::DialBegan { caller, .. } => (5, caller.as_deref().unwrap_or(""), ""),
        What::DialEnded { caller, .. } => (6, caller.as_deref().unwrap_or(""), ""),
        What::Entered { bridge, .. } => (7, bridge, ""),
        What::Left { bridge } => (8, bridge, ""),
        What::Held => (9, "", ""),
        What::Unheld => (10, "", ""),
        What::HangupAsked { .. } => (11, "", ""),
        What::SoftHangup { .. } => (12, "", ""),
        What::Hungup { .. } => (13, "", ""),
        What::App { name, data, .. } => (14, name, data.as_deref().unwrap_or("")),
        What::Set { variable, value } => (15 + *variable as u8, value, ""),
        What::QueueJoined { queue, .. } => (30, queue, ""),
        What::QueueLeft { queue } => (31, queue, ""),
        // AMI never tells of an exit by key, nor of a cancelled ring: those must not be counted with the others.
        What::QueueExited { queue, how } => (32, queue, if *how == QueueExit::Key { "key" } else { "" }),
        What::Offered { member, leg, .. } => (33, member, leg),
        What::RangOut { member, cancelled, .. } => (34, member, if *cancelled { "cancelled" } else { "" }),
        What::Connected { queue, member, .. } => (35, queue, member),
        What::Completed { queue, member, .. } => (36, queue, member),
        What::Transferred { kind, .. } => (37 + *kind as u8, "", ""),
        What::PairedWith { other } => (40, other, ""),
        What::Parked => (41, "", ""),
        What::Unparked { .. } => (42, "", ""),
        What::PickedUp { by } => (43, by, ""),
        What::Machine => (44, "", ""),
        What::Forbidden => (45, "", ""),
        What::OriginateReason { .. } => (46, "", ""),
        What::EndedUnseen => (47, "", ""),
        What::Listed(_) => (48, "", ""),
    }
}

/// Merges the facts of a group's channels, given in the order of their ids.
pub(super) fn merge<'a>(channels: &[(&'a Uid, &'a Channel)]) -> Vec<Moment<'a>> {
    let mut moments: Vec<Moment<'a>> = Vec::new();
    let mut facts: Vec<(Identity<'a>, &'a Fact)> = Vec::new();
    for (index, (uid, channel)) in channels.iter().enumerate() {
        facts.clear();
        facts.extend(channel.facts.iter().map(|fact| (identity(&fact.what), fact)));
        facts.sort_unstable_by(|a, b| (a.0, a.1.teller, a.1.at, &a.1.what).cmp(&(b.0, b.1.teller, b.1.at, &b.1.what)));
        for same in facts.chunk_by(|a, b| a.0 == b.0) {
            merge_same(same, index, uid, &mut moments);
        }
    }
    moments.sort_by(|a, b| (a.at, identity(&a.what), a.uid).cmp(&(b.at, identity(&b.what), b.uid)));
    moments
}

/// Merges tellings of one identity: the nth of each source is the same happening.
fn merge_same<'a>(same: &[(Identity<'a>, &'a Fact)], channel: usize, uid: &'a Uid, out: &mut Vec<Moment<'a>>) {
    let first = out.len();
    for told in same.chunk_by(|a, b| a.1.teller == b.1.teller) {
        for (nth, (_, fact)) in told.iter().enumerate() {
            match out.get_mut(first + nth) {
                // Facts come best clock first, so the time is there already.
                Some(moment) => {
                    combine(&mut moment.what, &fact.what, fact.teller);
                    moment.tellers.push(fact.teller);
                }
                None => {
                    out.push(Moment { at: fact.at, channel, what: fact.what.clone(), tellers: vec![fact.teller], uid })
                }
            }
        }
    }
}

/// Completes what one source told by what another knows better.
fn combine(known: &mut What, told: &What, teller: Teller) {
    use crate::vocabulary::Birth;
    match (known, told) {
        (
            What::Created { birth, context, exten, caller, .. },
            What::Created { birth: b, context: c, exten: e, caller: n, .. },
        ) => {
            if *birth == Birth::Unknown {
                *birth = *b;
            }
            or(context, c);
            or(exten, e);
            or(caller, n);
        }
        (What::Hungup { cause, by, dial_status }, What::Hungup { cause: c, by: b, dial_status: d }) => {
            or(cause, c);
            or(by, b);
            or(dial_status, d);
        }
        // AMI calls every exit an abandon; the queue's own log says which it was.
        (What::QueueExited { how, .. }, What::QueueExited { how: h, .. })
            if *how == QueueExit::Abandon || teller == Teller::QueueLog =>
        {
            *how = *h;
        }
        (What::Connected { leg, .. }, What::Connected { leg: l, .. })
        | (What::RangOut { leg, .. }, What::RangOut { leg: l, .. }) => or(leg, l),
        (What::Transferred { by, target, exten, .. }, What::Transferred { by: b, target: t, exten: e, .. }) => {
            or(by, b);
            or(target, t);
            or(exten, e);
        }
        (What::QueueJoined { caller, .. }, What::QueueJoined { caller: c, .. }) => or(caller, c),
        (What::Unparked { by }, What::Unparked { by: b }) => or(by, b),
        _ => {}
    }
}

fn or<T: Clone>(known: &mut Option<T>, told: &Option<T>) {
    if known.is_none() {
        known.clone_from(told);
    }
}
