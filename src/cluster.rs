//! The log on a cluster (`[log] kafka`), as every process opens it that works with others.
//!
//! Roles that run for long wait for brokers that are away; commands say so at once. What is in the log is not known here.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::kafka::{KafkaLog, KafkaOptions};
use calltide_eventlog::{EventLog, LogError};

use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};

/// Between attempts to reach brokers that are away.
const PAUSE: Duration = Duration::from_secs(2);

/// Opens it, making topics that are not there; the log tells what about them is not as it should be.
pub(crate) fn open(options: &KafkaOptions, config: &Config) -> std::result::Result<Arc<dyn EventLog>, LogError> {
    Ok(Arc::new(KafkaLog::open(options, &config.log.cluster_topics())?))
}

/// The same, but waits for brokers that are away until told to stop. `None`: it was.
pub(crate) fn open_patiently(
    options: &KafkaOptions,
    config: &Config,
    must_stop: &dyn Fn() -> bool,
) -> std::result::Result<Option<Arc<dyn EventLog>>, LogError> {
    loop {
        match open(options, config) {
            Err(error @ LogError::Unreachable { .. }) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for Kafka");
            }
            opened => return opened.map(Some),
        }
        if !rest(PAUSE, must_stop) {
            return Ok(None);
        }
    }
}

/// Refuses what is done only to a log in the data directory; `instead` says what does it on a cluster.
pub(crate) fn only_without(config: &Config, instead: &str) -> Result<()> {
    if config.log.is_shared() {
        return Err(
            Failure::new(Exit::Usage, "the log is on Kafka, and this is for a log in the data directory").hint(instead)
        );
    }
    Ok(())
}

/// Sleeps, unless it is time to stop; says whether to go on.
pub(crate) fn rest(time: Duration, must_stop: &dyn Fn() -> bool) -> bool {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until && !must_stop() {
        std::thread::sleep(Duration::from_millis(50));
    }
    !must_stop()
}

/// Keeps other processes from working with the data directory under the same name: in the cluster they would fence each other.
pub(crate) fn lock(data: &DataDir) -> Result<File> {
    let path = data.lock();
    std::fs::create_dir_all(data.path()).map_err(|e| Failure::io("make", data.path(), &e))?;
    let file = File::create(&path).map_err(|e| Failure::io("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let error = format!("another process works with {}", data.path().display());
            Err(Failure::new(Exit::Locked, error).hint("give each process a directory of its own with --data"))
        }
        Err(std::fs::TryLockError::Error(e)) => Err(Failure::io("lock", &path, &e)),
    }
}
