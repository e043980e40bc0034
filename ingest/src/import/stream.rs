//! One file as a stream of records in its own order, each with the time by which it is merged with other files.
//!
//! The merge time is the latest time so far, so that a line that is a little out of order stays where it stands.
//! Memory holds one read's bytes and one pending record per file.

use std::fs::File;
use std::io::{self, Read, Take};
use std::path::PathBuf;

use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;

use super::files::{Have, Opened};
use super::{ImportError, ImportPlan};
use crate::decode::ami::{Frame, FrameKind, Framer};
use crate::decode::cel::{Row, Rows};
use crate::decode::queue_log::Lines;
use crate::decode::time::{LocalClock, epoch};
use crate::decode::{Garbage, ami, cel, queue_log};
use crate::encode::{Encoder, Stamp};

/// A time so much later than the one before, in microseconds, is believed only when the next one agrees: a damaged digit
/// must not carry the heartbeats into another century. A PBX that is silent for a day is rare, and its next event agrees.
const JUMP_MAX: i64 = 86_400 * 1_000_000;

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 256 << 10;

/// What gives the events of an AMI recording their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Times {
    /// Their `Timestamp`.
    #[default]
    Timestamp,
    /// There is none in the whole file: the `EventTime` of `Event: CEL`, a local time in whole seconds.
    CelEventTime,
}

/// What a first look at a file tells.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The first time in it.
    pub(super) first: Option<(Times, Micros)>,
    /// The first `SystemName`.
    pub(super) system_name: Option<String>,
    /// Whether there was any AMI event.
    pub(super) events: bool,
}

