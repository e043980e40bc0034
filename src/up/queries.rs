//! The query side as a child process: started again whenever it ends, more patiently each time.
//!
//! Its stdin is a pipe that this process holds, so it ends with this process, even by `kill -9`.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::args::Places;

/// Between starts: from half a second, doubled up to half a minute.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// Who ran for so long did not end because of how it was started.
const RAN_WELL: Duration = Duration::from_secs(60);
/// How long it may take to answer what it has in hand at the end.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the child running until told to stop; then ends it.
pub(super) async fn keep_running(places: Places, listen: Option<String>, mut stop: watch::Receiver<bool>) {
    let mut pause = PAUSE_FIRST;
    while !*stop.borrow() {
        let began = Instant::now();
        match start(&places, listen.as_deref()) {
            Ok(mut child) => {
                // Waiting for a child closes its stdin, if it still has it.
                let _alive = child.stdin.take();
                tokio::select! {
                    status = child.wait() => {
                        let status = status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string);
                        tracing::warn!(status, retry_in = ?pause, "the query process has ended; collecting goes on");
                    }
                    () = told(&mut stop) => return end(child).await,
                }
            }
            Err(error) => tracing::error!(%error, "the query process cannot be started"),
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut stop) => return,
        }
        pause = if began.elapsed() > RAN_WELL { PAUSE_FIRST } else { (pause * 2).min(PAUSE_LAST) };
    }
}

/// Waits until told to stop, or until nobody is there to tell.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn start(places: &Places, listen: Option<&str>) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("query-api").arg("--until-stdin-closes").arg("--data").arg(places.data().path());
    if let Some(config) = &places.config {
        command.arg("--config").arg(config);
    }
    if let Some(listen) = listen {
        command.arg("--listen").arg(listen);
    }
    // A group of its own: Ctrl-C at the terminal is for `up`, which ends the child in order.
    command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true).spawn()
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
