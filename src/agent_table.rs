//! The reports of agents and teams, and the present, for people: what they say in forty columns, in tables that fit a screen.
//!
//! The first has the time logged in and how it was spent, the second the calls, the third how they went. What the report leaves
//! out for its groups is left out here. The formulas are in `calltide_schemas::metrics::agents`.

use calltide_query_api::QueryOutput;
use calltide_query_api::format::{self, Format};
use calltide_query_api::reports::Report;
use calltide_query_api::reports::agents::AgentsQuery;
use calltide_query_api::reports::live::Live;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::errors::{Exit, Failure, Result};
use crate::report_table::{Column, Row, clock, drawn, groups, listed, number, percent, rows, seconds, share};

/// The tables; a sentence if nothing is counted.
pub(crate) fn tables(report: &Report, query: &AgentsQuery) -> Result<String> {
    let rows = rows(report)?;
    let counts = ["login_ms", "logins", "offers", "talk_ms", "hold_ms", "ringing_ms", "wrap_up_ms", "pause_ms"];
    if rows.iter().all(|row| counts.iter().all(|name| number(row, name) == 0)) {
        return Ok("no logins, pauses or calls of agents in this range\n".to_owned());
    }
    let groups = groups(report);
    let has = |name: &str| report.columns.iter().any(|column| column.name == name);
    if !has("offers") {
        return Ok(drawn(&rows, &groups, &pauses()));
    }
    let mut tables = Vec::new();
    if has("login_ms") {
        tables.push(drawn(&rows, &groups, &logins(&zone(&query.range.tz))));
    }
    tables.push(drawn(&rows, &groups, &states()));
    tables.push(drawn(&rows, &groups, &calls(query)));
    let mut text = tables.join("\n");
    if rows.iter().any(|row| row.get("login_ms").is_some_and(Value::is_null)) {
        text.push_str("\nNo login is known where a - stands: members from a PBX's configuration have none.\n");
    }
    Ok(text)
}

fn pauses() -> Vec<Column> {
    vec![
        Column::new("pauses", |row| number(row, "pauses").to_string()),
        Column::new("pause", |row| span(row, "pause_ms")),
    ]
}

fn logins(zone: &TimeZone) -> Vec<Column> {
    vec![
        moment("first login", "first_login_at", zone),
        moment("last logout", "last_logout_at", zone),
        Column::new("logins", |row| number(row, "logins").to_string()),
        Column::new("logged in", |row| span(row, "login_ms")),
        Column::new("paused", |row| format!("{} {:>7}", span(row, "pause_ms"), percent(row, "pause_pct"))),
        Column::new("idle", |row| span(row, "available_ms")),
        Column::new("occupancy", |row| percent(row, "occupancy_pct")),
        Column::new("utilisation", |row| percent(row, "utilisation_pct")),
        Column::new("calls/hour", |row| ratio(row, "handled_per_hour")),
    ]
}

fn states() -> Vec<Column> {
    vec![
        Column::new("ringing", |row| span(row, "ringing_ms")),
        Column::new("talk", |row| span(row, "talk_ms")),
        Column::new("hold", |row| span(row, "hold_ms")),
        Column::new("wrap-up", |row| span(row, "wrap_up_ms")),
        Column::new("handling", |row| seconds(row, "aht_ms")),
        Column::new("avg talk", |row| seconds(row, "talk_avg_ms")),
        Column::new("avg hold", |row| seconds(row, "hold_avg_ms")),
    ]
}

fn calls(query: &AgentsQuery) -> Vec<Column> {
    vec![
        Column::new("offers", |row| number(row, "offers").to_string()),
        Column::new("handled", |row| share(row, "handled", "answer_rate_pct")),
        Column::new("missed", |row| share(row, "missed", "missed_pct")),
        Column::new("in", |row| number(row, "inbound").to_string()),
        Column::new("out", |row| number(row, "outbound").to_string()),
        Column::new("internal", |row| number(row, "internal").to_string()),
        Column::new("transferred", |row| share(row, "transfers_out", "transfer_rate_pct")),
        Column::new("hung up first", |row| share(row, "hung_up_first", "hung_up_first_pct")),
        Column::new(&format!("<{} s", query.short_s), |row| share(row, "short", "short_pct")),
    ]
}

