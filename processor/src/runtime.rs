//! Drives a fold: one batch in, all its effects, the changed state and the progress in one atomic commit, or none of it.
//!
//! Knows the log and [`Fold`]; must not know what a fold derives. After any error the driver is dropped and made anew: the
//! fold is then restored from what was committed.

use std::collections::BTreeMap;
use std::time::Duration;

use calltide_eventlog::{Commit, EventLog, LogError, Partition, Polled, Worker};
use calltide_schemas::metrics::exposed::Shape;

use crate::fold::{Effects, Fold, Measure};

/// How much input goes into one commit. Larger batches share one fsync among more events, smaller ones are visible sooner;
/// a batch is whatever is there, up to this.
const BATCH_BYTES: usize = 4 << 20;

/// Why a driver stopped.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The log's word.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The committed state can't be read by this version of the fold.
    #[error("the state of fold {fold} was written by another version of Calltide")]
    OtherLayout {
        /// The fold.
        fold: String,
    },
}

/// Makes a fold from its committed state, or `None` when that was written by another version.
pub type Restore<F> = Box<dyn Fn(Vec<(Vec<u8>, Vec<u8>)>) -> Option<F> + Send>;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A partition came or went.
    Moved,
    /// Nothing was there to do.
    Idle,
    /// So many records were processed and committed.
    Processed(usize),
}

/// A fold with its worker.
pub struct Driver<F> {
    name: String,
    worker: Box<dyn Worker>,
    restore: Restore<F>,
    folds: BTreeMap<Partition, F>,
}

impl<F: Fold> Driver<F> {
    /// Joins the group `name` on `topic`.
    ///
    /// # Errors
    /// The log's.
    pub fn join(log: &dyn EventLog, name: &str, topic: &str, restore: Restore<F>) -> Result<Self, RuntimeError> {
        Ok(Self { name: name.to_owned(), worker: log.worker(name, topic)?, restore, folds: BTreeMap::new() })
    }

    /// Processes what is there, or waits for it as long as `timeout`.
    ///
    /// # Errors
    /// The log's, and state of another version. The driver must then be dropped.
    pub fn step(&mut self, timeout: Duration) -> Result<Step, RuntimeError> {
        match self.worker.poll(BATCH_BYTES, timeout)? {
            Polled::Assigned { partition, next: _, state } => {
                let restored = (self.restore)(state);
                let mut fold = restored.ok_or_else(|| RuntimeError::OtherLayout { fold: self.name.clone() })?;
                show(fold.measures());
                self.folds.insert(partition, fold);
                Ok(Step::Moved)
            }
            Polled::Revoked { partition } => {
                self.folds.remove(&partition);
                Ok(Step::Moved)
            }
            Polled::Batch { partition, batch } => {
                for (from, to) in &batch.damaged {
                    tracing::error!(fold = self.name, partition, from, to, "damaged input was passed over");
                    metrics::counter!("calltide_damaged_offsets_total", "fold" => self.name.clone())
                        .increment(to - from);
                }
                let Some(fold) = self.folds.get_mut(&partition) else { return Ok(Step::Idle) };
                if batch.records.is_empty() && batch.damaged.is_empty() {
                    return Ok(Step::Idle);
                }
                let mut effects = Effects::default();
                for read in &batch.records {
                    fold.apply(&read.record, &mut effects);
                }
                for (reason, count) in &effects.notes {
                    metrics::counter!("calltide_ignored_total", "fold" => self.name.clone(), "reason" => *reason)
                        .increment(*count);
                }
                let count = batch.records.len();
                metrics::counter!("calltide_processed_total", "fold" => self.name.clone()).increment(count as u64);
                show(fold.measures());
                let commit = Commit { outputs: effects.outputs, changes: fold.changes(), next: batch.next };
                self.worker.commit(partition, commit)?;
                Ok(Step::Processed(count))
            }
        }
    }

    /// Processes everything up to the log's end, then returns how many records that were.
    ///
    /// # Errors
    /// See [`Driver::step`].
    pub fn drain(&mut self, mut progress: impl FnMut(usize)) -> Result<usize, RuntimeError> {
        let mut total = 0;
        loop {
            match self.step(Duration::ZERO)? {
                Step::Moved => {}
                Step::Idle => return Ok(total),
                Step::Processed(count) => {
                    total += count;
                    progress(count);
                }
            }
        }
    }
}

/// Hands a fold's values to the metrics of this process.
fn show(measures: Vec<Measure>) {
    for Measure { of, labels, value } in measures {
        match of.shape {
            Shape::Counter => metrics::counter!(of.name, &labels).absolute(value as u64),
            Shape::Gauge => metrics::gauge!(of.name, &labels).set(value),
            Shape::Histogram => metrics::histogram!(of.name, &labels).record(value),
        }
    }
}
