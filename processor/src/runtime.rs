//! Drives a fold: what is there goes in, all its effects, the changed state and the progress go out in one commit, or none of it.
//!
//! Knows the log and [`Fold`]; must not know what a fold derives. After any error the driver is dropped and made anew: the
//! fold is then restored from what was committed.

use std::collections::BTreeMap;
use std::time::Duration;

use calltide_eventlog::{Batch, Commit, EventLog, LogError, Offset, Partition, Polled, Worker};
use calltide_schemas::Micros;
use calltide_schemas::metrics::exposed::Shape;

use crate::fold::{Effects, Fold, Measure};

/// How much input goes into one commit. Larger ones share one fsync, or one transaction, among more events, smaller ones are
/// visible sooner; it is whatever is there, up to this.
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

/// What was taken in since the last commit.
#[derive(Default)]
struct Round {
    open: BTreeMap<Partition, Open>,
    /// Of payload.
    bytes: usize,
}

/// The same of one partition.
#[derive(Default)]
struct Open {
    effects: Effects,
    records: usize,
    next: Offset,
}

impl<F: Fold> Driver<F> {
    /// Joins the group `name` on `topic`.
    ///
    /// # Errors
    /// The log's.
    pub fn join(log: &dyn EventLog, name: &str, topic: &str, restore: Restore<F>) -> Result<Self, RuntimeError> {
        Ok(Self { name: name.to_owned(), worker: log.worker(name, topic)?, restore, folds: BTreeMap::new() })
    }

    /// The partitions that are its own now.
    pub fn partitions(&self) -> Vec<Partition> {
        self.folds.keys().copied().collect()
    }

    /// The partitions of which there is more to be done than was done with the last record, see [`Fold::has_more`].
    pub fn have_more(&self) -> Vec<Partition> {
        self.folds.iter().filter(|(_, fold)| fold.has_more()).map(|(partition, _)| *partition).collect()
    }

    /// The partitions of which something is to be done by now, see [`Fold::next_look`].
    pub fn due(&self, now: Micros) -> Vec<Partition> {
        let is_due = |fold: &F| fold.next_look().is_some_and(|at| at <= now);
        self.folds.iter().filter(|(_, fold)| is_due(fold)).map(|(partition, _)| *partition).collect()
    }

    /// Processes what is there in all partitions, or waits for it as long as `timeout`.
    ///
    /// # Errors
    /// The log's, and state of another version. The driver must then be dropped.
    pub fn step(&mut self, mut timeout: Duration) -> Result<Step, RuntimeError> {
        let mut round = Round::default();
        let mut moved = false;
        loop {
            match self.worker.poll(BATCH_BYTES.saturating_sub(round.bytes), timeout)? {
                Polled::Assigned { partition, next: _, state } => {
                    let restored = (self.restore)(state);
                    let mut fold = restored.ok_or_else(|| RuntimeError::OtherLayout { fold: self.name.clone() })?;
                    show(fold.measures());
                    self.folds.insert(partition, fold);
                    moved = true;
                    break;
                }
                Polled::Revoked { partition } => {
                    // Whoever has it now does it again. Others may have gone with it: nothing of theirs may be committed either.
                    self.folds.remove(&partition);
                    round.open.remove(&partition);
                    moved = true;
                }
                Polled::Batch { batch, .. } if batch.records.is_empty() && batch.damaged.is_empty() => break,
                Polled::Batch { partition, batch } => self.take_in(partition, &batch, &mut round),
            }
            if round.bytes >= BATCH_BYTES {
                break;
            }
            timeout = Duration::ZERO;
        }
        self.commit(round).map(|processed| match (processed, moved) {
            (1.., _) => Step::Processed(processed),
            (0, true) => Step::Moved,
            (0, false) => Step::Idle,
        })
    }

    fn take_in(&mut self, partition: Partition, batch: &Batch, round: &mut Round) {
        for (from, to) in &batch.damaged {
            tracing::error!(fold = self.name, partition, from, to, "damaged input was passed over");
            metrics::counter!("calltide_damaged_offsets_total", "fold" => self.name.clone()).increment(to - from);
        }
        let Some(fold) = self.folds.get_mut(&partition) else { return };
        let open = round.open.entry(partition).or_default();
        for read in &batch.records {
            round.bytes += read.record.payload.as_ref().map_or(0, |payload| payload.len());
            fold.apply(&read.record, &mut open.effects);
        }
        open.records += batch.records.len();
        open.next = batch.next;
    }

