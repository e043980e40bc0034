//! The channels of a played PBX that are up, as it answers when it is asked for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::decode::ami::{FrameKind, Framer, Item};

/// The fields of a channel's snapshot that the answer has, too.
const SNAPSHOT: [&str; 8] =
    ["Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "Context", "Exten", "Uniqueid", "Linkedid"];

/// The events of the answer to `CoreShowChannels` of a PBX that said these pieces so far, and how many channels they are.
pub(super) fn listed<'a>(said: impl Iterator<Item = &'a [u8]>, action_id: &str) -> String {
    let mut up: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    let mut framer = Framer::default();
    for piece in said {
        framer.push(piece);
        while let Some(item) = framer.next() {
            let Item::Frame(frame) = item else { continue };
            let uid = frame.header("Uniqueid").unwrap_or_default().to_vec();
            match frame.title() {
                _ if frame.kind != FrameKind::Event => {}
                b"Newchannel" | b"Newstate" => {
                    let mut snapshot = String::new();
                    for name in SNAPSHOT {
                        let value = String::from_utf8_lossy(frame.header(name).unwrap_or_default());
                        // Writing to a String can't fail.
                        let _ = write!(snapshot, "{name}: {value}\r\n");
                    }
                    up.insert(uid, snapshot);
                }
                b"Hangup" => drop(up.remove(&uid)),
                _ => {}
            }
        }
    }
    let id = if action_id.is_empty() { String::new() } else { format!("ActionID: {action_id}\r\n") };
    let mut answer = String::new();
    for snapshot in up.values() {
        let _ = write!(
            answer,
            "Event: CoreShowChannel\r\n{id}{snapshot}Application: \r\nApplicationData: \r\nDuration: 00:00:01\r\nBridgeId: \r\n\r\n"
        );
    }
    let count = up.len();
    let _ = write!(answer, "Event: CoreShowChannelsComplete\r\n{id}EventList: Complete\r\nListItems: {count}\r\n\r\n");
    answer
}
