//! The outcomes report: what is counted, in which bucket, and what the percentages are over.

use std::collections::BTreeMap;

use calltide_query_api::reports::outcomes::{Dimension, Direction, OutcomesQuery, outcomes};
use calltide_query_api::reports::{Bucket, DayStart, Range};
use calltide_schemas::Micros;
use calltide_schemas::metrics::{Basis, Statuses};
use calltide_schemas::status::Status;
use serde_json::{Value, json};

use crate::bench::{Bench, at, rows};

const HOUR: Dimension = Dimension::Bucket(Bucket::Hour);
const DAY: Dimension = Dimension::Bucket(Bucket::Day);

/// `09:00 spring/anna no_answer`: an outbound attempt of 2026-03-01, ended a minute later.
fn attempt(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split(' ').collect();
    let [time, who, status] = words[..] else { panic!("{line}") };
    let (campaign, contact) = who.split_once('/').unwrap();
    let status = Status::ALL.into_iter().find(|s| s.name() == status).unwrap();
    let started = at(&format!("2026-03-01T{time}:00Z"));
    let answered = status == Status::Answered;
    bench.publish(
        "attempts",
        json!({
            "call_id": format!("p/{time}"), "version": 1, "direction": "outbound", "campaign": campaign,
            "contact": if contact == "-" { Value::Null } else { json!(contact) },
            "status": status.name(), "class": status.class().name(), "dialled": status != Status::DoNotCall,
            "handled_by": if answered { "agent" } else { "nobody" }, "started_at": started,
            "ended_at": started + 60_000_000, "up_ms": answered.then_some(30_000), "talk_ms": answered.then_some(20_000),
        }),
    );
}

fn call(bench: &Bench, direction: &str, started: &str, status: Status) {
    bench.publish(
        "calls",
        json!({
            "call_id": format!("p/{direction}/{started}"), "version": 1, "direction": direction, "queue": "sales",
            "status": status.name(), "class": status.class().name(), "handled_by": "nobody", "dialled": true,
            "started_at": at(started), "ended_at": at(started), "wait_ms": 4_000,
        }),
    );
}

async fn report(bench: &Bench, query: OutcomesQuery) -> Value {
    let report = outcomes(&bench.engine, &query).await.unwrap_or_else(|e| panic!("{query:?}: {e:?}"));
    let names: Vec<_> = report.output.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, report.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    rows(&report.output)
}

/// Some columns of each row.
fn pick(rows: &Value, columns: &[&str]) -> Value {
    let row = |row: &Value| columns.iter().map(|c| row[*c].clone()).collect::<Vec<_>>();
    rows.as_array().unwrap().iter().map(|r| Value::from(row(r))).collect()
}

#[tokio::test]
async fn over_nothing_counts_are_zero_and_ratios_null() {
    let bench = Bench::new();
    let rows = report(&bench, OutcomesQuery::default()).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    for (name, value) in rows[0].as_object().unwrap() {
        let ratio = name.ends_with("_pct") || ["acd_ms", "wait_avg_ms"].contains(&name.as_str());
        assert_eq!(*value, if ratio { Value::Null } else { json!(0) }, "{name}");
    }
    let by = vec![Dimension::Campaign];
    let rows = report(&bench, OutcomesQuery { by, ..OutcomesQuery::default() }).await;
    assert_eq!(pick(&rows, &["campaign", "total", "connected_pct"]), json!([["total", 0, null]]));
}

#[tokio::test]
async fn attempts_by_campaign_with_disjoint_percentages_and_a_total() {
    let bench = Bench::new();
    for line in [
        "09:00 spring/anna no_answer",
        "09:10 spring/anna answered",
        "09:20 spring/bert congestion",
        "09:30 autumn/carl do_not_call",
        "09:40 autumn/dora answered",
    ] {
        attempt(&bench, line);
    }
    let query = OutcomesQuery { by: vec![Dimension::Campaign], ..OutcomesQuery::default() };
    let rows = report(&bench, query).await;
    let columns = ["campaign", "total", "connected", "unanswered", "failed", "dials", "reached", "talk_ms", "acd_ms"];
    assert_eq!(
        pick(&rows, &columns),
        json!([
            ["autumn", 2, 1, 0, 1, 1, 1, 20_000, 30_000],
            ["spring", 3, 1, 1, 1, 3, 1, 20_000, 30_000],
            ["total", 5, 2, 1, 2, 4, 2, 40_000, 30_000],
        ])
    );
    // The forbidden dial is in the percentages, not in the ratio of dials.
    assert_eq!(pick(&rows, &["connected_pct", "failed_pct", "asr_pct"])[0], json!([50.0, 50.0, 100.0]));
    for row in rows.as_array().unwrap() {
        let sum: f64 = ["connected_pct", "unanswered_pct", "failed_pct"].iter().map(|c| row[c].as_f64().unwrap()).sum();
        assert!((sum - 100.0).abs() < 1e-9, "{row}");
        let statuses: i64 = Status::ALL.iter().map(|s| row[s.name()].as_i64().unwrap()).sum();
        assert_eq!(statuses, row["total"].as_i64().unwrap());
    }
}

