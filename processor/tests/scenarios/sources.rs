//! Where events come from: repeats and gaps by journal and offset alone, lag with the clocks' difference taken out, the line
//! to the PBX, its starts, imports beside what is live.

use std::collections::BTreeSet;

use calltide_eventlog::Record;
use calltide_processor::calls::CallSettings;
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, HEARTBEAT_OF_FILES, Header, Source, Text};
use proptest::prelude::*;

use crate::expected::compare;
use crate::replay::{Replay, rows};
use crate::timeline::DAY_SECS;
use crate::ways::replay;

/// A connection of the collector at `north`.
const LINE: &str = "ami/north/1";

/// What a collector wrote.
#[derive(Clone)]
struct Written {
    journal: String,
    offset: u64,
    source: Source,
    /// Milliseconds since midnight, by the PBX.
    at_ms: i64,
    /// And by the collector.
    seen_ms: i64,
    headers: Vec<(String, String)>,
    reason: Option<&'static str>,
}

fn written(journal: &str, offset: u64, source: Source, at_ms: i64) -> Written {
    Written { journal: journal.to_owned(), offset, source, at_ms, seen_ms: at_ms, headers: Vec::new(), reason: None }
}

/// An event that says nothing of calls.
fn event(journal: &str, offset: u64, at_ms: i64) -> Written {
    let headers = vec![("Event".to_owned(), "PeerStatus".to_owned())];
    Written { headers, ..written(journal, offset, Source::Ami, at_ms) }
}

fn beat(journal: &str, offset: u64, at_ms: i64) -> Written {
    written(journal, offset, Source::Heartbeat, at_ms)
}

fn line(offset: u64, at_ms: i64, reason: &'static str) -> Written {
    Written { reason: Some(reason), ..written(LINE, offset, Source::Gap, at_ms) }
}

impl Written {
    fn record(&self, pbx: &str) -> Record {
        let time = |ms: i64| Micros(DAY_SECS * 1_000_000 + ms * 1_000);
        let mut envelope =
            Envelope::new(pbx, self.source, time(self.at_ms), time(self.seen_ms), &self.journal, self.offset);
        let text = |text: &String| Text(text.clone().into());
        envelope.headers = self.headers.iter().map(|(name, value)| Header(text(name), text(value))).collect();
        envelope.reason = self.reason.map(Into::into);
        Record { payload: serde_json::to_vec(&envelope).ok(), ..Record::default() }
    }
}

/// The rows after these; the same after a restart behind each record.
fn told(written: &[Written]) -> Replay {
    let records: Vec<Record> = written.iter().map(|w| w.record("north")).collect();
    let straight = replay(&records);
    let mut restarted = Replay::new(&CallSettings::default());
    for record in &records {
        restarted.take(record);
        restarted.restart();
    }
    assert_eq!(restarted.outputs, straight.outputs, "restarted after every record");
    straight
}

/// A heartbeat by which every row is renewed.
fn renewed(mut written: Vec<Written>) -> Vec<Written> {
    let journal = "ami/north/last";
    written.extend([beat(journal, 1, 3_600_000), beat(journal, 2, 3_700_000)]);
    written
}

#[test]
fn repeats_and_gaps_are_recognised_exactly_and_named() {
    let mut story: Vec<Written> = [1, 2, 3, 5, 9].map(|n| event(LINE, n, 1_000 * n as i64)).into();
    compare(
        &told(&renewed(story.clone())).tables(),
        "sources source_id events duplicates gaps missing gap_places
               north/ami 5 0 2 4 ami/north/1:6-8_ami/north/1:4-4",
        "4 and 6 to 8 never came",
    );
    story.extend([2, 3, 7, 7].map(|n| event(LINE, n, 1_000 * n as i64)));
    compare(
        &told(&renewed(story.clone())).tables(),
        "sources source_id events duplicates gaps missing gap_places
               north/ami 6 3 3 3 ami/north/1:8-8_ami/north/1:6-6_ami/north/1:4-4",
        "2 and 3 came again, 7 late, and again",
    );
    story.extend([4, 8, 6].map(|n| event(LINE, n, 1_000 * n as i64)));
    let all = told(&renewed(story.clone()));
    compare(
        &all.tables(),
        "sources source_id events duplicates gaps missing gap_places
               north/ami 9 3 0 0 -",
        "all have come",
    );
    assert_eq!(all.notes.get("journal_gap_filled"), Some(&4));
    assert_eq!(all.measured["calltide_source_duplicates_total pbx=north source=ami"], 3.0);
    assert_eq!(all.measured["calltide_source_missing_offsets pbx=north source=ami"], 0.0);
    story.extend((1..=9).map(|n| event(LINE, n, 1_000 * n as i64)));
    let again = told(&renewed(story));
    compare(&again.tables(), "sources source_id events duplicates gaps\n north/ami 9 12 0", "everything came again");
    assert_eq!(again.notes.get("duplicate_envelope"), Some(&12));
}

