//! The queues report: what is counted where, both sides of its limits, and the call that came to several queues.
//!
//! Visits are lines: `p/1#2 sales 09:00:00 answered 19.999 60+10` is the second visit of the call p/1, on 2026-03-01 (UTC) or
//! at a whole date and time, with the seconds of its wait, talk and hold.

use calltide_query_api::reports::queues::{Dimension, QueuesQuery, queues};
use calltide_query_api::reports::{Bucket, DayStart, Range};
use calltide_schemas::Micros;
use calltide_schemas::metrics::queues::OUTCOMES_OF_VISITS;
use serde_json::{Value, json};

use crate::bench::{Bench, at, rows};

const HOUR: Dimension = Dimension::Bucket(Bucket::Hour);
const DAY: Dimension = Dimension::Bucket(Bucket::Day);
const WEEK: Dimension = Dimension::Bucket(Bucket::Week);
const MONTH: Dimension = Dimension::Bucket(Bucket::Month);

fn visit(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let (head, spans) = words.split_at(4);
    let [id, queue, time, outcome] = head[..] else { panic!("{line}") };
    let entered = if time.contains('T') { at(time) } else { at(&format!("2026-03-01T{time}Z")) };
    let ms = |secs: &str| (secs.parse::<f64>().unwrap() * 1_000.0).round() as i64;
    let wait = spans.first().map_or(0, |secs| ms(secs));
    let talk = spans.get(1).map(|spans| spans.split_once('+').unwrap());
    bench.publish(
        "queue_visits",
        json!({
            "visit_id": id, "call_id": id.split_once('#').unwrap().0, "pbx": id.split_once('/').unwrap().0, "queue": queue,
            "entered_at": entered, "left_at": entered + wait * 1_000, "outcome": outcome, "wait_ms": wait,
            "talk_ms": talk.map(|(talk, _)| ms(talk)), "hold_ms": talk.map(|(_, hold)| ms(hold)), "version": 1,
        }),
    );
}

fn with(lines: &[&str]) -> Bench {
    let bench = Bench::new();
    lines.iter().for_each(|line| visit(&bench, line));
    bench
}

async fn report(bench: &Bench, query: QueuesQuery) -> Value {
    let report = queues(&bench.engine, &query).await.unwrap_or_else(|e| panic!("{query:?}: {e:?}"));
    let names: Vec<_> = report.output.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, report.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    let rows = rows(&report.output);
    for row in rows.as_array().unwrap() {
        let outcomes: i64 = OUTCOMES_OF_VISITS.iter().map(|outcome| row[*outcome].as_i64().unwrap()).sum();
        assert_eq!(row["offered"], outcomes, "offered is the sum of the outcomes: {row}");
    }
    rows
}

fn by(dimensions: &[Dimension]) -> QueuesQuery {
    QueuesQuery { by: dimensions.to_vec(), ..QueuesQuery::default() }
}

/// Some columns of each row.
fn pick(rows: &Value, columns: &[&str]) -> Value {
    let row = |row: &Value| columns.iter().map(|c| row[*c].clone()).collect::<Vec<_>>();
    rows.as_array().unwrap().iter().map(|r| Value::from(row(r))).collect()
}

fn assert_near(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value} is not {expected}");
}

/// One visit of every outcome, and several of those that have limits.
const WORKED: [&str; 16] = [
    "p/01#1 sales 09:00:00 answered     0.000   60+0",
    "p/02#1 sales 09:01:00 answered    19.999  100+20",
    "p/03#1 sales 09:02:00 answered    20.000   30+0",
    "p/04#1 sales 09:03:00 answered    20.001   50+10",
    "p/05#1 sales 09:04:00 abandoned    4.999",
    "p/06#1 sales 09:05:00 abandoned    5.000",
    "p/07#1 sales 09:06:00 abandoned   40.000",
    "p/08#1 sales 09:07:00 timeout     60.000",
    "p/09#1 sales 09:08:00 key         10.000",
    "p/10#1 sales 09:09:00 callback    15.000",
    "p/11#1 sales 09:10:00 empty        2.000",
    "p/12#1 sales 09:11:00 withdrawn    1.000",
    "p/13#1 sales 09:12:00 transferred 20.000",
    "p/14#1 sales 09:13:00 lost         8.000",
    "p/15#1 sales 09:14:00 full         0.000",
    "p/16#1 sales 09:15:00 join_empty   0.000",
];

