//! The collectors of all PBXs: one task for each AMI, one for the files of each PBX.

use std::sync::Arc;

use calltide_eventlog::EventLog;
use calltide_ingest::ami::{AmiConfig, AmiStatus, collect};
use calltide_ingest::follow::{FollowConfig, follow};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::clock;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::query_api::told_to_stop;

/// What is to be collected, by PBX.
pub(crate) struct Collectors(Vec<(Option<AmiConfig>, Option<FollowConfig>)>);

impl Collectors {
    /// Reads the secrets' files.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let redaction = || config.calls.redaction();
        let of_pbx = |pbx: &crate::config::Pbx| Ok((pbx.collector(redaction())?, pbx.followed(redaction())?));
        config.pbx.iter().map(of_pbx).collect::<Result<Vec<_>>>().map(Self)
    }

    /// Lets all of them collect until the process is told to stop or one has ended by itself; then everybody is told by `stop`,
    /// and they are waited for.
    ///
    /// # Errors
    /// Why one ended by itself.
    pub(crate) async fn run(self, log: &Arc<dyn EventLog>, stop: &watch::Sender<bool>) -> Result<()> {
        let mut tasks = self.start(log, &stop.subscribe());
        let ended = tokio::select! {
            () = told_to_stop() => Ok(()),
            Some(ended) = tasks.join_next() => why(ended),
        };
        tracing::info!("stopping");
        stop.send_replace(true);
        while tasks.join_next().await.is_some() {}
        ended
    }

    /// Starts all of them; each runs until told to stop.
    fn start(self, log: &Arc<dyn EventLog>, stopping: &watch::Receiver<bool>) -> JoinSet<Result<()>> {
        let mut tasks = JoinSet::new();
        for (ami, files) in self.0 {
            let (told, status) = watch::channel(AmiStatus::Connecting);
            let status = ami.is_some().then_some(status);
            if let Some(ami) = ami {
                let collecting = collect(ami, Arc::clone(log), clock::wall(), stopping.clone(), told);
                tasks.spawn(async { collecting.await.map_err(|e| Failure::of(Exit::Failed, &e)) });
            }
            if let Some(files) = files {
                let following = follow(files, Arc::clone(log), clock::wall(), stopping.clone(), status);
                tasks.spawn(async { following.await.map_err(|e| Failure::of(Exit::Failed, &e)) });
            }
        }
        tasks
    }
}

/// What to say when a collector ended although nobody told it to.
fn why(ended: std::result::Result<Result<()>, JoinError>) -> Result<()> {
    match ended {
        Ok(Err(failure)) => Err(failure.hint("what was acknowledged is safe; start again when the disk is well")),
        Ok(Ok(())) => Err(Failure::new(Exit::Failed, "a collector ended by itself")),
        Err(e) => Err(Failure::new(Exit::Failed, "a collector ended with a panic").because(&e)),
    }
}
