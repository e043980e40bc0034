//! The envelope of a raw event: what a collector writes to the topic `events`, one JSON object per happening.
//!
//! It carries the source's own words (AMI headers in order, CEL columns by name, queue_log fields), when it happened (`at`),
//! when it was seen, and its place in the collector's journal, by which a re-sent event is recognised exactly.
//! Interpretation is not for here: `processor` decodes envelopes into telephony facts.
//! Version 1; fields are only ever added.

mod plain;
mod read;

pub use plain::plain;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::time::Micros;

/// Which log of a PBX an event comes from, or what kind of record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An AMI event: `headers`.
    Ami,
    /// A row of a `cel_custom` file: `headers`, the column names being the CEL field names
    /// (`eventtype`, `eventtime`, `cid_name`, `cid_num`, … , `extra`).
    Cel,
    /// A line of `queue_log`: `fields`, as split at `|` (time, call id, queue, agent, event, data…).
    QueueLog,
    /// The PBX's clock reached `at`; nothing else happened. Time is a record: timers fire by these.
    Heartbeat,
    /// An import has given everything that it had: calls seen solely in it are closed, unless `keep_open`.
    ImportEnd,
    /// The connection to the PBX was made or lost: events may be missing before this. `reason` says what happened.
    Gap,
    /// Bytes that could not be read: `reason`, `raw` and in `headers` where they were (`source`, `position`).
    Unreadable,
    /// Asked after a connection was made, the PBX said which channels are up: `headers` has `since`, the time of the
    /// connection by the PBX's clock in microseconds UTC, and a `channel` for each. What was up before `since` and is not
    /// among them ended unseen.
    Resync,
}

impl Source {
    /// The word used in records, tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ami => "ami",
            Self::Cel => "cel",
            Self::QueueLog => "queue_log",
            Self::Heartbeat => "heartbeat",
            Self::ImportEnd => "import_end",
            Self::Gap => "gap",
            Self::Unreadable => "unreadable",
            Self::Resync => "resync",
        }
    }
}

/// The header of a heartbeat that is told by the times in a PBX's files, not by the PBX when it was asked: it shows that the
/// PBX was alive, but nothing of the connection to it.
pub const HEARTBEAT_OF_FILES: (&str, &str) = ("told_by", "files");

/// The `reason` of a `gap` that ends: the connection was made. Any other says why it was lost.
pub const GAP_CONNECTED: &str = "connected";

/// The header of a `resync` with the time of the connection.
pub const RESYNC_SINCE: &str = "since";

/// The header of a `resync` with a channel's `Uniqueid`.
pub const RESYNC_CHANNEL: &str = "channel";

/// One raw event. Borrowed from the record's bytes where it can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Envelope<'a> {
    /// Version of this format: 1.
    pub v: u32,
    /// The PBX, as configured or by its `systemname`.
    #[serde(borrow)]
    pub pbx: Cow<'a, str>,
    /// Where it comes from.
    pub source: Source,
    /// When it happened, by the source's own clock, in microseconds UTC.
    pub at: Micros,
    /// When the collector got it, in microseconds UTC.
    pub seen: Micros,
    /// The journal it was collected in, e.g. a connection or an imported file.
    #[serde(borrow)]
    pub journal: Cow<'a, str>,
    /// Its place in that journal, counted from 1, without holes.
    pub offset: u64,
    /// Names and values in the order of the source, repeated names kept.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header<'a>>,
    /// Fields without names, in order.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Text<'a>>,
    /// Why, in a word, for `gap` and `unreadable`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// The bytes as they came, in base64, where they were not valid UTF-8 or could not be read.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Cow<'a, str>>,
    /// `import_end`: calls that are still open stay open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_open: bool,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Header<'a>(#[serde(borrow)] pub Text<'a>, #[serde(borrow)] pub Text<'a>);

/// A string that is borrowed where the JSON had no escapes in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Envelope<'_> {
    /// An envelope without a body, to be filled.
    pub fn new<'a>(
        pbx: &'a str,
        source: Source,
        at: Micros,
        seen: Micros,
        journal: &'a str,
        offset: u64,
    ) -> Envelope<'a> {
        Envelope {
            v: 1,
            pbx: Cow::Borrowed(pbx),
            source,
            at,
            seen,
            journal: Cow::Borrowed(journal),
            offset,
            headers: Vec::new(),
            fields: Vec::new(),
            reason: None,
            raw: None,
            keep_open: false,
        }
    }

    /// The first header of that name, letter case ignored as AMI does.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.0.as_str().eq_ignore_ascii_case(name)).map(|h| h.1.as_str())
    }
}
