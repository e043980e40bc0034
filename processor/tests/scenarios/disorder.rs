//! Random mixtures of stories: told late, in part, repeatedly or in any order. Nothing panics, rows stay possible, and what
//! comes late within `settle` changes nothing.

use calltide_processor::calls::CallSettings;
use calltide_schemas::envelope::Source;
use calltide_schemas::status::Status;
use proptest::prelude::*;

use crate::replay::{Replay, Row, Tables, rows};
use crate::timeline::records::{Random, heartbeat, late, records, with_heartbeats};
use crate::timeline::{Told, told};
use crate::ways::{ALL, AMI, FILES, PBX, all_ways, assert_same, replay};

/// Stories by minutes and seconds; their channels are single letters, so that many of them fit into one day.
const STORIES: &[&str] = &[
    "00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
     00:01 T rings
     00:03 T answers
     00:03 T enters queue sales
     00:04 queue sales offers T to agent Agent/101 at PJSIP/101 as A
     00:04 queue sales offers T to agent Agent/102 at PJSIP/102 as B
     00:09 A answers
     00:15 A holds
     00:18 A unholds
     00:40 A hangs up",
    "00:00 originate 74951000002 on trunk for campaign spring contact c2 as T
     00:01 T rings
     00:07 T ends with cause 17",
    "00:00 originate 74951000003 through Local for campaign autumn contact c3 as L
     00:01 L2 dials 74951000003 on trunk as T
     00:02 T ends with cause 34 and the PBX tries on
     00:02 L2 dials 74951000003 on trunk2 as U
     00:06 U answers
     00:06 L enters queue sales
     00:20 U hangs up",
    "00:00 originate 74951000004 on nowhere fails at once with reason 0 for campaign spring contact c4",
    "00:00 call from 79161000001 to support on trunk as C
     00:00 C is answered by the PBX
     00:01 C enters queue support
     00:02 queue support offers C to agent Agent/103 at PJSIP/103 as A
     00:14 A does not answer
     00:20 C leaves the queue by timeout
     00:20 C runs VoiceMail 200@default
     00:25 C hangs up",
    "00:00 call from 79161000002 to support on trunk as C
     00:01 C enters queue support
     00:02 queue support offers C to agent Agent/103 at PJSIP/103 as A
     00:04 A answers
     00:14 A blind-transfers C to 102
     00:14 C dials PJSIP/102 as B
     00:17 B answers
     00:30 C hangs up",
    "00:00 call from 79161000003 to direct on trunk as C
     00:00 C dials PJSIP/101 as A
     00:04 A answers
     00:10 A consults PJSIP/102 as B
     00:13 B answers
     00:18 A completes the transfer to B
     00:28 C hangs up",
    "00:00 call from 79161000004 to direct on trunk as C
     00:00 C dials PJSIP/101 as A
     00:01 A rings
     00:05 PJSIP/104 picks up A as P
     00:25 P hangs up",
    "00:00 device PJSIP/101 calls 974951000005 as A
     00:00 A dials 74951000005 on trunk as T
     00:09 A hangs up",
    "00:00 device PJSIP/101 calls 102 as A
     00:00 A dials PJSIP/102 as B
     00:04 B answers
     00:24 A hangs up",
];

/// Some stories, each with the second of the day at which it begins.
fn stories() -> impl Strategy<Value = Vec<(usize, u32)>> {
    proptest::collection::vec((0..STORIES.len(), 30_000_u32..30_060), 1..6)
}

fn sources() -> impl Strategy<Value = &'static [Source]> {
    prop_oneof![Just(AMI), Just(FILES), Just(ALL)]
}

/// The lines of all stories in the order of time, each story with channels of its own.
fn timeline(stories: &[(usize, u32)]) -> String {
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (nth, &(story, begins)) in stories.iter().enumerate() {
        for line in STORIES[story].lines() {
            let (time, rest) = line.trim().split_once(' ').unwrap();
            let (minutes, secs) = time.split_once(':').unwrap();
            let at = begins + minutes.parse::<u32>().unwrap() * 60 + secs.parse::<u32>().unwrap();
            let rest: Vec<String> = rest.split(' ').map(|word| own_channel(word, nth)).collect();
            let time = format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60);
            lines.push((at, format!("{time} {}", rest.join(" "))));
        }
    }
    lines.sort_by_key(|line| line.0);
    lines.into_iter().map(|line| line.1 + "\n").collect()
}

