//! What of the log can be read at this moment, and the reading of it: the same for the writing process and for others.
//!
//! The writer moves the view on after each fdatasync; a reading process moves its own by following the published end
//! (`follow`). Whatever offset below the end no whole section holds is reported as lost. Must not know how records are made.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, RwLock};

use super::{
    codec, disk, failed,
    layout::Layout,
    scan::{Found, Scan},
    segment::{self, Cleaned, Entry, Index, Standing},
};
use crate::{Offset, Result};

/// Sealed segments whose file and index are kept at hand; a 64 MB segment of tiny frames has an index of some 5 MB.
const SEALED_KEPT: usize = 16;
/// Index entries taken at once, so that the lock is not held for each.
const ENTRIES_AT_ONCE: usize = 64;

/// One segment file.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Where each slot stood at its begin.
    pub(super) base: Arc<Vec<Offset>>,
    /// In a cleaned one per slot the first offset that is still there, or where the slot stood at its end.
    pub(super) kept: Option<Arc<Vec<Offset>>>,
}

impl Segment {
    pub(super) fn new(number: u64, standing: &Standing, cleaned: Option<&Cleaned>) -> Self {
        let base = Arc::new((0..standing.slots()).map(|slot| standing.next(slot)).collect());
        Self { number, base, kept: cleaned.map(|cleaned| Arc::clone(&cleaned.kept)) }
    }

    pub(super) fn base(&self, slot: u32) -> Offset {
        self.base.get(slot as usize).copied().unwrap_or(0)
    }

    /// The first offset of a slot that is still there; at or beyond its successor's base if none is.
    pub(super) fn first_kept(&self, slot: u32) -> Offset {
        match &self.kept {
            Some(kept) => kept.get(slot as usize).copied().unwrap_or_else(|| self.base(slot)),
            None => self.base(slot),
        }
    }
}

/// What can be read now.
#[derive(Debug)]
pub(super) struct View {
    pub(super) layout: Layout,
    /// All segments, oldest first; the last one is being written.
    pub(super) segments: Vec<Segment>,
    pub(super) active: Arc<File>,
    pub(super) index: Index,
    /// The end of what is synced: the last segment's length, and where everything stands there.
    pub(super) position: u64,
    pub(super) standing: Standing,
}

impl View {
    pub(super) fn active_number(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.number)
    }

    /// The first offset of a slot that is still there, or its end.
    pub(super) fn first_kept(&self, slot: u32) -> Offset {
        let end = |at: usize| self.segments.get(at + 1).map_or(self.standing.next(slot), |next| next.base(slot));
        let firsts = self.segments.iter().enumerate().map(|(at, segment)| (segment.first_kept(slot), end(at)));
        let mut kept = firsts.filter(|(first, end)| first < end).map(|(first, _)| first);
        kept.next().unwrap_or_else(|| self.standing.next(slot))
    }

    /// Goes on in the next segment.
    pub(super) fn roll(&mut self, number: u64, file: Arc<File>, position: u64, kept: Option<Arc<Vec<Offset>>>) {
        self.segments.push(Segment { kept, ..Segment::new(number, &self.standing, None) });
        self.active = file;
        self.index = Index::default();
        self.position = position;
    }

    /// Takes in what frames lie between the view's position and `limit`.
    pub(super) fn scan_to(&mut self, limit: u64) -> io::Result<()> {
        let file = Arc::clone(&self.active);
        for found in Scan::new(&file, self.position, limit, self.standing.sequence) {
            if let Found::Frame { position, header, meta } = found? {
                self.index.add(position, &header, &meta);
                self.standing.apply(header.sequence, &meta);
            }
        }
        self.position = limit;
        Ok(())
    }
}

/// A sealed segment at hand.
#[derive(Debug)]
pub(super) struct Sealed {
    number: u64,
    pub(super) file: Arc<File>,
    pub(super) index: Index,
}

