//! `calltide processor`: derives calls from the events on Kafka and writes the tables, together with its like.
//!
//! Each worker derives from the partitions that its group gives it, each table is written by the process that the writers'
//! group gives it to: processors may come, go and die at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use calltide_eventlog::kafka::KafkaOptions;
use calltide_processor::lake::{LakeThread, Membership};
use calltide_query_api::http::health_router;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::args::{Places, Processor};
use crate::clock;
use crate::cluster;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::fold::{AtEnd, Derives, FoldThread, Time};
use crate::folds::CONFIGURATION;
use crate::place::Place;
use crate::query_api::{listen_anywhere, metrics, of_this_process, runtime, serve_status, told_to_stop, url};

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Processor) -> Result<()> {
    let metrics = of_this_process(metrics()?);
    let config = Arc::new(Config::load(places, asked.listen.as_deref())?);
    let data = places.data();
    let cluster = config.cluster(&data, "processor")?;
    let _lock = cluster::lock(&data)?;
    config.warn_of_strangers();
    let workers = config.processor.workers();
    let place = config.lake.place(&data)?;
    runtime()?.block_on(async {
        let listener = listen_anywhere(&config.http.listen).await?;
        tracing::info!(url = url(&listener), pid = std::process::id(), "serving metrics");
        let (stop, mut stopping) = watch::channel(false);
        tokio::spawn(async move {
            told_to_stop().await;
            tracing::info!("stopping");
            stop.send_replace(true);
        });
        let is_working = Arc::new(AtomicBool::new(false));
        let working = Arc::clone(&is_working);
        let ready = move || if working.load(Ordering::Acquire) { Ok(()) } else { Err("waiting for Kafka".to_owned()) };
        let serving = tokio::spawn(serve_status(listener, health_router(ready, metrics), stopping.clone()));
        let until = stopping.clone();
        let starting = spawn_blocking(move || Work::start(&cluster, &config, workers, &place, &until));
        let work = starting.await.map_err(|e| Failure::new(Exit::Failed, "starting panicked").because(&e))??;
        if let Some(work) = work {
            is_working.store(true, Ordering::Release);
            tracing::info!(workers, "processing");
            // Whoever could say so lives as long as the runtime.
            drop(stopping.wait_for(|stopping| *stopping).await);
            let closed = spawn_blocking(move || work.close()).await;
            closed.map_err(|e| Failure::new(Exit::Failed, "stopping panicked").because(&e))??;
        }
        if let Err(error) = serving.await {
            tracing::error!(%error, "serving metrics panicked");
        }
        tracing::info!("stopped");
        Ok(())
    })
}

/// The threads at work.
struct Work {
    folds: Vec<FoldThread>,
    lake: LakeThread,
    member: Membership,
}

impl Work {
    /// Starts them when the brokers answer. `None`: it was told to stop before.
    fn start(
        cluster: &KafkaOptions,
        config: &Config,
        workers: usize,
        place: &Place,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Option<Self>> {
        let must_stop = || *stopping.borrow() || stopping.has_changed().is_err();
        let Some(log) = cluster::open_patiently(cluster, config, &must_stop)? else { return Ok(None) };
        // First: who cannot write tables must not be given any.
        let lake = place.open_or_wait()?;
        let member = Membership::join(Arc::clone(&log))?;
        let lake = LakeThread::start(lake, log, config.lake.options(), member.tables())?;
        let now = clock::now();
        let rules = config.site_rules(now, CONFIGURATION)?;
        let directory = config.directory.change(now, CONFIGURATION);
        let mut folds = Vec::new();
        for worker in 0..workers {
            // A member of the group each.
            let options = KafkaOptions { instance: format!("{}-{worker}", cluster.instance), ..cluster.clone() };
            let Some(log) = cluster::open_patiently(&options, config, &must_stop)? else { break };
            let (rules, directory) = (Derives::Contacts(rules.clone()), Derives::Agents(directory.clone()));
            for derives in [Derives::Calls(config.call_settings()), rules, Derives::Numbers, directory] {
                folds.push(FoldThread::start(Arc::clone(&log), derives, Time::GoesOn, AtEnd::Leave)?);
            }
        }
        Ok(Some(Self { folds, lake, member }))
    }

    /// What was read is committed; the rest is for those who take over.
    fn close(self) -> Result<()> {
        self.folds.iter().for_each(FoldThread::give_up);
        let folds: Vec<Result<()>> = self.folds.into_iter().map(FoldThread::stop).collect();
        let lake = self.lake.stop();
        self.member.leave()?;
        lake?;
        folds.into_iter().collect()
    }
}
