//! What PBXs say of members, phones and legs, as it is kept, and what of a person's timeline it changes.
//!
//! Whom it is about is asked of [`super::people`]; what follows from it is told by [`super::telling`].

use calltide_schemas::Micros;
use calltide_schemas::agents::{LegSaid, MemberSaid, MemberWhat, Registered, Server, ServerWhat};

use super::Agents;
use super::kept::{KeptLeg, KeptMember, key, key_at, parts};
use super::people::Called;
use super::presence::{Happened, MemberFact, Teller, presence, remember};
use super::timeline::Window;
use crate::fold::Effects;

/// A list of all members comes within this time.
const LIST_LASTS_US: i64 = 30_000_000;

impl Agents {
    pub(super) fn member(&mut self, said: &MemberSaid, out: &mut Effects) {
        let MemberSaid { at, pbx, by_log, member, what } = said;
        if let (MemberWhat::WrapUpSetting(ms), Some(queue)) = (what, &member.queue) {
            return self.store.put(&key(b'w', &[pbx, queue]), ms);
        }
        if member.agent.is_empty() || member.agent.contains('\0') {
            return out.note("member_without_a_name");
        }
        // Who is listed has been a member since then, by the same device.
        let there = if let MemberWhat::Listed { since: Some(since), .. } = what { (*since).min(*at) } else { *at };
        let called = Called { pbx, name: &member.agent, device: member.device.as_deref() };
        self.learn(called, there);
        if there < *at {
            self.learn(called, *at);
        }
        // A log that names the interface means the member whose it is.
        let name = &self.member_name(pbx, &member.agent, *at);
        let person = self.who(Called { pbx, name, device: member.device.as_deref() }, *at);
        let entry = key(b'm', &[&person, pbx, name, member.queue.as_deref().unwrap_or_default()]);
        let mut kept: KeptMember = self.store.get(&entry).unwrap_or_default();
        if let Some(device) = member.device.as_deref().filter(|device| device != name) {
            kept.devices.say(there, device);
        }
        let listed = matches!(what, MemberWhat::Listed { .. });
        if listed {
            kept.listed = Some(*at);
        }
        let by = if *by_log { Teller::Log } else { Teller::Ami };
        let fact = MemberFact { at: *at, by, what: Happened::Said(what.clone()) };
        let before = presence(&kept.facts, &[]);
        let mut facts = kept.facts.clone();
        let since = remember(&mut facts, fact);
        // What is listed as it is known says nothing new.
        let news = since.filter(|_| !listed || presence(&facts, &[]) != before);
        if let Some(since) = news {
            kept.facts = facts;
            // Who was in the queue unseen has been there since then.
            let entered = presence(&kept.facts, &[]).stays.last().map(|stay| stay.from);
            let is_new = entered != before.stays.last().map(|stay| stay.from);
            let from = entered.filter(|_| is_new).map_or(since, |entered| entered.min(since));
            self.dirty(&person, Window { from, to: None });
        } else if !listed {
            out.note("duplicate_member_fact");
        }
        self.store.put(&entry, &kept);
    }

