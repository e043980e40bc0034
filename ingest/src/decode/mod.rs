//! Framing: from the bytes of a source to its items, each a record of the source or [`Garbage`] with a reason.
//!
//! Pure, and it never gives up: whatever cannot be read is handed on with its bytes, and reading goes on at the next place
//! where a record can begin. It must not know what an event means; that is the processor's. Begin with [`ami`].

pub mod ami;
mod ami_frame;
pub mod cel;
pub mod queue_log;
pub mod redact;
pub mod time;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// An AMI frame without its beginning or its end, as a broken connection leaves it.
    TornFrame,
    /// The last line or row of a file, not ended: it was being written when the file was copied.
    TornLine,
    /// Longer than anything a PBX says; the first part is kept.
    TooLong,
    /// A CSV row whose number of columns is not that of the mapping.
    UnknownColumns,
    /// A time that is none.
    BadTime,
    /// Not of the source's form.
    Malformed,
}

impl Flaw {
    /// The word that envelopes and the table `rejects` carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TornFrame => "torn_frame",
            Self::TornLine => "torn_line",
            Self::TooLong => "too_long",
            Self::UnknownColumns => "unknown_columns",
            Self::BadTime => "bad_time",
            Self::Malformed => "malformed",
        }
    }
}

/// Bytes that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbage<'a> {
    /// They, or their first part if they are [`Flaw::TooLong`].
    pub bytes: &'a [u8],
    /// Why.
    pub flaw: Flaw,
    /// Where they begin, in bytes from the beginning of the source.
    pub position: u64,
}

/// How much of something too long is kept as evidence: enough to see what it was, little enough for a row of a table.
pub(crate) const EVIDENCE_BYTES: usize = 64 << 10;

/// The first [`EVIDENCE_BYTES`] of `bytes`.
pub(crate) fn evidence(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(EVIDENCE_BYTES)]
}