/// `C` is `C3_` in the third story, and `L2`, the half of `L`, `L3_2`.
fn own_channel(word: &str, nth: usize) -> String {
    let (letter, rest) = word.split_at(1);
    let is_channel = letter.bytes().all(|b| b.is_ascii_uppercase()) && rest.bytes().all(|b| b.is_ascii_digit());
    if is_channel { format!("{letter}{nth}_{rest}") } else { word.to_owned() }
}

fn config() -> ProptestConfig {
    // Each case replays thousands of records; a failure prints the stories and the seed that it shrank to.
    ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn stories_at_the_same_time_are_told_alike_in_every_way(stories in stories(), sources in sources()) {
        let told = with_heartbeats(&told(&timeline(&stories)), sources);
        let straight = replay(&records(PBX, &told));
        possible(&straight.tables());
        all_ways(&told, &straight, "random stories");
    }

    #[test]
    fn what_is_lost_is_lost_alike(stories in stories(), sources in sources(), seed: u64, percent in 1_u64..60) {
        let mut random = Random(seed);
        let mut told = with_heartbeats(&told(&timeline(&stories)), sources);
        told.retain(|t| t.source == Source::Heartbeat || random.below(100) >= percent);
        // What lost its end is closed by silence.
        let last = told.last().map_or(0, |t| t.at);
        told.extend((5..15).map(|hours| heartbeat(last + hours * 3_600_000_000)));
        let straight = replay(&records(PBX, &told)).tables();
        possible(&straight);
        let late = replay(&records(PBX, &late(&told, 4_900_000, seed))).tables();
        assert_same(&late, &straight, "events lost, the rest late");
    }

    #[test]
    fn any_order_and_any_repetition(stories in stories(), sources in sources(), seed: u64) {
        let mut random = Random(seed);
        let told = with_heartbeats(&told(&timeline(&stories)), sources);
        let mut chaos: Vec<(u64, Told)> = Vec::new();
        for t in told {
            for _ in 0..random.below(3) {
                chaos.push((random.below(1_000_000), t.clone()));
            }
        }
        chaos.sort_by_key(|c| c.0);
        let chaos: Vec<Told> = chaos.into_iter().map(|c| c.1).collect();
        let records = records(PBX, &chaos);
        let straight = replay(&records);
        possible(&straight.tables());
        let mut restarted = Replay::new(&CallSettings::default());
        for record in &records {
            restarted.take(record);
            if random.below(5) == 0 {
                restarted.restart();
            }
        }
        let same = restarted.outputs.iter().zip(&straight.outputs).take_while(|(a, b)| a == b).count();
        let next = |replay: &Replay| replay.outputs.get(same).map(|o| o.record.id.clone());
        let (next, after) = (next(&straight), next(&restarted));
        prop_assert!(restarted.outputs == straight.outputs, "restarted at random: {:?} instead of {:?}", after, next);
    }
}

/// Rows that can be true, whatever they were made of.
fn possible(tables: &Tables) {
    let words: Vec<&str> = Status::ALL.iter().map(|s| s.name()).collect();
    for call in rows(tables, "calls") {
        assert!(words.contains(&call["status"].as_str().unwrap()), "{call:?}");
        in_order(call, &["started_at", "answered_at", "ended_at"]);
        not_negative(call);
        let talked = call["talk_ms"].as_i64().unwrap_or(0) + call["hold_ms"].as_i64().unwrap_or(0);
        let lasted = (call["ended_at"].as_i64().unwrap() - call["started_at"].as_i64().unwrap()) / 1_000;
        assert!(talked <= lasted + 1_000, "talk and hold {talked} ms of {lasted} ms: {call:?}");
    }
    for leg in rows(tables, "legs") {
        in_order(leg, &["offered_at", "answered_at", "ended_at"]);
        not_negative(leg);
        assert_eq!(leg["answered_at"].is_null(), leg["outcome"] != "answered", "{leg:?}");
    }
    for visit in rows(tables, "queue_visits") {
        in_order(visit, &["entered_at", "left_at"]);
        not_negative(visit);
    }
}

fn in_order(row: &Row, columns: &[&str]) {
    let times: Vec<i64> = columns.iter().filter_map(|c| row[*c].as_i64()).collect();
    assert!(times.is_sorted(), "{columns:?} in order: {row:?}");
}

fn not_negative(row: &Row) {
    for (column, value) in row.iter().filter(|(name, _)| name.ends_with("_ms")) {
        assert!(value.as_i64().unwrap_or(0) >= 0, "{column} of {row:?}");
    }
    assert!(!row.values().any(|v| matches!(v.as_i64(), Some(i64::MAX | i64::MIN))), "{row:?}");
}
