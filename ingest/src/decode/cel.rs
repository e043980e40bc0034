//! Rows of a `cel_custom` file: CSV with quoted values, which may contain line breaks.
//!
//! The file has no head, so the columns come from configuration ([`CelColumns`]). A row that doesn't fit is given up only up
//! to its first line break, so that a torn row cannot swallow those after it. Empty values are left out of the envelope.

use calltide_schemas::Micros;
use csv_core::{ReadRecordResult, Reader};
use memchr::memchr;

use super::time::LocalClock;
use super::{Flaw, Garbage, evidence};

/// The order that Calltide's documentation gives for `cel_custom.conf`.
const DEFAULT: [&str; 20] = [
    "eventtype",
    "eventtime",
    "cid_name",
    "cid_num",
    "cid_ani",
    "cid_rdnis",
    "cid_dnid",
    "exten",
    "context",
    "channame",
    "appname",
    "appdata",
    "amaflags",
    "accountcode",
    "uniqueid",
    "linkedid",
    "peer",
    "userfield",
    "userdeftype",
    "extra",
];

/// The longest row that is taken as one. Values are bounded by Asterisk's channel fields and by `extra`, some kilobytes.
const ROW_BYTES_MAX: usize = 256 << 10;

/// The names of the columns, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CelColumns {
    names: Vec<String>,
    time: usize,
    kind: usize,
    extra: Option<usize>,
}

/// A mapping that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the columns of a cel file must include {missing}")]
pub struct ColumnMissing {
    /// Which one.
    pub missing: &'static str,
}

impl Default for CelColumns {
    fn default() -> Self {
        Self { names: DEFAULT.map(str::to_owned).to_vec(), time: 1, kind: 0, extra: Some(19) }
    }
}

impl CelColumns {
    /// Columns by their names, which are lower-cased.
    ///
    /// # Errors
    /// If `eventtype` or `eventtime` is not among them.
    pub fn new(names: &[String]) -> Result<Self, ColumnMissing> {
        let names: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let find = |wanted: &'static str| names.iter().position(|name| name == wanted);
        let time = find("eventtime").ok_or(ColumnMissing { missing: "eventtime" })?;
        let kind = find("eventtype").ok_or(ColumnMissing { missing: "eventtype" })?;
        let extra = find("extra");
        Ok(Self { names, time, kind, extra })
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// A row with its values.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its time.
    pub at: Micros,
    /// The row as it stands in the file.
    pub bytes: &'a [u8],
    columns: &'a CelColumns,
    values: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Row<'a> {
    /// Names and values, empty ones included.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let (columns, values, ends) = (self.columns, self.values, self.ends);
        columns.names.iter().enumerate().map(move |(index, name)| (name.as_str(), value(values, ends, index)))
    }

    /// Whether the row is about a pressed key: type 21 since Asterisk 20.16, 21.11 and 22.6.
    pub fn is_dtmf(&self) -> bool {
        matches!(value(self.values, self.ends, self.columns.kind), b"DTMF" | b"21") && self.columns.extra.is_some()
    }
}

fn value<'a>(values: &'a [u8], ends: &[usize], index: usize) -> &'a [u8] {
    let from = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(index).and_then(|to| values.get(from..*to)).unwrap_or_default()
}

