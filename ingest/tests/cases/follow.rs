//! Files are followed: each line is in the log once, whatever becomes of the file and of who follows it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use calltide_ingest::follow::{FollowConfig, Follower};
use calltide_ingest::import::{ImportPlan, import};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{HEARTBEAT_OF_FILES, Source};
use tempfile::TempDir;

use crate::import::capture;
use crate::memory::MemoryLog;

/// A folder of a PBX and who follows its files, over a log that outlives both.
struct Desk {
    folder: TempDir,
    log: Arc<MemoryLog>,
    now: Arc<AtomicI64>,
    follower: Option<Follower>,
    /// AMI tells the time.
    told: bool,
}

impl Desk {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(2_000_000_000_000_000));
        Self { folder: tempfile::tempdir().unwrap(), log: Arc::default(), now, follower: None, told: true }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> FollowConfig {
        FollowConfig {
            cel: Some(self.path("cel.csv")),
            queue_log: Some(self.path("queue_log")),
            linger: Duration::from_secs(5),
            ..FollowConfig::new("p")
        }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(bytes.as_ref()).unwrap();
    }

    /// Looks once; `false` if the log failed, and the follower with it.
    fn look(&mut self) -> bool {
        self.now.fetch_add(1_000_000, Ordering::Relaxed);
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || Micros(now.fetch_add(1, Ordering::Relaxed)));
        let config = self.config();
        let follower = self.follower.get_or_insert_with(|| Follower::new(config, self.log.clone(), clock));
        let went_well = follower.round(self.told, &|| false).is_ok();
        if !went_well {
            self.die();
        }
        went_well
    }

    fn die(&mut self) {
        self.follower = None;
    }

    /// Looks until nothing lingers.
    fn rest(&mut self) {
        for _ in 0..10 {
            assert!(self.look());
        }
    }

    /// The lines of a source as they are in the log, in its order.
    fn lines(&self, source: Source) -> Vec<String> {
        bodies(&self.log, source)
    }
}

fn bodies(log: &MemoryLog, source: Source) -> Vec<String> {
    let mut lines = Vec::new();
    log.each(|envelope| {
        if envelope.source == source {
            let values =
                envelope.headers.iter().map(|h| h.1.as_str()).chain(envelope.fields.iter().map(|f| f.as_str()));
            lines.push(format!("{} {}", envelope.at.0, values.collect::<Vec<_>>().join("|")));
        }
    });
    lines
}

/// Offsets of each journal count from 1 without holes.
fn assert_without_holes(log: &MemoryLog) {
    let mut journals: BTreeMap<String, u64> = BTreeMap::new();
    log.each(|envelope| {
        let last = journals.entry(envelope.journal.to_string()).or_insert(0);
        assert_eq!(envelope.offset, *last + 1, "{}", envelope.journal);
        *last += 1;
    });
}

fn plan(cel: &[PathBuf], queue_log: &[PathBuf]) -> ImportPlan {
    ImportPlan { pbx: Some("p".into()), cel: cel.to_vec(), queue_log: queue_log.to_vec(), ..ImportPlan::default() }
}

fn import_into(log: &MemoryLog, cel: &[PathBuf], queue_log: &[PathBuf]) -> (u64, u64) {
    let summary = import(log, &plan(cel, queue_log), Micros(1_900_000_000_000_000), &mut |_| {}).unwrap();
    (summary.appended, summary.already_there)
}

/// What both files give when they are imported whole.
fn whole() -> (Vec<String>, Vec<String>) {
    let log = MemoryLog::default();
    import_into(&log, &[capture("asterisk-22.10", "cel.csv")], &[capture("asterisk-22.10", "queue_log")]);
    (bodies(&log, Source::Cel), bodies(&log, Source::QueueLog))
}

/// A small generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit.max(1) as u64).unwrap()
    }
}

const CEL: [&str; 3] = [
    "\"CHAN_START\",\"1795345915.000001\",\"\",\"\",\"\",\"\",\"\",\"s\",\"from-trunk\",\"PJSIP/t-1\",\"\",\"\",\"3\",\"\",\"1.1\",\"1.1\",\"\",\"\",\"\",\"\"\n",
    "\"ANSWER\",\"1795345916.000001\",\"\",\"\",\"\",\"\",\"\",\"s\",\"from-trunk\",\"PJSIP/t-1\",\"\",\"\",\"3\",\"\",\"1.1\",\"1.1\",\"\",\"\",\"\",\"\"\n",
    "\"CHAN_END\",\"1795345917.000001\",\"\",\"\",\"\",\"\",\"\",\"s\",\"from-trunk\",\"PJSIP/t-1\",\"\",\"\",\"3\",\"\",\"1.1\",\"1.1\",\"\",\"\",\"\",\"\"\n",
];

