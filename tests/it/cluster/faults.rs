//! Processes and the broker are killed at random instants, processors come and go, the line is cut: the tables are those of one
//! process that was left alone, and no topic has a fact twice.
//!
//! `CALLTIDE_CLUSTER_EVENTS` (default 30,000 for each PBX) and `CALLTIDE_CLUSTER_KILLS` (default 6 `kill -9`, half as many other
//! faults beside) make it as long as wanted; the seed is printed and can be given as `CALLTIDE_CLUSTER_SEED`.

#![expect(clippy::print_stderr, reason = "the seed and the figures are for whoever runs it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::topology::{PBXS, Pbxs, Topology};
use crate::line::Way;
use crate::started::{DERIVED, Site, until};

/// What tells how something came to be known rather than what it is.
const HOW: [&str; 5] = ["version", "updated_at", "seen", "journal", "journal_offset"];
/// The line is bad for so many events.
const BAD_LINE: usize = 500;

struct Dice(u64);

impl Dice {
    /// By SplitMix64; below `sides`.
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }
}

/// What can happen.
#[derive(Debug, Clone, Copy)]
enum Fault {
    KillIngest,
    KillProcessor,
    KillBroker,
    ProcessorLeaves,
    BadLine,
}

const KILLS: [Fault; 4] = [Fault::KillProcessor, Fault::KillBroker, Fault::KillIngest, Fault::KillProcessor];
const OTHERS: [Fault; 3] = [Fault::BadLine, Fault::ProcessorLeaves, Fault::BadLine];

/// So many kills, of every kind, and half as many others, in any order.
fn schedule(kills: usize, dice: &mut Dice) -> Vec<Fault> {
    let others = OTHERS.into_iter().cycle().take(kills.div_ceil(2));
    let mut faults: Vec<_> = KILLS.into_iter().cycle().take(kills).chain(others).collect();
    for last in (1..faults.len()).rev() {
        faults.swap(last, dice.below(last + 1));
    }
    faults
}

#[test]
fn whatever_is_killed_or_cut_the_tables_are_those_of_a_run_that_was_left_alone() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(usual);
    let events = number("CALLTIDE_CLUSTER_EVENTS", 30_000);
    let kills = usize::try_from(number("CALLTIDE_CLUSTER_KILLS", 6)).unwrap();
    let seed = number("CALLTIDE_CLUSTER_SEED", u64::from(std::process::id()) << 16 | 1);
    eprintln!("seed {seed}, {events} events of each PBX, {kills} kills");
    let recorded = Site::new();
    let folder = recorded.data().with_extension("recording");
    recorded.done(&["bench", "--events", &events.to_string(), "--files", folder.to_str().unwrap()]);
    let recording = folder.join("ami.raw");

    let mut pbxs = Pbxs::playing(&recording);
    let Some(mut cluster) = Topology::around(&pbxs) else { return };
    let mut dice = Dice(seed);
    cluster.up();
    let events = usize::try_from(events).unwrap();
    let mut heard = Heard::default();
    let faults = schedule(kills, &mut dice);
    let parts = faults.len() + 1;
    for (nth, fault) in (1..).zip(faults) {
        let most = events * nth / parts;
        pbxs.may_say(most);
        let goal = most * PBXS.len() - dice.below(events / parts / 2 + 1);
        heard.reaches(&cluster, goal);
        eprintln!("{nth}: {fault:?}");
        harm(fault, &mut cluster, &mut pbxs, &mut dice, &mut heard, most);
    }
    cluster.line.becomes(Way::Good);
    cluster.up();
    pbxs.finish();
    let told = Instant::now();
    let clean = left_alone(&recording);
    eprintln!("the run without faults is done, {:?} after the last event", told.elapsed());
    let (expected, all) = (settled(&clean), calls(&clean));
    let mut before = (0, 0);
    until("all calls are in the tables", || {
        let now = (calls(&cluster.reader), settled(&cluster.reader));
        if std::mem::replace(&mut before, now) != now {
            eprintln!("{} of {all} calls, {} of {expected} settled", now.0, now.1);
        }
        now == (all, expected)
    });
    for (table, key) in DERIVED {
        same_rows(&clean, &cluster.reader, table, key, seed);
        each_fact_once(&cluster.reader, table, key, seed);
    }
    every_event_is_archived(&clean, &cluster.reader, seed);
    each_due_once(&cluster.reader, seed);
    eprintln!("{expected} calls, the same rows");
    cluster.ingest.stop();
    cluster.processors.iter_mut().for_each(super::topology::Role::stop);
}

