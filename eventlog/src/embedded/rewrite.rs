//! Writes a sealed segment anew without what may go, under its own name and with its own offsets.
//!
//! What was removed is said to have been, so that it is not taken for lost; what was damaged stays what it was. The new file
//! takes the old one's place in one rename; its index follows, and is told from the old one's by the generation.
//! What may go is decided in `clean`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    sync::Arc,
};

use super::{
    SECTION_BYTES,
    codec::{self, Packed},
    disk, failed,
    frame::{self, Form, Meta, Section},
    keys::Keys,
    section::{Records, put_sparse},
    segment::{self, Cleaned, Entry, Head, Standing},
    view::{Core, Sealed, read_section, scan_index},
};
use crate::{Offset, Result};

/// A frame is closed at this size; a reader takes in its meta at once.
const FRAME_BYTES: usize = 1 << 20;

/// What becomes of one slot's part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it stays.
    Stays,
    /// All of it goes.
    Goes,
    /// Superseded records below this offset go.
    Sifted { bound: Offset },
}

/// The segment to be written anew.
pub(super) struct Rewriting<'a> {
    pub(super) core: &'a Core,
    pub(super) number: u64,
    pub(super) sealed: &'a Sealed,
    pub(super) head: Head,
    /// Where everything stood at its end.
    pub(super) end: Standing,
    /// Of each slot, in order.
    pub(super) fates: &'a [Fate],
    pub(super) keys: &'a Keys,
}

impl Rewriting<'_> {
    /// Replaces the file. Returns its new length.
    pub(super) fn run(self) -> Result<u64> {
        let (core, number) = (self.core, self.number);
        let modified = self.sealed.file.metadata().and_then(|meta| meta.modified());
        let modified = modified.map_err(|e| failed("look at a segment", e))?;
        let name = segment::path(&core.dir, number);
        let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let writing = |e| disk::write_error(&core.dir, "clean a segment", e);
        let kept = disk::replace_by(&core.dir, name, |file| {
            let kept = self.write(file).map_err(writing)?;
            file.flush().map_err(writing)?;
            // When it was last written to tells how old it is, whatever its records say.
            file.get_ref().set_modified(modified).map_err(writing)?;
            Ok(kept)
        })?;
        core.replaced(number, kept);
        let read = || {
            let file = File::open(segment::path(&core.dir, number))?;
            io::Result::Ok((scan_index(&file)?, file.metadata()?.len()))
        };
        let (index, length) = read().map_err(|e| failed("read a cleaned segment", e))?;
        if let Err(error) = disk::replace(&core.dir, &segment::index_name(number), &index.encode()) {
            // The one beside is of another generation, which is seen; it would only be in the way.
            tracing::warn!(%error, segment = number, "the index beside a segment could not be written");
            drop(fs::remove_file(core.dir.join(segment::index_name(number))));
        }
        Ok(length)
    }

    /// Writes everything and returns, per slot, what is the first to be there.
    fn write(self, file: &mut BufWriter<File>) -> io::Result<Arc<Vec<Offset>>> {
        let slots = self.end.slots();
        let generation = self.head.generation() + 1;
        let ends = (0..slots).map(|slot| self.end.next(slot)).collect();
        let mut cleaned = Cleaned { generation, end: self.end, kept: Arc::new(ends) };
        file.write_all(&segment::head(&self.head.standing, Some(&cleaned)))?;
        let index = &self.sealed.index;
        let mut out =
            Out { file, sequence: self.head.standing.sequence, newest_at: index.newest_at, frame: Frame::default() };
        let mut kept = Vec::new();
        for (slot, fate) in (0..slots).zip(self.fates.iter().copied().chain(std::iter::repeat(Fate::Stays))) {
            let first = self.head.standing.next(slot);
            let mut part = Part { out: &mut out, slot, chunk: Chunk::at(first), kept: None };
            for entry in index.from(slot, 0) {
                part.take(entry, fate, self.sealed, self.keys)?;
            }
            part.end()?;
            let lost_end = part.chunk.next < cleaned.end.next(slot);
            let first_missing = lost_end.then_some(part.chunk.next);
            kept.push(part.kept.or(first_missing).unwrap_or_else(|| cleaned.end.next(slot)));
        }
        out.end_frame()?;
        cleaned.kept = Arc::new(kept);
        // As long as before: the offsets have a fixed width.
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&segment::head(&self.head.standing, Some(&cleaned)))?;
        Ok(cleaned.kept)
    }
}

/// The file with the frame that is being filled.
struct Out<'f> {
    file: &'f mut BufWriter<File>,
    sequence: u64,
    newest_at: i64,
    frame: Frame,
}

#[derive(Default)]
struct Frame {
    sections: Vec<Section>,
    bodies: Vec<Vec<u8>>,
    bytes: usize,
}

