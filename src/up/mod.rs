//! `calltide up`: all roles on one machine, until told to stop.
//!
//! Collectors, the fold and the lake's writer are in this process; queries are answered by a child ([`queries`]) that may
//! fall over without the collecting noticing. Imports come in by the control socket.

mod queries;

use std::sync::Arc;
use std::time::Duration;

use calltide_ingest::ami::{AmiStatus, CollectError, collect};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::{Places, Up};
use crate::clock;
use crate::config::Config;
use crate::control::Control;
use crate::errors::{Exit, Failure, Result};
use crate::query_api::{listen, runtime, told_to_stop};
use crate::site::Site;

/// How long an import that is under way at the end may keep the data directory; it goes on where it was when it is repeated.
const IMPORT_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Up) -> Result<()> {
    let config = Arc::new(Config::load(places, asked.listen.as_deref())?);
    let data = places.data();
    let collectors =
        config.pbx.iter().map(|pbx| pbx.collector(config.calls.redaction())).collect::<Result<Vec<_>>>()?;
    let site = Arc::new(Site::open(&data, &config)?);
    let control = match Control::open(&data, &site, Arc::clone(&config)) {
        Ok(control) => Some(control),
        Err(failure) => {
            tracing::warn!(error = failure.error(), "imports are not possible while this runs");
            None
        }
    };
    tracing::info!(data = %data.path().display(), pbxs = collectors.len(), "up");
    if collectors.is_empty() {
        tracing::warn!("no [[pbx]] is configured: nothing is collected, imports and queries are served");
    }
    let (stop, stopping) = watch::channel(false);
    let ended = runtime()?.block_on(async {
        let listener = listen(&config.http.listen).await?.into_std();
        let listener = listener.map_err(|e| Failure::new(Exit::Failed, "the socket cannot be used").because(&e))?;
        let mut tasks = JoinSet::new();
        for collector in collectors {
            let (told, _) = watch::channel(AmiStatus::Connecting);
            tasks.spawn(collect(collector, Arc::clone(&site.log), clock::wall(), stopping.clone(), told));
        }
        let queries = tokio::spawn(queries::keep_running(places.clone(), listener, stopping.clone()));
        let mut fold_ended = site.fold_ended();
        let ended = tokio::select! {
            () = told_to_stop() => Ok(()),
            Some(ended) = tasks.join_next() => collector_ended(ended),
            _ = fold_ended.changed() => Err(Failure::new(Exit::Failed, "the calls fold has stopped")),
        };
        tracing::info!("stopping");
        stop.send_replace(true);
        while tasks.join_next().await.is_some() {}
        if let Err(error) = queries.await {
            tracing::error!(%error, "the query process was not ended in order");
        }
        ended
    });
    drop(control);
    let closed = close(site);
    tracing::info!("stopped");
    // The fold's own error says more than that it has stopped.
    closed.and(ended)
}

fn collector_ended(
    ended: std::result::Result<std::result::Result<(), CollectError>, tokio::task::JoinError>,
) -> Result<()> {
    match ended {
        Ok(Err(e)) => {
            Err(Failure::of(Exit::Failed, &e).hint("what was acknowledged is safe; start again when the disk is well"))
        }
        Ok(Ok(())) => Err(Failure::new(Exit::Failed, "a collector ended by itself")),
        Err(e) => Err(Failure::new(Exit::Failed, "a collector ended with a panic").because(&e)),
    }
}

/// Derives and writes what was collected, and ends the threads.
fn close(mut site: Arc<Site>) -> Result<()> {
    let (mut until, mut given_up) = (std::time::Instant::now() + IMPORT_PATIENCE, false);
    loop {
        match Arc::try_unwrap(site) {
            Ok(site) => return site.close(),
            Err(shared) if std::time::Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
                site = shared;
            }
            Err(shared) if !given_up => {
                tracing::warn!("an import was interrupted; repeat it, and it goes on where it was");
                // It may wait for what cannot be done, e.g. on a full disk.
                shared.give_up();
                (site, given_up, until) = (shared, true, std::time::Instant::now() + IMPORT_PATIENCE);
            }
            // It reads its files; what it appended is derived when the directory is opened again.
            Err(_) => return Ok(()),
        }
    }
}
