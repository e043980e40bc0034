//! Spans at the borders of hours, days, weeks, months and of the range, in several zones: nothing is lost, nothing counts twice.

use calltide_query_api::reports::agents::{AgentsQuery, Dimension};
use calltide_query_api::reports::{DayStart, Range};
use calltide_schemas::Micros;
use serde_json::{Value, json};

use super::{DAY, HOUR, MONTH, WEEK, assert_sums_up, by, interval, leg, login, pick, report};
use crate::bench::{Bench, at};

fn with(lines: &[&str]) -> Bench {
    let bench = Bench::new();
    lines.iter().for_each(|line| interval(&bench, line));
    bench
}

fn micros(text: &str) -> Option<Micros> {
    Some(Micros(at(text)))
}

async fn seconds(bench: &Bench, dimension: Dimension, query: AgentsQuery) -> Value {
    let query = AgentsQuery { by: vec![dimension], ..query };
    assert_sums_up(bench, &query).await;
    let rows = pick(&report(bench, &query).await, &[dimension.name(), "login_ms"]);
    let row = |row: &Value| json!([row[0], row[1].as_i64().map(|ms| ms / 1_000)]);
    rows.as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn a_span_over_the_hour_gives_each_hour_its_part() {
    let bench = with(&["anna blue 09:50:00 10:10:00 available"]);
    let expected = json!([["2026-03-01T09:00+00:00", 600], ["2026-03-01T10:00+00:00", 600], ["total", 1_200]]);
    assert_eq!(seconds(&bench, HOUR, by(&[])).await, expected);
    // What ends with the hour has nothing of the next one, and the other way round.
    let bench = with(&["anna blue 09:00:00 10:00:00 available", "anna blue 10:00:00 11:00:00 paused"]);
    let expected = json!([["2026-03-01T09:00+00:00", 3_600], ["2026-03-01T10:00+00:00", 3_600], ["total", 7_200]]);
    assert_eq!(seconds(&bench, HOUR, by(&[])).await, expected);
    let rows = report(&bench, &by(&[HOUR])).await;
    let paused = json!([[0, 3_600_000, 0], [3_600_000, 0, 1], [3_600_000, 3_600_000, 1]]);
    assert_eq!(pick(&rows, &["pause_ms", "available_ms", "pauses"]), paused);
}

#[tokio::test]
async fn spans_follow_the_zone_through_its_changes_and_over_midnight() {
    let berlin = || AgentsQuery { range: Range::all("Europe/Berlin", DayStart::default()), ..by(&[]) };
    // Two o'clock is not there.
    let bench = with(&["anna blue 2026-03-29T00:30:00Z 2026-03-29T01:30:00Z available"]);
    let expected = json!([["2026-03-29T01:00+01:00", 1_800], ["2026-03-29T03:00+02:00", 1_800], ["total", 3_600]]);
    assert_eq!(seconds(&bench, HOUR, berlin()).await, expected);
    // It comes twice.
    let bench = with(&["anna blue 2026-10-24T23:45:00Z 2026-10-25T02:15:00Z available"]);
    let expected = json!([
        ["2026-10-25T01:00+02:00", 900],
        ["2026-10-25T02:00+01:00", 3_600],
        ["2026-10-25T02:00+02:00", 3_600],
        ["2026-10-25T03:00+01:00", 900],
        ["total", 9_000],
    ]);
    assert_eq!(seconds(&bench, HOUR, berlin()).await, expected);
    // Days of 23 and of 25 hours, each from midnight to midnight there.
    for (from, to, expected) in [
        (
            "2026-03-28T22:00:00Z",
            "2026-03-29T23:00:00Z",
            json!([["2026-03-28", 3_600], ["2026-03-29", 82_800], ["2026-03-30", 3_600], ["total", 90_000]]),
        ),
        (
            "2026-10-24T21:00:00Z",
            "2026-10-26T00:00:00Z",
            json!([["2026-10-24", 3_600], ["2026-10-25", 90_000], ["2026-10-26", 3_600], ["total", 97_200]]),
        ),
    ] {
        let bench = with(&[&format!("anna blue {from} {to} available")]);
        assert_eq!(seconds(&bench, DAY, berlin()).await, expected, "{from}");
    }
    // A quarter before the hour in UTC is the hour in Kathmandu.
    let bench = with(&["anna blue 09:00:00 09:30:00 available"]);
    let query = AgentsQuery { range: Range::all("Asia/Kathmandu", DayStart::default()), ..by(&[]) };
    let expected = json!([["2026-03-01T14:00+05:45", 900], ["2026-03-01T15:00+05:45", 900], ["total", 1_800]]);
    assert_eq!(seconds(&bench, HOUR, query).await, expected);
}

#[tokio::test]
async fn weeks_and_months_are_cut_where_they_end_there() {
    let berlin = AgentsQuery { range: Range::all("Europe/Berlin", DayStart::default()), ..by(&[]) };
    // From Monday, 30 March, to Wednesday, 1 April, midnight: the same week, two months; summer time since Sunday.
    let bench = with(&["anna blue 2026-03-29T21:00:00Z 2026-04-01T22:00:00Z available"]);
    let expected = json!([["2026-03-23", 3_600], ["2026-03-30", 259_200], ["total", 262_800]]);
    assert_eq!(seconds(&bench, WEEK, berlin.clone()).await, expected);
    let expected = json!([["2026-03", 176_400], ["2026-04", 86_400], ["total", 262_800]]);
    assert_eq!(seconds(&bench, MONTH, berlin.clone()).await, expected);
    let both = AgentsQuery { by: vec![WEEK, MONTH], ..berlin };
    assert_eq!(
        pick(&report(&bench, &both).await, &["week", "month", "login_ms"]),
        json!([
            ["2026-03-23", "2026-03", 3_600_000],
            ["2026-03-30", "2026-03", 172_800_000],
            ["2026-03-30", "2026-04", 86_400_000],
            ["total", null, 262_800_000],
        ])
    );
}

/// From ten in the evening of Sunday, 1 March, to six in the morning, with a call at two.
#[tokio::test]
async fn a_night_shift_is_of_the_day_on_which_it_began() {
    let bench = with(&["anna blue 2026-03-01T21:00:00Z 2026-03-02T05:00:00Z available"]);
    leg(&bench, "1 anna 2026-03-02T01:00:00Z answered 60+0");
    let told = async |day_start: &str, dimension: Dimension| {
        let range = Range::all("Europe/Berlin", day_start.parse().unwrap());
        let query = AgentsQuery { range, ..by(&[dimension]) };
        assert_sums_up(&bench, &query).await;
        pick(&report(&bench, &query).await, &[dimension.name(), "login_ms", "handled"])
    };
    let whole = |name: &str| json!([[name, 28_800_000, 1], ["total", 28_800_000, 1]]);
    assert_eq!(told("06:00", DAY).await, whole("2026-03-01"));
    assert_eq!(told("06:00", WEEK).await, whole("2026-02-23"));
    assert_eq!(told("06:00", MONTH).await, whole("2026-03"));
    let expected = json!([["2026-03-01", 7_200_000, 0], ["2026-03-02", 21_600_000, 1], ["total", 28_800_000, 1]]);
    assert_eq!(told("00:00", DAY).await, expected);
    // The range begins and ends with days.
    let range = Range::all("Europe/Berlin", "06:00".parse().unwrap());
    let range = range.between(Some("2026-03-01"), Some("2026-03-02")).unwrap();
    assert_eq!(report(&bench, &AgentsQuery { range, ..by(&[]) }).await[0]["login_ms"], 28_800_000);
}

/// Days that begin at half past two, which is not there on 29 March and comes twice on 25 October.
#[tokio::test]
async fn days_that_begin_where_the_clock_changes_are_whole() {
    let berlin = || AgentsQuery { range: Range::all("Europe/Berlin", "02:30".parse().unwrap()), ..by(&[]) };
    for (from, to, expected) in [
        (
            "2026-03-28T00:00:00Z",
            "2026-03-30T02:00:00Z",
            json!([
                ["2026-03-27", 5_400],
                ["2026-03-28", 86_400],
                ["2026-03-29", 82_800],
                ["2026-03-30", 5_400],
                ["total", 180_000],
            ]),
        ),
        (
            "2026-10-24T00:00:00Z",
            "2026-10-26T02:00:00Z",
            json!([
                ["2026-10-23", 1_800],
                ["2026-10-24", 86_400],
                ["2026-10-25", 90_000],
                ["2026-10-26", 1_800],
                ["total", 180_000],
            ]),
        ),
    ] {
        let bench = with(&[&format!("anna blue {from} {to} available")]);
        assert_eq!(seconds(&bench, DAY, berlin()).await, expected, "{from}");
    }
    // An hour in which a day begins is of both days.
    let bench = with(&["anna blue 2026-10-25T00:00:00Z 2026-10-25T01:00:00Z available"]);
    let expected = json!([["2026-10-25T02:00+02:00", 3_600], ["total", 3_600]]);
    assert_eq!(seconds(&bench, HOUR, berlin()).await, expected);
    let both = AgentsQuery { by: vec![HOUR, DAY], ..berlin() };
    assert_eq!(
        pick(&report(&bench, &both).await, &["hour", "day", "login_ms"]),
        json!([
            ["2026-10-25T02:00+02:00", "2026-10-24", 1_800_000],
            ["2026-10-25T02:00+02:00", "2026-10-25", 1_800_000],
            ["total", null, 3_600_000],
        ])
    );
}

/// An agent who logs in on Friday evening and out on Monday morning, with a call that goes over each midnight, in every zone and
/// by all that there is.
#[tokio::test]
async fn whatever_is_asked_for_the_parts_are_the_whole() {
    let bench = with(&[
        "anna blue 2026-03-27T20:00:00Z 2026-03-27T22:59:59.9995Z available",
        "anna blue 2026-03-27T22:59:59.9995Z 2026-03-27T23:00:00.0005Z ringing queue=sales",
        "anna blue 2026-03-27T23:00:00.0005Z 2026-03-28T00:10:00Z on_call queue=sales",
        "anna blue 2026-03-28T00:10:00Z 2026-03-29T00:59:00Z paused reason=sleep",
        "anna blue 2026-03-29T00:59:00Z 2026-03-29T01:01:00Z on_call queue=help while_paused",
        "anna blue 2026-03-29T01:01:00Z 2026-03-30T06:00:00Z available",
        "bert green 2026-03-28T23:59:59.999999Z 2026-03-29T00:00:00.000001Z hold static",
        "bert green 2026-03-29T00:00:00.000001Z - on_call static",
    ]);
    for line in ["1 anna 2026-03-27T22:59:59.9995Z answered 4200+0", "2 bert 2026-03-28T23:59:59.999999Z answered 9+9"]
    {
        leg(&bench, line);
    }
    login(&bench, "anna blue 2026-03-27T20:00:00Z 2026-03-30T06:00:00Z");
    for (tz, day_start) in [
        ("UTC", "00:00"),
        ("Europe/Berlin", "00:00"),
        ("Europe/Berlin", "02:30"),
        ("America/St_Johns", "06:00"),
        ("Australia/Lord_Howe", "00:00"),
        ("Pacific/Apia", "23:59"),
    ] {
        for groups in [
            &[HOUR][..],
            &[DAY],
            &[WEEK, MONTH],
            &[Dimension::Agent, HOUR],
            &[Dimension::Team, DAY],
            &[Dimension::Queue, MONTH],
            &[HOUR, DAY, WEEK],
        ] {
            let range = Range::all(tz, day_start.parse().unwrap());
            let query = AgentsQuery { range: range.clone(), now: micros("2026-03-30T07:00:00Z"), ..by(groups) };
            assert_sums_up(&bench, &query).await;
            // Half an interval at each end.
            let (from, to) = (micros("2026-03-28T00:00:00.0004Z"), micros("2026-03-29T00:59:59.9999Z"));
            assert_sums_up(&bench, &AgentsQuery { range: Range { from, to, ..range }, ..query }).await;
        }
    }
    // The whole is what the clock says: 58 hours of login, and states without a hole.
    let rows = report(&bench, &AgentsQuery { now: micros("2026-03-30T07:00:00Z"), ..by(&[Dimension::Agent]) }).await;
    assert_eq!(rows[0]["login_ms"], 58 * 3_600_000);
    let states = ["available_ms", "pause_ms", "ringing_ms", "talk_ms", "hold_ms", "wrap_up_ms"];
    let sum: i64 = states.iter().map(|name| rows[0][*name].as_i64().unwrap()).sum();
    assert_eq!(rows[0]["login_ms"], sum);
}

#[tokio::test]
async fn the_range_cuts_what_goes_beyond_it() {
    let lines = ["anna blue 09:00:00 10:00:00 paused", "anna blue 10:00:00 - available"];
    let bench = with(&lines);
    let day = |time: &str| micros(&format!("2026-03-01T{time}Z"));
    // What began before is no pause that began; what goes on ends with the range, or at the present moment.
    for (from, to, now, expected) in [
        (None, None, "12:00:00", json!([10_800_000, 3_600_000, 1, 7_200_000])),
        (day("09:30:00"), None, "12:00:00", json!([9_000_000, 1_800_000, 0, 7_200_000])),
        (day("09:00:00"), day("10:30:00"), "12:00:00", json!([5_400_000, 3_600_000, 1, 1_800_000])),
        (None, day("12:30:00"), "12:00:00", json!([10_800_000, 3_600_000, 1, 7_200_000])),
        (day("08:00:00"), day("09:00:00"), "12:00:00", json!([null, null, null, null])),
        (day("10:00:00"), day("10:00:01"), "12:00:00", json!([1_000, 0, 0, 1_000])),
        (None, None, "09:59:00", json!([3_600_000, 3_600_000, 1, 0])),
        (day("12:00:00"), None, "12:00:00", json!([null, null, null, null])),
    ] {
        let range = Range { from, to, ..Range::default() };
        let query = AgentsQuery { range, now: day(now), ..by(&[]) };
        let rows = report(&bench, &query).await;
        let told = pick(&rows, &["login_ms", "pause_ms", "pauses", "available_ms"]);
        assert_eq!(told[0], expected, "{from:?} {to:?} {now}");
    }
}

#[tokio::test]
async fn an_interval_of_days_before_counts_from_the_lake_too() {
    let bench = Bench::new();
    let row = json!({
        "interval_id": "p/anna@1", "person": "p/anna", "agent": "anna", "session_id": "p/anna@login@@1", "state": "available",
        "at_once": 1, "started_at": at("2026-02-27T08:00:00Z"), "ended_at": at("2026-03-01T08:00:00Z"), "version": 1,
    });
    bench.publish("agent_intervals", row.clone());
    bench.lake("agent_intervals").commit("2026-02-27", &[row], 1);
    let range = Range::default().between(Some("2026-03-01"), Some("2026-03-02")).unwrap();
    let query = AgentsQuery { range, ..by(&[]) };
    assert_eq!(report(&bench, &query).await[0]["login_ms"], 8 * 3_600_000);
}

#[tokio::test]
async fn calls_count_where_they_were_offered_and_logins_where_they_began() {
    let bench = Bench::new();
    leg(&bench, "1 anna 09:59:59.999 answered 1800+0");
    leg(&bench, "2 anna 10:00:00 missed");
    login(&bench, "anna blue 08:00:00 10:30:00");
    login(&bench, "anna blue 10:45:00 -");
    let rows = report(&bench, &by(&[HOUR])).await;
    let columns = ["hour", "handled", "missed", "aht_ms", "logins", "first_login_at", "last_logout_at"];
    let [eight, half, quarter] = ["08:00", "10:30", "10:45"].map(|time| format!("2026-03-01T{time}:00.000000Z"));
    assert_eq!(
        pick(&rows, &columns),
        json!([
            ["2026-03-01T08:00+00:00", 0, 0, null, 1, eight, null],
            ["2026-03-01T09:00+00:00", 1, 0, 1_800_000, 0, null, null],
            ["2026-03-01T10:00+00:00", 0, 1, null, 1, quarter, half],
            ["total", 1, 1, 1_800_000, 2, eight, half],
        ])
    );
}