/// The readable side of an open log.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) dir: PathBuf,
    pub(super) view: RwLock<View>,
    sealed: Mutex<VecDeque<Arc<Sealed>>>,
    /// Up to which segment keys were compacted last, while this process has the log open.
    pub(super) compacted_to: AtomicU64,
    moment: Mutex<u64>,
    moved: Condvar,
}

/// One step through a slot.
#[derive(Debug)]
pub(super) enum Piece {
    /// The unpacked bytes of a section.
    Whole { entry: Entry, raw: Vec<u8> },
    /// Offsets `[from, to)` that no readable frame holds.
    Lost { from: Offset, to: Offset },
    /// Offsets up to this one that cleaning removed.
    Removed { to: Offset },
}

impl Core {
    pub(super) fn new(dir: PathBuf, view: View) -> Self {
        let moment = Mutex::new(view.standing.sequence);
        let (view, moved) = (RwLock::new(view), Condvar::new());
        Self { dir, view, sealed: Mutex::default(), compacted_to: AtomicU64::new(0), moment, moved }
    }

    /// Walks through a slot from `from` to the present end.
    pub(super) fn pieces(&self, slot: u32, from: Offset) -> Pieces<'_> {
        Pieces { core: self, slot, at: from, waiting: VecDeque::new() }
    }

    /// Tells sleepers that the view has moved.
    pub(super) fn announce(&self) {
        *self.moment.lock() = self.view.read().standing.sequence;
        self.moved.notify_all();
    }

    pub(super) fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let until = Instant::now() + timeout;
        let mut moment = self.moment.lock();
        while *moment == seen && !self.moved.wait_until(&mut moment, until).timed_out() {}
        *moment
    }

    /// Takes segments that were deleted out of sight, from the oldest on. Returns whether there were any.
    pub(super) fn forget_deleted(&self) -> bool {
        let is_gone = |segment: &Segment| !segment::path(&self.dir, segment.number).exists();
        let oldest_is_gone = self.view.read().segments.first().is_some_and(is_gone);
        if oldest_is_gone {
            let mut view = self.view.write();
            let sealed = view.segments.len() - 1;
            let gone = view.segments[..sealed].iter().take_while(|segment| is_gone(segment)).count();
            view.segments.drain(..gone);
            let first = view.segments.first().map_or(0, |segment| segment.number);
            drop(view);
            // Held open they would still take their space.
            self.sealed.lock().retain(|sealed| sealed.number >= first);
            return gone > 0;
        }
        false
    }

    /// A sealed segment's file and index, from memory, from the file beside it, or by reading through it.
    pub(super) fn sealed(&self, number: u64) -> io::Result<Arc<Sealed>> {
        let mut kept = self.sealed.lock();
        let found = kept.iter().position(|sealed| sealed.number == number).and_then(|at| kept.remove(at));
        let sealed = match found {
            Some(sealed) => sealed,
            None => Arc::new(self.load_sealed(number)?),
        };
        kept.push_front(Arc::clone(&sealed));
        kept.truncate(SEALED_KEPT);
        Ok(sealed)
    }

    /// Takes in that a sealed segment was replaced by its next generation.
    pub(super) fn replaced(&self, number: u64, kept: Arc<Vec<Offset>>) {
        self.sealed.lock().retain(|sealed| sealed.number != number);
        let mut view = self.view.write();
        if let Some(segment) = view.segments.iter_mut().find(|segment| segment.number == number) {
            segment.kept = Some(kept);
        }
    }

    fn load_sealed(&self, number: u64) -> io::Result<Sealed> {
        let file = Arc::new(File::open(segment::path(&self.dir, number))?);
        let beside = fs::read(self.dir.join(segment::index_name(number)));
        // Segment and index are replaced one after the other: only the generation says that they belong together.
        let generation = segment::read_head(&file)?.map(|head| head.generation());
        let own = |index: &Index| Some(index.generation) == generation;
        let index = match beside.ok().and_then(|bytes| Index::decode(&bytes)).filter(own) {
            Some(index) => index,
            None => scan_index(&file)?,
        };
        Ok(Sealed { number, file, index })
    }
}

