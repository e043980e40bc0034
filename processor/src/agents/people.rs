//! Whom a name or a device means: by the directory, by who has the device, by what the PBX calls its members.
//!
//! What is learned later about a name changes whose history it is: then all that is kept of it moves to that person.

use std::collections::BTreeSet;

use calltide_schemas::Micros;
use calltide_schemas::agents::directory::{Agent, Device, DirectoryChange, EntryKind, Origin, User};

use super::charging::{Charges, Owners};
use super::kept::{
    Changing, Held, KeptLeg, KeptMember, Named, TerminalStay, key, key_at, leg_of, parts, time_of, under,
};
use super::presence::{Happened, MemberFact, Teller, remember, standing};
use super::rating::RateBook;
use super::rows::{DirectoryRow, NameRow};
use super::timeline::Window;
use super::who::{Directory, EntryId, Person, Version};
use super::{Agents, CORRECT_US};
use crate::fold::Effects;
use crate::store::Store;

/// A name or a device of a PBX.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called<'a> {
    pub(super) pbx: &'a str,
    pub(super) name: &'a str,
    pub(super) device: Option<&'a str>,
}

/// What is known of who is who.
#[derive(Clone, Copy)]
pub(super) struct People<'a> {
    pub(super) store: &'a Store,
    pub(super) directory: &'a Directory,
}

impl People<'_> {
    /// The key of the person who is called so at that time.
    fn who(&self, called: Called<'_>, at: Micros) -> String {
        let Called { pbx, name, device } = called;
        if let Some(agent) = self.directory.named(pbx, name, at) {
            return agent.id.clone();
        }
        let own_device: Changing = self.store.get(&key(b'v', &[pbx, name])).unwrap_or_default();
        for device in [Some(name), device, own_device.at(at)].into_iter().flatten() {
            if let Some(person) = self.holder(&format!("{pbx}/{device}"), at) {
                return person;
            }
            if let Some(agent) = self.directory.owner_of(pbx, device, at) {
                return agent.id.clone();
            }
        }
        let member = self.member_of(pbx, name, at);
        match member.as_deref().and_then(|member| self.directory.named(pbx, member, at)) {
            Some(agent) => agent.id.clone(),
            None => format!("{pbx}/{}", member.as_deref().unwrap_or(name)),
        }
    }

    /// Which member has a device then, as the PBX says.
    fn member_of(&self, pbx: &str, device: &str, at: Micros) -> Option<String> {
        let members: Changing = self.store.get(&key(b'a', &[pbx, device]))?;
        members.at(at).map(str::to_owned)
    }

    /// Who has a device then, by a login.
    fn holder(&self, device: &str, at: Micros) -> Option<String> {
        let held: Vec<Held> = self.store.get(&key(b'u', &[device]))?;
        let has = |held: &&Held| held.from <= at && held.to.is_none_or(|to| at < to);
        held.iter().rev().find(has).map(|held| held.person.clone())
    }
}

impl Owners for People<'_> {
    fn device(&self, id: &str, at: Micros) -> Option<&Device> {
        self.directory.device(id, at)
    }

    fn external_by_number(&self, pbx: &str, number: &str, at: Micros) -> Option<&Device> {
        self.directory.external(pbx, number, at)
    }

    fn agent_of_device(&self, id: &str, at: Micros) -> Option<&Agent> {
        let (pbx, name) = id.split_once('/')?;
        self.directory.agent(&self.who(Called { pbx, name, device: None }, at), at)
    }

    fn user(&self, id: &str, at: Micros) -> Option<&User> {
        self.directory.user(id, at)
    }

    fn rates(&self) -> &RateBook {
        self.directory.rates()
    }
}

impl Agents {
    pub(super) fn restore_directory(&mut self) {
        let entries: Vec<(Vec<u8>, Vec<Version>)> =
            self.store.all(b"d").map(|(key, versions)| (key.to_vec(), versions)).collect();
        for (key, versions) in entries {
            let [kind, id] = parts(&key)[..] else { continue };
            if let Some(kind) = EntryKind::ALL.into_iter().find(|known| known.name() == kind) {
                self.directory.restore((kind, id.to_owned()), versions);
            }
        }
    }

    /// The key of the person who is called so at that time.
    pub(super) fn who(&self, called: Called<'_>, at: Micros) -> String {
        self.people().who(called, at)
    }

    /// Who has a device then, by a login.
    pub(super) fn holder(&self, device: &str, at: Micros) -> Option<String> {
        self.people().holder(device, at)
    }

