//! The state of worker groups: restoring it, and the snapshots that keep restoring short.
//!
//! A partition's state is its last snapshot and the changes committed since, whose numbers have no holes; if one is
//! missing, the state is refused rather than guessed. A snapshot is sorted by key, so that the next one is a merge of it
//! with the changes, never the whole state in memory. Must not know what keys and values mean.

use std::{
    collections::{BTreeMap, btree_map},
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    iter::Peekable,
    path::{Path, PathBuf},
};

use super::{
    codec::{self, Cursor, put_blob, put_varint},
    disk, failed, segment,
    view::{Core, Piece},
};
use crate::{Change, LogError, Offset, Result};

const MAGIC: [u8; 8] = *b"CTSTA\xff\xfe1";
/// Entries are packed and checksummed together up to this size.
const BLOCK_BYTES: usize = 64 << 10;
/// Changes are held in memory while a snapshot is made, so one is due at this size however large the last one was.
const DUE_BYTES_MAX: u64 = 256 << 20;

type Entry = (Vec<u8>, Vec<u8>);
/// By key the value it has now, or `None` where it was removed.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A partition's state as it was committed last.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// Sorted by key.
    pub(super) state: Vec<Entry>,
    /// The input offset at which the worker goes on.
    pub(super) next: Offset,
    pub(super) growth: Growth,
}

/// How much a snapshot would save.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    /// Bytes of the last snapshot, unpacked.
    pub(super) snapshot_bytes: u64,
    /// Bytes of the changes since, unpacked.
    pub(super) since_bytes: u64,
}

impl Growth {
    /// A snapshot is due when at least `due_bytes` were committed since the last one, and as much as the last one holds.
    pub(super) fn is_due(self, due_bytes: u64) -> bool {
        self.since_bytes >= self.snapshot_bytes.min(DUE_BYTES_MAX).max(due_bytes)
    }
}

/// What a snapshot covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covers {
    pub(super) slot: u32,
    /// Commits numbered below this are in it.
    pub(super) commits: u64,
    /// The input offset at which the worker goes on after them.
    pub(super) next: Offset,
}

/// Restores a partition's state.
pub(super) fn restore(core: &Core, slot: u32) -> Result<Restored> {
    let (end, next) = ends(core, slot);
    let (covers, mut state, snapshot_bytes) = last_whole_snapshot(core, slot)?;
    let (changes, since_bytes) = changes(core, slot, covers.commits, end)?;
    if !changes.is_empty() {
        state = merge(state.into_iter().map(Ok), changes).collect::<Result<_>>()?;
    }
    let next = if covers.commits > end { covers.next } else { next };
    Ok(Restored { state, next, growth: Growth { snapshot_bytes, since_bytes } })
}

/// Makes a new snapshot of all that is committed now. Returns its size in bytes, unpacked.
pub(super) fn snapshot(core: &Core, slot: u32) -> Result<u64> {
    match Snapshot::last(&core.dir, slot).and_then(|last| snapshot_after(core, slot, last)) {
        Err(LogError::Damaged { .. }) if all_changes_are_kept(core, slot) => snapshot_after(core, slot, None),
        made => made,
    }
}

fn snapshot_after(core: &Core, slot: u32, last: Option<Snapshot>) -> Result<u64> {
    let (end, next) = ends(core, slot);
    let from = last.as_ref().map_or(0, |last| last.covers.commits);
    let (changes, _) = changes(core, slot, from, end)?;
    let covers = Covers { slot, commits: end, next };
    write(&core.dir, covers, merge(last.into_iter().flatten(), changes))
}

/// Makes this the state that is committed now, whatever it was before and whether that can be read.
pub(super) fn replace(core: &Core, slot: u32, state: BTreeMap<Vec<u8>, Vec<u8>>, next: Offset) -> Result<()> {
    let covers = Covers { slot, commits: ends(core, slot).0, next };
    write(&core.dir, covers, state.into_iter().map(Ok)).map(drop)
}

fn all_changes_are_kept(core: &Core, slot: u32) -> bool {
    core.view.read().first_kept(slot) == 0
}

/// The number of the next commit, and the input offset at which the worker goes on.
fn ends(core: &Core, slot: u32) -> (u64, Offset) {
    let view = core.view.read();
    (view.standing.next(slot), view.standing.progress(slot))
}

