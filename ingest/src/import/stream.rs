//! One file as a stream of records in its own order, each with the time by which it is merged with other files.
//!
//! The merge time is the latest time so far, so that a line that is a little out of order stays where it stands.
//! Memory holds one read's bytes and one pending record per file.

use std::fs::File;
use std::io::{self, Read, Take};
use std::path::PathBuf;

use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;

use super::files::Opened;
use super::{ImportError, ImportPlan};
use crate::decode::ami::{Frame, FrameKind};
use crate::decode::cel::Row;
use crate::decode::time::{LocalClock, epoch};
use crate::encode::{Encoder, Stamp};
use crate::logfile::{Decoder, FileOrder, Have, Pending, Piece, READ_BYTES, is_known};

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
        let decoder = Decoder::new(source, &plan.cel_columns, &zone);
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

fn timestamp(frame: &Frame<'_>) -> Option<Micros> {
    frame.header("Timestamp").and_then(epoch)
}

fn cel_event_time(frame: &Frame<'_>, zone: &mut LocalClock) -> Option<Micros> {
    let cel = frame.title().eq_ignore_ascii_case(b"CEL");
    frame.header("EventTime").filter(|_| cel).and_then(|time| zone.read(time))
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
    order: FileOrder,
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
            order: FileOrder::from(file.first_at),
            offset: 0,
            responses: 0,
        })
    }

    /// The next record of the file.
    pub(super) fn next(&mut self) -> Result<Option<Pending>, ImportError> {
        let Self { reader, encoder, source, times, seen, order, offset, responses, .. } = self;
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
            order.read(at);
            if let Piece::Frame(Frame { kind: FrameKind::Response, .. }) = piece {
                *responses += 1;
                return None;
            }
            *offset += 1;
            let stamp = Stamp { at: at.unwrap_or(order.last), seen: *seen, offset: *offset };
            let unreadable = matches!(piece, Piece::Garbage(_));
            Some((piece.encode(*source, encoder, stamp)?, unreadable))
        });
        let found = found.map_err(|source| ImportError::Io { path: self.path.clone(), source })?;
        let Some(((record, unreadable), end)) = found else {
            let complete = self.reader.file.limit() == 0;
            return if complete { Ok(None) } else { Err(ImportError::Changed { path: self.path.clone() }) };
        };
        let record = (!is_known(&self.have, self.offset, end)).then_some(record);
        Ok(Some(Pending { merge_at: self.order.latest, record, unreadable }))
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
