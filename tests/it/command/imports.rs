//! `import`: history gets in once, however it is given.

use super::started::{Site, capture};

fn import_all(site: &Site) -> String {
    let of = |file| capture("asterisk-22.10", file);
    let (ami, cel, queue_log) = (of("ami.raw"), of("cel.csv"), of("queue_log"));
    let files = ["import", "--pbx", "site-a", "--ami", &ami, "--cel", &cel, "--queue-log", &queue_log, "--tz", "UTC"];
    let (data, told) = site.done(&files);
    assert_eq!(data, "", "an import has no data to print");
    told
}

/// How many calls the recording was made of, internal ones and those between agents left out.
fn calls_made() -> usize {
    let truth = std::fs::read_to_string(capture("asterisk-22.10", "truth.json")).unwrap();
    let truth: Vec<serde_json::Value> = serde_json::from_str(&truth).unwrap();
    truth.iter().filter(|call| call["number"].is_string()).count()
}

#[test]
fn importing_twice_changes_nothing() {
    let site = Site::new();
    let told = import_all(&site);
    assert!(told.starts_with("imported site-a: "), "{told}");
    let calls = site.calls();
    assert!(calls.iter().all(|call| call["settled"] == true), "an import ends with every call settled");
    let told = import_all(&site);
    assert!(told.starts_with("imported site-a: 0 new events"), "{told}");
    assert!(told.contains("new calls      0"), "{told}");
    assert_eq!(site.calls(), calls);
}

#[test]
fn every_call_that_was_made_is_in_the_tables() {
    let site = Site::new();
    import_all(&site);
    assert_eq!(site.rows("SELECT call_id FROM calls WHERE direction <> 'internal'").len(), calls_made());
}

#[test]
fn while_up_runs_an_import_goes_through_it() {
    let alone = Site::new();
    import_all(&alone);
    let site = Site::new();
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("nothing is collected, imports and queries are served");
    let told = import_all(&site);
    assert!(told.starts_with("imported site-a: "), "the person sees the same: {told}");
    up.tells("import done");
    assert_eq!(site.calls(), alone.calls());
    let told = import_all(&site);
    assert!(told.starts_with("imported site-a: 0 new events"), "{told}");
    up.stop();
    assert_eq!(site.calls(), alone.calls(), "after the end they are still there");
    assert!(!site.data().join("control").exists(), "the socket is gone with its process");
}

#[test]
fn a_failing_import_through_up_tells_why() {
    let site = Site::new();
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("nothing is collected");
    let cel = capture("asterisk-22.10", "cel.csv");
    let told = site.refused(2, &["import", "--pbx", "site-a", "--queue-log", &cel]);
    assert!(told.contains("doesn't look like") && told.contains("hint:"), "{told}");
    up.stop();
}

#[test]
fn an_import_is_summed_up_and_rejects_are_counted() {
    let site = Site::new();
    let broken = site.data().with_extension("queue_log");
    let log = std::fs::read_to_string(capture("asterisk-16.28", "queue_log")).unwrap();
    std::fs::write(&broken, format!("{log}this is no line of a queue log\n")).unwrap();
    let (_, told) = site.done(&["import", "--pbx", "site-b", "--queue-log", broken.to_str().unwrap()]);
    assert!(told.contains("unreadable     1\n") && told.contains("rejects        1\n"), "{told}");
    assert_eq!(site.rows("SELECT reason FROM rejects").len(), 1);
}
