//! One connection from its login to its end: reads without pause, asks for the time, and notices when nothing comes.
//!
//! It only moves bytes: into a bounded queue, which the journal's thread empties. If the log is slower than the PBX for
//! long, the queue fills and reading stops, so that memory stays bounded; that is logged.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use calltide_eventlog::EventLog;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::connect::Wire;
use super::journal::{Chunk, Journal};
use super::login::{Greeting, PING};
use super::{AmiConfig, AmiStatus, Clock, CollectError};

/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 << 10;

/// Pieces in the queue: with [`READ_BYTES`] at most 64 MiB, more than a minute of the busiest PBX.
const QUEUE_PIECES: usize = 1024;

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
    let (queue, pieces) = mpsc::channel(QUEUE_PIECES);
    let (config_, log, now) = (config.clone(), log.clone(), clock());
    let (pbx_time, stop, status) = (greeting.pbx_time, shutdown.clone(), status.clone());
    let journal =
        tokio::task::spawn_blocking(move || Journal::open(&config_, log, now, pbx_time, stop, status)?.run(pieces));
    let end = read(config, wire, greeting.bytes, clock, &queue, shutdown).await;
    // If this fails, so did the journal, which says why.
    let _ = queue.send(Chunk::End { seen: clock(), reason: end.word() }).await;
    drop(queue);
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
    queue: &mpsc::Sender<Chunk>,
    shutdown: &mut watch::Receiver<bool>,
) -> End {
    let received = metrics::counter!("calltide_ami_bytes_total", "pbx" => config.pbx.clone());
    let (mut reader, mut writer) = tokio::io::split(wire);
    let mut ping = interval_at(Instant::now() + config.ping_every, config.ping_every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut deadline = Instant::now() + config.read_deadline;
    let mut buffer = BytesMut::new();
    let mut piece = first;
    loop {
        received.increment(piece.len() as u64);
        if !piece.is_empty() && queue.send(Chunk::Bytes { seen: clock(), bytes: piece }).await.is_err() {
            return End::Stopped;
        }
        piece = Bytes::new();
        buffer.reserve(READ_BYTES);
        tokio::select! {
            read = reader.read_buf(&mut buffer) => match read {
                Ok(0) => return End::Lost(Loss::Closed),
                Ok(_) => {
                    piece = buffer.split().freeze();
                    deadline = Instant::now() + config.read_deadline;
                }
                Err(error) => return End::Lost(Loss::Broken(error)),
            },
            _ = ping.tick() => match timeout(config.read_deadline, writer.write_all(PING)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return End::Lost(Loss::Broken(error)),
                Err(_) => return End::Lost(Loss::Silent(config.read_deadline)),
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
