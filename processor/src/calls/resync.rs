//! After a connection to the PBX was made again: channels that were up before and are not among those it names are gone.
//!
//! Such a channel gets the fact that it ended unseen, at the last heartbeat before the cut; whatever source knows its real
//! end corrects that, before or after. Channels of which nothing was known come by the answer's own events
//! ([`What::Listed`]).

use std::collections::BTreeSet;

use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, RESYNC_CHANNEL, RESYNC_SINCE};

use super::closing;
use super::gather;
use super::settings::CallSettings;
use super::state::State;
use crate::fold::Effects;
use crate::vocabulary::{Fact, Teller, Uid, What};

/// The PBX named the channels that are up.
pub(super) fn resync(state: &mut State, envelope: &Envelope<'_>, settings: &CallSettings, out: &mut Effects) {
    let pbx: &str = &envelope.pbx;
    let Some(since) = envelope.header(RESYNC_SINCE).and_then(|text| text.parse().ok()).map(Micros) else {
        out.note("malformed_resync");
        return;
    };
    let named = envelope.headers.iter().filter(|h| h.0.as_str() == RESYNC_CHANNEL);
    let up: BTreeSet<&str> = named.map(|h| h.1.as_str()).collect();
    for (uid, at) in unseen_ends(state, pbx, since, &up) {
        let fact = Fact { at, teller: Teller::Ami, what: What::EndedUnseen };
        if gather::take_in(state, pbx, &uid, fact, &envelope.journal) {
            out.note("ended_unseen");
        }
        let group = state.pbxs.get(pbx).and_then(|of| of.channels.get(&uid)).map(|channel| channel.group.clone());
        if let Some(group) = group {
            closing::schedule(state, pbx, &group, settings);
        }
    }
}

/// The channels that were up before that time and are not any more, each with the last moment at which it was.
fn unseen_ends(state: &State, pbx: &str, since: Micros, up: &BTreeSet<&str>) -> Vec<(Uid, Micros)> {
    let Some(of) = state.pbxs.get(pbx) else { return Vec::new() };
    let alive_at = of.clock.alive_before(since);
    let channels = of.open.iter().filter_map(|id| of.groups.get(id)).flat_map(|group| &group.channels);
    let mut ended = Vec::new();
    for uid in channels.filter(|uid| !up.contains(&***uid)) {
        let Some(channel) = of.channels.get(uid).filter(|channel| !channel.gone) else { continue };
        // What began since then is told by this connection itself.
        let Some(first) = channel.facts.iter().map(|fact| fact.at).min().filter(|first| *first < since) else {
            continue;
        };
        ended.push((uid.clone(), alive_at.map_or(first, |at| at.max(first))));
    }
    ended
}
