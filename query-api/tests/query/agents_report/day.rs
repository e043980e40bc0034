//! One agent's three hours, every metric of which was computed by hand; the data dictionary tells them in words.

use calltide_query_api::reports::agents::{AgentsQuery, Dimension};
use serde_json::{Value, json};

use super::{DAY, HOUR, assert_sums_up, by, interval, leg, login, pick, report};
use crate::bench::{Bench, at};

/// From nine to twelve: 10800 s.
const STATES: [&str; 19] = [
    "anna blue 09:00:00 09:30:00 available",
    "anna blue 09:30:00 09:40:00 paused   reason=lunch",
    "anna blue 09:40:00 09:40:20 ringing  queue=sales",
    "anna blue 09:40:20 09:44:20 on_call  queue=sales",
    "anna blue 09:44:20 09:45:20 hold     queue=sales",
    "anna blue 09:45:20 09:46:20 on_call  queue=sales",
    "anna blue 09:46:20 09:47:20 wrap_up  queue=sales",
    "anna blue 09:47:20 10:50:00 available",
    "anna blue 10:50:00 10:50:10 ringing  queue=sales",
    "anna blue 10:50:10 11:00:00 available queue=help",
    "anna blue 11:00:00 11:00:05 ringing  queue=help",
    "anna blue 11:00:05 11:00:13 on_call  queue=help while_paused",
    "anna blue 11:00:13 11:00:43 wrap_up  queue=help",
    "anna blue 11:00:43 11:20:00 available",
    "anna blue 11:20:00 11:29:50 on_call",
    "anna blue 11:29:50 11:30:00 on_call",
    "anna blue 11:30:00 11:30:30 wrap_up",
    "anna blue 11:30:30 11:50:30 paused   reason=break",
    "anna blue 11:50:30 12:00:00 available",
];

/// Four answered, one missed, one refused, one that a colleague took.
const LEGS: [&str; 7] = [
    "1 anna 09:40:00 answered 300+60 queue=sales hangup_by=customer",
    "2 anna 10:50:00 missed queue=sales",
    "3 anna 11:00:00 answered 8+0 queue=help hangup_by=agent",
    "4 anna 11:10:00 refused queue=help",
    "5 anna 11:15:00 elsewhere queue=help",
    "6 anna 11:20:00 answered 590+0 direction=outbound hangup_by=agent",
    "7 anna 11:29:50 answered 10+0 direction=internal transferred",
];

fn worked() -> Bench {
    let bench = Bench::new();
    STATES.iter().for_each(|line| interval(&bench, line));
    LEGS.iter().for_each(|line| leg(&bench, line));
    login(&bench, "anna blue 09:00:00 12:00:00");
    bench.publish(
        "agent_names",
        json!({
            "name_id": "p/anna@0", "pbx": "p", "name": "anna", "person": "p/anna", "agent": "anna", "team": "blue",
            "since_at": 0, "version": 1,
        }),
    );
    bench
}

