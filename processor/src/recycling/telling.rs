//! What comes of a decision: rows for everybody, a word for dialers, and a wish to the fold of the contact's number.
//!
//! A verdict is told when it differs from the one before. While a dial is under way nothing new is wished for; the verdict
//! follows when it is over.

use std::hash::{Hash, Hasher};

use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::Target;
use calltide_schemas::recycling::{
    CallingNumber, ContactKey, ForContacts, ForNumbers, Loaded, Reached, Retargeted, Wanted, Wish, verdict_id,
};
use calltide_schemas::topics::{RETARGET, RETRY_LATER};

use super::contact::{Contact, Given, Kind};
use super::contacts::{Contacts, Trigger, entry_key};
use super::deciding::{CALLBACK, Case, Decision};
use super::rows::{ContactRow, VerdictRow};
use super::rulebook::ALL_OTHERS;
use crate::fold::{Effects, Row as _};

impl Contacts {
    /// Decides on a contact that changed, tells what is new, and keeps it.
    pub(super) fn conclude(
        &mut self,
        of: &ContactKey,
        (before, mut contact): (&Contact, Contact),
        trigger: Trigger,
        at: Micros,
        out: &mut Effects,
    ) {
        let about = contact.about();
        let list_held = self.list_held(of, &about);
        let book = self.book.of(&of.campaign);
        let has_ended =
            self.has_ended(&of.campaign) || (self.book.own(&of.campaign).is_none() && self.has_ended(ALL_OTHERS));
        let case = Case { contact: &contact, campaign: &of.campaign, book, list_held, has_ended, at };
        let decision = case.decide(&mut self.atlas);
        let version = book.version;
        let dials_now = contact.is_dialled(at) && decision.kind == Kind::Retry;
        let digest = digest(&decision, &contact);
        let is_new = !dials_now
            && contact.verdict.as_ref().is_none_or(|given| given.digest != digest || given.dialled || given.over);
        let decision = if dials_now { under_way(decision) } else { decision };
        if trigger == Trigger::Dial {
            dialled(of, &mut contact, at, out);
        }
        if is_new {
            self.give(of, &mut contact, &decision, digest, (trigger, at, version), out);
        }
        self.register(of, before, &contact, at, out);
        tell_person(of, before, &contact, at, out);
        // What is told once more changes nothing; rules that change are named by the row.
        let says_nothing_new = !is_new && contact == *before && trigger != Trigger::Rules;
        if contact.verdict.is_some() && !says_nothing_new {
            contact.version += 1;
            self.rows(of, &contact, &decision, is_new, (at, version), out);
        }
        self.store.put(&entry_key(of), &contact);
    }

    /// A new verdict.
    fn give(
        &self,
        of: &ContactKey,
        contact: &mut Contact,
        decision: &Decision,
        digest: u64,
        (trigger, at, rules_version): (Trigger, Micros, u32),
        out: &mut Effects,
    ) {
        let before = contact.verdict.take();
        if decision.kind == Kind::Closed {
            // It is not told any more, and told anew when it comes back.
            contact.lines.iter_mut().for_each(|line| (line.suppressed, line.capped_until) = (None, None));
        }
        let nth = before.as_ref().map_or(1, |given| given.nth + 1);
        let line = decision.due.as_ref().and_then(|due| u8::try_from(due.line).ok());
        let promised = decision.rule == CALLBACK;
        let given = Given { nth, kind: decision.kind, digest, line, promised, dialled: false, over: false };
        contact.not_before = contact.not_before.max(decision.not_before);
        let number = number_of(contact, &given);
        let row = VerdictRow {
            verdict_id: verdict_id(of, nth),
            contact_key: of.to_string(),
            campaign: of.campaign.clone(),
            contact: of.contact.clone(),
            verdict: decision.kind.name(),
            due_at: decision.due.as_ref().map(|due| due.at),
            valid_until: decision.due.as_ref().map(|due| due.valid_until),
            number_e164: number.clone(),
            agent: decision.due.as_ref().and_then(|due| due.agent.clone()),
            rule: decision.rule.clone(),
            reason: decision.reason.clone(),
            trigger: trigger.name(),
            facts: decision.facts.to_string(),
            rules_version,
            attempts: contact.dials(),
            decided_at: at,
            version: 1,
            updated_at: at,
        };
        out.publish("calltide.verdicts", "verdict", at.0, &row);
        wish(of, contact, before.as_ref(), &given, (decision, at), out);
        let goes_to = decision.to.as_ref().map(|to| super::digest(format!("{to:?}").as_bytes()));
        if decision.kind == Kind::Retarget && contact.went_to != goes_to {
            contact.went_to = goes_to;
            retarget(of, contact, decision, row.verdict_id, at, out);
        }
        contact.verdict = Some(given);
    }

