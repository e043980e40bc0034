//! Tells a person's sessions and timeline anew from what is kept, and publishes what is different.
//!
//! What was published is remembered by a digest, so that nothing is published twice and what is no more is withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use calltide_schemas::Micros;

use super::kept::{KeptLeg, KeptMember, TerminalStay, Told, key, key_at, leg_of, parts, time_of, under};
use super::presence::{EndedBy, MemberFact, Stay, forget, presence};
use super::rows::{IntervalRow, LawRow, SessionRow};
use super::sessions::{Kind, Login, OnCall, QueueStay, Session, sessions, united};
use super::timeline::{Busy, Interval, LoggedIn, QueuePause, Spans, State, Window, intervals};
use super::who::Person;
use super::{Agents, CORRECT_US, laws};
use crate::fold::{Effects, content_digest};

/// How often what is too old to be corrected is forgotten.
const FORGET_EVERY_US: i64 = 6 * 3_600 * 1_000_000;

/// What is known of a person.
#[derive(Default)]
struct Known {
    logins: Vec<Login>,
    stays: Vec<QueueStay>,
    pauses: Vec<QueuePause>,
    busy: Vec<Busy>,
    on_call: Vec<OnCall>,
}

impl Agents {
    /// Tells what is so of a person in that part of their timeline.
    pub(super) fn tell(&mut self, person: &str, window: Window, out: &mut Effects) {
        let mut known = Known::default();
        self.legs_of(person, &mut known);
        let (timed_out, mut next) = self.time_out(person, &known.on_call);
        let window = timed_out.map_or(window, |changed| changed.hull(window));
        self.presence_of(person, &mut known);
        let Known { logins, stays, pauses, busy, on_call } = known;
        let stays = united(stays);
        let sessions = sessions(logins, &stays, &on_call);
        let is = self.directory.person(person, self.now);
        let window = self.tell_sessions(&is, &sessions, window, out);
        let logins = sessions.iter().filter(|session| matches!(session.kind, Kind::Login { .. }));
        let logins = logins
            .map(|session| LoggedIn { session_id: session_id(person, session), from: session.from, to: session.to })
            .collect();
        let spans = Spans { logins, stays, pauses, busy };
        self.tell_timeline(&is, &spans, window, out);
        let ends = spans.busy.iter().filter_map(|busy| busy.to).filter(|to| *to > self.now).min();
        next = [next, ends].into_iter().flatten().min();
        self.remind(person, next);
        self.forget_old(person, window.from.min(self.now));
    }

    fn legs_of(&self, person: &str, known: &mut Known) {
        for (_, leg) in self.store.all::<KeptLeg>(&under(b'l', &[person])) {
            known.on_call.extend(leg.on_call());
            let busy = |state, from, to, call_id| Busy {
                state,
                from,
                to,
                pbx: leg.pbx.clone(),
                queue: leg.queue.clone(),
                call_id,
            };
            let call_id = || Some(leg.call_id.clone());
            let acts = leg.activities.iter().filter(|it| it.to != Some(it.from));
            known.busy.extend(acts.map(|it| busy(Busy::state_of(it.doing), it.from, it.to, call_id())));
            if let Some(end) = leg.activities.last().and_then(|it| it.to).filter(|_| leg.wrap_up_ms > 0) {
                known.busy.push(busy(State::WrapUp, end, Some(end + leg.wrap_up_ms * 1_000), call_id()));
            }
        }
    }

