//! `lake`: what the tables consist of, and that looking after them changes no answer, beside `up` or without it.

use super::started::{Site, capture};

/// A site whose tables have several files of the same day each.
fn imported_in_pieces() -> Site {
    let site = Site::new();
    for (kind, file) in [("--queue-log", "queue_log"), ("--cel", "cel.csv"), ("--ami", "ami.raw")] {
        site.done(&["import", "--pbx", "site-a", "--tz", "UTC", "--keep-open", kind, &capture("asterisk-22.10", file)]);
    }
    site
}

/// The column of that title in the table's line.
fn listed(site: &Site, table: &str, title: &str) -> String {
    let (told, _) = site.done(&["lake", "ls"]);
    let titles: Vec<&str> = told.lines().next().unwrap().split_whitespace().collect();
    let line = told.lines().find(|line| line.trim_start().starts_with(table)).unwrap_or_else(|| panic!("{told}"));
    let at = titles.iter().position(|known| *known == title).unwrap();
    line.split_whitespace().nth(at).unwrap_or_default().to_owned()
}

#[test]
fn merging_leaves_fewer_files_and_the_same_rows() {
    let site = imported_in_pieces();
    let rows = |site: &Site| site.rows("SELECT * FROM inputs ORDER BY \"offset\"");
    let (before, calls) = (rows(&site), site.calls());
    assert_eq!(listed(&site, "inputs", "rows"), before.len().to_string());
    assert_eq!(listed(&site, "inputs", "oldest"), "2026-11-22");
    let files: usize = listed(&site, "inputs", "files").parse().unwrap();
    assert!(files >= 3, "{files} files");
    let (would, _) = site.done(&["lake", "compact", "--dry-run"]);
    assert!(would.contains(&format!("inputs: would be merged {files} files")), "{would}");
    assert_eq!(listed(&site, "inputs", "files"), files.to_string());
    let (done, _) = site.done(&["lake", "compact"]);
    assert!(done.contains(&format!("inputs: merged {files} files")), "{done}");
    assert_eq!(listed(&site, "inputs", "files"), "1");
    assert_eq!((rows(&site), site.calls()), (before, calls));
    assert_eq!(site.done(&["lake", "compact"]).0, "nothing to do\n");
    assert_eq!(site.done(&["lake", "vacuum"]).0, "nothing to do\n", "for a day somebody may still read them");
}

#[test]
fn while_up_runs_it_is_done_by_it() {
    let site = imported_in_pieces();
    let calls = site.calls();
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("serving queries");
    let (done, _) = site.done(&["lake", "compact"]);
    assert!(done.contains("inputs: merged"), "{done}");
    assert_eq!(site.calls(), calls);
    up.stop();
    assert_eq!((listed(&site, "inputs", "files"), site.calls()), ("1".to_owned(), calls));
}

#[test]
fn a_checkpoint_is_written_where_the_table_has_changed() {
    let site = imported_in_pieces();
    let calls = site.calls();
    assert_eq!(listed(&site, "calls", "checkpoint"), "");
    let (would, _) = site.done(&["lake", "checkpoint", "--dry-run"]);
    assert!(would.contains("calls: would be checkpointed"), "{would}");
    assert_eq!(listed(&site, "calls", "checkpoint"), "");
    let (done, _) = site.done(&["lake", "checkpoint"]);
    assert!(done.contains("calls: checkpointed"), "{done}");
    assert_eq!(listed(&site, "calls", "checkpoint"), listed(&site, "calls", "version"));
    assert_eq!(site.done(&["lake", "checkpoint"]).0, "nothing to do\n");
    // The commits before it are not needed any more.
    let log = site.data().join("lake/g1/calls/_delta_log");
    for entry in std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|kind| kind == "json") {
            std::fs::remove_file(entry).unwrap();
        }
    }
    assert_eq!(site.calls(), calls);
}

#[test]
fn looking_at_the_tables_makes_none() {
    let site = Site::new();
    site.done(&["import", "--pbx", "site-a", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    let lake = site.data().join("lake");
    std::fs::remove_dir_all(lake.join("g1/legs")).unwrap();
    let (told, _) = site.done(&["lake", "ls"]);
    assert!(told.contains("calls") && !told.contains("legs"), "{told}");
    assert!(!lake.join("g1/legs").exists());
    std::fs::remove_dir_all(&lake).unwrap();
    site.refused(4, &["lake", "ls"]);
    assert!(!lake.exists());
}

#[test]
fn nothing_is_dropped_that_nobody_said() {
    let site = imported_in_pieces();
    let told = site.refused(2, &["lake", "retain"]);
    assert!(told.contains("every table keeps all of its days") && told.contains("retain_days"), "{told}");
    site.configured("[lake.retain_days]\ninputs = 36500\n");
    assert_eq!(site.done(&["lake", "retain"]).0, "nothing to do\n");
    site.configured("[lake.retain_days]\ninputz = 1\n");
    let told = site.refused(2, &["lake", "retain"]);
    assert!(told.contains("`inputz` is no table"), "{told}");
}
