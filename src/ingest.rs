//! `calltide ingest`: collects beside the PBXs into a journal of its own, and takes what is there to Kafka.
//!
//! The collectors know only the journal: they go on while the line to the centre is cut, as long as the disk, or the quota
//! ([log] bytes), has room. What the centre has acknowledged goes from the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use calltide_eventlog::embedded::{Cleaning, EmbeddedLog, EmbeddedOptions, Groups};
use calltide_eventlog::kafka::KafkaOptions;
use calltide_eventlog::{EventLog, LogError, Offset};
use calltide_ingest::forward::{self, ForwardConfig, Forwarder, Quota};
use calltide_query_api::http::health_router;
use calltide_schemas::topics::EVENTS;
use tokio::sync::watch;

use crate::args::{Ingest, Places};
use crate::clock;
use crate::cluster;
use crate::collectors::Collectors;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::query_api::{listen_anywhere, metrics, of_this_process, runtime, serve_status, url};

/// Small, since whole segments are freed.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Between attempts to forward after the centre refused for a reason that does not pass by itself.
const PAUSE: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Ingest) -> Result<()> {
    let metrics = of_this_process(metrics()?);
    let config = Arc::new(Config::load(places, asked.listen.as_deref())?);
    let data = places.data();
    let centre = config.cluster(&data, "ingest")?;
    if config.pbx.is_empty() {
        return Err(Failure::new(Exit::Usage, "no [[pbx]] is configured: there is nothing to collect"));
    }
    let collectors = Collectors::of(&config)?;
    let options = EmbeddedOptions { segment_bytes: SEGMENT_BYTES, ..EmbeddedOptions::default() };
    let journal = Arc::new(EmbeddedLog::open(&data.log(), &config.log.journal_topics(), options)?);
    let collected: Arc<dyn EventLog> = match config.log.bytes_max() {
        Some(bytes) if bytes < SEGMENT_BYTES * 4 => {
            let error = format!("[log] bytes is less than the journal needs, {} MiB", (SEGMENT_BYTES * 4) >> 20);
            return Err(Failure::new(Exit::Usage, error));
        }
        Some(bytes) => Arc::new(Quota::new(Arc::clone(&journal) as _, &data.log(), bytes)),
        None => Arc::clone(&journal) as _,
    };
    tracing::info!(data = %data.path().display(), pbxs = config.pbx.len(), kafka = centre.servers, "collecting");
    let runtime = runtime()?;
    let listener = runtime.block_on(listen_anywhere(&config.http.listen))?;
    let (stop, stopping) = watch::channel(false);
    let forwarding = Forwarding { journal, centre, config: Arc::clone(&config), stop: stopping.clone() };
    let forwarder = forwarding.start()?;
    let ended = runtime.block_on(async {
        tracing::info!(url = url(&listener), pid = std::process::id(), "serving metrics");
        let serving = tokio::spawn(serve_status(listener, health_router(|| Ok(()), metrics), stopping.clone()));
        let ended = collectors.run(&collected, &stop).await;
        if let Err(error) = serving.await {
            tracing::error!(%error, "serving metrics ended with a panic");
        }
        ended
    });
    if forwarder.join().is_err() {
        tracing::error!("the forwarder was not ended in order");
    }
    tracing::info!("stopped");
    ended
}

/// What the forwarder's thread works with.
struct Forwarding {
    journal: Arc<EmbeddedLog>,
    centre: KafkaOptions,
    config: Arc<Config>,
    stop: watch::Receiver<bool>,
}

impl Forwarding {
    /// On a thread of its own.
    fn start(self) -> Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("forwarder".to_owned()).spawn(move || self.keep_forwarding());
        thread.map_err(|e| Failure::new(Exit::Failed, "cannot start the forwarder").because(&e))
    }

    fn keep_forwarding(&self) {
        let must_stop = || *self.stop.borrow() || self.stop.has_changed().is_err();
        // Shown from the start: a line may be cut for long before it was ever there.
        metrics::gauge!("calltide_forward_connected").set(0.0);
        while !must_stop() {
            let forwarded = catch_unwind(AssertUnwindSafe(|| self.forward(&must_stop)));
            // Somebody may have to mend it, there or here; what is collected stays here meanwhile.
            match forwarded {
                Ok(Ok(())) => break,
                Ok(Err(failure)) => tracing::error!(error = failure.error(), "nothing is forwarded: {failure}"),
                Err(_) => tracing::error!("forwarding panicked, which is a defect; the events are safe in the journal"),
            }
            metrics::gauge!("calltide_forward_connected").set(0.0);
            cluster::rest(PAUSE, &must_stop);
        }
    }

    /// Until told to stop.
    fn forward(&self, must_stop: &dyn Fn() -> bool) -> Result<()> {
        let (first, end) = self.journal.bounds(EVENTS, 0)?;
        metrics::gauge!("calltide_forward_behind_records").set(end.saturating_sub(first) as f64);
        let Some(centre) = cluster::open_patiently(&self.centre, &self.config, must_stop)? else { return Ok(()) };
        let mut forwarder = self.forwarder(centre)?;
        forward::run(&mut forwarder, &self.stop).map_err(|e| Failure::of(Exit::Failed, &e))
    }

    fn forwarder(&self, centre: Arc<dyn EventLog>) -> Result<Forwarder> {
        let journal = Arc::clone(&self.journal);
        let config = ForwardConfig {
            trim: Box::new(move |before| trim(&journal, before)),
            jitter_seed: u64::from(std::process::id()),
            ..ForwardConfig::default()
        };
        Forwarder::new(Arc::clone(&self.journal) as _, centre, config).map_err(|e| Failure::of(Exit::Failed, &e))
    }
}

/// Frees what is at the centre.
fn trim(journal: &EmbeddedLog, before: Offset) -> std::result::Result<(), LogError> {
    let protect = |topic: &str, _| if topic == EVENTS { before } else { u64::MAX };
    let cleaning = Cleaning {
        now: clock::now().0,
        settled: Duration::ZERO,
        bytes_max: None,
        protect: &protect,
        groups: Groups::Left,
    };
    let done = journal.clean(&cleaning)?;
    tracing::debug!(before, deleted = done.deleted, bytes = done.bytes, "what is at the centre went from the journal");
    Ok(())
}
