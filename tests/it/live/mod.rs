//! A real Asterisk, real calls, and everything that can be killed is: the statuses are what the calls were made to be.
//!
//! `ASTERISK=FOLDER` asks for it and says where Asterisk is installed. `servers` configures the PBX and a carrier with all the
//! telephones, `calls` makes calls by AMI, `line` cuts the collector's line to the PBX.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests; what was made is for whoever runs them")]

mod ami;
mod calls;
mod install;
mod servers;

use std::time::Instant;

use crate::line::{Line, Way};
use crate::started::{Site, until};
use calls::{Floor, Made};

#[test]
fn calls_are_what_they_were_made_to_be_whatever_is_cut_or_killed() {
    let root = match install::installed() {
        Ok(root) => root,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let begun = Instant::now();
    let mut floor = Floor::open(&root);
    let line = Line::new();
    line.leads_to(format!("{}:5038", floor.pbx.address).parse().unwrap());
    let site = Site::new();
    site.configured(&configuration(&floor, &line));
    let begin = || site.start(&["up", "--listen", "127.0.0.1:0"]);
    let mut up = begin();
    up.tells("INFO connected");
    floor.every_kind();

    // The line to the PBX is cut in the middle of calls: one ends, one is given up, two come and go, one goes on.
    let (ends, waits, goes_on) = three_up(&mut floor);
    line.becomes(Way::Cut);
    meanwhile(&mut floor, ends, waits);
    line.becomes(Way::Good);
    up.tells("INFO connected");
    floor.customer_hangs_up(&goes_on);
    floor.ended(goes_on, "answered", true);

    // The same, while nobody collects at all.
    let (ends, waits, goes_on) = three_up(&mut floor);
    up.kill();
    meanwhile(&mut floor, ends, waits);
    let mut up = begin();
    up.tells("INFO connected");
    floor.customer_hangs_up(&goes_on);
    floor.ended(goes_on, "answered", true);

    // The PBX dies with calls up.
    let (talks, waits, talks_too) = three_up(&mut floor);
    let rings = floor.dials("03", 300);
    floor.rings(&rings);
    floor.kill_pbx();
    floor.start_pbx();
    floor.died(talks, "answered", true);
    floor.died(talks_too, "answered", true);
    floor.died(waits, "no_agent", false);
    floor.died(rings, "no_answer", false);
    up.tells("INFO connected");
    floor.an_answered_dial();
    floor.an_answered_caller();
    floor.a_dial("02", "busy");

    let mut made = std::mem::take(&mut floor.made);
    made.sort_by(|a, b| a.uniqueid.cmp(&b.uniqueid));
    eprintln!("{} calls made in {:.0?}", made.len(), begun.elapsed());
    let mut told = Vec::new();
    until(&format!("all of them are settled: {made:#?}"), || {
        told = site.rows(TOLD);
        told.len() >= made.len() && told.iter().all(|call| call["settled"] == true)
    });
    for call in &told {
        eprintln!("{call}");
    }
    assert_eq!(told.iter().map(as_made).collect::<Vec<_>>(), made);
    up.stop();
}

/// What the tables say of the customers' calls.
const TOLD: &str = "SELECT call_id, number_raw, status, handled_by, end_estimated, settled, sources, status_evidence FROM calls \
                    WHERE direction <> 'internal' ORDER BY call_id";

/// A row as the one who made the call would have written it down.
fn as_made(row: &serde_json::Value) -> Made {
    let status = calltide_schemas::status::Status::ALL.iter().map(|status| status.name());
    let told = row["status"].as_str().unwrap();
    Made {
        uniqueid: row["call_id"].as_str().unwrap().trim_start_matches("site-a/").to_owned(),
        number: row["number_raw"].as_str().map(str::to_owned),
        status: status.into_iter().find(|name| *name == told).unwrap(),
        reached: row["handled_by"] == "agent",
        estimated: row["end_estimated"] == true,
    }
}

/// A dialled customer who talks, a caller who waits, and a caller who talks.
fn three_up(floor: &mut Floor) -> (calls::Call, calls::Call, calls::Call) {
    let (dialled, waiting, talking) =
        (floor.dials("00", 30), floor.customer_calls("support"), floor.customer_calls("sales"));
    floor.talks(&dialled);
    floor.waits(&waiting);
    floor.talks(&talking);
    (dialled, waiting, talking)
}

/// Two calls end, and others come and go.
fn meanwhile(floor: &mut Floor, talking: calls::Call, waiting: calls::Call) {
    floor.customer_hangs_up(&talking);
    floor.ended(talking, "answered", true);
    floor.customer_hangs_up(&waiting);
    floor.ended(waiting, "abandoned", false);
    floor.a_dial("02", "busy");
    // AMI alone tells what an Originate dials.
    floor.made.last_mut().unwrap().number = None;
    floor.an_answered_caller();
    floor.an_abandoned_caller();
}

fn configuration(floor: &Floor, line: &Line) -> String {
    let (user, secret) = (servers::USER, servers::SECRET);
    let (cel, queue_log) = (floor.pbx.log("cel-custom/Master.csv"), floor.pbx.log("queue_log"));
    format!(
        "[[pbx]]\nid = \"site-a\"\nhost = \"127.0.0.1\"\nport = {}\nusername = \"{user}\"\nsecret = \"{secret}\"\n\
         cel = \"{}\"\nqueue_log = \"{}\"\n",
        line.address.port(),
        cel.display(),
        queue_log.display()
    )
}
