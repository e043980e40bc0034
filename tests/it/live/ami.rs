//! Who makes the calls: a manager session of the test's own, beside the collector's, that says and waits.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::servers::{SECRET, USER};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event or a response, by its lines.
pub(super) type Message = BTreeMap<String, String>;

/// One session.
pub(super) struct Ami {
    stream: TcpStream,
    heard: Arc<(Mutex<Vec<Message>>, Condvar)>,
}

impl Ami {
    /// Logs in as soon as the server lets it, and waits until it is fully booted.
    pub(super) fn log_in(address: &str) -> Self {
        let until = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < until, "no Asterisk at {address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let heard: Arc<(Mutex<Vec<Message>>, Condvar)> = Arc::default();
        let (reader, hearing) = (BufReader::new(stream.try_clone().unwrap()), Arc::clone(&heard));
        std::thread::spawn(move || {
            let mut message = Message::new();
            for line in reader.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !line.is_empty() {
                    let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
                    message.entry(name.to_owned()).or_insert_with(|| value.to_owned());
                } else if !message.is_empty() {
                    hearing.0.lock().unwrap().push(std::mem::take(&mut message));
                    hearing.1.notify_all();
                }
            }
        });
        let ami = Self { stream, heard };
        ami.say(&[("Action", "Login"), ("Username", USER), ("Secret", SECRET)]);
        ami.hears(0, "that it is booted", |event| is(event, "Event", "FullyBooted"));
        ami
    }

    pub(super) fn say(&self, lines: &[(&str, &str)]) {
        let text: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        (&self.stream).write_all(format!("{text}\r\n").as_bytes()).unwrap();
    }

    /// How much was heard so far.
    pub(super) fn mark(&self) -> usize {
        self.heard.0.lock().unwrap().len()
    }

    /// Waits for the first such message after that.
    pub(super) fn hears(&self, mark: usize, what: &str, is_it: impl Fn(&Message) -> bool) -> Message {
        let until = Instant::now() + PATIENCE;
        let mut heard = self.heard.0.lock().unwrap();
        loop {
            if let Some(found) = heard.iter().skip(mark).find(|message| is_it(message)) {
                return found.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said: Vec<_> = heard.iter().skip(mark).map(brief).collect();
                // Its reader goes on.
                drop(heard);
                panic!("never heard {what}, but\n{}", said.join("\n"));
            }
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        }
    }
}

impl Drop for Ami {
    fn drop(&mut self) {
        // Its reader ends with it.
        drop(self.stream.shutdown(std::net::Shutdown::Both));
    }
}

/// What it is and of which channel.
fn brief(message: &Message) -> String {
    let shown = ["Event", "Response", "Message", "Channel", "Uniqueid", "Exten", "ChannelStateDesc"];
    shown.iter().filter_map(|name| message.get(*name).map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// Whether a line of the message says that.
pub(super) fn is(message: &Message, name: &str, value: &str) -> bool {
    message.get(name).is_some_and(|found| found == value)
}
