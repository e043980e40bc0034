//! The lake: rows in are rows out, once, whatever breaks in between.
#![expect(clippy::unwrap_used, reason = "tests")]

mod lake_parts;
#[path = "lake_parts/upkeep.rs"]
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_eventlog::{Batch, Cleanup, EventLog, Layer, Offset, Partition, ReadRecord, Record, TopicSpec};
use calltide_processor::lake::{Lake, LakeError, LakeThread, Membership, Options, Tables};
use calltide_schemas::tables;
use calltide_schemas::topics::{LAKE_WRITERS, LAKE_WRITERS_PARTITIONS, TOPICS};

use lake_parts::log::MemoryLog;
use lake_parts::store::Fault;
use lake_parts::{HOUR, NINE, Site, active_files, rows};

const DAY: i64 = 24 * HOUR;

#[test]
fn rows_in_are_rows_out_each_in_the_utc_day_of_its_time() {
    let site = Site::new();
    site.reject("a", 1, NINE, "malformed");
    site.reject("b", 1, NINE + 15 * HOUR, "torn_frame");
    site.reject("c", 1, -1, "bad_time");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["1969-12-31 c 1 bad_time", "2026-11-21 a 1 malformed", "2026-11-22 b 1 torn_frame",]);
}

#[test]
fn amounts_are_exact_decimals_in_the_files() {
    let site = Site::new();
    let charge = |id: &str, version: i64, amount: serde_json::Value| {
        let row = serde_json::json!({
            "charge_id": id, "pbx": "pbx1", "call_id": id, "what": "call_out", "started_at": NINE, "up_ms": 60_000,
            "amount": amount, "version": version, "updated_at": NINE,
        });
        site.put("calltide.charges", id, NINE, Some(row.to_string()));
    };
    // The last digit, the first one, more zeros than are needed, fewer; and none.
    for (id, amount) in
        [("a", "0.000001"), ("b", "123456789012.123456"), ("c", "0.250000000"), ("d", "7"), ("e", "-0.05")]
    {
        charge(id, 1, amount.into());
    }
    charge("f", 1, serde_json::Value::Null);
    site.run("charges").unwrap();
    charge("d", 2, "7.0375".into());
    site.run("charges").unwrap();
    let told = rows(&site.lake().folder().unwrap().join("charges"), &["charge_id", "amount"]);
    let expected = ["a 0.000001", "b 123456789012.123456", "c 0.250000", "d 7.037500", "e -0.050000", "f "]
        .map(|row| format!("2026-11-21 {row}"));
    assert_eq!(told, expected);
    // What is no amount stops the writer, which says where it is.
    charge("g", 1, "dear".into());
    let refused = site.run("charges").unwrap_err();
    assert!(matches!(refused, LakeError::Row { table: "charges", offset: 0.., .. }), "{refused:?}");
}

#[test]
fn a_new_writer_goes_on_where_the_last_commit_ended() {
    let site = Site::new();
    for turn in 0..3 {
        site.reject(&format!("r{turn}"), 1, NINE, "malformed");
        site.run("rejects").unwrap();
        site.run("rejects").unwrap();
    }
    assert_eq!(site.rejects().len(), 3);
    assert_eq!(site.files("rejects"), 3);
}

#[test]
fn whichever_step_fails_the_next_attempt_repeats_and_loses_nothing() {
    for fault in [Fault::BeforeFile, Fault::AfterFile, Fault::BeforeCommit, Fault::AfterCommit] {
        let site = Site::new();
        site.reject("a", 1, NINE, "malformed");
        site.run("rejects").unwrap();
        site.reject("a", 2, NINE, "corrected");
        site.reject("b", 1, NINE, "malformed");
        site.put("calltide.events", "pbx1", NINE, Some("{}".to_owned()));
        for table in ["rejects", "inputs"] {
            drop(site.lake());
            site.store.arm(fault);
            site.run(table).unwrap_err();
            assert!(site.store.spent(), "{fault:?} did not happen to {table}");
            site.run(table).unwrap();
        }
        assert_eq!(site.rejects(), ["2026-11-21 a 2 corrected", "2026-11-21 b 1 malformed"], "{fault:?}");
        let inputs = rows(&site.lake().folder().unwrap().join("inputs"), &["topic", "partition", "offset", "payload"]);
        assert_eq!(inputs, ["2026-11-21 calltide.events 1 10 {}"], "{fault:?}");
    }
}

