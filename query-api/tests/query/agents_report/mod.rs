//! The reports of agents and teams: a worked day, spans that cross borders, and who counts as whom.
//!
//! What agents do, their parts in calls and their logins are lines, on 2026-03-01 (UTC) or at whole dates and times:
//! `anna blue 09:00:00 09:30:00 available` is a state of Anna of team blue, `-` an end that is not known. Words after it say more.

mod borders;
mod day;
mod who;

use calltide_query_api::reports::Bucket;
use calltide_query_api::reports::agents::{AgentsQuery, Dimension, agents};
use calltide_schemas::Micros;
use calltide_schemas::metrics::agents::{AGENTS, Over};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, at, rows};

const HOUR: Dimension = Dimension::Bucket(Bucket::Hour);
const DAY: Dimension = Dimension::Bucket(Bucket::Day);
const WEEK: Dimension = Dimension::Bucket(Bucket::Week);
const MONTH: Dimension = Dimension::Bucket(Bucket::Month);

/// A moment of the day, or a whole one.
fn moment(text: &str) -> i64 {
    if text.contains('T') { at(text) } else { at(&format!("2026-03-01T{text}Z")) }
}

/// What follows a line's first words: `queue=sales`, or a word alone.
fn more(words: &[&str], into: &mut Map<String, Value>) {
    for word in words {
        let (name, value) = word.split_once('=').map_or((*word, json!(true)), |(name, value)| (name, json!(value)));
        into.insert(name.to_owned(), value);
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// `anna blue 09:00:00 09:30:00 available`, and `static` of who is not logged in.
pub(super) fn interval(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let (head, rest) = words.split_at(5);
    let [agent, team, from, to, state] = head[..] else { panic!("{line}") };
    let (person, started) = (format!("p/{agent}"), moment(from));
    let mut row = object(&json!({
        "interval_id": format!("{person}@{started}"), "person": person, "agent": agent, "state": state, "at_once": 1,
        "team": (team != "-").then_some(team), "session_id": format!("{person}@login@@1"), "started_at": started,
        "ended_at": (to != "-").then(|| moment(to)), "version": 1,
    }));
    more(rest, &mut row);
    if row.remove("static").is_some() {
        row.insert("session_id".to_owned(), Value::Null);
    }
    bench.publish("agent_intervals", Value::Object(row));
}

/// `1 anna 09:00:00 answered 60+10`, with the seconds of talk and hold, if it was answered.
fn leg(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let (head, rest) = words.split_at(4);
    let [id, agent, offered, outcome] = head[..] else { panic!("{line}") };
    let spans = rest.first().and_then(|spans| spans.split_once('+'));
    let ms = |secs: &str| (secs.parse::<f64>().unwrap() * 1_000.0).round() as i64;
    let mut row = object(&json!({
        "leg_id": format!("p/{id}#1"), "call_id": format!("p/{id}"), "pbx": "p", "agent": agent,
        "offered_at": moment(offered), "outcome": outcome, "direction": "inbound", "version": 1,
        "talk_ms": spans.map(|(talk, _)| ms(talk)), "hold_ms": spans.map(|(_, hold)| ms(hold)),
    }));
    more(&rest[usize::from(spans.is_some())..], &mut row);
    bench.publish("legs", Value::Object(row));
}

/// `anna blue 09:00:00 12:00:00`
fn login(bench: &Bench, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let [agent, team, from, to] = words[..] else { panic!("{line}") };
    let (person, started) = (format!("p/{agent}"), moment(from));
    let left = (to != "-").then(|| moment(to));
    bench.publish(
        "agent_sessions",
        json!({
            "session_id": format!("{person}@login@@{started}"), "person": person, "agent": agent, "team": team,
            "kind": "login", "started_at": started, "logout_at": left, "ended_at": left, "version": 1,
        }),
    );
}

fn by(dimensions: &[Dimension]) -> AgentsQuery {
    // What goes on is counted up to a moment that is not ours.
    AgentsQuery { by: dimensions.to_vec(), now: Some(Micros(at("2027-01-01T00:00:00Z"))), ..AgentsQuery::default() }
}

async fn report(bench: &Bench, query: &AgentsQuery) -> Value {
    let report = agents(&bench.engine, query).await.unwrap_or_else(|e| panic!("{query:?}: {e:?}"));
    let names: Vec<_> = report.output.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, report.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    rows(&report.output)
}

/// Some columns of each row.
fn pick(rows: &Value, columns: &[&str]) -> Value {
    let row = |row: &Value| columns.iter().map(|c| row[*c].clone()).collect::<Vec<_>>();
    rows.as_array().unwrap().iter().map(|r| Value::from(row(r))).collect()
}

/// Every time and count of the rows sums up to that of the total, which is the same as without groups.
async fn assert_sums_up(bench: &Bench, query: &AgentsQuery) {
    let whole = report(bench, &AgentsQuery { by: Vec::new(), ..query.clone() }).await;
    let rows = report(bench, query).await;
    let (total, parts) = rows.as_array().unwrap().split_last().unwrap();
    assert!(!parts.is_empty(), "{query:?}");
    for of in AGENTS.iter().filter(|of| !matches!(of.over, Over::Row | Over::RowWithLogins)) {
        let name = of.metric.name;
        let Some(told) = total.get(name) else { continue };
        assert_eq!(*told, whole[0][name], "{name} of {query:?}");
        if told.is_i64() {
            let sum: i64 = parts.iter().filter_map(|row| row[name].as_i64()).sum();
            assert_eq!(*told, sum, "{name} of {query:?}");
        }
    }
}