/// The waits of all but the two refused, in order, by their ranks from 0:
/// 0 · 1000 · 2000 · 4999 · 5000 · 8000 · 10000 | 15000 · 19999 · 20000 · 20000 · 20001 · 40000 · 60000; their sum is 225999.
#[tokio::test]
async fn every_metric_as_computed_by_hand() {
    let expected = [
        ("offered", json!(16)),
        ("waiting", json!(0)),
        ("answered", json!(4)),
        ("abandoned", json!(3)),
        ("timeout", json!(1)),
        ("key", json!(1)),
        ("callback", json!(1)),
        ("empty", json!(1)),
        ("withdrawn", json!(1)),
        ("transferred", json!(1)),
        ("lost", json!(1)),
        ("full", json!(1)),
        ("join_empty", json!(1)),
        ("short_abandons", json!(1)),  // 4.999
        ("answered_within", json!(3)), // 0, 19.999, 20.000
        ("removed_within", json!(10)), // these, 4.999, 5.000, key, callback, empty, withdrawn, transferred
        ("answer_rate_pct", json!(25.0)),
        ("abandon_rate_pct", json!(18.75)),
        ("service_level_answered_pct", json!(75.0)), // 3 / 4
        ("service_level_offered_pct", json!(20.0)),  // 3 / (16 − 1)
        ("service_level_removed_pct", json!(62.5)),  // 10 / 16
        ("wait_avg_ms", json!(16_143)),              // 225999 / 14 = 16142.8
        ("wait_p50_ms", json!(12_500)),              // rank 6.5: half way from 10000 to 15000
        ("wait_p90_ms", json!(34_000)),              // rank 11.7: 20001 + 0.7 × 19999 = 34000.3
        ("wait_p95_ms", json!(47_000)),              // rank 12.35: 40000 + 0.35 × 20000
        ("wait_max_ms", json!(60_000)),
        ("asa_ms", json!(15_000)),                // 60000 / 4
        ("wait_abandoned_avg_ms", json!(16_666)), // 49999 / 3 = 16666.3
        ("talk_ms", json!(240_000)),
        ("hold_ms", json!(30_000)),
        ("aht_ms", json!(67_500)), // 270000 / 4
    ];
    let bench = with(&WORKED);
    for query in [by(&[Dimension::Queue]), by(&[Dimension::Pbx]), by(&[])] {
        let rows = report(&bench, query.clone()).await;
        // Each call came once: the total has the same figures.
        assert_eq!(rows.as_array().unwrap().len(), if query.by.is_empty() { 1 } else { 2 });
        for row in rows.as_array().unwrap() {
            for (name, value) in &expected {
                assert_eq!(row[*name], *value, "{name} of {query:?}");
            }
            assert_eq!(row.as_object().unwrap().len(), expected.len() + query.by.len(), "each metric is in the table");
        }
    }
}

/// Who still waits was offered to nobody yet: they stand beside, and are in no other figure.
#[tokio::test]
async fn who_still_waits_stands_beside() {
    let lines = [&WORKED[..], &["p/17#1 sales 09:16:00 waiting 3.000", "p/08#2 sales 09:16:30 waiting 0.000"]].concat();
    let (before, after) = (report(&with(&WORKED), by(&[Dimension::Queue])).await, with(&lines));
    let after = report(&after, by(&[Dimension::Queue])).await;
    for (name, value) in before[0].as_object().unwrap() {
        assert_eq!(after[0][name], if name == "waiting" { json!(2) } else { value.clone() }, "{name}");
    }
    // The call that timed out waits again: as a call it is not over.
    assert_eq!(
        pick(&after, &["queue", "offered", "timeout", "waiting"]),
        json!([["sales", 16, 1, 2], ["total", 15, 0, 2]])
    );
}

