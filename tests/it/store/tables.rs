//! The tables' writers over S3: of two that race for a version one has it, an answer that was lost doubles nothing, and what
//! keeps the tables small works as in a folder.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Barrier};

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_eventlog::{Cleanup, EventLog, Record, TopicSpec};
use calltide_processor::lake::{Lake, LakeError, LakeThread, LakeWriter, Options, Retention, Tables, Upkeep};
use calltide_query_api::format::{Format, write};
use calltide_query_api::{Engine, EngineOptions, LakePlace, Principal};
use calltide_schemas::topics::TOPICS;
use calltide_schemas::{Micros, tables};
use url::Url;

use super::server::{BUCKET, S3};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// A store, a log and a clock.
pub(super) struct Shop {
    pub(super) s3: S3,
    pub(super) log: Arc<EmbeddedLog>,
    pub(super) now: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl Shop {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec =
            |name: &str| TopicSpec { name: name.to_owned(), partitions: 1, cleanup: Cleanup::Compact { after: None } };
        let topics: Vec<_> = TOPICS.iter().map(|topic| spec(topic.name)).collect();
        let log = EmbeddedLog::open(folder.path(), &topics, EmbeddedOptions::default()).unwrap();
        // The store's own clock is the machine's.
        let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
        Self { s3: S3::start(), log: Arc::new(log), now: Arc::new(AtomicI64::new(now)), _folder: folder }
    }

    fn url() -> Url {
        Url::parse(&format!("s3://{BUCKET}/lake/")).unwrap()
    }

    /// The lake as a process of its own would open it.
    pub(super) fn lake(&self) -> Lake {
        let now = Arc::clone(&self.now);
        Lake::open_at(self.s3.client(), Self::url(), Arc::new(move || Micros(now.load(Ordering::Relaxed)))).unwrap()
    }

    fn writer(&self) -> LakeWriter {
        LakeWriter::open(&self.lake(), tables::table("rejects").unwrap(), &*self.log).unwrap()
    }

    /// A row of that id and version, so many days ago.
    pub(super) fn reject(&self, id: &str, version: i64, days_ago: i64) {
        let at = self.now.load(Ordering::Relaxed) - days_ago * DAY;
        let row = serde_json::json!({
            "pbx": "pbx1", "reject_id": id, "source": "ami", "reason": "malformed", "detail": null, "raw": "Event: X",
            "at": at, "version": version, "updated_at": at,
        });
        let payload = Some(row.to_string().into_bytes());
        let (id, kind) = (format!("rejects/{id}/{version}"), "reject".to_owned());
        let record = Record { key: row["reject_id"].as_str().unwrap().into(), at, id, kind, journal: None, payload };
        self.log.append("calltide.rejects", 0, vec![record]).unwrap();
    }

    fn written(&self) {
        let mut writer = self.writer();
        while writer.read(&*self.log, 1 << 20).unwrap() > 0 {}
        writer.flush().unwrap();
    }

    fn upkeep(&self, asked: Upkeep) -> usize {
        let thread = LakeThread::start(self.lake(), self.log.clone(), Options::default(), Tables::All).unwrap();
        let mut files = 0;
        thread.upkeep(asked, &mut |done| files += done.files).unwrap();
        thread.stop().unwrap();
        files
    }

