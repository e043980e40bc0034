//! The members of a played PBX's queues, as it answers when it is asked for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::decode::ami::{FrameKind, Framer, Item};

/// The fields of the answer, each with the one that it has in the events that tell of a member (Asterisk `apps/app_queue.c`).
const FIELDS: [(&str, &str); 15] = [
    ("Queue", "Queue"),
    ("Name", "MemberName"),
    ("Location", "Interface"),
    ("StateInterface", "StateInterface"),
    ("Membership", "Membership"),
    ("Penalty", "Penalty"),
    ("CallsTaken", "CallsTaken"),
    ("LastCall", "LastCall"),
    ("LastPause", "LastPause"),
    ("LoginTime", "LoginTime"),
    ("InCall", "InCall"),
    ("Status", "Status"),
    ("Paused", "Paused"),
    ("PausedReason", "PausedReason"),
    ("Wrapuptime", "Wrapuptime"),
];

/// The events of the answer to `QueueStatus` of a PBX that said these pieces so far.
pub(super) fn listed<'a>(said: impl Iterator<Item = &'a [u8]>, action_id: &str) -> String {
    let mut members: BTreeMap<[Vec<u8>; 2], String> = BTreeMap::new();
    let mut framer = Framer::default();
    for piece in said {
        framer.push(piece);
        while let Some(item) = framer.next() {
            let Item::Frame(frame) = item else { continue };
            let member = ["Queue", "Interface"].map(|name| frame.header(name).unwrap_or_default().to_vec());
            match frame.title() {
                _ if frame.kind != FrameKind::Event => {}
                b"QueueMemberRemoved" => drop(members.remove(&member)),
                // Whatever tells of a member has all of its fields.
                b"QueueMemberAdded" | b"QueueMemberStatus" | b"QueueMemberPause" => {
                    let mut fields = String::new();
                    for (name, from) in FIELDS {
                        let value = String::from_utf8_lossy(frame.header(from).unwrap_or_default());
                        // Writing to a String can't fail.
                        let _ = write!(fields, "{name}: {value}\r\n");
                    }
                    members.insert(member, fields);
                }
                _ => {}
            }
        }
    }
    let id = if action_id.is_empty() { String::new() } else { format!("ActionID: {action_id}\r\n") };
    let mut answer = String::new();
    for fields in members.values() {
        let _ = write!(answer, "Event: QueueMember\r\n{id}{fields}\r\n");
    }
    let count = members.len();
    let _ = write!(answer, "Event: QueueStatusComplete\r\n{id}EventList: Complete\r\nListItems: {count}\r\n\r\n");
    answer
}
