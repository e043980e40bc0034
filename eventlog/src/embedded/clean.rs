//! Retention and compaction: what of the oldest segments may go, by age, by size and by newer records of the same keys.
//!
//! Conservative: whatever cannot be shown to be unneeded stays. Nothing goes that somebody has still to read: at or beyond
//! what the caller protects, not yet passed by a group, not covered by a snapshot, or pinned. Segments go from the oldest on.
//! Must not look at the clock: the caller says what is old. Read on in `rewrite`, which carries it out.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    failed,
    keys::{Bounded, Keys},
    layout::{Carries, Stream},
    pin,
    rewrite::{Fate, Rewriting},
    segment::{self, Head, Standing},
    state::{self, Covers},
    view::{Core, Sealed, Segment},
};
use crate::{LogError, Offset, Partition, Result};

/// A segment is written anew when at least this part of it goes: for less, copying the rest is not worth it.
const WORTH_PART: u64 = 4;

/// What is to be cleaned.
pub struct Cleaning<'a> {
    /// The present time, in microseconds since 1970: what is old is older than its topic's `after` before it.
    pub now: i64,
    /// Segments that were written to within this time stay as they are: whoever looked up where to read has time to pin it.
    pub settled: Duration,
    /// Beyond this many bytes of segments the oldest records of topics that have an age go before they reach it.
    pub bytes_max: Option<u64>,
    /// The first offset of a partition that somebody has still to read; `u64::MAX` if nobody has.
    pub protect: &'a dyn Fn(&str, Partition) -> Offset,
    /// Whether what groups have not passed yet stays.
    pub groups: Groups,
}

/// What becomes of those who have ever worked from the log's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// They go on.
    Work,
    /// They work elsewhere now: what they left unread is for `protect` to say.
    Left,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleaned {
    /// Segments that are gone.
    pub deleted: usize,
    /// Segments of which a part is gone.
    pub rewritten: usize,
    /// Bytes that were freed.
    pub bytes: u64,
    /// Bytes beyond `bytes_max` that had to stay.
    pub over: u64,
}

/// A sealed segment that nobody has written to for a while.
struct Candidate {
    segment: Segment,
    next: Segment,
    bytes: u64,
    /// When it was last written to, in microseconds since 1970.
    written_at: i64,
}

/// A slot as cleaning sees it.
struct Slot {
    stream: Stream,
    /// Records at or beyond it stay.
    bound: Offset,
}

struct Pass<'a> {
    core: &'a Core,
    asked: &'a Cleaning<'a>,
    slots: Vec<Slot>,
    covers: Vec<Covers>,
    keys: Keys,
    /// Per candidate the bytes that superseded records take.
    superseded: Vec<u64>,
    over: u64,
    done: Cleaned,
}

/// See [`EmbeddedLog::clean`](super::EmbeddedLog::clean).
pub(super) fn clean(core: &Core, asked: &Cleaning<'_>) -> Result<Cleaned> {
    let reading = |e| failed("look at the segments", e);
    let covers = state::snapshots(&core.dir).map_err(|e| failed("list the state snapshots", e))?;
    let covers = covers.into_iter().filter_map(|(slot, covers)| covers.filter(|_| state::is_whole(&core.dir, slot)));
    let candidates = candidates(core, asked).map_err(reading)?;
    let bytes: u64 = core.view.read().segments.iter().filter_map(|segment| length(core, segment.number)).sum();
    let mut pass = Pass {
        core,
        asked,
        slots: slots(core, asked),
        covers: covers.collect(),
        keys: Keys::new(asked.now),
        superseded: vec![0; candidates.len()],
        over: asked.bytes_max.map_or(0, |max| bytes.saturating_sub(max)),
        done: Cleaned::default(),
    };
    pass.gather_keys(&candidates)?;
    for (at, candidate) in candidates.iter().enumerate() {
        let path = segment::path(&core.dir, candidate.segment.number);
        // Held while the segment is replaced: whoever wants to pin it waits, and finds the new one.
        let Some(_locked) = pin::lock(&path).map_err(reading)? else { break };
        pass.clean(candidate, pass.superseded[at])?;
    }
    pass.done.over = pass.over;
    Ok(pass.done)
}