    /// Logins, stays and pauses.
    fn presence_of(&self, person: &str, known: &mut Known) {
        let members: Vec<(Vec<String>, KeptMember)> = self
            .store
            .all::<KeptMember>(&under(b'm', &[person]))
            .map(|(key, kept)| (parts(key).into_iter().map(str::to_owned).collect(), kept))
            .collect();
        let mut of_all: BTreeMap<(&str, &str), &[MemberFact]> = BTreeMap::new();
        let mut in_queues: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (of, kept) in &members {
            let [_, pbx, name, queue] = &of[..] else { continue };
            match queue.is_empty() {
                true => drop(of_all.insert((pbx, name), &kept.facts)),
                false => drop(in_queues.insert((pbx, name))),
            }
        }
        for (of, kept) in &members {
            let [_, pbx, name, queue] = &of[..] else { continue };
            let all = of_all.get(&(&**pbx, &**name)).copied().unwrap_or_default();
            let is = presence(&kept.facts, if queue.is_empty() { &[] } else { all });
            let named = (!queue.is_empty()).then(|| queue.clone());
            for stay in is.stays {
                let device = kept.devices.at(stay.from).map(str::to_owned);
                match &named {
                    Some(queue) => {
                        let (pbx, queue) = (pbx.clone(), queue.clone());
                        known.stays.push(QueueStay { pbx, queue, device, stay });
                    }
                    None => {
                        let pbx = Some(pbx.clone());
                        known.logins.push(Login { from: stay.from, to: stay.to, pbx, terminal: None, device });
                    }
                }
            }
            for (from, ms) in is.wrap_ups {
                let (to, pbx, queue) = (Some(from + ms * 1_000), pbx.clone(), named.clone());
                known.busy.push(Busy { state: State::WrapUp, from, to, pbx, queue, call_id: None });
            }
            if named.is_some() || !in_queues.contains(&(&**pbx, &**name)) {
                let pause = |pause| QueuePause { pbx: pbx.clone(), queue: named.clone(), pause };
                known.pauses.extend(is.pauses.into_iter().map(pause));
            }
        }
        self.configured_stays(person, known);
        self.terminals_of(person, known);
    }

    /// Queues that the person is always in, as the directory says, each as long as it says so.
    fn configured_stays(&self, person: &str, known: &mut Known) {
        for (queue, from, to) in self.directory.memberships(person) {
            let Some((pbx, queue)) = queue.split_once('/') else { continue };
            let stay = Stay { from, to: to.map(|to| (to, EndedBy::Directory)), is_static: true };
            known.stays.push(QueueStay { pbx: pbx.to_owned(), queue: queue.to_owned(), device: None, stay });
        }
    }

    fn terminals_of(&self, person: &str, known: &mut Known) {
        for (entry, stays) in self.store.all::<Vec<TerminalStay>>(&under(b't', &[person])) {
            let terminal = parts(entry).last().map(|&name| name.to_owned());
            known.logins.extend(stays.into_iter().map(|stay| Login {
                from: stay.from,
                to: stay.to,
                pbx: None,
                terminal: terminal.clone(),
                device: stay.device,
            }));
        }
    }

    /// Publishes the sessions that are different; returns the window with what that changes of the timeline.
    fn tell_sessions(&mut self, is: &Person, sessions: &[Session], window: Window, out: &mut Effects) -> Window {
        let person = &*is.key;
        let mut window = window;
        let known: Vec<(String, Told)> = self
            .store
            .all::<Told>(&under(b's', &[person]))
            .filter_map(|(key, told)| Some((parts(key).get(1)?.to_string(), told)))
            .collect();
        let mut before: BTreeMap<String, Told> = known.into_iter().collect();
        for session in sessions {
            let id = session_id(person, session);
            let told = before.remove(&id);
            let mut row = session_row(self.directory.person(person, session.from), session, &id);
            let digest = content_digest(&row);
            if told.is_some_and(|told| told.digest == Some(digest)) {
                continue;
            }
            row.version = told.map_or(1, |told| told.version + 1);
            row.updated_at = self.now;
            out.publish("calltide.agent-sessions", "agent_session", self.now.0, &row);
            let (from, to) = (session.from, session.to);
            let new = Told { version: row.version, digest: Some(digest), from, to };
            self.store.put(&key(b's', &[person, &id]), &new);
            let changed_from = match told {
                // Another device, say: nothing of the timeline.
                Some(told) if told.digest.is_some() && told.to == to => continue,
                Some(told) if told.digest.is_some() => told.to.into_iter().chain(to).min().unwrap_or(from),
                Some(_) | None => from,
            };
            window = window.hull(Window { from: changed_from, to: None });
        }
        for (id, told) in before.into_iter().filter(|(_, told)| told.digest.is_some()) {
            let new = Told { version: told.version + 1, digest: None, ..told };
            out.withdraw("calltide.agent-sessions", "agent_session", &id, new.version, self.now.0);
            self.store.put(&key(b's', &[person, &id]), &new);
            window = window.hull(Window { from: told.from, to: None });
        }
        window
    }

