//! What dialers are told: that somebody is due, that this is taken back, and who has leased what.
//!
//! Each time something is told of a number it is looked at once more: what waits for it is published if nothing stands against
//! it at this moment. Whatever was published is dialled, taken back, or runs out, and the last two are told.

use calltide_schemas::Micros;
use calltide_schemas::recycling::{CallingNumber, ContactKey, Due, Lease, LeaseState, Wish, Word, verdict_id};
use calltide_schemas::topics::{LEASES, RETRY_DUE};

use super::number::{Member, Number, Stage, Want};
use super::numbers::{Numbers, tell};
use crate::fold::Effects;

impl Numbers {
    /// Publishes what is due now, and ends what has run out.
    pub(super) fn consider(&self, name: &CallingNumber, number: &mut Number, out: &mut Effects) {
        let active = |at: &usize| {
            let member = &number.members[*at];
            let want = member.wants.as_deref().filter(|want| member.live && want.stage != Stage::Over)?;
            Some((want.due, member.key(), *at))
        };
        let mut order: Vec<_> = (0..number.members.len()).filter_map(|at| active(&at)).collect();
        order.sort_unstable();
        // What has run out makes room for others.
        for (.., at) in &order {
            let member = &mut number.members[*at];
            if member.wants.as_ref().is_some_and(|want| want.valid_until <= self.now) {
                self.start_over(name, member, self.now, "nobody dialled in time", out);
            }
        }
        for (.., at) in order {
            let member = &number.members[at];
            let Some(want) = member.wants.as_deref() else { continue };
            let stage = match want.stage {
                Stage::Waiting | Stage::Blocked if want.due <= self.now => {
                    self.publish(name, number, member, want, out)
                }
                stage @ (Stage::Waiting | Stage::Blocked | Stage::Published | Stage::Over) => stage,
            };
            if let Some(want) = number.members[at].wants.as_mut() {
                want.stage = stage;
            }
        }
    }

    /// Publishes what is due, if nothing stands against it.
    fn publish(&self, name: &CallingNumber, number: &Number, member: &Member, want: &Want, out: &mut Effects) -> Stage {
        // One call to a number at a time.
        if !number.open.is_empty() || self.forbidden(name, number, &member.campaign).is_some() {
            return Stage::Blocked;
        }
        if let Some(until) = number.capped_until(self.now, want.cap_24h) {
            tell(member, name, self.now, Word::Capped { verdict: want.verdict, until }, out);
            return Stage::Over;
        }
        if number.counting(self.now) + number.published() >= want.cap_24h as usize {
            return Stage::Blocked;
        }
        let due = Due { at: self.now, ..message(name, member, want) };
        let id = format!("retry_due:{}", due.verdict_id);
        out.tell_dialers(RETRY_DUE, "retry_due", &member.key(), id, self.now, &due);
        Stage::Published
    }

    /// Calls of others have used up what was allowed: what was published is taken back.
    pub(super) fn take_back_capped(&self, name: &CallingNumber, number: &mut Number, at: Micros, out: &mut Effects) {
        let at = at.max(self.now);
        let capped = |want: &Want| number.capped_until(at, want.cap_24h);
        let over: Vec<_> = number.members.iter().map(|member| member.wants.as_deref().and_then(capped)).collect();
        for (member, until) in number.members.iter_mut().zip(over) {
            let (Some(want), Some(until)) = (member.wants.as_deref().filter(|it| it.stage == Stage::Published), until)
            else {
                continue;
            };
            withdraw(name, member, want, at, "the number was called as often as is allowed in 24 hours", out);
            tell(member, name, at, Word::Capped { verdict: want.verdict, until }, out);
            if let Some(want) = &mut member.wants {
                want.stage = Stage::Over;
            }
        }
    }