#[test]
fn a_line_is_taken_when_it_is_whole() {
    let mut desk = Desk::new();
    assert!(desk.look(), "there is no file yet");
    desk.write("cel.csv", &CEL[0][..30]);
    desk.look();
    assert_eq!(desk.log.count(Source::Cel), 0);
    desk.write("cel.csv", &CEL[0][30..]);
    desk.write("cel.csv", &CEL[1][..50]);
    desk.look();
    assert_eq!(desk.log.count(Source::Cel), 1);
    desk.die();
    desk.look();
    desk.write("cel.csv", &CEL[1][50..]);
    desk.write("cel.csv", CEL[2]);
    desk.look();
    assert_eq!(desk.log.count(Source::Cel), 3);
    assert_eq!(desk.log.count(Source::Unreadable), 0);
    assert_without_holes(&desk.log);
}

#[test]
fn importing_what_was_followed_changes_nothing() {
    let mut desk = Desk::new();
    for name in ["cel.csv", "queue_log"] {
        fs::copy(capture("asterisk-22.10", name), desk.path(name)).unwrap();
    }
    desk.look();
    assert_eq!((desk.lines(Source::Cel), desk.lines(Source::QueueLog)), whole());
    let before = desk.log.records();
    let (appended, there) = import_into(&desk.log, &[desk.path("cel.csv")], &[desk.path("queue_log")]);
    assert_eq!(appended, 0);
    assert!(there > 400, "{there}");
    assert_eq!(desk.log.records(), before);
    desk.write("cel.csv", CEL[0]);
    assert_eq!(import_into(&desk.log, &[desk.path("cel.csv")], &[]).0, 1, "what is new in it");
}

#[test]
fn following_what_was_imported_takes_only_what_is_new() {
    let mut desk = Desk::new();
    let bytes = fs::read(capture("asterisk-22.10", "cel.csv")).unwrap();
    // Torn in the middle of a row: that one is new when it is whole.
    desk.write("cel.csv", &bytes[..bytes.len() / 2]);
    import_into(&desk.log, &[desk.path("cel.csv")], &[]);
    desk.write("cel.csv", &bytes[bytes.len() / 2..]);
    desk.look();
    assert_eq!(desk.lines(Source::Cel), whole().0);
    desk.die();
    desk.write("cel.csv", CEL[0]);
    desk.look();
    assert_eq!(desk.lines(Source::Cel).len(), whole().0.len() + 1);
}

/// Writes the capture piece by piece, while files are rotated in either way and whoever follows them dies.
fn through_everything(seed: u64) {
    let mut random = Random(seed);
    let mut desk = Desk::new();
    let mut rest: Vec<(&str, Vec<u8>)> =
        ["cel.csv", "queue_log"].map(|name| (name, fs::read(capture("asterisk-22.10", name)).unwrap())).into();
    while !rest.is_empty() {
        let nth = random.below(rest.len());
        let (name, bytes) = &mut rest[nth];
        let name = *name;
        let most = if random.below(9) == 0 { 40_000 } else { 700 };
        let limit = 1 + random.below(most);
        let piece: Vec<u8> = bytes.drain(..limit.min(bytes.len())).collect();
        desk.write(name, &piece);
        // What was never seen is history.
        let source = if name == "cel.csv" { Source::Cel } else { Source::QueueLog };
        let whole_lines = piece.ends_with(b"\n") && desk.log.count(source) > 0;
        if bytes.is_empty() {
            rest.remove(nth);
        }
        if random.below(7) == 0 {
            desk.log.fail_after(Some(random.below(2)));
            desk.look();
            desk.log.fail_after(None);
        }
        match random.below(12) {
            0 => desk.die(),
            1 if whole_lines => rename(&desk, name),
            // What is written between the copy and the truncation is lost to everybody.
            2 if whole_lines => copy_and_truncate(&desk, name),
            3..=8 => drop(desk.look()),
            _ => {}
        }
    }
    desk.rest();
    desk.die();
    desk.rest();
    let (cel, queue_log) = whole();
    for (source, expected) in [(Source::Cel, cel), (Source::QueueLog, queue_log)] {
        let got = desk.lines(source);
        assert!(got == expected, "seed {seed}: {} of {} lines of {source:?}", got.len(), expected.len());
    }
    assert_eq!(desk.log.count(Source::Unreadable), 0, "seed {seed}");
    assert_without_holes(&desk.log);
}