#[tokio::test]
async fn other_limits_may_be_asked_for() {
    let query = QueuesQuery { within_s: 19, short_s: 41, ..QueuesQuery::default() };
    let rows = report(&with(&WORKED), query).await;
    let columns = ["answered_within", "removed_within", "short_abandons", "service_level_answered_pct"];
    // Answered: 0. Left: that, 4.999, 5.000, key, callback, empty, withdrawn. Short: all three abandons.
    assert_eq!(pick(&rows, &columns), json!([[1, 7, 3, 25.0]]));
    assert_near(&rows[0]["service_level_offered_pct"], 100.0 / 13.0);
}

#[tokio::test]
async fn the_service_levels_limit_is_included_and_that_of_short_abandons_is_not() {
    for (outcome, wait, metric, expected) in [
        ("answered", "19.999", "answered_within", 1),
        ("answered", "20.000", "answered_within", 1),
        ("answered", "20.001", "answered_within", 0),
        ("timeout", "19.999", "removed_within", 1),
        ("timeout", "20.000", "removed_within", 1),
        ("timeout", "20.001", "removed_within", 0),
        ("timeout", "0.000", "answered_within", 0),
        ("lost", "0.000", "removed_within", 0),
        ("full", "0.000", "removed_within", 0),
        ("join_empty", "0.000", "removed_within", 0),
        ("abandoned", "4.999", "short_abandons", 1),
        ("abandoned", "5.000", "short_abandons", 0),
        ("abandoned", "5.001", "short_abandons", 0),
        ("timeout", "4.999", "short_abandons", 0),
    ] {
        let bench = with(&[&format!("p/1#1 sales 09:00:00 {outcome} {wait}")]);
        let rows = report(&bench, QueuesQuery::default()).await;
        assert_eq!(rows[0][metric], expected, "{metric}: {outcome} after {wait} s");
    }
}

#[tokio::test]
async fn over_nothing_counts_are_zero_and_ratios_null() {
    let bench = Bench::new();
    let rows = report(&bench, by(&[])).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    for (name, value) in rows[0].as_object().unwrap() {
        let summed = ["talk_ms", "hold_ms"].contains(&name.as_str());
        let ratio = name.ends_with("_pct") || (name.ends_with("_ms") && !summed);
        assert_eq!(*value, if ratio { Value::Null } else { json!(0) }, "{name}");
    }
    let rows = report(&bench, by(&[Dimension::Queue, DAY])).await;
    assert_eq!(pick(&rows, &["queue", "day", "offered", "answer_rate_pct"]), json!([["total", null, 0, null]]));

    // Each ratio by its own zero: who was refused did not wait, and a queue of short abandons alone was offered nobody.
    let bench = with(&["p/1#1 closed 09:00:00 join_empty 0", "p/2#1 wrong 09:00:00 abandoned 1"]);
    let levels = ["service_level_answered_pct", "service_level_offered_pct", "service_level_removed_pct"];
    let columns =
        [&["queue", "answer_rate_pct"][..], &levels, &["wait_avg_ms", "wait_p95_ms", "asa_ms", "aht_ms"]].concat();
    assert_eq!(
        pick(&report(&bench, by(&[Dimension::Queue])).await, &columns),
        json!([
            ["closed", 0.0, null, 0.0, 0.0, null, null, null, null],
            ["wrong", 0.0, null, null, 100.0, 1_000, 1_000, null, null],
            ["total", 0.0, null, 0.0, 50.0, 1_000, 1_000, null, null],
        ])
    );
}

/// The calls as their callers knew them: the first got an agent after 65 s, the second after 10 s and gave up after a
/// transfer, the third gave up at once, the fourth after 62 s in two queues.
const SEVERAL: [&str; 8] = [
    "p/1#1 sales 09:50:00 timeout   60.000",
    "p/1#2 help  09:51:00 answered   5.000  30+0",
    "p/2#1 sales 09:52:00 answered  10.000 100+10",
    "p/2#2 help  09:54:00 abandoned  3.000",
    "p/3#1 sales 09:58:00 abandoned  4.000",
    "p/4#1 sales 09:58:00 timeout   30.000",
    "p/4#2 sales 09:59:00 timeout   30.000",
    "p/4#3 help  10:00:00 abandoned  2.000",
];

