//! A segment file: its head, which says where every slot stood when it began, and the index of what is in it.
//!
//! Since a segment's successor says where each slot stood at its end, an offset that no readable frame holds is known to be
//! lost, and which ones. Sealed segments have their index in a file beside; it is only a shortcut and rebuilt when bad.
//! A segment that was cleaned (`rewrite`) has the same name, a higher generation, and says what it held before.
//! Must not know what slots mean. Read on in `scan` and `view`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustc_hash::FxHashMap;

use super::{
    codec::{Cursor, put_blob, put_varint},
    disk,
    frame::{Form, Header, Meta},
};
use crate::Offset;

const HEAD_MAGIC: [u8; 8] = *b"CTSEG\xff\xfe1";
const INDEX_MAGIC: [u8; 8] = *b"CTIDX\xff\xfe2";

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.seg"))
}

pub(super) fn index_name(number: u64) -> String {
    format!("{number:012}.index")
}

/// The numbers of the segments there are, in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Where everything stands at one moment of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The number of the next frame.
    pub(super) sequence: u64,
    /// Per slot the next offset; slots that are newer than this have none yet.
    next: Vec<u64>,
    /// Per slot of a group the input offset at which it goes on.
    progress: BTreeMap<u32, u64>,
    /// Per journal the highest offset appended.
    pub(super) journals: BTreeMap<String, u64>,
}

impl Standing {
    pub(super) fn start() -> Self {
        Self { sequence: 1, ..Self::default() }
    }

    pub(super) fn next(&self, slot: u32) -> u64 {
        self.next.get(slot as usize).copied().unwrap_or(0)
    }

    pub(super) fn set_next(&mut self, slot: u32, next: u64) {
        let slot = slot as usize;
        if self.next.len() <= slot {
            self.next.resize(slot + 1, 0);
        }
        self.next[slot] = next;
    }

    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.next.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn progress(&self, slot: u32) -> u64 {
        self.progress.get(&slot).copied().unwrap_or(0)
    }

    pub(super) fn set_progress(&mut self, slot: u32, next: u64) {
        self.progress.insert(slot, next);
    }

    pub(super) fn apply(&mut self, sequence: u64, meta: &Meta) {
        self.sequence = sequence + 1;
        for section in &meta.sections {
            self.set_next(section.slot, section.first + u64::from(section.count));
        }
        if let Some((slot, next)) = meta.progress {
            self.set_progress(slot, next);
        }
        for (journal, offset) in &meta.journals {
            match self.journals.get_mut(journal) {
                Some(known) => *known = (*known).max(*offset),
                None => drop(self.journals.insert(journal.clone(), *offset)),
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.sequence);
        put_varint(out, self.next.len() as u64);
        self.next.iter().for_each(|next| put_varint(out, *next));
        put_varint(out, self.progress.len() as u64);
        for (slot, next) in &self.progress {
            put_varint(out, u64::from(*slot));
            put_varint(out, *next);
        }
        put_varint(out, self.journals.len() as u64);
        for (journal, offset) in &self.journals {
            put_blob(out, journal.as_bytes());
            put_varint(out, *offset);
        }
    }

    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Option<Self> {
        let sequence = cursor.varint()?;
        let next = (0..cursor.varint()?).map(|_| cursor.varint()).collect::<Option<_>>()?;
        let progress = (0..cursor.varint()?)
            .map(|_| Some((cursor.varint()?.try_into().ok()?, cursor.varint()?)))
            .collect::<Option<_>>()?;
        let journals = (0..cursor.varint()?)
            .map(|_| Some((cursor.text()?.to_owned(), cursor.varint()?)))
            .collect::<Option<_>>()?;
        Some(Self { sequence, next, progress, journals })
    }
}

/// Bytes behind a magic word, their length and checksum.
pub(super) fn sealed(magic: [u8; 8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + body.len());
    out.extend_from_slice(&magic);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// Undoes [`sealed`].
pub(super) fn unsealed(magic: [u8; 8], bytes: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor(bytes);
    if cursor.bytes(8)? != magic {
        return None;
    }
    let length = cursor.u32()?;
    let crc = cursor.u32()?;
    let body = cursor.bytes(length as usize)?;
    (crc == crc32c::crc32c(body)).then_some(body)
}

/// What is in front of a segment's frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Where everything stood when the segment began.
    pub(super) standing: Standing,
    /// The position of its first frame.
    pub(super) start: u64,
    pub(super) cleaned: Option<Cleaned>,
}

/// What the head of a cleaned segment says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cleaned {
    /// How many times it was cleaned.
    pub(super) generation: u64,
    /// Where everything stood when the segment ended: what was removed tells no more.
    pub(super) end: Standing,
    /// Per slot the first offset that is still there, or where the slot stood at the end.
    pub(super) kept: Arc<Vec<Offset>>,
}

impl Head {
    pub(super) fn generation(&self) -> u64 {
        self.cleaned.as_ref().map_or(0, |cleaned| cleaned.generation)
    }
}

/// The bytes of a head; frames follow it.
pub(super) fn head(standing: &Standing, cleaned: Option<&Cleaned>) -> Vec<u8> {
    let mut body = Vec::new();
    standing.encode(&mut body);
    if let Some(Cleaned { generation, end, kept }) = cleaned {
        put_varint(&mut body, *generation);
        end.encode(&mut body);
        put_varint(&mut body, kept.len() as u64);
        // Of a fixed width, so that they can be put in when the rest is written.
        kept.iter().for_each(|first| body.extend_from_slice(&first.to_le_bytes()));
    }
    sealed(HEAD_MAGIC, &body)
}

