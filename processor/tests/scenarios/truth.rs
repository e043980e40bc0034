//! Compares the rows of a capture with its `truth.json`: what each call was made to be, and what the queue's own log and the
//! CDRs, two independent witnesses, say of it.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::replay::{Row, Tables, rows};

/// Talk and waits of the queue's log are whole seconds, cut off at either end.
const QUEUE_LOG_SECS: f64 = 1.5;

/// A hold is told by the PBX a little after the phone asked for it.
const HOLD_MS: i64 = 500;

/// Parked and redirected callers: the queue's own calltime goes on until they are gone for good.
const CALLTIME_IS_MORE_THAN_TALK: [&str; 4] = ["park-timeout", "park-retrieved", "park-left", "redirected"];

/// What is imported of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// AMI without CEL over it.
    Ami,
    /// The CEL file and the queue's log.
    Files,
    /// Everything.
    All,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ami => "ami",
            Self::Files => "cel",
            Self::All => "all",
        }
    }
}

/// Where rows and truth differ.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Scenario and number of the call.
    pub(crate) call: String,
    /// What differs.
    pub(crate) what: &'static str,
    /// What it is and what it was made to be.
    pub(crate) detail: String,
}

/// What a call was made to be; fields that no comparison needs are left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Truth {
    scenario: String,
    number: Option<String>,
    linkedid: Option<String>,
    direction: Option<String>,
    status: Option<String>,
    class: Option<String>,
    status_any: Option<Vec<String>>,
    campaign: Option<String>,
    contact: Option<String>,
    agent: Option<String>,
    hangup_by: Option<String>,
    end_estimated: bool,
    dropped: bool,
    hold_ms: Option<i64>,
    talk_s: Option<f64>,
    queue_log_early: bool,
    end_unseen_in_ami: bool,
    modes: Option<Vec<String>>,
    visits: Option<Vec<(String, String)>>,
    visits_any: Option<Vec<Vec<(String, String)>>>,
    queue_log: Vec<Vec<Value>>,
}

/// Compares every call of a capture; returns how many there are, and the differences.
pub(crate) fn compare(folder: &Path, mode: Mode, tables: &Tables) -> (usize, Vec<Difference>) {
    let text = std::fs::read_to_string(folder.join("truth.json")).unwrap();
    let truths: Vec<Truth> = serde_json::from_str(&text).unwrap();
    let mut differences = Vec::new();
    let mut count = 0;
    for truth in &truths {
        let seen_so = truth.modes.as_ref().is_none_or(|modes| modes.iter().any(|m| m == mode.name()));
        if !seen_so || (truth.number.is_none() && truth.linkedid.is_none()) {
            continue;
        }
        let found = find(truth, mode, tables);
        if truth.number.is_none() && found.is_empty() && truth.status.is_none() {
            continue;
        }
        count += 1;
        let mut judge = Judge { truth, mode, tables, differences: &mut differences };
        match found[..] {
            [call] => judge.call(call),
            _ => judge.differs("calls", format!("{} calls of {:?}", found.len(), truth.linkedid)),
        }
    }
    (count, differences)
}

/// The calls that a truth speaks of: by number, else by the linkedid.
fn find<'a>(truth: &Truth, mode: Mode, tables: &'a Tables) -> Vec<&'a Row> {
    let calls = rows(tables, "calls");
    let same_linkedid = |c: &&&Row| {
        let made = truth.linkedid.as_deref();
        made.is_some() && (made == c["linkedid"].as_str() || made == Some(text_after_slash(c)))
    };
    let customers: Vec<&Row> = calls.iter().copied().filter(|c| c["direction"] != "internal").collect();
    let mut found: Vec<&Row> = Vec::new();
    if let Some(number) = &truth.number {
        found = customers.iter().copied().filter(|c| text(c, "number_raw").ends_with(number.as_str())).collect();
        // CEL doesn't know the number of a call that was originated straight to a trunk; another call may have it, too.
        if mode == Mode::Files && !found.iter().any(|c| same_linkedid(&c)) {
            found = customers.iter().filter(same_linkedid).copied().collect();
        }
    }
    if found.len() != 1 {
        let by_linkedid: Vec<&Row> = calls.iter().filter(same_linkedid).copied().collect();
        if truth.linkedid.is_some() {
            found = by_linkedid;
        }
        if found.len() > 1 {
            let same_way = |c: &&Row| c["direction"].as_str() == truth.direction.as_deref();
            let same: Vec<&Row> = found.iter().copied().filter(same_way).collect();
            found = if same.is_empty() { found } else { same };
        }
    }
    found
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row[column].as_str().unwrap_or("")
}

