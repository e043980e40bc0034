//! Recorded agents of real Asterisk servers: sessions, pauses and talks against the queue's own log, to the second.
//!
//! The log of a capture says when each member came and left, paused, took a call and ended it. By AMI alone, by the files, and by all of
//! them the tables must say the same.

use std::path::Path;

use calltide_schemas::Micros;

use crate::captures::imported;
use crate::replay::{Row, Tables, rows};
use crate::truth::Mode;

/// How far apart both may be: the log has whole seconds.
const WITHIN_US: i64 = 1_000_000;

/// A line of the queue's log.
struct Line {
    at: Micros,
    call: String,
    queue: String,
    agent: String,
    event: String,
}

fn lines(folder: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(folder.join("queue_log")).unwrap();
    let line = |line: &str| {
        let mut fields = line.split('|').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        let at = Micros::from_secs(next().parse().unwrap());
        let (call, queue, agent, event) = (next(), next(), next(), next());
        Line { at, call, queue, agent, event }
    };
    text.lines().map(line).collect()
}

/// From when to when, and how it ended if that is told.
type Span = (Micros, Option<Micros>);

/// What begins with the one event and ends with the other, by queue and agent; a start of the PBX ends it, too, at a time that
/// the log does not know.
fn spans(lines: &[Line], begins: &str, ends: &str) -> Vec<(String, String, Span)> {
    let mut spans = Vec::new();
    for (nth, begin) in lines.iter().enumerate().filter(|(_, line)| line.event == begins) {
        let ends = |line: &&Line| {
            let same = line.event == ends && (&line.queue, &line.agent) == (&begin.queue, &begin.agent);
            same || line.event == "QUEUESTART"
                || (line.event == "REMOVEMEMBER" && line.agent == begin.agent && line.queue == begin.queue)
        };
        let end = lines[nth + 1..].iter().find(ends).filter(|line| line.event != "QUEUESTART");
        spans.push((begin.queue.clone(), begin.agent.clone(), (begin.at, end.map(|line| line.at))));
    }
    spans
}

fn time(row: &Row, column: &str) -> Option<Micros> {
    row[column].as_i64().map(Micros)
}

/// Whether two times are as near as they must be; where the log knows none, any will do.
fn near(told: Option<Micros>, logged: Option<Micros>) -> bool {
    match (told, logged) {
        (Some(told), Some(logged)) => (-WITHIN_US..2 * WITHIN_US).contains(&(told - logged)),
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

/// What differs from the queue's log.
fn differences(folder: &Path, mode: Mode, tables: &Tables) -> Vec<String> {
    let lines = lines(folder);
    let mut found = Vec::new();
    let sessions = rows(tables, "agent_sessions");
    let checkins: Vec<_> = sessions.iter().filter(|row| row["kind"] == "checkin").collect();
    let members = spans(&lines, "ADDMEMBER", "REMOVEMEMBER");
    for (queue, agent, (from, to)) in &members {
        let fits = |row: &&&&Row| {
            let who = row["queue"] == queue.as_str() && row["agent"] == agent.as_str();
            who && near(time(row, "started_at"), Some(*from)) && near(time(row, "ended_at"), *to)
        };
        if checkins.iter().filter(fits).count() != 1 {
            found.push(format!("{agent} in {queue} from {} to {to:?}", from.0));
        }
    }
    if checkins.len() != members.len() {
        found.push(format!("{} check-ins, {} in the log", checkins.len(), members.len()));
    }
    let states = rows(tables, "agent_intervals");
    for (queue, agent, (from, to)) in spans(&lines, "PAUSE", "UNPAUSE") {
        let Some(to) = to else { continue };
        let paused = |row: &&&Row| {
            let in_this_queue =
                row["state"] == "available" && row["queue"].as_str().is_some_and(|q| q.split(',').any(|q| q == queue));
            row["agent"] == agent.as_str() && (row["state"] == "paused" || row["while_paused"] == true || in_this_queue)
        };
        let within =
            |row: &&&Row| time(row, "started_at").unwrap() < to && time(row, "ended_at").is_none_or(|end| end > from);
        let of_pause: Vec<_> = states.iter().filter(paused).filter(within).collect();
        let first = of_pause.iter().filter_map(|row| time(row, "started_at")).min();
        let last = of_pause.iter().filter_map(|row| time(row, "ended_at")).max();
        if !near(first, Some(from)) || !near(last, Some(to)) {
            found.push(format!("{agent} paused in {queue} from {} to {}: told {first:?} {last:?}", from.0, to.0));
        }
    }
    found.extend(talks(&lines, &states, &unseen(folder, mode)));
    found
}

/// What the log tells of talks and is not so, or what AMI was not there to see: calls whose end is not compared, and times in
/// which nothing is.
struct Unseen {
    ends_of: Vec<String>,
    gaps: Vec<(Micros, Micros)>,
}

fn unseen(folder: &Path, mode: Mode) -> Unseen {
    let truth: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("truth.json")).unwrap()).unwrap();
    let mut unseen = Unseen { ends_of: Vec::new(), gaps: Vec::new() };
    for call in &truth {
        // The queue lost sight of a call whose Local channel went, which was redirected, or which the agent parked.
        let lost = ["redirected", "park-timeout"].contains(&call["scenario"].as_str().unwrap_or_default());
        if call["queue_log_early"] == true || lost {
            unseen.ends_of.push(call["linkedid"].as_str().unwrap().to_owned());
        }
        let gap = call["gap"].as_array().filter(|_| mode == Mode::Ami);
        let time = |value: &serde_json::Value| Micros((value.as_f64().unwrap() * 1e6) as i64);
        unseen.gaps.extend(gap.map(|gap| (time(&gap[0]), time(&gap[1]))));
    }
    unseen
}

