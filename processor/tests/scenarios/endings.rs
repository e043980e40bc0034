//! When a call is told: its end, the PBX's restart, silence, an import's end; late facts, facts that come too late, and ids
//! that come again.

use std::collections::BTreeMap;

use calltide_eventlog::Record;
use calltide_processor::calls::CallSettings;
use calltide_schemas::envelope::Source;

use crate::expected::compare;
use crate::replay::{Replay, rows};
use crate::timeline::records::{heartbeat, record, records, with_heartbeats};
use crate::timeline::{Told, parse_time, told};
use crate::ways::{AMI, PBX, check, check_with_ami, replay};

const TALK: &str = "
    12:00:00 call from 79161000001 to support on trunk as C
    12:00:00 C is answered by the PBX
    12:00:01 C enters queue support
    12:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
    12:00:05 A answers
    12:00:25 C hangs up";

/// A talk that is up and of which nothing more is heard.
const UP: &str = "
    12:00:00 call from 79161000001 to support on trunk as C
    12:00:00 C enters queue support
    12:00:00 queue support offers C to agent Agent/101 at PJSIP/101 as A
    12:00:04 A answers";

fn at(time: &str) -> i64 {
    parse_time(time).unwrap()
}

#[test]
fn the_pbx_restarts() {
    check(
        &format!("{UP}\n 12:01:00 PBX restarts"),
        "calls status agent end_estimated answered_at
               answered Agent/101 true 12:00:04",
    );
}

#[test]
fn a_talk_lasts_until_the_pbx_died() {
    // Only the bridge knew of the talk; the timeline's heartbeats end ten seconds after what happened last.
    check_with_ami(
        "12:00:00 call from 79161000001 to direct on trunk as C
         12:00:00 C dials PJSIP/101 as A
         12:00:04 A answers
         12:10:00 PBX restarts",
        "calls status agent end_estimated talk_ms
               answered PJSIP/101 true 10",
    );
}

#[test]
fn history_older_than_the_clock_is_told_as_any_other() {
    // A file of the morning is imported in the evening: its calls are not silent, settled or expired before they are read.
    let story = format!("{UP}\n 12:02:04 C hangs up");
    let mut told = with_heartbeats(&told(&story), AMI);
    told.insert(0, heartbeat(at("23:59:00")));
    told.push(heartbeat(at("23:59:10")));
    compare(
        &replay(&records(PBX, &told)).tables(),
        "calls status agent end_estimated settled version
               answered Agent/101 false true 2",
        "told once, settled once",
    );
}

#[test]
fn a_mere_reconnection_ends_no_call() {
    check_with_ami(
        &format!(
            "{UP}
             12:01:00 AMI reconnects
             12:02:04 C hangs up"
        ),
        "calls status end_estimated talk_ms
               answered false 120",
    );
}

#[test]
fn a_server_that_does_not_say_since_when_it_is_up_has_not_restarted() {
    check_with_ami(&format!("{UP}\n 12:01:00 AMI reconnects to an old server\n 12:01:30 heartbeat"), "calls");
}

#[test]
fn silence_counts_heartbeats_of_the_pbx() {
    let quiet = |until: &str| {
        let mut told = with_heartbeats(&told(UP), AMI);
        told.push(heartbeat(at(until)));
        told.push(heartbeat(at(until) + 1));
        replay(&records(PBX, &told)).tables()
    };
    compare(&quiet("15:59:00"), "calls", "a call of four quiet hours may still be up");
    compare(&quiet("16:00:10"), "calls status end_estimated\n answered true", "longer than any conversation");
}

#[test]
fn a_cut_line_closes_no_call() {
    // Nothing comes for a day, neither events nor heartbeats.
    let mut late = told(UP);
    late.push(Told { source: Source::Gap, at: at("12:00:05"), headers: vec![], fields: vec![] });
    let records = records(PBX, &late);
    compare(&replay(&records).tables(), "calls", "nothing was heard of its end");
}

#[test]
fn an_import_ends() {
    check(
        &format!("{UP}\n 12:00:04 import ends"),
        "calls status end_estimated settled
               answered true true",
    );
    let told = with_heartbeats(&told(&format!("{UP}\n 12:00:04 import ends, calls stay open")), AMI);
    let replayed = replay(&records(PBX, &told));
    compare(&replayed.tables(), "calls", "calls that may go on in another file");
}

