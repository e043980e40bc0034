//! Envelopes of random words, and bytes that are no envelopes. Nothing panics; what can't be read becomes a row of `rejects`
//! with its bytes.

use calltide_eventlog::Record;
use calltide_processor::calls::CallSettings;
use calltide_schemas::envelope::Source;
use proptest::prelude::*;

use crate::replay::{Replay, rows};
use crate::timeline::Told;
use crate::timeline::records::record;

/// Names that mean something, so that random values reach every decoder.
const NAMES: &[&str] = &[
    "Event",
    "Channel",
    "Uniqueid",
    "Linkedid",
    "DestUniqueid",
    "DestChannel",
    "DialString",
    "DialStatus",
    "ChannelStateDesc",
    "Context",
    "Exten",
    "Cause",
    "Queue",
    "MemberName",
    "BridgeUniqueid",
    "BridgeTechnology",
    "Variable",
    "Value",
    "Reason",
    "Uptime",
    "Result",
    "TransfererUniqueid",
    "TransfereeUniqueid",
    "ParkeeUniqueid",
    "LocalOneUniqueid",
    "LocalTwoUniqueid",
    "eventtype",
    "uniqueid",
    "linkedid",
    "channame",
    "appname",
    "appdata",
    "extra",
    "context",
    "source",
    "ChanVariable",
    "Application",
    "AppData",
    "UserEvent",
    "ActionID",
    "TargetUniqueid",
    "EventName",
    "UniqueID",
    "",
];

/// Values that mean something here or there.
const VALUES: &[&str] = &[
    "Newchannel",
    "Newstate",
    "Newexten",
    "DialBegin",
    "DialEnd",
    "BridgeEnter",
    "BridgeLeave",
    "Hangup",
    "Hold",
    "Unhold",
    "VarSet",
    "QueueCallerJoin",
    "QueueCallerLeave",
    "QueueCallerAbandon",
    "AgentCalled",
    "AgentConnect",
    "AgentComplete",
    "AgentRingNoAnswer",
    "BlindTransfer",
    "AttendedTransfer",
    "LocalBridge",
    "Pickup",
    "ParkedCall",
    "UnParkedCall",
    "OriginateResponse",
    "FullyBooted",
    "UserEvent",
    "CEL",
    "CHAN_START",
    "HANGUP",
    "ANSWER",
    "BRIDGE_ENTER",
    "BRIDGE_EXIT",
    "APP_START",
    "PICKUP",
    "PARK_START",
    "LINKEDID_END",
    "BLINDTRANSFER",
    "1.0",
    "1.1",
    "1.2",
    "1.3",
    "PJSIP/trunk-00000001",
    "PJSIP/101-00000002",
    "Local/5@x-00000003;1",
    "Local/5@x-00000003;2",
    "Up",
    "Ringing",
    "Down",
    "Ring",
    "ANSWER",
    "CANCEL",
    "16",
    "17",
    "99999999999",
    "-1",
    "Success",
    "sales",
    "QUEUESTATUS",
    "TIMEOUT",
    "from-trunk",
    "from-internal",
    r#"{"hangupcause":16,"bridge_id":"b"}"#,
    r#"{"hangupcause":1e99,"bridge_id":[[]]}"#,
    "{",
    "NONE",
    "ENTERQUEUE",
    "CONNECT",
    "ABANDON",
    "COMPLETEAGENT",
    "RINGNOANSWER",
    "QUEUESTART",
    "<unknown>",
    "",
    "\u{0}",
    "é\\'\"",
];

#[derive(Debug, Clone)]
enum Input {
    Envelope(Told),
    Bytes(Vec<u8>),
}

fn input() -> impl Strategy<Value = Input> {
    let source = prop_oneof![
        8 => Just(Source::Ami), 4 => Just(Source::Cel), 4 => Just(Source::QueueLog), 2 => Just(Source::Heartbeat),
        1 => Just(Source::ImportEnd), 1 => Just(Source::Gap), 1 => Just(Source::Unreadable),
    ];
    let at = prop_oneof![9 => 0_i64..100_000_000, 1 => any::<i64>()];
    let text = || prop_oneof![9 => proptest::sample::select(VALUES).prop_map(str::to_owned), 1 => ".{0,12}"];
    let header = (proptest::sample::select(NAMES).prop_map(str::to_owned), text());
    let headers =
        (any::<bool>(), text(), proptest::collection::vec(header, 0..9)).prop_map(|(event, name, mut headers)| {
            if event {
                headers.insert(0, ("Event".to_owned(), name));
            }
            headers
        });
    let envelope = (source, at, headers, proptest::collection::vec(text(), 0..9))
        .prop_map(|(source, at, headers, fields)| Input::Envelope(Told { source, at, headers, fields }));
    prop_oneof![30 => envelope, 1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Input::Bytes)]
}

/// What the envelope lacks to be read, if it lacks something.
fn is_unreadable(told: &Told) -> bool {
    let filled = |name: &str| {
        let header = told.headers.iter().find(|h| h.0.eq_ignore_ascii_case(name));
        header.is_some_and(|h| !h.1.is_empty())
    };
    match told.source {
        Source::Ami => {
            let event = told.headers.first().filter(|h| h.0.eq_ignore_ascii_case("Event"));
            event.is_none_or(|h| h.1 == "CEL" && !(filled("EventName") && filled("UniqueID")))
        }
        Source::Cel => !(filled("eventtype") && filled("uniqueid")),
        Source::QueueLog => told.fields.len() < 5,
        Source::Unreadable => true,
        Source::Heartbeat | Source::ImportEnd | Source::Gap | Source::Resync => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nothing_unreadable_is_lost(inputs in proptest::collection::vec(input(), 1..80)) {
        let mut replayed = Replay::new(&CallSettings::default());
        let mut offsets = std::collections::BTreeMap::new();
        let mut unreadable = Vec::new();
        for (nth, input) in inputs.iter().enumerate() {
            let record = match input {
                Input::Envelope(told) => {
                    let offset = offsets.entry(told.source.name()).or_insert(0);
                    *offset += 1;
                    record("pbx", told, *offset)
                }
                Input::Bytes(bytes) => Record {
                    key: b"pbx".to_vec(),
                    id: format!("bytes:{nth}"),
                    kind: "ami".to_owned(),
                    payload: Some(bytes.clone()),
                    ..Record::default()
                },
            };
            if matches!(input, Input::Bytes(_)) || matches!(input, Input::Envelope(told) if is_unreadable(told)) {
                unreadable.push(record.id.clone());
            }
            replayed.take(&record);
            if nth % 7 == 0 {
                replayed.restart();
            }
        }
        let tables = replayed.tables();
        let rejects = rows(&tables, "rejects");
        for id in unreadable {
            let row = rejects.iter().find(|r| r["reject_id"] == id.as_str());
            prop_assert!(row.is_some_and(|r| !r["raw"].is_null()), "no row of rejects for {}", id);
        }
    }
}
