//! What recycling is told of calls: campaign dials that are under way, and each call with the outside once it is settled.
//!
//! What was told is remembered with the group, so that a call that turns out to be a part of another is taken back.

use std::collections::BTreeMap;

use calltide_schemas::Micros;
use calltide_schemas::journals::IMPORTED;
use calltide_schemas::recycling::rules::Elsewhere;
use calltide_schemas::recycling::{Attempt, Call, CallingNumber, ContactKey, Dial, ForContacts, ForNumbers, Loaded};
use calltide_schemas::status::{Class, Status};
use serde::{Deserialize, Serialize};

use super::closing::tell_group;
use super::rows::CallRow;
use super::settings::CallSettings;
use super::state::{Group, State};
use super::telling::Scope;
use crate::fold::Effects;

/// Whom a call was told to belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fed {
    number: Option<CallingNumber>,
    contact: Option<(String, String)>,
}

/// By call.
pub(super) type AllFed = BTreeMap<Box<str>, Fed>;

impl Fed {
    fn of(row: &CallRow) -> Self {
        let contact = (row.direction == "outbound").then(|| row.campaign.clone().zip(row.contact.clone())).flatten();
        Self { number: CallingNumber::of(row.number_e164.as_deref(), row.number_raw.as_deref()), contact }
    }
}

/// Whether something was told as it happened.
fn is_live(group: &Group) -> bool {
    group.journals.iter().any(|journal| !journal.is_empty() && !journal.starts_with(IMPORTED))
}

/// Tells of the campaign dials that are under way and were not told yet.
pub(super) fn dials(state: &mut State, pbx: &str, settings: &CallSettings, out: &mut Effects) {
    let waiting = state.pbxs.get_mut(pbx).map(|of| std::mem::take(&mut of.dialling)).unwrap_or_default();
    for id in waiting {
        let Some(of) = state.pbxs.get_mut(pbx) else { return };
        let Some(told) = tell_group(of, pbx, &id, Scope::Calls, settings) else { continue };
        let Some(group) = of.groups.get_mut(&id) else { continue };
        // Of what is over the settled call is told.
        let is_over = group.open == 0 || group.settled;
        let mut complete = is_over;
        let under_way = told.calls.iter().filter(|row| !is_over && row.direction == "outbound");
        for row in under_way {
            let fed = Fed::of(row);
            let (Some((campaign, contact)), Some(number)) = (fed.contact.clone(), fed.number.clone()) else { continue };
            complete = true;
            if group.fed.contains_key(row.call_id.as_str()) {
                continue;
            }
            group.fed.insert(row.call_id.as_str().into(), fed);
            let (at, call_id) = (row.started_at, row.call_id.clone());
            let of = ContactKey::new(&campaign, &contact);
            let dial = Dial { at, call_id, campaign: Some(campaign), contact: Some(contact), number: number.clone() };
            out.tell_contact(&of, &ForContacts::Dial(dial.clone()));
            out.tell_number(&number, &ForNumbers::Dial(dial));
        }
        if complete {
            group.dialling = false;
            state.touch_group(pbx, &id);
        } else {
            // Whom it is for, or which number, may be told later.
            of.dialling.insert(id);
        }
    }
}

/// Tells of the calls of a settled group, as they were published: with their versions, if there is anything new.
pub(super) fn settled(
    group: &mut Group,
    rows: &[CallRow],
    versions: &BTreeMap<String, i64>,
    settings: &CallSettings,
    out: &mut Effects,
) {
    let live = is_live(group);
    let mut fed = std::mem::take(&mut group.fed);
    let mut kept = AllFed::new();
    for row in rows.iter().filter(|row| row.direction != "internal") {
        let before = fed.remove(row.call_id.as_str());
        let now = Fed::of(row);
        let Some(version) = versions.get(&row.call_id) else {
            kept.extend(before.map(|before| (row.call_id.as_str().into(), before)));
            continue;
        };
        // It was told of another contact or number before.
        if let Some(before) = before.filter(|before| *before != now) {
            take_back(&row.call_id, *version, live, row.ended_at, &before, out);
        }
        tell(row, &now, *version, live, out);
        lost_caller(row, &now, live, settings, out);
        kept.insert(row.call_id.as_str().into(), now);
    }
    for (call_id, before) in fed {
        take_back(&call_id, i64::MAX, live, group.last, &before, out);
    }
    group.fed = kept;
}