/// Builds a segment's index by reading through it.
pub(super) fn scan_index(file: &File) -> io::Result<Index> {
    let head = segment::read_head(file)?;
    let (start, generation) = head.map_or((0, 0), |head| (head.start, head.generation()));
    let mut index = Index::default();
    index.generation = generation;
    for found in Scan::new(file, start, file.metadata()?.len(), 0) {
        if let Found::Frame { position, header, meta } = found? {
            index.add(position, &header, &meta);
        }
    }
    Ok(index)
}

/// What is to be read next: a section of a file, or nothing where something should be.
#[derive(Debug)]
enum Place {
    Section(Arc<File>, Entry),
    Nothing { from: Offset, to: Offset },
}

/// Walks through a slot.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    core: &'a Core,
    slot: u32,
    at: Offset,
    waiting: VecDeque<Place>,
}

impl Pieces<'_> {
    /// The next section or hole; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        if self.waiting.is_empty() {
            self.locate()?;
        }
        match self.waiting.pop_front() {
            None => Ok(None),
            Some(Place::Nothing { from, to }) => Ok(Some(Piece::Lost { from, to })),
            Some(Place::Section(_, entry)) if entry.is_removed() => Ok(Some(Piece::Removed { to: entry.end() })),
            Some(Place::Section(file, entry)) => {
                let raw = read_section(&file, &entry).map_err(|e| failed("read a segment", e))?;
                let lost = Piece::Lost { from: entry.first, to: entry.end() };
                Ok(Some(raw.map_or(lost, |raw| Piece::Whole { entry, raw })))
            }
        }
    }

    /// Finds the next places, all within one segment.
    fn locate(&mut self) -> Result<()> {
        let view = self.core.view.read();
        let after = view.segments.partition_point(|segment| segment.base(self.slot) <= self.at);
        let (Some(segment), true) = (view.segments.get(after.max(1) - 1), self.at < view.standing.next(self.slot))
        else {
            return Ok(());
        };
        self.at = self.at.max(segment.base(self.slot));
        if let Some(next) = view.segments.get(after.max(1)) {
            let (number, end) = (segment.number, next.base(self.slot));
            drop(view);
            match self.core.sealed(number) {
                Ok(sealed) => self.take(&sealed.file, &sealed.index, end),
                Err(e) if e.kind() == io::ErrorKind::NotFound && self.core.forget_deleted() => return self.locate(),
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.lose_to(end),
                Err(e) => return Err(failed("open a segment", e)),
            }
        } else {
            self.take(&view.active, &view.index, view.standing.next(self.slot));
        }
        Ok(())
    }

    fn take(&mut self, file: &Arc<File>, index: &Index, end: Offset) {
        for entry in index.from(self.slot, self.at).iter().take(ENTRIES_AT_ONCE) {
            self.lose_to(entry.first.min(end));
            if entry.first >= end {
                return;
            }
            self.waiting.push_back(Place::Section(Arc::clone(file), *entry));
            self.at = entry.end();
        }
        if self.waiting.is_empty() {
            self.lose_to(end);
        }
    }

    fn lose_to(&mut self, to: Offset) {
        if self.at < to {
            self.waiting.push_back(Place::Nothing { from: self.at, to });
            self.at = to;
        }
    }
}

/// A section's unpacked bytes. `None` if it is not what was written.
pub(super) fn read_section(file: &File, entry: &Entry) -> io::Result<Option<Vec<u8>>> {
    let stored = disk::read_up_to(file, u64::from(entry.position), entry.stored_len as usize)?;
    if stored.len() != entry.stored_len as usize || crc32c::crc32c(&stored) != entry.crc {
        return Ok(None);
    }
    Ok(codec::unpack(stored, entry.raw_len as usize))
}