fn expected() -> Vec<(&'static str, Value)> {
    vec![
        ("logins", json!(1)),
        ("first_login_at", json!("2026-03-01T09:00:00.000000Z")),
        ("last_logout_at", json!("2026-03-01T12:00:00.000000Z")),
        ("login_ms", json!(10_800_000)),
        ("pause_ms", json!(1_800_000)), // 600 + 1200
        ("pauses", json!(2)),
        ("available_ms", json!(7_877_000)),  // 1800 + 3760 + 590 + 1157 + 570
        ("on_contact_ms", json!(1_088_000)), // 908 + 60 + 120
        ("ringing_ms", json!(35_000)),       // 20 + 10 + 5
        ("talk_ms", json!(908_000)),         // 240 + 60 + 8 + 590 + 10
        ("hold_ms", json!(60_000)),
        ("wrap_up_ms", json!(120_000)), // 60 + 30 + 30
        ("holds", json!(1)),
        ("occupancy_pct", json!(100.0 * 1_088.0 / 8_965.0)), // on contact / (on contact + 7877 idle)
        ("utilisation_pct", json!(100.0 * 1_088.0 / 10_800.0)),
        ("availability_pct", json!(100.0 * 9_000.0 / 10_800.0)),
        ("pause_pct", json!(100.0 * 1_800.0 / 10_800.0)),
        ("offers", json!(7)),
        ("handled", json!(4)),
        ("missed", json!(2)), // the missed and the refused, not the one that a colleague took
        ("answer_rate_pct", json!(400.0 / 7.0)),
        ("missed_pct", json!(200.0 / 7.0)),
        ("inbound", json!(2)),
        ("outbound", json!(1)),
        ("internal", json!(1)),
        ("handled_talk_ms", json!(908_000)), // 300 + 8 + 590 + 10
        ("handled_hold_ms", json!(60_000)),
        ("held", json!(1)),
        ("aht_ms", json!(272_000)),      // (908 + 60 + 120) / 4
        ("talk_avg_ms", json!(227_000)), // 908 / 4
        ("hold_avg_ms", json!(60_000)),  // 60 / 1
        ("transfers_out", json!(1)),
        ("transfer_rate_pct", json!(25.0)),
        ("hung_up_first", json!(2)),
        ("customer_hung_up_first", json!(1)),
        ("hung_up_first_pct", json!(200.0 / 3.0)), // of the call without a word of it nothing
        ("short", json!(1)),                       // the 8 s; 10 s are not short
        ("short_pct", json!(25.0)),
        ("handled_per_hour", json!(4.0 / 3.0)),
    ]
}

#[tokio::test]
async fn every_metric_as_computed_by_hand() {
    let bench = worked();
    for groups in [vec![], vec![Dimension::Agent], vec![Dimension::Team], vec![DAY, Dimension::Agent]] {
        let rows = report(&bench, &by(&groups)).await;
        // There is one agent of one team on one day: the total has the same figures.
        assert_eq!(rows.as_array().unwrap().len(), if groups.is_empty() { 1 } else { 2 }, "{groups:?}: {rows}");
        for row in rows.as_array().unwrap() {
            for (name, value) in &expected() {
                match value.as_f64().filter(|_| value.is_f64()) {
                    Some(near) => {
                        assert!((row[*name].as_f64().unwrap() - near).abs() < 1e-9, "{name}: {} {near}", row[*name]);
                    }
                    None => assert_eq!(row[*name], *value, "{name} by {groups:?}"),
                }
            }
            assert_eq!(row.as_object().unwrap().len(), expected().len() + groups.len(), "each metric is in the table");
        }
    }
}

#[tokio::test]
async fn a_day_by_hours_is_the_day() {
    let bench = worked();
    let columns = ["hour", "login_ms", "available_ms", "talk_ms", "pauses", "offers", "logins"];
    let rows = report(&bench, &by(&[HOUR])).await;
    assert_eq!(
        pick(&rows, &columns),
        json!([
            // 1800 and from 09:47:20 on; the call of 09:40.
            ["2026-03-01T09:00+00:00", 3_600_000, 2_560_000, 300_000, 1, 1, 1],
            ["2026-03-01T10:00+00:00", 3_600_000, 3_590_000, 0, 0, 1, 0],
            ["2026-03-01T11:00+00:00", 3_600_000, 1_727_000, 608_000, 1, 5, 0],
            // Who logs out at twelve does so in the hour that begins then.
            ["2026-03-01T12:00+00:00", null, null, 0, null, 0, 0],
            ["total", 10_800_000, 7_877_000, 908_000, 2, 7, 1],
        ])
    );
    assert_eq!(rows[3]["last_logout_at"], "2026-03-01T12:00:00.000000Z");
    for groups in [
        vec![HOUR],
        vec![Dimension::Agent, HOUR],
        vec![Dimension::Queue],
        vec![Dimension::Queue, HOUR],
        vec![Dimension::Reason],
    ] {
        assert_sums_up(&bench, &by(&groups)).await;
    }
}

