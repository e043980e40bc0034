//! The latest record of each key of the compacted topics, as far as memory allows: which records are superseded by it.
//!
//! Gathered from the newest segment to the oldest, so that where memory ends the older records stay: to keep more than
//! must be kept is no error. Must not know about files' layout; what may go for other reasons is decided in `clean`.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::{
    section::{Found, Records},
    view::{Sealed, read_section},
};
use crate::Offset;

/// Keys that are held: some 130 MB at most, while cleaning.
const KEYS_MAX: usize = 2 << 20;
/// A tombstone stays for a day, so that whoever follows the topic learns of it; in microseconds.
const TOMBSTONE_KEPT: i64 = 24 * 60 * 60 * 1_000_000;

/// A compacted slot, and the offset from which on nothing may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounded {
    pub(super) slot: u32,
    pub(super) bound: Offset,
}

#[derive(Debug)]
struct Latest {
    offset: Offset,
    /// An older record of the key was met.
    has_older: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Keys {
    latest: FxHashMap<[u8; 16], Latest>,
    now: i64,
}

impl Keys {
    pub(super) fn new(now: i64) -> Self {
        Self { latest: FxHashMap::default(), now }
    }

    /// Takes in a segment that is older than all before. Returns how many bytes of its records may go.
    pub(super) fn take(&mut self, sealed: &Sealed, slots: &[Bounded]) -> std::io::Result<u64> {
        let mut superseded = 0;
        for Bounded { slot, bound } in slots {
            for entry in sealed.index.from(*slot, 0).iter().rev().filter(|entry| !entry.is_removed()) {
                // What cannot be read cannot go either: it is copied as it is.
                let Some(raw) = read_section(&sealed.file, entry)? else { continue };
                let mut found: Vec<_> = Records::of(entry, &raw).flatten().collect();
                while let Some(found) = found.pop() {
                    if self.is_superseded(*slot, &found) && found.offset < *bound {
                        superseded += found.bytes.len() as u64;
                    }
                }
            }
        }
        Ok(superseded)
    }

    fn is_superseded(&mut self, slot: u32, found: &Found<'_>) -> bool {
        let key = hash(slot, found);
        if let Some(latest) = self.latest.get_mut(&key) {
            latest.has_older = true;
            return true;
        }
        if self.latest.len() < KEYS_MAX {
            self.latest.insert(key, Latest { offset: found.offset, has_older: false });
        }
        self.is_spent_tombstone(found)
    }

    fn is_spent_tombstone(&self, found: &Found<'_>) -> bool {
        found.record.payload.is_none() && found.record.at < self.now.saturating_sub(TOMBSTONE_KEPT)
    }

    /// Whether a record may go: its key has a later one, or it is a tombstone that has done its work.
    pub(super) fn may_go(&self, slot: u32, found: &Found<'_>) -> bool {
        match self.latest.get(&hash(slot, found)) {
            Some(latest) if latest.offset > found.offset => true,
            Some(latest) => !latest.has_older && self.is_spent_tombstone(found),
            None => false,
        }
    }
}

/// 128 bits: among millions of keys no two will ever share them.
fn hash(slot: u32, found: &Found<'_>) -> [u8; 16] {
    xxh3_128_with_seed(found.record.key, slot.into()).to_le_bytes()
}
