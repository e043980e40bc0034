//! One connection from its login to its end: asks which channels are up and who is in which queue, reads without pause, asks for the time, and notices
//! when nothing comes.
//!
//! It only moves bytes: into a bounded [`super::buffer`], which the journal's thread empties. Nothing else may keep it from
//! reading, neither the log nor a ping that the PBX does not take, since Asterisk cuts a line that takes nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use calltide_eventlog::EventLog;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::buffer::{Buffer, buffer};
use super::connect::Wire;
use super::journal::Journal;
use super::login::{Greeting, PING};
use super::{AmiConfig, AmiStatus, Clock, CollectError, resync};

/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 << 10;

/// While the PBX says something it is asked so many times as often: a call that ended is told at the next heartbeat.
const LIVELY: u32 = 5;

/// The answer to a ping has fewer bytes; whatever is more was said by itself.
const PONG_BYTES_MAX: usize = 128;

/// How the connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// As told.
    Stopped,
    /// By itself.
    Lost(Loss),
}

/// Why a connection was lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error("the pbx closed the connection")]
    Closed,
    #[error("nothing came from the pbx for {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("the connection broke: {0}")]
    Broken(std::io::Error),
}

impl End {
    /// The word in the `gap` envelope.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Lost(Loss::Closed) => "closed",
            Self::Lost(Loss::Silent(_)) => "silent",
            Self::Lost(Loss::Broken(_)) => "broken",
        }
    }
}

/// Journals a connection until it ends. All that was read is in the log when it returns.
pub(super) async fn run(
    config: &AmiConfig,
    wire: Wire,
    greeting: Greeting,
    log: &Arc<dyn EventLog>,
    clock: &Clock,
    shutdown: &mut watch::Receiver<bool>,
    status: &watch::Sender<AmiStatus>,
) -> Result<End, CollectError> {
    let (mut buffer, pieces) = buffer(&config.pbx, config.buffer_bytes);
    let (config_, log, now) = (config.clone(), log.clone(), clock());
    let (pbx_time, stop, status) = (greeting.pbx_time, shutdown.clone(), status.clone());
    let journal =
        tokio::task::spawn_blocking(move || Journal::open(&config_, log, now, pbx_time, stop, status)?.run(pieces));
    let end = read(config, wire, greeting.bytes, clock, &mut buffer, shutdown).await;
    buffer.end(clock(), end.word());
    match journal.await {
        Ok(Ok(())) => Ok(end),
        Ok(Err(source)) => Err(CollectError::Log { pbx: config.pbx.clone(), source }),
        Err(_) => Err(CollectError::Journal { pbx: config.pbx.clone() }),
    }
}

async fn read(
    config: &AmiConfig,
    wire: Wire,
    first: Bytes,
    clock: &Clock,
    buffer: &mut Buffer,
    shutdown: &mut watch::Receiver<bool>,
) -> End {
    let received = metrics::counter!("calltide_ami_bytes_total", "pbx" => config.pbx.clone());
    let (mut reader, mut writer) = tokio::io::split(wire);
    let mut ping = interval_at(Instant::now() + config.ping_every, config.ping_every / LIVELY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What the PBX has not taken of the last question, and when that was asked.
    let (mut unsent, mut asked_at): (&[u8], _) = (resync::ASK, Instant::now());
    let mut deaf = false;
    let mut said = 0;
    let mut piece = first;
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    let mut deadline = Instant::now() + config.read_deadline;
    loop {
        if !piece.is_empty() {
            received.increment(piece.len() as u64);
            said += piece.len();
            if buffer.put(clock(), std::mem::take(&mut piece), shutdown).await.is_err() {
                return End::Stopped;
            }
            // From here on: what was waited for room is no silence of the PBX.
            deadline = Instant::now() + config.read_deadline;
        }
        tokio::select! {
            read = reader.read_buf(&mut bytes) => match read {
                Ok(0) => return End::Lost(Loss::Closed),
                Ok(_) => {
                    // A copy as long as it is: a few bytes must not hold on to the whole of what could have been read.
                    piece = Bytes::copy_from_slice(&bytes);
                    bytes.clear();
                }
                Err(error) => return End::Lost(Loss::Broken(error)),
            },
            written = writer.write(unsent), if !unsent.is_empty() => match written {
                Ok(taken) => unsent = &unsent[taken..],
                // What it said before it went may still wait to be read; the end comes from there.
                Err(_) => (unsent, deaf) = (&[], true),
            },
            _ = ping.tick(), if !deaf => if unsent.is_empty() {
                if said > PONG_BYTES_MAX || asked_at.elapsed() >= config.ping_every {
                    (unsent, asked_at, said) = (PING, Instant::now(), 0);
                }
            } else if asked_at.elapsed() >= config.read_deadline {
                return End::Lost(Loss::Silent(config.read_deadline));
            },
            () = sleep_until(deadline) => return End::Lost(Loss::Silent(config.read_deadline)),
            () = super::stopped(shutdown) => {
                // Politeness only: the PBX closes the session either way.
                let _ = timeout(config.ping_every, writer.write_all(b"Action: Logoff\r\n\r\n")).await;
                return End::Stopped;
            }
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