#[tokio::test]
async fn the_total_counts_a_call_once_that_came_to_several_queues() {
    let bench = with(&SEVERAL);
    let rows = report(&bench, by(&[Dimension::Queue])).await;
    let columns = ["queue", "offered", "answered", "abandoned", "timeout", "short_abandons", "answered_within"];
    assert_eq!(
        pick(&rows, &columns),
        json!([
            ["help", 3, 1, 2, 0, 2, 1],
            ["sales", 5, 1, 1, 3, 1, 1],
            // Answered: the first two; within 20 s: the second. Abandoned: the others; short: the third.
            ["total", 4, 2, 2, 0, 1, 1],
        ])
    );
    let columns = ["queue", "asa_ms", "wait_max_ms", "talk_ms", "hold_ms", "aht_ms"];
    assert_eq!(
        pick(&rows, &columns),
        json!([
            ["help", 5_000, 5_000, 30_000, 0, 30_000],
            ["sales", 10_000, 60_000, 100_000, 10_000, 110_000],
            // (65 + 10) / 2 s; talk and hold are those of all visits.
            ["total", 37_500, 65_000, 130_000, 10_000, 70_000],
        ])
    );
    // One within 20 s, of the three that did not give up at once.
    assert_near(&rows[2]["service_level_offered_pct"], 100.0 / 3.0);
    assert_eq!(pick(&report(&bench, by(&[])).await, &["offered", "answered"]), json!([[4, 2]]));
}

#[tokio::test]
async fn a_bucket_over_all_queues_counts_a_call_once_by_its_visits_there() {
    let rows = report(&with(&SEVERAL), by(&[HOUR])).await;
    assert_eq!(
        pick(&rows, &["hour", "offered", "answered", "abandoned", "timeout", "wait_max_ms"]),
        json!([
            // The fourth call was put out twice before ten, and gave up after.
            ["2026-03-01T09:00+00:00", 4, 2, 1, 1, 65_000],
            ["2026-03-01T10:00+00:00", 1, 0, 1, 0, 2_000],
            ["total", 4, 2, 2, 0, 65_000],
        ])
    );
    let rows = report(&with(&SEVERAL), by(&[HOUR, Dimension::Queue])).await;
    assert_eq!(
        pick(&rows, &["hour", "queue", "offered"]),
        json!([
            ["2026-03-01T09:00+00:00", "help", 2],
            ["2026-03-01T09:00+00:00", "sales", 5],
            ["2026-03-01T10:00+00:00", "help", 1],
            ["total", null, 4],
        ])
    );
}

#[tokio::test]
async fn the_range_takes_visits_by_when_they_entered() {
    let bench = with(&SEVERAL);
    for (from, to, expected) in [
        (Some("09:51:00"), None, json!([["help", 3], ["sales", 4], ["total", 4]])),
        (Some("09:51:00.000001"), Some("10:00:00"), json!([["help", 1], ["sales", 4], ["total", 3]])),
        (Some("10:00:00.000001"), None, json!([["total", 0]])),
    ] {
        let moment = |time: Option<&str>| time.map(|time| Micros(at(&format!("2026-03-01T{time}Z"))));
        let range = Range { from: moment(from), to: moment(to), ..Range::default() };
        let query = QueuesQuery { range, ..by(&[Dimension::Queue]) };
        assert_eq!(pick(&report(&bench, query).await, &["queue", "offered"]), expected, "{from:?} to {to:?}");
    }
}

async fn buckets(dimension: Dimension, times: &[&str]) -> Value {
    let bench = Bench::new();
    for (n, time) in times.iter().enumerate() {
        visit(&bench, &format!("p/{n}#1 sales {time} abandoned 1"));
    }
    let query = QueuesQuery { range: Range::all("Europe/Berlin", DayStart::default()), ..by(&[dimension]) };
    pick(&report(&bench, query).await, &[dimension.name(), "offered"])
}