/// Does it, while `most` events of each PBX may be said.
fn harm(fault: Fault, cluster: &mut Topology, pbxs: &mut Pbxs, dice: &mut Dice, heard: &mut Heard, most: usize) {
    match fault {
        Fault::KillIngest => {
            // What a PBX has said to nobody is gone: it says no more until the collector is there again.
            until("all is said", || pbxs.said() == most * PBXS.len());
            heard.reaches(cluster, most * PBXS.len());
            cluster.ingest.kill();
            heard.before = most * PBXS.len();
        }
        Fault::KillProcessor => cluster.processors[dice.below(2)].kill(),
        Fault::ProcessorLeaves => {
            cluster.processors[dice.below(2)].stop();
            // The next one comes back to a group that has moved on.
            return;
        }
        Fault::KillBroker => {
            cluster.broker.kill();
            cluster.broker.run();
        }
        Fault::BadLine => {
            let way = [Way::Cut, Way::Stopped, Way::Slow(Duration::from_millis(30))][dice.below(3)];
            eprintln!("the line is {way:?}");
            cluster.line.becomes(way);
            heard.reaches(cluster, (heard.now + BAD_LINE).min(most * PBXS.len()));
            cluster.line.becomes(Way::Good);
        }
    }
    cluster.up();
}

/// Events that the collector has in its journal.
#[derive(Debug, Default)]
struct Heard {
    /// By processes before this one.
    before: usize,
    now: usize,
}

impl Heard {
    fn reaches(&mut self, cluster: &Topology, goal: usize) {
        until("the collector has heard it", || {
            let counted = ["calltide_ami_events_total", "calltide_ami_unreadable_total"];
            let counted: f64 = counted.iter().map(|name| cluster.ingest.metric(name)).sum();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let counted = counted as usize;
            self.now = self.before + counted;
            self.now >= goal
        });
    }
}

/// The same PBXs, collected by one process that nothing happens to.
fn left_alone(recording: &Path) -> Site {
    let mut pbxs = Pbxs::playing(recording);
    let site = Site::new();
    site.configured(&pbxs.configuration());
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("serving queries");
    pbxs.finish();
    let mut before = (0, 0);
    until("every call is settled", || {
        let now = (calls(&site), settled(&site));
        let done = now == before && now.0 == now.1 && now.0 > 0;
        before = now;
        done
    });
    up.stop();
    site
}

fn count(site: &Site, query: &str) -> u64 {
    site.rows(query)[0]["n"].as_u64().unwrap()
}

fn calls(site: &Site) -> u64 {
    count(site, "SELECT count(*) AS n FROM calls")
}

fn settled(site: &Site) -> u64 {
    count(site, "SELECT count(*) AS n FROM calls WHERE settled")
}