/// A time span; a line where it is not known.
fn span(row: &Row, name: &str) -> String {
    row.get(name).and_then(Value::as_i64).map_or_else(|| "-".to_owned(), clock)
}

fn ratio(row: &Row, name: &str) -> String {
    row.get(name).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// The zone of a report that was answered.
fn zone(tz: &str) -> TimeZone {
    TimeZone::get(tz).unwrap_or(TimeZone::UTC)
}

/// Times to the second, as the clocks of the zone showed them.
fn moment(title: &str, name: &'static str, zone: &TimeZone) -> Column {
    let zone = zone.clone();
    Column::new(title, move |row| {
        let at = row.get(name).and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        let local = at.map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string());
        local.unwrap_or_else(|| "-".to_owned())
    })
}

/// The present, as two tables.
pub(crate) fn present(live: &Live, tz: &str) -> Result<String> {
    let agents = listed(&rows_of(&live.agents)?, &["agent", "team"], &doing(&zone(tz)));
    let queues = listed(&rows_of(&live.queues)?, &["queue", "pbx"], &waiting());
    let (no_agents, no_queues) = (live.agents.rows() == 0, live.queues.rows() == 0);
    let agents = if no_agents { "no agent is known to do anything now\n".to_owned() } else { agents };
    Ok(if no_queues { agents } else { format!("{agents}\n{queues}") })
}

/// The present for programs.
pub(crate) fn present_json(live: &Live, at: &str) -> Result<String> {
    let (agents, queues) = (rows_of(&live.agents)?, rows_of(&live.queues)?);
    Ok(format!("{}\n", serde_json::json!({"at": at, "agents": agents, "queues": queues})))
}

fn rows_of(output: &QueryOutput) -> Result<Vec<Row>> {
    let unreadable = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "the answer cannot be shown").because(e);
    let json = format::write(output, Format::Json).map_err(|e| unreadable(&e))?;
    serde_json::from_slice(&json).map_err(|e| unreadable(&e))
}

fn doing(zone: &TimeZone) -> Vec<Column> {
    vec![
        Column::new("state", |row| {
            let paused = row.get("while_paused").and_then(Value::as_bool).unwrap_or_default();
            format!("{}{}", text(row, "state"), if paused { " (paused)" } else { "" })
        }),
        Column::new("for", |row| clock(number(row, "for_ms"))),
        moment("since", "since", zone),
        Column::new("reason", |row| text(row, "reason")),
        Column::new("queue", |row| text(row, "queue")),
        Column::new("call", |row| text(row, "call_id")),
    ]
}

fn waiting() -> Vec<Column> {
    vec![
        Column::new("waiting", |row| number(row, "waiting").to_string()),
        Column::new("longest", |row| span(row, "longest_wait_ms")),
        Column::new("agents", |row| number(row, "agents").to_string()),
        Column::new("available", |row| number(row, "available").to_string()),
        Column::new("on call", |row| number(row, "on_call").to_string()),
        Column::new("paused", |row| number(row, "paused").to_string()),
        Column::new("offered today", |row| number(row, "offered").to_string()),
        Column::new("answered", |row| number(row, "answered").to_string()),
        Column::new("abandoned", |row| number(row, "abandoned").to_string()),
        Column::new("service level", |row| percent(row, "service_level_offered_pct")),
    ]
}

/// A text from outside, without control characters.
fn text(row: &Row, name: &str) -> String {
    let text = row.get(name).and_then(Value::as_str).unwrap_or("-");
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