fn length(core: &Core, number: u64) -> Option<u64> {
    fs::metadata(segment::path(&core.dir, number)).ok().map(|meta| meta.len())
}

/// All segments that may be looked at, oldest first. The last sealed one stays as it is: if the one after it should never
/// have come to be when the log is opened again, it is the last one, and its frames tell where the log ends.
fn candidates(core: &Core, asked: &Cleaning<'_>) -> std::io::Result<Vec<Candidate>> {
    let segments = core.view.read().segments.clone();
    let settled = i64::try_from(asked.settled.as_micros()).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for pair in segments[..segments.len().saturating_sub(1)].windows(2) {
        let [segment, next] = pair else { continue };
        let meta = fs::metadata(segment::path(&core.dir, segment.number))?;
        let written = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let written_at = i64::try_from(written.as_micros()).unwrap_or(i64::MAX);
        if written_at > asked.now.saturating_sub(settled) {
            break;
        }
        found.push(Candidate { segment: segment.clone(), next: next.clone(), bytes: meta.len(), written_at });
    }
    Ok(found)
}

fn slots(core: &Core, asked: &Cleaning<'_>) -> Vec<Slot> {
    let view = core.view.read();
    let mut slots = Vec::new();
    for (first, stream) in view.layout.slots() {
        for partition in 0..stream.partitions {
            let reading_groups = view.layout.slots().filter(|(_, group)| {
                let reads = |topic: &str| topic == stream.name && stream.is_topic() && asked.groups == Groups::Work;
                matches!(&group.carries, Carries::ChangesOf { topic } if reads(topic))
            });
            let passed = reading_groups.map(|(group, _)| view.standing.progress(group + partition)).min();
            let protected = if stream.is_topic() { (asked.protect)(&stream.name, partition) } else { Offset::MAX };
            debug_assert_eq!(slots.len(), (first + partition) as usize, "slots are numbered in order");
            slots.push(Slot { stream: stream.clone(), bound: protected.min(passed.unwrap_or(Offset::MAX)) });
        }
    }
    slots
}

