//! What must hold whatever is told: generated histories of terminals, members, pauses, calls and restarts of a PBX.
//!
//! A plain model steps through the history and says for every second what the agent does; the rows must say the same, and the
//! states of each login must sum up to it without holes or overlaps.

use calltide_schemas::Micros;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::Value;

use super::site::{Site, Way};
use super::story::{line, moment};

const SECOND: i64 = 1_000_000;
const WRAP_UP_S: i64 = 15;

/// What the model knows of the agent, in the words of the field.
#[derive(Debug, Default, Clone)]
struct Model {
    terminals: [bool; 2],
    /// Logged out during a call that still goes on.
    lingers: bool,
    in_queue: [bool; 2],
    paused: [bool; 2],
    /// `rings`, `talks`, `holds`.
    call: Option<&'static str>,
    calls: u32,
    was_answered: bool,
    wrap_up_until: Micros,
}

impl Model {
    /// The state at that moment; none if there is none.
    fn state(&self, at: Micros) -> Option<&'static str> {
        match self.call {
            Some("talks") => return Some("on_call"),
            Some("holds") => return Some("hold"),
            Some(_) => return Some("ringing"),
            None => {}
        }
        if at < self.wrap_up_until {
            return Some("wrap_up");
        }
        if !self.is_logged_in() {
            return None;
        }
        let queues = [0, 1].into_iter().filter(|&queue| self.in_queue[queue]);
        let (mut any, mut all) = (false, true);
        for queue in queues {
            any = true;
            all &= self.paused[queue];
        }
        Some(if any && all { "paused" } else { "available" })
    }

    fn is_logged_in(&self) -> bool {
        self.terminals.contains(&true) || self.lingers
    }

    /// Does one thing at a moment, if it can be done; returns it as a line of a story.
    fn act(&mut self, what: u8, at: Micros) -> Option<String> {
        const QUEUES: [&str; 2] = ["sales", "support"];
        let nth = usize::from(what % 2);
        let (queue, desk) = (QUEUES[nth], ["desk-1", "desk-2"][nth]);
        match what / 2 {
            0 | 1 if !self.terminals[nth] => {
                self.terminals[nth] = true;
                // Whoever logs in again begins a new login.
                self.lingers = false;
                Some(format!("{desk} login site-a/Agent/101"))
            }
            2 if self.terminals[nth] => {
                self.terminals[nth] = false;
                let speaks = matches!(self.call, Some("talks" | "holds"));
                self.lingers = speaks && !self.terminals.contains(&true);
                Some(format!("{desk} logout site-a/Agent/101"))
            }
            // Who enters a queue without a login is told by `logins`.
            3 | 4 if !self.in_queue[nth] && self.terminals.contains(&true) => {
                self.in_queue[nth] = true;
                Some(format!("site-a Agent/101 enters {queue}"))
            }
            5 if self.in_queue[nth] => {
                (self.in_queue[nth], self.paused[nth]) = (false, false);
                Some(format!("site-a Agent/101 leaves {queue}"))
            }
            6 if self.in_queue[nth] && !self.paused[nth] => {
                self.paused[nth] = true;
                Some(format!("site-a Agent/101 pauses {queue} Lunch"))
            }
            7 if self.in_queue[nth] && self.paused[nth] => {
                self.paused[nth] = false;
                Some(format!("site-a Agent/101 unpauses {queue}"))
            }
            8 | 9 => Some(self.call_goes_on()),
            10 if self.call.is_some() => Some(self.call_ends(at)),
            11 if what == 22 && self.call.is_none() => {
                (self.in_queue, self.paused) = ([false; 2], [false; 2]);
                Some("site-a ends".to_owned())
            }
            _ => None,
        }
    }

    fn call_goes_on(&mut self) -> String {
        let (next, verb) = match self.call {
            None => {
                self.calls += 1;
                self.was_answered = false;
                let calls = self.calls;
                self.call = Some("rings");
                return format!("call {calls} site-a Agent/101 sales rings");
            }
            Some("talks") => ("holds", "holds"),
            Some(_) => ("talks", "talks"),
        };
        self.was_answered = true;
        self.call = Some(next);
        format!("call {} {verb}", self.calls)
    }

    fn call_ends(&mut self, at: Micros) -> String {
        self.call = None;
        if self.was_answered {
            self.wrap_up_until = at + WRAP_UP_S * SECOND;
            self.lingers = false;
        }
        format!("call {} ends", self.calls)
    }
}

