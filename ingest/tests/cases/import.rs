//! Files are imported once, whole, in the order of time, however they are given and however often.

use std::fs;
use std::path::{Path, PathBuf};

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_eventlog::{Cleanup, EventLog as _, Record, TopicSpec};
use calltide_ingest::import::{ImportError, ImportPlan, ImportSummary, import};
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;
use calltide_schemas::topics::EVENTS;

use crate::memory::MemoryLog;

const SEEN: Micros = Micros(1_800_000_000_000_000);

pub(crate) fn capture(version: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(version).join(file)
}

fn plan_of(version: &str) -> ImportPlan {
    ImportPlan {
        ami: vec![capture(version, "ami.raw")],
        cel: vec![capture(version, "cel.csv")],
        queue_log: vec![capture(version, "queue_log")],
        ..ImportPlan::default()
    }
}

const SOURCES: [(&str, Source); 3] =
    [("ami.raw", Source::Ami), ("cel.csv", Source::Cel), ("queue_log", Source::QueueLog)];

fn plan_of_one(source: Source, path: PathBuf) -> ImportPlan {
    let of = |wanted| if source == wanted { vec![path.clone()] } else { Vec::new() };
    let (ami, cel, queue_log) = (of(Source::Ami), of(Source::Cel), of(Source::QueueLog));
    ImportPlan { pbx: Some("p".into()), ami, cel, queue_log, ..ImportPlan::default() }
}

fn run(log: &MemoryLog, plan: &ImportPlan) -> Result<ImportSummary, ImportError> {
    import(log, plan, SEEN, &mut |_| {})
}

#[test]
fn a_recorded_day_becomes_envelopes_in_the_order_of_time() {
    for (version, pbx) in [("asterisk-22.10", "site-a"), ("asterisk-16.28", "site-b")] {
        let log = MemoryLog::default();
        let summary = run(&log, &plan_of(version)).unwrap();
        let text = String::from_utf8_lossy(&fs::read(capture(version, "ami.raw")).unwrap()).into_owned();
        let lines = |file| fs::read_to_string(capture(version, file)).unwrap().lines().count();
        assert_eq!(summary.unreadable, 0, "{version}");
        assert!(!summary.pbx.is_empty(), "{pbx}");
        assert_eq!(log.count(Source::Ami), text.matches("\r\nEvent: ").count(), "{version}");
        assert_eq!(log.count(Source::Cel), lines("cel.csv"), "{version}");
        assert_eq!(log.count(Source::QueueLog), lines("queue_log"), "{version}");
        assert_eq!(log.count(Source::ImportEnd), 1);
        let mut latest = 0;
        let mut seconds = Vec::new();
        log.each(|envelope| {
            assert!(envelope.at.0 > latest - 2_000_000, "local disorder only");
            latest = latest.max(envelope.at.0);
            if envelope.source == Source::Heartbeat {
                seconds.push(envelope.at.0);
            }
        });
        assert!(seconds.len() > 50 && seconds.is_sorted_by(|a, b| a < b));
        let last = log.payloads().pop().unwrap();
        for journal in &summary.journals {
            assert!(last.contains(&format!("[\"journal\",\"{journal}\"]")), "{last}");
        }
    }
}

#[test]
fn importing_twice_changes_nothing() {
    let log = MemoryLog::default();
    let first = run(&log, &plan_of("asterisk-22.10")).unwrap();
    let records = log.records();
    let second = run(&log, &plan_of("asterisk-22.10")).unwrap();
    assert_eq!((second.appended, second.already_there), (0, first.appended));
    let alone = ImportPlan { cel: Vec::new(), queue_log: Vec::new(), ..plan_of("asterisk-22.10") };
    assert_eq!(run(&log, &alone).unwrap().appended, 0);
    assert_eq!(log.records(), records);
}

#[test]
fn an_interrupted_import_goes_on_where_the_log_ends() {
    let whole = MemoryLog::default();
    run(&whole, &plan_of("asterisk-22.10")).unwrap();
    let expected = whole.records();
    for kept in [0, 1, 2, 3, 7, 500, 1234, expected.len() - 2, expected.len() - 1] {
        let log = MemoryLog::default();
        log.append(EVENTS, 0, expected[..kept].to_vec()).unwrap();
        run(&log, &plan_of("asterisk-22.10")).unwrap();
        assert!(log.records() == expected, "interrupted after {kept} records");
    }
}

