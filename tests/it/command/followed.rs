//! Files are followed while `up` runs: alone, and where AMI missed something.

use std::fs::OpenOptions;
use std::io::Write as _;

use calltide_ingest::playback::Speed;

use super::running::Asterisk;
use super::started::{Site, capture, until};

const FILES: [&str; 2] = ["cel.csv", "queue_log"];

/// What became of each call.
fn outcomes(site: &Site) -> Vec<serde_json::Value> {
    site.rows("SELECT call_id, status, agent, talk_ms, sources FROM calls ORDER BY call_id")
}

fn imported(files: &[(&str, &str)]) -> Site {
    let site = Site::new();
    let paths: Vec<(String, String)> =
        files.iter().map(|(flag, name)| ((*flag).to_owned(), capture("asterisk-22.10", name))).collect();
    let arguments = paths.iter().flat_map(|(flag, path)| [flag.as_str(), path.as_str()]);
    site.done(&["import", "--pbx", "site-a"].into_iter().chain(arguments).collect::<Vec<_>>());
    site
}

/// Appends the lines of the recorded files from one part of them to another, in hundredths.
fn write(site: &Site, from: usize, to: usize) {
    for name in FILES {
        let text = std::fs::read_to_string(capture("asterisk-22.10", name)).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let part = lines[lines.len() * from / 100..lines.len() * to / 100].concat();
        let path = site.data().with_file_name(name);
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(part.as_bytes()).unwrap();
    }
}

fn rotate(site: &Site) {
    for name in FILES {
        let path = site.data().with_file_name(name);
        std::fs::rename(&path, path.with_file_name(format!("{name}.1"))).unwrap();
    }
}

#[test]
fn a_pbx_is_known_by_its_files_alone() {
    let wanted = outcomes(&imported(&[("--cel", "cel.csv"), ("--queue-log", "queue_log")]));
    let site = Site::new();
    site.configured("[[pbx]]\nid = \"site-a\"\ncel = \"cel.csv\"\nqueue_log = \"queue_log\"\n");
    let (table, _) = site.done(&["check"]);
    assert!(table.contains("is not there yet"), "{table}");
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("cannot be followed now");
    write(&site, 0, 40);
    until("some calls are told", || site.data().join("lake").exists() && outcomes(&site).len() > wanted.len() / 5);
    up.kill();
    write(&site, 40, 70);
    rotate(&site);
    write(&site, 70, 80);
    let up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    write(&site, 80, 100);
    until("every call is told", || outcomes(&site) == wanted);
    up.stop();
    site.done(&["import", "--pbx", "site-a", "--cel", &capture("asterisk-22.10", "cel.csv")]);
    assert_eq!(outcomes(&site), wanted, "whoever imports it again changes nothing");
}

#[test]
fn what_ami_missed_is_told_by_files_once() {
    let all = imported(&[("--ami", "ami.raw"), ("--cel", "cel.csv"), ("--queue-log", "queue_log")]);
    let ids = |site: &Site| site.rows("SELECT call_id FROM calls ORDER BY call_id");
    let said = std::fs::read_to_string(capture("asterisk-22.10", "ami.raw")).unwrap();
    let events: Vec<&str> = said.split_inclusive("\r\n\r\n").collect();
    // The middle was never heard.
    let heard = [&events[..events.len() / 3], &events[events.len() * 2 / 3..]].concat().concat();
    let mut asterisk = Asterisk::saying(heard.into_bytes(), Speed::Unlimited);
    let site = Site::new();
    site.configured(&format!("{}cel = \"cel.csv\"\nqueue_log = \"queue_log\"\n", asterisk.configuration()));
    write(&site, 0, 100);
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("INFO connected");
    asterisk.all_sent();
    until("every call is told", || {
        site.data().join("lake").exists()
            && site.rows("SELECT call_id FROM calls WHERE NOT settled").is_empty()
            && ids(&site) == ids(&all)
    });
    let missed = "SELECT call_id, status, agent FROM calls WHERE sources NOT LIKE '%ami%' ORDER BY call_id";
    let missed = site.rows(missed);
    assert!(missed.len() >= 3, "{missed:?}");
    let by_files = imported(&[("--cel", "cel.csv"), ("--queue-log", "queue_log")]);
    let by_files = by_files.rows("SELECT call_id, status, agent FROM calls");
    for call in &missed {
        assert!(by_files.contains(call), "{call}");
    }
    up.stop();
}