/// The rows that a history gives, and what the model says of each second.
fn run(history: &[(u8, u8)], way: Way) -> (Site, Vec<(Micros, Option<&'static str>)>) {
    let mut site = Site::new(way);
    let mut legs = std::collections::BTreeMap::new();
    let mut model = Model::default();
    let mut seconds = Vec::new();
    let mut at = moment("1d", "09:00");
    site.tell(&line(at, &format!("site-a Agent/101 has {WRAP_UP_S} after sales"), &mut legs));
    // It begins with a login; what stands for one in others is in [`super::logins`].
    for (what, pause) in [(0, 3)].into_iter().chain(history.iter().copied()) {
        if let Some(happening) = model.act(what % 24, at) {
            site.tell(&line(at, &happening, &mut legs));
        }
        for _ in 0..=pause % 20 {
            seconds.push((at + SECOND / 2, model.state(at + SECOND / 2)));
            at = at + SECOND;
        }
    }
    site.tell(&line(at, "tick", &mut legs));
    (site, seconds)
}

fn time(row: &Value, column: &str) -> Option<i64> {
    row[column].as_i64()
}

fn judge(history: &[(u8, u8)]) {
    let (site, seconds) = run(history, Way::Straight);
    let mut states: Vec<&Value> = site.of("calltide.agent-intervals").collect();
    states.sort_by_key(|row| time(row, "started_at"));
    for pair in states.windows(2) {
        assert!(time(pair[0], "ended_at").is_some_and(|end| Some(end) <= time(pair[1], "started_at")), "{pair:?}");
    }
    let mut nth = 0;
    for (at, state) in &seconds {
        while states.get(nth).is_some_and(|row| time(row, "ended_at").is_some_and(|end| end <= at.0)) {
            nth += 1;
        }
        let told = states.get(nth).filter(|row| time(row, "started_at").unwrap() <= at.0);
        assert_eq!(told.map(|row| row["state"].as_str().unwrap()), *state, "{} in {states:#?}", at.0);
    }
    let end = seconds.last().map_or(0, |(at, _)| at.0 + SECOND / 2);
    for login in site.of("calltide.agent-sessions").filter(|row| row["kind"] == "login" && !row["terminal"].is_null()) {
        let whole = time(login, "ended_at").unwrap_or(end) - time(login, "started_at").unwrap();
        let parts = states.iter().filter(|row| row["session_id"] == login["session_id"]);
        let sum: i64 = parts.map(|row| time(row, "ended_at").unwrap_or(end) - time(row, "started_at").unwrap()).sum();
        assert_eq!(sum, whole, "{login}");
    }
    assert_eq!(site.notes.get("law_violated"), None);
    for way in [Way::Restarted, Way::Twice] {
        let (other, _) = run(history, way);
        let without_versions = |site: &Site| {
            let row = |row: &Value| {
                let mut row = row.clone();
                let columns = row.as_object_mut().unwrap();
                columns.remove("version");
                columns.remove("updated_at");
                row
            };
            site.rows.iter().map(|(key, of)| (key.clone(), row(of))).collect::<Vec<_>>()
        };
        assert_eq!(without_versions(&other), without_versions(&site), "{way:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_rows_say_what_a_plain_model_says(history in vec((any::<u8>(), any::<u8>()), 1..60)) {
        judge(&history);
    }
}
