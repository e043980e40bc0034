//! Merging, dropping old days, removing files: no row changes that should not, whoever reads and whatever breaks meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use calltide_eventlog::EventLog;
use calltide_processor::lake::{Done, LakeError, LakeThread, Options, Retention, Tables, Upkeep};
use deltalake_core::DeltaTableBuilder;
use url::Url;

use crate::lake_parts::store::Fault;
use crate::lake_parts::{HOUR, NINE, Site, active_files, rows};

const DAY: i64 = 24 * HOUR;

/// More than any of this takes, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(60);

fn compact() -> Upkeep {
    Upkeep { compact: true, ..Upkeep::default() }
}

fn vacuum() -> Upkeep {
    Upkeep { vacuum: true, ..Upkeep::default() }
}

fn retain(days: u32) -> Upkeep {
    Upkeep { retain: Some(Retention::from([("rejects", days)])), ..Upkeep::default() }
}

/// Does it as the command does while nobody else writes.
fn run(site: &Site, asked: Upkeep) -> Result<Vec<Done>, LakeError> {
    let thread = LakeThread::start(site.lake(), site.log.clone(), Options::default(), Tables::All)?;
    let mut all = Vec::new();
    let done = thread.upkeep(asked, &mut |done| all.push(done));
    thread.stop()?;
    done.map(|()| all)
}

/// Five files of today, two of each of three days before.
fn several_days() -> Site {
    let site = Site::new();
    for (ago, file) in
        [(0, 5), (1, 2), (10, 2), (30, 2)].iter().flat_map(|(ago, files)| (0..*files).map(move |f| (ago, f)))
    {
        site.reject(&format!("{ago}-{file}"), 1, NINE - ago * DAY, "malformed");
        site.run("rejects").unwrap();
    }
    site
}

/// The clock of files is the machine's; what is old by that clock can be removed.
fn at_real_time(site: &Site) {
    let real = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    site.now.store(i64::try_from(real).unwrap(), Ordering::Relaxed);
}