    /// What a member is called that may be told by its device.
    pub(super) fn member_name(&self, pbx: &str, name: &str, at: Micros) -> String {
        self.people().member_of(pbx, name, at).unwrap_or_else(|| name.to_owned())
    }

    fn people(&self) -> People<'_> {
        People { store: &self.store, directory: &self.directory }
    }

    /// The PBX says which device a member has since then.
    pub(super) fn learn(&mut self, called: Called<'_>, since: Micros) {
        let Called { pbx, name, device: Some(device) } = called else { return };
        if device == name {
            return;
        }
        let (members, devices) = (key(b'a', &[pbx, device]), key(b'v', &[pbx, name]));
        let is_first = !self.store.has(&members);
        self.changes_to(&devices, device, since);
        if self.changes_to(&members, name, since) && is_first {
            // What was told of the device before anybody said whose it is.
            let (before, now) = (format!("{pbx}/{device}"), self.who(called, since));
            if before != now {
                self.hand_over(&before, &now);
            }
        }
    }

    fn changes_to(&mut self, entry: &[u8], name: &str, since: Micros) -> bool {
        let mut known: Changing = self.store.get(entry).unwrap_or_default();
        let is_new = known.say(since, name);
        if is_new {
            self.store.put(entry, &known);
        }
        is_new
    }

    /// All that is kept of one person is another's.
    fn hand_over(&mut self, before: &str, now: &str) {
        let members: Vec<(Vec<u8>, KeptMember)> =
            self.store.all(&under(b'm', &[before])).map(|(key, kept)| (key.to_vec(), kept)).collect();
        let legs: Vec<(Vec<u8>, KeptLeg)> =
            self.store.all(&under(b'l', &[before])).map(|(key, kept)| (key.to_vec(), kept)).collect();
        let terminals: Vec<Vec<u8>> = self.store.keys(&under(b't', &[before]), None).map(<[u8]>::to_vec).collect();
        if members.is_empty() && legs.is_empty() && terminals.is_empty() {
            return;
        }
        let first_fact = members.iter().flat_map(|(_, kept)| kept.facts.first()).map(|fact| fact.at);
        let first_leg = legs.iter().filter_map(|(entry, _)| time_of(entry, before));
        let first_login = self.terminals_move(before, now, &terminals);
        let from = first_fact.chain(first_leg).chain(first_login).min().unwrap_or(self.now);
        for (old_key, kept) in members {
            let [_, pbx, name, queue] = parts(&old_key)[..] else { continue };
            // What is said of the device is said of the member whose it is.
            let name = self.member_name(pbx, name, self.now);
            let new_key = key(b'm', &[now, pbx, &name, queue]);
            let mut member: KeptMember = self.store.get(&new_key).unwrap_or_default();
            for fact in kept.facts {
                remember(&mut member.facts, fact);
            }
            member.listed = member.listed.max(kept.listed);
            for (since, device) in kept.devices.all() {
                member.devices.say(since, device);
            }
            self.store.put(&new_key, &member);
            self.store.remove(&old_key);
        }
        for (old_key, kept) in legs {
            let Some(at) = time_of(&old_key, before) else { continue };
            let leg_id = leg_of(&old_key, before);
            self.store.put(&key_at(b'l', now, at, &leg_id), &kept);
            self.store.put(&key(b'p', &[&leg_id]), &(now, at));
            self.store.remove(&old_key);
        }
        let all = Window { from, to: None };
        self.dirty(before, all);
        self.dirty(now, all);
    }

    /// Logins on terminals, and the devices that were taken with them, become another person's; returns when the first began.
    fn terminals_move(&mut self, before: &str, now: &str, terminals: &[Vec<u8>]) -> Option<Micros> {
        let mut first = None;
        for old_key in terminals {
            let (Some(stays), [_, terminal]) = (self.store.get::<Vec<TerminalStay>>(old_key), &parts(old_key)[..])
            else {
                continue;
            };
            first = stays.iter().map(|stay| stay.from).chain(first).min();
            self.store.put(&key(b't', &[now, terminal]), &stays);
            self.store.remove(old_key);
        }
        let held: Vec<(Vec<u8>, Vec<Held>)> = self.store.all(b"u").map(|(key, held)| (key.to_vec(), held)).collect();
        for (entry, mut held) in held {
            held.iter_mut().filter(|it| it.person == before).for_each(|it| it.person = now.to_owned());
            self.store.put(&entry, &held);
        }
        first
    }

    pub(super) fn directory_changes(&mut self, said: &DirectoryChange, out: &mut Effects) {
        let changed = self.directory.change(said);
        for id in &changed {
            let versions = self.directory.versions(id);
            self.store.put(&key(b'd', &[id.0.name(), &id.1]), &versions);
            publish_versions(id, &versions, said.at, out);
        }
        if changed.iter().any(|(kind, _)| Charges::depend_on(*kind)) {
            self.charges.rate_anew(said.at.max(self.now));
        }
        if changed.iter().any(|(kind, _)| *kind == EntryKind::Agent) {
            self.meet_again(said.at, out);
        }
        for id in changed.iter().filter(|(kind, _)| *kind == EntryKind::Queue) {
            self.members_change(id, said.at);
        }
        // Calls of before are found by the names, too.
        for (_, id) in changed.iter().filter(|(kind, _)| *kind == EntryKind::Agent) {
            let Some(agent) = self.directory.agent(id, said.at) else { continue };
            let names: Vec<String> = agent.names.iter().chain(&agent.device).cloned().collect();
            for (pbx, name) in names.iter().filter_map(|name| name.split_once('/')) {
                let called = Called { pbx, name, device: None };
                let person = self.who(called, said.at);
                self.name(called, &person, said.at, out);
            }
        }
    }

    /// Others are always in a queue; the first who were have been all the time.
    fn members_change(&mut self, queue: &EntryId, at: Micros) {
        let versions = self.directory.versions(queue);
        let from = if versions.len() == 1 { at + -CORRECT_US } else { at };
        let members: BTreeSet<String> = self.directory.members_ever(queue).map(str::to_owned).collect();
        members.iter().for_each(|person| self.dirty(person, Window { from, to: None }));
    }

    /// The directory names others now: an entry that is new owns what was before it, too, a changed one what comes.
    fn meet_again(&mut self, at: Micros, out: &mut Effects) {
        let members: Vec<Vec<u8>> = self.store.keys(b"m", None).map(<[u8]>::to_vec).collect();
        for old_key in members {
            let [before, pbx, name, queue] = parts(&old_key)[..] else { continue };
            let now = self.who(Called { pbx, name, device: None }, at);
            if now == before {
                continue;
            }
            let is_first = self.directory.versions(&(EntryKind::Agent, now.clone())).len() == 1;
            if is_first && self.directory.agent(before, at).is_none() && before.contains('/') {
                self.hand_over(before, &now);
            } else {
                self.split(&old_key, (&now, pbx, name, queue), at);
            }
        }
        // Those of whom only calls or terminals tell.
        let owners = self.store.keys(b"l", None).chain(self.store.keys(b"t", None));
        let mut others: Vec<String> = owners
            .filter_map(|key| std::str::from_utf8(key.get(1..)?.split(|byte| *byte == 0).next()?).ok())
            .filter(|person| person.contains('/'))
            .map(str::to_owned)
            .collect();
        others.dedup();
        for before in others {
            let Some((pbx, name)) = before.split_once('/') else { continue };
            let now = self.who(Called { pbx, name, device: None }, at);
            if now != before && self.directory.versions(&(EntryKind::Agent, now.clone())).len() == 1 {
                self.hand_over(&before, &now);
            }
        }
        let names: Vec<Vec<u8>> = self.store.keys(b"n", None).map(<[u8]>::to_vec).collect();
        for key in names {
            let [pbx, name] = parts(&key)[..] else { continue };
            let called = Called { pbx, name, device: None };
            let person = self.who(called, at);
            self.name(called, &person, at, out);
        }
    }

    /// A device is somebody else's from then on, and with it the queues that it is a member of.
    pub(super) fn follow(&mut self, device: &str, before: Option<&str>, person: &str, at: Micros) {
        for owner in [Some(device), before, Some(person)].into_iter().flatten() {
            let members: Vec<Vec<u8>> = self.store.keys(&under(b'm', &[owner]), None).map(<[u8]>::to_vec).collect();
            for old_key in members {
                let [was, pbx, name, queue] = parts(&old_key)[..] else { continue };
                let now = self.who(Called { pbx, name, device: None }, at);
                if now != was && format!("{pbx}/{name}") == device {
                    self.split(&old_key, (&now, pbx, name, queue), at);
                }
            }
        }
    }

    /// From then on a member is another person.
    fn split(&mut self, old_key: &[u8], (now, pbx, name, queue): (&str, &str, &str, &str), at: Micros) {
        let Some(mut kept) = self.store.get::<KeptMember>(old_key) else { return };
        let before = parts(old_key)[0].to_owned();
        let facts = standing(&kept.facts);
        remember(&mut kept.facts, MemberFact { at, by: Teller::Both, what: Happened::HandedOver });
        self.store.put(old_key, &kept);
        let new_key = key(b'm', &[now, pbx, name, queue]);
        let mut member: KeptMember = self.store.get(&new_key).unwrap_or_default();
        for fact in facts {
            remember(&mut member.facts, MemberFact { at, ..fact });
        }
        if let Some(device) = kept.devices.at(at) {
            member.devices.say(at, device);
        }
        self.store.put(&new_key, &member);
        let from_now = Window { from: at, to: None };
        self.dirty(&before, from_now);
        self.dirty(now, from_now);
    }

    /// Publishes who is called so, if that is another than before, or not as the PBX says.
    pub(super) fn name(&mut self, called: Called<'_>, person: &str, at: Micros, out: &mut Effects) {
        let Called { pbx, name, .. } = called;
        let entry = key(b'n', &[pbx, name]);
        let mut periods: Vec<Named> = self.store.get(&entry).unwrap_or_default();
        let is = self.directory.person(person, at);
        let agent = self.directory.agent(person, at);
        let (user, groups) = (agent.and_then(|agent| agent.user.clone()), agent.and_then(groups));
        if periods.is_empty() && is.agent == name && is.team.is_none() {
            return;
        }
        let same = |last: &Named| {
            (&last.person, &last.agent, &last.team, &last.user, &last.groups)
                == (&is.key, &is.agent, &is.team, &user, &groups)
        };
        if periods.last().is_some_and(same) {
            return;
        }
        // Whoever is named for the first time has been that person all the time.
        let is_first = agent.is_some() && self.directory.versions(&(EntryKind::Agent, is.key.clone())).len() == 1;
        if let Some(last) = periods.last_mut().filter(|last| is_first && last.person.contains('/')) {
            let Person { key, agent, team, .. } = is;
            let (since, version) = (last.since, last.version + 1);
            *last = Named { person: key, agent, team, user, groups, since, version };
            out.publish("calltide.agent-names", "agent_name", at.0, &name_row(pbx, name, last, None, at));
            self.store.put(&entry, &periods);
            return;
        }
        if periods.last().is_some_and(|last| last.since >= at) {
            return;
        }
        // The first holds for all that was before it.
        let since = if periods.is_empty() { Micros(0) } else { at };
        if let Some(last) = periods.last_mut() {
            last.version += 1;
            out.publish("calltide.agent-names", "agent_name", at.0, &name_row(pbx, name, last, Some(since), at));
        }
        let Person { key, agent, team, .. } = is;
        let named = Named { person: key, agent, team, user, groups, since, version: 1 };
        out.publish("calltide.agent-names", "agent_name", at.0, &name_row(pbx, name, &named, None, at));
        periods.push(named);
        self.store.put(&entry, &periods);
    }
}

