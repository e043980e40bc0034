//! Walks a segment from frame to frame, reading headers and metas only, and finds the way back after damage.
//!
//! Says what is there; what it means (a torn tail, damage) is decided in `recover`. Must not know about slots.

use std::{fs::File, io};

use super::{
    disk,
    frame::{HEADER_LEN, Header, MAGIC, MAGIC_CLEANED, Meta},
};

/// Read at a step: a header with its meta and, where frames are small, many of them.
const CHUNK_BYTES: usize = 8 << 10;
/// Read at a step while searching for the next frame after damage.
const SEARCH_BYTES: usize = 1 << 20;

/// What lies at a position.
#[derive(Debug)]
pub(super) enum Found {
    /// A frame whose header and meta are whole; its sections were not looked at.
    Frame { position: u64, header: Header, meta: Meta },
    /// Bytes that are no whole frame, up to the next one or to the end.
    Bad { from: u64, to: u64 },
}

/// An iterator over what lies in `[position, limit)`.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    file: &'a File,
    position: u64,
    limit: u64,
    sequence: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl<'a> Scan<'a> {
    /// `sequence`: what the first frame's number is expected to be, at least.
    pub(super) fn new(file: &'a File, position: u64, limit: u64, sequence: u64) -> Self {
        Self { file, position, limit, sequence, chunk: Vec::new(), chunk_at: 0 }
    }

    /// Up to `length` bytes at `position`, from the chunk at hand where it has them.
    fn peek(&mut self, position: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(usize::try_from(self.limit.saturating_sub(position)).unwrap_or(usize::MAX));
        let inside = position >= self.chunk_at && position + length as u64 <= self.chunk_at + self.chunk.len() as u64;
        if !inside {
            self.chunk = disk::read_up_to(self.file, position, length.max(CHUNK_BYTES))?;
            self.chunk_at = position;
        }
        let start = usize::try_from(position - self.chunk_at).unwrap_or(usize::MAX);
        let end = self.chunk.len().min(start + length);
        Ok(&self.chunk[start.min(end)..end])
    }

    fn header(&mut self, position: u64) -> io::Result<Option<Header>> {
        let header = Header::parse(self.peek(position, HEADER_LEN)?);
        Ok(header.filter(|header| header.sequence >= self.sequence))
    }

    fn meta(&mut self, position: u64, header: &Header) -> io::Result<Option<Meta>> {
        if position + header.frame_len() > self.limit {
            return Ok(None);
        }
        let bytes = self.peek(position + HEADER_LEN as u64, header.meta_len as usize)?;
        Ok(header.meta(bytes))
    }

    /// The position of the next header that looks right, from `from` on.
    fn search(&mut self, mut from: u64) -> io::Result<u64> {
        while from + HEADER_LEN as u64 <= self.limit {
            let bytes = disk::read_up_to(self.file, from, SEARCH_BYTES)?;
            if bytes.len() < MAGIC.len() {
                break;
            }
            for (at, window) in bytes.windows(MAGIC.len()).enumerate() {
                if (window == MAGIC || window == MAGIC_CLEANED) && self.header(from + at as u64)?.is_some() {
                    return Ok(from + at as u64);
                }
            }
            from += (bytes.len() - MAGIC.len() + 1) as u64;
        }
        Ok(self.limit)
    }

    fn step(&mut self) -> io::Result<Found> {
        let position = self.position;
        let Some(header) = self.header(position)? else {
            self.position = self.search(position + 1)?;
            return Ok(Found::Bad { from: position, to: self.position });
        };
        self.position = (position + header.frame_len()).min(self.limit);
        self.sequence = if header.cleaned { header.sequence } else { header.sequence + 1 };
        Ok(match self.meta(position, &header)? {
            Some(meta) => Found::Frame { position, header, meta },
            None => Found::Bad { from: position, to: self.position },
        })
    }
}

impl Iterator for Scan<'_> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.limit {
            return None;
        }
        let found = self.step();
        if found.is_err() {
            self.position = self.limit;
        }
        Some(found)
    }
}

/// Whether all sections of a frame are as they were written.
pub(super) fn is_whole(file: &File, position: u64, header: &Header, meta: &Meta) -> io::Result<bool> {
    let bodies = position + header.frame_len() - u64::from(header.body_len);
    let bytes = disk::read_up_to(file, bodies, header.body_len as usize)?;
    let mut rest = bytes.as_slice();
    for section in &meta.sections {
        let Some((body, after)) = rest.split_at_checked(section.stored_len as usize) else { return Ok(false) };
        if crc32c::crc32c(body) != section.crc {
            return Ok(false);
        }
        rest = after;
    }
    Ok(true)
}
