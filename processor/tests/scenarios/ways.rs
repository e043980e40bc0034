//! Runs a timeline in every way that must not matter: straight, restarted after every record, every event twice, late and so
//! in another order; from AMI, from the files, from all of them.

use calltide_eventlog::{Output, Record};
use calltide_processor::calls::CallSettings;
use calltide_schemas::envelope::Source;

use crate::expected::compare;
use crate::replay::{Replay, Tables};
use crate::timeline::records::{late, record, records, with_heartbeats};
use crate::timeline::{Told, told};

/// The topic of how records come.
const SOURCES: &str = "calltide.sources";

/// The PBX of all timelines.
pub(crate) const PBX: &str = "pbx";

pub(crate) const AMI: &[Source] = &[Source::Ami];
pub(crate) const FILES: &[Source] = &[Source::Cel, Source::QueueLog];
pub(crate) const ALL: &[Source] = &[Source::Ami, Source::Cel, Source::QueueLog];

/// Late records may change a call for so long; ours come less late than that.
const LATE_US: u64 = 4_900_000;

/// Seeds of the orders in which late records come.
const SEEDS: std::ops::Range<u64> = 0..6;

/// The timeline gives these rows, whichever logs tell of it and in every way.
pub(crate) fn check(timeline: &str, expected: &str) {
    for sources in [AMI, FILES, ALL] {
        check_told(timeline, sources, expected);
    }
}

/// The same for stories that CEL and the queue's log can't tell as well.
pub(crate) fn check_with_ami(timeline: &str, expected: &str) {
    for sources in [AMI, ALL] {
        check_told(timeline, sources, expected);
    }
}

/// What CEL and the queue's log alone make of a story that AMI tells better.
pub(crate) fn check_files(timeline: &str, expected: &str) {
    check_told(timeline, FILES, expected);
}

/// What the queue's log makes of it all by itself.
pub(crate) fn check_log_alone(timeline: &str, expected: &str) {
    check_told(timeline, &[Source::QueueLog], expected);
}

/// The same, told by these logs.
pub(crate) fn check_told(timeline: &str, sources: &[Source], expected: &str) {
    let told = with_heartbeats(&told(timeline), sources);
    let name: Vec<&str> = sources.iter().map(|s| s.name()).collect();
    let name = name.join(" and ");
    let straight = replay(&records(PBX, &told));
    compare(&straight.tables(), expected, &format!("by {name}"));
    all_ways(&told, &straight, &name);
}

pub(crate) fn replay(records: &[Record]) -> Replay {
    Replay::new(&CallSettings::default()).take_all(records)
}

/// Every way gives what the straight one gave.
pub(crate) fn all_ways(told: &[Told], straight: &Replay, name: &str) {
    let records = records(PBX, told);
    let mut restarted = Replay::new(&CallSettings::default());
    for record in &records {
        restarted.take(record);
        restarted.restart();
    }
    assert_eq!(restarted.outputs, straight.outputs, "by {name}, restarted after every record");

    let resent = replay(&records.iter().flat_map(|r| [r.clone(), r.clone()]).collect::<Vec<_>>());
    assert_eq!(facts(&resent), facts(straight), "by {name}, every record twice");
    resent_is_counted(&records, &resent, straight);

    let doubled = replay(&twice_as_new(told));
    assert_same(&doubled.tables(), &straight.tables(), &format!("by {name}, every event told twice"));

    for seed in SEEDS {
        let late = replay(&crate::timeline::records::records(PBX, &late(told, LATE_US, seed)));
        assert_same(&late.tables(), &straight.tables(), &format!("by {name}, late by seed {seed}"));
    }
}

/// What was published of calls.
fn facts(replay: &Replay) -> Vec<&Output> {
    replay.outputs.iter().filter(|output| output.topic != SOURCES).collect()
}

/// Where every record came twice, each source says so, perhaps in a version more, and nothing else is different.
fn resent_is_counted(records: &[Record], resent: &Replay, straight: &Replay) {
    assert_eq!(resent.notes.get("duplicate_envelope"), Some(&(records.len() as u64)));
    let of = |replay: &Replay| replay.tables().remove("sources").unwrap_or_default();
    let (mut got, mut want) = (of(resent), of(straight));
    for row in got.values() {
        assert!(row["duplicates"].as_i64().unwrap() >= row["events"].as_i64().unwrap() - 1, "{row:?}");
    }
    for row in got.values_mut().chain(want.values_mut()) {
        for column in ["duplicates", "version", "updated_at", "lag_max_ms"] {
            row.remove(column);
        }
    }
    assert_eq!(got, want);
}

/// Each event in two envelopes, one behind the other in its journal.
fn twice_as_new(told: &[Told]) -> Vec<Record> {
    let mut offsets = std::collections::BTreeMap::new();
    let mut records = Vec::new();
    for t in told {
        for _ in 0..2 {
            let offset = offsets.entry(t.source.name()).or_insert(0);
            *offset += 1;
            records.push(record(PBX, t, *offset));
        }
    }
    records
}

/// The same rows, whichever version they have. How the records came is what the ways differ in, so `sources` is not compared.
pub(crate) fn assert_same(got: &Tables, want: &Tables, way: &str) {
    let plain = |tables: &Tables| {
        let mut plain = tables.clone();
        plain.remove("sources");
        for row in plain.values_mut().flat_map(|rows| rows.values_mut()) {
            row.remove("version");
            row.remove("updated_at");
        }
        plain
    };
    let (got, want) = (plain(got), plain(want));
    if got == want {
        return;
    }
    let mut differences = Vec::new();
    let names: std::collections::BTreeSet<_> = got.keys().chain(want.keys()).collect();
    for table in names {
        let (empty, none) = (Default::default(), Default::default());
        let (g, w) = (got.get(table).unwrap_or(&empty), want.get(table).unwrap_or(&none));
        let keys: std::collections::BTreeSet<_> = g.keys().chain(w.keys()).collect();
        for key in keys.into_iter().filter(|key| g.get(*key) != w.get(*key)) {
            match (g.get(key), w.get(key)) {
                (Some(g), Some(w)) => {
                    let columns = w.keys().filter(|c| g.get(*c) != w.get(*c));
                    differences.extend(columns.map(|c| format!("{table} {key} {c}: {} instead of {}", g[c], w[c])));
                }
                (Some(_), None) => differences.push(format!("{table} {key}: should not be there")),
                (None, _) => differences.push(format!("{table} {key}: missing")),
            }
        }
    }
    panic!("{way}:\n{}", differences.join("\n"));
}
