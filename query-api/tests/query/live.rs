//! The present: who does what, who waits where, and the day so far.

use calltide_query_api::reports::live::{LiveQuery, live};
use calltide_schemas::Micros;
use serde_json::{Value, json};

use crate::agents_report::interval;
use crate::bench::{Bench, at, rows};

fn noon() -> LiveQuery {
    LiveQuery::at(Micros(at("2026-03-01T12:00:00Z")))
}

async fn look(bench: &Bench, query: &LiveQuery) -> (Value, Value) {
    let live = live(&bench.engine, query).await.unwrap();
    (rows(&live.agents), rows(&live.queues))
}

fn visit(bench: &Bench, id: &str, queue: &str, entered: &str, outcome: &str, wait_ms: i64) {
    let entered = if entered.contains('T') { at(entered) } else { at(&format!("2026-03-01T{entered}Z")) };
    bench.publish(
        "queue_visits",
        json!({
            "visit_id": format!("p/{id}#1"), "call_id": format!("p/{id}"), "pbx": "p", "queue": queue,
            "entered_at": entered, "outcome": outcome, "wait_ms": wait_ms, "version": 1,
        }),
    );
}

fn check_in(bench: &Bench, agent: &str, queue: &str, ended: Option<&str>) {
    bench.publish(
        "agent_sessions",
        json!({
            "session_id": format!("p/{agent}@checkin@{queue}@1"), "person": format!("p/{agent}"), "agent": agent,
            "kind": "checkin", "pbx": "p", "queue": queue, "started_at": at("2026-03-01T08:00:00Z"),
            "ended_at": ended.map(at), "version": 1,
        }),
    );
}

#[tokio::test]
async fn each_agent_is_in_the_state_that_has_no_end() {
    let bench = Bench::new();
    interval(&bench, "anna blue 09:00:00 11:59:00 available");
    interval(&bench, "anna blue 11:59:00 - on_call queue=sales call_id=p/7 pbx=p while_paused");
    interval(&bench, "bert green 11:00:00 - paused reason=lunch");
    interval(&bench, "carl - 09:00:00 10:00:00 available");
    let (agents, queues) = look(&bench, &noon()).await;
    assert_eq!(
        agents,
        json!([
            {
                "agent": "anna", "person": "p/anna", "team": "blue", "state": "on_call", "while_paused": true,
                "since": "2026-03-01T11:59:00.000000Z", "for_ms": 60_000, "reason": null, "pbx": "p", "queue": "sales",
                "call_id": "p/7", "at_once": 1,
            },
            {
                "agent": "bert", "person": "p/bert", "team": "green", "state": "paused", "while_paused": false,
                "since": "2026-03-01T11:00:00.000000Z", "for_ms": 3_600_000, "reason": "lunch", "pbx": null,
                "queue": null, "call_id": null, "at_once": 1,
            },
        ])
    );
    assert_eq!(queues[0]["queue"], "sales");
}

#[tokio::test]
async fn a_queue_has_its_callers_its_agents_and_its_day() {
    let bench = Bench::new();
    visit(&bench, "1", "sales", "11:58:00", "waiting", 0);
    visit(&bench, "2", "sales", "11:59:30", "waiting", 0);
    visit(&bench, "3", "sales", "09:00:00", "answered", 20_000);
    visit(&bench, "4", "sales", "09:00:00", "answered", 20_001);
    visit(&bench, "5", "sales", "09:00:00", "abandoned", 30_000);
    visit(&bench, "6", "sales", "09:00:00", "abandoned", 4_999);
    visit(&bench, "7", "sales", "2026-02-28T23:59:59.999999Z", "answered", 0);
    // Nobody has waited for more than a day: its end was never told.
    visit(&bench, "8", "help", "2026-02-28T11:59:59Z", "waiting", 0);
    for (agent, queue) in [("anna", "sales"), ("bert", "sales"), ("carl", "sales"), ("dora", "sales"), ("dora", "help")]
    {
        check_in(&bench, agent, queue, None);
    }
    check_in(&bench, "emil", "sales", Some("2026-03-01T11:00:00Z"));
    interval(&bench, "anna blue 11:00:00 - available");
    interval(&bench, "bert blue 11:00:00 - hold queue=sales pbx=p");
    interval(&bench, "carl blue 11:00:00 - paused reason=lunch");
    // Paused in one of her queues.
    interval(&bench, "dora blue 11:00:00 - available queue=other,sales");
    interval(&bench, "emil blue 11:00:00 - available");
    // A static member, busy for the queue.
    interval(&bench, "fred blue 11:00:00 - ringing queue=sales pbx=p static");
    let (_, queues) = look(&bench, &noon()).await;
    let none = json!({
        "pbx": "p", "waiting": 0, "longest_wait_ms": null, "agents": 1, "available": 1, "ringing": 0, "on_call": 0,
        "wrap_up": 0, "paused": 0, "offered": 0, "answered": 0, "abandoned": 0, "service_level_answered_pct": null,
        "service_level_offered_pct": null, "service_level_removed_pct": null, "queue": "help",
    });
    let sales = json!({
        "pbx": "p", "waiting": 2, "longest_wait_ms": 120_000, "agents": 5, "available": 1, "ringing": 1, "on_call": 1,
        "wrap_up": 0, "paused": 2, "offered": 4, "answered": 2, "abandoned": 2, "queue": "sales",
        // Within 20 s: one of two answered; of four less the short one; and two of four left.
        "service_level_answered_pct": 50.0, "service_level_offered_pct": 100.0 / 3.0, "service_level_removed_pct": 50.0,
    });
    assert_eq!(queues, json!([none, sales]));
}

#[tokio::test]
async fn the_day_begins_at_midnight_of_the_zone_or_when_it_is_asked_to() {
    let bench = Bench::new();
    let entered = ["2026-02-28T22:59:59Z", "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z", "2026-03-01T05:00:00Z"];
    for (nth, entered) in entered.into_iter().enumerate() {
        visit(&bench, &nth.to_string(), "sales", entered, "answered", 0);
    }
    for (tz, day_start, expected) in [
        ("UTC", "00:00", 2),
        ("Europe/Berlin", "00:00", 3),
        ("America/New_York", "00:00", 1),
        ("Europe/Berlin", "06:00", 1),
        // At one in the afternoon the day of Berlin that begins at two is the one before.
        ("Europe/Berlin", "14:00", 4),
    ] {
        let query = LiveQuery { tz: tz.to_owned(), day_start: day_start.parse().unwrap(), ..noon() };
        assert_eq!(look(&bench, &query).await.1[0]["offered"], expected, "{tz}, {day_start}");
    }
    let query = LiveQuery { tz: "Mars/Olympus".to_owned(), ..noon() };
    assert!(live(&bench.engine, &query).await.unwrap_err().to_string().contains("unknown time zone"));
}

#[tokio::test]
async fn where_nothing_is_known_nothing_is_told() {
    assert_eq!(look(&Bench::new(), &noon()).await, (json!([]), json!([])));
}