/// What is next in a file.
enum Piece<'a> {
    Frame(Frame<'a>),
    Banner,
    Row(Row<'a>),
    Line(Micros, &'a [u8]),
    Garbage(Garbage<'a>),
}

#[derive(Debug)]
enum Decoder {
    Ami(Framer),
    Cel(Box<Rows>),
    QueueLog(Lines),
}

/// Bytes of a file, decoded.
#[derive(Debug)]
pub(super) struct Reader {
    file: Take<File>,
    bytes: u64,
    buffer: Vec<u8>,
    decoder: Decoder,
    zone: LocalClock,
}

impl Reader {
    /// Reads the first `bytes` of a file, from where it stands; what is appended meanwhile is for the next import.
    pub(super) fn new(file: File, bytes: u64, source: Source, plan: &ImportPlan) -> Self {
        let zone = LocalClock::new(plan.tz.clone());
        let decoder = match source {
            Source::Cel => Decoder::Cel(Box::new(Rows::new(plan.cel_columns.clone(), zone.clone()))),
            Source::QueueLog => Decoder::QueueLog(Lines::new(zone.clone())),
            Source::Ami | Source::Heartbeat | Source::ImportEnd | Source::Gap | Source::Unreadable => {
                Decoder::Ami(Framer::default())
            }
        };
        Self { file: file.take(bytes), bytes, buffer: vec![0; READ_BYTES], decoder, zone }
    }

    /// Gives `each` the pieces that are left in what was read, then reads on, until `each` has what it wants. `None` at the
    /// file's end.
    fn find<T>(
        &mut self,
        mut each: impl FnMut(Piece<'_>, &mut LocalClock) -> Option<T>,
    ) -> io::Result<Option<(T, u64)>> {
        loop {
            while let Some(found) = self.decoder.next(|piece| each(piece, &mut self.zone)) {
                if let Some(found) = found {
                    return Ok(Some((found, self.decoder.position())));
                }
            }
            match self.file.read(&mut self.buffer)? {
                0 => match self.decoder.finish(|piece| each(piece, &mut self.zone)) {
                    Some(Some(found)) => return Ok(Some((found, self.decoder.position()))),
                    Some(None) => {}
                    None => return Ok(None),
                },
                read => self.decoder.push(&self.buffer[..read]),
            }
        }
    }

    /// Looks at the beginning of the file, as far as is needed.
    pub(super) fn look(&mut self, want_name: bool) -> io::Result<Look> {
        let mut look = Look::default();
        let mut cel_time = None;
        self.find(|piece, zone| {
            match piece {
                Piece::Frame(frame) => {
                    look.events |= frame.kind == FrameKind::Event;
                    if look.system_name.is_none() {
                        look.system_name =
                            frame.header("SystemName").map(|name| String::from_utf8_lossy(name).into_owned());
                    }
                    if look.first.is_none() {
                        look.first = timestamp(&frame).map(|at| (Times::Timestamp, at));
                    }
                    if cel_time.is_none() {
                        cel_time = cel_event_time(&frame, zone);
                    }
                }
                Piece::Row(Row { at, .. }) | Piece::Line(at, _) => look.first = Some((Times::Timestamp, at)),
                Piece::Banner | Piece::Garbage(_) => {}
            }
            let named = !want_name || look.system_name.is_some() || !look.events;
            (look.first.is_some() && named).then_some(())
        })?;
        look.first = look.first.or(cel_time.map(|at| (Times::CelEventTime, at)));
        Ok(look)
    }

    fn bytes_done(&self) -> u64 {
        self.bytes - self.file.limit()
    }
}

impl Decoder {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Ami(framer) => framer.push(bytes),
            Self::Cel(rows) => rows.push(bytes),
            Self::QueueLog(lines) => lines.push(bytes),
        }
    }

    fn next<T>(&mut self, each: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        match self {
            Self::Ami(framer) => framer.next().map(|item| each(item.into())),
            Self::Cel(rows) => rows.next().map(|item| each(item.into())),
            Self::QueueLog(lines) => lines.next().map(|item| each(item.into())),
        }
    }

    fn finish<T>(&mut self, each: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        match self {
            Self::Ami(framer) => framer.finish().map(|item| each(item.into())),
            Self::Cel(rows) => rows.finish().map(|item| each(item.into())),
            Self::QueueLog(lines) => lines.finish().map(|item| each(item.into())),
        }
    }

    fn position(&self) -> u64 {
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

fn timestamp(frame: &Frame<'_>) -> Option<Micros> {
    frame.header("Timestamp").and_then(epoch)
}

fn cel_event_time(frame: &Frame<'_>, zone: &mut LocalClock) -> Option<Micros> {
    let cel = frame.title().eq_ignore_ascii_case(b"CEL");
    frame.header("EventTime").filter(|_| cel).and_then(|time| zone.read(time))
}

/// A record that waits to be merged.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its place among the other files' records.
    pub(super) merge_at: Micros,
    /// It, or nothing if the log has it.
    pub(super) record: Option<Record>,
    /// Whether it is a piece that could not be read.
    pub(super) unreadable: bool,
}

/// How far a file is.
#[derive(Debug, Clone, Copy)]
struct FileClock {
    /// The time of the last item that had one.
    last: Micros,
    /// The latest time so far.
    latest: Micros,
    /// A time far ahead that no other has confirmed.
    doubted: Option<Micros>,
}

impl FileClock {
    fn read(&mut self, at: Option<Micros>) {
        let Some(at) = at else { return };
        let confirmed = self.doubted.is_some_and(|doubted| (at - doubted).abs() <= JUMP_MAX);
        if at - self.latest > JUMP_MAX && !confirmed {
            self.doubted = Some(at);
            return;
        }
        self.last = at;
        self.latest = self.latest.max(at);
        self.doubted = None;
    }
}

/// A file's records.
#[derive(Debug)]
pub(super) struct Stream {
    path: PathBuf,
    reader: Reader,
    encoder: Encoder,
    source: Source,
    times: Times,
    have: Vec<Have>,
    seen: Micros,
    clock: FileClock,
    offset: u64,
    responses: u64,
}

impl Stream {
    pub(super) fn open(file: Opened, plan: &ImportPlan, pbx: &str, seen: Micros) -> Result<Self, ImportError> {
        Ok(Self {
            reader: Reader::new(file.file, file.bytes, file.source, plan),
            encoder: Encoder::new(pbx, &file.journal, plan.redaction.clone()),
            path: file.path,
            source: file.source,
            times: file.times,
            have: file.have,
            seen,
            clock: FileClock { last: file.first_at, latest: file.first_at, doubted: None },
            offset: 0,
            responses: 0,
        })
    }

    /// The next record of the file.
    pub(super) fn next(&mut self) -> Result<Option<Pending>, ImportError> {
        let Self { reader, encoder, source, times, seen, clock, offset, responses, .. } = self;
        let found = reader.find(|piece, zone| {
            let at = match &piece {
                Piece::Frame(frame) => match times {
                    Times::Timestamp => timestamp(frame),
                    Times::CelEventTime => cel_event_time(frame, zone),
                },
                Piece::Row(Row { at, .. }) | Piece::Line(at, _) => Some(*at),
                Piece::Banner => return None,
                Piece::Garbage(_) => None,
            };
            clock.read(at);
            if let Piece::Frame(Frame { kind: FrameKind::Response, .. }) = piece {
                *responses += 1;
                return None;
            }
            *offset += 1;
            let stamp = Stamp { at: at.unwrap_or(clock.last), seen: *seen, offset: *offset };
            let unreadable = matches!(piece, Piece::Garbage(_));
            let record = match piece {
                Piece::Frame(frame) => encoder.ami(&frame, stamp),
                Piece::Row(row) => encoder.cel(&row, stamp),
                Piece::Line(_, line) => encoder.queue_log(line, stamp),
                Piece::Garbage(garbage) => encoder.unreadable(*source, &garbage, stamp),
                Piece::Banner => return None,
            };
            Some((record, unreadable))
        });
        let found = found.map_err(|source| ImportError::Io { path: self.path.clone(), source })?;
        let Some(((record, unreadable), end)) = found else {
            let complete = self.reader.file.limit() == 0;
            return if complete { Ok(None) } else { Err(ImportError::Changed { path: self.path.clone() }) };
        };
        // What was torn at the end of a shorter file has the same offset, but ends later now.
        let known = self.have.iter().any(|have| self.offset <= have.offset && end <= have.bytes);
        let record = (!known).then_some(record);
        Ok(Some(Pending { merge_at: self.clock.latest, record, unreadable }))
    }

    pub(super) fn bytes_total(&self) -> u64 {
        self.reader.bytes
    }

    pub(super) fn bytes_done(&self) -> u64 {
        self.reader.bytes_done()
    }

    pub(super) fn responses(&self) -> u64 {
        self.responses
    }
}
