//! OriginateResponses: which dial each belongs to.
//!
//! A response that succeeded names its channel. One that failed names only what was dialled and comes just before or after the
//! channel's end: it belongs to the earliest dial of that string that has no response yet. Only after `settle` is one that
//! fits none a call of its own, since its dial may still be told.

use calltide_schemas::Micros;

use super::closing::schedule;
use super::gather;
use super::settings::CallSettings;
use super::state::{Key, State, digest};
use crate::vocabulary::{Birth, Dialler, Fact, OriginateResponse, Teller, Uid, Variable, What};

/// Facts concluded here were not told by any journal.
const CONCLUDED: &str = "";

/// Keeps a response until it is settled which dial it belongs to.
pub(super) fn answered(state: &mut State, pbx: &str, mut response: OriginateResponse, settings: &CallSettings) {
    let named =
        |id: &str| settings.campaigns.iter().find(|it| it.action_ids.as_ref().is_some_and(|ids| ids.is_match(id)));
    if let (None, Some(campaign)) = (&response.campaign, response.action_id.as_deref().and_then(named)) {
        response.campaign = Some(campaign.campaign.as_str().into());
    }
    let clock = &mut state.pbxs.entry(pbx.into()).or_default().clock;
    clock.responses.insert(response);
    state.touch(Key::Clock(pbx.into()));
}

/// Settles the responses that have waited long enough by the PBX's clock.
pub(super) fn settle(state: &mut State, pbx: &str, settings: &CallSettings) {
    let Some(of) = state.pbxs.get(pbx) else { return };
    let until = of.clock.now + -settings.settle_us;
    settle_until(state, pbx, until, settings);
}

/// Settles all responses: nothing more will come.
pub(super) fn settle_all(state: &mut State, pbx: &str, settings: &CallSettings) {
    settle_until(state, pbx, Micros(i64::MAX), settings);
}

fn settle_until(state: &mut State, pbx: &str, until: Micros, settings: &CallSettings) {
    loop {
        let Some(of) = state.pbxs.get_mut(pbx) else { return };
        let Some(response) = of.clock.responses.first().filter(|r| r.at <= until).cloned() else { return };
        of.clock.responses.remove(&response);
        state.touch(Key::Clock(pbx.into()));
        let dial = find(state, pbx, &response, settings.settle_us);
        let reason = What::OriginateReason { reason: response.reason };
        match dial {
            // Of a channel that was forgotten long ago there is nothing to conclude any more.
            Some(uid) if is_forgotten(state, pbx, &uid) => {}
            Some(uid) => {
                conclude(state, pbx, &uid, response.at, reason, settings);
                if let Some(value) = response.campaign {
                    conclude(
                        state,
                        pbx,
                        &uid,
                        response.at,
                        What::Set { variable: Variable::Campaign, value },
                        settings,
                    );
                }
            }
            None => without_channel(state, pbx, &response, settings),
        }
    }
}

/// The channel that a response speaks of.
fn find(state: &State, pbx: &str, response: &OriginateResponse, settle_us: i64) -> Option<Uid> {
    let of = state.pbxs.get(pbx)?;
    if let Some(uid) = &response.uid {
        return Some(uid.clone());
    }
    let dialled = response.channel.split_once('/').map_or(&*response.channel, |(_, dialled)| dialled);
    let open_dial = |uid: &&Uid| -> Option<Micros> {
        let facts = &of.channels.get(*uid)?.facts;
        let told = facts.iter().any(|f| matches!(f.what, What::OriginateReason { .. } | What::Up));
        let began = facts.iter().find(|f| matches!(f.what, What::DialBegan { caller: None, .. }))?.at;
        let gone = facts.iter().find(|f| matches!(f.what, What::Hungup { .. })).map_or(response.at, |f| f.at);
        let near = began <= response.at + settle_us && gone + settle_us >= response.at;
        (!told && near).then_some(began)
    };
    let candidates = of.originated.get(dialled)?;
    candidates.iter().filter_map(|uid| open_dial(&uid).map(|at| (at, uid))).min().map(|(_, uid)| uid.clone())
}

fn is_forgotten(state: &State, pbx: &str, uid: &Uid) -> bool {
    let of = state.pbxs.get(pbx);
    of.is_some_and(|of| !of.channels.contains_key(uid) && of.gone.contains_key(&digest(uid.as_bytes())))
}

/// The id for an Originate without a channel: dialers use an ActionID again, and a repeated response is known by its time.
fn free_id(state: &State, pbx: &str, base: &str, at: Micros) -> Option<Uid> {
    let of = state.pbxs.get(pbx)?;
    let mut uid: Uid = base.into();
    for nth in 2_u64.. {
        match of.channels.get(&uid) {
            Some(channel) if channel.facts.iter().any(|f| f.at == at) => return None,
            None if !of.gone.contains_key(&digest(uid.as_bytes())) => return Some(uid),
            Some(_) | None => uid = format!("{base}~{nth}").into(),
        }
    }
    None
}

fn conclude(state: &mut State, pbx: &str, uid: &Uid, at: Micros, what: What, settings: &CallSettings) {
    let fact = Fact { at, teller: Teller::Ami, what };
    gather::take_in(state, pbx, uid, fact, CONCLUDED);
    let group = state.pbxs.get(pbx).and_then(|of| of.channels.get(uid)).map(|c| c.group.clone());
    if let Some(group) = group {
        schedule(state, pbx, &group, settings);
    }
}

/// An Originate that never made a channel is a call of its own, by its ActionID.
fn without_channel(state: &mut State, pbx: &str, response: &OriginateResponse, settings: &CallSettings) {
    let id = response.action_id.clone().unwrap_or_else(|| format!("{}-{}", response.channel, response.at.0).into());
    let Some(uid) = free_id(state, pbx, &format!("originate/{id}"), response.at) else { return };
    let dialled = response.channel.split_once('/').map_or(&*response.channel, |(_, dialled)| dialled);
    let mut say = |what| conclude(state, pbx, &uid, response.at, what, settings);
    say(What::Created {
        name: "".into(),
        birth: Birth::Down,
        context: None,
        exten: None,
        linkedid: uid.clone(),
        caller: None,
    });
    say(What::Dialled { by: Dialler::Originate });
    say(What::DialBegan { caller: None, dialled: dialled.into() });
    for (variable, value) in [(Variable::Campaign, &response.campaign), (Variable::Contact, &response.contact)] {
        if let Some(value) = value.clone() {
            say(What::Set { variable, value });
        }
    }
    say(What::OriginateReason { reason: response.reason });
    say(What::Hungup { cause: None, by: None, dial_status: None });
}
