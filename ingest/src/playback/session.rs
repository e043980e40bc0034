//! One client of the playback: its login, its pings, and the recording from where the client before it was left.
//!
//! Like Asterisk it drops a client that takes nothing for the time of `writetimeout`. Steady load is in `load`.

mod load;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use calltide_schemas::Micros;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::{AtEnd, Channels, Fault, More, PlaybackOptions, Played, Recording, Speed, channels, members};
use crate::ami::challenge_key;

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What Asterisk accepts as one action, roughly: 128 lines of 1,024 bytes.
const ACTION_BYTES_MAX: usize = 128 << 10;

/// The longest run of bytes that is written at once.
const WRITE_BYTES_MAX: u64 = 1_500;

/// The challenge given to everybody: the server is for tests and demonstrations.
const CHALLENGE: &str = "280495117";

/// How fast time goes on behind the end of a recording that was played without limit.
const UNLIMITED_AFTERWARDS: f64 = 60.0;

/// The state of the playback, over all clients.
pub(super) struct Play {
    recording: Arc<Recording>,
    /// Gives what comes after it.
    more: Option<More>,
    options: PlaybackOptions,
    told: watch::Sender<Played>,
    /// The next piece.
    next: usize,
    /// Events of recordings before this one.
    events_before: usize,
    /// Times of the very first piece, and of the last one that was sent.
    first: Micros,
    latest: Micros,
    /// Bytes of the recording that were sent or left out.
    bytes: u64,
    faults: std::vec::IntoIter<Fault>,
    fault: Option<Fault>,
    /// When the first client had logged in, and when the last piece was sent.
    began: Option<Instant>,
    ended: Option<Instant>,
    over: bool,
    odd: u64,
}

/// An action: its headers, in order.
struct Action(Vec<(String, String)>);

impl Action {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

struct Actions {
    reader: ReadHalf<Box<dyn Duplex>>,
    buffer: BytesMut,
}

impl Actions {
    /// The next action, `None` when the client is gone. What was read stays if this is cancelled.
    async fn next(&mut self) -> io::Result<Option<Action>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let action = self.buffer.split_to(end + 4);
                let text = String::from_utf8_lossy(&action);
                let header = |line: &str| {
                    let (name, value) = line.split_once(':')?;
                    Some((name.trim().to_owned(), value.trim().to_owned()))
                };
                return Ok(Some(Action(text.split("\r\n").filter_map(header).collect())));
            }
            if self.buffer.len() > ACTION_BYTES_MAX || self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

type Writer = WriteHalf<Box<dyn Duplex>>;

impl Play {
    pub(super) fn new(recording: Arc<Recording>, options: PlaybackOptions, told: watch::Sender<Played>) -> Self {
        let mut faults = options.faults.clone().into_iter();
        let fault = faults.next();
        let (first, _) = recording.span();
        Self {
            first,
            latest: first,
            recording,
            more: None,
            options,
            told,
            next: 0,
            events_before: 0,
            bytes: 0,
            faults,
            fault,
            began: None,
            ended: None,
            over: false,
            odd: 1,
        }
    }

    /// Recordings that are played one after the other.
    pub(super) fn with_more(self, more: More) -> Self {
        Self { more: Some(more), ..self }
    }

    /// Where to listen.
    pub(super) fn address(&self) -> SocketAddr {
        self.options.listen
    }

    pub(super) fn tls(&self) -> Option<&TlsAcceptor> {
        self.options.tls.as_ref()
    }

    /// Whether nobody is served any more.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Serves one client until it or the recording ends.
    pub(super) async fn client(&mut self, wire: Box<dyn Duplex>) -> io::Result<()> {
        self.told.send_modify(|played| played.connections += 1);
        let (reader, mut writer) = split(wire);
        let mut actions = Actions { reader, buffer: BytesMut::new() };
        writer.write_all(b"Asterisk Call Manager/11.0.0\r\n").await?;
        writer.flush().await?;
        while let Some(action) = actions.next().await? {
            if self.log_in(&action, &mut writer).await? {
                self.began.get_or_insert_with(Instant::now);
                return self.play(&mut actions, &mut writer).await;
            }
            if action.get("Action").eq_ignore_ascii_case("Login") {
                break;
            }
        }
        hang_up(&mut actions, &mut writer).await
    }