fn groups(agent: &Agent) -> Option<String> {
    (!agent.groups.is_empty()).then(|| agent.groups.join(","))
}

fn name_row(pbx: &str, name: &str, of: &Named, until: Option<Micros>, at: Micros) -> NameRow {
    NameRow {
        name_id: format!("{pbx}/{name}@{}", of.since.0),
        pbx: pbx.to_owned(),
        name: name.to_owned(),
        person: of.person.clone(),
        agent: of.agent.clone(),
        team: of.team.clone(),
        user: of.user.clone(),
        groups: of.groups.clone(),
        since_at: of.since,
        until_at: until,
        version: of.version,
        updated_at: at,
    }
}

/// Publishes the last version of an entry: its end if it is gone, else its beginning and the end of the one that it replaces.
fn publish_versions((kind, id): &EntryId, versions: &[Version], at: Micros, out: &mut Effects) {
    let replaced = match versions {
        [.., before, last] if last.until.is_none() && before.until == Some(last.since) => Some(before),
        _ => None,
    };
    for version in replaced.into_iter().chain(versions.last()) {
        let row = DirectoryRow {
            entry_id: format!("{}/{id}@{}", kind.name(), version.since.0),
            entry: kind.name(),
            id: id.clone(),
            definition: version.definition.clone(),
            origin: match version.origin {
                Origin::Configuration => "configuration",
                Origin::Api => "api",
            },
            who: version.who.clone(),
            since_at: version.since,
            until_at: version.until,
            version: if version.until.is_some() { 2 } else { 1 },
            updated_at: at,
        };
        out.publish("calltide.directory", "directory_entry", at.0, &row);
    }
}