fn same_rows(clean: &Site, harmed: &Site, table: &str, key: &str, seed: u64) {
    let columns = clean.rows(&format!(
        "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    ));
    let columns: Vec<_> = columns.iter().map(|row| row["column_name"].as_str().unwrap()).collect();
    let told = columns.into_iter().filter(|name| !HOW.contains(name)).map(|name| format!("\"{name}\""));
    let told = told.collect::<Vec<_>>().join(", ");
    assert!(told.contains(key), "{table}: {told}");
    // In pieces, since a result has a limit.
    for piece in 0..8 {
        let query = format!("SELECT {told} FROM {table} WHERE ascii(right({key}, 1)) % 8 = {piece} ORDER BY {key}");
        let (one, other) = (clean.rows(&query), harmed.rows(&query));
        let different = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(different.is_none(), "seed {seed}: {table} differs: {different:?}");
        assert_eq!(one.len(), other.len(), "seed {seed}: rows of {table} in piece {piece}");
    }
}

/// `inputs` has everything that the PBXs said, once, and of no journal is anything missing.
fn every_event_is_archived(clean: &Site, harmed: &Site, seed: u64) {
    let events = "SELECT pbx, count(*) AS n, count(DISTINCT id) AS ids FROM inputs WHERE source = 'ami' GROUP BY pbx ORDER BY pbx";
    // What was sent twice is seen twice until the tables have it.
    let twice = "SELECT count(*) - count(DISTINCT id) AS n FROM inputs";
    until("all events are archived once", || harmed.rows(events) == clean.rows(events) && count(harmed, twice) == 0);
    eprintln!("archived: {:?}", harmed.rows(events));
    assert_eq!(count(harmed, "SELECT coalesce(sum(missing), 0) AS n FROM sources"), 0, "seed {seed}");
}

/// Every contact of the recordings has its attempts and a verdict, dialers are told of each verdict once, and what was taken back
/// was told before.
fn each_due_once(site: &Site, seed: u64) {
    let of_contacts =
        "SELECT count(*) AS n FROM attempts WHERE contact IS NOT NULL AND campaign IS NOT NULL AND settled";
    let mut before = (0, 0);
    until("all attempts have come to their contacts", || {
        let counted = count(site, "SELECT coalesce(sum(attempts), 0) AS n FROM contacts");
        let now = (counted, count(site, of_contacts));
        if std::mem::replace(&mut before, now) != now {
            eprintln!("contacts have {} of {} attempts", now.0, now.1);
        }
        now.0 == now.1
    });
    each_fact_once(site, "contacts", "contact_key", seed);
    each_fact_once(site, "verdicts", "verdict_id", seed);
    let said = || site.done(&["log", "cat", "retry-due"]).0;
    until("everybody who is to be called again is due", || {
        let (said, called) = (said(), "SELECT verdict_id FROM contacts WHERE verdict = 'retry'");
        let ids = site.rows(called);
        let is_told = |id: &Value| said.contains(&format!("\"retry_due:{}\"", id["verdict_id"].as_str().unwrap()));
        !ids.is_empty() && ids.iter().all(is_told)
    });
    let text = said();
    let (mut told, mut taken_back) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let id = record["id"].as_str().unwrap().to_owned();
        let is_new = match id.strip_suffix(":withdrawn") {
            Some(of) => {
                assert!(told.contains(of), "seed {seed}: {of} was taken back and never told");
                taken_back.insert(id)
            }
            None => told.insert(id.clone()),
        };
        assert!(is_new, "seed {seed}: a due message is there twice");
    }
    eprintln!("{} due messages, {} taken back", told.len(), taken_back.len());
    assert!(!told.is_empty(), "seed {seed}: nobody was due");
}

/// Each version of each key is in the table's topic once, and for each key of the table there is one.
fn each_fact_once(site: &Site, table: &str, key: &str, seed: u64) {
    let topic = table.replace('_', "-");
    let (text, _) = site.done(&["log", "cat", &topic]);
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        *times.entry(record["id"].as_str().unwrap().to_owned()).or_default() += 1;
        keys.insert(record["key"].as_str().unwrap().to_owned());
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).take(3).collect();
    assert!(twice.is_empty(), "seed {seed}: {topic} has facts more than once: {twice:?}");
    let rows = count(site, &format!("SELECT count(DISTINCT {key}) AS n FROM {table}"));
    assert!(keys.len() as u64 >= rows, "seed {seed}: {topic} has {} keys, {table} {rows}", keys.len());
}