/// One call beside its truth.
struct Judge<'a> {
    truth: &'a Truth,
    mode: Mode,
    tables: &'a Tables,
    differences: &'a mut Vec<Difference>,
}

impl<'a> Judge<'a> {
    fn differs(&mut self, what: &'static str, detail: String) {
        let truth = self.truth;
        let name = truth.number.as_ref().or(truth.linkedid.as_ref()).map_or("", String::as_str);
        self.differences.push(Difference { call: format!("{} {name}", truth.scenario), what, detail });
    }

    fn same(&mut self, call: &Row, column: &'static str, made: Option<&str>) {
        if made.is_some_and(|made| call[column].as_str() != Some(made)) {
            let evidence = &call["status_evidence"];
            self.differs(column, format!("is {}, was made to be {made:?} ({evidence})", call[column]));
        }
    }

    fn call(&mut self, call: &Row) {
        let (truth, by_files) = (self.truth, self.mode == Mode::Files);
        self.same(call, "direction", truth.direction.as_deref());
        self.status(call);
        self.same(call, "agent", truth.agent.as_deref());
        if !by_files {
            if truth.campaign.is_some() {
                self.same(call, "campaign", truth.campaign.as_deref());
                self.same(call, "contact", truth.contact.as_deref());
            }
            self.same(call, "hangup_by", truth.hangup_by.as_deref());
        }
        if truth.end_estimated && call["end_estimated"] != true {
            self.differs("end_estimated", "is false".to_owned());
        }
        let only_abandoned = self.logged("ABANDON") && !self.logged("CONNECT");
        let by_log = truth.scenario.starts_with("outbound") && only_abandoned;
        if (truth.dropped || by_log) && call["dropped"] != true {
            self.differs("dropped", "is false".to_owned());
        }
        self.times(call);
        self.visits(call);
        self.legs(call);
    }

    fn status(&mut self, call: &Row) {
        let truth = self.truth;
        // CEL has no word of AMD in these recordings.
        let unheard_machine =
            self.mode == Mode::Files && truth.scenario == "outbound" && truth.status.as_deref() == Some("voicemail");
        let made = if unheard_machine { Some("answered") } else { truth.status.as_deref() };
        self.same(call, "status", made);
        if made.is_some() && call["status"].as_str() == made {
            self.same(call, "class", truth.class.as_deref());
        }
        let possible = |any: &Vec<String>| any.iter().any(|s| call["status"] == s.as_str());
        if made.is_none() && truth.status_any.as_ref().is_some_and(|any| !possible(any)) {
            self.differs("status", format!("is {}, possible are {:?}", call["status"], truth.status_any));
        }
    }

    fn logged(&self, event: &str) -> bool {
        self.truth.queue_log.iter().any(|line| line[2] == event)
    }

    fn times(&mut self, call: &Row) {
        let truth = self.truth;
        let ms = |column: &str| call[column].as_i64().unwrap_or(0);
        let measured = truth.hold_ms.filter(|&made| made > 0 && self.mode != Mode::Files);
        if let Some(made) = measured.filter(|made| (ms("hold_ms") - made).abs() > HOLD_MS) {
            self.differs("hold_ms", format!("is {}, was made to be {made}", ms("hold_ms")));
        }
        let secs = (ms("talk_ms") + ms("hold_ms")) as f64 / 1000.0;
        if let Some(made) = truth.talk_s.filter(|made| truth.queue_log_early && (secs - made).abs() > QUEUE_LOG_SECS) {
            self.differs("talk_ms", format!("talk and hold {secs} s, the agent's leg was up {made} s"));
        }
        let scenario = truth.scenario.as_str();
        let moved = scenario.contains("transfer") && !scenario.contains("failed") && !scenario.contains("cancelled");
        let end_unseen = self.mode == Mode::Ami && truth.end_unseen_in_ami;
        let one_visit = truth.queue_log.iter().filter(|line| line[2] == "ENTERQUEUE").count() == 1;
        let done = truth.queue_log.iter().find(|line| line[2] == "COMPLETEAGENT" || line[2] == "COMPLETECALLER");
        let tells = one_visit && !moved && !truth.queue_log_early && !end_unseen;
        if let Some(line) = done.filter(|_| tells && !CALLTIME_IS_MORE_THAN_TALK.contains(&scenario)) {
            let logged = number(&line[4]);
            if (secs - logged).abs() > QUEUE_LOG_SECS {
                self.differs("talk_ms", format!("talk and hold {secs} s, the queue's log says {logged} s"));
            }
        }
    }