    /// What concerns all members of a PBX.
    pub(super) fn server(&mut self, said: &Server) {
        let members: Vec<Vec<u8>> = self.store.keys(b"m", None).map(<[u8]>::to_vec).collect();
        for entry in members {
            let [person, pbx, _, queue] = parts(&entry)[..] else { continue };
            // Nobody lists who is logged in without a queue.
            let concerns = pbx == said.pbx && (said.what != ServerWhat::AllListed || !queue.is_empty());
            let Some(mut kept) = concerns.then(|| self.store.get::<KeptMember>(&entry)).flatten() else { continue };
            let known = presence(&kept.facts, &[]);
            let open = known.stays.last().filter(|stay| stay.to.is_none());
            let is_paused = known.pauses.last().is_some_and(|pause| pause.to.is_none());
            let began = said.at + -LIST_LASTS_US;
            let what = match said.what {
                ServerWhat::Ended if open.is_some() || is_paused => Happened::PbxEnded,
                ServerWhat::FilesEnded if open.is_some() || is_paused => Happened::FilesEnded,
                ServerWhat::AllListed
                    if open.is_some_and(|stay| stay.from < began) && kept.listed.is_none_or(|at| at < began) =>
                {
                    Happened::NotListed
                }
                ServerWhat::Ended | ServerWhat::FilesEnded | ServerWhat::AllListed => continue,
            };
            let fact = MemberFact { at: said.at, by: Teller::Both, what };
            if let Some(since) = remember(&mut kept.facts, fact) {
                let person = person.to_owned();
                self.store.put(&entry, &kept);
                self.dirty(&person, Window { from: since, to: None });
            }
        }
    }

    pub(super) fn registered(&mut self, said: &Registered) {
        let entry = key(b'r', &[&said.pbx, &said.device]);
        match &said.address {
            Some(address) => self.store.put(&entry, address),
            None => self.store.remove(&entry),
        }
    }

    pub(super) fn leg(&mut self, said: &LegSaid, out: &mut Effects) {
        let owner = key(b'p', &[&said.leg_id]);
        if let Some((person, at)) = self.store.get::<(String, Micros)>(&owner) {
            let entry = key_at(b'l', &person, at, &said.leg_id);
            if let Some(window) = self.store.get::<KeptLeg>(&entry).and_then(|leg| leg.window()) {
                self.dirty(&person, window);
            }
            self.store.remove(&entry);
            self.store.remove(&owner);
        }
        let Some(first) = said.activities.first().filter(|_| !said.withdrawn) else { return };
        let Some((called, person)) = self.whose(said, first.from) else { return out.note("leg_of_nobody") };
        let leg = KeptLeg {
            pbx: said.pbx.clone(),
            call_id: said.call_id.clone(),
            queue: said.queue.clone(),
            activities: said.activities.clone(),
            is_answered: said.is_answered,
            wrap_up_ms: self.wrap_up_ms(said, first.from),
        };
        if let Some(window) = leg.window() {
            self.dirty(&person, window);
        }
        self.store.put(&key_at(b'l', &person, first.from, &said.leg_id), &leg);
        self.store.put(&owner, &(&person, first.from));
        self.name(called, &person, first.from, out);
    }

    /// Who had the leg: the agent that the queue names, else whose device it was.
    fn whose<'a>(&mut self, said: &'a LegSaid, at: Micros) -> Option<(Called<'a>, String)> {
        let pbx: &str = &said.pbx;
        let device = said.device.as_deref();
        let Some(name) = said.agent.as_deref() else {
            // Somebody's ordinary telephone.
            let external = self.directory.external(pbx, device?, at)?.id.clone();
            let inside = external.strip_prefix(&format!("{pbx}/"))?.to_owned();
            let called = Called { pbx, name: device?, device: None };
            return Some((called, self.who(Called { pbx, name: &inside, device: None }, at)));
        };
        let called = Called { pbx, name, device };
        self.learn(called, at);
        Some((called, self.who(called, at)))
    }

    /// How long the agent has after the leg, once it is over: as the directory says, else the PBX.
    fn wrap_up_ms(&self, said: &LegSaid, at: Micros) -> i64 {
        let is_over = said.activities.last().is_some_and(|last| last.to.is_some());
        let Some(queue) = said.queue.as_deref().filter(|_| is_over && said.is_answered) else { return 0 };
        let configured = self.directory.queue(&format!("{}/{queue}", said.pbx), at).and_then(|it| it.wrap_up_s);
        let by_pbx = || self.store.get(&key(b'w', &[&said.pbx, queue]));
        configured.map(|secs| i64::from(secs) * 1_000).or_else(by_pbx).unwrap_or(0)
    }
}
