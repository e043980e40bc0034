//! `calltide up`: all roles on one machine, until told to stop.
//!
//! Collectors, the fold and the lake's writer are in this process; queries are answered by a child ([`queries`]) that may
//! fall over without the collecting noticing. Imports come in by the control socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::args::{Places, Up};
use crate::collectors::Collectors;
use crate::config::Config;
use crate::control::Control;
use crate::errors::{Exit, Failure, Result};
use crate::fold::Time;
use crate::queries;
use crate::query_api::{listen, metrics, runtime};
use crate::site::Site;

/// How long an import that is under way at the end may keep the data directory; it goes on where it was when it is repeated.
const IMPORT_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Up) -> Result<()> {
    let metrics = metrics()?;
    let config = Arc::new(Config::load(places, asked.listen.as_deref())?);
    let data = places.data();
    if config.log.is_shared() {
        return Err(Failure::new(Exit::Usage, "`up` does everything on one machine, but [log] kafka names a cluster")
            .hint("over Kafka the roles run apart: `calltide ingest`, `calltide processor`, `calltide query-api`"));
    }
    config.warn_of_strangers();
    let collectors = Collectors::of(&config)?;
    let site = Arc::new(Site::open(&data, &config, Time::GoesOn)?);
    let control = match Control::open(&data, &site, Arc::clone(&config), metrics) {
        Ok(control) => Some(control),
        Err(failure) => {
            tracing::warn!(
                error = failure.error(),
                "imports, and metrics of collecting, are not possible while this runs"
            );
            None
        }
    };
    tracing::info!(data = %data.path().display(), pbxs = config.pbx.len(), "up");
    if config.pbx.is_empty() {
        tracing::warn!("no [[pbx]] is configured: nothing is collected, imports and queries are served");
    }
    let (stop, stopping) = watch::channel(false);
    let ended = runtime()?.block_on(async {
        let listener = listen(&config.http.listen).await?.into_std();
        let listener = listener.map_err(|e| Failure::new(Exit::Failed, "the socket cannot be used").because(&e))?;
        let queries = tokio::spawn(queries::keep_running(places.clone(), listener, stopping.clone()));
        let cleaning = tokio::spawn(keep_log_clean(Arc::clone(&site), Arc::clone(&config), stopping.clone()));
        let ended = collectors.run(&site.log, &stop).await;
        if let Err(error) = cleaning.await {
            tracing::error!(%error, "the log's cleaning was not ended in order");
        }
        if let Err(error) = queries.await {
            tracing::error!(%error, "the query process was not ended in order");
        }
        ended
    });
    drop(control);
    let closed = close(site);
    tracing::info!("stopped");
    ended.and(closed)
}

/// Cleans the log as often as the tables are looked after.
async fn keep_log_clean(site: Arc<Site>, config: Arc<Config>, mut stopping: watch::Receiver<bool>) {
    let every = config.lake.options().upkeep_every;
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = tokio::time::sleep(every) => {}
        }
        let (site, config) = (Arc::clone(&site), Arc::clone(&config));
        match tokio::task::spawn_blocking(move || site.clean_log(&config)).await {
            Ok(Ok(done)) if done.deleted + done.rewritten > 0 => {
                tracing::info!(deleted = done.deleted, rewritten = done.rewritten, bytes = done.bytes, "log cleaned");
            }
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => tracing::warn!(error = failure.error(), "the log was not cleaned"),
            Err(error) => tracing::error!(%error, "cleaning the log ended with a panic"),
        }
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