    fn visits(&mut self, call: &Row) {
        let truth = self.truth;
        let mut got: Vec<&Row> = self.of("queue_visits", call);
        got.sort_by_key(|v| (v["entered_at"].as_i64(), text(v, "visit_id").to_owned()));
        let pairs: Vec<(String, String)> =
            got.iter().map(|v| (text(v, "queue").to_owned(), text(v, "outcome").to_owned())).collect();
        if let Some(any) = &truth.visits_any {
            if !any.contains(&pairs) {
                self.differs("queue_visits", format!("are {pairs:?}, possible are {any:?}"));
            }
            return;
        }
        let logged = logged_visits(&truth.queue_log);
        let made: Vec<(String, String)> = match &truth.visits {
            // The queue's log has no word of these.
            Some(_) if self.mode == Mode::Files => return,
            Some(visits) => visits.clone(),
            None => logged.iter().map(|v| (v.queue.clone(), v.outcome.unwrap_or("lost").to_owned())).collect(),
        };
        if pairs != made {
            self.differs("queue_visits", format!("are {pairs:?}, were made to be {made:?}"));
            return;
        }
        for (visit, logged) in got.iter().zip(&logged).filter(|_| truth.visits.is_none()) {
            let waited = visit["wait_ms"].as_i64().unwrap_or(0) as f64 / 1000.0;
            if logged.wait_secs.is_some_and(|secs| (waited - secs).abs() > QUEUE_LOG_SECS) {
                self.differs("wait_ms", format!("{waited} s, the queue's log says {:?} s", logged.wait_secs));
            }
        }
    }

    fn legs(&mut self, call: &Row) {
        let legs = self.of("legs", call);
        for line in self.truth.queue_log.iter().filter(|line| line[2] == "CONNECT") {
            if !legs.iter().any(|leg| leg["agent"] == line[1] && leg["outcome"] == "answered") {
                self.differs("legs", format!("no answered leg of {}", line[1]));
            }
        }
    }

    fn of(&self, table: &str, call: &Row) -> Vec<&'a Row> {
        rows(self.tables, table).into_iter().filter(|r| r["call_id"] == call["call_id"]).collect()
    }
}

/// One entry into a queue as the queue's own log tells it.
struct LoggedVisit {
    queue: String,
    outcome: Option<&'static str>,
    wait_secs: Option<f64>,
}

fn logged_visits(lines: &[Vec<Value>]) -> Vec<LoggedVisit> {
    let mut visits: Vec<LoggedVisit> = Vec::new();
    for line in lines {
        // The outcome, and which of the line's data is the time waited.
        let (outcome, wait) = match line[2].as_str().unwrap_or("") {
            "ENTERQUEUE" => {
                let queue = line[0].as_str().unwrap_or("").to_owned();
                visits.push(LoggedVisit { queue, outcome: None, wait_secs: None });
                continue;
            }
            "CONNECT" => ("answered", 3),
            "ABANDON" => ("abandoned", 5),
            "EXITWITHTIMEOUT" => ("timeout", 5),
            "EXITWITHKEY" => ("key", 6),
            "EXITEMPTY" => ("empty", 5),
            _ => continue,
        };
        if let Some(visit) = visits.last_mut().filter(|v| v.outcome.is_none()) {
            visit.outcome = Some(outcome);
            visit.wait_secs = line.get(wait).map(number);
        }
    }
    visits
}

fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(f64::NAN)
}

/// A CDR of the customer's own channel has a time of answer if, and only if, that channel was up. Its disposition is no
/// witness: of a customer who left the queue before an agent came it says NO ANSWER.
pub(crate) fn compare_cdrs(folder: &Path, tables: &Tables) -> (usize, Vec<Difference>) {
    let text = std::fs::read_to_string(folder.join("cdr.csv")).unwrap();
    // From the end, since the caller's name and the application's data may have commas: userfield, uniqueid, …, answer.
    let records: Vec<Vec<&str>> = text.lines().map(|line| line.rsplitn(9, ',').collect()).collect();
    let mut differences = Vec::new();
    let mut count = 0;
    for call in rows(tables, "calls").into_iter().filter(|c| c["direction"] == "outbound") {
        let uid = text_after_slash(call);
        let own: Vec<&Vec<&str>> = records.iter().filter(|r| r[1].trim_matches('"') == uid).collect();
        if own.is_empty() {
            continue;
        }
        count += 1;
        // A channel that did several things one after the other has a record for each.
        let answered = own.iter().any(|record| !record[7].trim_matches('"').is_empty());
        if answered == call["up_ms"].is_null() {
            differences.push(Difference {
                call: uid.to_owned(),
                what: "cdr",
                detail: format!("answered by its CDR: {answered}, status {}", call["status"]),
            });
        }
    }
    (count, differences)
}

fn text_after_slash(call: &Row) -> &str {
    text(call, "call_id").split_once('/').map_or("", |id| id.1)
}
