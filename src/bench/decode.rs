//! Decoding: AMI bytes to frames with their headers, and on to envelopes and to facts.

use calltide_ingest::decode::ami::{Framer, Item};
use calltide_processor::vocabulary::{Reading, decode};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Header, Source, Text};

use super::repeat::Repeated;
use super::stopwatch::Stopwatch;
use super::{RECORDING, copies, line, step_secs};
use crate::errors::Result;

/// The socket's usual read.
const READ_BYTES: usize = 64 << 10;
/// Bytes decoded at most: enough for seconds.
const BYTES_MAX: u64 = 300 << 20;

/// Measures and tells.
pub(crate) fn measure(events: u64) -> Result<String> {
    let recording = Repeated::new(RECORDING.to_vec());
    let step = step_secs(&recording);
    let most = u32::try_from(BYTES_MAX / RECORDING.len() as u64).unwrap_or(1).max(1);
    let bytes: Vec<u8> =
        (0..copies(events).min(most)).flat_map(|nth| recording.copy(nth, i64::from(nth) * step)).collect();

    let started = Stopwatch::start();
    let mut framer = Framer::default();
    let (mut frames, mut headers) = (0_usize, 0_usize);
    for part in bytes.chunks(READ_BYTES) {
        framer.push(part);
        while let Some(item) = framer.next() {
            if let Item::Frame(frame) = item {
                frames += 1;
                headers += frame.headers().count();
            }
        }
    }
    let framing = started.secs();

    let started = Stopwatch::start();
    let reading = Reading::default();
    let mut framer = Framer::default();
    let mut facts = 0;
    for part in bytes.chunks(READ_BYTES) {
        framer.push(part);
        while let Some(item) = framer.next() {
            let Item::Frame(frame) = item else { continue };
            let mut envelope = Envelope::new("bench", Source::Ami, Micros(0), Micros(0), "bench", 1);
            let texts = frame.headers().map(|(name, value)| (std::str::from_utf8(name), std::str::from_utf8(value)));
            envelope.headers = texts
                .filter_map(|(name, value)| Some(Header(Text::from(name.ok()?), Text::from(value.ok()?))))
                .collect();
            facts += decode(&envelope, &reading).said.len();
        }
    }
    let deciphering = started.secs();
    let mut text = line("decode: frames", frames, "events", bytes.len(), framing);
    text += &line("decode: to facts", frames, "events", bytes.len(), deciphering);
    text += &format!("{:<24} {headers} headers, {facts} facts\n", "");
    Ok(text)
}
