//! One AMI frame: its headers in order, as slices of its bytes.
//!
//! Repeated names are kept and values are exactly as on the wire, C-escapes included
//! (`calltide_schemas::ami_text` undoes those where they are known to be).

/// Where a header's name and value are, counted from the frame's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeaderRange {
    pub(super) name_end: u32,
    pub(super) name: u32,
    pub(super) value: u32,
    pub(super) value_end: u32,
}

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// `Event:`, items of lists included.
    Event,
    /// `Response:`: the answer to an action.
    Response,
}

/// A whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it begins with. `OriginateResponse` has both headers and is an event.
    pub kind: FrameKind,
    /// All of it, line ends included.
    pub bytes: &'a [u8],
    /// Where it begins, in bytes from the beginning of the stream.
    pub position: u64,
    pub(super) ranges: &'a [HeaderRange],
}

impl<'a> Frame<'a> {
    /// Names and values in the order of the wire.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.ranges.iter().map(move |range| {
            (
                &bytes[range.name as usize..range.name_end as usize],
                &bytes[range.value as usize..range.value_end as usize],
            )
        })
    }

    /// The value of the first header of that name, letter case ignored as AMI does.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The value of the first line: the event's name, or `Success`, `Error`, ….
    pub fn title(&self) -> &'a [u8] {
        self.headers().next().map_or(&[], |(_, value)| value)
    }
}
