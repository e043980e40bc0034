//! Who may have what is due: claims of dialers, judged by all that is known of the number at that moment, and acknowledgements.
//!
//! A lease is given by the fold alone, at the claim's place in the topic, so that any number of servers give a contact to one
//! dialer. Must not know how dialers ask.

use calltide_schemas::Micros;
use calltide_schemas::recycling::{Acknowledged, Acknowledgement, Claim, ContactKey, LeaseState, verdict_id};

use super::number::{Leased, Number, Stage};
use super::numbers::Numbers;
use super::publishing::tell_lease;
use crate::fold::Effects;

impl Numbers {
    /// A dialer wants to have what is due.
    pub(super) fn claim(&mut self, said: &Claim, out: &mut Effects) {
        let Some(of) = ContactKey::read(&said.verdict_id) else { return };
        // The last part of a verdict's id is its number.
        let Some((contact, nth)) =
            of.contact.rsplit_once('/').and_then(|(c, nth)| Some((c.to_owned(), nth.parse::<u32>().ok()?)))
        else {
            return;
        };
        let mut number = self.get(&said.number.0);
        let (state, until, reason) = self.judge_claim(said, (&of.campaign, &contact, nth), &mut number);
        let of = ContactKey::new(&of.campaign, &contact);
        tell_lease((&said.lease_id, &said.dialer), &said.verdict_id, &of, (state, until, reason), said.at, out);
        self.keep(&said.number.0, &number);
    }

    /// Whether a dialer may have it, by what is known at this moment.
    fn judge_claim(
        &self,
        said: &Claim,
        (campaign, contact, nth): (&str, &str, u32),
        number: &mut Number,
    ) -> (LeaseState, Option<Micros>, Option<&'static str>) {
        let refused = |reason| (LeaseState::Refused, None, Some(reason));
        let wants = |number: &Number| {
            let member = number.members.iter().find(|member| member.is(campaign, contact))?;
            member.wants.as_deref().cloned()
        };
        let Some(want) = wants(number) else { return refused("the contact does not wish to be called") };
        if want.verdict != nth {
            return refused("a later verdict has replaced it");
        }
        if want.stage != Stage::Published {
            return refused("it is not due, or was dialled");
        }
        if want.valid_until <= said.at {
            return refused("its time is over");
        }
        if !number.open.is_empty() {
            return refused("the number is being dialled");
        }
        if self.forbidden(&said.number, number, campaign).is_some() {
            return refused("nobody may call the number");
        }
        if number.capped_until(self.now.max(said.at), want.cap_24h).is_some() {
            return refused("the number was called as often as is allowed in 24 hours");
        }
        if want.lease.as_ref().is_some_and(|it| it.until > said.at && *it.lease_id != *said.lease_id) {
            return (LeaseState::Elsewhere, None, Some("another dialer has it"));
        }
        let until = said.until.min(want.valid_until);
        if let Some(want) = number.member(campaign, contact).and_then(|member| member.wants.as_mut()) {
            want.lease = Some(Box::new(Leased { lease_id: said.lease_id.as_str().into(), until }));
        }
        (LeaseState::Granted, Some(until), None)
    }

    /// A dialer says what it did with what it had.
    pub(super) fn acknowledged(&mut self, said: &Acknowledged, out: &mut Effects) {
        let mut number = self.get(&said.number.0);
        for member in &mut number.members {
            let of = member.key();
            let Some(want) = member.wants.as_mut() else { continue };
            let is_this = verdict_id(&of, want.verdict) == said.verdict_id;
            let Some(lease) = want.lease.as_mut().filter(|it| is_this && *it.lease_id == *said.lease_id) else {
                continue;
            };
            let state = match said.done {
                Acknowledgement::Dialled => {
                    lease.until = want.valid_until;
                    (LeaseState::Granted, Some(want.valid_until), None)
                }
                Acknowledgement::Returned => {
                    want.lease = None;
                    (LeaseState::Returned, None, Some("it was given back"))
                }
            };
            tell_lease((&said.lease_id, ""), &said.verdict_id, &of, state, said.at, out);
        }
        self.keep(&said.number.0, &number);
    }
}
