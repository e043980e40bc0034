//! Reading records and waiting for them, for the log's users and its workers alike.
//!
//! Must not know which process writes. Read on in `view`.

use std::time::Duration;

use super::{Inner, Mode, section::Records, segment::Entry, view::Piece};
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
                Piece::Removed { to } => filling.batch.next = filling.batch.next.max(to),
                Piece::Whole { entry, raw } => filling.take(&entry, &raw),
            }
        }
        Ok(filling.batch)
    }

    pub(super) fn offset_at(&self, topic: &str, partition: Partition, at: i64) -> Result<Offset> {
        self.follow()?;
        let slot = self.slot(topic, partition)?;
        let (mut from, end) = {
            let view = self.core.view.read();
            (view.first_kept(slot), view.standing.next(slot))
        };
        // Segments that are older as a whole need not be read.
        let sealed: Vec<_> =
            self.core.view.read().segments.windows(2).map(|w| (w[0].number, w[1].base(slot))).collect();
        for (number, next) in sealed {
            match self.core.sealed(number) {
                Ok(sealed) if sealed.index.newest_at < at => from = from.max(next),
                Ok(_) | Err(_) => break,
            }
        }
        let mut pieces = self.core.pieces(slot, from);
        while let Some(piece) = pieces.next()? {
            let Piece::Whole { entry, raw } = piece else { continue };
            let mut found = Records::of(&entry, &raw).flatten();
            if let Some(found) = found.find(|found| found.offset >= from && found.record.at >= at) {
                return Ok(found.offset);
            }
        }
        Ok(end)
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
        for found in Records::of(entry, raw) {
            let found = match found {
                Ok(found) => found,
                Err(offset) => return self.lose(offset, entry.end()),
            };
            if found.offset < self.batch.next {
                continue;
            }
            let weight = found.record.weight();
            if weight > self.left && !self.batch.records.is_empty() {
                self.full = true;
                return;
            }
            self.left = self.left.saturating_sub(weight);
            self.batch.records.push(ReadRecord { offset: found.offset, record: found.record.to_record() });
            self.batch.next = found.offset + 1;
        }
        self.batch.next = self.batch.next.max(entry.end());
        self.full = self.left == 0;
    }
}