#[test]
fn a_failing_log_loses_and_doubles_nothing() {
    let whole = MemoryLog::default();
    run(&whole, &plan_of("asterisk-16.28")).unwrap();
    let log = MemoryLog::default();
    log.fail_after(Some(0));
    assert!(matches!(run(&log, &plan_of("asterisk-16.28")), Err(ImportError::Log(_))));
    log.fail_after(None);
    run(&log, &plan_of("asterisk-16.28")).unwrap();
    assert!(log.records() == whole.records());
}

#[test]
fn a_file_that_grew_gives_what_is_new_in_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in SOURCES {
        let bytes = fs::read(capture("asterisk-22.10", name)).unwrap();
        let path = folder.path().join(name);
        let plan = plan_of_one(source, path.clone());
        let log = MemoryLog::default();
        // Cut in the middle of a record each time.
        for part in [bytes.len() / 3, bytes.len() / 2, bytes.len()] {
            fs::write(&path, &bytes[..part]).unwrap();
            run(&log, &plan).unwrap();
        }
        let once = MemoryLog::default();
        run(&once, &plan).unwrap();
        let bodies = |log: &MemoryLog| {
            let mut bodies = Vec::new();
            log.each(|envelope| {
                if envelope.source == source {
                    bodies.push((
                        envelope.at,
                        envelope.headers.iter().map(|h| h.1.as_str().to_owned()).collect::<Vec<_>>(),
                    ));
                }
            });
            bodies
        };
        assert_eq!(bodies(&log), bodies(&once), "{name}");
        assert!(log.count(Source::Unreadable) <= 2, "only the torn ends");
    }
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let check = |plan: ImportPlan, expected: &str| {
        let log = MemoryLog::default();
        let message = run(&log, &plan).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(log.records().is_empty());
    };
    let ami = |path: PathBuf| ImportPlan { ami: vec![path], ..ImportPlan::default() };
    check(ImportPlan::default(), "no file");
    check(ami(folder.path().join("absent")), "absent");
    check(ami(folder.path().to_owned()), "is not a file");
    check(ami(capture("asterisk-22.10", "cel.csv")), "doesn't look like an ami recording");
    check(
        ImportPlan { cel: vec![capture("asterisk-22.10", "queue_log")], ..ImportPlan::default() },
        "doesn't look like a cel_custom file",
    );
    check(
        ImportPlan { queue_log: vec![capture("asterisk-22.10", "cel.csv")], ..ImportPlan::default() },
        "doesn't look like a queue_log",
    );
    check(ImportPlan { queue_log: vec![capture("asterisk-22.10", "queue_log")], ..ImportPlan::default() }, "--pbx");
    check(ami(file("untimed", "Event: Hangup\r\nUniqueid: 1.1\r\n\r\n")), "timestampevents=yes");
    check(ImportPlan { pbx: Some("a/b".into()), ..plan_of("asterisk-22.10") }, "can't be the name of a pbx");
    let event = |name: &str| format!("Event: Hangup\r\nTimestamp: 1.5\r\nSystemName: {name}\r\n\r\n");
    check(
        ImportPlan { ami: vec![file("one", &event("one")), file("two", &event("two"))], ..ImportPlan::default() },
        "different pbxs",
    );
}

#[test]
fn an_event_without_a_time_gets_the_latest_before_it_and_the_first_gets_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ami");
    let text = "Event: FullyBooted\r\n\r\nResponse: Success\r\n\r\nEvent: A\r\nTimestamp: 7.5\r\nSystemName: x\r\n\r\n\
                Event: B\r\n\r\nEvent: C\r\nTimestamp: 7.25\r\n\r\nEvent: Torn\r\nTimest";
    fs::write(&path, text).unwrap();
    let log = MemoryLog::default();
    let summary = run(&log, &ImportPlan { ami: vec![path], keep_open: true, ..ImportPlan::default() }).unwrap();
    assert_eq!((summary.responses, summary.unreadable), (1, 1));
    let mut seen = Vec::new();
    log.each(|envelope| {
        seen.push(format!("{} {} {}", envelope.source.name(), envelope.at.0, envelope.header("Event").unwrap_or("-")));
        assert_eq!(envelope.keep_open, envelope.source == Source::ImportEnd);
    });
    let expected = [
        "heartbeat 7000000 -",
        "ami 7500000 FullyBooted",
        "ami 7500000 A",
        "ami 7500000 B",
        "ami 7250000 C",
        "unreadable 7250000 -",
        "import_end 7500000 -",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_recording_without_timestamps_takes_the_local_time_of_its_cel_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ami");
    let cel = |time: &str| format!("Event: CEL\r\nEventName: ANSWER\r\nEventTime: {time}\r\n\r\n");
    let hangup = "Event: Hangup\r\nUniqueid: 1.1\r\n\r\n";
    fs::write(&path, [hangup, &cel("2026-07-01 09:00:05"), hangup, &cel("2026-07-01 09:00:06"), hangup].concat())
        .unwrap();
    let log = MemoryLog::default();
    let tz = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    run(&log, &ImportPlan { tz, ..plan_of_one(Source::Ami, path) }).unwrap();
    let mut seconds = Vec::new();
    log.each(|envelope| seconds.extend((envelope.source == Source::Ami).then_some(envelope.at.0 / 1_000_000)));
    let seven = 1_782_889_200;
    assert_eq!(seconds, [seven + 5, seven + 5, seven + 5, seven + 6, seven + 6]);
}

