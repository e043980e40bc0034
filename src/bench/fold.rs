//! The calls fold alone: facts in, then whole records in; rows and changed state out, as the runtime would commit them.
//!
//! What comes before is done before, so that it is not measured; log and lake are not there.

use calltide_eventlog::Record;
use calltide_ingest::decode::ami::{FrameKind, Framer, Item};
use calltide_ingest::decode::redact::Redaction;
use calltide_ingest::encode::{Encoder, Stamp};
use calltide_processor::calls::{CallSettings, Calls, Sign};
use calltide_processor::fold::{Effects, Fold as _};
use calltide_processor::vocabulary::{Reading, Said, decode};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Header, Source, Text};

use super::repeat::Repeated;
use super::stopwatch::Stopwatch;
use super::{PBX, RECORDING, copies, line, step_secs};

/// Copies decoded at once, so that decoding is outside of what is timed and memory stays small.
const COPIES_AT_ONCE: u32 = 20;
/// Events between two commits, as in an import.
const EVENTS_PER_COMMIT: usize = 4096;

/// What one event said, and when.
type Heard = (Micros, Vec<Said>);

/// Measures and tells.
pub(crate) fn measure(events: u64) -> String {
    let recording = Repeated::new(RECORDING.to_vec());
    let step = step_secs(&recording);
    let mut fold = Calls::new(CallSettings::default());
    let (mut facts, mut rows, mut state_bytes, mut secs) = (0, 0, 0, 0.0);
    let copies = copies(events);
    for first in (0..copies).step_by(COPIES_AT_ONCE as usize) {
        let last = (first + COPIES_AT_ONCE).min(copies);
        let heard: Vec<Heard> =
            (first..last).flat_map(|nth| heard(&recording.copy(nth, i64::from(nth) * step))).collect();
        facts += heard.iter().map(|(_, said)| said.len()).sum::<usize>();
        let started = Stopwatch::start();
        let (published, written) = apply(&mut fold, heard);
        secs += started.secs();
        rows += published;
        state_bytes += written;
    }
    let mut text = line("fold: facts to rows", facts, "facts", state_bytes, secs);
    text += &format!("{:<24} {rows} rows published; the MB/s are state written\n", "");
    text + &measure_records(&recording, copies, step)
}

/// The same from the records that a collector writes: read, recognised by their journal, decoded and told.
fn measure_records(recording: &Repeated, copies: u32, step: i64) -> String {
    let encoder = Encoder::new(PBX, "ami/bench/1", Redaction::default());
    let mut fold = Calls::new(CallSettings::default());
    let (mut offset, mut records, mut rows, mut bytes, mut secs) = (0, 0, 0, 0, 0.0);
    for first in (0..copies).step_by(COPIES_AT_ONCE as usize) {
        let last = (first + COPIES_AT_ONCE).min(copies);
        let copy = |nth| written(&recording.copy(nth, i64::from(nth) * step), &encoder, &mut offset);
        let written: Vec<Record> = (first..last).flat_map(copy).collect();
        bytes += written.iter().filter_map(|record| record.payload.as_ref()).map(Vec::len).sum::<usize>();
        records += written.len();
        let started = Stopwatch::start();
        for commit in written.chunks(EVENTS_PER_COMMIT) {
            let mut effects = Effects::default();
            commit.iter().for_each(|record| fold.apply(record, &mut effects));
            rows += effects.outputs.len();
            fold.measures();
            fold.changes();
        }
        secs += started.secs();
    }
    line("fold: records to rows", records, "records", bytes, secs) + &format!("{:<24} {rows} rows published\n", "")
}

/// What a collector writes of these bytes, with a heartbeat each second.
fn written(bytes: &[u8], encoder: &Encoder, offset: &mut u64) -> Vec<Record> {
    let mut framer = Framer::default();
    framer.push(bytes);
    let (mut at, mut second) = (Micros(0), 0);
    let mut records = Vec::new();
    let mut stamp = |at| {
        *offset += 1;
        Stamp { at, seen: at, offset: *offset }
    };
    while let Some(item) = framer.next() {
        let Item::Frame(frame) = item else { continue };
        let told =
            frame.header("Timestamp").and_then(|time| std::str::from_utf8(time).ok()?.replace('.', "").parse().ok());
        at = told.map_or(at, Micros);
        if at.0 / 1_000_000 != second {
            second = at.0 / 1_000_000;
            records.push(encoder.record(&encoder.envelope(Source::Heartbeat, stamp(at))));
        }
        if frame.kind == FrameKind::Event {
            records.push(encoder.ami(&frame, stamp(at)));
        }
    }
    records
}

fn apply(fold: &mut Calls, heard: Vec<Heard>) -> (usize, usize) {
    let (mut rows, mut bytes, mut since_commit) = (0, 0, 0);
    let mut second = 0;
    let mut effects = Effects::default();
    for (at, said) in heard {
        if at.0 / 1_000_000 != second {
            second = at.0 / 1_000_000;
            fold.heartbeat(PBX, at, Sign::Asked, &mut effects);
        }
        for said in said {
            fold.hear(PBX, "bench", said, &mut effects);
        }
        since_commit += 1;
        if since_commit == EVENTS_PER_COMMIT {
            since_commit = 0;
            rows += std::mem::take(&mut effects).outputs.len();
            bytes += fold.changes().iter().filter_map(|c| c.value.as_ref()).map(Vec::len).sum::<usize>();
        }
    }
    rows += effects.outputs.len();
    bytes += fold.changes().iter().filter_map(|c| c.value.as_ref()).map(Vec::len).sum::<usize>();
    (rows, bytes)
}

fn heard(bytes: &[u8]) -> Vec<Heard> {
    let reading = Reading::default();
    let mut framer = Framer::default();
    let mut heard = Vec::new();
    framer.push(bytes);
    let mut at = Micros(0);
    while let Some(item) = framer.next() {
        let Item::Frame(frame) = item else { continue };
        let texts = frame.headers().map(|(name, value)| (std::str::from_utf8(name), std::str::from_utf8(value)));
        let mut envelope = Envelope::new(PBX, Source::Ami, at, at, "bench", 1);
        envelope.headers =
            texts.filter_map(|(name, value)| Some(Header(Text::from(name.ok()?), Text::from(value.ok()?)))).collect();
        let told = envelope.header("Timestamp").and_then(|t| t.replace('.', "").parse().ok());
        at = told.map_or(at, Micros);
        envelope.at = at;
        heard.push((at, decode(&envelope, &reading).said));
    }
    heard
}
