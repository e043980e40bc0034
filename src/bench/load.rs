//! The events: a recording again and again, each copy later than the one before; and whether the log has all of them.

use calltide_eventlog::EventLog;
use calltide_ingest::decode::ami::{Frame, FrameKind, Framer, Item};
use calltide_ingest::playback::{More, Recording};
use calltide_schemas::envelope::{Envelope, Source};
use calltide_schemas::topics::EVENTS;
use std::sync::Arc;

use super::repeat::Repeated;
use super::{RECORDING, copies, step_secs};
use crate::errors::{Exit, Failure, Result};

/// Read from the log at once.
const READ_BYTES: usize = 4 << 20;

/// What tells an event from its neighbours: in this order they were said.
const TELLING: [&str; 3] = ["Event", "Timestamp", "Uniqueid"];

pub(crate) struct Load {
    repeated: Repeated,
    step_secs: i64,
    copies: u32,
}

/// What the log has.
pub(crate) struct Found {
    /// Events that are missing, there twice, or not where they belong.
    pub(crate) wrong: usize,
}

impl Load {
    /// At least so many events.
    pub(crate) fn new(events: u64) -> Self {
        let repeated = Repeated::new(RECORDING.to_vec());
        let step_secs = step_secs(&repeated);
        Self { repeated, step_secs, copies: copies(events) }
    }

    /// The copies, one after the other.
    pub(crate) fn recordings(self: &Arc<Self>) -> More {
        let (load, mut next) = (Arc::clone(self), 0);
        Box::new(move || {
            let nth = next;
            next += 1;
            (nth < load.copies).then(|| Recording::new(load.copy(nth)).ok()).flatten()
        })
    }

    fn copy(&self, nth: u32) -> Vec<u8> {
        self.repeated.copy(nth, i64::from(nth) * self.step_secs)
    }

    /// Compares what was said with what the log has.
    pub(crate) fn find_in(&self, log: &dyn EventLog) -> Result<Found> {
        let mut said = (0..self.copies).flat_map(|nth| events(&self.copy(nth)));
        let (mut next, mut wrong) = (0, 0);
        loop {
            let batch = log.read(EVENTS, 0, next, READ_BYTES)?;
            if batch.next == next {
                break;
            }
            next = batch.next;
            for read in batch.records.iter().filter(|read| read.record.kind == Source::Ami.name()) {
                let payload = read.record.payload.as_deref().unwrap_or_default();
                let envelope: Envelope<'_> = serde_json::from_slice(payload)
                    .map_err(|e| Failure::new(Exit::Failed, "an event in the log is unreadable").because(&e))?;
                let found = TELLING.map(|name| envelope.header(name).unwrap_or_default().to_owned());
                wrong += usize::from(said.next() != Some(found));
            }
        }
        Ok(Found { wrong: wrong + said.count() })
    }
}

/// What tells each event of a recording.
fn events(recording: &[u8]) -> Vec<[String; 3]> {
    let mut framer = Framer::default();
    framer.push(recording);
    let mut events = Vec::new();
    while let Some(item) = framer.next() {
        if let Item::Frame(frame @ Frame { kind: FrameKind::Event, .. }) = item {
            events.push(
                TELLING.map(|name| {
                    frame.header(name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default()
                }),
            );
        }
    }
    events
}
