//! Stories as text, one happening a line, and what the tables say of them as text.
//!
//! `09:00 desk-1 login anna`, `09:00 site-a Agent/101 enters sales`, `09:10 call 1 site-a Agent/101 sales rings`. A day that is
//! not the first is written before the time: `2d 00:30`.

use std::collections::BTreeMap;

use calltide_schemas::Micros;
use calltide_schemas::agents::directory::{
    Agent, Device, DeviceKind, DeviceMode, DirectoryChange, Entry, EntryKind, Origin, Queue,
};
use calltide_schemas::agents::{
    Activity, Doing, ForAgents, LegSaid, Member, MemberSaid, MemberWhat, Registered, Server, ServerWhat, Terminal,
    TerminalWhat, Tick,
};
use serde_json::Value;

use super::site::{Site, Way};

/// Monday, 2026-03-02 00:00 UTC.
const DAY_ONE: i64 = 1_772_409_600_000_000;
const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Runs the story in every way and compares what comes of it.
#[track_caller]
pub(crate) fn check(story: &str, expected: &str) {
    let lines = |text: &str| text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect::<Vec<_>>();
    for way in [Way::Straight, Way::Restarted, Way::Twice] {
        let site = run(story, way);
        let told = lines(&told(&site));
        let expected = lines(expected);
        assert!(told == expected, "{way:?}\n--- told\n{}\n--- expected\n{}\n", told.join("\n"), expected.join("\n"));
        assert_eq!(site.notes.get("law_violated"), None, "{way:?}");
    }
}

/// Runs a story.
pub(crate) fn run(story: &str, way: Way) -> Site {
    let mut site = Site::new(way);
    let mut legs = BTreeMap::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let said = said(line, &mut legs);
        site.tell(&said);
    }
    site
}

/// `09:00`, `09:00:05`, `2d 00:30`.
pub(crate) fn moment(day: &str, time: &str) -> Micros {
    let day: i64 = day.trim_end_matches('d').parse().unwrap();
    let mut parts = time.split(':').map(|part| part.parse::<i64>().unwrap());
    let (hours, minutes, secs) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(0));
    Micros(DAY_ONE + (day - 1) * DAY + ((hours * 60 + minutes) * 60 + secs) * 1_000_000)
}

fn said(line: &str, legs: &mut BTreeMap<String, LegSaid>) -> ForAgents {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let day = if words[0].ends_with('d') { words.remove(0) } else { "1d" };
    let at = moment(day, words.remove(0));
    happening(at, &words, legs)
}

/// A line without its time.
pub(crate) fn line(at: Micros, text: &str, legs: &mut BTreeMap<String, LegSaid>) -> ForAgents {
    happening(at, &text.split_whitespace().collect::<Vec<_>>(), legs)
}

fn happening(at: Micros, words: &[&str], legs: &mut BTreeMap<String, LegSaid>) -> ForAgents {
    match *words {
        ["tick"] => ForAgents::Tick(Tick { at }),
        ["call", id, ref rest @ ..] => leg(at, id, rest, legs),
        ["agent" | "queue" | "device", ..] => directory(at, words),
        [pbx, "ends"] => ForAgents::Server(Server { at, pbx: pbx.to_owned(), what: ServerWhat::Ended }),
        [pbx, "listed", "all"] => ForAgents::Server(Server { at, pbx: pbx.to_owned(), what: ServerWhat::AllListed }),
        [pbx, device, "registers", "from", address] => ForAgents::Registered(Registered {
            at,
            pbx: pbx.to_owned(),
            device: device.to_owned(),
            address: Some(address.to_owned()),
        }),
        [terminal, what @ ("login" | "heartbeat" | "logout"), agent, ref rest @ ..] => {
            let named = |key: &str| {
                let place = rest.iter().position(|word| *word == key);
                place.map(|place| rest[place + 1].to_owned())
            };
            let what = match what {
                "login" => TerminalWhat::Login {
                    address: named("address"),
                    device: named("device"),
                    timeout_ms: named("timeout").map(|secs| secs.parse::<i64>().unwrap() * 1_000),
                },
                "heartbeat" => TerminalWhat::Heartbeat,
                _ => TerminalWhat::Logout,
            };
            let (agent, terminal) = (agent.to_owned(), terminal.to_owned());
            ForAgents::Terminal(Terminal { at, agent, terminal, request_id: format!("r{}", at.0), what })
        }
        [pbx, agent, ref rest @ ..] => member(at, pbx, agent, rest),
        _ => panic!("{words:?}"),
    }
}

