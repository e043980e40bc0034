//! What is written equals what serde writes, and secrets are not in it.

#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::decode::ami::{Framer, Item};
use crate::decode::cel::{self, CelColumns, Rows};
use crate::decode::time::LocalClock;

const STAMP: Stamp = Stamp { at: Micros(-5), seen: Micros(7), offset: 3 };

/// The payload of the first event in `bytes`, which serde must read and write back unchanged.
fn ami(bytes: &[u8]) -> String {
    let encoder = Encoder::new("p\"bx", "j/\u{1}", Redaction::allowing(&["__Tariff".to_owned()]));
    let mut framer = Framer::default();
    framer.push(bytes);
    let record = match framer.next() {
        Some(Item::Frame(frame)) => encoder.ami(&frame, STAMP),
        Some(Item::Garbage(garbage)) => encoder.unreadable(Source::Ami, &garbage, STAMP),
        Some(Item::Banner { .. }) | None => return String::new(),
    };
    assert_eq!(record.id, "j/\u{1}:3");
    checked(record)
}

fn checked(record: Record) -> String {
    let payload = record.payload.unwrap();
    let envelope: Envelope<'_> = serde_json::from_slice(&payload).unwrap();
    assert_eq!(serde_json::to_vec(&envelope).unwrap(), payload);
    String::from_utf8(payload).unwrap()
}

#[test]
fn an_event_is_written_as_it_came() {
    let json = ami(b"Event: X\r\nA: \"q\" \\ \x01\x08\x0c\t\n\x7f\xc3\xbc\r\nA: \r\n\r\n");
    let head = r#"{"v":1,"pbx":"p\"bx","source":"ami","at":-5,"seen":7,"journal":"j/\u0001","offset":3,"#;
    let body = "\"headers\":[[\"Event\",\"X\"],[\"A\",\"\\\"q\\\" \\\\ \\u0001\\b\\f\\t\\n\x7fü\"],[\"A\",\"\"]]}";
    assert_eq!(json, format!("{head}{body}"));
}

#[test]
fn what_is_not_utf8_is_there_twice() {
    let json = ami(b"Event: X\r\nCallerIDName: J\xfcrgen\r\n\r\n");
    assert!(json.contains(r#"["CallerIDName","J�rgen"]"#), "{json}");
    let raw = STANDARD.encode(b"Event: X\r\nCallerIDName: J\xfcrgen\r\n");
    assert!(json.contains(&format!(r#""raw":"{raw}""#)), "{json}");
}

#[test]
fn secrets_stay_out() {
    let gone = [
        "Event: VarSet\r\nVariable: CARD\r\nValue: 4711\r\n\r\n",
        "Event: VarSet\r\nValue: 4711\r\nVariable: __PIN\r\n\r\n",
        "Event: VarSet\r\nVariable: X\r\nValue: 4711\r\nA: \u{fc}\r\n\r\n",
        "Event: Newexten\r\nApplication: Set\r\nAppData: CARD=4711\r\n\r\n",
        "Event: Newexten\r\nApplication: MSet\r\nAppData: CAMPAIGN=a,CARD=4711\r\n\r\n",
        "Event: VoicemailPasswordChange\r\nMailbox: 1\r\nNewPassword: 4711\r\n\r\n",
        "Event: ChallengeResponseFailed\r\nChallenge: 4711\r\nResponse: 4711\r\nExpectedResponse: 4711\r\n\r\n",
        "Event: InvalidPassword\r\nChallenge: 4711\r\nReceivedChallenge: 4711\r\nReceivedHash: 4711\r\n\r\n",
        "Event: DTMFBegin\r\nDigit: 4711\r\n\r\n",
        "Event: DTMFEnd\r\nDigit: 4711\r\nDurationMs: 90\r\n\r\n",
        "Event: CEL\r\nEventName: DTMF\r\nExtra: {\"digit\":\"4711\",\"duration_ms\":0}\r\n\r\n",
        "lue: x\r\nValue: 4711\r\nDigit: 4711\r\nNewPassword: 4711\r\nExtra: {\"digit\":\"4711\"}\r\n\r\n",
    ];
    for event in gone {
        let json = ami(event.as_bytes());
        let bytes = ami(&[b"\x80", event.as_bytes()].concat());
        for json in [json, bytes] {
            let raw = json.split_once("\"raw\":\"").map(|(_, raw)| raw.split_once('"').unwrap().0).unwrap_or_default();
            let raw = String::from_utf8_lossy(&STANDARD.decode(raw).unwrap()).into_owned();
            assert!(!json.contains("4711") && !raw.contains("4711"), "{json} {raw}");
            assert!(json.contains("[redacted]") || raw.contains("[redacted]"), "{json} {raw}");
        }
    }
    let json = ami(b"Event: CEL\r\nEventName: DTMF\r\nExtra: 4711\r\n\r\n");
    assert!(json.contains(r#"["Extra","[redacted]"]"#), "of an unknown form nothing is kept: {json}");
    let kept = [
        "Event: VarSet\r\nVariable: __CAMPAIGN\r\nValue: 4711\r\n\r\n",
        "Event: VarSet\r\nVariable: tariff\r\nValue: 4711\r\n\r\n",
        "Event: Newexten\r\nApplication: Set\r\nAppData: __CONTACT=4711\r\n\r\n",
        "Event: Newexten\r\nApplication: Dial\r\nAppData: SIP/4711,30,U(a=b)\r\n\r\n",
        "Event: VarSet\r\nVariable: DIALSTATUS\r\nValue: 4711\r\n\r\n",
        "Event: UserEvent\r\nValue: 4711\r\nDigit: 4711\r\n\r\n",
        "Event: Newchannel\r\nChanVariable: CONTACT=4711\r\n\r\n",
        "Event: CEL\r\nEventName: HANGUP\r\nExtra: 4711\r\n\r\n",
    ];
    for event in kept {
        let json = ami(event.as_bytes());
        assert!(json.contains("4711") && !json.contains("[redacted]"), "{json}");
    }
}

#[test]
fn rows_and_lines() {
    let encoder = Encoder::new("p", "j", Redaction::default());
    let names = ["eventtype", "eventtime", "cid_num", "extra"].map(str::to_owned);
    let mut rows = Rows::new(CelColumns::new(&names).unwrap(), LocalClock::new(TimeZone::UTC));
    rows.push(b"\"DTMF\",\"1\",\"\",\"{\"\"digit\"\":\"\"7\"\",\"\"duration_ms\"\":0}\"\n\"DTMF\",\"1\",\"\xe9\",\"{\"\"digit\"\":\"\"7\"\"}\"\n");
    let mut written = Vec::new();
    while let Some(cel::Item::Row(row)) = rows.next() {
        written.push(checked(encoder.cel(&row, STAMP)));
    }
    assert!(written[0].ends_with(
        r#""headers":[["eventtype","DTMF"],["eventtime","1"],["extra","{\"digit\":\"[redacted]\",\"duration_ms\":0}"]]}"#
    ));
    let raw = STANDARD.encode(b"\"DTMF\",\"1\",\"\xe9\",\"{\"\"digit\"\":\"\"[redacted]\"\"}\"");
    assert!(written[1].contains(&raw), "{}", written[1]);
    let line = checked(encoder.queue_log(b"1|c|q|a|ADDMEMBER|", STAMP));
    assert!(line.ends_with(r#""fields":["1","c","q","a","ADDMEMBER",""]}"#), "{line}");
}

proptest! {
    #[test]
    fn any_event_is_written_as_serde_would(
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        ami(&[b"Event: X\r\nA: ", body.as_slice(), b"\r\n\r\n"].concat());
    }
}
