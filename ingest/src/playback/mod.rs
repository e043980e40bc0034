//! Plays a recording back as an Asterisk would say it: an AMI server for the demo and for tests.
//!
//! Login, Ping and Logoff are real, events come at the recorded pace or faster, with the recorded times, and on request the
//! server misbehaves. It knows frames and their times only. `recording` is what is played, `session` one client.

mod channels;
mod members;
mod recording;
mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use recording::{Recording, RecordingError};
use session::{Duplex, Play};

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many times as fast as it happened; more than 0.
    Times(f64),
    /// As fast as it is read.
    Unlimited,
    /// So many events a second, whenever they happened; more than 0. Faults don't occur.
    PerSecond(f64),
}

/// Gives one recording after the other, until there are no more.
pub type More = Box<dyn FnMut() -> Option<Recording> + Send + Sync>;

/// What to do when everything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// The PBX lives on: pings are answered, its time goes on at the same speed.
    Stay,
    /// The connection is closed, and no other is accepted.
    Close,
}

/// How to misbehave, each once, after so many bytes of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Closes the connection, in the middle of a frame if it falls so; the rest of that frame is lost.
    Close {
        /// After how many bytes.
        after: u64,
    },
    /// Says nothing more and answers nothing, but leaves the connection open.
    FallSilent {
        /// After how many bytes.
        after: u64,
    },
    /// Leaves bytes out and goes on, as Asterisk before 16.26 after a write that failed half-way.
    LeaveOut {
        /// After how many bytes.
        after: u64,
        /// How many.
        bytes: u64,
    },
}

impl Fault {
    const fn after(self) -> u64 {
        match self {
            Self::Close { after } | Self::FallSilent { after } | Self::LeaveOut { after, .. } => after,
        }
    }
}

/// How to play.
#[derive(Clone)]
pub struct PlaybackOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may log in.
    pub username: String,
    /// With which secret.
    pub secret: String,
    /// How fast.
    pub speed: Speed,
    /// And then.
    pub at_end: AtEnd,
    /// With TLS, if so configured.
    pub tls: Option<TlsAcceptor>,
    /// In the order of their places.
    pub faults: Vec<Fault>,
    /// A client that takes no byte for so long is dropped, as by Asterisk's `writetimeout`.
    pub write_timeout: Option<Duration>,
    /// Whether it says which channels are up, and who is in which queue.
    pub channels: Channels,
    /// Only so many events are sent until this says more. Not with [`Speed::PerSecond`].
    pub hold: Option<watch::Receiver<usize>>,
}

/// What a played PBX answers to `CoreShowChannels` and `QueueStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// That it can't: all that the client gets is what was recorded.
    #[default]
    Unsaid,
    /// That the user may not ask.
    Refused,
    /// Those that are up, and that are members, at that moment of the recording.
    Listed,
}

impl PlaybackOptions {
    /// On a free port of this machine, at the recorded pace, staying at the end.
    pub fn new(username: &str, secret: &str) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            username: username.to_owned(),
            secret: secret.to_owned(),
            speed: Speed::Times(1.0),
            at_end: AtEnd::Stay,
            tls: None,
            faults: Vec::new(),
            write_timeout: None,
            channels: Channels::default(),
            hold: None,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Played {
    /// Events sent.
    pub events: usize,
    /// Events in the recording; unknown (`usize::MAX`) while more recordings may follow.
    pub events_total: usize,
    /// Connections accepted.
    pub connections: usize,
    /// Clients that were dropped because they took nothing.
    pub dropped: usize,
    /// The longest time for which a client took nothing of what there was for it.
    pub longest_stall: Duration,
}

/// A server that plays. It ends when this is dropped.
#[derive(Debug)]
pub struct Playback {
    /// Where it listens.
    pub address: SocketAddr,
    played: watch::Receiver<Played>,
    task: JoinHandle<()>,
}

impl Playback {
    /// Listens. The recording begins when the first client has logged in; one client is served at a time.
    ///
    /// # Errors
    /// If the address can't be listened on.
    pub async fn start(recording: Arc<Recording>, options: PlaybackOptions) -> io::Result<Self> {
        let (told, played) = watch::channel(Played { events_total: recording.pieces().len(), ..Played::default() });
        Self::serve(Play::new(recording, options, told), played).await
    }

    /// One recording after the other at the pace of `options.speed`, each beginning when its first event's time has come.
    ///
    /// # Errors
    /// If the address can't be listened on, or there is no recording.
    pub async fn start_series(mut more: More, options: PlaybackOptions) -> io::Result<Self> {
        let first = more().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "nothing to play"))?;
        let (told, played) = watch::channel(Played { events_total: usize::MAX, ..Played::default() });
        Self::serve(Play::new(Arc::new(first), options, told).with_more(more), played).await
    }

    /// Load: one recording after the other, so many events a second ([`Speed::PerSecond`]), whenever they happened.
    ///
    /// # Errors
    /// If the address can't be listened on, or there is no recording.
    pub async fn start_load(more: More, per_second: f64, options: PlaybackOptions) -> io::Result<Self> {
        Self::start_series(more, PlaybackOptions { speed: Speed::PerSecond(per_second), ..options }).await
    }

    async fn serve(play: Play, played: watch::Receiver<Played>) -> io::Result<Self> {
        let listener = TcpListener::bind(play.address()).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, play));
        Ok(Self { address, played, task })
    }

    /// How far it is now.
    pub fn played(&self) -> Played {
        *self.played.borrow()
    }

    /// Returns when every event was sent.
    pub async fn all_sent(&mut self) {
        // The sender lives as long as the task, which ends only after the last event.
        let _ = self.played.wait_for(|played| played.events == played.events_total).await;
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, mut play: Play) {
    while !play.is_over() {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        // Only slower without it.
        let _ = tcp.set_nodelay(true);
        let wire: Box<dyn Duplex> = match play.tls() {
            None => Box::new(tcp),
            Some(tls) => match tls.accept(tcp).await {
                Ok(encrypted) => Box::new(encrypted),
                Err(error) => {
                    tracing::debug!(%error, "no tls with this client");
                    continue;
                }
            },
        };
        if let Err(error) = play.client(wire).await {
            tracing::debug!(%error, "the client is gone");
        }
    }
}