fn last_whole_snapshot(core: &Core, slot: u32) -> Result<(Covers, Vec<Entry>, u64)> {
    let nothing = (Covers { slot, commits: 0, next: 0 }, Vec::new(), 0);
    let read = Snapshot::last(&core.dir, slot).and_then(|last| {
        let Some(mut last) = last else { return Ok(None) };
        let state = last.by_ref().collect::<Result<_>>()?;
        Ok(Some((last.covers, state, last.bytes)))
    });
    match read {
        Err(error @ LogError::Damaged { .. }) if all_changes_are_kept(core, slot) => {
            tracing::error!(%error, "a state snapshot is damaged; the state is worked out from all changes");
            Ok(nothing)
        }
        read => Ok(read?.unwrap_or(nothing)),
    }
}

/// The latest change of each key among the commits `[from, end)`.
fn changes(core: &Core, slot: u32, from: u64, end: u64) -> Result<(Changes, u64)> {
    let missing = |commit: u64| LogError::Damaged {
        what: format!("commit {commit} of {}; its state cannot be restored", stream_name(core, slot)),
    };
    let (mut latest, mut bytes, mut at) = (Changes::new(), 0, from);
    let mut pieces = core.pieces(slot, from);
    while at < end {
        match pieces.next()? {
            Some(Piece::Whole { entry, raw }) if entry.first == at => {
                let mut cursor = Cursor(&raw);
                while !cursor.0.is_empty() {
                    let Change { key, value } = codec::take_change(&mut cursor).ok_or_else(|| missing(at))?;
                    latest.insert(key, value);
                }
                bytes += raw.len() as u64;
                at = entry.end();
            }
            Some(Piece::Whole { .. } | Piece::Lost { .. } | Piece::Removed { .. }) | None => return Err(missing(at)),
        }
    }
    Ok((latest, bytes))
}

fn stream_name(core: &Core, slot: u32) -> String {
    let view = core.view.read();
    let stream = view.layout.stream_of(slot);
    stream.map_or_else(|| format!("slot {slot}"), |(stream, partition)| format!("{}/{partition}", stream.name))
}

/// Two sorted sequences as one; changes win.
fn merge<I: Iterator<Item = Result<Entry>>>(state: I, changes: Changes) -> Merge<I> {
    Merge { state: state.peekable(), changes: changes.into_iter().peekable() }
}

struct Merge<I: Iterator<Item = Result<Entry>>> {
    state: Peekable<I>,
    changes: Peekable<btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>>,
}

impl<I: Iterator<Item = Result<Entry>>> Iterator for Merge<I> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((changed, _)) = self.changes.peek() else { return self.state.next() };
            match self.state.peek() {
                Some(Err(_)) => return self.state.next(),
                Some(Ok((key, _))) if key < changed => return self.state.next(),
                Some(Ok((key, _))) if key == changed => drop(self.state.next()),
                Some(Ok(_)) | None => {}
            }
            if let Some((key, Some(value))) = self.changes.next() {
                return Some(Ok((key, value)));
            }
        }
    }
}

pub(super) fn path(dir: &Path, slot: u32) -> PathBuf {
    dir.join(name(slot))
}

fn name(slot: u32) -> String {
    format!("{slot:06}.state")
}

/// What each snapshot in the log covers, as far as it can be read.
pub(super) fn snapshots(dir: &Path) -> io::Result<Vec<(u32, Option<Covers>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let slot = name.to_str().and_then(|name| name.strip_suffix(".state")).and_then(|name| name.parse().ok());
        if let Some(slot) = slot {
            found.push((slot, Snapshot::last(dir, slot).ok().flatten().map(|snapshot| snapshot.covers)));
        }
    }
    Ok(found)
}

/// Reads a whole snapshot and says whether it is as it was written.
pub(super) fn is_whole(dir: &Path, slot: u32) -> bool {
    Snapshot::last(dir, slot).is_ok_and(|snapshot| snapshot.into_iter().flatten().all(|entry| entry.is_ok()))
}