#[tokio::test]
async fn a_contact_counts_once_by_its_best_attempt_until_the_end_of_the_range() {
    let bench = Bench::new();
    for line in [
        "09:00 spring/anna congestion",
        "09:10 spring/anna no_answer",
        "09:20 spring/anna answered",
        "09:30 spring/bert answered",
        "09:40 spring/bert busy",
        "09:50 spring/carl invalid_number",
        "09:55 autumn/anna busy",
        "09:57 spring/- answered",
    ] {
        attempt(&bench, line);
    }
    call(&bench, "inbound", "2026-03-01T09:05:00Z", Status::Abandoned);
    let by = vec![Dimension::Direction];
    let query = OutcomesQuery { by, basis: Basis::Contact, ..OutcomesQuery::default() };
    let columns = ["direction", "total", "connected", "unanswered", "failed", "pending", "reached"];
    let rows = report(&bench, query.clone()).await;
    let expected = json!([["inbound", 1, 0, 1, 0, 0, 0], ["outbound", 4, 2, 1, 1, 0, 2], ["total", 5, 2, 2, 1, 0, 2]]);
    assert_eq!(pick(&rows, &columns), expected);

    // At 09:20 the third attempt is still going on; what began before the range counts all the same.
    let (from, to) = (Some(Micros(at("2026-03-01T09:05:00Z"))), Some(Micros(at("2026-03-01T09:20:30Z"))));
    let range = Range { from, to, ..Range::default() };
    let rows = report(&bench, OutcomesQuery { range, ..query }).await;
    let expected = json!([["inbound", 1, 0, 1, 0, 0, 0], ["outbound", 1, 0, 1, 0, 0, 0], ["total", 2, 0, 2, 0, 0, 0]]);
    assert_eq!(pick(&rows, &columns), expected);
}

/// By an agent, a queue or a PBX the best attempts are found in another way than without.
#[tokio::test]
async fn the_best_attempts_are_the_same_however_they_are_grouped() {
    let bench = Bench::new();
    for nth in 0..400 {
        let status = Status::ALL[nth * 7 % 13 % Status::ALL.len()].name();
        attempt(
            &bench,
            &format!("{:02}:{:02} campaign-{}/contact-{} {status}", nth / 60 + 9, nth % 60, nth % 3, nth % 70),
        );
    }
    for directions in [vec![], vec![Direction::Outbound]] {
        let ask = async |by: &[Dimension]| {
            let (by, directions) = (by.to_vec(), directions.clone());
            report(&bench, OutcomesQuery { by, directions, basis: Basis::Contact, ..OutcomesQuery::default() }).await
        };
        // The figures of each group, without the names of what it was grouped by beside.
        let figures = |rows: &Value, group: &str| {
            let mut sums: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
            for row in rows.as_array().unwrap() {
                let sums = sums.entry(row[group].to_string()).or_default();
                for (name, value) in row.as_object().unwrap() {
                    *sums.entry(name.clone()).or_default() += value.as_i64().unwrap_or_default();
                }
            }
            sums.values_mut().for_each(|sums| sums.retain(|name, _| name != "agent" && name != "pbx"));
            sums
        };
        for (by, group) in [(Dimension::Campaign, "campaign"), (HOUR, "hour"), (DAY, "day")] {
            let (quick, whole) = (ask(&[by]).await, ask(&[by, Dimension::Pbx, Dimension::Agent]).await);
            assert!(quick.as_array().unwrap().len() > 1, "{quick}");
            assert_eq!(figures(&quick, group), figures(&whole, group), "{group}");
        }
    }
}

#[tokio::test]
async fn internal_calls_are_counted_only_when_asked_for() {
    let bench = Bench::new();
    attempt(&bench, "09:00 spring/anna answered");
    call(&bench, "inbound", "2026-03-01T09:00:00Z", Status::Abandoned);
    call(&bench, "internal", "2026-03-01T09:00:00Z", Status::Answered);
    call(&bench, "outbound", "2026-03-01T09:00:00Z", Status::Answered);
    for (directions, total) in [
        (vec![], 2),
        (vec![Direction::Inbound], 1),
        (vec![Direction::Outbound], 1),
        (vec![Direction::Internal], 1),
        (Direction::ALL.to_vec(), 3),
    ] {
        let rows = report(&bench, OutcomesQuery { directions: directions.clone(), ..OutcomesQuery::default() }).await;
        assert_eq!(rows[0]["total"], total, "{directions:?}");
    }
}