impl Out<'_> {
    fn push(&mut self, section: Section, body: Vec<u8>) -> io::Result<()> {
        self.frame.bytes += body.len();
        self.frame.sections.push(section);
        self.frame.bodies.push(body);
        if self.frame.bytes >= FRAME_BYTES { self.end_frame() } else { Ok(()) }
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let Frame { sections, bodies, .. } = std::mem::take(&mut self.frame);
        if sections.is_empty() {
            return Ok(());
        }
        let meta = Meta { sections, newest_at: self.newest_at, ..Meta::default() };
        let mut bytes = Vec::new();
        frame::put_cleaned(&mut bytes, self.sequence, &meta, bodies.iter().map(Vec::as_slice));
        self.file.write_all(&bytes)
    }
}

/// A section that is being filled: offsets `[first, next)`, of which `raw` holds some, the last one before `behind`.
struct Chunk {
    first: Offset,
    behind: Offset,
    next: Offset,
    raw: Vec<u8>,
}

impl Chunk {
    fn at(first: Offset) -> Self {
        Self { first, behind: first, next: first, raw: Vec::new() }
    }
}

/// One slot's part of the segment.
struct Part<'o, 'f> {
    out: &'o mut Out<'f>,
    slot: u32,
    chunk: Chunk,
    /// The first offset that is there, or that is lost.
    kept: Option<Offset>,
}

impl Part<'_, '_> {
    fn take(&mut self, entry: &Entry, fate: Fate, sealed: &Sealed, keys: &Keys) -> io::Result<()> {
        if entry.first != self.chunk.next {
            // What was lost stays lost.
            self.kept = self.kept.or(Some(self.chunk.next));
            self.end()?;
            self.chunk = Chunk::at(entry.first);
        }
        match fate {
            _ if entry.is_removed() => self.chunk.next = entry.end(),
            Fate::Goes => self.chunk.next = entry.end(),
            Fate::Stays => self.copy(entry, sealed)?,
            Fate::Sifted { bound } => {
                let raw = read_section(&sealed.file, entry)?;
                let whole = raw.as_ref().is_some_and(|raw| Records::of(entry, raw).all(|found| found.is_ok()));
                match raw.filter(|_| whole) {
                    Some(raw) => self.sift(entry, &raw, bound, keys)?,
                    None => self.copy(entry, sealed)?,
                }
            }
        }
        Ok(())
    }

    /// Takes a section as it is, damaged or not.
    fn copy(&mut self, entry: &Entry, sealed: &Sealed) -> io::Result<()> {
        self.end()?;
        self.kept = self.kept.or(Some(entry.first));
        let Entry { first, count, raw_len, stored_len, crc, form, .. } = *entry;
        let mut body = disk::read_up_to(&sealed.file, entry.position.into(), stored_len as usize)?;
        body.resize(stored_len as usize, 0);
        self.out.push(Section { slot: self.slot, first, count, raw_len, stored_len, crc, form }, body)?;
        self.chunk = Chunk::at(entry.end());
        Ok(())
    }

    fn sift(&mut self, entry: &Entry, raw: &[u8], bound: Offset, keys: &Keys) -> io::Result<()> {
        for found in Records::of(entry, raw).flatten() {
            if found.offset < bound && keys.may_go(self.slot, &found) {
                continue;
            }
            self.kept = self.kept.or(Some(found.offset));
            put_sparse(&mut self.chunk.raw, found.offset - self.chunk.behind, found.bytes);
            self.chunk.behind = found.offset + 1;
            self.chunk.next = found.offset + 1;
            if self.chunk.raw.len() >= SECTION_BYTES {
                self.end()?;
            }
        }
        self.chunk.next = entry.end();
        Ok(())
    }

    /// Closes the chunk; the next one begins behind it.
    fn end(&mut self) -> io::Result<()> {
        let next = self.chunk.next;
        let Chunk { first, raw, .. } = std::mem::replace(&mut self.chunk, Chunk::at(next));
        let body = if raw.is_empty() { Packed { stored: raw, raw_len: 0, crc: 0 } } else { codec::pack(raw) };
        let mut section = Section {
            slot: self.slot,
            first,
            count: 0,
            raw_len: u32::try_from(body.raw_len).unwrap_or(u32::MAX),
            stored_len: u32::try_from(body.stored.len()).unwrap_or(u32::MAX),
            crc: body.crc,
            form: Form::Sparse,
        };
        let Ok(count) = u32::try_from(next - first) else {
            // Chunks of records are far smaller; this is a gap of more than four billion removed ones.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a segment with too many offsets"));
        };
        section.count = count;
        if count == 0 { Ok(()) } else { self.out.push(section, body.stored) }
    }
}
