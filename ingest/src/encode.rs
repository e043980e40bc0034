//! Writes envelopes: from the slices of a frame, row or line straight to the JSON of `calltide_schemas::envelope`.
//!
//! Every event of every PBX passes here, so no envelope is built in between; the result is byte for byte what serde writes
//! (tests compare them). It redacts, and it must not interpret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Source, plain};

use crate::decode::ami::Frame;
use crate::decode::cel::Row;
use crate::decode::redact::{Redaction, Secret, of_garbage};
use crate::decode::{Garbage, queue_log};

/// Writes the envelopes of one journal.
#[derive(Debug)]
pub struct Encoder {
    pbx: String,
    journal: String,
    /// `{"v":1,"pbx":"…","source":"`.
    head: Vec<u8>,
    /// `,"journal":"…","offset":`.
    place: Vec<u8>,
    redaction: Redaction,
}

/// When something happened, when it was seen, and which one it is in its journal.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// When it happened.
    pub at: Micros,
    /// When it was collected.
    pub seen: Micros,
    /// Its offset in the journal, from 1.
    pub offset: u64,
}

impl Encoder {
    /// An encoder for that PBX and journal.
    pub fn new(pbx: &str, journal: &str, redaction: Redaction) -> Self {
        let mut head = b"{\"v\":1,\"pbx\":".to_vec();
        text(&mut head, pbx.as_bytes());
        head.extend_from_slice(b",\"source\":\"");
        let mut place = b",\"journal\":".to_vec();
        text(&mut place, journal.as_bytes());
        place.extend_from_slice(b",\"offset\":");
        Self { pbx: pbx.to_owned(), journal: journal.to_owned(), head, place, redaction }
    }

    /// The journal's id.
    pub fn journal(&self) -> &str {
        &self.journal
    }

    /// The record of an AMI event.
    pub fn ami(&self, frame: &Frame<'_>, stamp: Stamp) -> Record {
        let mut out = self.open(Source::Ami, stamp, frame.bytes.len() + frame.bytes.len() / 2);
        let secret = self.redaction.of_ami(frame);
        let valid = std::str::from_utf8(frame.bytes).is_ok();
        headers(&mut out, frame.headers().map(|(name, value)| (name, secret.keep(name, value))), valid);
        if !valid {
            let mut kept = Vec::with_capacity(frame.bytes.len());
            for (name, value) in frame.headers() {
                kept.extend_from_slice(&[name, b": ", &secret.keep(name, value), b"\r\n"].concat());
            }
            raw(&mut out, &kept);
        }
        self.close(Source::Ami, stamp, out)
    }

    /// The record of a CEL row. Empty values are left out: half of a row is empty.
    pub fn cel(&self, row: &Row<'_>, stamp: Stamp) -> Record {
        let mut out = self.open(Source::Cel, stamp, row.bytes.len() * 2);
        let secret = if row.is_dtmf() { Secret::Digit } else { Secret::None };
        let valid = std::str::from_utf8(row.bytes).is_ok();
        let kept = row.headers().filter(|(_, value)| !value.is_empty());
        headers(&mut out, kept.map(|(name, value)| (name.as_bytes(), secret.keep(name.as_bytes(), value))), valid);
        if !valid {
            raw(&mut out, &of_garbage(row.bytes));
        }
        self.close(Source::Cel, stamp, out)
    }

    /// The record of a line of `queue_log`.
    pub fn queue_log(&self, line: &[u8], stamp: Stamp) -> Record {
        let mut out = self.open(Source::QueueLog, stamp, line.len() * 2);
        let valid = std::str::from_utf8(line).is_ok();
        out.extend_from_slice(b",\"fields\":[");
        for (nth, field) in queue_log::fields(line).enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            any_text(&mut out, field, valid);
        }
        out.push(b']');
        if !valid {
            raw(&mut out, line);
        }
        self.close(Source::QueueLog, stamp, out)
    }

    /// The record of bytes of `source` that could not be read.
    pub fn unreadable(&self, source: Source, garbage: &Garbage<'_>, stamp: Stamp) -> Record {
        let mut envelope = self.envelope(Source::Unreadable, stamp);
        let position = garbage.position.to_string();
        envelope.headers = vec![
            calltide_schemas::envelope::Header("source".into(), source.name().into()),
            calltide_schemas::envelope::Header("position".into(), position.as_str().into()),
        ];
        envelope.reason = Some(garbage.flaw.name().into());
        envelope.raw = Some(STANDARD.encode(of_garbage(garbage.bytes)).into());
        self.record(&envelope)
    }

    /// An envelope of this journal, to be filled and given to [`record`](Self::record).
    pub fn envelope(&self, source: Source, stamp: Stamp) -> Envelope<'_> {
        Envelope::new(&self.pbx, source, stamp.at, stamp.seen, &self.journal, stamp.offset)
    }

    /// The record of an envelope of this journal.
    pub fn record(&self, envelope: &Envelope<'_>) -> Record {
        // Nothing in an envelope can fail to be JSON: its only map keys are field names.
        let json = serde_json::to_vec(envelope).unwrap_or_default();
        self.wrap(envelope.source, envelope.at, envelope.offset, json)
    }

    fn open(&self, source: Source, stamp: Stamp, body_bytes: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.len() + self.place.len() + body_bytes + 128);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(source.name().as_bytes());
        out.extend_from_slice(b"\",\"at\":");
        number(&mut out, stamp.at.0);
        out.extend_from_slice(b",\"seen\":");
        number(&mut out, stamp.seen.0);
        out.extend_from_slice(&self.place);
        number(&mut out, stamp.offset);
        out
    }

    fn close(&self, source: Source, stamp: Stamp, mut out: Vec<u8>) -> Record {
        out.push(b'}');
        self.wrap(source, stamp.at, stamp.offset, out)
    }

    fn wrap(&self, source: Source, at: Micros, offset: u64, payload: Vec<u8>) -> Record {
        let mut digits = itoa::Buffer::new();
        Record {
            key: self.pbx.clone().into_bytes(),
            at: at.0,
            id: [&self.journal, ":", digits.format(offset)].concat(),
            kind: source.name().to_owned(),
            journal: Some((self.journal.clone(), offset)),
            payload: Some(payload),
        }
    }
}

fn headers<'a, N: AsRef<[u8]>, V: AsRef<[u8]> + 'a>(
    out: &mut Vec<u8>,
    headers: impl Iterator<Item = (N, V)>,
    valid: bool,
) {
    let before = out.len();
    out.extend_from_slice(b",\"headers\":");
    let mut separator = b"[[";
    for (name, value) in headers {
        out.extend_from_slice(separator);
        separator = b",[";
        any_text(out, name.as_ref(), valid);
        out.push(b',');
        any_text(out, value.as_ref(), valid);
        out.push(b']');
    }
    if separator == b"[[" {
        out.truncate(before);
    } else {
        out.push(b']');
    }
}

fn raw(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b",\"raw\":\"");
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A JSON string of bytes that may not be UTF-8.
fn any_text(out: &mut Vec<u8>, bytes: &[u8], valid: bool) {
    if valid { text(out, bytes) } else { text(out, String::from_utf8_lossy(bytes).as_bytes()) }
}

/// A JSON string, escaped as serde_json does.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut rest = bytes;
    loop {
        let (as_is, escaped) = rest.split_at(plain(rest));
        out.extend_from_slice(as_is);
        let Some((&byte, after)) = escaped.split_first() else { break };
        rest = after;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