/// What the file consists of.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A row.
    Row(Row<'a>),
    /// What could not be read.
    Garbage(Garbage<'a>),
}

/// The incremental reader of rows.
#[derive(Debug)]
pub struct Rows {
    columns: CelColumns,
    clock: LocalClock,
    csv: Reader,
    buf: Vec<u8>,
    base: u64,
    start: usize,
    /// How far the CSV reader has got.
    scan: usize,
    values: Vec<u8>,
    values_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    /// The row at `start` doesn't fit; its line's end has not come yet.
    unfit: bool,
    /// Dropping the rest of something too long.
    skipping: bool,
}

impl Rows {
    /// A reader of rows with these columns, local times being the clock's.
    pub fn new(columns: CelColumns, clock: LocalClock) -> Self {
        Self {
            // One more than there should be, so that a longer row is told from a fitting one.
            ends: vec![0; columns.names.len() + 1],
            columns,
            clock,
            csv: Reader::new(),
            buf: Vec::new(),
            base: 0,
            start: 0,
            scan: 0,
            values: vec![0; 4096],
            values_len: 0,
            ends_len: 0,
            unfit: false,
            skipping: false,
        }
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
            if self.skipping {
                self.skip()?;
            }
            if self.unfit {
                return self.give_up();
            }
            // The input is cut where a row would be too long, so that what was found doesn't depend on how much was pushed.
            let to = self.buf.len().min(self.start + ROW_BYTES_MAX);
            if self.scan >= to {
                self.unfit = to - self.start == ROW_BYTES_MAX;
                return if self.unfit { self.give_up() } else { None };
            }
            let (result, read, wrote, ended) = self.csv.read_record(
                &self.buf[self.scan..to],
                &mut self.values[self.values_len..],
                &mut self.ends[self.ends_len..],
            );
            self.scan += read;
            self.values_len += wrote;
            self.ends_len += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull => self.values.resize(self.values.len() * 2, 0),
                ReadRecordResult::Record if self.fits() => return Some(self.row()),
                ReadRecordResult::Record | ReadRecordResult::OutputEndsFull => self.unfit = true,
            }
        }
    }

    /// What is left when the file has ended: a row that was being written. To be called until it gives nothing, with
    /// [`next`](Self::next) in between, since whole rows may come to light behind a torn one.
    pub fn finish(&mut self) -> Option<Item<'_>> {
        if self.skipping || self.buf[self.start..].iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.start = self.buf.len();
            self.scan = self.start;
            return None;
        }
        if memchr(b'\n', self.blank_skipped()).is_some() {
            self.unfit = true;
            return self.give_up();
        }
        let (from, to) = (self.start, self.buf.len());
        self.restart(to);
        Some(self.garbage(from, to, Flaw::TornLine))
    }

    /// Where the last item handed out ends, in bytes from the beginning of the file.
    pub fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Whether the row has the columns that it should. One that was torn in its first value runs into the next and has them
    /// too, but a line break in the event's type.
    fn fits(&self) -> bool {
        let kind = value(&self.values[..self.values_len], &self.ends, self.columns.kind);
        self.ends_len == self.columns.names.len() && memchr(b'\n', kind).is_none()
    }

    fn row(&mut self) -> Item<'_> {
        let (values_len, ends_len, from, to) = (self.values_len, self.ends_len, self.start, self.scan);
        self.restart(to);
        let (values, ends) = (&self.values[..values_len], &self.ends[..ends_len]);
        match self.clock.read(value(values, ends, self.columns.time)) {
            Some(at) => {
                let bytes = self.buf[from..to].trim_ascii();
                Item::Row(Row { at, bytes, columns: &self.columns, values, ends })
            }
            None => self.garbage(from, to, Flaw::BadTime),
        }
    }

    /// Gives up what begins at `start`, up to the first line break, and reads anew behind it. `None` if that has not come.
    fn give_up(&mut self) -> Option<Item<'_>> {
        let from = self.start;
        let rest = self.blank_skipped();
        let blank = self.buf.len() - rest.len();
        let limit = self.buf.len().min(from + ROW_BYTES_MAX).max(blank);
        let found = memchr(b'\n', &self.buf[blank..limit]);
        let to = found.map_or(limit, |found| blank + found + 1);
        if found.is_none() && limit - from < ROW_BYTES_MAX {
            return None;
        }
        self.restart(to);
        self.skipping = found.is_none();
        Some(self.garbage(from, to, if found.is_some() { Flaw::UnknownColumns } else { Flaw::TooLong }))
    }

    /// What begins at `start`, without the line ends of rows before.
    fn blank_skipped(&self) -> &[u8] {
        let rest = &self.buf[self.start..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        &rest[blank..]
    }

    /// Drops bytes up to a line break.
    fn skip(&mut self) -> Option<()> {
        let found = memchr(b'\n', &self.buf[self.start..]);
        let to = found.map_or(self.buf.len(), |index| self.start + index + 1);
        self.restart(to);
        self.skipping = found.is_none();
        found.map(|_| ())
    }

    fn restart(&mut self, at: usize) {
        (self.start, self.scan) = (at, at);
        (self.values_len, self.ends_len) = (0, 0);
        self.unfit = false;
        self.csv.reset();
    }

    fn garbage(&self, from: usize, to: usize, flaw: Flaw) -> Item<'_> {
        Item::Garbage(Garbage {
            bytes: evidence(self.buf[from..to].trim_ascii()),
            flaw,
            position: self.base + from as u64,
        })
    }
}

#[cfg(test)]
#[path = "cel_tests.rs"]
mod tests;