    /// Tells the folds of new numbers, and of its person, that this contact wants to hear of them, or, once it is closed, that
    /// it does not any more.
    fn register(&self, of: &ContactKey, before: &Contact, contact: &Contact, at: Micros, out: &mut Effects) {
        let kind = |contact: &Contact| contact.verdict.as_ref().map(|given| given.kind);
        let was_closed = kind(before) == Some(Kind::Closed);
        let is_closed = kind(contact) == Some(Kind::Closed);
        let person = |contact: &Contact| contact.about().person.map(|person| CallingNumber(format!("person:{person}")));
        let numbers = |contact: &Contact| {
            let lines = contact.lines.iter().map(|line| line.number.clone());
            lines.chain(person(contact)).collect::<Vec<_>>()
        };
        let told = if was_closed { Vec::new() } else { numbers(before) };
        let wished =
            contact.verdict.as_ref().filter(|given| given.kind == Kind::Retry).and_then(|g| number_of(contact, g));
        for number in numbers(contact) {
            let is_told = told.contains(&number);
            if (is_closed && !is_told) || (!is_closed && (is_told || wished.as_ref() == Some(&number))) {
                continue;
            }
            let wish = Wish { gone: is_closed, ..wish_of(of, contact, number.clone(), at) };
            out.tell_number(&number, &ForNumbers::Wish(wish));
        }
    }

    /// The contact's row, and what dialers see of it.
    fn rows(
        &self,
        of: &ContactKey,
        contact: &Contact,
        decision: &Decision,
        is_new: bool,
        (at, rules_version): (Micros, u32),
        out: &mut Effects,
    ) {
        let Some(given) = &contact.verdict else { return };
        let about = contact.about();
        let last = contact.counted().next_back();
        let own = contact.tries.iter().rev().find(|tried| tried.reached());
        let elsewhere = contact.reached.as_ref().map(|it| it.call_id.to_string());
        let row = ContactRow {
            contact_key: of.to_string(),
            campaign: of.campaign.clone(),
            contact: of.contact.clone(),
            list: about.list.map(Into::into),
            person: about.person.map(Into::into),
            number_e164: number_of(contact, given).or_else(|| last_number(contact)),
            verdict: given.kind.name(),
            due_at: decision.due.as_ref().map(|due| due.at),
            valid_until: decision.due.as_ref().map(|due| due.valid_until),
            rule: decision.rule.clone(),
            reason: decision.reason.clone(),
            verdict_id: verdict_id(of, given.nth),
            rules_version,
            agent: decision.due.as_ref().and_then(|due| due.agent.clone()).or(about.agent.map(Into::into)),
            callback_at: contact.promise.as_ref().map(|promise| promise.at),
            attempts: contact.dials(),
            dialling: contact.open.len(),
            last_call_id: last.and(contact.last_call.as_deref()).map(str::to_owned),
            last_status: last.map(|tried| tried.status.name()),
            last_class: last.map(|tried| tried.status.class().name()),
            last_attempt_at: last.map(|tried| tried.ended),
            best_class: contact.best_class().map_or("pending", calltide_schemas::status::Class::name),
            reached: own.is_some() || contact.reached.is_some(),
            reached_by: elsewhere,
            published: contact.live,
            from_campaign: about.from_campaigns.last().cloned(),
            loaded_at: contact.loaded,
            first_seen_at: contact.first_seen,
            version: i64::from(contact.version),
            updated_at: at,
        };
        out.publish("calltide.contacts", "contact", at.0, &row);
        if contact.live && is_new {
            match given.kind {
                Kind::Retry => out.publish(RETRY_LATER, "retry_later", at.0, &row),
                Kind::Exhausted
                | Kind::Done
                | Kind::Suppressed
                | Kind::Retarget
                | Kind::Invalid
                | Kind::Held
                | Kind::Closed => out.withdraw(RETRY_LATER, "retry_later", row.key(), row.version, at.0),
            }
        }
    }
}

/// What the row of a contact says while it is dialled.
fn under_way(decision: Decision) -> Decision {
    let reason = "a dial is under way; it is decided when that is over".to_owned();
    Decision { due: None, rule: "dialling".to_owned(), reason, to: None, not_before: None, ..decision }
}

/// A dial is under way: what was wished for is being done, or, on another number, is not needed for now.
fn dialled(of: &ContactKey, contact: &mut Contact, at: Micros, out: &mut Effects) {
    let Some(open) = contact.open.last().copied() else { return };
    let Some(given) = contact.verdict.as_mut().filter(|given| given.kind == Kind::Retry && !given.dialled) else {
        return;
    };
    given.dialled = true;
    let given = given.clone();
    if let Some(promise) = contact.promise.as_mut().filter(|_| given.promised) {
        promise.kept_by = Some(open.call);
    }
    if let Some(number) = number_of(contact, &given) {
        let dialled = open.line == given.line;
        let reason = Some("the contact is being dialled on another number".to_owned());
        let wish = Wish { dialled, reason, ..wish_of(of, contact, number.clone(), at) };
        out.tell_number(&number, &ForNumbers::Wish(wish));
    }
}

