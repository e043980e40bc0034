//! The query side as a child process: started again whenever it ends, at once if it had served for a while.
//!
//! The listening socket is this process's own and every child's stdout, so that clients who come while there is no child wait
//! for the next one instead of being refused. The child's stdin is a pipe that this process holds, so it ends with this
//! process, even by `kill -9`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::args::Places;

/// Between starts of a child that does not last: doubled up to half a minute.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// Who ran for so long did not end because of how it was started.
const RAN_WELL: Duration = Duration::from_secs(5);
/// How long it may take to answer what it has in hand at the end.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the child running until told to stop; then ends it.
pub(super) async fn keep_running(places: Places, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut pause = PAUSE_FIRST;
    while !*stop.borrow() {
        let began = Instant::now();
        match start(&places, &listener) {
            Ok(mut child) => {
                // Waiting for a child closes its stdin, if it still has it.
                let _alive = child.stdin.take();
                tokio::select! {
                    status = child.wait() => {
                        let status = status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string);
                        tracing::warn!(status, "the query process has ended and is started again; collecting goes on");
                        metrics::counter!("calltide_query_process_restarts_total").increment(1);
                    }
                    () = told(&mut stop) => return end(child).await,
                }
            }
            Err(error) => tracing::error!(%error, "the query process cannot be started"),
        }
        if began.elapsed() > RAN_WELL {
            pause = PAUSE_FIRST;
            continue;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut stop) => return,
        }
        pause = (pause * 2).min(PAUSE_LAST);
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
    // Memory that a query gave back goes back to the system at once: the child's limits are about what it holds.
    command.env("MIMALLOC_PURGE_DELAY", "0");
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