/// Without the kept events, which come an age later; then a heartbeat.
fn withheld(timeline: &str, keep: impl Fn(&Told) -> bool, comes: &str) -> Vec<Record> {
    let (mut first, withheld): (Vec<Told>, Vec<Told>) =
        with_heartbeats(&told(timeline), AMI).into_iter().partition(keep);
    first.push(heartbeat(at(comes)));
    first.extend(withheld);
    first.extend((1..=10).map(|n| heartbeat(at(comes) + n * 1_000_000)));
    records(PBX, &first)
}

fn not(event: &str) -> impl Fn(&Told) -> bool {
    move |t: &Told| !t.headers.iter().any(|h| h.0 == "Event" && h.1 == event)
}

#[test]
fn late_facts_make_a_new_version() {
    let without = |t: &Told| not("AgentConnect")(t) && not("BridgeEnter")(t);
    let records = withheld(TALK, without, "14:00:00");
    let early = replay(&records[..records.len() - 13]).tables();
    compare(&early, "calls status settled version\n abandoned true 2", "before the gap is filled");
    compare(
        &replay(&records).tables(),
        "calls status agent talk_ms settled version\n answered Agent/101 20 true 3",
        "the gap is filled two hours later",
    );
}

#[test]
fn too_late_facts_are_rejected() {
    let records = withheld(TALK, not("BridgeEnter"), "23:59:00");
    let mut replayed = Replay::new(&CallSettings { correct_us: 3_600_000_000, ..CallSettings::default() });
    for record in &records {
        replayed.take(record);
        replayed.restart();
    }
    compare(
        &replayed.tables(),
        "rejects pbx source reason
                 pbx ami too_late
                 pbx ami too_late",
        "an hour is over",
    );
    let call = rows(&replayed.tables(), "calls")[0].clone();
    assert_eq!(call["version"], 2, "the call is not touched");
}

#[test]
fn old_calls_are_forgotten_and_their_ids_in_the_end() {
    let mut told = with_heartbeats(&told(TALK), AMI);
    let hour = 3_600_000_000;
    let settings = CallSettings { correct_us: hour, ..CallSettings::default() };
    told.extend((0..20).map(|n| heartbeat(at("13:00:00") + n * hour)));
    let mut replayed = Replay::new(&settings);
    let mut largest = 0;
    for record in records(PBX, &told) {
        replayed.take(&record);
        largest = largest.max(replayed.state_len());
    }
    assert!(largest > 5, "while it is up: {largest}");
    // The PBX's clock and its one source, two journals, and the ids of the last call.
    assert!(replayed.state_len() <= 5, "in the end: {}", replayed.state_len());
}

#[test]
fn the_same_uniqueid_on_two_pbxs() {
    let told = with_heartbeats(&told(TALK), AMI);
    let (one, other) = (records("north", &told), records("south", &told));
    let alone = [&one, &other].map(|records| replay(records).tables());
    let mixed: Vec<Record> = one.into_iter().zip(other).flat_map(|(a, b)| [a, b]).collect();
    let both = replay(&mixed).tables();
    compare(
        &both,
        "calls pbx call_id status
               north north/1772452800.0 answered
               south south/1772452800.0 answered
         sources source_id duplicates gaps
               north/ami 0 0
               south/ami 0 0",
        "two servers with the same ids",
    );
    // Row by row what each of them alone gives, legs, visits and stories included.
    for (table, rows) in &both {
        let of_each: BTreeMap<_, _> =
            alone.iter().flat_map(|tables| tables.get(table).cloned().unwrap_or_default()).collect();
        assert_eq!(*rows, of_each, "{table}");
    }
}

#[test]
fn a_settled_call_is_told_twice_and_no_more() {
    let replayed = replay(&records(PBX, &with_heartbeats(&told(TALK), AMI)));
    let mut versions: BTreeMap<String, Vec<(i64, bool)>> = BTreeMap::new();
    for output in replayed.outputs.iter().filter(|o| o.record.kind == "call") {
        let row: serde_json::Value = serde_json::from_slice(output.record.payload.as_ref().unwrap()).unwrap();
        let version = (row["version"].as_i64().unwrap(), row["settled"].as_bool().unwrap());
        versions.entry(row["call_id"].as_str().unwrap().to_owned()).or_default().push(version);
    }
    assert_eq!(versions.into_values().collect::<Vec<_>>(), [[(1, false), (2, true)]]);
}

#[test]
fn a_hole_in_a_journal_is_counted() {
    let mut told = with_heartbeats(&told(TALK), AMI);
    told.retain(|t| t.source == Source::Ami);
    let with_hole: Vec<Record> = (1..).zip(&told).map(|(n, t)| record(PBX, t, if n > 5 { n + 3 } else { n })).collect();
    assert_eq!(replay(&with_hole).notes.get("journal_gap"), Some(&1));
}
