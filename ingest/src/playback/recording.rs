//! A recording of AMI, cut into what is played: its events, and what could not be read, each with the time it came at.
//!
//! The banner and the answers to the recorder's own actions are left out; the server says its own.

use std::ops::Range;

use calltide_schemas::Micros;

use crate::decode::ami::{Frame, FrameKind, Framer, Item};
use crate::decode::time::epoch;

/// Bytes of a recorded AMI connection.
#[derive(Debug)]
pub struct Recording {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    pub(super) at: Micros,
}

/// A recording that can't be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Its events have no times.
    #[error("the recording has no event with a time; was timestampevents=yes set in manager.conf?")]
    NoTimes,
}

impl Recording {
    /// Cuts the bytes of a connection. An event without a time comes with the one before it.
    ///
    /// # Errors
    /// If no event has a time.
    pub fn new(bytes: Vec<u8>) -> Result<Self, RecordingError> {
        let mut framer = Framer::default();
        framer.push(&bytes);
        let mut pieces = Vec::new();
        let mut first = None;
        let mut latest = Micros::default();
        while let Some(item) = framer.next() {
            let (position, length) = match item {
                Item::Frame(Frame { kind: FrameKind::Response, .. }) | Item::Banner { .. } => continue,
                Item::Frame(frame) => {
                    if let Some(at) = frame.header("Timestamp").and_then(epoch) {
                        latest = latest.max(at);
                        first.get_or_insert(at);
                    }
                    (frame.position, frame.bytes.len())
                }
                Item::Garbage(garbage) => (garbage.position, garbage.bytes.len()),
            };
            // A recording fits into memory, so its positions fit into a usize.
            let from = usize::try_from(position).unwrap_or(usize::MAX);
            pieces.push(Piece { range: from..from + length, at: latest });
        }
        let first = first.ok_or(RecordingError::NoTimes)?;
        for piece in &mut pieces {
            piece.at = piece.at.max(first);
        }
        Ok(Self { bytes, pieces })
    }

    /// The times of the first and last event.
    pub fn span(&self) -> (Micros, Micros) {
        let at = |piece: Option<&Piece>| piece.map_or(Micros::default(), |piece| piece.at);
        (at(self.pieces.first()), at(self.pieces.last()))
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}