    /// What a query over the lake alone answers.
    fn asked(&self, sql: &str) -> String {
        let spill = tempfile::tempdir().unwrap();
        let place = LakePlace::at(Self::url(), self.s3.client()).unwrap();
        let engine =
            Engine::new(EngineOptions { spill_dir: spill.path().join("spill"), ..EngineOptions::new(place, None) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rows = runtime.block_on(engine.unwrap().query(&Principal::local(), sql)).unwrap();
        String::from_utf8(write(&rows, Format::Csv).unwrap()).unwrap().replace("\r\n", "\n")
    }

    /// Ids and versions of the rows in the lake.
    pub(super) fn rows(&self) -> Vec<String> {
        let rows = self.asked("SELECT reject_id || ' ' || version FROM rejects ORDER BY reject_id, version");
        rows.lines().skip(1).map(str::to_owned).collect()
    }
}

#[test]
fn of_two_writers_that_race_for_a_version_one_has_it_and_every_row_is_there_once() {
    const ROUNDS: usize = 12;
    let shop = Shop::new();
    let mut wins = [0, 0];
    for round in 0..ROUNDS {
        for n in 0..5 {
            shop.reject(&format!("r{round:02}-{n}"), 1, 0);
        }
        let begin = Barrier::new(2);
        let race = || {
            let mut writer = shop.writer();
            while writer.read(&*shop.log, 1 << 20).unwrap() > 0 {}
            begin.wait();
            writer.flush()
        };
        let ends =
            std::thread::scope(|scope| [scope.spawn(race), scope.spawn(race)].map(|racer| racer.join().unwrap()));
        let lost = ends.iter().filter(|end| matches!(end, Err(LakeError::Fenced { table: "rejects", .. }))).count();
        assert_eq!(lost, 1, "{ends:?}");
        wins[usize::from(ends[1].is_ok())] += 1;
    }
    let expected: Vec<_> = (0..ROUNDS).flat_map(|r| (0..5).map(move |n| format!("r{r:02}-{n} 1"))).collect();
    assert_eq!(shop.rows(), expected, "{wins:?}");
}

#[test]
fn a_commit_whose_answer_was_lost_is_known_again() {
    let mut shop = Shop::new();
    let mut writer = shop.writer();
    for n in 0..3 {
        shop.reject(&format!("r{n}"), 1, 0);
        writer.read(&*shop.log, 1 << 20).unwrap();
        // The store commits, says 500, and refuses the client's second attempt, since it has that version.
        shop.s3.is("forget");
        writer.flush().unwrap();
    }
    assert_eq!(shop.rows(), ["r0 1", "r1 1", "r2 1"]);
}

#[test]
fn of_two_replays_the_later_does_not_undo_the_earlier() {
    let shop = Shop::new();
    let lake = shop.lake();
    let late = lake.new_generation(1 << 20).unwrap();
    shop.lake().swap("g3").unwrap();
    let error = late.finish(&[]).unwrap_err();
    assert!(matches!(&error, LakeError::Replaced { found, .. } if found == "g3"), "{error}");
    assert_eq!(lake.generation().unwrap(), "g3");
}

#[test]
fn tables_are_corrected_merged_dropped_and_cleaned_as_in_a_folder() {
    let shop = Shop::new();
    for (n, days_ago) in [0, 0, 0, 1, 1, 20].into_iter().enumerate() {
        shop.reject(&format!("r{n}"), 1, days_ago);
        shop.written();
    }
    shop.reject("r0", 2, 0);
    shop.written();
    let rows = ["r0 2", "r1 1", "r2 1", "r3 1", "r4 1", "r5 1"];
    assert_eq!(shop.rows(), rows);
    assert_eq!(shop.upkeep(Upkeep { compact: true, ..Upkeep::default() }), 5, "two days of several files");
    assert_eq!(shop.rows(), rows);
    let retain = Some(Retention::from([("rejects", 10)]));
    assert_eq!(shop.upkeep(Upkeep { retain, ..Upkeep::default() }), 1);
    assert_eq!(shop.rows(), &rows[..5]);
    let vacuum = || shop.upkeep(Upkeep { vacuum: true, ..Upkeep::default() });
    assert_eq!(vacuum(), 0, "readers have a day");
    let files = || shop.s3.objects("g1/rejects") - shop.s3.objects("g1/rejects/_delta_log");
    let before = files();
    shop.now.fetch_add(2 * DAY, Ordering::Relaxed);
    // The first file of the row that was corrected, five merged ones, and a dropped one.
    assert_eq!(vacuum(), 7);
    assert_eq!((before - files(), shop.rows().len()), (7, 5));
    let questions = [
        ("SELECT count(*), min(version), max(version) FROM rejects", "5,1,2"),
        ("SELECT reason FROM rejects WHERE reject_id = 'r3'", "malformed"),
        ("SELECT count(*) FROM rejects WHERE at > now() - INTERVAL '12 hours'", "3"),
        ("SELECT source, count(*) FROM rejects GROUP BY source", "ami,5"),
    ];
    for (question, answer) in questions {
        assert_eq!(shop.asked(question).lines().nth(1), Some(answer), "{question}");
    }
}

#[test]
fn a_new_generation_takes_over_and_the_former_goes_a_day_later() {
    let shop = Shop::new();
    shop.reject("a", 1, 0);
    shop.written();
    let lake = shop.lake();
    let mut new = lake.new_generation(1 << 20).unwrap();
    new.carry_over("rejects", 1).unwrap();
    let end = shop.log.bounds("calltide.rejects", 0).unwrap().1;
    assert_eq!(new.finish(&[("calltide.rejects".to_owned(), 0, end)]).unwrap(), "g2");
    assert_eq!(shop.rows(), ["a 1"]);
    shop.reject("b", 1, 0);
    shop.written();
    assert_eq!(shop.rows(), ["a 1", "b 1"]);
    assert_eq!(lake.vacuum().unwrap(), 0);
    shop.now.fetch_add(2 * DAY, Ordering::Relaxed);
    assert_eq!(lake.vacuum().unwrap(), 1);
    assert_eq!((shop.s3.objects("g1"), shop.rows().len()), (0, 2));
}