#[test]
fn an_event_that_is_in_the_log_twice_is_in_the_archive_once_whichever_commit_the_first_was_in() {
    let event = |journal: &str, offset: u64| Record {
        key: b"pbx1".to_vec(),
        at: NINE,
        journal: Some((journal.to_owned(), offset)),
        payload: Some(format!("{journal}-{offset}").into_bytes()),
        ..Record::default()
    };
    for repeats in [true, false] {
        let site = Site::new();
        site.log.repeats.store(repeats, Ordering::Relaxed);
        let put = |journal, offsets: &[u64]| {
            offsets.iter().for_each(|offset| site.log.put("calltide.events", 0, event(journal, *offset)));
        };
        // Sent again before anything was written, and then what was stuck in the line, after later ones.
        put("a", &[1, 2, 3, 2, 3, 4]);
        put("b", &[7]);
        site.run("inputs").unwrap();
        put("a", &[3, 4, 5]);
        put("b", &[7, 9]);
        site.run("inputs").unwrap();
        put("a", &[1, 5]);
        site.run("inputs").unwrap();
        put("a", &[6]);
        site.run("inputs").unwrap();
        let mut found = rows(&site.lake().folder().unwrap().join("inputs"), &["payload"]);
        found.sort();
        let once = ["a-1", "a-2", "a-3", "a-4", "a-5", "a-6", "b-7", "b-9"].map(|id| format!("2026-11-21 {id}"));
        if repeats {
            assert_eq!(found, once);
        } else {
            // Where the log promises that there are none, nothing is looked up.
            assert_eq!(found.len(), 15, "{found:?}");
        }
    }
}

#[test]
fn a_correction_replaces_the_row_in_whichever_day_it_was() {
    let site = Site::new();
    site.reject("a", 1, NINE, "first");
    site.reject("b", 1, NINE, "first");
    site.run("rejects").unwrap();
    site.reject("a", 2, NINE - 3 * DAY, "the clock was wrong");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-18 a 2 the clock was wrong", "2026-11-21 b 1 first"]);
    // The last row of a file takes the file with it.
    site.reject("b", 5, NINE, "fifth");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-18 a 2 the clock was wrong", "2026-11-21 b 5 fifth"]);
    assert_eq!(site.files("rejects"), 2);
}

#[test]
fn an_older_version_changes_nothing_and_of_equal_ones_the_later_counts() {
    let site = Site::new();
    site.reject("a", 3, NINE, "third");
    site.run("rejects").unwrap();
    site.reject("a", 2, NINE, "second, late");
    site.reject("b", 2, NINE, "second");
    site.reject("b", 1, NINE, "first, late");
    site.run("rejects").unwrap();
    site.reject("a", 3, NINE, "third again");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-21 a 3 third again", "2026-11-21 b 2 second"]);
}

#[test]
fn a_first_version_that_is_told_again_is_no_second_row() {
    let site = Site::new();
    site.reject("a", 1, NINE, "first");
    site.reject("b", 1, NINE - DAY, "of another day");
    site.run("rejects").unwrap();
    // What was forgotten is told anew: in a commit of its own, and among others.
    site.reject("a", 1, NINE, "again");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-20 b 1 of another day", "2026-11-21 a 1 again"]);
    site.reject("c", 2, NINE, "new");
    site.reject("b", 1, NINE - DAY, "again");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-20 b 1 again", "2026-11-21 a 1 again", "2026-11-21 c 2 new"]);
}

#[test]
fn of_the_versions_in_one_commit_only_the_highest_is_written() {
    let site = Site::new();
    for version in 1..=4 {
        site.reject("a", version, NINE, &format!("v{version}"));
    }
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-21 a 4 v4"]);
}

#[test]
fn a_tombstone_removes_the_row_and_a_later_one_may_come() {
    let site = Site::new();
    site.reject("a", 7, NINE, "old");
    site.reject("b", 1, NINE, "stays");
    site.run("rejects").unwrap();
    site.forget("a");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-21 b 1 stays"]);
    site.reject("a", 1, NINE, "new");
    site.run("rejects").unwrap();
    // Forgotten and told anew before the next commit: the lower version counts, since it came after.
    site.forget("b");
    site.reject("b", 1, NINE, "new");
    site.reject("c", 1, NINE, "never seen");
    site.forget("c");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects(), ["2026-11-21 a 1 new", "2026-11-21 b 1 new"]);
}

