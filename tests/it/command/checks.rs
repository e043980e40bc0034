//! `check`: what is wrong is an error with a hint, and only errors count.

use std::sync::Arc;

use calltide_ingest::playback::{Playback, PlaybackOptions, Recording, Speed};

use super::started::{Site, capture, text};

#[test]
fn a_fresh_machine_is_well() {
    let site = Site::new();
    let (table, _) = site.done(&["check", "--offline"]);
    for line in ["configuration", "data directory", "disk space", "clock", "none configured"] {
        assert!(table.contains(line), "{line} in\n{table}");
    }
}

#[test]
fn a_wrong_configuration_is_an_error() {
    let site = Site::new();
    site.configured("[http]\nlissten = \"x\"\n");
    let output = site.run(&["check"]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("error") && table.contains("did you mean `listen`?"), "{table}");
}

#[test]
fn a_pbx_is_logged_in_to_and_listened_to() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let recording = Arc::new(Recording::new(std::fs::read(capture("asterisk-22.10", "ami.raw")).unwrap()).unwrap());
    let options = PlaybackOptions { speed: Speed::Unlimited, ..PlaybackOptions::new("calltide", "secret") };
    let playback = runtime.block_on(Playback::start(recording, options)).unwrap();
    let site = Site::new();
    let configured = |secret: &str| {
        let port = playback.address.port();
        site.configured(&format!(
            "[[pbx]]\nid = \"site-a\"\nhost = \"127.0.0.1\"\nport = {port}\nusername = \"calltide\"\nsecret = \"{secret}\"\n"
        ));
    };
    configured("wrong");
    let output = site.run(&["check"]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("refused user calltide") && table.contains("manager.conf"), "{table}");
    configured("secret");
    let (table, _) = site.done(&["check"]);
    assert!(table.contains("logged in at 127.0.0.1:"), "{table}");
    assert!(table.contains("events carry their time"), "{table}");
    assert!(!site.data().exists(), "a check makes nothing");
}
