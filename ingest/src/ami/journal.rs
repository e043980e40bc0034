//! The journal of one connection: frames its bytes and appends envelopes to the log, many with one fsync.
//!
//! Runs on a thread of its own, since the log blocks. While one batch is being synced the queue gathers the next one, so
//! batches grow by themselves under load. Offsets count this connection's envelopes from 1, heartbeats and gaps included.

use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::{EventLog, LogError, Record};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{GAP_CONNECTED, Source};
use calltide_schemas::journals::CONNECTION;
use calltide_schemas::topics::EVENTS;
use tokio::sync::watch;

use super::buffer::{Chunk, Pieces};
use super::resync::{Refusal, Resync};
use super::{AmiConfig, AmiStatus};
use crate::decode::Garbage;
use crate::decode::ami::{Frame, FrameKind, Framer, Item};
use crate::decode::time::epoch;
use crate::encode::{Encoder, Stamp};

/// Records appended at once at most: a bound for memory while catching up.
const BATCH_RECORDS: usize = 4096;

/// And bytes of their events: a frame may have a megabyte.
const BATCH_BYTES: usize = 4 << 20;

/// How long to wait before a full disk is tried again.
const DISK_FULL_WAIT: Duration = Duration::from_secs(1);

/// The journal.
pub(super) struct Journal {
    log: Arc<dyn EventLog>,
    encoder: Encoder,
    framer: Framer,
    batch: Vec<Record>,
    batch_bytes: usize,
    offset: u64,
    pbx_clock: PbxClock,
    /// The time given to the last event that had none.
    untimed_last: Micros,
    /// The list of the channels that are up, until it is whole.
    resync: Option<Resync>,
    stop: watch::Receiver<bool>,
    status: watch::Sender<AmiStatus>,
    /// What the batch has.
    unwritten: Tally,
    meters: Meters,
}

/// What there is of each, counted when it is in the log: whoever reads the metrics takes it for kept.
#[derive(Debug, Default)]
struct Tally {
    events: u64,
    unreadable: u64,
    gaps: u64,
    resyncs: u64,
}

/// What the PBX's clock shows, by what it last answered and by ours since then. The times of events are not asked: one that
/// is wrong must not move the heartbeats.
#[derive(Debug, Clone, Copy)]
struct PbxClock {
    ahead: i64,
    latest: Option<Micros>,
}

struct Meters {
    events: metrics::Counter,
    unreadable: metrics::Counter,
    gaps: metrics::Counter,
    resyncs: metrics::Counter,
    ahead_seconds: metrics::Gauge,
}

impl Meters {
    fn written(&self, tally: Tally) {
        self.events.increment(tally.events);
        self.unreadable.increment(tally.unreadable);
        self.gaps.increment(tally.gaps);
        self.resyncs.increment(tally.resyncs);
    }
}

impl Journal {
    /// A new journal of a connection made `now`.
    pub(super) fn open(
        config: &AmiConfig,
        log: Arc<dyn EventLog>,
        now: Micros,
        pbx_time: Option<Micros>,
        stop: watch::Receiver<bool>,
        status: watch::Sender<AmiStatus>,
    ) -> Result<Self, LogError> {
        // Two connections may be made in the same microsecond only if the clock was set back.
        let name = |at: Micros| format!("{CONNECTION}{}/{}", config.pbx, at.0);
        let mut at = now;
        while !log.journals(&name(at))?.is_empty() {
            at = at + 1;
        }
        let mut pbx_clock = PbxClock { ahead: 0, latest: None };
        if let Some(time) = pbx_time {
            pbx_clock.says(time, now);
        }
        let pbx = || config.pbx.clone();
        let mut journal = Self {
            log,
            encoder: Encoder::new(&config.pbx, &name(at), config.redaction.clone()),
            framer: Framer::default(),
            batch: Vec::with_capacity(BATCH_RECORDS),
            batch_bytes: 0,
            offset: 0,
            pbx_clock,
            untimed_last: Micros(i64::MIN),
            resync: Some(Resync::new(pbx_clock.reads(now))),
            stop,
            status,
            unwritten: Tally::default(),
            meters: Meters {
                events: metrics::counter!("calltide_ami_events_total", "pbx" => pbx()),
                unreadable: metrics::counter!("calltide_ami_unreadable_total", "pbx" => pbx()),
                gaps: metrics::counter!("calltide_ami_gaps_total", "pbx" => pbx()),
                resyncs: metrics::counter!("calltide_ami_resyncs_total", "pbx" => pbx()),
                ahead_seconds: metrics::gauge!("calltide_ami_clock_ahead_seconds", "pbx" => pbx()),
            },
        };
        journal.gap(GAP_CONNECTED, now);
        Ok(journal)
    }

    /// Journals what comes until the connection is over and everything is in the log.
    pub(super) fn run(mut self, mut pieces: Pieces) -> Result<(), LogError> {
        while let Some(first) = pieces.next() {
            let mut next = Some(first);
            while let Some(held) = next {
                // Its room is given back when its events are in the batch.
                self.take(&held.chunk)?;
                drop(held);
                next = pieces.next_now();
            }
            self.append()?;
        }
        Ok(())
    }

