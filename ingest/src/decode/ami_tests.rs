//! What a stream of AMI is cut into: a table of situations, and that cutting the input anywhere changes nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// The items as lines: what, where, and a glance at the content.
fn items(pieces: &[&[u8]]) -> Vec<String> {
    let show = |item: Item<'_>| match item {
        Item::Banner { version } => format!("banner {}", version.escape_ascii()),
        Item::Frame(frame) => {
            let headers = frame
                .headers()
                .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
                .collect::<Vec<_>>();
            format!("{:?} {}", frame.kind, headers.join(" "))
        }
        Item::Garbage(garbage) => {
            format!("{} {}: {}", garbage.flaw.name(), garbage.position, garbage.bytes.escape_ascii())
        }
    };
    let mut framer = Framer::default();
    let mut seen = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(item) = framer.next() {
            seen.push(show(item));
        }
    }
    seen.extend(framer.finish().map(show));
    seen
}

/// What happened, the bytes, the items.
const SITUATIONS: &[(&str, &str, &[&str])] = &[
    (
        "banner without a blank line, login",
        "Asterisk Call Manager/5.0.5\r\nResponse: Success\r\nMessage: Authentication accepted\r\n\r\n",
        &["banner 5.0.5", "Response Response=Success Message=Authentication accepted"],
    ),
    (
        "values keep everything behind the colon, one blank aside; names may repeat",
        "Event: X\r\nA: 1:2: 3 \r\nB:x\r\nC: \r\nC:  y\r\n\r\n",
        &["Event Event=X A=1:2: 3  B=x C= C= y"],
    ),
    ("a line feed in a value is data", "Event: X\r\nAppData: a\nb\r\n\r\n", &["Event Event=X AppData=a\\nb"]),
    (
        "a line break in a value too",
        "Event: X\r\nAppData: a\r\nb\r\nC: d\r\n\r\n",
        &["Event Event=X AppData=a\\r\\nb C=d"],
    ),
    ("a lone CR too", "Event: X\r\nA: a\rb\r\r\n\r\n", &["Event Event=X A=a\\rb\\r"]),
    (
        "asterisk#761",
        "Event: CoreShowChannelMap\r\nActionID: 1\r\n\nEvent: CoreShowChannelMapComplete\r\nActionID: 1\r\n\r\n",
        &["Event Event=CoreShowChannelMap ActionID=1", "Event Event=CoreShowChannelMapComplete ActionID=1"],
    ),
    (
        "the events OriginateResponse and UserEvent may have headers of responses",
        "Event: OriginateResponse\r\nPrivilege: call,all\r\nResponse: Failure\r\n\r\nEvent: UserEvent\r\nEvent: x\r\n\r\n",
        &["Event Event=OriginateResponse Privilege=call,all Response=Failure", "Event Event=UserEvent Event=x"],
    ),
    (
        "a command's output up to Asterisk 13",
        "Response: Follows\r\nPrivilege: Command\r\nA: 1\nB\r\n\r\nC\n--END COMMAND--\r\n\r\nEvent: X\r\n\r\n",
        &["Response Response=Follows Privilege=Command A=1\\nB\\r\\n\\r\\nC\\n--END COMMAND--", "Event Event=X"],
    ),
    (
        "a command whose end was lost",
        "Response: Follows\r\nPrivilege: Command\r\nA\nB\r\n\r\nEvent: X\r\nPrivilege: call,all\r\n\r\n",
        &[
            "torn_frame 0: Response: Follows\\r\\nPrivilege: Command\\r\\nA\\nB\\r\\n\\r\\n",
            "Event Event=X Privilege=call,all",
        ],
    ),
    (
        "a command's output since Asterisk 14",
        "Response: Success\r\nMessage: Command output follows\r\nOutput: a\r\nOutput: \r\nOutput: b\r\n\r\n",
        &["Response Response=Success Message=Command output follows Output=a Output= Output=b"],
    ),
    (
        "the rest of a frame whose beginning is lost",
        "dFoo: x\r\nBar: y\r\n\r\nEvent: X\r\n\r\n",
        &["torn_frame 0: dFoo: x\\r\\nBar: y\\r\\n\\r\\n", "Event Event=X"],
    ),
    (
        "garbage that a frame runs into",
        "junk\r\nmore\r\nEvent: X\r\n\r\n",
        &["torn_frame 0: junk\\r\\nmore\\r\\n", "Event Event=X"],
    ),
    (
        "an event torn within a value, and the next one",
        "Event: Hangup\r\nPrivilege: call,all\r\nChannel: SIP/tEvent: Newchannel\r\nPrivilege: call,all\r\nA: b\r\n\r\n",
        &[
            "torn_frame 0: Event: Hangup\\r\\nPrivilege: call,all\\r\\nChannel: SIP/t",
            "Event Event=Newchannel Privilege=call,all A=b",
        ],
    ),
    (
        "torn within the first line",
        "Event: HanEvent: Newchannel\r\nPrivilege: call,all\r\n\r\n",
        &["torn_frame 0: Event: Han", "Event Event=Newchannel Privilege=call,all"],
    ),
    (
        "torn behind a line",
        "Event: Hangup\r\nPrivilege: call,all\r\nEvent: Newchannel\r\nPrivilege: call,all\r\n\r\n",
        &["torn_frame 0: Event: Hangup\\r\\nPrivilege: call,all\\r\\n", "Event Event=Newchannel Privilege=call,all"],
    ),
    (
        "two recordings in one file, the first one torn",
        "Event: Hangup\r\nAsterisk Call Manager/11.0.0\r\nEvent: X\r\n\r\n",
        &["torn_frame 0: Event: Hangup\\r\\n", "banner 11.0.0", "Event Event=X"],
    ),
    (
        "the end is missing",
        "Event: X\r\n\r\nEvent: Y\r\nA: b\r\n",
        &["Event Event=X", "torn_frame 12: Event: Y\\r\\nA: b\\r\\n"],
    ),
    ("letter case is ignored, blank lines are passed over", "\r\n\r\nEVENT: X\r\n\r\n\r\n", &["Event EVENT=X"]),
    ("not UTF-8", "Event: X\r\nA: \u{80}\r\n\r\n", &["Event Event=X A=\\xc2\\x80"]),
    ("nothing", "", &[]),
];