fn write(dir: &Path, covers: Covers, entries: impl Iterator<Item = Result<Entry>>) -> Result<u64> {
    let writing = |e| disk::write_error(dir, "write a state snapshot", e);
    disk::replace_by(dir, &name(covers.slot), |file| {
        let mut head = Vec::new();
        for part in [u64::from(covers.slot), covers.commits, covers.next] {
            put_varint(&mut head, part);
        }
        file.write_all(&segment::sealed(MAGIC, &head)).map_err(writing)?;
        let (mut block, mut bytes, mut count) = (Vec::new(), 0, 0_u64);
        for entry in entries {
            let (key, value) = entry?;
            put_blob(&mut block, &key);
            put_blob(&mut block, &value);
            count += 1;
            if block.len() >= BLOCK_BYTES {
                bytes += block.len() as u64;
                write_block(file, std::mem::take(&mut block)).map_err(writing)?;
            }
        }
        bytes += block.len() as u64;
        if !block.is_empty() {
            write_block(file, block).map_err(writing)?;
        }
        write_end(file, count).map_err(writing)?;
        Ok(bytes)
    })
}

/// An empty block with the number of entries as its checksum ends the file.
fn write_end(file: &mut impl Write, count: u64) -> io::Result<()> {
    file.write_all(&[0; 8])?;
    file.write_all(&crc32c::crc32c(&count.to_le_bytes()).to_le_bytes())
}

fn write_block(file: &mut impl Write, block: Vec<u8>) -> io::Result<()> {
    let packed = codec::pack(block);
    for part in [packed.raw_len, packed.stored.len()] {
        file.write_all(&u32::try_from(part).unwrap_or(u32::MAX).to_le_bytes())?;
    }
    file.write_all(&packed.crc.to_le_bytes())?;
    file.write_all(&packed.stored)
}

/// A snapshot that is being read, block by block.
struct Snapshot {
    path: PathBuf,
    file: BufReader<File>,
    covers: Covers,
    block: std::vec::IntoIter<Entry>,
    count: u64,
    bytes: u64,
    ended: bool,
}

impl Snapshot {
    /// The last snapshot of a slot; `None` if there is none.
    fn last(dir: &Path, slot: u32) -> Result<Option<Self>> {
        let path = path(dir, slot);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| failed("open a state snapshot", e))?,
        };
        let mut file = BufReader::new(file);
        let head = Self::head(&mut file).filter(|covers| covers.slot == slot);
        let covers = head.ok_or_else(|| damaged(&path))?;
        Ok(Some(Self { path, file, covers, block: Vec::new().into_iter(), count: 0, bytes: 0, ended: false }))
    }

    fn head(file: &mut impl Read) -> Option<Covers> {
        let mut bytes = vec![0; 16];
        file.read_exact(&mut bytes).ok()?;
        // Three integers of at most ten bytes each.
        let length = Cursor(&bytes[8..]).u32().filter(|length| *length <= 30)?;
        bytes.resize(16 + length as usize, 0);
        file.read_exact(&mut bytes[16..]).ok()?;
        let mut cursor = Cursor(segment::unsealed(MAGIC, &bytes)?);
        let slot = cursor.varint()?.try_into().ok()?;
        Some(Covers { slot, commits: cursor.varint()?, next: cursor.varint()? })
    }

    /// The next block; `None` if it is not what was written. The last one is empty.
    fn read_block(&mut self) -> Option<Vec<Entry>> {
        let mut head = [0; 12];
        self.file.read_exact(&mut head).ok()?;
        let mut cursor = Cursor(&head);
        let (raw_len, stored_len, crc) = (cursor.u32()? as usize, cursor.u32()? as usize, cursor.u32()?);
        if raw_len == 0 {
            return (crc == crc32c::crc32c(&self.count.to_le_bytes())).then(Vec::new);
        }
        let mut stored = Vec::new();
        self.file.by_ref().take(stored_len as u64).read_to_end(&mut stored).ok()?;
        if stored.len() != stored_len || crc32c::crc32c(&stored) != crc {
            return None;
        }
        let raw = codec::unpack(stored, raw_len)?;
        let (mut cursor, mut entries) = (Cursor(&raw), Vec::new());
        while !cursor.0.is_empty() {
            entries.push((cursor.blob()?.to_vec(), cursor.blob()?.to_vec()));
        }
        self.bytes += raw_len as u64;
        self.count += entries.len() as u64;
        Some(entries)
    }
}

fn damaged(path: &Path) -> LogError {
    LogError::Damaged { what: format!("the state snapshot {}", path.display()) }
}

impl Iterator for Snapshot {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.block.next() {
            return Some(Ok(entry));
        }
        if self.ended {
            return None;
        }
        let Some(entries) = self.read_block() else {
            self.ended = true;
            return Some(Err(damaged(&self.path)));
        };
        self.ended = entries.is_empty();
        self.block = entries.into_iter();
        self.block.next().map(Ok)
    }
}
