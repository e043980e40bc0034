//! The worker of a group over the embedded log: it alone has all partitions, restores them one by one, then reads in turn.
//!
//! A newer worker of the group fences it, which is seen at its next commit or poll. Snapshots of the state are made in the
//! background when enough has changed. Must not know what is in records. Read on in `state` and `writer`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Inner, codec,
    state::{self, Growth},
    writer::{CommitJob, Job},
};
use crate::{Batch, Commit, LogError, Offset, Partition, Polled, Result, Worker};

/// One partition of a worker.
#[derive(Debug)]
struct Part {
    slot: u32,
    /// `None` until its state was given out.
    next: Option<Offset>,
    growth: Growth,
}

/// See [`Worker`].
#[derive(Debug)]
pub(super) struct EmbeddedWorker {
    log: Arc<Inner>,
    group: String,
    topic: String,
    group_slot: u32,
    epoch: u64,
    parts: Vec<Part>,
    turn: usize,
    snapshot: Option<(usize, JoinHandle<Result<u64>>)>,
}

impl EmbeddedWorker {
    pub(super) fn join(log: Arc<Inner>, group: &str, topic: &str) -> Result<Self> {
        let (group_slot, partitions) = log.group(group, topic)?;
        let epoch = {
            let mut epochs = log.epochs.lock();
            let epoch = epochs.entry(group_slot).or_insert(0);
            *epoch += 1;
            *epoch
        };
        // Commits of the worker before that are under way must be over before its state is read.
        log.drain()?;
        let part = |slot| Part { slot, next: None, growth: Growth::default() };
        let parts = (group_slot..group_slot + partitions).map(part).collect();
        let (group, topic) = (group.to_owned(), topic.to_owned());
        Ok(Self { log, group, topic, group_slot, epoch, parts, turn: 0, snapshot: None })
    }

    fn fenced(&self) -> LogError {
        LogError::Fenced { group: self.group.clone() }
    }

    fn is_newest(&self) -> bool {
        self.log.epochs.lock().get(&self.group_slot) == Some(&self.epoch)
    }

    /// The first partition whose state has not been given out yet.
    fn assign(&mut self) -> Result<Option<Polled>> {
        for (partition, part) in (0..).zip(&mut self.parts) {
            if part.next.is_none() {
                let restored = state::restore(&self.log.core, part.slot)?;
                part.next = Some(restored.next);
                part.growth = restored.growth;
                return Ok(Some(Polled::Assigned { partition, next: restored.next, state: restored.state }));
            }
        }
        Ok(None)
    }

    /// The next partition in turn that has something to read.
    fn read(&mut self, bytes_max: usize) -> Result<Option<Polled>> {
        for _ in 0..self.parts.len() {
            let at = self.turn % self.parts.len();
            self.turn = at + 1;
            let partition = Partition::try_from(at).unwrap_or(Partition::MAX);
            let from = self.parts[at].next.unwrap_or(0);
            let batch = self.log.read(&self.topic, partition, from, bytes_max)?;
            if batch.next != from {
                self.parts[at].next = Some(batch.next);
                return Ok(Some(Polled::Batch { partition, batch }));
            }
        }
        Ok(None)
    }

    /// Makes a snapshot in the background if this partition's is due and none is being made.
    fn snapshot_if_due(&mut self, at: usize) {
        if self.snapshot.as_ref().is_some_and(|(_, thread)| thread.is_finished()) {
            self.end_snapshot();
        }
        if self.snapshot.is_some() || !self.parts[at].growth.is_due(self.log.snapshot_bytes) {
            return;
        }
        let (core, slot) = (Arc::clone(&self.log.core), self.parts[at].slot);
        let making = move || state::snapshot(&core, slot);
        match std::thread::Builder::new().name("log-snapshot".into()).spawn(making) {
            Ok(thread) => self.snapshot = Some((at, thread)),
            Err(error) => tracing::warn!(%error, "no thread for a state snapshot"),
        }
        // What is committed meanwhile counts for the next one.
        self.parts[at].growth.since_bytes = 0;
    }

    fn slot(&self, partition: Partition) -> Result<u32> {
        let part = self.parts.get(partition as usize);
        let unknown = || LogError::UnknownTopic { topic: format!("{}, partition {partition}", self.topic) };
        part.map(|part| part.slot).ok_or_else(unknown)
    }

    fn commit_one(&mut self, partition: Partition, commit: Commit) -> Result<()> {
        let at = partition as usize;
        let slot = self.slot(partition)?;
        let mut job = Job::default();
        let mut raw = Vec::new();
        commit.changes.iter().for_each(|change| codec::put_change(&mut raw, change));
        let changed_bytes = raw.len() as u64;
        job.sections.push((slot, 1, codec::pack(raw)));
        let outputs = commit.outputs.iter().map(|output| (output.topic.as_str(), &output.record));
        self.log.add_outputs(&mut job, outputs)?;
        job.commit = Some(CommitJob {
            group_slot: self.group_slot,
            group: self.group.clone(),
            epoch: self.epoch,
            slot,
            next: commit.next,
        });
        self.log.write(job)?;
        self.parts[at].growth.since_bytes += changed_bytes;
        self.snapshot_if_due(at);
        Ok(())
    }

    /// See [`EmbeddedLog::replace_state`](super::EmbeddedLog::replace_state).
    pub(super) fn replace(
        &mut self,
        partition: Partition,
        state: BTreeMap<Vec<u8>, Vec<u8>>,
        next: Offset,
    ) -> Result<()> {
        state::replace(&self.log.core, self.slot(partition)?, state, next)?;
        // Only now is it known where the work goes on; before, it would do some of it again.
        self.commit_one(partition, Commit { next, ..Commit::default() })
    }

    fn end_snapshot(&mut self) {
        let Some((at, thread)) = self.snapshot.take() else { return };
        match thread.join() {
            Ok(Ok(bytes)) => self.parts[at].growth.snapshot_bytes = bytes,
            // The last one still serves; the next is tried when as much has changed again.
            Ok(Err(error)) => tracing::warn!(%error, group = self.group, "a state snapshot was not made"),
            Err(_) => tracing::error!(group = self.group, "making a state snapshot panicked"),
        }
    }
}

impl Worker for EmbeddedWorker {
    fn poll(&mut self, bytes_max: usize, timeout: Duration) -> Result<Polled> {
        if !self.is_newest() {
            return Err(self.fenced());
        }
        if let Some(assigned) = self.assign()? {
            return Ok(assigned);
        }
        let until = Instant::now() + timeout;
        let mut seen = self.log.wait(0, Duration::ZERO);
        loop {
            if let Some(batch) = self.read(bytes_max)? {
                return Ok(batch);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let next = self.parts.first().and_then(|part| part.next).unwrap_or(0);
                return Ok(Polled::Batch { partition: 0, batch: Batch { next, ..Batch::default() } });
            }
            seen = self.log.wait(seen, left);
        }
    }

    fn commit_all(&mut self, commits: Vec<(Partition, Commit)>) -> Result<()> {
        commits.into_iter().try_for_each(|(partition, commit)| self.commit_one(partition, commit))
    }
}

impl Drop for EmbeddedWorker {
    fn drop(&mut self) {
        self.end_snapshot();
    }
}
