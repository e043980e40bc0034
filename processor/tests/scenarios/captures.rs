//! Recorded calls of real Asterisk servers, each compared with what the script that made them says it was.
//!
//! Every capture is imported by AMI alone (its CEL events removed), by CEL file and queue log, and by all of them; twice, to
//! show that the second import changes nothing. What still differs from the truth is in [`KNOWN`], with the reason; a
//! difference that is gone must be struck from it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use calltide_eventlog::{Batch, Cleanup, EventLog, LogError, Offset, Partition, Record, Result, TopicSpec, Worker};
use calltide_ingest::import::{ImportPlan, import};
use calltide_processor::calls::CallSettings;
use calltide_schemas::Micros;

use crate::replay::Replay;
use crate::truth::{Difference, Mode, compare, compare_cdrs};

/// A difference that is known: capture, mode, scenario and number, what differs, and why it is so.
type Known = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// May only shrink.
const KNOWN: &[Known] = &[
    // CEL has no word of these at all.
    ("asterisk-22-extra", "cel", "outbound-cancelled 74950001203", "status", "who hung up a ringing channel over AMI"),
    ("asterisk-22-extra", "cel", "same-number-twice 74950002800", "status", "who hung up a ringing channel over AMI"),
    ("asterisk-22-extra", "cel", "outbound-no-channel 74950001700", "calls", "an Originate that never made a channel"),
    ("asterisk-22-extra", "cel", "outbound-amd 74950002108", "status", "that a machine answered"),
];

#[test]
fn asterisk_22() {
    check("asterisk-22.10", "site-a");
}

#[test]
fn asterisk_16() {
    check("asterisk-16.28", "site-b");
}

#[test]
fn many_more_situations_on_22() {
    check("asterisk-22-extra", "site-a");
}

#[test]
fn preview_dialling_redirects_and_bursts_on_16() {
    check("asterisk-16-more", "site-b");
}

#[test]
fn phones_that_hold_on_22() {
    check("asterisk-22-hold", "site-a");
}

#[test]
fn the_pbx_is_killed_and_restarts_on_16() {
    check("asterisk-16-kill", "site-b");
}

#[test]
fn the_recording_ends_with_the_killed_pbx_on_22() {
    check("asterisk-22-kill-end", "site-a");
}

#[test]
fn the_collector_is_away_for_a_while_on_16() {
    check("asterisk-16-gap", "site-b");
}

/// Imports a capture in every mode; the differences from its truth must be the known ones.
fn check(capture: &str, pbx: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(capture);
    let mut problems = Vec::new();
    for mode in [Mode::Ami, Mode::Files, Mode::All] {
        let replay = imported(&folder, pbx, mode);
        assert_eq!(replay.notes.get("rejected"), None, "{capture}: nothing is rejected");
        let tables = replay.tables();
        let (calls, mut found) = compare(&folder, mode, &tables);
        let (cdrs, by_cdr) = compare_cdrs(&folder, &tables);
        found.extend(by_cdr);
        eprintln!("{capture} by {}: {calls} calls, {cdrs} CDRs, {} differences", mode.name(), found.len());
        problems.extend(unexpected(capture, mode, &found));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Differences that nobody knows of, and known ones that are gone.
fn unexpected(capture: &str, mode: Mode, found: &[Difference]) -> Vec<String> {
    let known: Vec<&Known> = KNOWN.iter().filter(|k| k.0 == capture && k.1 == mode.name()).collect();
    let is = |k: &Known, d: &Difference| k.2 == d.call && k.3 == d.what;
    let new = found
        .iter()
        .filter(|d| !known.iter().any(|k| is(k, d)))
        .map(|d| format!("{capture} by {}: {}: {}: {}", mode.name(), d.call, d.what, d.detail));
    let gone = known
        .iter()
        .filter(|k| !found.iter().any(|d| is(k, d)))
        .map(|k| format!("{capture} by {}: {}: {} is as it was made to be: strike it from KNOWN", k.1, k.2, k.3));
    new.chain(gone).collect()
}

pub(crate) fn imported(folder: &Path, pbx: &str, mode: Mode) -> Replay {
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = ImportPlan { pbx: Some(pbx.to_owned()), ..ImportPlan::default() };
    if mode != Mode::Files {
        plan.ami = vec![if mode == Mode::Ami { without_cel(folder, scratch.path()) } else { folder.join("ami.raw") }];
    }
    if mode != Mode::Ami {
        plan.cel = vec![folder.join("cel.csv")];
        plan.queue_log = vec![folder.join("queue_log")];
    }
    let log = MemoryLog::default();
    let seen = Micros::from_secs(1_800_000_000);
    import(&log, &plan, seen, &mut |_| {}).unwrap();
    let once = log.records.lock().unwrap().len();
    let again = import(&log, &plan, seen, &mut |_| {}).unwrap();
    assert_eq!((again.appended, log.records.lock().unwrap().len()), (0, once), "importing again changes nothing");
    Replay::new(&CallSettings::default()).take_all(log.records.lock().unwrap().iter())
}

/// The recording as a PBX without CEL over AMI and without test events would have sent it.
fn without_cel(folder: &Path, scratch: &Path) -> PathBuf {
    let bytes = std::fs::read(folder.join("ami.raw")).unwrap();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut from = 0;
    while from < bytes.len() {
        let end = bytes[from..].windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |n| from + n + 4);
        let frame = &bytes[from..end];
        if !frame.starts_with(b"Event: CEL\r\n") && !frame.starts_with(b"Event: TestEvent\r\n") {
            kept.extend_from_slice(frame);
        }
        from = end;
    }
    let path = scratch.join("ami.raw");
    std::fs::write(&path, kept).unwrap();
    path
}

/// A log in memory with what an import needs.
#[derive(Default)]
struct MemoryLog {
    records: Mutex<Vec<Record>>,
}

impl EventLog for MemoryLog {
    fn topics(&self) -> Vec<TopicSpec> {
        let cleanup = Cleanup::Delete { after: None };
        vec![TopicSpec { name: "calltide.events".into(), partitions: 1, cleanup }]
    }

    fn append(&self, _: &str, _: Partition, mut records: Vec<Record>) -> Result<Offset> {
        let mut kept = self.records.lock().unwrap();
        let first = kept.len();
        kept.append(&mut records);
        Ok(first as Offset)
    }

    fn read(&self, _: &str, _: Partition, from: Offset, _: usize) -> Result<Batch> {
        Ok(Batch { next: from, ..Batch::default() })
    }

    fn bounds(&self, _: &str, _: Partition) -> Result<(Offset, Offset)> {
        Ok((0, self.records.lock().unwrap().len() as Offset))
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let mut journals = std::collections::BTreeMap::new();
        for record in self.records.lock().unwrap().iter() {
            if let Some((journal, offset)) = record.journal.clone().filter(|j| j.0.starts_with(prefix)) {
                let highest = journals.entry(journal).or_insert(0);
                *highest = offset.max(*highest);
            }
        }
        Ok(journals.into_iter().collect())
    }

    fn wait(&self, seen: u64, _: Duration) -> u64 {
        seen
    }

    fn worker(&self, _: &str, topic: &str) -> Result<Box<dyn Worker>> {
        Err(LogError::UnknownTopic { topic: topic.to_owned() })
    }
}