#[tokio::test]
async fn hours_and_days_follow_the_zone_through_its_changes() {
    let times = ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"];
    let expected = json!([["2026-03-29T01:00+01:00", 1], ["2026-03-29T03:00+02:00", 1], ["total", 2]]);
    assert_eq!(buckets(HOUR, &times).await, expected, "two o'clock is not there");

    let times = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"];
    let expected = json!([["2026-10-25T02:00+01:00", 1], ["2026-10-25T02:00+02:00", 1], ["total", 2]]);
    assert_eq!(buckets(HOUR, &times).await, expected, "two o'clock comes twice");

    let times = ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"];
    let expected = json!([["2026-10-24", 1], ["2026-10-25", 2], ["2026-10-26", 1], ["total", 4]]);
    assert_eq!(buckets(DAY, &times).await, expected, "a day of 25 hours");
}

#[tokio::test]
async fn weeks_begin_on_monday_and_months_on_the_first_of_the_zone() {
    // The clock goes forward on the last Sunday of March, and back on that of October.
    for (times, expected) in [
        (["2026-03-22T22:59:59Z", "2026-03-22T23:00:00Z"], json!([["2026-03-16", 1], ["2026-03-23", 1], ["total", 2]])),
        (["2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"], json!([["2026-03-23", 1], ["2026-03-30", 1], ["total", 2]])),
        (["2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"], json!([["2026-10-19", 1], ["2026-10-26", 1], ["total", 2]])),
        (["2025-12-31T12:00:00Z", "2026-01-04T22:59:59Z"], json!([["2025-12-29", 2], ["total", 2]])),
    ] {
        assert_eq!(buckets(WEEK, &times).await, expected, "{times:?}");
    }
    for (times, expected) in [
        (["2026-02-28T22:59:59Z", "2026-02-28T23:00:00Z"], json!([["2026-02", 1], ["2026-03", 1], ["total", 2]])),
        (["2026-03-31T21:59:59Z", "2026-03-31T22:00:00Z"], json!([["2026-03", 1], ["2026-04", 1], ["total", 2]])),
        (["2026-12-31T22:59:59Z", "2026-12-31T23:00:00Z"], json!([["2026-12", 1], ["2027-01", 1], ["total", 2]])),
    ] {
        assert_eq!(buckets(MONTH, &times).await, expected, "{times:?}");
    }
}

/// At two in the morning of Sunday, 1 March, and of the Monday after it.
#[tokio::test]
async fn a_visit_of_the_night_shift_counts_for_the_day_on_which_it_began() {
    let bench = with(&["p/1#1 sales 2026-03-01T01:00:00Z abandoned 1", "p/2#1 sales 2026-03-02T01:00:00Z abandoned 1"]);
    let hours = json!([["2026-03-01T02:00+01:00", 1], ["2026-03-02T02:00+01:00", 1], ["total", 2]]);
    for (dimension, at_midnight, at_six) in [
        (HOUR, hours.clone(), hours),
        (
            DAY,
            json!([["2026-03-01", 1], ["2026-03-02", 1], ["total", 2]]),
            json!([["2026-02-28", 1], ["2026-03-01", 1], ["total", 2]]),
        ),
        (WEEK, json!([["2026-02-23", 1], ["2026-03-02", 1], ["total", 2]]), json!([["2026-02-23", 2], ["total", 2]])),
        (MONTH, json!([["2026-03", 2], ["total", 2]]), json!([["2026-02", 1], ["2026-03", 1], ["total", 2]])),
    ] {
        for (day_start, expected) in [("00:00", at_midnight), ("06:00", at_six)] {
            let range = Range::all("Europe/Berlin", day_start.parse().unwrap());
            let rows = report(&bench, QueuesQuery { range, ..by(&[dimension]) }).await;
            assert_eq!(pick(&rows, &[dimension.name(), "offered"]), expected, "{dimension:?} from {day_start} on");
        }
    }
}

#[tokio::test]
async fn an_unknown_zone_is_refused() {
    let range = Range::all("Mars/Olympus'; DROP", DayStart::default());
    let query = QueuesQuery { range, ..QueuesQuery::default() };
    let error = queues(&Bench::new().engine, &query).await.unwrap_err();
    assert!(error.to_string().contains("unknown time zone"));
}