#[tokio::test]
async fn nine_statuses_read_the_others_under_their_classic_names() {
    let bench = Bench::new();
    for (minute, status) in Status::ALL.into_iter().enumerate() {
        attempt(&bench, &format!("09:{minute:02} spring/anna {}", status.name()));
    }
    let rows = report(&bench, OutcomesQuery { statuses: Statuses::Classic, ..OutcomesQuery::default() }).await;
    let columns = ["total", "answered", "no_answer", "dialing_error", "rejected", "busy", "congestion"];
    assert_eq!(pick(&rows, &columns), json!([[14, 1, 5, 2, 1, null, null]]));
}

/// Calls at each of these instants, and the buckets they fall into.
async fn buckets(by: Dimension, tz: &str, times: &[&str]) -> Value {
    let bench = Bench::new();
    for time in times {
        call(&bench, "inbound", time, Status::Abandoned);
    }
    let range = Range::all(tz, DayStart::default());
    let query = OutcomesQuery { by: vec![by], range, ..OutcomesQuery::default() };
    let rows = report(&bench, query).await;
    pick(&rows, &[by.name(), "total"])
}

#[tokio::test]
async fn the_lost_hour_of_spring_is_no_bucket() {
    let times = ["2026-03-29T00:30:00Z", "2026-03-29T00:59:59.999999Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"];
    assert_eq!(
        buckets(HOUR, "Europe/Berlin", &times).await,
        json!([
            ["2026-03-29T01:00+01:00", 2],
            ["2026-03-29T03:00+02:00", 1],
            ["2026-03-29T04:00+02:00", 1],
            ["total", 4]
        ])
    );
}

#[tokio::test]
async fn the_hour_that_comes_twice_in_autumn_stays_two_buckets() {
    let times = [
        "2026-10-24T23:59:59Z",
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:59:59Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T02:00:00Z",
    ];
    assert_eq!(
        buckets(HOUR, "Europe/Berlin", &times).await,
        json!([
            ["2026-10-25T01:00+02:00", 1],
            ["2026-10-25T02:00+01:00", 1],
            ["2026-10-25T02:00+02:00", 2],
            ["2026-10-25T03:00+01:00", 1],
            ["total", 5],
        ])
    );
}

#[tokio::test]
async fn days_have_23_and_25_hours_where_the_clock_changes() {
    let spring = ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"];
    assert_eq!(
        buckets(DAY, "Europe/Berlin", &spring).await,
        json!([["2026-03-28", 1], ["2026-03-29", 2], ["2026-03-30", 1], ["total", 4]])
    );
    let autumn = ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"];
    assert_eq!(
        buckets(DAY, "Europe/Berlin", &autumn).await,
        json!([["2026-10-24", 1], ["2026-10-25", 2], ["2026-10-26", 1], ["total", 4]])
    );
}

#[tokio::test]
async fn hours_follow_zones_with_odd_offsets_and_half_hour_changes() {
    assert_eq!(
        buckets(HOUR, "Asia/Kathmandu", &["2026-03-01T00:14:59Z", "2026-03-01T00:15:00Z"]).await,
        json!([["2026-03-01T05:00+05:45", 1], ["2026-03-01T06:00+05:45", 1], ["total", 2]])
    );
    // On Lord Howe Island the clock goes from 02:00+11:00 back to 01:30+10:30.
    let times = ["2026-04-04T14:30:00Z", "2026-04-04T14:59:59Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"];
    assert_eq!(
        buckets(HOUR, "Australia/Lord_Howe", &times).await,
        json!([
            ["2026-04-05T01:00+10:30", 1],
            ["2026-04-05T01:00+11:00", 2],
            ["2026-04-05T02:00+10:30", 1],
            ["total", 4]
        ])
    );
}

