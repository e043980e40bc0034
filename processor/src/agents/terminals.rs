//! Terminals: logging in, staying, logging out, running into the time-out, and which device becomes whose.
//!
//! What a terminal wants is decided here and answered; a login that is refused leaves nothing behind but its reason.

use calltide_eventlog::{Output, Record};
use calltide_schemas::Micros;
use calltide_schemas::agents::directory::DeviceMode;
use calltide_schemas::agents::{Answer, Terminal, TerminalWhat};
use calltide_schemas::topics::TERMINALS;

use super::Agents;
use super::kept::{Held, TerminalStay, key, parts, under};
use super::people::Called;
use super::presence::EndedBy;
use super::sessions::OnCall;
use super::timeline::Window;
use crate::fold::Effects;

/// What a login is.
struct Wish<'a> {
    address: Option<&'a str>,
    device: Option<&'a str>,
    timeout_ms: Option<i64>,
}

impl Agents {
    pub(super) fn terminal(&mut self, said: &Terminal, out: &mut Effects) {
        let done = self.person_named(&said.agent, said.at).and_then(|person| match &said.what {
            TerminalWhat::Login { address, device, timeout_ms } => {
                let (address, device) = (address.as_deref(), device.as_deref());
                self.login(&person, said, &Wish { address, device, timeout_ms: *timeout_ms })
            }
            TerminalWhat::Heartbeat => self.heartbeat(&person, said),
            TerminalWhat::Logout => self.logout(&person, said),
        });
        let (accepted, reason, device) = match done {
            Ok(device) => (true, None, device),
            Err(reason) => (false, Some(reason), None),
        };
        let answer = Answer {
            request_id: said.request_id.clone(),
            agent: said.agent.clone(),
            terminal: said.terminal.clone(),
            accepted,
            reason,
            device,
            at: said.at,
        };
        let record = Record {
            key: said.agent.clone().into_bytes(),
            at: said.at.0,
            id: format!("terminal_answer:{}", said.request_id),
            kind: "terminal_answer".to_owned(),
            journal: None,
            payload: serde_json::to_vec(&answer).ok(),
        };
        out.outputs.push(Output { topic: TERMINALS.to_owned(), record });
    }

    /// By the id in the directory, or `<pbx>/<name>`.
    fn person_named(&self, agent: &str, at: Micros) -> Result<String, String> {
        if self.directory.agent(agent, at).is_some() {
            return Ok(agent.to_owned());
        }
        match agent.split_once('/') {
            Some((pbx, name)) if !name.is_empty() && !agent.contains('\0') => {
                Ok(self.who(Called { pbx, name, device: None }, at))
            }
            _ => Err(format!("no agent {agent} is in the directory")),
        }
    }

    fn login(&mut self, person: &str, said: &Terminal, wish: &Wish<'_>) -> Result<Option<String>, String> {
        let device = self.device_for(person, wish, said.at)?;
        let entry = key(b't', &[person, &said.terminal]);
        let mut stays: Vec<TerminalStay> = self.store.get(&entry).unwrap_or_default();
        match stays.last_mut().filter(|stay| stay.to.is_none()) {
            Some(open) => {
                open.beat = open.beat.max(said.at);
                open.timeout_ms = wish.timeout_ms;
                open.device = device.clone();
            }
            None => stays.push(TerminalStay {
                from: said.at,
                beat: said.at,
                timeout_ms: wish.timeout_ms,
                to: None,
                device: device.clone(),
            }),
        }
        self.store.put(&entry, &stays);
        if let Some(device) = &device {
            self.take(person, device, said.at);
        }
        self.dirty(person, Window { from: said.at, to: None });
        Ok(device)
    }

    /// Which device becomes theirs.
    fn device_for(&self, person: &str, wish: &Wish<'_>, at: Micros) -> Result<Option<String>, String> {
        let agent = self.directory.agent(person, at);
        let fixed = agent.and_then(|agent| agent.device.clone());
        match agent.map_or(DeviceMode::Dynamic, |agent| agent.device_mode) {
            DeviceMode::Fixed => match (wish.device, fixed) {
                (Some(wanted), Some(fixed)) if wanted != fixed => {
                    Err(format!("the device of {person} is {fixed} and does not change"))
                }
                (Some(wanted), None) => Err(format!("{person} has no device, and {wanted} cannot become it")),
                (_, fixed) => Ok(fixed),
            },
            DeviceMode::SelfAdapting => Ok(wish.address.and_then(|address| self.phone_at(address, at)).or(fixed)),
            DeviceMode::Dynamic => {
                let Some(wanted) = wish.device else { return Ok(fixed) };
                let own = wanted.split_once('/').and_then(|(pbx, device)| self.directory.owner_of(pbx, device, at));
                if let Some(owner) = own.filter(|owner| owner.id != person) {
                    return Err(format!("{wanted} is the device of {}", owner.id));
                }
                match self.holder(wanted, at).filter(|holder| holder != person) {
                    Some(holder) => Err(format!("{wanted} is used by {holder}")),
                    None => Ok(Some(wanted.to_owned())),
                }
            }
        }
    }