    async fn log_in(&self, action: &Action, writer: &mut Writer) -> io::Result<bool> {
        let name = action.get("Action");
        if name.eq_ignore_ascii_case("Challenge") {
            answer(writer, action, "Success", &format!("Challenge: {CHALLENGE}\r\n")).await?;
            return Ok(false);
        }
        if !name.eq_ignore_ascii_case("Login") {
            answer(writer, action, "Error", "Message: Permission denied\r\n").await?;
            return Ok(false);
        }
        let secret = &self.options.secret;
        let proven = if action.get("AuthType").eq_ignore_ascii_case("MD5") {
            action.get("Key") == challenge_key(CHALLENGE, secret)
        } else {
            action.get("Secret") == secret
        };
        let welcome = proven && action.get("Username") == self.options.username;
        let (result, message) = if welcome { ("Success", "accepted") } else { ("Error", "failed") };
        answer(writer, action, result, &format!("Message: Authentication {message}\r\n")).await?;
        Ok(welcome)
    }

    async fn play(&mut self, actions: &mut Actions, writer: &mut Writer) -> io::Result<()> {
        let mut hold = self.options.hold.clone();
        loop {
            let held = hold.as_mut().is_some_and(|hold| *hold.borrow_and_update() <= self.sent());
            let due = self.due().filter(|_| !held);
            tokio::select! {
                () = more(&mut hold), if held => {}
                action = actions.next() => {
                    let Some(action) = action? else { return Ok(()) };
                    if !self.act(&action, writer).await? {
                        return hang_up(actions, writer).await;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let sent = match self.options.speed {
                        Speed::PerSecond(events) => self.send_due(events, writer).await.map(|()| None),
                        Speed::Times(_) | Speed::Unlimited => self.send(writer).await,
                    };
                    match sent? {
                        None => {}
                        Some(Fault::FallSilent { .. }) => return hear_out(actions).await,
                        Some(Fault::Close { .. } | Fault::LeaveOut { .. }) => return hang_up(actions, writer).await,
                    }
                }
            }
            if self.ended.is_some() && self.options.at_end == AtEnd::Close {
                self.over = true;
                return hang_up(actions, writer).await;
            }
        }
    }

    /// Answers an action; `false` if the client says goodbye.
    async fn act(&self, action: &Action, writer: &mut Writer) -> io::Result<bool> {
        let name = action.get("Action");
        if name.eq_ignore_ascii_case("Ping") {
            let now = self.now().0;
            let time = format!("{}.{:06}", now.div_euclid(1_000_000), now.rem_euclid(1_000_000));
            answer(writer, action, "Success", &format!("Ping: Pong\r\nTimestamp: {time}\r\n")).await?;
        } else if name.eq_ignore_ascii_case("Logoff") {
            answer(writer, action, "Goodbye", "").await?;
            return Ok(false);
        } else if name.eq_ignore_ascii_case("CoreShowChannels") && self.options.channels != Channels::Unsaid {
            let begins = "EventList: start\r\nMessage: Channels will follow\r\n";
            self.show(action, begins, channels::listed(self.said(), action.get("ActionID")), writer).await?;
        } else if name.eq_ignore_ascii_case("QueueStatus") && self.options.channels != Channels::Unsaid {
            let begins = "EventList: start\r\nMessage: Queue status will follow\r\n";
            self.show(action, begins, members::listed(self.said(), action.get("ActionID")), writer).await?;
        } else {
            answer(writer, action, "Error", "Message: a playback can't do that\r\n").await?;
        }
        Ok(true)
    }

    /// What was said so far.
    fn said(&self) -> impl Iterator<Item = &[u8]> {
        self.recording.pieces()[..self.next].iter().map(|piece| self.recording.bytes(piece.range.clone()))
    }

    async fn show(&self, action: &Action, begins: &str, listed: String, writer: &mut Writer) -> io::Result<()> {
        if self.options.channels == Channels::Refused {
            return answer(writer, action, "Error", "Message: Permission denied\r\n").await;
        }
        answer(writer, action, "Success", begins).await?;
        writer.write_all(listed.as_bytes()).await?;
        writer.flush().await
    }

    /// When the next piece is to be sent.
    fn due(&self) -> Option<Instant> {
        let piece = self.recording.pieces().get(self.next)?;
        let began = self.began?;
        Some(match self.options.speed {
            Speed::Unlimited => began,
            Speed::PerSecond(events) => began + Duration::from_secs_f64(self.sent() as f64 / events),
            Speed::Times(times) => began + span(piece.at - self.first).div_f64(times),
        })
    }

    /// The time that the played PBX shows.
    fn now(&self) -> Micros {
        let (_, last) = self.recording.span();
        let passed = |since: Option<Instant>, times: f64| {
            let passed = since.map_or(Duration::ZERO, |since| since.elapsed());
            i64::try_from(passed.mul_f64(times).as_micros()).unwrap_or(i64::MAX)
        };
        match (self.recording.pieces().get(self.next), self.options.speed) {
            (None, Speed::Times(times)) => last + passed(self.ended, times),
            (None, Speed::Unlimited | Speed::PerSecond(_)) => last + passed(self.ended, UNLIMITED_AFTERWARDS),
            (Some(_), Speed::Unlimited | Speed::PerSecond(_)) => self.latest,
            (Some(next), Speed::Times(times)) => {
                (self.first + passed(self.began, times)).clamp(self.latest.min(next.at), next.at)
            }
        }
    }

    /// Sends the next piece, in odd portions. A fault that ends the connection is returned.
    async fn send(&mut self, writer: &mut Writer) -> io::Result<Option<Fault>> {
        let recording = Arc::clone(&self.recording);
        let piece = &recording.pieces()[self.next];
        let mut rest = recording.bytes(piece.range.clone());
        self.latest = piece.at;
        self.next += 1;
        let mut ending = None;
        while !rest.is_empty() && ending.is_none() {
            let until_fault = self.fault.map_or(u64::MAX, |fault| fault.after().saturating_sub(self.bytes));
            let portion = self.portion().min(until_fault).min(rest.len() as u64);
            let (now, later) = rest.split_at(usize::try_from(portion).unwrap_or(rest.len()));
            self.write_all(writer, now).await?;
            self.bytes += portion;
            rest = later;
            if portion == until_fault {
                match self.fault {
                    Some(Fault::LeaveOut { bytes, .. }) => {
                        let left_out = bytes.min(rest.len() as u64);
                        rest = rest.get(usize::try_from(left_out).unwrap_or(rest.len())..).unwrap_or_default();
                        self.bytes += left_out;
                    }
                    fault => ending = fault,
                }
                self.fault = self.faults.next();
            }
        }
        writer.flush().await?;
        self.turn_over();
        Ok(ending)
    }

    /// After a piece: at the end of a recording the next one begins, if there is one. Tells how far it is.
    fn turn_over(&mut self) {
        if self.next == self.recording.pieces().len() {
            match self.more.as_mut().and_then(|more| more()) {
                Some(recording) => {
                    self.events_before += self.next;
                    (self.recording, self.next) = (Arc::new(recording), 0);
                }
                None => self.ended = Some(Instant::now()),
            }
        }
        let (sent, ended) = (self.sent(), self.ended.is_some());
        self.told.send_modify(|played| {
            played.events = sent;
            if ended {
                played.events_total = sent;
            }
        });
    }

    /// Writes everything. A client that takes nothing for too long is dropped, and what it has not taken is lost to it.
    async fn write_all(&self, writer: &mut Writer, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let began = Instant::now();
            let taken = match self.options.write_timeout {
                None => writer.write(bytes).await?,
                Some(limit) => match timeout(limit, writer.write(bytes)).await {
                    Ok(taken) => taken?,
                    Err(_) => {
                        self.told.send_modify(|played| played.dropped += 1);
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"));
                    }
                },
            };
            let stall = began.elapsed();
            self.told.send_if_modified(|played| {
                let longer = stall > played.longest_stall;
                played.longest_stall = played.longest_stall.max(stall);
                longer
            });
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Events sent so far.
    fn sent(&self) -> usize {
        self.events_before + self.next
    }

    /// An odd number of bytes, from a linear congruential sequence (Numerical Recipes), so that frames are cut anywhere.
    fn portion(&mut self) -> u64 {
        self.odd = self.odd.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) & 0xffff_ffff;
        1 + (self.odd >> 8) % WRITE_BYTES_MAX
    }
}

/// Returns when more may be sent than before.
async fn more(hold: &mut Option<watch::Receiver<usize>>) {
    let nobody_says_more = match hold {
        Some(hold) => hold.changed().await.is_err(),
        None => true,
    };
    if nobody_says_more {
        std::future::pending().await
    }
}

/// Ends the connection so that the client gets all that was sent: closing with something unread would reset it.
async fn hang_up(actions: &mut Actions, writer: &mut Writer) -> io::Result<()> {
    writer.shutdown().await?;
    hear_out(actions).await
}

/// Takes what the client says until it is gone.
async fn hear_out(actions: &mut Actions) -> io::Result<()> {
    while actions.next().await?.is_some() {}
    Ok(())
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

async fn answer(writer: &mut Writer, action: &Action, result: &str, rest: &str) -> io::Result<()> {
    let id = match action.get("ActionID") {
        "" => String::new(),
        id => format!("ActionID: {id}\r\n"),
    };
    writer.write_all(format!("Response: {result}\r\n{id}{rest}\r\n").as_bytes()).await?;
    writer.flush().await
}