/// At two, just before six, and at six in the morning of 2 March.
#[tokio::test]
async fn a_call_of_the_night_shift_counts_for_the_day_on_which_it_began() {
    let bench = Bench::new();
    for time in ["2026-03-02T01:00:00Z", "2026-03-02T04:59:59.999999Z", "2026-03-02T05:00:00Z"] {
        call(&bench, "inbound", time, Status::Abandoned);
    }
    let days = |day_start: &str| Range::all("Europe/Berlin", day_start.parse().unwrap());
    for (day_start, expected) in [
        ("00:00", json!([["2026-03-02", 3], ["total", 3]])),
        ("06:00", json!([["2026-03-01", 2], ["2026-03-02", 1], ["total", 3]])),
    ] {
        let query = OutcomesQuery { by: vec![DAY], range: days(day_start), ..OutcomesQuery::default() };
        assert_eq!(pick(&report(&bench, query).await, &["day", "total"]), expected, "{day_start}");
    }
    // A date of the range is its day, too.
    let range = days("06:00").between(Some("2026-03-01"), Some("2026-03-02")).unwrap();
    let rows = report(&bench, OutcomesQuery { range, ..OutcomesQuery::default() }).await;
    assert_eq!(rows[0]["total"], 2);
}

/// Who `p/100` is from then on, until then.
fn name(bench: &Bench, name: &str, agent: &str, since: &str, until: Option<&str>) {
    let (pbx, called) = name.split_once('/').unwrap();
    bench.publish(
        "agent_names",
        json!({
            "name_id": format!("{name}@{since}"), "pbx": pbx, "name": called, "person": agent, "agent": agent,
            "since_at": at(since), "until_at": until.map(at), "version": 1,
        }),
    );
}

/// A call in and an attempt out at that time, which nobody or an agent such as `p/100` took.
fn taken(bench: &Bench, agent: Option<&str>, started: &str) {
    let (pbx, called) = agent.map_or(("p", None), |agent| {
        let (pbx, called) = agent.split_once('/').unwrap();
        (pbx, Some(called))
    });
    let row = json!({
        "pbx": pbx, "agent": called, "queue": "sales", "status": "answered", "class": "connected", "dialled": true,
        "handled_by": "agent", "started_at": at(started), "ended_at": at(started) + 300_000_000, "version": 1,
    });
    for (table, direction) in [("calls", "inbound"), ("attempts", "outbound")] {
        let mut row = row.clone();
        row["call_id"] = json!(format!("{pbx}/{called:?}/{direction}/{started}"));
        row["direction"] = json!(direction);
        if table == "attempts" {
            row["campaign"] = json!("spring");
            row["contact"] = row["call_id"].clone();
        }
        bench.publish(table, row);
    }
}

/// A person whom two PBXs call differently is one row; two of one name on two PBXs are two, and told apart by them.
#[tokio::test]
async fn agents_are_called_as_the_directory_calls_them() {
    let bench = Bench::new();
    // Whose a name is begins with the first call that is offered to it, some time after that call began.
    name(&bench, "p/100", "anna", "2026-03-01T08:00:00Z", Some("2026-03-01T12:00:20Z"));
    name(&bench, "p/100", "bert", "2026-03-01T12:00:20Z", None);
    name(&bench, "q/200", "anna", "2026-03-01T08:00:00Z", None);
    for (agent, started) in [
        (Some("p/100"), "2026-03-01T09:00:00Z"),
        (Some("p/100"), "2026-03-01T12:00:00Z"),
        (Some("q/200"), "2026-03-01T09:00:00Z"),
        (Some("p/eva"), "2026-03-01T09:00:00Z"),
        (Some("q/eva"), "2026-03-01T09:00:00Z"),
        (None, "2026-03-01T09:00:00Z"),
    ] {
        taken(&bench, agent, started);
    }
    let expected = json!([["anna", 2], ["bert", 1], ["p/eva", 1], ["q/eva", 1], [null, 1], ["total", 6]]);
    for (directions, basis) in [
        (vec![Direction::Inbound], Basis::Attempt),
        (vec![Direction::Outbound], Basis::Attempt),
        (vec![Direction::Outbound], Basis::Contact),
    ] {
        let by = vec![Dimension::Agent];
        let query = OutcomesQuery { by, directions, basis, ..OutcomesQuery::default() };
        let rows = report(&bench, query.clone()).await;
        assert_eq!(pick(&rows, &["agent", "total"]), expected, "{query:?}");
        let rows = report(&bench, OutcomesQuery { by: vec![Dimension::Queue, Dimension::Agent], ..query }).await;
        assert_eq!(pick(&rows, &["queue", "agent", "total"])[0], json!(["sales", "anna", 2]));
        assert_eq!(pick(&rows, &["queue", "agent", "total"])[5], json!(["total", null, 6]));
    }
}

#[tokio::test]
async fn an_unknown_zone_is_refused() {
    let bench = Bench::new();
    let range = Range::all("Mars/Olympus'; DROP", DayStart::default());
    let query = OutcomesQuery { range, ..OutcomesQuery::default() };
    assert!(outcomes(&bench.engine, &query).await.unwrap_err().to_string().contains("unknown time zone"));
}