    /// The phone that is registered from an address, as the PBX or the directory says.
    fn phone_at(&self, address: &str, at: Micros) -> Option<String> {
        let by_pbx = self.store.all::<String>(b"r").find(|(_, known)| known == address);
        by_pbx.map(|(key, _)| parts(key).join("/")).or_else(|| {
            let mut devices = self.directory.devices(at);
            devices.find(|device| device.address.as_deref() == Some(address)).map(|device| device.id.clone())
        })
    }

    /// A device becomes a person's; whoever had it has it no more.
    fn take(&mut self, person: &str, device: &str, at: Micros) {
        self.release(person, at, Some(device));
        let entry = key(b'u', &[device]);
        let mut held: Vec<Held> = self.store.get(&entry).unwrap_or_default();
        let mine = |held: &Held| held.to.is_none() && held.person == person;
        if held.last().is_some_and(mine) {
            return;
        }
        held.iter_mut().filter(|held| held.to.is_none()).for_each(|held| held.to = Some(at));
        held.push(Held { person: person.to_owned(), from: at, to: None });
        // Who had it long ago decides nothing any more.
        let horizon = self.now + -super::CORRECT_US;
        held.retain(|held| held.to.is_none_or(|to| to >= horizon));
        let before = held.iter().rev().nth(1).map(|held| held.person.clone());
        self.store.put(&entry, &held);
        self.follow(device, before.as_deref(), person, at);
    }

    /// A person's devices are free again, but this one.
    fn release(&mut self, person: &str, at: Micros, but: Option<&str>) {
        let held: Vec<(Vec<u8>, Vec<Held>)> = self.store.all(b"u").map(|(key, held)| (key.to_vec(), held)).collect();
        for (entry, mut held) in held {
            let is_kept = but.is_some_and(|but| entry == key(b'u', &[but]));
            let Some(mine) = held.last_mut().filter(|it| it.to.is_none() && it.person == person && !is_kept) else {
                continue;
            };
            mine.to = Some(at);
            self.store.put(&entry, &held);
            let device = parts(&entry).concat();
            self.follow(&device, Some(person), person, at);
        }
    }

    fn heartbeat(&mut self, person: &str, said: &Terminal) -> Result<Option<String>, String> {
        let entry = key(b't', &[person, &said.terminal]);
        let mut stays: Vec<TerminalStay> = self.store.get(&entry).unwrap_or_default();
        let open = stays.last_mut().filter(|stay| stay.to.is_none()).ok_or_else(|| not_there(said))?;
        open.beat = open.beat.max(said.at);
        let device = open.device.clone();
        // When the time-out would have been, it is looked at again.
        self.store.put(&entry, &stays);
        Ok(device)
    }

    fn logout(&mut self, person: &str, said: &Terminal) -> Result<Option<String>, String> {
        let entry = key(b't', &[person, &said.terminal]);
        let mut stays: Vec<TerminalStay> = self.store.get(&entry).unwrap_or_default();
        let open = stays.last_mut().filter(|stay| stay.to.is_none()).ok_or_else(|| not_there(said))?;
        open.to = Some((said.at.max(open.from), EndedBy::Hand));
        self.store.put(&entry, &stays);
        self.left(person, said.at);
        self.dirty(person, Window { from: said.at, to: None });
        Ok(None)
    }

    /// Whoever is logged in nowhere any more has no device.
    fn left(&mut self, person: &str, at: Micros) {
        let is_open = |stays: &[TerminalStay]| stays.last().is_some_and(|stay| stay.to.is_none());
        let is_there = self.store.all::<Vec<TerminalStay>>(&under(b't', &[person])).any(|(_, stays)| is_open(&stays));
        if !is_there {
            self.release(person, at, None);
        }
    }

    /// Ends the logins whose terminals were silent for too long, but never while a call is up. Returns the part of the timeline
    /// that this changes, and when to look again.
    pub(super) fn time_out(&mut self, person: &str, on_call: &[OnCall]) -> (Option<Window>, Option<Micros>) {
        let (mut changed, mut next) = (None, None::<Micros>);
        let terminals: Vec<(Vec<u8>, Vec<TerminalStay>)> =
            self.store.all(&under(b't', &[person])).map(|(key, stays)| (key.to_vec(), stays)).collect();
        for (entry, mut stays) in terminals {
            let Some(open) = stays.last_mut() else { continue };
            let Some(until) = open.silent_until() else { continue };
            if until > self.now {
                next = Some(next.map_or(until, |next| next.min(until)));
                continue;
            }
            // The first moment from then on at which no call is up.
            let Some(end) = free_from(until, on_call) else { continue };
            if end > self.now {
                next = Some(next.map_or(end, |next| next.min(end)));
                continue;
            }
            open.to = Some((end, EndedBy::Timeout));
            self.store.put(&entry, &stays);
            self.left(person, end);
            let window = Window { from: end, to: None };
            changed = Some(changed.map_or(window, |known: Window| known.hull(window)));
        }
        (changed, next)
    }
}

/// The first moment from `at` on at which no call is up; none while one goes on.
fn free_from(mut at: Micros, on_call: &[OnCall]) -> Option<Micros> {
    let up = |at: Micros| on_call.iter().find(|call| call.from <= at && call.to.is_none_or(|to| at < to));
    while let Some(call) = up(at) {
        at = call.to?;
    }
    Some(at)
}

fn not_there(said: &Terminal) -> String {
    format!("{} is not logged in on {}, or no longer", said.agent, said.terminal)
}
