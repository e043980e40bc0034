//! Reading records and waiting for them, for the log's users and its workers alike.
//!
//! Must not know which process writes. Read on in `view`.

use std::time::Duration;

use super::{
    Inner, Mode,
    codec::{Cursor, RecordRef},
    segment::Entry,
    view::Piece,
};
use crate::{Batch, Offset, Partition, ReadRecord, Result, TopicSpec};

impl Inner {
    pub(super) fn topics(&self) -> Vec<TopicSpec> {
        self.core.view.read().layout.topics()
    }

    pub(super) fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        self.follow()?;
        let slot = self.slot(topic, partition)?;
        let mut filling = Filling { batch: Batch { next: from, ..Batch::default() }, left: bytes_max, full: false };
        let mut pieces = self.core.pieces(slot, from.max(self.core.view.read().first_kept(slot)));
        while !filling.full
            && let Some(piece) = pieces.next()?
        {
            match piece {
                Piece::Lost { from, to } => filling.lose(from, to),
                Piece::Whole { entry, raw } => filling.take(&entry, &raw),
            }
        }
        Ok(filling.batch)
    }

    pub(super) fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        match &self.mode {
            Mode::Writing { .. } => self.core.wait(seen, timeout),
            Mode::Reading(follower) => follower.wait(seen, timeout),
        }
    }
}

/// A batch that is being filled.
struct Filling {
    batch: Batch,
    left: usize,
    full: bool,
}

impl Filling {
    fn lose(&mut self, from: Offset, to: Offset) {
        // A read that begins within a lost range is told of what it asked for.
        let from = from.max(self.batch.next);
        match self.batch.damaged.last_mut() {
            Some((_, end)) if *end == from => *end = to,
            Some(_) | None => self.batch.damaged.push((from, to)),
        }
        self.batch.next = to;
    }

    /// Takes the records of a section that are still to come, as long as there is room.
    fn take(&mut self, entry: &Entry, raw: &[u8]) {
        let mut cursor = Cursor(raw);
        for offset in entry.first..entry.end() {
            let Some(record) = RecordRef::take(&mut cursor) else { return self.lose(offset, entry.end()) };
            if offset < self.batch.next {
                continue;
            }
            let weight = record.weight();
            if weight > self.left && !self.batch.records.is_empty() {
                self.full = true;
                return;
            }
            self.left = self.left.saturating_sub(weight);
            self.batch.records.push(ReadRecord { offset, record: record.to_record() });
            self.batch.next = offset + 1;
        }
        self.full = self.left == 0;
    }
}