#[test]
fn of_two_writers_the_one_that_was_overtaken_gives_up() {
    for at_once in [true, false] {
        let site = Site::new();
        let (mut old, mut new) = (site.writer("rejects"), site.writer("rejects"));
        site.reject("a", 1, NINE, "first");
        new.read(&*site.log, 1 << 20).unwrap();
        if at_once {
            old.read(&*site.log, 1 << 20).unwrap();
        }
        new.flush().unwrap();
        site.reject("b", 1, NINE, "second");
        old.read(&*site.log, 1 << 20).unwrap();
        let error = old.flush().unwrap_err();
        assert!(matches!(error, LakeError::Fenced { table: "rejects", .. }), "{error}");
        assert_eq!(site.rejects(), ["2026-11-21 a 1 first"]);
    }
}

#[test]
fn a_fact_that_is_no_row_stops_its_table_and_is_named() {
    let site = Site::new();
    site.reject("a", 1, NINE, "fine");
    site.put("calltide.rejects", "c", NINE, Some(r#"{"pbx": 1, "surprise": true}"#.to_owned()));
    let error = site.run("rejects").unwrap_err();
    assert!(matches!(error, LakeError::Row { topic: "calltide.rejects", partition: 1, offset: 12, .. }), "{error}");
    assert_eq!(site.rejects(), [""; 0]);
}

#[test]
fn commits_carry_the_offsets_of_their_partitions() {
    let site = Site::new();
    site.reject("a", 1, NINE, "in partition 1");
    site.run("rejects").unwrap();
    let folder = site.lake().folder().unwrap().join("rejects/_delta_log");
    let last = std::fs::read_to_string(folder.join("00000000000000000001.json")).unwrap();
    let txns: Vec<_> = last.lines().filter(|line| line.contains("\"txn\"")).collect();
    assert_eq!(txns.len(), 2, "{last}");
    assert!(last.contains(r#""appId":"calltide.rejects/0","version":10"#), "{last}");
    assert!(last.contains(r#""appId":"calltide.rejects/1","version":12"#), "{last}");
}

#[test]
fn a_column_that_a_table_lacks_is_added_and_older_rows_have_none() {
    let site = Site::new();
    site.reject("a", 1, NINE, "old");
    site.reject("b", 1, NINE, "old");
    site.run("rejects").unwrap();
    drop_column(&site, "detail");
    site.reject("b", 2, NINE, "new");
    site.run("rejects").unwrap();
    let folder = site.lake().folder().unwrap().join("rejects");
    let shown = rows(&folder, &["reject_id", "reason", "detail"]);
    assert_eq!(shown, ["2026-11-21 a old ", "2026-11-21 b new "]);
}

/// Makes the table one of a former release: its newest metadata does not know the column, nor do its files.
fn drop_column(site: &Site, column: &str) {
    let folder = site.lake().folder().unwrap().join("rejects");
    let first = std::fs::read_to_string(folder.join("_delta_log/00000000000000000000.json")).unwrap();
    let line = first.lines().find(|line| line.contains("\"metaData\"")).unwrap();
    let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
    let schema = action["metaData"]["schemaString"].as_str().unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    schema["fields"].as_array_mut().unwrap().retain(|field| field["name"] != column);
    action["metaData"]["schemaString"] = schema.to_string().into();
    std::fs::write(folder.join("_delta_log/00000000000000000002.json"), action.to_string()).unwrap();
    let commit = folder.join("_delta_log/00000000000000000001.json");
    for (path, _) in active_files(&folder) {
        let size = || format!("\"size\":{}", std::fs::metadata(folder.join(&path)).unwrap().len());
        let before = size();
        rewrite_without(&folder.join(&path), column);
        let told = std::fs::read_to_string(&commit).unwrap();
        std::fs::write(&commit, told.replace(&before, &size())).unwrap();
    }
}

fn rewrite_without(path: &std::path::Path, column: &str) {
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap());
    let batches: Vec<_> = reader.unwrap().build().unwrap().map(|batch| batch.unwrap()).collect();
    let index = batches[0].schema().index_of(column).unwrap();
    let less: Vec<_> = batches
        .into_iter()
        .map(|mut batch| {
            batch.remove_column(index);
            batch
        })
        .collect();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, less[0].schema(), None).unwrap();
    less.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[test]
fn a_replay_fills_a_new_generation_and_swaps_it_in_complete() {
    let site = Site::new();
    site.reject("a", 2, NINE, "as it was judged");
    site.put("calltide.events", "pbx1", NINE, Some("{}".to_owned()));
    site.run("rejects").unwrap();
    site.run("inputs").unwrap();
    let lake = site.lake();
    let mut new = lake.new_generation(1 << 20).unwrap();
    new.carry_over("inputs", 2).unwrap();
    for version in 1..=2 {
        new.push("rejects", 1, read(&reject("a", version, &format!("judged anew, {version}")))).unwrap();
    }
    assert_eq!(site.rejects(), ["2026-11-21 a 2 as it was judged"]);
    let ends = (0..2).map(|p| ("calltide.rejects".to_owned(), p, site.log.bounds("calltide.rejects", p).unwrap().1));
    assert_eq!(new.finish(&ends.collect::<Vec<_>>()).unwrap(), "g2");
    assert_eq!(lake.generation().unwrap(), "g2");
    assert_eq!(site.rejects(), ["2026-11-21 a 2 judged anew, 2"]);

    // What comes after the replay goes on from there.
    site.reject("b", 1, NINE, "later");
    site.put("calltide.events", "pbx1", NINE, Some("[]".to_owned()));
    site.run("rejects").unwrap();
    site.run("inputs").unwrap();
    assert_eq!(site.rejects(), ["2026-11-21 a 2 judged anew, 2", "2026-11-21 b 1 later"]);
    let inputs = rows(&lake.folder().unwrap().join("inputs"), &["offset", "payload"]);
    assert_eq!(inputs, ["2026-11-21 10 {}", "2026-11-21 12 []"]);
}

fn reject(id: &str, version: i64, reason: &str) -> Record {
    let row = serde_json::json!({
        "pbx": "pbx1", "reject_id": id, "source": "ami", "reason": reason,
        "at": NINE, "version": version, "updated_at": NINE,
    });
    Record { key: id.into(), at: NINE, payload: Some(row.to_string().into_bytes()), ..Record::default() }
}

fn read(record: &Record) -> ReadRecord {
    ReadRecord { offset: 0, record: record.clone() }
}

#[test]
fn many_small_files_of_a_day_become_one_with_the_same_rows() {
    let site = Site::new();
    let mut writer = site.writer("rejects");
    for n in 0..20 {
        site.reject(&format!("r{n:02}"), 1, NINE + n, "malformed");
        writer.read(&*site.log, 1 << 20).unwrap();
        writer.flush().unwrap();
    }
    let before = site.rejects();
    assert!(writer.compact().unwrap());
    assert_eq!(site.rejects(), before);
    assert_eq!(site.files("rejects"), 1);
    assert!(!writer.compact().unwrap());
    site.reject("r00", 2, NINE, "corrected");
    writer.read(&*site.log, 1 << 20).unwrap();
    writer.flush().unwrap();
    assert_eq!(site.rejects().len(), 20);
}

#[test]
fn the_thread_commits_when_asked_and_follows_a_new_generation() {
    let site = Site::new();
    let options = Options { commit_every: std::time::Duration::from_secs(3600), ..Options::default() };
    let thread = LakeThread::start(site.lake(), site.log.clone(), options, Tables::All).unwrap();
    site.reject("a", 1, NINE, "first");
    thread.flush_and_wait().unwrap();
    assert_eq!(site.rejects(), ["2026-11-21 a 1 first"]);
    site.lake().new_generation(1 << 20).unwrap().finish(&[]).unwrap();
    thread.flush_and_wait().unwrap();
    assert_eq!(site.lake().generation().unwrap(), "g2");
    assert_eq!(site.rejects(), ["2026-11-21 a 1 first"]);
    site.put("calltide.rejects", "c", NINE, Some("nonsense".to_owned()));
    site.put("calltide.events", "pbx1", NINE, Some("{}".to_owned()));
    let error = thread.flush_and_wait().unwrap_err();
    assert!(matches!(error, LakeError::Stopped { table: "rejects", .. }), "{error}");
    // The others go on.
    assert_eq!(rows(&site.lake().folder().unwrap().join("inputs"), &["payload"]), ["2026-11-21 {}"]);
    thread.stop().unwrap();
}

/// A log whose first reads panic.
struct Panicking {
    below: Arc<MemoryLog>,
    left: AtomicU32,
}

impl Layer for Panicking {
    fn below(&self) -> &dyn EventLog {
        &*self.below
    }

    fn read(
        &self,
        topic: &str,
        partition: Partition,
        from: Offset,
        bytes_max: usize,
    ) -> calltide_eventlog::Result<Batch> {
        let panics = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        assert!(panics.is_err(), "as the test wants");
        self.below.read(topic, partition, from, bytes_max)
    }
}

#[test]
fn after_a_panic_the_thread_goes_on_from_the_last_commits() {
    let site = Site::new();
    site.reject("a", 1, NINE, "first");
    site.run("rejects").unwrap();
    site.reject("b", 1, NINE, "first");
    let log = Arc::new(Panicking { below: site.log.clone(), left: AtomicU32::new(1) });
    let thread = LakeThread::start(site.lake(), log.clone(), Options::default(), Tables::All).unwrap();
    // Whoever waits while it panics hears of it, and asks again.
    while let Err(error) = thread.flush_and_wait() {
        assert!(matches!(error, LakeError::Ended), "{error}");
    }
    assert_eq!(log.left.load(Ordering::Relaxed), 0);
    assert_eq!(site.rejects(), ["2026-11-21 a 1 first", "2026-11-21 b 1 first"]);
    thread.stop().unwrap();
}

#[test]
fn a_member_of_the_writers_writes_the_tables_that_it_is_given_and_no_others() {
    let site = Site::new();
    let dir = tempfile::tempdir().unwrap();
    let spec = |name: &str, partitions| TopicSpec {
        name: name.to_owned(),
        partitions,
        cleanup: Cleanup::Delete { after: None },
    };
    let mut topics: Vec<_> = TOPICS.iter().map(|topic| spec(topic.name, 2)).collect();
    topics.push(spec(LAKE_WRITERS, LAKE_WRITERS_PARTITIONS));
    let log = Arc::new(EmbeddedLog::open(dir.path(), &topics, EmbeddedOptions::default()).unwrap());
    let event = Record { key: b"pbx1".to_vec(), at: NINE, payload: Some(b"{}".to_vec()), ..Record::default() };
    log.append("calltide.events", 0, vec![event]).unwrap();
    let archived = || rows(&site.lake().folder().unwrap().join("inputs"), &["payload"]);

    // In no group, so without a table.
    let nobody = Tables::Shared(Arc::default());
    let thread = LakeThread::start(site.lake(), log.clone(), Options::default(), nobody).unwrap();
    thread.flush_and_wait().unwrap();
    thread.stop().unwrap();
    assert_eq!(archived(), Vec::<String>::new());

    let member = Membership::join(log.clone()).unwrap();
    let thread = LakeThread::start(site.lake(), log, Options::default(), member.tables()).unwrap();
    while archived().is_empty() {
        // It has them a moment after it joined.
        thread.flush_and_wait().unwrap();
    }
    assert_eq!(archived(), ["2026-11-21 {}"]);
    thread.stop().unwrap();
    member.leave().unwrap();
}

#[test]
fn the_vacuum_removes_what_left_the_tables_a_day_ago() {
    let site = Site::new();
    let real = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    site.now.store(i64::try_from(real).unwrap(), Ordering::Relaxed);
    site.reject("a", 1, NINE, "first");
    site.run("rejects").unwrap();
    site.reject("a", 2, NINE, "second");
    site.run("rejects").unwrap();
    let lake = site.lake();
    assert_eq!(lake.vacuum().unwrap(), 0);
    lake.new_generation(1 << 20).unwrap().finish(&[]).unwrap();
    lake.swap("g1").unwrap();
    site.now.fetch_add(2 * DAY, Ordering::Relaxed);
    assert_eq!(lake.vacuum().unwrap(), 1);
    lake.swap("g2").unwrap();
    site.now.fetch_add(2 * DAY, Ordering::Relaxed);
    assert_eq!(lake.vacuum().unwrap(), 1);
    assert!(!site.root().join("g1").exists());
}

#[test]
fn every_table_is_there_from_the_start_with_its_comments_and_nothing_that_slows_scans() {
    let site = Site::new();
    let folder = Lake::open(&site.root(), site.clock()).unwrap().folder().unwrap();
    for def in tables::TABLES {
        let log = std::fs::read_to_string(folder.join(def.name).join("_delta_log/00000000000000000000.json")).unwrap();
        let metadata = log.lines().find(|line| line.contains("\"metaData\"")).unwrap();
        for column in def.columns {
            let shown = serde_json::to_string(column.doc).unwrap();
            let inner = serde_json::to_string(&shown).unwrap();
            assert!(metadata.contains(inner.trim_matches('"')), "{}.{} has no comment", def.name, column.name);
        }
        assert!(!log.contains("deletionVectors") && !log.contains("columnMapping"), "{log}");
    }
}
