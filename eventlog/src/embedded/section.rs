//! The records of a section with their offsets, whichever of them are still there.
//!
//! Must not know about files. Read on in `codec` (a record's bytes) and `rewrite` (who leaves records out).

use super::{
    codec::{Cursor, RecordRef, put_varint},
    frame::Form,
    segment::Entry,
};
use crate::Offset;

/// A record in a section.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) offset: Offset,
    pub(super) record: RecordRef<'a>,
    /// The record as it is stored.
    pub(super) bytes: &'a [u8],
}

/// Walks through a section. Ends early, with an `Err`, at an offset from which on the bytes make no sense.
#[derive(Debug)]
pub(super) struct Records<'a> {
    cursor: Cursor<'a>,
    form: Form,
    at: Offset,
    end: Offset,
}

impl<'a> Records<'a> {
    pub(super) fn of(entry: &Entry, raw: &'a [u8]) -> Self {
        Self { cursor: Cursor(raw), form: entry.form, at: entry.first, end: entry.end() }
    }

    fn take(&mut self) -> Option<Found<'a>> {
        let offset = match self.form {
            Form::Dense => self.at,
            Form::Sparse => self.at.checked_add(self.cursor.varint()?).filter(|offset| *offset < self.end)?,
        };
        let before = self.cursor.0;
        let record = RecordRef::take(&mut self.cursor)?;
        self.at = offset + 1;
        Some(Found { offset, record, bytes: &before[..before.len() - self.cursor.0.len()] })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Found<'a>, Offset>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_over = match self.form {
            Form::Dense => self.at >= self.end,
            Form::Sparse => self.cursor.0.is_empty(),
        };
        if is_over {
            return None;
        }
        let unreadable = self.at;
        let found = self.take();
        if found.is_none() {
            (self.cursor, self.at) = (Cursor(&[]), self.end);
        }
        Some(found.ok_or(unreadable))
    }
}

/// Adds a record to a sparse section: `removed` offsets before it are gone.
pub(super) fn put_sparse(out: &mut Vec<u8>, removed: u64, bytes: &[u8]) {
    put_varint(out, removed);
    out.extend_from_slice(bytes);
}
