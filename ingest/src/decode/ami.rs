//! The framing of AMI: bytes in, as the socket or a file gives them, frames out.
//!
//! Lines end with CR LF only; a lone LF is part of a value. What a broken writer leaves behind is cut out as [`Garbage`]:
//! a frame that begins with neither `Event:` nor `Response:`, and one that another frame runs into. The items depend on the
//! bytes alone, never on how they were cut into pieces. Facts: Asterisk `main/manager.c`, issue asterisk#761.

use memchr::{memchr, memmem};

use super::ami_frame::HeaderRange;
pub use super::ami_frame::{Frame, FrameKind};
use super::{Flaw, Garbage, evidence};

/// The longest frame that is taken as one. Asterisk has no limit; a value of a million bytes was seen to work, and nothing
/// known comes near it.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// How the first line of a connection begins.
const BANNER: &[u8] = b"Asterisk Call Manager/";

/// The last line of a command's output, up to Asterisk 13.
const COMMAND_END: &[u8] = b"--END COMMAND--";

/// What the stream consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// The first line of a connection: the protocol's version.
    Banner {
        /// E.g. `11.0.0`.
        version: &'a [u8],
    },
    /// A frame.
    Frame(Frame<'a>),
    /// What could not be read.
    Garbage(Garbage<'a>),
}

/// Where the framer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Between,
    Frame(FrameKind),
    /// Inside `Response: Follows`, where blank lines are data.
    Command,
    Garbage,
    /// Dropping the rest of something too long.
    Skipping,
}

/// What was found: a range of the buffer.
enum Found {
    Banner,
    Frame(FrameKind),
    Garbage(Flaw),
}

/// The incremental framer.
#[derive(Debug)]
pub struct Framer {
    buf: Vec<u8>,
    /// Position of `buf[0]` in the stream.
    base: u64,
    /// Where the current item begins in `buf`; everything before was handed out.
    start: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the search for the line's end goes on.
    scan: usize,
    mode: Mode,
    /// Headers of the frame so far, and of the frame last handed out.
    ranges: Vec<HeaderRange>,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            buf: Vec::new(),
            base: 0,
            start: 0,
            line: 0,
            scan: 0,
            mode: Mode::Between,
            ranges: Vec::with_capacity(64),
        }
    }
}