#[test]
fn a_journal_that_begins_later_has_no_gap_before() {
    // A file that grew is imported again: what the first import has is not repeated.
    let journals = ["file/north/cel/100-0a", "file/north/cel/200-0b"];
    let mut story: Vec<Written> = (1..=3).map(|n| written(journals[0], n, Source::Cel, 1_000)).collect();
    story.extend((4..=6).map(|n| written(journals[1], n, Source::Cel, 2_000)));
    compare(
        &told(&renewed(story)).tables(),
        "sources source_id events journals gaps\n north/ami 0 1 0\n north/import/cel 6 2 0",
        "the second file goes on",
    );
}

#[test]
fn a_gap_that_the_forwarder_named_is_counted_once() {
    let mut story = vec![event(LINE, 1, 1_000)];
    for (last, next) in [(4, 5), (9, 10)] {
        let named = written(&format!("missing/{LINE}"), last, Source::Gap, 2_000);
        story.extend([Written { reason: Some("missing"), ..named }, event(LINE, next, 2_000)]);
    }
    let told = told(&renewed(story));
    compare(
        &told.tables(),
        "sources source_id events gaps missing gap_places connected
               north/ami 3 2 7 ami/north/1:6-9_ami/north/1:2-4 true",
        "named and seen",
    );
    assert_eq!(told.notes.get("journal_gap"), Some(&2));
}

#[test]
fn lag_is_told_without_the_difference_of_the_clocks() {
    // The PBX's clock is ten seconds ahead; its events are 200 ms under way, a line of the CEL file three seconds.
    let late = |written: Written, ms: i64| Written { seen_ms: written.at_ms - 10_000 + ms, ..written };
    let story = vec![
        late(beat(LINE, 1, 20_000), 0),
        late(event(LINE, 2, 20_100), 700),
        late(event(LINE, 3, 21_000), 200),
        late(written("follow/north/cel/0a", 1, Source::Cel, 21_000), 3_000),
        late(beat(LINE, 4, 30_000), 0),
    ];
    let told = told(&story);
    compare(
        &told.tables(),
        "sources source_id lag_ms lag_max_ms clock_ahead_ms last_event_at last_seen_at
               north/ami - - 10 - 00:00:10
               north/cel 3 3 10 00:00:21 00:00:14",
        "the row of AMI is not due yet",
    );
    assert_eq!(told.measured["calltide_source_lag_seconds pbx=north source=ami"], 0.2);
    let told = self::told(&[story, vec![late(beat(LINE, 5, 90_000), 0)]].concat());
    compare(
        &told.tables(),
        "sources source_id lag_ms lag_max_ms clock_ahead_ms last_event_at last_seen_at
               north/ami 0.2 0.7 10 00:00:21 00:01:20
               north/cel 3 3 10 00:00:21 00:00:14",
        "a minute later",
    );
}

#[test]
fn a_row_is_renewed_once_a_minute_and_when_the_line_is_lost() {
    let mut story = vec![line(1, 0, "connected")];
    for second in 1..=600 {
        let offset = u64::try_from(second).unwrap() * 2;
        story.extend([beat(LINE, offset, second * 1_000), event(LINE, offset + 1, second * 1_000 + 500)]);
    }
    let renewals = |replay: &Replay| replay.outputs.iter().filter(|o| o.topic == "calltide.sources").count();
    let before = told(&story);
    assert_eq!(renewals(&before), 1 + 10, "when it was made, and in ten minutes");
    compare(&before.tables(), "sources source_id connected events\n north/ami true 599", "while it is up");
    story.push(line(1_202, 600_700, "closed"));
    let lost = told(&story);
    assert_eq!(renewals(&lost), 12);
    compare(
        &lost.tables(),
        "sources source_id connected events last_event_at updated_at\n north/ami false 600 00:10:00 00:10:00",
        "told at once, since there are no heartbeats any more",
    );
    assert_eq!(lost.measured["calltide_source_connected pbx=north source=ami"], 0.0);
}