fn tell(row: &CallRow, fed: &Fed, version: i64, live: bool, out: &mut Effects) {
    let outbound = row.direction == "outbound";
    let by_agent = row.handled_by == "agent";
    let Some(status) = Status::ALL.into_iter().find(|status| status.name() == row.status) else { return };
    if let Some((campaign, contact)) = &fed.contact {
        let attempt = Attempt {
            call_id: row.call_id.clone(),
            version,
            withdrawn: false,
            live,
            campaign: campaign.clone(),
            contact: contact.clone(),
            number: fed.number.clone(),
            status,
            cause: row.hangup_cause,
            reached: by_agent,
            dropped: row.dropped,
            short: row.short,
            dialled: row.dialled,
            started_at: row.started_at,
            ended_at: row.ended_at,
        };
        out.tell_contact(&ContactKey::new(campaign, contact), &ForContacts::Attempt(attempt));
    }
    let Some(number) = &fed.number else { return };
    let how = match (outbound, &fed.contact) {
        (false, _) => Elsewhere::Inbound,
        (true, Some(_)) => Elsewhere::Campaign,
        (true, None) => Elsewhere::Manual,
    };
    let call = Call {
        call_id: row.call_id.clone(),
        version,
        withdrawn: false,
        live,
        number: number.clone(),
        counts: outbound && row.dialled,
        reached: (by_agent && status.class() == Class::Connected).then_some(how),
        campaign: row.campaign.clone(),
        contact: row.contact.clone(),
        started_at: row.started_at,
        ended_at: row.ended_at,
    };
    out.tell_number(number, &ForNumbers::Call(call));
}

/// A call turned out to be a part of another, or to be for somebody else.
fn take_back(call_id: &str, version: i64, live: bool, at: Micros, fed: &Fed, out: &mut Effects) {
    if let Some((campaign, contact)) = &fed.contact {
        let attempt = Attempt {
            call_id: call_id.to_owned(),
            version,
            withdrawn: true,
            live,
            campaign: campaign.clone(),
            contact: contact.clone(),
            number: None,
            status: Status::NoAnswer,
            cause: None,
            reached: false,
            dropped: false,
            short: false,
            dialled: false,
            started_at: at,
            ended_at: at,
        };
        out.tell_contact(&ContactKey::new(campaign, contact), &ForContacts::Attempt(attempt));
    }
    if let Some(number) = &fed.number {
        let call = Call {
            call_id: call_id.to_owned(),
            version,
            withdrawn: true,
            live,
            number: number.clone(),
            counts: false,
            // Whoever counts as reached by this call is not.
            reached: Some(Elsewhere::Manual),
            campaign: None,
            contact: None,
            started_at: at,
            ended_at: at,
        };
        out.tell_number(number, &ForNumbers::Call(call));
    }
}

/// A caller who was lost is called back by the entry's recall campaign, if it has one.
fn lost_caller(row: &CallRow, fed: &Fed, live: bool, settings: &CallSettings, out: &mut Effects) {
    let lost = row.direction == "inbound" && matches!(row.status, "abandoned" | "no_agent");
    let recall = row.campaign.as_ref().and_then(|entry| settings.recall.get(entry));
    let (true, Some(campaign), Some(number)) = (lost, recall, &fed.number) else { return };
    let contact = number.digits().to_owned();
    let loaded = Loaded {
        at: row.ended_at,
        who: "a lost call".to_owned(),
        campaign: campaign.clone(),
        contact: contact.clone(),
        numbers: vec![number.clone()],
        lost_call: Some(row.call_id.clone()),
        live,
        ..Loaded::default()
    };
    out.tell_contact(&ContactKey::new(campaign, &contact), &ForContacts::Loaded(loaded));
}