/// `enters sales`, `leaves sales`, `pauses sales Lunch`, `unpauses sales`, `is in sales by configuration`, `logs in`; `(log)` at
/// the end where the queue's log tells it, `(PJSIP/101)` where the interface is told.
fn member(at: Micros, pbx: &str, agent: &str, words: &[&str]) -> ForAgents {
    let (extra, words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('('));
    let by_log = extra.contains(&"(log)");
    let device = extra.iter().find(|word| **word != "(log)").map(|word| word.trim_matches(['(', ')']).to_owned());
    let listed = |is_static, since, is_paused| MemberWhat::Listed { is_static, since, is_paused, reason: None };
    let (queue, what) = match words[..] {
        ["enters", queue] => (Some(queue), MemberWhat::CheckedIn),
        ["leaves", queue] => (Some(queue), MemberWhat::CheckedOut),
        ["pauses"] => (None, MemberWhat::Paused(None)),
        ["pauses", "all", reason] => (None, MemberWhat::Paused(Some(reason.to_owned()))),
        ["pauses", queue] => (Some(queue), MemberWhat::Paused(None)),
        ["pauses", queue, reason] => (Some(queue), MemberWhat::Paused(Some(reason.to_owned()))),
        ["unpauses", "all"] => (None, MemberWhat::Unpaused),
        ["unpauses", queue] => (Some(queue), MemberWhat::Unpaused),
        ["is", "in", queue, "by", "configuration"] => (Some(queue), listed(true, None, false)),
        ["is", "in", queue] => (Some(queue), listed(false, None, false)),
        ["is", "paused", "in", queue] => (Some(queue), listed(false, None, true)),
        ["is", "in", queue, "since", time] => (Some(queue), listed(false, Some(moment("1d", time)), false)),
        ["logs", "in"] => (None, MemberWhat::LoggedIn),
        ["logs", "out"] => (None, MemberWhat::LoggedOut),
        ["has", secs, "after", queue] => (Some(queue), MemberWhat::WrapUpSetting(secs.parse::<i64>().unwrap() * 1_000)),
        ["wraps", "up", secs] => (None, MemberWhat::WrapUp(secs.parse::<i64>().unwrap() * 1_000)),
        _ => panic!("{words:?}"),
    };
    let member = Member { agent: agent.to_owned(), queue: queue.map(str::to_owned), device };
    ForAgents::Member(MemberSaid { at, pbx: pbx.to_owned(), by_log, member, what })
}

/// `1 site-a Agent/101 sales rings`, then `1 talks`, `1 holds`, `1 ends`, `1 never was`. Without a queue `-`; the device after `on`.
fn leg(at: Micros, id: &str, words: &[&str], legs: &mut BTreeMap<String, LegSaid>) -> ForAgents {
    let verb = match *words {
        ["never", "was"] => "never was",
        [verb] => verb,
        [pbx, agent, queue, verb, ref rest @ ..] => {
            let device =
                rest.get(1).map_or_else(|| format!("PJSIP/{}", agent.rsplit('/').next().unwrap()), |d| (*d).to_owned());
            let leg = LegSaid {
                at,
                pbx: pbx.to_owned(),
                leg_id: format!("{pbx}/{id}#leg"),
                call_id: format!("{pbx}/{id}"),
                agent: Some(agent.to_owned()),
                device: Some(device),
                queue: (queue != "-").then(|| queue.to_owned()),
                activities: Vec::new(),
                is_answered: false,
                withdrawn: false,
            };
            legs.insert(id.to_owned(), leg);
            verb
        }
        _ => panic!("{words:?}"),
    };
    let leg = legs.get_mut(id).unwrap();
    leg.at = at;
    if let Some(last) = leg.activities.last_mut().filter(|last| last.to.is_none()) {
        last.to = Some(at);
    }
    let mut begins = |doing| leg.activities.push(Activity { doing, from: at, to: None });
    match verb {
        "rings" => begins(Doing::Ringing),
        "talks" => begins(Doing::Talking),
        "holds" => begins(Doing::Hold),
        "ends" => {}
        "never was" => leg.withdrawn = true,
        _ => panic!("{words:?}"),
    }
    leg.is_answered |= verb == "talks";
    ForAgents::Leg(leg.clone())
}

