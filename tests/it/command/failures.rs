//! What goes wrong is told as error, cause and hint, with the exit code that the help names.

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};

use super::started::{Site, capture};

#[test]
fn without_data_there_is_a_hint() {
    let site = Site::new();
    for command in [
        &["report", "outcomes"][..],
        &["sql", "SELECT 1"],
        &["inspect", "1"],
        &["log", "ls"],
        &["query-api"],
        &["lake", "ls"],
    ] {
        let told = site.refused(4, command);
        assert!(told.starts_with("error: ") && told.contains("hint:  `calltide import`"), "{command:?}: {told}");
    }
    assert!(!site.data().exists(), "asking makes nothing");
}

#[test]
fn an_unknown_key_in_the_file_is_told_with_the_nearest_one() {
    let site = Site::new();
    site.configured("[calls]\nsetle = \"5s\"\n");
    let told = site.refused(2, &["up"]);
    assert!(told.contains("unknown key `setle` in [calls], from calltide.toml"), "{told}");
    assert!(told.contains("hint:  did you mean `settle`?"), "{told}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let site = Site::new();
    site.refused(2, &["import", "--tz", "Mars/Olympus", "--cel", "x"]);
    site.refused(2, &["report", "outcomes", "--by", "moon"]);
    site.refused(2, &["import", "--pbx", "a"]);
    site.refused(2, &["nothing"]);
    for report in ["outcomes", "queues", "agents", "teams", "callers", "charges", "recycling", "now"] {
        let told = site.refused(2, &["report", report, "--day-start", "24:00"]);
        assert!(told.contains("a day cannot begin at `24:00`: give hours and whole minutes"), "{told}");
    }
    // Whether there is data or not.
    let told = site.refused(2, &["report", "queues", "--from", "yesterday"]);
    assert!(told.contains("`yesterday` is no date"), "{told}");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let site = Site::new();
    site.done(&["import", "--pbx", "b", "--queue-log", &capture("asterisk-16.28", "queue_log")]);
    let told = site.refused(2, &["query-api", "--listen", "0.0.0.0:0"]);
    assert!(told.contains("only loopback addresses are served") && told.contains("hint:"), "{told}");
}

#[test]
fn a_missing_file_ends_with_4() {
    let site = Site::new();
    let told = site.refused(4, &["import", "--pbx", "a", "--ami", "not-there.raw"]);
    assert!(told.contains("not-there.raw") && told.contains("cause: "), "{told}");
}

#[test]
fn a_wrong_query_ends_with_2_and_a_forbidden_one_too() {
    let site = Site::new();
    site.done(&["import", "--pbx", "b", "--queue-log", &capture("asterisk-16.28", "queue_log")]);
    let told = site.refused(2, &["sql", "SELECT nothing FROM calls"]);
    assert!(told.starts_with("error: invalid query"), "{told}");
    let told = site.refused(2, &["sql", "DROP TABLE calls"]);
    assert!(told.contains("hint:"), "{told}");
}

#[test]
fn a_data_directory_that_another_process_writes_to_ends_with_3() {
    let site = Site::new();
    let _held = EmbeddedLog::open(&site.data().join("log"), &[], EmbeddedOptions::default()).unwrap();
    let queue_log = capture("asterisk-16.28", "queue_log");
    for command in [&["import", "--pbx", "b", "--queue-log", &queue_log][..], &["up"]] {
        let told = site.refused(3, command);
        assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
    }
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let site = Site::new();
    let (help, _) = site.done(&["--help"]);
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let readme = include_str!("../../../README.md");
    for line in codes.lines().filter(|line| !line.trim().is_empty()) {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        assert!(readme.contains(&format!("| {code} | {} |", meaning.trim())), "README.md lacks {line}");
    }
}
