//! The calls fold alone: facts in, rows and changed state out, as the runtime would commit them.

use calltide_ingest::decode::ami::{Framer, Item};
use calltide_processor::calls::{CallSettings, Calls};
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
    text
}

fn apply(fold: &mut Calls, heard: Vec<Heard>) -> (usize, usize) {
    let (mut rows, mut bytes, mut since_commit) = (0, 0, 0);
    let mut second = 0;
    let mut effects = Effects::default();
    for (at, said) in heard {
        if at.0 / 1_000_000 != second {
            second = at.0 / 1_000_000;
            fold.heartbeat(PBX, at, &mut effects);
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