/// Tells the fold of the number what is wanted now, and that of another number that nothing is any more.
fn wish(
    of: &ContactKey,
    contact: &Contact,
    before: Option<&Given>,
    given: &Given,
    (decision, at): (&Decision, Micros),
    out: &mut Effects,
) {
    let wished = |given: &Given| (given.kind == Kind::Retry).then(|| number_of(contact, given)).flatten();
    let was_dialled = before.is_some_and(|before| before.dialled);
    let number = wished(given);
    if let Some(earlier) = before.and_then(wished).filter(|earlier| Some(earlier) != number.as_ref()) {
        let reason = Some(format!("{}: {}", decision.kind.name(), decision.reason));
        let wish = Wish { dialled: was_dialled, reason, ..wish_of(of, contact, earlier.clone(), at) };
        out.tell_number(&earlier, &ForNumbers::Wish(wish));
    }
    let (Some(number), Some(due)) = (number, &decision.due) else { return };
    let wanted = Wanted {
        verdict: given.nth,
        attempt: contact.dials() + 1,
        agent: due.agent.clone(),
        due_at: due.at,
        valid_until: due.valid_until,
        cap_24h: due.cap_24h,
    };
    let reason = Some(format!("{}: {}", decision.kind.name(), decision.reason));
    let wish = Wish { call: Some(wanted), dialled: was_dialled, reason, ..wish_of(of, contact, number.clone(), at) };
    out.tell_number(&number, &ForNumbers::Wish(wish));
}

fn wish_of(of: &ContactKey, contact: &Contact, number: CallingNumber, at: Micros) -> Wish {
    Wish {
        at,
        live: contact.live,
        campaign: of.campaign.clone(),
        contact: of.contact.clone(),
        number,
        call: None,
        dialled: false,
        reason: None,
        gone: false,
    }
}

/// The contact goes on elsewhere.
fn retarget(
    of: &ContactKey,
    contact: &Contact,
    decision: &Decision,
    verdict_id: String,
    at: Micros,
    out: &mut Effects,
) {
    let Some(to) = &decision.to else { return };
    let numbers: Vec<CallingNumber> = contact.lines.iter().map(|line| line.number.clone()).collect();
    let about = contact.about();
    if let Target::Campaign(campaign) = to {
        let mut from_campaigns = about.from_campaigns.clone();
        from_campaigns.push(of.campaign.clone());
        let loaded = Loaded {
            at,
            who: format!("rule {} of campaign {}", decision.rule, of.campaign),
            campaign: campaign.clone(),
            contact: of.contact.clone(),
            numbers: numbers.clone(),
            tz: about.tz.map(Into::into),
            list: None,
            person: about.person.map(Into::into),
            agent: about.agent.map(Into::into),
            reset: false,
            from_campaigns,
            lost_call: None,
            live: contact.live,
        };
        out.tell_contact(&ContactKey::new(campaign, &of.contact), &ForContacts::Loaded(loaded));
    }
    if contact.live {
        let message = Retargeted {
            verdict_id: verdict_id.clone(),
            from_campaign: of.campaign.clone(),
            contact: of.contact.clone(),
            numbers,
            to: to.clone(),
            rule: decision.rule.clone(),
            reason: decision.reason.clone(),
            at,
        };
        out.tell_dialers(RETARGET, "retarget", of, format!("retarget:{verdict_id}"), at, &message);
    }
}

/// Tells the other contacts of the same person that it was reached by an attempt, or was not after all.
fn tell_person(of: &ContactKey, before: &Contact, contact: &Contact, at: Micros, out: &mut Effects) {
    let Some(person) = contact.about().person else { return };
    let reached = |contact: &Contact| contact.counted().rev().find(|tried| tried.reached()).cloned();
    let (was, is) = (reached(before), reached(contact));
    if was.as_ref().map(|tried| tried.call) == is.as_ref().map(|tried| tried.call) {
        return;
    }
    let Some(tried) = is.as_ref().or(was.as_ref()) else { return };
    let said = Reached {
        at,
        live: contact.live,
        person: person.to_string(),
        campaign: of.campaign.clone(),
        contact: of.contact.clone(),
        call_id: format!("of contact {of}"),
        started_at: tried.started,
        withdrawn: is.is_none(),
    };
    out.tell_number(&CallingNumber(format!("person:{person}")), &ForNumbers::Reached(said));
}

fn number_of(contact: &Contact, given: &Given) -> Option<CallingNumber> {
    contact.lines.get(usize::from(given.line?)).map(|line| line.number.clone())
}

fn last_number(contact: &Contact) -> Option<CallingNumber> {
    let dialled = contact.tries.last().and_then(|tried| tried.line).map_or(0, usize::from);
    contact.lines.get(dialled).or(contact.lines.first()).map(|line| line.number.clone())
}

/// Of what makes a verdict a new one. Its sentence may change without that.
fn digest(decision: &Decision, contact: &Contact) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let due = decision.due.as_ref().map(|due| (due.at, due.valid_until, due.line, &due.agent, due.cap_24h));
    (decision.kind, &decision.rule, &decision.to, due, contact.dials(), contact.live).hash(&mut hasher);
    hasher.finish()
}
