//! The query process is ended by force, or may not write anything: collecting goes on, the next one answers, and what the last one
//! left behind is cleared.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use calltide_ingest::playback::Speed;
use rustix::process::{Pid, Signal, kill_process};

use super::attacks::{filled, pid_in, serving, status};
use super::running::{Asterisk, outcomes};
use super::started::{Site, capture, post, text, until};

fn end_by(signal: Signal, pid: &str) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), signal).unwrap();
}

/// How many events of AMI are kept.
fn events(site: &Site) -> u64 {
    site.rows("SELECT count(*) AS n FROM inputs WHERE source = 'ami'")[0]["n"].as_u64().unwrap()
}

#[test]
fn no_event_is_lost_while_the_query_process_is_aborted_and_the_next_answer_comes_within_two_seconds() {
    let imported = Site::alone();
    imported.done(&["import", "--pbx", "site-a", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    let (wanted, count) = (outcomes(&imported), events(&imported));
    // About ten seconds.
    let mut asterisk = Asterisk::playing_at("asterisk-22.10", Speed::PerSecond(300.0));
    let site = Site::new();
    site.configured(&asterisk.configuration());
    let (mut up, url, mut pid) = serving(&site);
    let seen = || {
        let (head, body) = post(&url, "/api/v1/sql", "SELECT count(*) AS n FROM inputs");
        assert_eq!(status(&head), 200, "{body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()[0]["n"].as_u64().unwrap()
    };
    for time in 1..=3 {
        let before = seen();
        until("events come in", || seen() > before);
        end_by(Signal::ABORT, &pid);
        let aborted = Instant::now();
        let after = seen();
        let took = aborted.elapsed();
        assert!(took < Duration::from_secs(2), "time {time}: the first answer came after {took:?}");
        assert!(after > before, "time {time}: {before} events were seen, then {after}");
        assert!(asterisk.goes_on(), "time {time}: nothing came any more");
        pid = pid_in(&up.tells("serving queries"));
    }
    asterisk.all_sent();
    until("every event is there", || events(&site) >= count);
    until("every call is told and settled", || outcomes(&site) == wanted);
    assert_eq!(events(&site), count);
    up.stop();
}

#[test]
fn what_a_killed_query_process_has_spilled_is_removed_by_the_next_one() {
    let site = filled();
    site.configured("[query]\nmemory = \"128MB\"\nmemory_margin = \"1GB\"\ndeadline = \"60s\"\n");
    let (mut up, url, pid) = serving(&site);
    let folder = site.data().join("spill").join(&pid);
    let large = "SELECT i.payload, c.call_id FROM calls c CROSS JOIN inputs i ORDER BY i.payload, c.call_id DESC";
    std::thread::scope(|scope| {
        // Nobody answers it any more.
        scope.spawn(|| cut_off(&url, large));
        until("it spills", || has_files(&folder));
        end_by(Signal::KILL, &pid);
        let next = pid_in(&up.tells("serving queries"));
        assert_ne!(next, pid);
        until("what it spilled is gone", || !folder.exists());
        let (head, body) = post(&url, "/api/v1/sql", "SELECT count(*) AS n FROM calls");
        assert_eq!(status(&head), 200, "{body}");
    });
    up.stop();
}

/// Asks, and takes whatever becomes of it.
fn cut_off(url: &str, sql: &str) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!("POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", sql.len());
    stream.write_all(format!("{head}{sql}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.is_empty(), "{}", text(&answer));
}

fn has_files(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.is_file() || has_files(&path))
}

#[test]
fn data_that_may_only_be_read_can_be_asked() {
    let site = Site::new();
    site.done(&["import", "--pbx", "site-a", "--ami", &capture("asterisk-22.10", "ami.raw")]);
    let wanted = site.rows("SELECT call_id, status FROM calls ORDER BY call_id");
    may_write(&site.data(), false);
    let asked = unprivileged(&site, &["sql", "SELECT call_id, status FROM calls ORDER BY call_id", "--format", "json"]);
    let told = text(&asked.stderr);
    assert!(asked.status.success(), "{told}");
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&asked.stdout).unwrap(), wanted);
    for arguments in [&["report", "outcomes"][..], &["lake", "ls"], &["log", "ls"]] {
        let output = unprivileged(&site, arguments);
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    }
    let refused = unprivileged(&site, &["lake", "compact"]);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "it cannot have been merged");
    may_write(&site.data(), true);
    assert_eq!(site.rows("SELECT call_id, status FROM calls ORDER BY call_id"), wanted);
}

/// Gives everybody the right to read all of a folder, and its owner that to write or not.
fn may_write(folder: &Path, write: bool) {
    let owner = if write { 0o200 } else { 0 };
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    set(folder, 0o755);
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => may_write(&entry.path(), write),
            kind if kind.is_file() => set(&entry.path(), 0o444 | owner),
            _ => {}
        }
    }
    set(folder, 0o555 | owner);
}

/// The program as somebody for whom permissions count: root may write anywhere.
fn unprivileged(site: &Site, arguments: &[&str]) -> std::process::Output {
    const NOBODY: u32 = 65_534;
    let usual = site.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return site.run(arguments);
    }
    let folder = usual.get_current_dir().unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    // Where it was built others may have no way to.
    let program = folder.join("calltide");
    if !program.exists() {
        std::fs::copy(usual.get_program(), &program).unwrap();
    }
    let mut command = Command::new(program);
    command.args(usual.get_args()).current_dir(folder).env_clear().env("TMPDIR", std::env::temp_dir());
    command.uid(NOBODY).gid(NOBODY).output().unwrap()
}
