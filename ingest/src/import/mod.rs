//! Imports recorded files: merged by time, appended to the log once, however often and however interrupted.
//!
//! A file's journal is named by its content, so the log itself tells what is already there (`files`). Times of the merged
//! files drive heartbeats, so that timers fire as they would have. It must not know what the events mean.

mod files;
mod stream;

use std::path::PathBuf;

use calltide_eventlog::{EventLog, LogError, Record};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Header, Source, Text};
use calltide_schemas::journals::{IMPORT_END, IMPORT_TIME};
use calltide_schemas::topics::EVENTS;
use jiff::tz::TimeZone;

use crate::decode::cel::CelColumns;
use crate::decode::redact::Redaction;
use crate::encode::{Encoder, Stamp};
use crate::logfile::Pending;
use files::Opened;
use stream::Stream;

/// Records appended at once: enough to share an fsync widely, little enough that progress is seen.
const BATCH_RECORDS: usize = 4096;

/// The same in bytes, for files with giant frames.
const BATCH_BYTES: usize = 8 << 20;

/// What is to be imported, and how it is to be read.
#[derive(Debug, Clone)]
pub struct ImportPlan {
    /// The PBX's id. Without it the `SystemName` of the AMI recording is taken.
    pub pbx: Option<String>,
    /// AMI recordings: every byte that a connection received.
    pub ami: Vec<PathBuf>,
    /// `cel_custom` files.
    pub cel: Vec<PathBuf>,
    /// `queue_log` files.
    pub queue_log: Vec<PathBuf>,
    /// The zone of times that have none.
    pub tz: TimeZone,
    /// The columns of the CEL files.
    pub cel_columns: CelColumns,
    /// Calls that are still open at the end stay open.
    pub keep_open: bool,
    /// What must not reach the log.
    pub redaction: Redaction,
}

impl Default for ImportPlan {
    fn default() -> Self {
        Self {
            pbx: None,
            ami: Vec::new(),
            cel: Vec::new(),
            queue_log: Vec::new(),
            tz: TimeZone::UTC,
            cel_columns: CelColumns::default(),
            keep_open: false,
            redaction: Redaction::default(),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes read.
    pub bytes_done: u64,
    /// Bytes to read.
    pub bytes_total: u64,
    /// Events, rows, lines and unreadable pieces so far, those that were already there included.
    pub items: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// The PBX.
    pub pbx: String,
    /// The journals of its files.
    pub journals: Vec<String>,
    /// Events, rows, lines and unreadable pieces appended now.
    pub appended: u64,
    /// Those that had been imported before.
    pub already_there: u64,
    /// Of all: those that could not be read and became `unreadable` envelopes.
    pub unreadable: u64,
    /// AMI responses, which are not kept.
    pub responses: u64,
    /// Time of the first and last item, if there is any.
    pub span: Option<(Micros, Micros)>,
}

/// Why nothing, or not everything, was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The plan names no file.
    #[error("no file to import")]
    NoFiles,
    /// A file can't be read.
    #[error("{}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// Not a regular file.
    #[error("{} is not a file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The content is something else.
    #[error("{} doesn't look like {expected}: nothing in it could be read as such", path.display())]
    WrongKind {
        /// Which.
        path: PathBuf,
        /// What was expected, e.g. `a queue_log`.
        expected: &'static str,
    },
    /// An AMI recording without times.
    #[error(
        "the events in {} carry no time; set timestampevents=yes in the [general] section of manager.conf and record again",
        path.display()
    )]
    NoTimes {
        /// Which.
        path: PathBuf,
    },
    /// Nobody says which PBX it was.
    #[error("the files don't name their pbx; give its name with --pbx")]
    NoPbx,
    /// Two recordings of different PBXs in one import.
    #[error("the files are of different pbxs, {one} and {other}; import them one by one, or give one name with --pbx")]
    TwoPbxs {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// A name that can't be one.
    #[error("{name:?} can't be the name of a pbx: it must have 1 to 80 characters, without `/` and control characters")]
    BadPbx {
        /// The name.
        name: String,
    },
    /// A file shrank or was replaced meanwhile.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// The log refused.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Imports the files of `plan`. Blocks. `seen` is the present time, which the envelopes carry.
///
/// Importing again changes nothing, a grown file gives what is new in it, and after an interruption the same plan goes on
/// where the log ends.
///
/// # Errors
/// See [`ImportError`]. What was appended before stays, and is not repeated by the next import.
pub fn import(
    log: &dyn EventLog,
    plan: &ImportPlan,
    seen: Micros,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    let (pbx, files) = files::open(log, plan)?;
    let mut run = Run::begin(log, plan, seen, &pbx, &files)?;
    let mut streams = Vec::new();
    let mut heads = Vec::new();
    for file in files {
        let mut stream = Stream::open(file, plan, &pbx, seen)?;
        heads.push(stream.next()?);
        streams.push(stream);
    }
    let bytes_total = streams.iter().map(Stream::bytes_total).sum();
    // Few files, so the earliest head is found by looking at all; among equals the first file wins.
    while let Some(first) = (0..heads.len()).filter(|nth| heads[*nth].is_some()).min_by_key(|nth| time_of(&heads[*nth]))
    {
        if let Some(pending) = std::mem::replace(&mut heads[first], streams[first].next()?) {
            run.take(pending);
        }
        if run.is_full() {
            run.flush()?;
            let bytes_done = streams.iter().map(Stream::bytes_done).sum();
            progress(Progress { bytes_done, bytes_total, items: run.summary.appended + run.summary.already_there });
        }
    }
    run.summary.responses = streams.iter().map(Stream::responses).sum();
    let summary = run.end()?;
    progress(Progress { bytes_done: bytes_total, bytes_total, items: summary.appended + summary.already_there });
    Ok(summary)
}

fn time_of(head: &Option<Pending>) -> Option<Micros> {
    head.as_ref().map(|pending| pending.merge_at)
}

/// One import under way.
struct Run<'a> {
    log: &'a dyn EventLog,
    keep_open: bool,
    seen: Micros,
    batch: Vec<Record>,
    batch_bytes: usize,
    /// Begins with the first item that is new, and goes on from the log after an interruption.
    heartbeats: Option<Heartbeats>,
    /// Writes the `import_end`.
    end: Encoder,
    ended: bool,
    /// Prefix of the journal of heartbeats, to which the second it begins with is added: so the numbering of heartbeats can
    /// be found again after an interruption.
    heartbeat_prefix: String,
    summary: ImportSummary,
}