impl Pass<'_> {
    /// Finds what is superseded, if enough was sealed since the last time: half as much as there was then.
    fn gather_keys(&mut self, candidates: &[Candidate]) -> Result<()> {
        let compacted: Vec<_> = (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| matches!(slot.stream.carries, Carries::Compacted))
            .map(|(slot, of)| Bounded { slot, bound: of.bound })
            .collect();
        let last = self.core.compacted_to.load(Ordering::Relaxed);
        let (mut old, mut new) = (0, 0);
        for Candidate { segment, next, .. } in candidates {
            let offsets = |slot: &Bounded| next.base(slot.slot).saturating_sub(segment.first_kept(slot.slot));
            let offsets: u64 = compacted.iter().map(offsets).sum();
            *(if segment.number > last { &mut new } else { &mut old }) += offsets;
        }
        if new == 0 || new < old / 2 {
            return Ok(());
        }
        for (at, candidate) in candidates.iter().enumerate().rev() {
            let sealed = self.sealed(candidate)?;
            let taken = self.keys.take(&sealed, &compacted).map_err(|e| failed("read a segment", e))?;
            self.superseded[at] = taken;
        }
        // What somebody has still to read is not done with.
        let done = |candidate: &&Candidate| compacted.iter().all(|of| candidate.next.base(of.slot) <= of.bound);
        if let Some(newest) = candidates.iter().take_while(done).last() {
            self.core.compacted_to.store(newest.segment.number, Ordering::Relaxed);
        }
        Ok(())
    }

    fn sealed(&self, candidate: &Candidate) -> Result<Arc<Sealed>> {
        self.core.sealed(candidate.segment.number).map_err(|e| failed("open a segment", e))
    }

    fn clean(&mut self, candidate: &Candidate, superseded: u64) -> Result<()> {
        let sealed = self.sealed(candidate)?;
        let newest_at = sealed.index.newest_at.min(candidate.written_at);
        let fates: Vec<Fate> =
            (0..).zip(&self.slots).map(|(slot, of)| self.fate(candidate, slot, of, newest_at)).collect();
        let number = candidate.segment.number;
        let is_oldest = self.core.view.read().segments.first().is_some_and(|oldest| oldest.number == number);
        let freed = if is_oldest && fates.iter().all(|fate| *fate == Fate::Goes) {
            self.delete(number)?;
            candidate.bytes
        } else {
            let goes = |slot: &u32| fates.get(*slot as usize) == Some(&Fate::Goes);
            let going = (0..).take(fates.len()).filter(goes).map(|slot| sealed.index.stored_bytes(slot)).sum::<u64>();
            if going + superseded == 0 || (going + superseded) * WORTH_PART < candidate.bytes {
                return Ok(());
            }
            let Some(length) = self.rewrite(candidate, &sealed, &fates)? else { return Ok(()) };
            self.done.rewritten += 1;
            candidate.bytes.saturating_sub(length)
        };
        self.done.bytes += freed;
        self.over = self.over.saturating_sub(freed);
        Ok(())
    }

    /// What becomes of a slot's part. A slot that has nothing in the segment goes with it.
    fn fate(&self, candidate: &Candidate, slot: u32, of: &Slot, newest_at: i64) -> Fate {
        let end = candidate.next.base(slot);
        if candidate.segment.first_kept(slot) >= end {
            return Fate::Goes;
        }
        let kept_us = of.stream.kept_ms().map(|ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000));
        let is_old = kept_us.is_some_and(|kept| self.over > 0 || newest_at < self.asked.now.saturating_sub(kept));
        match of.stream.carries {
            Carries::Records { .. } | Carries::Compacted if is_old && of.bound >= end => Fate::Goes,
            Carries::Compacted => Fate::Sifted { bound: of.bound },
            Carries::Records { .. } => Fate::Stays,
            Carries::ChangesOf { .. } => {
                let covered = self.covers.iter().any(|covers| covers.slot == slot && covers.commits >= end);
                if covered { Fate::Goes } else { Fate::Stays }
            }
        }
    }

    fn delete(&mut self, number: u64) -> Result<()> {
        fs::remove_file(segment::path(&self.core.dir, number)).map_err(|e| failed("delete a segment", e))?;
        drop(fs::remove_file(self.core.dir.join(segment::index_name(number))));
        self.core.forget_deleted();
        self.done.deleted += 1;
        Ok(())
    }

    /// `None`: it stays as it is, since it is not known where everything stood at its begin or end, or the disk is full.
    fn rewrite(&self, candidate: &Candidate, sealed: &Sealed, fates: &[Fate]) -> Result<Option<u64>> {
        let reading = |e| failed("read a segment", e);
        let head = segment::read_head(&sealed.file).map_err(reading)?;
        let end = self.end(candidate).map_err(reading)?;
        let (Some(head), Some(end)) = (head, end) else { return Ok(None) };
        let number = candidate.segment.number;
        let rewriting = Rewriting { core: self.core, number, sealed, head, end, fates, keys: &self.keys };
        match rewriting.run() {
            Ok(length) => Ok(Some(length)),
            Err(LogError::DiskFull { dir }) => {
                tracing::warn!(dir, segment = number, "no space to clean a segment; whole ones are still deleted");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn end(&self, candidate: &Candidate) -> std::io::Result<Option<Standing>> {
        let next = fs::File::open(segment::path(&self.core.dir, candidate.next.number))?;
        let head: Option<Head> = segment::read_head(&next)?;
        Ok(head.map(|head| head.standing))
    }
}
