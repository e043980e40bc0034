//! Who a row is about: persons by the directory, by periods, else as the PBX calls them; and of whom no login is known.

use calltide_query_api::reports::agents::{AgentsQuery, Dimension, agents};
use calltide_query_api::reports::{DayStart, Range};
use serde_json::json;

use super::{HOUR, by, interval, leg, login, pick, report};
use crate::bench::{Bench, at};

/// `p/SIP/101 anna blue 08:00:00 -`: who an agent or device of a PBX is, from when, until when.
fn name(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let [name, agent, team, since, until] = words[..] else { panic!("{line}") };
    let (pbx, name) = name.split_once('/').unwrap();
    let moment = |time: &str| at(&format!("2026-03-01T{time}Z"));
    bench.publish(
        "agent_names",
        json!({
            "name_id": format!("{pbx}/{name}@{since}"), "pbx": pbx, "name": name, "person": agent, "agent": agent,
            "team": (team != "-").then_some(team), "since_at": moment(since),
            "until_at": (until != "-").then(|| moment(until)), "version": 1,
        }),
    );
}

#[tokio::test]
async fn a_static_member_has_calls_and_no_login() {
    let bench = Bench::new();
    interval(&bench, "anna blue 09:00:00 10:00:00 available");
    interval(&bench, "bert blue 09:10:00 09:20:00 on_call static");
    interval(&bench, "bert blue 09:20:00 09:30:00 wrap_up static");
    leg(&bench, "1 bert 09:10:00 answered 600+0");
    let columns = [
        "agent",
        "login_ms",
        "pause_ms",
        "available_ms",
        "on_contact_ms",
        "occupancy_pct",
        "utilisation_pct",
        "availability_pct",
        "handled_per_hour",
        "talk_ms",
        "handled",
        "aht_ms",
    ];
    assert_eq!(
        pick(&report(&bench, &by(&[Dimension::Agent])).await, &columns),
        json!([
            ["anna", 3_600_000, 0, 3_600_000, 0, 0.0, 0.0, 100.0, 0.0, 0, 0, null],
            ["bert", null, null, null, null, null, null, null, null, 600_000, 1, 1_200_000],
            // What is known of logins is Anna's.
            ["total", 3_600_000, 0, 3_600_000, 0, 0.0, 0.0, 100.0, 1.0, 600_000, 1, 1_200_000],
        ])
    );
}

#[tokio::test]
async fn who_have_one_name_on_two_pbxs_are_told_apart_by_them() {
    let bench = Bench::new();
    for line in [
        "1 Agent/101 09:00:00 answered 60+0",
        "2 Agent/101 10:00:00 answered 60+0 pbx=q",
        "3 Agent/101 10:10:00 missed pbx=q",
        "4 Agent/102 10:20:00 answered 60+0",
    ] {
        leg(&bench, line);
    }
    let rows = report(&bench, &by(&[Dimension::Agent])).await;
    let expected = json!([["Agent/102", 1, 0], ["p/Agent/101", 1, 0], ["q/Agent/101", 1, 1], ["total", 3, 1]]);
    assert_eq!(pick(&rows, &["agent", "handled", "missed"]), expected);
    let rows = report(&bench, &by(&[HOUR, Dimension::Agent])).await;
    let agents: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["agent"].as_str()).collect();
    assert_eq!(agents, [Some("p/Agent/101"), Some("Agent/102"), Some("q/Agent/101"), None]);
}

#[tokio::test]
async fn a_phone_is_the_person_who_had_it_then() {
    let bench = Bench::new();
    name(&bench, "p/SIP/101 anna blue 08:00:00 10:00:00");
    name(&bench, "p/SIP/101 bert green 10:00:00 -");
    name(&bench, "p/Anna anna blue 08:00:00 -");
    name(&bench, "q/SIP/101 carl green 08:00:00 -");
    for line in [
        "0 SIP/101 07:59:59 answered 1+0",
        "1 SIP/101 08:00:00 answered 1+0",
        "2 SIP/101 09:59:59.999999 answered 1+0",
        "3 SIP/101 10:00:00 answered 1+0",
        "4 Anna 11:00:00 missed",
        "5 SIP/101 11:00:00 answered 1+0 pbx=q",
    ] {
        leg(&bench, line);
    }
    let rows = report(&bench, &by(&[Dimension::Agent])).await;
    let expected = json!([["SIP/101", 1, 0], ["anna", 2, 1], ["bert", 1, 0], ["carl", 1, 0], ["total", 5, 1]]);
    assert_eq!(pick(&rows, &["agent", "handled", "missed"]), expected);
    let rows = report(&bench, &by(&[Dimension::Team])).await;
    let expected = json!([["blue", 2, 1], ["green", 2, 0], [null, 1, 0], ["total", 5, 1]]);
    assert_eq!(pick(&rows, &["team", "handled", "missed"]), expected);
}

#[tokio::test]
async fn one_person_on_two_pbxs_is_one_row_and_two_of_one_name_are_two() {
    let bench = Bench::new();
    name(&bench, "p/100 anna blue 08:00:00 -");
    name(&bench, "q/200 anna blue 08:00:00 -");
    for line in [
        "1 100 09:00:00 answered 1+0",
        "2 200 09:00:00 answered 1+0 pbx=q",
        "3 eva 09:00:00 answered 1+0",
        "4 eva 09:00:00 missed pbx=q",
    ] {
        leg(&bench, line);
    }
    interval(&bench, "eva - 09:00:00 09:00:01 on_call person=q/eva static");
    let rows = report(&bench, &by(&[Dimension::Agent])).await;
    let expected = json!([["anna", 2, 0, 0], ["p/eva", 1, 0, 0], ["q/eva", 0, 1, 1_000], ["total", 3, 1, 1_000],]);
    assert_eq!(pick(&rows, &["agent", "handled", "missed", "talk_ms"]), expected);
    let rows = report(&bench, &by(&[Dimension::Pbx])).await;
    let expected = json!([["p", 2, 0], ["q", 1, 1], [null, 0, 0], ["total", 3, 1]]);
    assert_eq!(pick(&rows, &["pbx", "handled", "missed"]), expected);
}

#[tokio::test]
async fn a_team_is_what_it_was_when_the_interval_and_the_login_began() {
    let bench = Bench::new();
    interval(&bench, "anna blue 09:00:00 10:00:00 available");
    interval(&bench, "anna green 10:00:00 12:00:00 available");
    login(&bench, "anna blue 09:00:00 12:00:00");
    let rows = report(&bench, &by(&[Dimension::Team])).await;
    let expected = json!([["blue", 3_600_000, 1], ["green", 7_200_000, 0], ["total", 10_800_000, 1]]);
    assert_eq!(pick(&rows, &["team", "login_ms", "logins"]), expected);
}

#[tokio::test]
async fn a_name_that_looks_like_the_total_is_not_the_last_row() {
    let bench = Bench::new();
    interval(&bench, "total blue 09:00:00 10:00:00 available");
    interval(&bench, "zoe blue 09:00:00 10:00:00 available");
    let rows = report(&bench, &by(&[Dimension::Agent])).await;
    let expected = json!([["total", 3_600_000], ["zoe", 3_600_000], ["total", 7_200_000]]);
    assert_eq!(pick(&rows, &["agent", "login_ms"]), expected);
}

#[tokio::test]
async fn an_unknown_zone_is_refused() {
    let range = Range::all("Mars/Olympus'; DROP", DayStart::default());
    let query = AgentsQuery { range, ..AgentsQuery::default() };
    let error = agents(&Bench::new().engine, &query).await.unwrap_err();
    assert!(error.to_string().contains("unknown time zone"));
}
