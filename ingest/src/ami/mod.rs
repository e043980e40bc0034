//! The live collector of one PBX: connects to its AMI, logs in, and journals every event before anybody looks at it.
//!
//! A task reads the socket (`session`) into a bounded `buffer`; a thread frames what is there and appends envelopes to the
//! log (`journal`). A lost connection is made again, and both ends of the gap are in the log. Time comes from the caller.

mod buffer;
mod config;
mod connect;
mod journal;
mod login;
mod resync;
mod session;

use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::{EventLog, LogError};
use calltide_schemas::Micros;
use tokio::sync::watch;

use crate::backoff::Backoff;
pub use config::{AmiConfig, Auth, Secret, Tls};
pub(crate) use login::challenge_key;
use session::End;

/// The present time: given by the program, so that tests and replays have their own.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// What the collector is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmiStatus {
    /// Connecting and logging in.
    Connecting,
    /// Logged in; events are being journaled.
    Connected {
        /// The version in the banner, e.g. `11.0.0`.
        version: String,
        /// Since when.
        since: Micros,
    },
    /// Not connected.
    Waiting {
        /// Why, with what to do about it where that is known.
        error: String,
        /// How long until the next try.
        retry_in: Duration,
    },
    /// The log's disk is full: nothing is read until there is space.
    DiskFull,
    /// Ended as told.
    Stopped,
}

/// Why a connection could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A name or password that the protocol can't carry.
    #[error("the {what} of {pbx} contains a line break")]
    LineBreak {
        /// The PBX.
        pbx: String,
        /// `username` or `secret`.
        what: &'static str,
    },
    /// No connection.
    #[error("can't reach {address}: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// TLS could not be set up.
    #[error("can't use TLS with {address}: {reason}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// Something else listens there.
    #[error("{address} is no asterisk manager: it began with {began:?}")]
    NotAsterisk {
        /// Host and port.
        address: String,
        /// Its first words.
        began: String,
    },
    /// The PBX refused the user.
    #[error("{address} refused user {username}: {message}; compare with manager.conf")]
    Refused {
        /// Host and port.
        address: String,
        /// The user.
        username: String,
        /// The PBX's word.
        message: String,
    },
    /// Nothing came in time.
    #[error("{address} didn't answer within {} s", .within.as_secs_f32())]
    Silent {
        /// Host and port.
        address: String,
        /// For how long.
        within: Duration,
    },
    /// The connection ended during the login.
    #[error("{address} closed the connection during the login")]
    Closed {
        /// Host and port.
        address: String,
    },
}

/// Why collecting ended for good.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The log takes nothing more.
    #[error("events of {pbx} can't be journaled")]
    Log {
        /// The PBX.
        pbx: String,
        /// The log's word.
        #[source]
        source: LogError,
    },
    /// The journal's thread ended with a panic.
    #[error("the journal of {pbx} ended unexpectedly")]
    Journal {
        /// The PBX.
        pbx: String,
    },
}

/// Collects the events of one PBX until `shutdown` becomes true.
///
/// # Errors
/// Only when the log takes nothing more. A full disk is waited out; everything about the connection is tried again.
pub async fn collect(
    config: AmiConfig,
    log: Arc<dyn EventLog>,
    clock: Clock,
    mut shutdown: watch::Receiver<bool>,
    status: watch::Sender<AmiStatus>,
) -> Result<(), CollectError> {
    let mut backoff = Backoff::new(config.retry_min, config.retry_max, config.jitter_seed);
    let connected = metrics::gauge!("calltide_ami_connected", "pbx" => config.pbx.clone());
    // A gauge that was never set is not shown, and nobody would be told of a PBX that was never reached.
    connected.set(0.0);
    let connections = metrics::counter!("calltide_ami_connections_total", "pbx" => config.pbx.clone());
    while !*shutdown.borrow() {
        status.send_replace(AmiStatus::Connecting);
        let opened = tokio::select! {
            opened = open(&config) => opened,
            () = stopped(&mut shutdown) => break,
        };
        let (error, retry_in) = match opened {
            Ok((wire, greeting)) => {
                backoff.reset();
                let since = clock();
                status.send_replace(AmiStatus::Connected { version: greeting.version.clone(), since });
                tracing::info!(pbx = config.pbx, version = greeting.version, "connected");
                connected.set(1.0);
                connections.increment(1);
                let end = session::run(&config, wire, greeting, &log, &clock, &mut shutdown, &status).await;
                connected.set(0.0);
                match end? {
                    End::Stopped => break,
                    End::Lost(loss) => (loss.to_string(), backoff.next_delay()),
                }
            }
            // A wrong password doesn't become right by asking often, and fail2ban counts.
            Err(error @ (ConnectError::Refused { .. } | ConnectError::LineBreak { .. })) => {
                (error.to_string(), config.retry_refused)
            }
            Err(error) => (error.to_string(), backoff.next_delay()),
        };
        metrics::counter!("calltide_ami_failures_total", "pbx" => config.pbx.clone()).increment(1);
        tracing::warn!(pbx = config.pbx, error, ?retry_in, "not connected");
        status.send_replace(AmiStatus::Waiting { error, retry_in });
        tokio::select! {
            () = tokio::time::sleep(retry_in) => {}
            () = stopped(&mut shutdown) => break,
        }
    }
    status.send_replace(AmiStatus::Stopped);
    Ok(())
}

/// Connects and logs in, within the deadline.
async fn open(config: &AmiConfig) -> Result<(connect::Wire, login::Greeting), ConnectError> {
    let within = config.read_deadline;
    let opening = async {
        let mut wire = connect::connect(config).await?;
        let greeting = login::login(config, &mut wire).await?;
        Ok((wire, greeting))
    };
    let silent = |_| ConnectError::Silent { address: config.address(), within };
    tokio::time::timeout(within, opening).await.map_err(silent)?
}

/// Returns when it is time to stop; also when nobody is left who could say so.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