fn decode_head(body: &[u8], start: u64) -> Option<Head> {
    let mut cursor = Cursor(body);
    let standing = Standing::decode(&mut cursor)?;
    if cursor.0.is_empty() {
        return Some(Head { standing, start, cleaned: None });
    }
    let generation = cursor.varint()?;
    let end = Standing::decode(&mut cursor)?;
    let kept = (0..cursor.varint()?).map(|_| cursor.u64()).collect::<Option<_>>()?;
    Some(Head { standing, start, cleaned: Some(Cleaned { generation, end, kept: Arc::new(kept) }) })
}

/// Reads a head. `None` if it is damaged.
pub(super) fn read_head(file: &File) -> io::Result<Option<Head>> {
    let fixed = disk::read_up_to(file, 0, 16)?;
    let Some(length) = fixed.get(8..12).and_then(|b| Cursor(b).u32()) else { return Ok(None) };
    // A length that was hit by damage must not make us read the whole segment, let alone allocate 4 GB.
    let length = u64::from(length).min(file.metadata()?.len());
    let bytes = disk::read_up_to(file, 0, 16 + usize::try_from(length).unwrap_or(0))?;
    Ok(unsealed(HEAD_MAGIC, &bytes).and_then(|body| decode_head(body, 16 + length)))
}

/// Where one frame's part for one slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) first: u64,
    pub(super) count: u32,
    /// Byte position of the packed section in the file; segments stay far below 4 GB.
    pub(super) position: u32,
    pub(super) raw_len: u32,
    pub(super) stored_len: u32,
    pub(super) crc: u32,
    pub(super) form: Form,
}

impl Entry {
    /// Whether all of its offsets were removed by cleaning.
    pub(super) fn is_removed(&self) -> bool {
        self.form == Form::Sparse && self.raw_len == 0
    }

    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}

/// What a segment holds, per slot in the order of offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    slots: FxHashMap<u32, Vec<Entry>>,
    /// The youngest record's time in microseconds.
    pub(super) newest_at: i64,
    /// Which generation of its segment this is the index of.
    pub(super) generation: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self { slots: FxHashMap::default(), newest_at: i64::MIN, generation: 0 }
    }
}

impl Index {
    pub(super) fn add(&mut self, frame: u64, header: &Header, meta: &Meta) {
        let mut position = frame + header.frame_len() - u64::from(header.body_len);
        for section in &meta.sections {
            self.slots.entry(section.slot).or_default().push(Entry {
                first: section.first,
                count: section.count,
                position: u32::try_from(position).unwrap_or(u32::MAX),
                raw_len: section.raw_len,
                stored_len: section.stored_len,
                crc: section.crc,
                form: section.form,
            });
            position += u64::from(section.stored_len);
        }
        self.newest_at = self.newest_at.max(meta.newest_at);
    }

    /// The entries that hold `from` or anything after it.
    pub(super) fn from(&self, slot: u32, from: u64) -> &[Entry] {
        let entries = self.slots.get(&slot).map_or(&[][..], Vec::as_slice);
        &entries[entries.partition_point(|entry| entry.end() <= from)..]
    }

    /// Bytes that a slot's sections take in the file.
    pub(super) fn stored_bytes(&self, slot: u32) -> u64 {
        self.from(slot, 0).iter().map(|entry| u64::from(entry.stored_len)).sum()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.newest_at.to_le_bytes());
        put_varint(&mut body, self.generation);
        put_varint(&mut body, self.slots.len() as u64);
        for (slot, entries) in &self.slots {
            put_varint(&mut body, u64::from(*slot));
            put_varint(&mut body, entries.len() as u64);
            for entry in entries {
                put_varint(&mut body, entry.first);
                for part in [entry.count, entry.position, entry.raw_len, entry.stored_len] {
                    put_varint(&mut body, u64::from(part));
                }
                body.extend_from_slice(&entry.crc.to_le_bytes());
                body.push(u8::from(entry.form == Form::Sparse));
            }
        }
        sealed(INDEX_MAGIC, &body)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(unsealed(INDEX_MAGIC, bytes)?);
        let mut index = Self { newest_at: cursor.i64()?, generation: cursor.varint()?, ..Self::default() };
        for _ in 0..cursor.varint()? {
            let slot = cursor.varint()?.try_into().ok()?;
            let entries = (0..cursor.varint()?).map(|_| Self::decode_entry(&mut cursor)).collect::<Option<_>>()?;
            index.slots.insert(slot, entries);
        }
        Some(index)
    }

    fn decode_entry(cursor: &mut Cursor<'_>) -> Option<Entry> {
        Some(Entry {
            first: cursor.varint()?,
            count: cursor.varint()?.try_into().ok()?,
            position: cursor.varint()?.try_into().ok()?,
            raw_len: cursor.varint()?.try_into().ok()?,
            stored_len: cursor.varint()?.try_into().ok()?,
            crc: cursor.u32()?,
            form: if cursor.byte()? == 1 { Form::Sparse } else { Form::Dense },
        })
    }
}
