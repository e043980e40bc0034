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
/// | `a`, `v` | PBX, device or name | which device is whose, as the PBX says |
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