fn parquet_files(site: &Site) -> usize {
    let days = std::fs::read_dir(site.lake().folder().unwrap().join("rejects")).unwrap();
    let days = days.filter(|day| day.as_ref().unwrap().file_name().to_str().unwrap().starts_with("day="));
    days.map(|day| std::fs::read_dir(day.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn asked_to_each_day_becomes_one_file_with_the_same_rows() {
    let site = several_days();
    let before = site.rejects();
    let would = run(&site, Upkeep { dry_run: true, ..compact() }).unwrap();
    assert_eq!((would.len(), would[0].files, site.files("rejects")), (1, 11, 11));
    let done = run(&site, compact()).unwrap();
    assert_eq!(done.iter().map(|done| done.files).sum::<usize>(), 11);
    assert_eq!((site.files("rejects"), site.rejects()), (4, before));
    assert_eq!(run(&site, compact()).unwrap(), []);
}

#[test]
fn what_the_tables_have_is_told_by_topic_and_partition() {
    let site = Site::new();
    site.reject("a", 1, NINE, "malformed");
    let thread = LakeThread::start(site.lake(), site.log.clone(), Options::default(), Tables::All).unwrap();
    let stored = |partition| thread.stored().unwrap().get(&("calltide.rejects".to_owned(), partition)).copied();
    thread.flush_and_wait().unwrap();
    let ends = [0, 1].map(|partition| site.log.bounds("calltide.rejects", partition).unwrap().1);
    let with_rows = usize::from(site.log.bounds("calltide.rejects", 1).unwrap().1 > 10);
    assert_eq!(stored(u32::try_from(with_rows).unwrap()), Some(ends[with_rows]), "all that is in the log");
    assert_eq!(stored(7), None, "no such partition");
    thread.stop().unwrap();
}

#[test]
fn old_days_go_at_once_and_only_where_that_is_configured() {
    let site = several_days();
    site.put("calltide.events", "pbx1", NINE - 30 * DAY, Some("{}".to_owned()));
    site.run("inputs").unwrap();
    let before = site.rejects();
    let would = run(&site, Upkeep { dry_run: true, ..retain(10) }).unwrap();
    assert_eq!((would[0].rows, site.rejects()), (2, before));
    let done = run(&site, retain(10)).unwrap();
    assert_eq!((done[0].table, done[0].files, done[0].rows), (Some("rejects"), 2, 2));
    let left: BTreeSet<_> = site.rejects().iter().map(|row| row[..10].to_owned()).collect();
    // Ten days ago is kept, as it was begun then.
    assert_eq!(left, BTreeSet::from(["2026-11-11".to_owned(), "2026-11-20".to_owned(), "2026-11-21".to_owned()]));
    assert_eq!(run(&site, retain(10)).unwrap(), []);
    assert_eq!(rows(&site.lake().folder().unwrap().join("inputs"), &["payload"]), ["2026-10-22 {}"]);
    // It is a commit like any other: the writer goes on where it was.
    site.reject("later", 1, NINE, "malformed");
    site.run("rejects").unwrap();
    assert_eq!(site.rejects().len(), 10);
}

#[test]
fn whichever_step_fails_the_table_is_right_and_the_next_attempt_gets_there() {
    for asked in [compact(), retain(5)] {
        for fault in [Fault::BeforeFile, Fault::AfterFile, Fault::BeforeCommit, Fault::AfterCommit] {
            let site = several_days();
            let before = site.rejects();
            let kept: Vec<_> = before.iter().filter(|row| row.as_str() > "2026-11-16").cloned().collect();
            drop(site.lake());
            site.store.arm(fault);
            let failed = run(&site, asked.clone());
            if !site.store.spent() {
                // Dropping writes no data file.
                assert!(asked.retain.is_some() && failed.is_ok());
                continue;
            }
            assert!(failed.is_err(), "{fault:?}");
            let now = site.rejects();
            assert!(now == before || asked.retain.is_some() && now == kept, "{fault:?}: {now:?}");
            run(&site, asked.clone()).unwrap();
            let expected = if asked.retain.is_some() { &kept } else { &before };
            assert_eq!(&site.rejects(), expected, "{fault:?}");
            assert_eq!(site.files("rejects"), if asked.retain.is_some() { 7 } else { 4 });
            // What the failed attempt left behind goes in time, and nothing else.
            at_real_time(&site);
            run(&site, vacuum()).unwrap();
            site.now.fetch_add(2 * DAY, Ordering::Relaxed);
            run(&site, vacuum()).unwrap();
            assert_eq!(&site.rejects(), expected, "{fault:?}");
            assert_eq!(parquet_files(&site), site.files("rejects"), "{fault:?}");
        }
    }
}

#[test]
fn an_interrupted_vacuum_is_done_again() {
    let site = several_days();
    at_real_time(&site);
    run(&site, compact()).unwrap();
    let before = site.rejects();
    site.now.fetch_add(2 * DAY, Ordering::Relaxed);
    drop(site.lake());
    site.store.arm(Fault::Removal);
    run(&site, vacuum()).unwrap_err();
    assert!(site.store.spent());
    assert_eq!(site.rejects(), before);
    run(&site, vacuum()).unwrap();
    assert_eq!((parquet_files(&site), site.rejects()), (4, before));
}

#[test]
fn a_snapshot_can_be_read_for_a_day_after_its_files_were_replaced() {
    let site = several_days();
    at_real_time(&site);
    let folder = site.lake().folder().unwrap().join("rejects");
    let pinned = active_files(&folder);
    let present = |files: &[(String, String)]| files.iter().filter(|(path, _)| folder.join(path).exists()).count();
    run(&site, compact()).unwrap();
    site.now.fetch_add(23 * HOUR, Ordering::Relaxed);
    run(&site, vacuum()).unwrap();
    assert_eq!(present(&pinned), 11);
    site.now.fetch_add(2 * HOUR, Ordering::Relaxed);
    let removed = run(&site, Upkeep { dry_run: true, ..vacuum() }).unwrap();
    assert_eq!((removed[0].files, present(&pinned)), (11, 11));
    run(&site, vacuum()).unwrap();
    assert_eq!(present(&pinned), 0);
    assert_eq!(site.rejects().len(), 11);
}

#[test]
fn readers_see_every_row_once_while_it_is_written_merged_and_cleaned() {
    const ROWS: usize = 120;
    let site = Site::new();
    at_real_time(&site);
    let folder = site.lake().folder().unwrap().join("rejects");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut seen, mut reads) = (0, 0);
            while !done.load(Ordering::Acquire) || reads == 0 {
                let ids = rows(&folder, &["reject_id"]);
                let expected: Vec<_> = (0..ids.len()).map(|n| format!("r{n:04}")).collect();
                let ids: Vec<_> = ids.iter().map(|row| row.rsplit(' ').next().unwrap().to_owned()).collect();
                assert_eq!(ids, expected, "all up to one, each once");
                assert!(ids.len() >= seen, "nothing goes");
                (seen, reads) = (ids.len(), reads + 1);
            }
            reads
        });
        // All of one day, so that merging has something to do at every turn.
        let thread = LakeThread::start(site.lake(), site.log.clone(), Options::default(), Tables::All).unwrap();
        for n in 0..ROWS {
            site.reject(&format!("r{n:04}"), 1, NINE, "malformed");
            thread.flush_and_wait().unwrap();
            if n % 10 == 9 {
                thread.upkeep(Upkeep { compact: true, vacuum: true, ..Upkeep::default() }, &mut |_| {}).unwrap();
            }
        }
        thread.stop().unwrap();
        done.store(true, Ordering::Release);
        assert!(reader.join().unwrap() > 1);
    });
    assert_eq!(site.rejects().len(), ROWS);
    assert_eq!(site.files("rejects"), 1);
}