    fn tell_timeline(&mut self, is: &Person, spans: &Spans, window: Window, out: &mut Effects) {
        let person = &*is.key;
        let window = self.widened(person, window);
        let told = intervals(spans, window, self.now);
        if let Some(law) = laws::violated(&told, &spans.logins, window) {
            self.law_violated(is, window, &law, out);
        }
        let mut before: BTreeMap<Micros, Told> = BTreeMap::new();
        let from = key_at(b'i', person, window.from, "");
        for (entry, known) in self.store.all_from::<Told>(&under(b'i', &[person]), &from) {
            let Some(at) = time_of(entry, person).filter(|at| window.to.is_none_or(|to| *at < to)) else { break };
            before.insert(at, known);
        }
        for interval in &told {
            let known = before.remove(&interval.from);
            self.tell_interval(is, interval, known, out);
        }
        for (at, known) in before.into_iter().filter(|(_, known)| known.digest.is_some()) {
            let new = Told { version: known.version + 1, digest: None, ..known };
            let id = format!("{person}@{}", at.0);
            out.withdraw("calltide.agent-intervals", "agent_interval", &id, new.version, self.now.0);
            self.store.put(&key_at(b'i', person, at, ""), &new);
        }
    }

    /// The window up to where states are published that it does not touch: what is at its borders may have become one.
    fn widened(&self, person: &str, window: Window) -> Window {
        let all = under(b'i', &[person]);
        let mut from = window.from;
        let mut found = 0;
        // What was withdrawn is no border.
        let mut at = key_at(b'i', person, Micros(from.0.saturating_add(1)), "");
        while found < 2 {
            let Some(before) = self.store.last_before(&all, &at).map(<[u8]>::to_vec) else { break };
            let is_told = self.store.get::<Told>(&before).is_some_and(|told| told.digest.is_some());
            if let Some(begins) = time_of(&before, person).filter(|_| is_told) {
                from = from.min(begins);
                found += 1;
            }
            at = before;
        }
        let to = window.to.and_then(|to| {
            let after = key_at(b'i', person, Micros(to.0.saturating_add(1)), "");
            let mut later = self.store.all_from::<Told>(&all, &after);
            later.find(|(_, told)| told.digest.is_some()).and_then(|(entry, _)| time_of(entry, person))
        });
        Window { from, to }
    }

    fn tell_interval(&mut self, is: &Person, interval: &Interval, known: Option<Told>, out: &mut Effects) {
        let Interval { from, to, is: moment } = interval;
        let person = self.directory.person(&is.key, *from);
        let mut row = IntervalRow {
            interval_id: format!("{}@{}", person.key, from.0),
            person: person.key,
            agent: person.agent,
            pbx: moment.pbx.clone().or(person.pbx),
            team: person.team,
            session_id: moment.session_id.clone(),
            state: moment.state.name(),
            reason: moment.reason.clone(),
            queue: moment.queue.clone(),
            call_id: moment.call_id.clone(),
            while_paused: moment.while_paused,
            at_once: moment.at_once,
            started_at: *from,
            ended_at: *to,
            version: 0,
            updated_at: Micros(0),
        };
        let digest = content_digest(&row);
        if known.is_some_and(|known| known.digest == Some(digest)) {
            return;
        }
        row.version = known.map_or(1, |known| known.version + 1);
        row.updated_at = self.now;
        out.publish("calltide.agent-intervals", "agent_interval", self.now.0, &row);
        let told = Told { version: row.version, digest: Some(digest), from: *from, to: *to };
        self.store.put(&key_at(b'i', &is.key, *from, ""), &told);
    }

    fn law_violated(&self, is: &Person, window: Window, law: &str, out: &mut Effects) {
        out.note("law_violated");
        let row = LawRow {
            pbx: is.pbx.clone().unwrap_or_default(),
            reject_id: format!("law:{}@{}", is.key, window.from.0),
            source: "agents",
            reason: "law_violated",
            detail: format!("{}: {law}", is.key),
            raw: None,
            at: self.now,
            version: 1,
            updated_at: self.now,
        };
        out.publish("calltide.rejects", "reject", self.now.0, &row);
    }

