//! Any envelope is the same after it was written and read.

use std::borrow::Cow;

use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Header, Source, Text};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select};

/// Sources said one by one, so that a new one must be added here.
const SOURCES: [Source; 8] = [
    Source::Ami,
    Source::Cel,
    Source::QueueLog,
    Source::Heartbeat,
    Source::ImportEnd,
    Source::Gap,
    Source::Unreadable,
    Source::Resync,
];

fn text() -> impl Strategy<Value = Text<'static>> {
    // Plain text, text that JSON must escape, and anything else that is UTF-8.
    let words =
        prop_oneof![Just("PJSIP/101-0000002a".to_owned()), Just("say \"hi\"\n\\\u{0}".to_owned()), any::<String>()];
    words.prop_map(|word| Text(Cow::Owned(word)))
}

/// What a byte becomes; `None`: it goes.
fn byte() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![option::of(any::<u8>()), select(b"\"\\[]{}:,-+0179.eE \n\0\x7f".to_vec()).prop_map(Some)]
}

fn envelope() -> impl Strategy<Value = Envelope<'static>> {
    let place = (any::<String>(), 0..SOURCES.len(), any::<i64>(), any::<i64>(), any::<String>(), any::<u64>());
    let body = (vec((text(), text()), 0..5), vec(text(), 0..5), option::of(text()), option::of(text()), any::<bool>());
    (place, body).prop_map(|((pbx, source, at, seen, journal, offset), (headers, fields, reason, raw, keep_open))| {
        Envelope {
            v: 1,
            pbx: Cow::Owned(pbx),
            source: SOURCES[source],
            at: Micros(at),
            seen: Micros(seen),
            journal: Cow::Owned(journal),
            offset,
            headers: headers.into_iter().map(|(name, value)| Header(name, value)).collect(),
            fields,
            reason: reason.map(|t| t.0),
            raw: raw.map(|t| t.0),
            keep_open,
        }
    })
}

proptest! {
    #[test]
    fn an_envelope_is_read_as_it_was_written(envelope in envelope()) {
        let written = serde_json::to_string(&envelope).expect("an envelope is JSON");
        assert_eq!(Envelope::read(written.as_bytes()).expect("what was written can be read"), envelope);
    }

    #[test]
    fn whatever_is_read_is_read_as_serde_does(envelope in envelope(), changes in vec((any::<Index>(), byte()), 0..4)) {
        let mut json = serde_json::to_vec(&envelope).expect("an envelope is JSON");
        for (at, byte) in changes {
            let at = at.index(json.len());
            match byte {
                Some(byte) => json[at] = byte,
                None => drop(json.remove(at)),
            }
        }
        match (Envelope::read(&json), serde_json::from_slice::<Envelope<'_>>(&json)) {
            (Ok(one), Ok(other)) => assert_eq!(one, other),
            (one, other) => assert_eq!(one.is_ok(), other.is_ok(), "{}", String::from_utf8_lossy(&json)),
        }
    }
}

#[test]
fn a_source_is_called_the_same_in_json_and_in_tables() {
    for source in SOURCES {
        assert_eq!(serde_json::to_value(source).expect("a word"), source.name());
    }
}