#[tokio::test]
async fn breaks_are_told_by_their_reasons() {
    let rows = report(&worked(), &by(&[Dimension::Agent, Dimension::Reason])).await;
    assert_eq!(
        rows,
        json!([
            {"agent": "anna", "reason": "break", "pause_ms": 1_200_000, "pauses": 1},
            {"agent": "anna", "reason": "lunch", "pause_ms": 600_000, "pauses": 1},
            {"agent": "total", "reason": null, "pause_ms": 1_800_000, "pauses": 2},
        ])
    );
}

/// An available agent is paused in a queue, not busy for it, and a queue has no login.
#[tokio::test]
async fn by_queue_there_are_calls_and_no_logins() {
    let rows = report(&worked(), &by(&[Dimension::Queue])).await;
    assert_eq!(
        pick(&rows, &["queue", "talk_ms", "ringing_ms", "wrap_up_ms", "offers", "handled", "aht_ms"]),
        json!([
            ["help", 8_000, 5_000, 30_000, 3, 1, 38_000],
            ["sales", 300_000, 30_000, 60_000, 2, 1, 420_000],
            [null, 600_000, 0, 30_000, 2, 2, 315_000],
            ["total", 908_000, 35_000, 120_000, 7, 4, 272_000],
        ])
    );
    for lacking in ["login_ms", "available_ms", "occupancy_pct", "handled_per_hour", "logins"] {
        assert_eq!(rows[0].get(lacking), None, "{lacking}");
    }
}

#[tokio::test]
async fn another_limit_of_short_talks_may_be_asked_for() {
    for (short_s, expected) in [(0, 0), (8, 0), (9, 1), (10, 1), (11, 2), (591, 4)] {
        let rows = report(&worked(), &AgentsQuery { short_s, ..by(&[]) }).await;
        assert_eq!(rows[0]["short"], expected, "{short_s}");
    }
}

#[tokio::test]
async fn over_nothing_counts_are_zero_and_logins_and_ratios_unknown() {
    let bench = Bench::new();
    for (groups, total) in [(vec![], json!(null)), (vec![Dimension::Agent, HOUR], json!("total"))] {
        let rows = report(&bench, &by(&groups)).await;
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
        assert_eq!(rows[0].get("agent").cloned().unwrap_or_default(), total);
        let unknown = ["login_ms", "pause_ms", "pauses", "available_ms", "on_contact_ms"];
        for (name, value) in expected() {
            let null = unknown.contains(&name) || !value.is_i64() || name.contains("_avg_") || name == "aht_ms";
            assert_eq!(rows[0][name], if null { Value::Null } else { json!(0) }, "{name}");
        }
    }
}

/// Of the lake the same comes as of the log.
#[tokio::test]
async fn intervals_in_the_lake_count_like_those_in_the_log() {
    let bench = worked();
    let before = report(&bench, &by(&[Dimension::Agent, HOUR])).await;
    let lake = |state: &str, from: &str, to: &str| {
        json!({
            "interval_id": format!("p/anna@{}", at(from)), "person": "p/anna", "agent": "anna", "team": "blue",
            "session_id": "p/anna@login@@1", "state": state, "at_once": 1, "started_at": at(from), "ended_at": at(to),
            "version": 1,
        })
    };
    let rows = [
        lake("available", "2026-03-01T09:00:00Z", "2026-03-01T09:30:00Z"),
        json!({"reason": "lunch", "interval_id": format!("p/anna@{}", at("2026-03-01T09:30:00Z")), "person": "p/anna",
               "agent": "anna", "team": "blue", "session_id": "p/anna@login@@1", "state": "paused", "at_once": 1,
               "started_at": at("2026-03-01T09:30:00Z"), "ended_at": at("2026-03-01T09:40:00Z"), "version": 1}),
    ];
    bench.lake("agent_intervals").commit("2026-03-01", &rows, 2);
    assert_eq!(report(&bench, &by(&[Dimension::Agent, HOUR])).await, before);
}
