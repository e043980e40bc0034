//! The query side as a child process: started again whenever it ends, at once where a query brought it down.
//!
//! The listening socket is this process's own and every child's stdout, so that clients who come while there is no child wait
//! for the next one instead of being refused. The child's stdin is a pipe that this process holds, so it ends with this
//! process, even by `kill -9`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::args::Places;
use crate::errors::Exit;
use crate::query_api::PURGE_DELAY;

/// Between starts of a child that cannot serve as it is set up: doubled up to half a minute.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// Longest pause after a query brought it down: whoever waits at the socket is answered within two seconds.
const PAUSE_LAST_QUERY: Duration = Duration::from_millis(500);
/// Who ran for so long did not end because of how it was started.
const RAN_WELL: Duration = Duration::from_secs(5);
/// How long it may take to answer what it has in hand at the end.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Why a child ended, as far as the next one's start depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By its last resort or by a signal: the next one may be well.
    ByQueries,
    /// By itself, or it did not start: the next one may fare no better.
    Otherwise,
}

/// Keeps the child running until told to stop; then ends it.
pub(crate) async fn keep_running(places: Places, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut pause = Duration::ZERO;
    while !*stop.borrow() {
        let began = Instant::now();
        let mut ended = End::Otherwise;
        match start(&places, &listener) {
            Ok(mut child) => {
                // Waiting for a child closes its stdin, if it still has it.
                let _alive = child.stdin.take();
                tokio::select! {
                    status = child.wait() => {
                        ended = status.as_ref().map_or(End::Otherwise, end_of);
                        let status = status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string);
                        tracing::warn!(status, "the query process has ended and is started again; collecting goes on");
                        metrics::counter!("calltide_query_process_restarts_total").increment(1);
                    }
                    () = told(&mut stop) => return end(child).await,
                }
            }
            Err(error) => tracing::error!(%error, "the query process cannot be started"),
        }
        pause = next_pause(pause, ended, began.elapsed());
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut stop) => return,
        }
    }
}

fn end_of(status: &ExitStatus) -> End {
    let out_of_hand = status.code() == Some(i32::from(Exit::OutOfHand.code()));
    if out_of_hand || status.signal().is_some() { End::ByQueries } else { End::Otherwise }
}

/// How long to wait before the next start, after this pause and a child that ran for so long.
fn next_pause(pause: Duration, ended: End, ran: Duration) -> Duration {
    if ran > RAN_WELL {
        return Duration::ZERO;
    }
    match ended {
        End::ByQueries if pause.is_zero() => PAUSE_FIRST,
        End::ByQueries => (pause * 2).min(PAUSE_LAST_QUERY),
        End::Otherwise => (pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST),
    }
}

/// Waits until told to stop, or until nobody is there to tell.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn start(places: &Places, listener: &TcpListener) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("query-api").arg("--as-child").arg("--data").arg(places.data().path());
    if let Some(config) = &places.config {
        command.arg("--config").arg(config);
    }
    command.stdin(Stdio::piped()).stdout(OwnedFd::from(listener.try_clone()?));
    command.env(PURGE_DELAY, "0");
    // A group of its own: Ctrl-C at the terminal is for `up`, which ends the child in order.
    command.process_group(0).kill_on_drop(true).spawn()
}

async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
        tracing::debug!(%error, "the query process has gone already");
    }
    if timeout(END_PATIENCE, child.wait()).await.is_err()
        && let Err(error) = child.kill().await
    {
        tracing::warn!(%error, "the query process could not be ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_a_query_brought_down_is_followed_soon_however_often() {
        let mut pause = Duration::ZERO;
        for _ in 0..20 {
            pause = next_pause(pause, End::ByQueries, Duration::from_millis(200));
            assert!(pause <= PAUSE_LAST_QUERY, "{pause:?}");
        }
        for _ in 0..20 {
            pause = next_pause(pause, End::Otherwise, Duration::from_millis(200));
        }
        assert_eq!(pause, PAUSE_LAST, "one that cannot start is not tried all the time");
        assert_eq!(next_pause(pause, End::Otherwise, RAN_WELL * 2), Duration::ZERO);
    }
}
