//! `report`, `sql`, `inspect` and `log`: answers about what was imported, beside whoever writes.

use std::io::Read as _;
use std::process::Stdio;

use super::started::{Site, capture};

fn imported() -> Site {
    let site = Site::new();
    site.done(&["import", "--pbx", "site-a", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    site
}

#[test]
fn tables_for_people_show_the_clocks_of_the_zone() {
    let site = imported();
    for (tz, first_login) in [("UTC", "2026-11-22 11:12:03"), ("Europe/Moscow", "2026-11-22 14:12:03")] {
        let (table, _) = site.done(&["report", "agents", "--tz", tz]);
        assert!(table.contains(first_login), "{tz}\n{table}");
    }
}

#[test]
fn reports_and_queries_answer_in_three_forms() {
    let site = imported();
    let by_campaign = ["report", "outcomes", "--by", "campaign", "--direction", "outbound"];
    let (table, told) = site.done(&by_campaign);
    assert_eq!(told, "");
    for word in ["campaign", "attempts", "connected", "autumn", "spring", "total", "no answer"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
    let (json, _) = site.done(&[&by_campaign[..], &["--format", "json"]].concat());
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.last().unwrap()["campaign"], "total");
    let (csv, _) = site.done(&[&by_campaign[..], &["--format", "csv"]].concat());
    assert!(csv.starts_with("campaign,total,connected,"), "{csv}");
    assert_eq!(csv.lines().count(), rows.len() + 1);
    let (csv, _) = site.done(&["sql", "SELECT count(*) AS n FROM calls", "--format", "csv"]);
    assert_eq!(csv.lines().next(), Some("n"));
}

#[test]
fn an_empty_range_says_so() {
    let site = imported();
    let (table, _) =
        site.done(&["report", "outcomes", "--by", "campaign", "--from", "2001-01-01", "--to", "2001-01-02"]);
    assert_eq!(table, "no calls in this range\n");
}

#[test]
fn a_call_is_found_by_its_id_and_its_number_and_tells_why() {
    let site = imported();
    let busy = site.rows("SELECT call_id, number_raw FROM calls WHERE status = 'busy' LIMIT 1");
    let (id, number) = (busy[0]["call_id"].as_str().unwrap(), busy[0]["number_raw"].as_str().unwrap());
    let (by_id, _) = site.done(&["inspect", id]);
    for part in ["status    busy (unanswered)", "because   hangup_cause=17", "story", "▶ "] {
        assert!(by_id.contains(part), "{part} in\n{by_id}");
    }
    assert_eq!(by_id.matches("▶ ").count(), 2, "the legend and the one line that decided:\n{by_id}");
    assert_eq!(site.done(&["inspect", id.split_once('/').unwrap().1]).0, by_id);
    assert_eq!(site.done(&["inspect", number]).0, by_id);
    let (elsewhere, _) = site.done(&["inspect", id, "--tz", "Asia/Tokyo"]);
    assert!(elsewhere.contains("JST") && elsewhere != by_id, "{elsewhere}");
    let told = site.refused(4, &["inspect", "site-a/none"]);
    assert!(told.contains("no closed call fits `site-a/none`"), "{told}");
}

#[test]
fn several_calls_of_a_number_are_listed_to_choose_from() {
    let site = imported();
    // Two copies of the recording under two names: each number called twice.
    site.done(&["import", "--pbx", "site-z", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    let busy = site.rows("SELECT number_raw FROM calls WHERE status = 'busy' LIMIT 1");
    let (list, told) = site.done(&["inspect", busy[0]["number_raw"].as_str().unwrap()]);
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains("site-a/") && list.contains("site-z/") && list.contains("busy"), "{list}");
    assert!(told.contains("several calls fit"), "{told}");
}

#[test]
fn the_log_shows_its_topics_and_records() {
    let site = imported();
    let (list, _) = site.done(&["log", "ls"]);
    assert!(list.contains("calltide.events") && list.contains("file/site-a/ami/"), "{list}");
    let (records, _) = site.done(&["log", "cat", "calls", "--limit", "3"]);
    assert_eq!(records.lines().count(), 3);
    for line in records.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["payload"]["call_id"], record["key"]);
    }
    let told = site.refused(4, &["log", "cat", "call"]);
    assert!(told.contains("there are events, calls"), "{told}");
    assert_eq!(site.done(&["log", "verify"]).0, "every record can be read\n");
}

#[test]
fn who_stops_reading_is_no_error() {
    let site = imported();
    let mut cat = site.command(&["log", "cat", "events"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    cat.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert!(cat.wait().unwrap().success());
}

#[test]
fn damage_on_disk_is_found_and_named() {
    let site = imported();
    let segment = std::fs::read_dir(site.data().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x40;
    std::fs::write(&segment, bytes).unwrap();
    let output = site.run(&["log", "verify"]);
    let found = super::started::text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert!(found.contains("are lost"), "{found}");
    // The tables are not replaced by what is left, unless the archive has the rest.
    let calls = site.calls();
    let told = site.refused(1, &["replay"]);
    assert!(told.contains("events of the log are damaged") && told.contains("--from archive"), "{told}");
    assert_eq!(site.calls(), calls);
    site.done(&["replay", "--from", "archive"]);
    let outcome = |call: &serde_json::Value| (call["call_id"].clone(), call["status"].clone(), call["talk_ms"].clone());
    assert_eq!(site.calls().iter().map(outcome).collect::<Vec<_>>(), calls.iter().map(outcome).collect::<Vec<_>>());
}

#[test]
fn a_report_is_refused_rather_than_cut() {
    let site = imported();
    site.configured("[query]\nrows = 2\n");
    let told = site.refused(1, &["report", "outcomes", "--by", "queue,hour,agent"]);
    assert!(told.contains("more than 2 rows") && told.contains("[query] rows"), "{told}");
}

#[test]
fn a_data_directory_may_be_named_by_a_way_up() {
    let site = imported();
    let calls = site.rows("SELECT count(*) AS n FROM calls");
    let within = site.data().join("log");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_calltide"));
    command.args(["sql", "SELECT count(*) AS n FROM calls", "--format", "json", "--data", ".."]);
    let told = command.current_dir(within).output().unwrap();
    let found: Vec<serde_json::Value> = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(found, calls, "{}", super::started::text(&told.stderr));
}

#[test]
fn the_tables_answer_without_the_log() {
    let site = imported();
    let calls = site.calls();
    std::fs::remove_dir_all(site.data().join("log")).unwrap();
    assert_eq!(site.calls(), calls);
}
