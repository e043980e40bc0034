//! What the fold of agents keeps: small entries, each under a letter and what it is about.
//!
//! [`key`] has a list of the letters. Must not know what follows from any of it.

use calltide_schemas::Micros;
use calltide_schemas::agents::{Activity, Doing};
use serde::{Deserialize, Serialize};

use super::presence::{EndedBy, MemberFact};
use super::sessions::OnCall;
use super::timeline::Window;

/// An entry's key. No part but the last may hold a zero byte, and none does: they are names.
///
/// | letter | of | what |
/// |---|---|---|
/// | `m` | person, PBX, name, queue | what was told of a member |
/// | `t` | person, terminal | logins there |
/// | `l` | person, when, leg | what a leg told |
/// | `p` | leg | whose it is, and when it began |
/// | `i` | person, when | what was published of a state |
/// | `s` | person, session | what was published of a session |
/// | `u` | device | who had it |
/// | `a`, `v` | PBX, device or name | which device was whose since when, as the PBX says |
/// | `r` | PBX, device | from where it is registered |
/// | `w` | PBX, queue | the time after calls |
/// | `n` | PBX, name | who that was, as published |
/// | `d` | kind, id | the directory |
/// | `z` | person | when something about them changes by itself |
/// | `g` | person | when old entries were last forgotten |
/// | `c` | | the latest time that was told |
pub(super) fn key(letter: u8, parts: &[&str]) -> Vec<u8> {
    let mut key = vec![letter];
    key.extend_from_slice(parts.join("\0").as_bytes());
    key
}

/// The beginning of the keys of all entries under these parts.
pub(super) fn under(letter: u8, parts: &[&str]) -> Vec<u8> {
    let mut key = key(letter, parts);
    key.push(0);
    key
}

/// The key of an entry of a person at a time; entries are in the order of time.
pub(super) fn key_at(letter: u8, person: &str, at: Micros, rest: &str) -> Vec<u8> {
    let mut key = under(letter, &[person]);
    key.extend_from_slice(&at.0.to_be_bytes());
    key.extend_from_slice(rest.as_bytes());
    key
}

/// The time in such a key.
pub(super) fn time_of(key: &[u8], person: &str) -> Option<Micros> {
    let bytes = key.get(person.len() + 2..person.len() + 10)?;
    bytes.try_into().ok().map(|bytes| Micros(i64::from_be_bytes(bytes)))
}

/// The leg in the key of a part of a call.
pub(super) fn leg_of(key: &[u8], person: &str) -> String {
    String::from_utf8_lossy(key.get(person.len() + 10..).unwrap_or_default()).into_owned()
}

/// The parts of a key that has only names.
pub(super) fn parts(key: &[u8]) -> Vec<&str> {
    let text = key.get(1..).and_then(|rest| std::str::from_utf8(rest).ok()).unwrap_or_default();
    text.split('\0').collect()
}

/// What was told of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptMember {
    pub(super) facts: Vec<MemberFact>,
    /// When the PBX last named it among all members.
    pub(super) listed: Option<Micros>,
    /// By which devices it was a member, as far as that was told.
    pub(super) devices: Changing,
}

/// A login on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TerminalStay {
    pub(super) from: Micros,
    /// When the terminal was last heard of.
    pub(super) beat: Micros,
    pub(super) timeout_ms: Option<i64>,
    pub(super) to: Option<(Micros, EndedBy)>,
    /// `<pbx>/<endpoint>`
    pub(super) device: Option<String>,
}

impl TerminalStay {
    /// When it ends if nothing more is heard of it.
    pub(super) fn silent_until(&self) -> Option<Micros> {
        let timeout_us = self.timeout_ms.filter(|_| self.to.is_none())?.saturating_mul(1_000);
        Some(self.beat + timeout_us)
    }
}

/// What a leg told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptLeg {
    pub(super) pbx: String,
    pub(super) call_id: String,
    pub(super) queue: Option<String>,
    pub(super) activities: Vec<Activity>,
    pub(super) is_answered: bool,
    /// How long the agent has after it.
    pub(super) wrap_up_ms: i64,
}

impl KeptLeg {
    /// When the agent spoke.
    pub(super) fn on_call(&self) -> Option<OnCall> {
        let first = self.activities.iter().find(|it| it.doing != Doing::Ringing).filter(|_| self.is_answered)?;
        Some(OnCall { from: first.from, to: self.activities.last().and_then(|it| it.to) })
    }

    /// What of a timeline it decides.
    pub(super) fn window(&self) -> Option<Window> {
        let to = self.activities.last()?.to.map(|to| to + self.wrap_up_ms * 1_000);
        Some(Window { from: self.activities.first()?.from, to })
    }
}

/// What something was called, and since when; the first name counts for all that was before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changing(Vec<(Micros, String)>);

/// More names than anything has in the time in which something may be corrected.
const NAMES_MAX: usize = 64;

impl Changing {
    /// What it was called then.
    pub(super) fn at(&self, at: Micros) -> Option<&str> {
        let after = self.0.partition_point(|(since, _)| *since <= at);
        self.0.get(after.saturating_sub(1)).map(|(_, name)| &**name)
    }

    /// What it was called, each since when.
    pub(super) fn all(&self) -> impl Iterator<Item = (Micros, &str)> {
        self.0.iter().map(|(since, name)| (*since, &**name))
    }

    /// It was called so then; `false` if that is known.
    pub(super) fn say(&mut self, at: Micros, name: &str) -> bool {
        if self.at(at) == Some(name) {
            return false;
        }
        let after = self.0.partition_point(|(since, _)| *since <= at);
        match self.0.get_mut(after) {
            // It has been so for longer than was known.
            Some((since, next)) if next == name => *since = at,
            Some(_) | None => self.0.insert(after, (at, name.to_owned())),
        }
        let oldest = self.0.len().saturating_sub(NAMES_MAX);
        self.0.drain(..oldest);
        true
    }
}

/// Who had a device, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) person: String,
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
}

/// What was published of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) version: i64,
    /// Of its content; none if it was withdrawn.
    pub(super) digest: Option<u64>,
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
}

/// Who a name was, as published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) person: String,
    pub(super) agent: String,
    pub(super) team: Option<String>,
    pub(super) user: Option<String>,
    pub(super) groups: Option<String>,
    pub(super) since: Micros,
    pub(super) version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_late_stands_at_its_time() {
        let mut called = Changing::default();
        assert_eq!(called.at(Micros(5)), None);
        let said =
            [(50, "anna", true), (50, "anna", false), (70, "berta", true), (60, "anna", false), (60, "berta", true)];
        for (at, name, is_new) in said {
            assert_eq!(called.say(Micros(at), name), is_new, "{name} at {at}");
        }
        assert!(called.say(Micros(20), "carl"));
        let names: Vec<_> = [10, 20, 49, 50, 59, 60, 99].map(|at| called.at(Micros(at)).unwrap_or_default()).into();
        assert_eq!(names, ["carl", "carl", "carl", "anna", "anna", "berta", "berta"]);
    }

    #[test]
    fn old_names_are_forgotten() {
        let mut called = Changing::default();
        for (at, name) in (0..1_000).zip(["anna", "berta"].into_iter().cycle()) {
            assert!(called.say(Micros(at), name));
        }
        assert_eq!(called.0.len(), NAMES_MAX);
        assert_eq!(called.at(Micros(999)), Some("berta"));
    }
}
