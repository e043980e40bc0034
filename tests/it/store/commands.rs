//! The built program with `[lake] url`: the same rows as in a folder, and a clear word where the store cannot be used.

use super::server::{BUCKET, S3};
use crate::started::{DERIVED, Site, capture, text};

/// In three commits, so that rows are corrected and there is something to merge.
fn imported(site: &Site) {
    for (kind, file) in [("--queue-log", "queue_log"), ("--cel", "cel.csv"), ("--ami", "ami.raw")] {
        site.done(&["import", "--pbx", "site-a", "--tz", "UTC", "--keep-open", kind, &capture("asterisk-22.10", file)]);
    }
}

fn same_rows(site: &Site, other: &Site, when: &str) {
    for (table, order) in DERIVED.into_iter().chain([("inputs", "\"offset\"")]) {
        // When an event was imported is of the wall clock.
        let query = match table {
            "inputs" => format!("SELECT \"offset\", id, source, at FROM inputs ORDER BY {order}"),
            _ => format!("SELECT * FROM {table} ORDER BY {order}"),
        };
        let (rows, others) = (site.rows(&query), other.rows(&query));
        assert!(rows == others, "{when}, {table} differs: {} and {} rows", rows.len(), others.len());
        assert!(!rows.is_empty() || table == "rejects", "{table} is empty");
    }
}

#[test]
fn an_import_into_a_store_gives_the_rows_of_one_into_a_folder_whatever_is_done_to_them() {
    let s3 = S3::start();
    let (there, here) = (Site::new(), Site::new());
    there.configured(&s3.configuration());
    imported(&there);
    imported(&here);
    same_rows(&there, &here, "imported");
    assert!(!there.data().join("lake").exists(), "nothing of the tables is on this machine");
    let (listed, _) = there.done(&["lake", "ls"]);
    assert!(listed.contains("queue_visits"), "{listed}");
    let (told, _) = there.done(&["lake", "compact"]);
    assert!(told.contains("merged"), "{told}");
    there.done(&["lake", "vacuum"]);
    same_rows(&there, &here, "merged");
    for from in ["log", "archive"] {
        let (_, told) = there.done(&["replay", "--from", from]);
        assert!(told.contains("generation g"), "{told}");
        here.done(&["replay", "--from", from]);
        same_rows(&there, &here, from);
    }
    assert_eq!(there.done(&["report", "outcomes"]).0, here.done(&["report", "outcomes"]).0);
    let call = there.calls()[0]["call_id"].as_str().unwrap().to_owned();
    assert_eq!(there.done(&["inspect", &call]).0, here.done(&["inspect", &call]).0);
    // What is already there is found there again.
    let file = capture("asterisk-22.10", "queue_log");
    let (_, told) = there.done(&["import", "--pbx", "site-a", "--tz", "UTC", "--queue-log", &file]);
    assert!(told.contains("0 new events"), "{told}");
}

#[test]
fn a_store_that_cannot_be_used_is_told_at_the_start() {
    let s3 = S3::start();
    let file = capture("asterisk-22.10", "queue_log");
    let import = ["import", "--pbx", "site-a", "--tz", "UTC", "--queue-log", &file];
    let cases = [
        (s3.configured(BUCKET, "another secret"), "s3://calls/lake/", "hint:  [lake.store] must name a key"),
        (
            s3.configured("nowhere", "the secret of the store"),
            "s3://nowhere/lake/",
            "hint:  make the bucket or container",
        ),
    ];
    for (configuration, place, hint) in cases {
        let site = Site::new();
        site.configured(&configuration);
        for command in [&import[..], &["up", "--listen", "127.0.0.1:0"]] {
            let told = site.refused(1, command);
            assert!(told.contains(&format!("error: the lake at {place} cannot be used\ncause: ")), "{told}");
            assert!(told.contains(hint), "{told}");
        }
        let output = site.run(&["check", "--offline"]);
        let table = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{table}");
        assert!(table.contains(place) && table.contains("cannot be used"), "{table}");
    }
    let site = Site::new();
    site.configured(&s3.configuration());
    let (table, _) = site.done(&["check", "--offline"]);
    assert!(table.contains("honours conditional puts"), "{table}");
    assert_eq!(s3.objects(""), 0, "a check leaves nothing");
    site.configured(&s3.configuration().replace("allow_http", "alow_http"));
    let told = site.refused(2, &import);
    assert!(told.contains("`alow_http`"), "{told}");
}