/// `agent anna names=site-a/Agent/101 mode=dynamic team=blue`, `queue site-a/sales members=anna wrap_up=15`, `agent anna is gone`.
fn directory(at: Micros, words: &[&str]) -> ForAgents {
    let list = |key: &str| -> Vec<String> {
        let found = words.iter().find_map(|word| word.strip_prefix(&format!("{key}=")));
        found.map(|found| found.split(',').map(str::to_owned).collect()).unwrap_or_default()
    };
    let one = |key: &str| list(key).into_iter().next();
    let id = words[1].to_owned();
    let gone = words[2..] == ["is", "gone"];
    let (kind, entry) = match words[0] {
        "agent" => {
            let device_mode = match one("mode").as_deref() {
                Some("dynamic") => DeviceMode::Dynamic,
                Some("self_adapting") => DeviceMode::SelfAdapting,
                _ => DeviceMode::Fixed,
            };
            let (team, names, device) = (one("team"), list("names"), one("device"));
            let agent = Agent { id: id.clone(), team, names, device, device_mode, ..Agent::default() };
            (EntryKind::Agent, Entry::Agent(agent))
        }
        "device" => {
            let (number, kind) =
                (one("number"), if one("number").is_some() { DeviceKind::External } else { DeviceKind::Internal });
            let device = Device { id: id.clone(), kind, number, address: one("address"), ..Device::default() };
            (EntryKind::Device, Entry::Device(device))
        }
        _ => {
            let wrap_up_s = one("wrap_up").map(|secs| secs.parse().unwrap());
            (
                EntryKind::Queue,
                Entry::Queue(Queue { id: id.clone(), members: list("members"), wrap_up_s, ..Queue::default() }),
            )
        }
    };
    ForAgents::Directory(DirectoryChange {
        at,
        who: "a test".to_owned(),
        origin: Origin::Api,
        entries: if gone { Vec::new() } else { vec![entry] },
        removed: if gone { vec![(kind, id)] } else { Vec::new() },
        whole: false,
    })
}

/// What terminals were answered where they were refused, then sessions, then states, each a line.
pub(crate) fn told(site: &Site) -> String {
    let mut text = String::new();
    for answer in site.answers.iter().filter(|answer| !answer.accepted) {
        text += &format!("{} refused {}: {}\n", answer.terminal, answer.agent, answer.reason.as_deref().unwrap());
    }
    let mut sessions: Vec<(i64, String)> = site.of("calltide.agent-sessions").map(session).collect();
    sessions.sort();
    let mut states: Vec<(String, i64, String)> = site.of("calltide.agent-intervals").map(state).collect();
    states.sort();
    text.extend(sessions.into_iter().map(|(_, line)| line + "\n"));
    text.extend(states.into_iter().map(|(_, _, line)| line + "\n"));
    text
}

fn word(row: &Value, column: &str) -> Option<String> {
    row[column].as_str().map(str::to_owned)
}

fn span(row: &Value) -> String {
    let ended = row["ended_at"].as_i64().map_or("…".to_owned(), clock);
    format!("{}-{ended}", clock(row["started_at"].as_i64().unwrap()))
}

/// `anna login 09:00-17:00 by hand`
fn session(row: &Value) -> (i64, String) {
    let mut line = format!("{} {}", word(row, "agent").unwrap(), word(row, "kind").unwrap());
    line.extend(word(row, "queue").map(|queue| format!(" {queue}")));
    line += &format!(" {}", span(row));
    line.extend(word(row, "ended_by").map(|by| format!(" by {by}")));
    let logout = row["logout_at"].as_i64().filter(|at| row["ended_at"].as_i64() != Some(*at));
    line.extend(logout.map(|at| format!(", logged out {}", clock(at))));
    (row["started_at"].as_i64().unwrap(), line)
}

/// `anna 09:00-09:10 available`
fn state(row: &Value) -> (String, i64, String) {
    let agent = word(row, "agent").unwrap();
    let mut line = format!("{agent} {} {}", span(row), word(row, "state").unwrap());
    line.extend(word(row, "reason").map(|reason| format!(" ({reason})")));
    line.extend(word(row, "queue").map(|queue| format!(" {queue}")));
    line.extend(word(row, "call_id").map(|call| format!(" call {}", call.rsplit('/').next().unwrap())));
    if row["while_paused"] == true {
        line += " while paused";
    }
    if row["at_once"].as_i64().unwrap() > 1 {
        line += &format!(" of {}", row["at_once"]);
    }
    if row["session_id"].is_null() {
        line += " not logged in";
    }
    (agent, row["started_at"].as_i64().unwrap(), line)
}

fn clock(at: i64) -> String {
    let (days, secs) = ((at - DAY_ONE).div_euclid(DAY), (at - DAY_ONE).rem_euclid(DAY) / 1_000_000);
    let day = if days == 0 { String::new() } else { format!("{}d ", days + 1) };
    let secs_of = if secs % 60 == 0 { String::new() } else { format!(":{:02}", secs % 60) };
    format!("{day}{:02}:{:02}{secs_of}", secs / 3_600, secs / 60 % 60)
}
