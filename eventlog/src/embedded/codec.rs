//! Bytes of records and of state changes: how a section of a frame is packed, compressed and read back.
//!
//! Reading is total: bytes that make no sense give `None`, never a panic. This file must not know about files or offsets.
//! Read on in `frame`, which puts sections together.

use crate::{Change, Record};

/// Reads a byte slice from front to back; every step gives `None` when the bytes run out.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes(4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.bytes(8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.bytes(8).and_then(|b| b.try_into().ok()).map(i64::from_le_bytes)
    }

    /// An integer in groups of seven bits, the lowest first (LEB128).
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn blob(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.bytes(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.blob()?).ok()
    }
}

/// Writes what [`Cursor::varint`] reads.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Writes what [`Cursor::blob`] reads.
pub(super) fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

const HAS_JOURNAL: u8 = 1;
const HAS_PAYLOAD: u8 = 2;

pub(super) fn put_record(out: &mut Vec<u8>, record: &Record) {
    let journal = if record.journal.is_some() { HAS_JOURNAL } else { 0 };
    let payload = if record.payload.is_some() { HAS_PAYLOAD } else { 0 };
    out.push(journal | payload);
    out.extend_from_slice(&record.at.to_le_bytes());
    put_blob(out, &record.key);
    put_blob(out, record.id.as_bytes());
    put_blob(out, record.kind.as_bytes());
    if let Some((journal, offset)) = &record.journal {
        put_blob(out, journal.as_bytes());
        put_varint(out, *offset);
    }
    if let Some(payload) = &record.payload {
        put_blob(out, payload);
    }
}

/// A record whose parts still lie in the section: what is skipped costs no allocation.
#[derive(Debug)]
pub(super) struct RecordRef<'a> {
    pub(super) key: &'a [u8],
    pub(super) at: i64,
    id: &'a str,
    kind: &'a str,
    journal: Option<(&'a str, u64)>,
    pub(super) payload: Option<&'a [u8]>,
}

impl<'a> RecordRef<'a> {
    pub(super) fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        let flags = cursor.byte()?;
        let at = cursor.i64()?;
        let key = cursor.blob()?;
        let id = cursor.text()?;
        let kind = cursor.text()?;
        let journal = if flags & HAS_JOURNAL == 0 { None } else { Some((cursor.text()?, cursor.varint()?)) };
        let payload = if flags & HAS_PAYLOAD == 0 { None } else { Some(cursor.blob()?) };
        Some(Self { key, at, id, kind, journal, payload })
    }

    /// Bytes of key and payload, the part of a record that callers' limits count.
    pub(super) fn weight(&self) -> usize {
        self.key.len() + self.payload.map_or(0, <[u8]>::len)
    }

    pub(super) fn to_record(&self) -> Record {
        Record {
            key: self.key.to_vec(),
            at: self.at,
            id: self.id.to_owned(),
            kind: self.kind.to_owned(),
            journal: self.journal.map(|(journal, offset)| (journal.to_owned(), offset)),
            payload: self.payload.map(<[u8]>::to_vec),
        }
    }
}

/// Writes a change: key, then 0 for a removal or 1 and the value.
pub(super) fn put_change(out: &mut Vec<u8>, change: &Change) {
    put_blob(out, &change.key);
    match &change.value {
        Some(value) => {
            out.push(1);
            put_blob(out, value);
        }
        None => out.push(0),
    }
}

pub(super) fn take_change(cursor: &mut Cursor<'_>) -> Option<Change> {
    let key = cursor.blob()?.to_vec();
    let value = match cursor.byte()? {
        0 => None,
        _ => Some(cursor.blob()?.to_vec()),
    };
    Some(Change { key, value })
}

/// Bytes as they are stored: compressed where that makes them smaller.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) stored: Vec<u8>,
    pub(super) raw_len: usize,
    pub(super) crc: u32,
}

/// LZ4 costs less time here than writing the bytes it saves: events compress about tenfold.
pub(super) fn pack(raw: Vec<u8>) -> Packed {
    let raw_len = raw.len();
    let squeezed = lz4_flex::block::compress(&raw);
    let stored = if squeezed.len() < raw_len { squeezed } else { raw };
    let crc = crc32c::crc32c(&stored);
    Packed { stored, raw_len, crc }
}

/// Undoes [`pack`]; equal lengths say that the bytes were stored as they are. The checksum is the caller's to compare.
pub(super) fn unpack(stored: Vec<u8>, raw_len: usize) -> Option<Vec<u8>> {
    if stored.len() == raw_len {
        return Some(stored);
    }
    // LZ4 cannot do better than 255 to 1: a larger number is damage and must not make us allocate.
    if raw_len / 256 > stored.len() {
        return None;
    }
    let raw = lz4_flex::block::decompress(&stored, raw_len).ok()?;
    (raw.len() == raw_len).then_some(raw)
}