#[test]
fn a_source_that_says_nothing_new_is_not_told_again() {
    // Of a PBX with files alone the time goes on for two minutes behind the last line.
    let journal = "follow/north/heartbeat/1";
    let of_files = |n: u64| {
        let (name, value) = HEARTBEAT_OF_FILES;
        let headers = vec![(name.to_owned(), value.to_owned())];
        Written { headers, ..beat(journal, n, 1_000 * i64::try_from(n).unwrap()) }
    };
    let mut story = vec![of_files(1), written("follow/north/cel/0a", 1, Source::Cel, 1_100), of_files(2)];
    story.push(written("follow/north/cel/0a", 2, Source::Cel, 2_100));
    story.extend((3..=120).map(of_files));
    let told = told(&story);
    compare(
        &told.tables(),
        "sources source_id connected events version updated_at\n north/cel - 2 2 00:01:02",
        "the last line is in the row",
    );
}

#[test]
fn imports_have_rows_of_their_own() {
    let old = -86_400_000;
    let mut story = vec![event(LINE, 1, 1_000), beat(LINE, 2, 2_000)];
    for n in 1..=3 {
        story.push(written("heartbeat/north/0a/1", n, Source::Heartbeat, old + 1_000 * i64::try_from(n).unwrap()));
        story.push(Written { seen_ms: 3_000, ..written("file/north/queue_log/10-0a", n, Source::QueueLog, old) });
    }
    story.push(written("import/north/0a", 1, Source::ImportEnd, old + 4_000));
    compare(
        &told(&story).tables(),
        "sources source_id source way events lag_ms last_seen_at
               north/import/queue_log queue_log import 3 - 00:00:03
               north/ami ami live 1 0 00:00:02",
        "history is late, and that is no lag",
    );
}

#[test]
fn the_rows_tell_when_the_pbx_started_and_stopped() {
    let said = |offset: u64, at_ms: i64, event: &str, uptime: &str| {
        let headers = [("Event", event), ("Uptime", uptime)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Written { headers, ..written(LINE, offset, Source::Ami, at_ms) }
    };
    let up = vec![line(1, 3_600_000, "connected"), said(2, 3_600_000, "FullyBooted", "3000"), beat(LINE, 3, 3_601_000)];
    let first = told(&up);
    compare(&first.tables(), "sources pbx_started_at pbx_stopped_at\n 00:10:00 -", "up for fifty minutes");
    assert!(first.measured.contains_key("calltide_pbx_started_timestamp_seconds pbx=north"));
    let old = vec![line(1, 3_600_000, "connected"), said(2, 3_600_000, "FullyBooted", ""), beat(LINE, 3, 3_601_000)];
    compare(&told(&old).tables(), "sources pbx_started_at\n -", "it does not say since when it is up");
    let ended = [up, vec![said(4, 3_650_000, "Shutdown", ""), line(5, 3_650_100, "closed")]].concat();
    compare(&told(&ended).tables(), "sources pbx_started_at pbx_stopped_at\n 00:10:00 01:00:50", "it shut down");
    let other = "ami/north/2";
    let again = |n, ms, name: &str, uptime: &str| Written { journal: other.to_owned(), ..said(n, ms, name, uptime) };
    let again = [ended, vec![again(1, 3_700_000, "FullyBooted", "5"), beat(other, 2, 3_700_500)]].concat();
    compare(
        &told(&again).tables(),
        "sources pbx_started_at pbx_stopped_at journals\n 01:01:35 01:00:50 2",
        "and started again",
    );
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_order_is_counted_exactly(offsets in proptest::collection::vec(1_u64..30, 1..120)) {
        let story: Vec<Written> = offsets.iter().map(|n| event(LINE, *n, 1_000)).collect();
        let told = replay(&renewed(story).iter().map(|w| w.record("north")).collect::<Vec<_>>()).tables();
        // What is before the first is not of this log.
        let first = offsets[0];
        let came: BTreeSet<u64> = offsets.iter().copied().filter(|n| *n >= first).collect();
        let last = *came.iter().next_back().unwrap();
        let missing: Vec<u64> = (first..=last).filter(|n| !came.contains(n)).collect();
        let gaps = missing.iter().filter(|n| !missing.contains(&(**n - 1))).count();
        let row = rows(&told, "sources")[0].clone();
        let duplicates = offsets.len() - came.len();
        for (column, expected) in
            [("events", came.len()), ("duplicates", duplicates), ("gaps", gaps), ("missing", missing.len())]
        {
            prop_assert_eq!(row[column].as_u64(), Some(expected as u64), "{} of {:?}", column, row);
        }
    }
}