#[test]
fn situations() {
    for (situation, bytes, expected) in SITUATIONS {
        assert_eq!(items(&[bytes.as_bytes()]), *expected, "{situation}");
        let single: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(items(&single), *expected, "{situation}, byte by byte");
    }
}

#[test]
fn a_header_of_a_million_bytes_works_and_a_longer_one_is_cut() {
    for (bytes, whole) in
        [(1_000_000, true), (FRAME_BYTES_MAX - 17, true), (FRAME_BYTES_MAX - 16, false), (9 << 20, false)]
    {
        let frame = [b"Event: X\r\nA: ".as_slice(), &vec![b'v'; bytes], b"\r\n\r\nEvent: Y\r\n\r\n"].concat();
        for step in [64 << 10, 100_003] {
            let mut framer = Framer::default();
            let (mut frames, mut too_long) = (Vec::new(), 0);
            for piece in frame.chunks(step) {
                framer.push(piece);
                assert!(framer.buf.len() <= FRAME_BYTES_MAX + step, "memory is bounded");
                while let Some(item) = framer.next() {
                    match item {
                        Item::Frame(frame) => frames.push(frame.title().to_vec()),
                        Item::Garbage(garbage) => {
                            assert_eq!(garbage.flaw, Flaw::TooLong);
                            assert!(garbage.bytes.starts_with(b"Event: X\r\nA: vvv"));
                            too_long += 1;
                        }
                        Item::Banner { .. } => unreachable!("there is no banner"),
                    }
                }
            }
            let expected: &[&[u8]] = if whole { &[b"X", b"Y"] } else { &[b"Y"] };
            assert_eq!((frames, too_long), (expected.iter().map(|title| title.to_vec()).collect(), i32::from(!whole)));
        }
    }
}

fn capture(version: &str) -> Vec<u8> {
    let path = format!("{}/../tests/captures/{version}/ami.raw", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// All bytes of a capture are in its items.
#[test]
fn recordings_of_asterisk_have_no_garbage_and_nothing_is_left_over() {
    for version in ["asterisk-16.28", "asterisk-22.10"] {
        let bytes = capture(version);
        let mut framer = Framer::default();
        framer.push(&bytes);
        let mut end = 0;
        while let Some(item) = framer.next() {
            assert!(!matches!(item, Item::Garbage(_)), "{version}: {item:?}");
            end = framer.position();
        }
        assert_eq!(end, bytes.len() as u64);
        assert!(framer.finish().is_none());
    }
}

/// Pieces of AMI, whole and broken, put together at random.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"Event: Hangup\r\n".to_vec()),
        Just(b"Privilege: call,all\r\n".to_vec()),
        Just(b"Response: Follows\r\n".to_vec()),
        Just(b"--END COMMAND--\r\n".to_vec()),
        Just(b"Asterisk Call Manager/1.3\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b": ".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn cut<'a>(bytes: &'a [u8], steps: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for step in steps.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*step).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces
}

proptest! {
    #[test]
    fn any_bytes_cut_anywhere_give_the_same_items(
        bytes in stream(),
        steps in proptest::collection::vec(1_usize..40, 1..20),
    ) {
        prop_assert_eq!(items(&cut(&bytes, &steps)), items(&[&bytes]));
    }

    #[test]
    fn a_damaged_recording_cut_anywhere_gives_the_same_items(
        from in 0_usize..1_000_000,
        damage in proptest::collection::vec((0_usize..8_000, any::<u8>(), 0_usize..200), 0..12),
        steps in proptest::collection::vec(1_usize..3_000, 1..20),
    ) {
        static CAPTURE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| capture("asterisk-22.10"));
        let mut bytes = CAPTURE[from..from + 8_000].to_vec();
        for (at, byte, dropped) in damage {
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            bytes.drain(at + 1..(at + 1 + dropped).min(bytes.len()));
        }
        prop_assert_eq!(items(&cut(&bytes, &steps)), items(&[&bytes]));
    }
}
