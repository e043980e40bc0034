//! The shifts of a day: what each agent did between the calls that were invented, in the tables `agent_sessions` and
//! `agent_intervals`.
//!
//! An agent is logged in from the first call to the last, and paused once. Of calls that overlap the later one begins when the
//! earlier ends, so that a shift has neither holes nor overlaps.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::rows::{Cell, PBX, TableRows, Told};
use crate::errors::Result;

/// Before the first call and after the last, and the pause after the first of them that is long enough ago.
const AROUND_US: i64 = 600_000_000;
const PAUSE_US: i64 = 900_000_000;
const RINGS_US: i64 = 5_000_000;
const WRAP_UP_US: i64 = 10_000_000;

/// An agent's part in a call.
struct Part {
    answered: i64,
    held: i64,
    ended: i64,
    call_id: String,
    queue: Option<String>,
}

/// The parts of a day, by agent.
#[derive(Default)]
pub(super) struct Shifts {
    parts: BTreeMap<String, Vec<Part>>,
}

/// One state of an agent.
struct State<'a> {
    name: &'static str,
    from: i64,
    to: i64,
    part: Option<&'a Part>,
}

impl Shifts {
    /// Takes note of who spoke.
    pub(super) fn note(&mut self, told: &Told<'_>) {
        let Some(agent) = &told.agent else { return };
        self.parts.entry(agent.clone()).or_default().push(Part {
            answered: told.served_at,
            held: told.ended_at - told.call.hold_ms * 1_000,
            ended: told.ended_at,
            call_id: told.call_id.clone(),
            queue: told.queue.clone(),
        });
    }

    /// The rows by table, some agents at a time.
    pub(super) fn finish(self, mut add: impl FnMut(Vec<(&'static str, RecordBatch)>) -> Result<()>) -> Result<()> {
        let agents: Vec<(String, Vec<Part>)> = self.parts.into_iter().collect();
        for some in agents.chunks(500) {
            let (mut sessions, mut intervals) = (TableRows::new("agent_sessions"), TableRows::new("agent_intervals"));
            for (agent, parts) in some {
                let mut parts: Vec<&Part> = parts.iter().collect();
                parts.sort_by_key(|part| part.answered);
                let (Some(first), Some(last)) = (parts.first(), parts.iter().map(|part| part.ended).max()) else {
                    continue;
                };
                let shift = (first.answered - AROUND_US, last + AROUND_US);
                // As who is not in the directory.
                let person = format!("{PBX}/{agent}");
                let session = format!("{person}@login@@{}", shift.0);
                let who = Who { person: &person, agent, session: &session };
                sessions.add(|name| who.of_session(name, shift));
                states(&parts, shift, &mut |state| {
                    let id = format!("{person}@{}", state.from);
                    intervals.add(|name| who.of_interval(name, &id, &state));
                });
            }
            add(vec![sessions.finish()?, intervals.finish()?])?;
        }
        Ok(())
    }
}

/// What an agent did, without holes or overlaps.
fn states<'a>(parts: &[&'a Part], (begin, end): (i64, i64), tell: &mut impl FnMut(State<'a>)) {
    let mut at = begin;
    let mut pause_left = PAUSE_US;
    let mut go = |at: &mut i64, name, to: i64, part| {
        if to > *at {
            tell(State { name, from: *at, to, part });
            *at = to;
        }
    };
    for (nth, part) in parts.iter().copied().enumerate() {
        let rings = part.answered - RINGS_US;
        if rings - at > 2 * PAUSE_US && pause_left > 0 && nth > 0 {
            let to = at + pause_left;
            go(&mut at, "paused", to, None);
            pause_left = 0;
        }
        go(&mut at, "available", rings, None);
        go(&mut at, "ringing", part.answered, Some(part));
        go(&mut at, "on_call", part.held, Some(part));
        go(&mut at, "hold", part.ended, Some(part));
        let next = parts.get(nth + 1).map_or(end, |next| next.answered - RINGS_US);
        let wrapped = (part.ended + WRAP_UP_US).min(next);
        go(&mut at, "wrap_up", wrapped, Some(part));
    }
    go(&mut at, "available", end, None);
}

/// An agent in a session.
#[derive(Clone, Copy)]
struct Who<'a> {
    person: &'a str,
    agent: &'a str,
    session: &'a str,
}

impl<'a> Who<'a> {
    fn of_session(self, name: &str, (from, to): (i64, i64)) -> Cell<'a> {
        match name {
            "session_id" => Cell::Text(self.session),
            "person" => Cell::Text(self.person),
            "agent" => Cell::Text(self.agent),
            "pbx" => Cell::Text(PBX),
            "kind" => Cell::Text("login"),
            "started_at" => Cell::Time(from),
            "logout_at" | "ended_at" | "updated_at" => Cell::Time(to),
            "ended_by" => Cell::Text("hand"),
            "version" => Cell::Int(1),
            _ => Cell::Nothing,
        }
    }

    fn of_interval(self, name: &str, id: &'a str, state: &State<'a>) -> Cell<'a> {
        match name {
            "interval_id" => Cell::Text(id),
            "person" => Cell::Text(self.person),
            "agent" => Cell::Text(self.agent),
            "pbx" => Cell::Text(PBX),
            "session_id" => Cell::Text(self.session),
            "state" => Cell::Text(state.name),
            "reason" if state.name == "paused" => Cell::Text("Lunch"),
            "queue" => state.part.and_then(|part| part.queue.as_deref()).into(),
            "call_id" => state.part.map(|part| &*part.call_id).into(),
            "while_paused" => Cell::Bool(false),
            "at_once" => Cell::Int(i64::from(matches!(state.name, "on_call" | "hold"))),
            "started_at" => Cell::Time(state.from),
            "ended_at" | "updated_at" => Cell::Time(state.to),
            "version" => Cell::Int(1),
            _ => Cell::Nothing,
        }
    }
}