    fn take(&mut self, chunk: &Chunk) -> Result<(), LogError> {
        let mut framer = std::mem::take(&mut self.framer);
        match chunk {
            Chunk::Bytes { seen, bytes } => {
                framer.push(bytes);
                while let Some(item) = framer.next() {
                    self.item(item, *seen);
                    if self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES {
                        self.append()?;
                    }
                }
            }
            Chunk::End { seen, reason } => {
                if let Some(item) = framer.finish() {
                    self.item(item, *seen);
                }
                self.gap(reason, *seen);
            }
        }
        self.framer = framer;
        Ok(())
    }

    fn item(&mut self, item: Item<'_>, seen: Micros) {
        match item {
            Item::Banner { .. } => {}
            Item::Frame(frame) if frame.kind == FrameKind::Event => self.event(&frame, seen),
            Item::Frame(frame) => self.response(&frame, seen),
            Item::Garbage(garbage) => self.unreadable(&garbage, seen),
        }
    }

    fn event(&mut self, frame: &Frame<'_>, seen: Micros) {
        let at = frame.header("Timestamp").and_then(epoch).unwrap_or_else(|| {
            // Events of one read were seen at once; without times of their own, their order must still be told.
            self.untimed_last = self.pbx_clock.reads(seen).max(self.untimed_last + 1);
            self.untimed_last
        });
        let stamp = self.stamp(at, seen);
        self.batch_bytes += frame.bytes.len();
        self.batch.push(self.encoder.ami(frame, stamp));
        self.unwritten.events += 1;
        if let Some(resync) = self.resync.take_if(|resync| resync.event(frame)) {
            self.resynchronised(resync, seen);
        }
    }

    fn resynchronised(&mut self, resync: Resync, seen: Micros) {
        let stamp = self.stamp(self.pbx_clock.reads(seen), seen);
        let mut envelope = self.encoder.envelope(Source::Resync, stamp);
        resync.fill(&mut envelope);
        self.batch.push(self.encoder.record(&envelope));
        self.unwritten.resyncs += 1;
    }

    /// Answers are not kept, but that to a Ping is a heartbeat.
    fn response(&mut self, frame: &Frame<'_>, seen: Micros) {
        let journal = self.encoder.journal();
        match Resync::refusal(frame) {
            Some(Refusal::Channels(message)) => tracing::warn!(
                journal,
                message,
                "the pbx does not say which channels are up; in manager.conf the user needs write = reporting"
            ),
            Some(Refusal::Queues(message)) => {
                tracing::warn!(journal, message, "the pbx does not say who is in its queues; has it any?");
            }
            None => {}
        }
        if frame.header("Ping").is_none() {
            return;
        }
        if let Some(time) = frame.header("Timestamp").and_then(epoch) {
            self.pbx_clock.says(time, seen);
            // A display in seconds; it need not be exact.
            self.meters.ahead_seconds.set(self.pbx_clock.ahead as f64 / 1e6);
        }
        let stamp = self.stamp(self.pbx_clock.reads(seen), seen);
        let envelope = self.encoder.envelope(Source::Heartbeat, stamp);
        self.batch.push(self.encoder.record(&envelope));
    }

    fn unreadable(&mut self, garbage: &Garbage<'_>, seen: Micros) {
        let stamp = self.stamp(self.pbx_clock.reads(seen), seen);
        self.batch_bytes += garbage.bytes.len();
        self.batch.push(self.encoder.unreadable(Source::Ami, garbage, stamp));
        self.unwritten.unreadable += 1;
    }

    fn gap(&mut self, reason: &'static str, seen: Micros) {
        let stamp = self.stamp(self.pbx_clock.reads(seen), seen);
        let mut envelope = self.encoder.envelope(Source::Gap, stamp);
        envelope.reason = Some(reason.into());
        self.batch.push(self.encoder.record(&envelope));
        self.unwritten.gaps += 1;
    }

    fn stamp(&mut self, at: Micros, seen: Micros) -> Stamp {
        self.offset += 1;
        Stamp { at, seen, offset: self.offset }
    }

    /// Appends the batch; waits while the disk is full, unless it is time to stop.
    fn append(&mut self) -> Result<(), LogError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_RECORDS));
        self.batch_bytes = 0;
        let mut before = None;
        loop {
            // The log takes the records even if it refuses them, and they must not be lost then.
            match self.log.append_by_key(EVENTS, batch.clone()) {
                Err(LogError::DiskFull { dir }) if !self.must_stop() => {
                    if before.is_none() {
                        tracing::error!(dir, journal = self.encoder.journal(), "disk full: waiting for space");
                        before = Some(self.status.send_replace(AmiStatus::DiskFull));
                    }
                    std::thread::sleep(DISK_FULL_WAIT);
                }
                Err(error) => {
                    let (journal, events) = (self.encoder.journal(), batch.len());
                    tracing::error!(journal, events, "what was read and not written down is lost");
                    return Err(error);
                }
                Ok(_) => {
                    self.meters.written(std::mem::take(&mut self.unwritten));
                    if let Some(before) = before {
                        tracing::warn!(journal = self.encoder.journal(), "there is space again: events are written");
                        self.status.send_replace(before);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Also when whoever could say so is gone.
    fn must_stop(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}

impl PbxClock {
    /// The PBX said its time.
    fn says(&mut self, time: Micros, ours: Micros) {
        self.ahead = time - ours;
        self.latest = self.latest.max(Some(time));
    }

    /// What it shows, never earlier than what it has said.
    fn reads(&self, ours: Micros) -> Micros {
        let now = ours + self.ahead;
        self.latest.map_or(now, |latest| latest.max(now))
    }
}