#[test]
fn a_damaged_time_does_not_carry_the_heartbeats_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ami");
    let event = |at: &str| format!("Event: Hangup\r\nTimestamp: {at}\r\n\r\n");
    let times = ["1795345923.1", "9795345924.1", "1795345925.1", "1798345925.1", "1798345926.1"];
    fs::write(&path, times.map(event).concat()).unwrap();
    let log = MemoryLog::default();
    run(&log, &plan_of_one(Source::Ami, path)).unwrap();
    let (mut heartbeats, mut events) = (Vec::new(), Vec::new());
    log.each(|envelope| match envelope.source {
        Source::Heartbeat => heartbeats.push(envelope.at.0 / 1_000_000),
        Source::Ami => events.push(envelope.at.0 / 1_000_000),
        Source::ImportEnd => assert_eq!(envelope.at.0, 1_798_345_926_100_000),
        Source::Cel | Source::QueueLog | Source::Gap | Source::Unreadable | Source::Resync => {
            unreachable!("{envelope:?}")
        }
    });
    assert_eq!(events, [1_795_345_923, 9_795_345_924, 1_795_345_925, 1_798_345_925, 1_798_345_926], "as they said");
    assert_eq!(
        heartbeats,
        [1_795_345_923, 1_795_345_925, 1_798_345_926],
        "a month of silence is believed once confirmed"
    );
}

/// Damages copies of the captures, with the seed in every message.
#[test]
fn damaged_files_are_imported_as_far_as_they_can_be_read_and_each_time_alike() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 1..=40_u64 {
        let mut state = seed;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let (name, source) = SOURCES[random(3)];
        let mut bytes = fs::read(capture("asterisk-16.28", name)).unwrap();
        let from = random(bytes.len() / 2);
        bytes = bytes.split_off(from);
        bytes.truncate(60_000);
        for _ in 0..random(30) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => drop(bytes.drain(at..(at + random(300)).min(bytes.len() - 1))),
                2 => bytes.insert(at, b"\"\r\n\0\xff:|,"[random(8)]),
                _ => bytes.extend_from_within(at..(at + random(300)).min(bytes.len())),
            }
        }
        let path = folder.path().join(format!("{seed}"));
        fs::write(&path, &bytes).unwrap();
        let plan = plan_of_one(source, path);
        let whole = MemoryLog::default();
        let summary = run(&whole, &plan).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let expected = whole.records();
        whole.each(|_| {});
        assert!(summary.appended > 10, "seed {seed}");
        let part = MemoryLog::default();
        let kept = expected[..random(expected.len())].to_vec();
        part.append(EVENTS, 0, kept).unwrap();
        run(&part, &plan).unwrap();
        assert!(part.records() == expected, "seed {seed}");
    }
}

/// What the log in that folder has, in order.
fn kept(log: &EmbeddedLog) -> Vec<Record> {
    let (mut from, end) = log.bounds(EVENTS, 0).unwrap();
    let mut records = Vec::new();
    while from < end {
        let batch = log.read(EVENTS, 0, from, 1 << 20).unwrap();
        assert!(batch.damaged.is_empty());
        from = batch.next;
        records.extend(batch.records.into_iter().map(|read| read.record));
    }
    records
}

#[test]
fn the_log_on_disk_remembers_what_was_imported() {
    let whole = MemoryLog::default();
    run(&whole, &plan_of("asterisk-22.10")).unwrap();
    let expected = whole.records();
    let folder = tempfile::tempdir().unwrap();
    let spec = TopicSpec { name: EVENTS.to_owned(), partitions: 1, cleanup: Cleanup::Delete { after: None } };
    let open = || EmbeddedLog::open(folder.path(), std::slice::from_ref(&spec), EmbeddedOptions::default()).unwrap();
    open().append(EVENTS, 0, expected[..777].to_vec()).unwrap();
    for _ in 0..2 {
        let log = open();
        import(&log, &plan_of("asterisk-22.10"), SEEN, &mut |_| {}).unwrap();
        assert!(kept(&log) == expected);
    }
}
