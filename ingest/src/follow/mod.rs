//! Follows the CEL file and the queue_log of one PBX while they are written: what AMI missed is in them.
//!
//! Lines go to the log as they come, through rotation, truncation and restarts. No position is saved anywhere but in the
//! log: a file is known by its first line, a line by its number ([`crate::logfile`]), and a restart counts them again. Both
//! files are merged by time, and tell the time where AMI does not (`pulse`). Read on in `path`, then `book`.

mod book;
mod path;
mod pulse;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::{EventLog, LogError, Record};
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;
use calltide_schemas::topics::EVENTS;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::ami::{AmiStatus, Clock};
use crate::decode::cel::CelColumns;
use crate::decode::redact::Redaction;
use crate::logfile::Pending;
use path::Path;
use pulse::Pulse;

/// Records appended at once at most.
const BATCH_RECORDS: usize = 4096;

/// And bytes of them.
const BATCH_BYTES: usize = 4 << 20;

/// How long to wait before a full disk is tried again.
const DISK_FULL_WAIT: Duration = Duration::from_secs(1);

/// What is followed, and how it is read.
#[derive(Debug, Clone)]
pub struct FollowConfig {
    /// The PBX's id in every record.
    pub pbx: String,
    /// What `cel_custom` writes.
    pub cel: Option<PathBuf>,
    /// The `queue_log`.
    pub queue_log: Option<PathBuf>,
    /// The zone of local times in them.
    pub tz: TimeZone,
    /// The columns of the CEL file.
    pub cel_columns: CelColumns,
    /// What must not reach the log.
    pub redaction: Redaction,
    /// How often is looked for more.
    pub look_every: Duration,
    /// How long a file that was renamed or copied away is still read after it last grew: whoever rotates files tells
    /// Asterisk a moment later.
    pub linger: Duration,
}

impl FollowConfig {
    /// Follows nothing yet.
    pub fn new(pbx: &str) -> Self {
        Self {
            pbx: pbx.to_owned(),
            cel: None,
            queue_log: None,
            tz: TimeZone::UTC,
            cel_columns: CelColumns::default(),
            redaction: Redaction::default(),
            look_every: Duration::from_millis(200),
            linger: Duration::from_secs(60),
        }
    }
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The log refused; what was not appended is read again after the next start.
    #[error("the log took no lines of the files of {pbx}")]
    Log {
        /// The PBX.
        pbx: String,
        /// The log's word.
        #[source]
        source: LogError,
    },
    /// The thread ended by a panic.
    #[error("following the files of {pbx} has ended unexpectedly")]
    Ended {
        /// The PBX.
        pbx: String,
    },
}

/// Follows until told to stop. `ami` is what the collector of the same PBX does, if there is one: while it is connected, the
/// time comes from there.
///
/// # Errors
/// When the log does not take records. A file that cannot be read is said and tried again.
pub async fn follow(
    config: FollowConfig,
    log: Arc<dyn EventLog>,
    clock: Clock,
    stop: watch::Receiver<bool>,
    ami: Option<watch::Receiver<AmiStatus>>,
) -> Result<(), FollowError> {
    let pbx = config.pbx.clone();
    let look_every = config.look_every;
    let following = tokio::task::spawn_blocking(move || {
        let mut follower = Follower::new(config, log, clock);
        let must_stop = || *stop.borrow() || stop.has_changed().is_err();
        let told = || ami.as_ref().is_some_and(|ami| matches!(*ami.borrow(), AmiStatus::Connected { .. }));
        while !must_stop() {
            follower.round(told(), &must_stop)?;
            std::thread::sleep(look_every);
        }
        Ok(())
    });
    match following.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(FollowError::Log { pbx, source }),
        Err(_) => Err(FollowError::Ended { pbx }),
    }
}

/// The files of one PBX.
pub struct Follower {
    log: Arc<dyn EventLog>,
    clock: Clock,
    paths: Vec<Path>,
    pulse: Pulse,
    batch: Vec<Record>,
    batch_bytes: usize,
    pbx: String,
}

impl Follower {
    /// Nothing is opened yet.
    pub fn new(config: FollowConfig, log: Arc<dyn EventLog>, clock: Clock) -> Self {
        let named = [(Source::Cel, &config.cel), (Source::QueueLog, &config.queue_log)];
        let paths = named.into_iter().filter_map(|(source, path)| Some(Path::new(&config, source, path.clone()?)));
        let pulse = Pulse::new(&config.pbx, clock());
        Self { log, clock, paths: paths.collect(), pulse, batch: Vec::new(), batch_bytes: 0, pbx: config.pbx }
    }

    /// Takes in what is there now. `told`: the PBX's time comes from elsewhere. Returns how many records were appended.
    ///
    /// # Errors
    /// The log's. Nothing is lost: the follower must be dropped, and the next one begins where the log ends.
    pub fn round(&mut self, told: bool, must_stop: &dyn Fn() -> bool) -> Result<usize, LogError> {
        let now = (self.clock)();
        for path in &mut self.paths {
            path.look(&*self.log, now)?;
        }
        let mut heads: Vec<Option<Pending>> = Vec::new();
        for path in &mut self.paths {
            heads.push(path.next(&*self.log, now)?);
        }
        let mut appended = 0;
        // The earliest first, as an import merges files; one that is at its end holds up no other.
        while let Some(first) = (0..heads.len())
            .filter(|nth| heads[*nth].is_some())
            .min_by_key(|nth| heads[*nth].as_ref().map(|p| p.merge_at))
        {
            let next = self.paths[first].next(&*self.log, now)?;
            if let Some(pending) = std::mem::replace(&mut heads[first], next) {
                self.take(pending, now, told);
            }
            if self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES {
                appended += self.append(must_stop)?;
            }
            if must_stop() {
                break;
            }
        }
        self.batch.extend(self.pulse.idle(now, told));
        Ok(appended + self.append(must_stop)?)
    }

    fn take(&mut self, pending: Pending, now: Micros, told: bool) {
        if let Some(record) = pending.record {
            self.batch.extend(self.pulse.reached(pending.merge_at, now, told));
            self.batch_bytes += record.payload.as_ref().map_or(0, Vec::len);
            self.batch.push(record);
        } else {
            self.pulse.knows(pending.merge_at, now);
        }
    }

    /// Appends the batch; waits while the disk is full, unless it is time to stop: it is read again then.
    fn append(&mut self, must_stop: &dyn Fn() -> bool) -> Result<usize, LogError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let mut said = false;
        while !batch.is_empty() {
            match self.log.append(EVENTS, 0, batch.clone()) {
                Ok(_) => break,
                Err(LogError::DiskFull { dir }) if !must_stop() => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::error!(dir, pbx = self.pbx, "disk full: files are not read on until there is space");
                    }
                    std::thread::sleep(DISK_FULL_WAIT);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(batch.len())
    }
}