impl Framer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buf.drain(..self.start);
            self.base += self.start as u64;
            self.line -= self.start;
            self.scan -= self.start;
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole item, or `None` until more was pushed.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself, which an Iterator cannot")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        loop {
            if self.mode == Mode::Skipping && !self.skip() {
                return None;
            }
            let Some(end) = self.line_end() else {
                return (self.buf.len() - self.start > FRAME_BYTES_MAX).then(|| self.cut_too_long());
            };
            let from = self.start;
            if end + 2 - from > FRAME_BYTES_MAX {
                return Some(self.cut_too_long());
            }
            if let Some((found, to)) = self.take_line(end) {
                return Some(self.item(found, from, to));
            }
        }
    }

    /// What is left when the stream has ended: a frame without its end.
    pub fn finish(&mut self) -> Option<Item<'_>> {
        let from = self.start;
        self.start = self.buf.len();
        (self.line, self.scan) = (self.start, self.start);
        let mode = std::mem::replace(&mut self.mode, Mode::Between);
        let rest = &self.buf[from..];
        let blank = rest.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        (mode != Mode::Skipping && !blank).then(|| {
            Item::Garbage(Garbage { bytes: evidence(rest), flaw: Flaw::TornFrame, position: self.base + from as u64 })
        })
    }

    /// Where the last item handed out ends, in bytes from the beginning of the stream.
    pub fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The index of the CR that ends the current line.
    fn line_end(&mut self) -> Option<usize> {
        while let Some(found) = memchr(b'\r', &self.buf[self.scan..]) {
            let cr = self.scan + found;
            match self.buf.get(cr + 1) {
                Some(b'\n') => return Some(cr),
                Some(_) => self.scan = cr + 1,
                None => {
                    self.scan = cr;
                    return None;
                }
            }
        }
        self.scan = self.buf.len();
        None
    }

    /// Takes the line that ends at `end` and says whether an item is whole now, and where it ends.
    fn take_line(&mut self, end: usize) -> Option<(Found, usize)> {
        let after = end + 2;
        match self.mode {
            Mode::Between => self.begin(end),
            Mode::Garbage => {
                let line = &self.buf[self.line..end];
                if line.is_empty() {
                    return Some((Found::Garbage(Flaw::TornFrame), after));
                }
                if begins(line) {
                    return Some((Found::Garbage(Flaw::TornFrame), self.line));
                }
                self.next_line(after);
                None
            }
            Mode::Frame(kind) => self.within(kind, end),
            Mode::Command => {
                let over = end == self.line && self.buf[..end.saturating_sub(2)].ends_with(COMMAND_END);
                if over {
                    return Some((Found::Frame(FrameKind::Response), after));
                }
                // A command whose end was lost must not swallow the events behind it.
                if let Some(cut) = self.run_into(end) {
                    return Some((Found::Garbage(Flaw::TornFrame), cut));
                }
                self.add_header(end);
                self.next_line(after);
                None
            }
            Mode::Skipping => None,
        }
    }

    /// The first line of an item.
    fn begin(&mut self, end: usize) -> Option<(Found, usize)> {
        // What asterisk#761 leaves before the next frame, and blank lines between frames, say nothing.
        while self.line < end && self.buf[self.line] == b'\n' {
            self.line += 1;
        }
        let line = &self.buf[self.line..end];
        if line.is_empty() {
            self.start = end + 2;
            self.next_line(end + 2);
            return None;
        }
        if line.starts_with(BANNER) {
            return Some((Found::Banner, end + 2));
        }
        self.ranges.clear();
        self.mode = match kind(line) {
            Some(FrameKind::Response) if line.ends_with(b"Follows") => Mode::Command,
            Some(kind) => Mode::Frame(kind),
            None => Mode::Garbage,
        };
        self.add_header(end);
        self.next_line(end + 2);
        None
    }

    /// A later line of a frame.
    fn within(&mut self, frame: FrameKind, end: usize) -> Option<(Found, usize)> {
        let line = &self.buf[self.line..end];
        let Some(&first) = line.first() else {
            return Some((Found::Frame(frame), end + 2));
        };
        match first {
            b'\n' => {
                let next = line.trim_ascii_start();
                if next.is_empty() || begins(next) {
                    return Some((Found::Frame(frame), self.line));
                }
            }
            b'A' if line.starts_with(BANNER) => return Some((Found::Garbage(Flaw::TornFrame), self.line)),
            b'P' => {
                if let Some(cut) = self.run_into(end) {
                    return Some((Found::Garbage(Flaw::TornFrame), cut));
                }
            }
            _ => {}
        }
        self.add_header(end);
        self.next_line(end + 2);
        None
    }

    /// Where a frame begins that ran into this one, seen at a `Privilege:` line. An event has that line second, so the line
    /// before is its first, and what stands before `Event: ` in it is the end of what was torn. Asterisk before 16.26, 18.12
    /// and 19.4 goes on writing after a write that failed half-way (ASTERISK-29948).
    fn run_into(&self, end: usize) -> Option<usize> {
        let before = self.ranges.last().filter(|_| self.buf[self.line..end].starts_with(b"Privilege:"))?;
        let from = self.start + before.name as usize;
        let line = &self.buf[from..self.start + before.value_end as usize];
        let event = memmem::rfind(line, b"Event: ")?;
        (from + event > self.first_line()).then_some(from + event)
    }

    /// Where the frame's first line begins: after the line feeds that were passed over.
    fn first_line(&self) -> usize {
        self.start + self.ranges.first().map_or(0, |range| range.name as usize)
    }

    fn next_line(&mut self, at: usize) {
        self.line = at;
        self.scan = at;
    }

    /// Notes the header in the current line; a line without a colon goes on with the value before it.
    fn add_header(&mut self, end: usize) {
        let offset = |index: usize| u32::try_from(index - self.start).unwrap_or(u32::MAX);
        let line = &self.buf[self.line..end];
        match (memchr(b':', line), self.ranges.last_mut()) {
            (None, Some(before)) => before.value_end = offset(end),
            (colon, _) => {
                let colon = self.line + colon.unwrap_or(line.len());
                let mut value = (colon + 1).min(end);
                if self.buf[value..end].first() == Some(&b' ') {
                    value += 1;
                }
                let range = HeaderRange {
                    name: offset(self.line),
                    name_end: offset(colon),
                    value: offset(value),
                    value_end: offset(end),
                };
                self.ranges.push(range);
            }
        }
    }

    /// Hands out `from..to` and stands at `to`.
    fn item(&mut self, found: Found, from: usize, to: usize) -> Item<'_> {
        self.start = to;
        self.next_line(to);
        self.mode = Mode::Between;
        let bytes = &self.buf[from..to];
        let position = self.base + from as u64;
        match found {
            Found::Banner => {
                let line = bytes.trim_ascii();
                Item::Banner { version: line.get(BANNER.len()..).unwrap_or_default() }
            }
            Found::Frame(kind) => Item::Frame(Frame { kind, bytes, position, ranges: &self.ranges }),
            Found::Garbage(flaw) => Item::Garbage(Garbage { bytes, flaw, position }),
        }
    }

    /// Gives up on the current item: its first part is evidence, the rest is dropped as it comes.
    fn cut_too_long(&mut self) -> Item<'_> {
        let from = self.start;
        // Three bytes may belong to the blank line at which reading goes on.
        self.start = from + FRAME_BYTES_MAX - 3;
        self.next_line(self.start);
        self.mode = Mode::Skipping;
        Item::Garbage(Garbage {
            bytes: evidence(&self.buf[from..]),
            flaw: Flaw::TooLong,
            position: self.base + from as u64,
        })
    }

    /// Drops what is too long up to a blank line; `false` if that has not come yet.
    fn skip(&mut self) -> bool {
        let found = memmem::find(&self.buf[self.start..], b"\r\n\r\n");
        self.start = found.map_or(self.buf.len().saturating_sub(3).max(self.start), |index| self.start + index + 4);
        self.next_line(self.start);
        if found.is_some() {
            self.mode = Mode::Between;
        }
        found.is_some()
    }
}

/// What kind of frame a line begins, if any.
fn kind(line: &[u8]) -> Option<FrameKind> {
    let named = |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    match line.first()? {
        b'E' | b'e' if named(b"event:") => Some(FrameKind::Event),
        b'R' | b'r' if named(b"response:") => Some(FrameKind::Response),
        _ => None,
    }
}

/// Whether something new begins with this line.
fn begins(line: &[u8]) -> bool {
    kind(line).is_some() || line.starts_with(BANNER)
}

#[cfg(test)]
#[path = "ami_tests.rs"]
mod tests;
