//! A frame: one append or one worker's commit, valid as a whole or not at all.
//!
//! Header, then `meta` (which slots it touches, at which offsets), then one packed section per slot. The header's checksum
//! covers the header, the meta's checksum lies in the header and covers the sections' checksums, so all hang together.
//! A slot is one partition of one stream (`layout`); this file must not know which. Read on in `scan` and `writer`.

use super::codec::{Cursor, Packed, put_blob, put_varint};

/// Begins every frame. Bytes above 0xf4 never occur in UTF-8, so no JSON payload can look like it.
pub(super) const MAGIC: [u8; 4] = [0xff, b'C', b'T', 0xfe];
/// Begins the frames of a segment that was cleaned ([`super::rewrite`]): their metas tell the form of each section.
pub(super) const MAGIC_CLEANED: [u8; 4] = [0xff, b'C', b'T', 0xfd];
/// Magic 4, meta length 4, sections' length 4, meta checksum 4, sequence 8, group 8, checksum 4.
pub(super) const HEADER_LEN: usize = 36;

/// The fixed part in front of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) meta_len: u32,
    pub(super) body_len: u32,
    meta_crc: u32,
    /// Its number in the log, counted from 1.
    pub(super) sequence: u64,
    /// The sequence of the first frame that was synced together with it. A frame of a later group proves that this one's
    /// fsync had succeeded, so damage to it is damage and not a torn tail.
    pub(super) group: u64,
    /// Its segment was cleaned. All frames there have the sequence with which the segment began.
    pub(super) cleaned: bool,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEADER_LEN)?;
        let mut cursor = Cursor(head);
        let magic = cursor.bytes(4)?;
        let cleaned = magic == MAGIC_CLEANED;
        if magic != MAGIC && !cleaned {
            return None;
        }
        let meta_len = cursor.u32()?;
        let body_len = cursor.u32()?;
        let meta_crc = cursor.u32()?;
        let sequence = cursor.u64()?;
        let group = cursor.u64()?;
        let crc = cursor.u32()?;
        (crc == crc32c::crc32c(&head[..HEADER_LEN - 4])).then_some(Self {
            meta_len,
            body_len,
            meta_crc,
            sequence,
            group,
            cleaned,
        })
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.meta_len) + u64::from(self.body_len)
    }

    /// The meta that follows this header, if it is whole.
    pub(super) fn meta(&self, bytes: &[u8]) -> Option<Meta> {
        (crc32c::crc32c(bytes) == self.meta_crc).then(|| Meta::parse(bytes, self.cleaned)).flatten()
    }
}

/// Which of its offsets a section has items for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// All of them.
    #[default]
    Dense,
    /// Some: each record says how many offsets before it were removed. Without any bytes, all were.
    Sparse,
}

/// Where one slot's part of a frame is, and which of its offsets it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) slot: u32,
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) raw_len: u32,
    pub(super) stored_len: u32,
    pub(super) crc: u32,
    pub(super) form: Form,
}

/// What a frame says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) sections: Vec<Section>,
    /// For a commit: the worker's slot and the input offset at which it goes on.
    pub(super) progress: Option<(u32, u64)>,
    /// The highest offset of each journal among the records.
    pub(super) journals: Vec<(String, u64)>,
    /// The youngest record's time in microseconds; 0 without records.
    pub(super) newest_at: i64,
}

impl Meta {
    fn parse(bytes: &[u8], cleaned: bool) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let newest_at = cursor.i64()?;
        let mut sections = Vec::new();
        for _ in 0..cursor.varint()? {
            sections.push(Section {
                slot: cursor.varint()?.try_into().ok()?,
                first: cursor.varint()?,
                count: cursor.varint()?.try_into().ok()?,
                raw_len: cursor.varint()?.try_into().ok()?,
                stored_len: cursor.varint()?.try_into().ok()?,
                crc: cursor.u32()?,
                form: if cleaned && cursor.byte()? == 1 { Form::Sparse } else { Form::Dense },
            });
        }
        let progress = match cursor.byte()? {
            0 => None,
            _ => Some((cursor.varint()?.try_into().ok()?, cursor.varint()?)),
        };
        let mut journals = Vec::new();
        for _ in 0..cursor.varint()? {
            journals.push((cursor.text()?.to_owned(), cursor.varint()?));
        }
        cursor.0.is_empty().then_some(Self { sections, progress, journals, newest_at })
    }

    fn encode(&self, cleaned: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 24 * self.sections.len());
        out.extend_from_slice(&self.newest_at.to_le_bytes());
        put_varint(&mut out, self.sections.len() as u64);
        for section in &self.sections {
            put_varint(&mut out, u64::from(section.slot));
            put_varint(&mut out, section.first);
            put_varint(&mut out, u64::from(section.count));
            put_varint(&mut out, u64::from(section.raw_len));
            put_varint(&mut out, u64::from(section.stored_len));
            out.extend_from_slice(&section.crc.to_le_bytes());
            if cleaned {
                out.push(u8::from(section.form == Form::Sparse));
            }
        }
        match self.progress {
            None => out.push(0),
            Some((slot, next)) => {
                out.push(1);
                put_varint(&mut out, u64::from(slot));
                put_varint(&mut out, next);
            }
        }
        put_varint(&mut out, self.journals.len() as u64);
        for (journal, offset) in &self.journals {
            put_blob(&mut out, journal.as_bytes());
            put_varint(&mut out, *offset);
        }
        out
    }
}

/// Appends a whole frame to `out`. `meta.sections` and `bodies` go together.
pub(super) fn put_frame(out: &mut Vec<u8>, sequence: u64, group: u64, meta: &Meta, bodies: &[Packed]) -> Header {
    put(out, sequence, group, meta, bodies.iter().map(|body| body.stored.as_slice()), false)
}

/// Appends a frame of a cleaned segment that began with frame `sequence`.
pub(super) fn put_cleaned<'a>(out: &mut Vec<u8>, sequence: u64, meta: &Meta, bodies: impl Iterator<Item = &'a [u8]>) {
    put(out, sequence, sequence, meta, bodies, true);
}

fn put<'a>(
    out: &mut Vec<u8>,
    sequence: u64,
    group: u64,
    meta: &Meta,
    bodies: impl Iterator<Item = &'a [u8]>,
    cleaned: bool,
) -> Header {
    let meta_bytes = meta.encode(cleaned);
    let meta_len = u32::try_from(meta_bytes.len()).unwrap_or(u32::MAX);
    let body_len = meta.sections.iter().fold(0_u32, |sum, section| sum.saturating_add(section.stored_len));
    let header = Header { meta_len, body_len, meta_crc: crc32c::crc32c(&meta_bytes), sequence, group, cleaned };
    let start = out.len();
    out.extend_from_slice(if cleaned { &MAGIC_CLEANED } else { &MAGIC });
    for part in [header.meta_len, header.body_len, header.meta_crc] {
        out.extend_from_slice(&part.to_le_bytes());
    }
    out.extend_from_slice(&header.sequence.to_le_bytes());
    out.extend_from_slice(&header.group.to_le_bytes());
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&meta_bytes);
    for body in bodies {
        out.extend_from_slice(body);
    }
    header
}