    /// Commits what was taken in; returns how many records that were.
    fn commit(&mut self, round: Round) -> Result<usize, RuntimeError> {
        let mut processed = 0;
        let mut commits = Vec::with_capacity(round.open.len());
        for (partition, Open { effects, records, next }) in round.open {
            let Some(fold) = self.folds.get_mut(&partition) else { continue };
            for (reason, count) in &effects.notes {
                metrics::counter!("calltide_ignored_total", "fold" => self.name.clone(), "reason" => *reason)
                    .increment(*count);
            }
            processed += records;
            show(fold.measures());
            commits.push((partition, Commit { outputs: effects.outputs, changes: fold.changes(), next }));
        }
        if !commits.is_empty() {
            metrics::counter!("calltide_processed_total", "fold" => self.name.clone()).increment(processed as u64);
            self.worker.commit_all(commits)?;
        }
        Ok(processed)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
    use calltide_eventlog::{Change, Layer, ReadRecord, Record};

    use super::*;

    /// A log whose worker is told what is in the script, and writes down which partitions are committed.
    struct Scripted {
        below: EmbeddedLog,
        script: Arc<Mutex<VecDeque<Polled>>>,
        committed: Arc<Mutex<Vec<Partition>>>,
    }

    impl Layer for Scripted {
        fn below(&self) -> &dyn EventLog {
            &self.below
        }

        fn worker(&self, _: &str, _: &str) -> calltide_eventlog::Result<Box<dyn Worker>> {
            let (script, committed) = (Arc::clone(&self.script), Arc::clone(&self.committed));
            Ok(Box::new(ScriptedWorker { script, committed }))
        }
    }

    struct ScriptedWorker {
        script: Arc<Mutex<VecDeque<Polled>>>,
        committed: Arc<Mutex<Vec<Partition>>>,
    }

    impl Worker for ScriptedWorker {
        fn poll(&mut self, _: usize, _: Duration) -> calltide_eventlog::Result<Polled> {
            let nothing = || Polled::Batch { partition: 0, batch: Batch::default() };
            Ok(self.script.lock().unwrap().pop_front().unwrap_or_else(nothing))
        }

        fn commit_all(&mut self, commits: Vec<(Partition, Commit)>) -> calltide_eventlog::Result<()> {
            self.committed.lock().unwrap().extend(commits.into_iter().map(|(partition, _)| partition));
            Ok(())
        }
    }

    struct Nothing;

    impl Fold for Nothing {
        fn apply(&mut self, _: &Record, _: &mut Effects) {}

        fn changes(&mut self) -> Vec<Change> {
            Vec::new()
        }
    }

    #[test]
    fn partitions_that_go_together_are_all_gone_before_anything_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let came = |partition| Polled::Assigned { partition, next: 0, state: Vec::new() };
        let batch = |partition| {
            let records = vec![ReadRecord { offset: 0, record: Record::default() }];
            Polled::Batch { partition, batch: Batch { records, next: 1, damaged: Vec::new() } }
        };
        let went = |partition| Polled::Revoked { partition };
        let script = [came(0), came(1), came(2), batch(0), batch(1), batch(2), went(0), went(2), batch(1)];
        let log = Scripted {
            below: EmbeddedLog::open(dir.path(), &[], EmbeddedOptions::default()).unwrap(),
            script: Arc::new(Mutex::new(script.into())),
            committed: Arc::default(),
        };
        let mut driver = Driver::join(&log, "test", "events", Box::new(|_| Some(Nothing))).unwrap();
        for _ in 0..3 {
            assert_eq!(driver.step(Duration::ZERO).unwrap(), Step::Moved);
        }
        assert_eq!(driver.step(Duration::ZERO).unwrap(), Step::Processed(2));
        assert_eq!(*log.committed.lock().unwrap(), [1], "what went is for others");
    }
}
