//! Lines of `queue_log`: fields split at `|`, kept as they are.
//!
//! Asterisk escapes nothing there, and the number of fields depends on the event, so only time, call, queue, agent and event
//! must be present. Facts: Asterisk `main/logger.c`, function `ast_queue_log`.

use calltide_schemas::Micros;
use memchr::memchr;

use super::time::LocalClock;
use super::{Flaw, Garbage, evidence};

/// The longest line that is taken as one: Asterisk's own buffer has 8,192 bytes, the realtime back-ends' a little more.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Time, call, queue, agent, event.
const FIELDS_MIN: usize = 5;

/// What the file consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A line.
    Line {
        /// Its time; whole seconds as a rule.
        at: Micros,
        /// The line without its end.
        bytes: &'a [u8],
    },
    /// What could not be read.
    Garbage(Garbage<'a>),
}

/// The incremental reader of lines.
#[derive(Debug)]
pub struct Lines {
    buf: Vec<u8>,
    base: u64,
    start: usize,
    scan: usize,
    /// Dropping the rest of a line that is too long.
    skipping: bool,
    clock: LocalClock,
}

impl Lines {
    /// A reader; the clock is for times that are not in seconds since 1970.
    pub fn new(clock: LocalClock) -> Self {
        Self { buf: Vec::new(), base: 0, start: 0, scan: 0, skipping: false, clock }
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.drain(..self.start);
        self.base += self.start as u64;
        self.scan -= self.start;
        self.start = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// The next item, or `None` until more was pushed.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself, which an Iterator cannot")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        loop {
            let end = memchr(b'\n', &self.buf[self.scan..]).map(|found| self.scan + found);
            self.scan = end.map_or(self.buf.len(), |end| end + 1);
            let from = self.start;
            if self.skipping {
                self.start = self.scan;
                self.skipping = end.is_none();
                if self.skipping {
                    return None;
                }
                continue;
            }
            let to = end.unwrap_or(self.buf.len());
            if to - from > LINE_BYTES_MAX {
                self.start = self.scan;
                self.skipping = end.is_none();
                return Some(self.garbage(from, from + LINE_BYTES_MAX, Flaw::TooLong));
            }
            end?;
            self.start = self.scan;
            let to = if self.buf[from..to].ends_with(b"\r") { to - 1 } else { to };
            if from < to {
                return Some(self.line(from, to));
            }
        }
    }

    /// What is left when the file has ended: a line that was being written.
    pub fn finish(&mut self) -> Option<Item<'_>> {
        let from = self.start;
        self.start = self.buf.len();
        self.scan = self.start;
        let torn = from < self.start && !std::mem::take(&mut self.skipping);
        torn.then(|| self.garbage(from, self.start, Flaw::TornLine))
    }

    /// Where the last item handed out ends, in bytes from the beginning of the file.
    pub fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    fn line(&mut self, from: usize, to: usize) -> Item<'_> {
        let bytes = &self.buf[from..to];
        if fields(bytes).take(FIELDS_MIN).count() < FIELDS_MIN {
            return self.garbage(from, to, Flaw::Malformed);
        }
        match self.clock.read(fields(bytes).next().unwrap_or_default()) {
            Some(at) => Item::Line { at, bytes },
            None => self.garbage(from, to, Flaw::BadTime),
        }
    }

    fn garbage(&self, from: usize, to: usize, flaw: Flaw) -> Item<'_> {
        Item::Garbage(Garbage { bytes: evidence(&self.buf[from..to]), flaw, position: self.base + from as u64 })
    }
}

/// The fields of a line.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b'|')
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(LocalClock::new(TimeZone::UTC));
        let mut seen = Vec::new();
        let show = |item: Item<'_>| match item {
            Item::Line { at, bytes } => format!("{} {}", at.0, String::from_utf8_lossy(bytes)),
            Item::Garbage(garbage) => {
                format!(
                    "{} at {}: {}",
                    garbage.flaw.name(),
                    garbage.position,
                    String::from_utf8_lossy(garbage.bytes).len()
                )
            }
        };
        for piece in pieces {
            lines.push(piece);
            while let Some(item) = lines.next() {
                seen.push(show(item));
            }
        }
        seen.extend(lines.finish().map(show));
        seen
    }

    #[test]
    fn lines_of_all_kinds() {
        let log = b"1795345915|NONE|NONE|NONE|QUEUESTART|\n2026-11-22 11:12:03.5|c|q|a|CONNECT|1\r\n\nhello\nx|b|c|d|e\n17953";
        let expected = [
            "1795345915000000 1795345915|NONE|NONE|NONE|QUEUESTART|",
            "1795345923500000 2026-11-22 11:12:03.5|c|q|a|CONNECT|1",
            "malformed at 78: 5",
            "bad_time at 84: 9",
            "torn_line at 94: 5",
        ];
        assert_eq!(read(&[log]), expected);
        let bytes: Vec<&[u8]> = log.chunks(1).collect();
        assert_eq!(read(&bytes), expected, "however it is cut");
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let long = vec![b'7'; LINE_BYTES_MAX * 3];
        let mut lines = Lines::new(LocalClock::new(TimeZone::UTC));
        let mut garbage = 0;
        for _ in 0..20 {
            lines.push(&long);
            while lines.next().is_some() {
                garbage += 1;
            }
            assert!(lines.buf.len() <= LINE_BYTES_MAX * 4);
        }
        lines.push(b"\n1|a|b|c|D|\n");
        assert!(matches!(lines.next(), Some(Item::Line { .. })));
        assert_eq!(garbage, 1);
    }
}