struct Heartbeats {
    encoder: Encoder,
    first_second: i64,
    last_second: Option<i64>,
    offset: u64,
    /// How many are in the log already.
    done: u64,
}

impl<'a> Run<'a> {
    fn begin(
        log: &'a dyn EventLog,
        plan: &ImportPlan,
        seen: Micros,
        pbx: &str,
        files: &[Opened],
    ) -> Result<Self, ImportError> {
        let journals: Vec<String> = files.iter().map(|file| file.journal.clone()).collect();
        let set = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(journals.join("\n").as_bytes()));
        let end = Encoder::new(pbx, &format!("{IMPORT_END}{pbx}/{set}"), Redaction::default());
        let ended = !log.journals(end.journal())?.is_empty();
        let heartbeat_prefix = format!("{IMPORT_TIME}{pbx}/{set}/");
        let begun = log.journals(&heartbeat_prefix)?.into_iter().find_map(|(journal, done)| {
            let first_second = journal.strip_prefix(&heartbeat_prefix)?.parse().ok()?;
            Some(Heartbeats::new(pbx, &journal, first_second, done))
        });
        Ok(Self {
            log,
            keep_open: plan.keep_open,
            seen,
            batch: Vec::with_capacity(BATCH_RECORDS + 1),
            batch_bytes: 0,
            heartbeats: begun,
            end,
            ended,
            heartbeat_prefix,
            summary: ImportSummary { pbx: pbx.to_owned(), journals, ..ImportSummary::default() },
        })
    }

    fn take(&mut self, pending: Pending) {
        let first = self.summary.span.map_or(pending.merge_at, |(first, _)| first);
        self.summary.span = Some((first, pending.merge_at));
        self.summary.unreadable += u64::from(pending.unreadable);
        let second = pending.merge_at.0.div_euclid(1_000_000);
        if pending.record.is_some() && self.heartbeats.is_none() {
            let journal = format!("{}{second}", self.heartbeat_prefix);
            self.heartbeats = Some(Heartbeats::new(&self.summary.pbx, &journal, second, 0));
        }
        if let Some(record) = self.heartbeats.as_mut().and_then(|heartbeats| heartbeats.tick(second, self.seen)) {
            self.batch.push(record);
        }
        match pending.record {
            Some(record) => {
                self.summary.appended += 1;
                self.batch_bytes += record.payload.as_ref().map_or(0, Vec::len);
                self.batch.push(record);
            }
            None => self.summary.already_there += 1,
        }
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        self.batch_bytes = 0;
        if !self.batch.is_empty() {
            let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_RECORDS + 1));
            self.log.append_by_key(EVENTS, batch)?;
        }
        Ok(())
    }

    /// Says that the import is over, unless nothing was new, or an earlier run said so.
    fn end(mut self) -> Result<ImportSummary, ImportError> {
        if let (Some((_, last)), Some(_), false) = (self.summary.span, &self.heartbeats, self.ended) {
            let mut envelope = self.end.envelope(Source::ImportEnd, Stamp { at: last, seen: self.seen, offset: 1 });
            let journals = self.summary.journals.iter();
            envelope.headers = journals.map(|id| Header(Text::from("journal"), Text::from(id.as_str()))).collect();
            envelope.keep_open = self.keep_open;
            let record = self.end.record(&envelope);
            self.batch.push(record);
        }
        self.flush()?;
        Ok(self.summary)
    }
}

impl Heartbeats {
    fn new(pbx: &str, journal: &str, first_second: i64, done: u64) -> Self {
        let encoder = Encoder::new(pbx, journal, Redaction::default());
        Self { encoder, first_second, last_second: None, offset: 0, done }
    }

    /// The heartbeat of a second that the merged time has entered, unless it has been appended before.
    fn tick(&mut self, second: i64, seen: Micros) -> Option<Record> {
        if second < self.first_second || self.last_second.is_some_and(|last| second <= last) {
            return None;
        }
        self.last_second = Some(second);
        self.offset += 1;
        let stamp = Stamp { at: Micros::from_secs(second), seen, offset: self.offset };
        let envelope = self.encoder.envelope(Source::Heartbeat, stamp);
        (self.offset > self.done).then(|| self.encoder.record(&envelope))
    }
}