    /// What a contact wishes is over; it says anew what it wishes now.
    pub(super) fn start_over(
        &self,
        name: &CallingNumber,
        member: &mut Member,
        at: Micros,
        reason: &str,
        out: &mut Effects,
    ) {
        let Some(want) = member.wants.as_deref().filter(|want| want.stage != Stage::Over) else { return };
        if want.stage == Stage::Published {
            withdraw(name, member, want, at.max(self.now), reason, out);
        }
        tell(member, name, at.max(self.now), Word::Expired { verdict: want.verdict }, out);
        if let Some(want) = &mut member.wants {
            want.stage = Stage::Over;
        }
    }

    /// Somebody dials the number: whose due it was is told to be dialled, others must wait for a new verdict.
    pub(super) fn dialled(
        &self,
        name: &CallingNumber,
        number: &mut Number,
        of: Option<(&str, &str)>,
        at: Micros,
        out: &mut Effects,
    ) {
        for member in &mut number.members {
            let key = member.key();
            let is_own = of.is_some_and(|(campaign, contact)| member.is(campaign, contact));
            let Some(want) = member.wants.as_deref().filter(|want| want.stage == Stage::Published) else { continue };
            if is_own {
                let state = (LeaseState::Dialled, None, None);
                tell_lease(("", ""), &verdict_id(&key, want.verdict), &key, state, at, out);
            } else {
                self.start_over(name, member, at, "the number is being dialled", out);
            }
        }
        if let Some((campaign, contact)) = of
            && let Some(want) = number.member(campaign, contact).and_then(|member| member.wants.as_mut())
        {
            want.stage = Stage::Over;
        }
    }

    /// The contact wishes something else now: what dialers were told is taken back, unless it was dialled.
    pub(super) fn take_back(&self, name: &CallingNumber, member: &mut Member, said: &Wish, out: &mut Effects) {
        if said.dialled {
            member.wants = None;
        }
        self.end_want(
            name,
            member,
            self.now.max(said.at),
            said.reason.as_deref().unwrap_or("the contact is gone"),
            out,
        );
        member.wants = None;
    }

    /// Ends what is wanted, and tells dialers if they know of it.
    pub(super) fn end_want(
        &self,
        name: &CallingNumber,
        member: &mut Member,
        at: Micros,
        reason: &str,
        out: &mut Effects,
    ) {
        if let Some(want) = member.wants.as_deref().filter(|want| want.stage == Stage::Published) {
            withdraw(name, member, want, at, reason, out);
        }
        if let Some(want) = &mut member.wants {
            want.stage = Stage::Over;
        }
    }
}

fn message(name: &CallingNumber, member: &Member, want: &Want) -> Due {
    Due {
        verdict_id: verdict_id(&member.key(), want.verdict),
        campaign: member.campaign.to_string(),
        contact: member.contact.to_string(),
        number: name.clone(),
        attempt: want.attempt,
        agent: want.agent.as_deref().map(str::to_owned),
        due_at: want.due,
        valid_until: want.valid_until,
        withdrawn: false,
        reason: None,
        at: want.due,
    }
}

fn withdraw(name: &CallingNumber, member: &Member, want: &Want, at: Micros, reason: &str, out: &mut Effects) {
    let due = Due { withdrawn: true, reason: Some(reason.to_owned()), at, ..message(name, member, want) };
    let id = format!("retry_due:{}:withdrawn", due.verdict_id);
    out.tell_dialers(RETRY_DUE, "retry_due", &member.key(), id, at, &due);
}

/// Tells how it stands with what somebody has claimed or had.
pub(super) fn tell_lease(
    (lease_id, dialer): (&str, &str),
    verdict_id: &str,
    of: &ContactKey,
    (state, until, reason): (LeaseState, Option<Micros>, Option<&str>),
    at: Micros,
    out: &mut Effects,
) {
    let lease = Lease {
        lease_id: lease_id.to_owned(),
        dialer: dialer.to_owned(),
        verdict_id: verdict_id.to_owned(),
        state,
        until,
        reason: reason.map(str::to_owned),
        at,
    };
    let id = format!("lease:{lease_id}:{verdict_id}:{}", at.0);
    out.tell_dialers(LEASES, "lease", of, id, at, &lease);
}
