//! The pieces of a file, whichever log it is: frames of an AMI recording, rows of CEL, lines of `queue_log`.
//!
//! Only chooses among the framers of [`crate::decode`]; must not know what a piece says.

use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;

use crate::decode::ami::{Frame, Framer};
use crate::decode::cel::{CelColumns, Row, Rows};
use crate::decode::queue_log::Lines;
use crate::decode::time::LocalClock;
use crate::decode::{Garbage, ami, cel, queue_log};
use crate::encode::{Encoder, Stamp};

/// What is next in a file.
pub(crate) enum Piece<'a> {
    Frame(Frame<'a>),
    Banner,
    Row(Row<'a>),
    Line(Micros, &'a [u8]),
    Garbage(Garbage<'a>),
}

/// The framing of one file.
#[derive(Debug)]
pub(crate) enum Decoder {
    Ami(Framer),
    Cel(Box<Rows>),
    QueueLog(Lines),
}

/// A record that waits to be merged.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Its place among the other files' records.
    pub(crate) merge_at: Micros,
    /// It, or nothing if the log has it.
    pub(crate) record: Option<Record>,
    /// Whether it is a piece that could not be read.
    pub(crate) unreadable: bool,
}

impl Piece<'_> {
    /// Its record, if there is one to be.
    pub(crate) fn encode(self, source: Source, encoder: &Encoder, stamp: Stamp) -> Option<Record> {
        Some(match self {
            Self::Frame(frame) => encoder.ami(&frame, stamp),
            Self::Row(row) => encoder.cel(&row, stamp),
            Self::Line(_, line) => encoder.queue_log(line, stamp),
            Self::Garbage(garbage) => encoder.unreadable(source, &garbage, stamp),
            Self::Banner => return None,
        })
    }
}

impl Decoder {
    /// For a file of that source; local times are the zone's.
    pub(crate) fn new(source: Source, columns: &CelColumns, zone: &LocalClock) -> Self {
        match source {
            Source::Cel => Self::Cel(Box::new(Rows::new(columns.clone(), zone.clone()))),
            Source::QueueLog => Self::QueueLog(Lines::new(zone.clone())),
            Source::Ami | Source::Heartbeat | Source::ImportEnd | Source::Gap | Source::Unreadable | Source::Resync => {
                Self::Ami(Framer::default())
            }
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Ami(framer) => framer.push(bytes),
            Self::Cel(rows) => rows.push(bytes),
            Self::QueueLog(lines) => lines.push(bytes),
        }
    }

    pub(crate) fn next<T>(&mut self, each: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        match self {
            Self::Ami(framer) => framer.next().map(|item| each(item.into())),
            Self::Cel(rows) => rows.next().map(|item| each(item.into())),
            Self::QueueLog(lines) => lines.next().map(|item| each(item.into())),
        }
    }

    pub(crate) fn finish<T>(&mut self, each: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        match self {
            Self::Ami(framer) => framer.finish().map(|item| each(item.into())),
            Self::Cel(rows) => rows.finish().map(|item| each(item.into())),
            Self::QueueLog(lines) => lines.finish().map(|item| each(item.into())),
        }
    }

    /// Where the last piece ends, in bytes from the beginning of the file.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Ami(framer) => framer.position(),
            Self::Cel(rows) => rows.position(),
            Self::QueueLog(lines) => lines.position(),
        }
    }
}

impl<'a> From<ami::Item<'a>> for Piece<'a> {
    fn from(item: ami::Item<'a>) -> Self {
        match item {
            ami::Item::Banner { .. } => Self::Banner,
            ami::Item::Frame(frame) => Self::Frame(frame),
            ami::Item::Garbage(garbage) => Self::Garbage(garbage),
        }
    }
}

impl<'a> From<cel::Item<'a>> for Piece<'a> {
    fn from(item: cel::Item<'a>) -> Self {
        match item {
            cel::Item::Row(row) => Self::Row(row),
            cel::Item::Garbage(garbage) => Self::Garbage(garbage),
        }
    }
}

impl<'a> From<queue_log::Item<'a>> for Piece<'a> {
    fn from(item: queue_log::Item<'a>) -> Self {
        match item {
            queue_log::Item::Line { at, bytes } => Self::Line(at, bytes),
            queue_log::Item::Garbage(garbage) => Self::Garbage(garbage),
        }
    }
}
