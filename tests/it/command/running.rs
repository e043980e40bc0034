//! `demo`, `up` and `query-api`: what runs for long, keeps what it collected, and ends when told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_ingest::playback::{Playback, PlaybackOptions, Recording, Speed};

use super::started::{Site, capture, get, post, until, url};

/// A played-back Asterisk in this process, at whose end time goes on.
pub(super) struct Asterisk {
    runtime: tokio::runtime::Runtime,
    playback: Playback,
}

impl Asterisk {
    fn playing(pbx: &str) -> Self {
        Self::playing_at(pbx, Speed::Unlimited)
    }

    pub(super) fn playing_at(pbx: &str, speed: Speed) -> Self {
        Self::saying(std::fs::read(capture(pbx, "ami.raw")).unwrap(), speed)
    }

    /// Says what was recorded in these bytes.
    pub(super) fn saying(recorded: Vec<u8>, speed: Speed) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let recording = Arc::new(Recording::new(recorded).unwrap());
        let options = PlaybackOptions { speed, ..PlaybackOptions::new("calltide", "secret") };
        let playback = runtime.block_on(Playback::start(recording, options)).unwrap();
        Self { runtime, playback }
    }

    /// Whether there are events still to come.
    pub(super) fn goes_on(&self) -> bool {
        let played = self.playback.played();
        played.events < played.events_total
    }

    pub(super) fn all_sent(&mut self) {
        self.runtime.block_on(self.playback.all_sent());
    }

    pub(super) fn configuration(&self) -> String {
        let port = self.playback.address.port();
        format!(
            "[[pbx]]\nid = \"site-a\"\nhost = \"127.0.0.1\"\nport = {port}\nusername = \"calltide\"\nsecret = \"secret\"\n"
        )
    }
}

/// What became of each call, however it was collected.
pub(super) fn outcomes(site: &Site) -> Vec<serde_json::Value> {
    site.rows("SELECT call_id, status, agent FROM calls WHERE settled ORDER BY call_id")
}

#[test]
fn up_collects_what_a_pbx_says_and_keeps_it() {
    let imported = Site::new();
    imported.done(&["import", "--pbx", "site-a", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    let wanted = outcomes(&imported);
    let mut asterisk = Asterisk::playing("asterisk-22.10");
    let site = Site::new();
    site.configured(&asterisk.configuration());
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("INFO connected");
    asterisk.all_sent();
    until("every call is told and settled", || outcomes(&site) == wanted);
    let (head, body) = get(&url(&mut up), "/api/v1/reports/outcomes?by=direction");
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("\"total\""), "{head}\n{body}");
    up.stop();
    assert_eq!(outcomes(&site), wanted);
}

#[test]
fn after_a_power_cut_up_goes_on_with_what_was_acknowledged() {
    let mut asterisk = Asterisk::playing("asterisk-22.10");
    let site = Site::new();
    site.configured(&asterisk.configuration());
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("INFO connected");
    asterisk.all_sent();
    until("some calls are told", || site.data().join("log").exists() && site.calls().len() > 10);
    up.kill();
    let before = site.calls().len();
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("INFO connected");
    until("nothing is lost", || site.calls().len() >= before);
    up.stop();
}

#[test]
fn the_query_process_is_started_again_and_collecting_goes_on() {
    let imported = Site::alone();
    imported.done(&["import", "--pbx", "site-a", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    let wanted = outcomes(&imported);
    let mut asterisk = Asterisk::playing("asterisk-22.10");
    let site = Site::new();
    site.configured(&asterisk.configuration());
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let first = up.tells("serving queries");
    let pid =
        first.split("pid=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().parse::<i32>().unwrap();
    let address = format!("http://{}", first.split("http://").nth(1).unwrap().split('"').next().unwrap());
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    let aborted = Instant::now();
    // Nobody is refused meanwhile: the socket is still there.
    let (head, body) = post(&address, "/api/v1/sql", "SELECT count(*) AS n FROM calls");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
    assert!(aborted.elapsed() < Duration::from_secs(2), "the first answer came after {:?}", aborted.elapsed());
    up.tells("collecting goes on");
    asterisk.all_sent();
    until("every call is told and settled", || outcomes(&site) == wanted);
    up.stop();
    assert!(std::net::TcpStream::connect(address.trim_start_matches("http://")).is_err(), "the child is gone too");
}

#[test]
fn the_demo_prints_the_report_and_leaves_nothing_behind() {
    let site = Site::new();
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_calltide"));
    let demo = demo.args(["demo", "--once", "--speed", "60"]).env("TMPDIR", temporary.path());
    let output = demo.env("CALLTIDE_DATA", site.data()).current_dir(temporary.path()).output().unwrap();
    let (table, told) = (super::started::text(&output.stdout), super::started::text(&output.stderr));
    assert!(output.status.success(), "{told}");
    for word in ["Outbound, per campaign", "Inbound, per queue", "autumn", "spring", "sales", "connected"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the temporary data is gone");
    assert!(!site.data().exists(), "a demo never gets into configured data");
}

#[test]
fn the_demos_calls_are_those_of_an_import() {
    let imported = Site::new();
    for (pbx, folder) in [("site-a", "asterisk-22.10"), ("site-b", "asterisk-16.28")] {
        imported.done(&["import", "--pbx", pbx, "--ami", &capture(folder, "ami.raw")]);
    }
    let demo = Site::new();
    demo.done(&["demo", "--once", "--speed", "60"]);
    assert_eq!(demo.rows("SELECT call_id FROM calls WHERE NOT settled").len(), 0);
    assert_eq!(outcomes(&demo), outcomes(&imported));
    let told = demo.refused(2, &["demo", "--once"]);
    assert!(told.contains("has data already"), "{told}");
}