    /// Forgets once in a while what is too old to be corrected, seen from what is told at present: that may be history.
    fn forget_old(&mut self, person: &str, at: Micros) {
        let last: Option<Micros> = self.store.get(&key(b'g', &[person]));
        if last.is_some_and(|last| at - last < FORGET_EVERY_US) {
            return;
        }
        self.store.put(&key(b'g', &[person]), &at);
        let told: Vec<(Vec<u8>, Told)> =
            self.store.all::<Told>(&under(b's', &[person])).map(|(key, told)| (key.to_vec(), told)).collect();
        // What is still open, or may be corrected, needs all that it was told from.
        let correctable = at + -CORRECT_US;
        let in_question = |told: &Told| told.digest.is_some() && told.to.is_none_or(|to| to >= correctable);
        let horizon = told.iter().filter(|(_, told)| in_question(told)).map(|(_, told)| told.from).min();
        let horizon = horizon.map_or(correctable, |from| from.min(correctable));
        let is_over = |told: &Told| told.to.map_or(told.digest.is_none() && told.from < horizon, |to| to < horizon);
        for (entry, _) in told.into_iter().filter(|(_, told)| is_over(told)) {
            self.store.remove(&entry);
        }
        let members: Vec<(Vec<u8>, KeptMember)> =
            self.store.all(&under(b'm', &[person])).map(|(key, kept)| (key.to_vec(), kept)).collect();
        for (entry, mut member) in members {
            forget(&mut member.facts, horizon);
            match member.facts.is_empty() {
                true => self.store.remove(&entry),
                false => self.store.put(&entry, &member),
            }
        }
        let terminals: Vec<(Vec<u8>, Vec<TerminalStay>)> =
            self.store.all(&under(b't', &[person])).map(|(key, stays)| (key.to_vec(), stays)).collect();
        for (entry, mut stays) in terminals {
            stays.retain(|stay| stay.to.is_none_or(|(to, _)| to >= horizon));
            match stays.is_empty() {
                true => self.store.remove(&entry),
                false => self.store.put(&entry, &stays),
            }
        }
        self.forget_legs(person, correctable);
    }

    /// Legs that ended before, and states whose successor began before.
    fn forget_legs(&mut self, person: &str, horizon: Micros) {
        let legs: Vec<Vec<u8>> = self
            .store
            .all::<KeptLeg>(&under(b'l', &[person]))
            .filter(|(_, leg)| leg.window().is_none_or(|window| window.to.is_some_and(|to| to < horizon)))
            .map(|(key, _)| key.to_vec())
            .collect();
        for entry in legs {
            let leg_id = leg_of(&entry, person);
            self.store.remove(&key(b'p', &[&leg_id]));
            self.store.remove(&entry);
        }
        let states: Vec<Vec<u8>> = self
            .store
            .all::<Told>(&under(b'i', &[person]))
            .take_while(|(_, told)| told.from < horizon)
            .filter(|(_, told)| told.digest.is_none() || told.to.is_some_and(|to| to < horizon))
            .map(|(key, _)| key.to_vec())
            .collect();
        states.into_iter().for_each(|entry| self.store.remove(&entry));
    }
}

fn session_id(person: &str, session: &Session) -> String {
    let from = session.from.0;
    match &session.kind {
        Kind::Login { .. } => format!("{person}@login@{from}"),
        Kind::Checkin { queue } => {
            format!("{person}@checkin@{}/{queue}@{from}", session.pbx.as_deref().unwrap_or_default())
        }
    }
}

fn session_row(person: Person, session: &Session, id: &str) -> SessionRow {
    let (kind, queue, terminal) = match &session.kind {
        Kind::Login { terminal } => ("login", None, terminal.clone()),
        Kind::Checkin { queue } => ("checkin", Some(queue.clone()), None),
    };
    SessionRow {
        session_id: id.to_owned(),
        person: person.key,
        agent: person.agent,
        pbx: session.pbx.clone(),
        team: person.team,
        kind,
        queue,
        terminal,
        device: session.device.clone(),
        started_at: session.from,
        logout_at: session.logout,
        ended_at: session.to,
        ended_by: session.by.map(EndedBy::name),
        version: 0,
        updated_at: Micros(0),
    }
}
