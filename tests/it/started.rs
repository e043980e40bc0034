//! Runs the built program in an environment of its own, and waits for what it says.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stderr, reason = "what the processes said, where a test failed")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::machine::Place;

/// Tables that are derived from what a PBX said, each with its key.
pub(crate) const DERIVED: [(&str, &str); 6] = [
    ("calls", "call_id"),
    ("attempts", "call_id"),
    ("legs", "leg_id"),
    ("queue_visits", "visit_id"),
    ("stories", "call_id"),
    ("rejects", "reject_id"),
];

/// More than anything here can take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fresh data directory and a configuration file beside it; both go at the end.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    _place: Place,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), _place: Place::beside() }
    }

    /// For a test with a stopwatch.
    pub(crate) fn alone() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), _place: Place::alone() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn configured(&self, text: &str) {
        std::fs::write(self.dir.path().join("calltide.toml"), text).unwrap();
    }

    /// The program with these arguments, in the directory of the configuration, with nothing of our environment in it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_calltide"));
        command.args(arguments).arg("--data").arg(self.data()).current_dir(self.dir.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CALLTIDE_")) {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs it with this on its stdin.
    pub(crate) fn fed(&self, arguments: &[&str], text: &str) -> Output {
        let mut command = self.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // Whoever refuses it need not read all of it.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs it, expects success, and returns its stdout and stderr.
    pub(crate) fn done(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (data, told) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {told}");
        (data, told)
    }

    /// Runs it, expects this exit code and nothing on stdout, and returns its stderr.
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        told
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, query: &str) -> Vec<Value> {
        serde_json::from_str(&self.done(&["sql", query, "--format", "json"]).0).unwrap()
    }

    /// Every call with what became of it, in an order of its own.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.rows("SELECT call_id, status, agent, talk_ms, wait_ms, settled, version FROM calls ORDER BY call_id")
    }

    /// Starts it and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, told) = channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, told, heard: Vec::new() }
    }
}

/// A running program.
pub(crate) struct Running {
    child: Child,
    told: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    /// Waits until it tells of this, and returns the line.
    pub(crate) fn tells(&mut self, what: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.told.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if line.contains(what) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("it never told of {what:?}, but of:\n{}", self.heard.join("\n"))
                }
            }
        }
    }

    /// Asks it to end as a service manager does, and waits until it has ended well.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        self.ends_with(0);
    }

    pub(crate) fn ends_with(&mut self, code: i32) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.heard.extend(self.told.iter());
                assert_eq!(status.code(), Some(code), "{}", self.heard.join("\n"));
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not end:\n{}", self.heard.join("\n"));
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended in a test that went well.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            self.heard.extend(self.told.iter());
            eprintln!("-- what {} said\n{}", self.child.id(), self.heard.join("\n"));
        }
    }
}

/// Where it serves queries, as it says.
pub(super) fn url(running: &mut Running) -> String {
    // It may have said so before something else that was waited for.
    let said = running.heard.iter().rfind(|line| line.contains("serving queries")).cloned();
    address(&said.unwrap_or_else(|| running.tells("serving queries")))
}

/// The address that a line names.
pub(crate) fn address(line: &str) -> String {
    let (_, rest) = line.split_once("http://").unwrap();
    let address = rest.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next().unwrap();
    format!("http://{address}")
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A file of a recorded PBX.
pub(crate) fn capture(pbx: &str, file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(pbx);
    folder.join(file).to_str().unwrap().to_owned()
}

/// The most memory that the process ever held, in MiB.
pub(crate) fn peak_mib(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// A GET over HTTP; returns the head and the body.
pub(crate) fn get(url: &str, path: &str) -> (String, String) {
    exchange(url, &format!("GET {path}"), "")
}

/// A POST of a text over HTTP; returns the head and the body.
pub(crate) fn post(url: &str, path: &str, body: &str) -> (String, String) {
    exchange(url, &format!("POST {path}"), body)
}

/// A PUT of a text over HTTP; returns the head and the body.
pub(crate) fn put(url: &str, path: &str, body: &str) -> (String, String) {
    exchange(url, &format!("PUT {path}"), body)
}

/// A DELETE over HTTP; returns the head and the body.
pub(crate) fn delete(url: &str, path: &str) -> (String, String) {
    exchange(url, &format!("DELETE {path}"), "")
}

/// A GET over HTTP of what is wanted in that media type.
pub(crate) fn get_as(url: &str, path: &str, accept: &str) -> (String, String) {
    exchange_with(url, &format!("GET {path}"), &format!("Accept: {accept}\r\n"), "")
}

fn exchange(url: &str, asked: &str, body: &str) -> (String, String) {
    exchange_with(url, asked, "", body)
}

fn exchange_with(url: &str, asked: &str, headers: &str, body: &str) -> (String, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{asked} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    let mut sending = stream.try_clone().unwrap();
    // Whoever gets too much may answer before it has read all.
    let _ = std::io::Write::write_all(&mut sending, head.as_bytes());
    let _ = std::io::Write::write_all(&mut sending, body.as_bytes());
    let mut answer = String::new();
    // The connection is reset where a part of the request was never read; the answer came before that.
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (head.to_owned(), if chunked { unchunked(body) } else { body.to_owned() })
}

/// The content of a body that was sent in pieces, each behind its length; as far as it came.
fn unchunked(mut body: &str) -> String {
    let mut content = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or_default().min(rest.len());
        content.push_str(&rest[..length]);
        if length == 0 {
            break;
        }
        body = rest[length..].trim_start_matches("\r\n");
    }
    content
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