/// Talks that differ from those of the log. An agent who goes on speaking in another call, as after a consultation, speaks on.
fn talks(lines: &[Line], states: &[&Row], unseen: &Unseen) -> Vec<String> {
    let mut found = Vec::new();
    for connect in lines.iter().filter(|line| line.event == "CONNECT") {
        let completes = |line: &&Line| {
            let ends = ["COMPLETEAGENT", "COMPLETECALLER", "BLINDTRANSFER", "ATTENDEDTRANSFER"].contains(&&*line.event);
            ends && (&line.call, &line.agent) == (&connect.call, &connect.agent) && line.at >= connect.at
        };
        let to = lines.iter().find(completes).filter(|_| !unseen.ends_of.contains(&connect.call)).map(|line| line.at);
        let in_gap = |at: Micros| unseen.gaps.iter().any(|gap| gap.0 <= at && at <= gap.1 + WITHIN_US);
        if in_gap(connect.at) || to.is_some_and(in_gap) {
            continue;
        }
        let mut spans: Vec<(Micros, Option<Micros>)> = states
            .iter()
            .filter(|row| {
                row["agent"] == connect.agent.as_str() && (row["state"] == "on_call" || row["state"] == "hold")
            })
            .map(|row| (time(row, "started_at").unwrap(), time(row, "ended_at")))
            .collect();
        spans.sort_unstable();
        let Some(first) = spans.iter().position(|span| near(Some(span.0), Some(connect.at))) else {
            found.push(format!("{} takes {} at {}: told {spans:?}", connect.agent, connect.call, connect.at.0));
            continue;
        };
        let mut end = spans[first].1;
        for span in &spans[first + 1..] {
            if end == Some(span.0) {
                end = span.1;
            }
        }
        if !near(end, to) {
            found.push(format!("{} ends {} at {to:?}: told {end:?}", connect.agent, connect.call));
        }
    }
    found
}

#[test]
fn sessions_pauses_and_talks_are_those_of_the_queues_log() {
    let mut problems = Vec::new();
    for (capture, pbx) in [
        ("asterisk-22.10", "site-a"),
        ("asterisk-16.28", "site-b"),
        ("asterisk-22-extra", "site-a"),
        ("asterisk-16-more", "site-b"),
        ("asterisk-22-hold", "site-a"),
        ("asterisk-16-kill", "site-b"),
        ("asterisk-22-kill-end", "site-a"),
        ("asterisk-16-gap", "site-b"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(capture);
        for mode in [Mode::Ami, Mode::Files, Mode::All] {
            let (tables, notes) = imported(&folder, pbx, mode).agents();
            assert_eq!(notes.get("law_violated"), None, "{capture} by {}", mode.name());
            let found = differences(&folder, mode, &tables);
            eprintln!("{capture} by {}: {} differences", mode.name(), found.len());
            problems.extend(found.into_iter().map(|what| format!("{capture} by {}: {what}", mode.name())));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