/// Older ones move on: `.1` becomes `.2`.
fn make_room(desk: &Desk, name: &str) {
    for n in (1..50).rev() {
        let (from, to) = (desk.path(&format!("{name}.{n}")), desk.path(&format!("{name}.{}", n + 1)));
        if from.exists() {
            fs::rename(from, to).unwrap();
        }
    }
}

fn rename(desk: &Desk, name: &str) {
    make_room(desk, name);
    fs::rename(desk.path(name), desk.path(&format!("{name}.1"))).unwrap();
}

fn copy_and_truncate(desk: &Desk, name: &str) {
    make_room(desk, name);
    fs::copy(desk.path(name), desk.path(&format!("{name}.1"))).unwrap();
    OpenOptions::new().write(true).open(desk.path(name)).unwrap().set_len(0).unwrap();
}

#[test]
fn nothing_is_lost_or_doubled_by_rotation_truncation_and_death() {
    for seed in 0..40 {
        through_everything(seed);
    }
}

#[test]
fn a_file_that_was_renamed_is_read_while_asterisk_still_writes_to_it() {
    let mut desk = Desk::new();
    desk.write("cel.csv", CEL[0]);
    desk.look();
    let mut held = OpenOptions::new().append(true).open(desk.path("cel.csv")).unwrap();
    fs::rename(desk.path("cel.csv"), desk.path("cel.csv.1")).unwrap();
    desk.look();
    held.write_all(CEL[1].as_bytes()).unwrap();
    desk.rest();
    assert_eq!(desk.log.count(Source::Cel), 2, "without a new file it is read on for ever");
    held.write_all(&CEL[2].as_bytes()[..40]).unwrap();
    desk.write("cel.csv", CEL[2]);
    desk.rest();
    assert_eq!(desk.log.count(Source::Cel), 3);
    assert_eq!(desk.log.count(Source::Unreadable), 1, "the torn end of the old one, when nothing more came");
    assert_without_holes(&desk.log);
}

#[test]
fn files_that_came_and_went_while_nobody_followed_are_read() {
    let mut desk = Desk::new();
    let rotated = |desk: &Desk, n: usize| {
        fs::rename(desk.path("cel.csv"), desk.path(&format!("cel.csv-2026112{n}"))).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    };
    desk.write("cel.csv-20261120", "old, never followed\n");
    desk.write("cel.csv", CEL[0]);
    std::thread::sleep(Duration::from_millis(20));
    desk.look();
    desk.die();
    desk.write("cel.csv", CEL[1]);
    rotated(&desk, 1);
    desk.write("cel.csv", CEL[2]);
    rotated(&desk, 2);
    desk.write("cel.csv", CEL[1].replace("345916", "345918"));
    desk.rest();
    let seconds: Vec<i64> = desk.log.records().iter().map(|record| record.at / 1_000_000 - 1_795_345_915).collect();
    assert_eq!(seconds, [0, 1, 2, 3]);
    assert_eq!(desk.log.count(Source::Unreadable), 0, "what was there before all that is an import's matter");
}

#[test]
fn both_files_are_merged_by_time_and_tell_the_time_where_ami_does_not() {
    let mut desk = Desk::new();
    desk.told = false;
    for name in ["cel.csv", "queue_log"] {
        fs::copy(capture("asterisk-22.10", name), desk.path(name)).unwrap();
    }
    desk.look();
    let mut latest = 0;
    let mut beats = Vec::new();
    desk.log.each(|envelope| {
        assert!(envelope.at.0 > latest - 2_000_000, "local disorder only");
        latest = latest.max(envelope.at.0);
        if envelope.source == Source::Heartbeat {
            assert_eq!(envelope.header(HEARTBEAT_OF_FILES.0), Some(HEARTBEAT_OF_FILES.1));
            beats.push(envelope.at.0);
        }
    });
    assert!(beats.len() > 50 && beats.is_sorted_by(|a, b| a < b), "{} heartbeats", beats.len());
    let lines = desk.log.count(Source::Cel) + desk.log.count(Source::QueueLog);
    desk.rest();
    assert_eq!(desk.log.count(Source::Cel) + desk.log.count(Source::QueueLog), lines);
    assert_eq!(desk.log.count(Source::Heartbeat), beats.len() + 10, "the time goes on");
    desk.told = true;
    desk.rest();
    assert_eq!(desk.log.count(Source::Heartbeat), beats.len() + 10, "while AMI does not tell it");
}

#[test]
fn what_is_no_file_is_tried_again() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("cel.csv")).unwrap();
    desk.rest();
    fs::remove_dir(desk.path("cel.csv")).unwrap();
    desk.rest();
    desk.write("cel.csv", CEL[0]);
    desk.rest();
    assert_eq!(desk.log.count(Source::Cel), 1);
    assert!(!Path::new(&desk.path("queue_log")).exists());
}