#[test]
fn the_clock_alone_sets_it_going() {
    let site = several_days();
    let options = Options { retain: Retention::from([("rejects", 5)]), ..Options::default() };
    let thread = LakeThread::start(site.lake(), site.log.clone(), options, Tables::All).unwrap();
    // At first nothing is due, but commits.
    thread.flush_and_wait().unwrap();
    assert_eq!(site.files("rejects"), 11);
    site.now.fetch_add(2 * HOUR, Ordering::Relaxed);
    let begun = Instant::now();
    // Five files of today are not too many; the day before becomes one, the others go.
    while site.files("rejects") > 6 {
        assert!(begun.elapsed() < PATIENCE, "{} files are left", site.files("rejects"));
    }
    thread.stop().unwrap();
    assert_eq!((site.files("rejects"), site.rejects().len()), (6, 7));
}

#[test]
fn old_entries_of_the_log_go_after_a_checkpoint_and_a_reader_from_before_catches_up() {
    let site = Site::new();
    at_real_time(&site);
    let folder = site.lake().folder().unwrap().join("rejects");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut writer = site.writer("rejects");
    let mut commit = |n: usize| {
        site.reject(&format!("r{n:04}"), 1, NINE, "malformed");
        writer.read(&*site.log, 1 << 20).unwrap();
        writer.flush().unwrap();
    };
    (0..3).for_each(&mut commit);
    let url = Url::from_directory_path(folder.canonicalize().unwrap()).unwrap();
    let mut reader = runtime.block_on(DeltaTableBuilder::from_url(url).unwrap().load()).unwrap();
    (3..120).for_each(&mut commit);
    let entries = || entries(&folder);
    assert!(entries() >= 120);
    run(&site, vacuum()).unwrap();
    assert!(entries() >= 120, "a day has not passed");
    site.now.fetch_add(3 * DAY, Ordering::Relaxed);
    run(&site, vacuum()).unwrap();
    assert!(entries() < 60, "{} entries are left", entries());
    let state = site.lake().tables().unwrap().into_iter().find(|state| state.table == "rejects").unwrap();
    assert_eq!((state.rows, state.files), (120, 120));
    assert!(state.checkpoint.is_some_and(|version| version >= 99), "{state:?}");
    assert_eq!(state.days, Some(("2026-11-21".to_owned(), "2026-11-21".to_owned())));
    runtime.block_on(reader.update_incremental(None)).unwrap();
    assert_eq!(reader.snapshot().unwrap().log_data().iter().count(), 120);
    assert_eq!(site.rejects().len(), 120);
}

fn entries(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder.join("_delta_log")).unwrap();
    names.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "json")).count()
}
