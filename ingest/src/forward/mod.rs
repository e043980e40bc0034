//! Takes what was collected beside a PBX to the centre's log: in order, in large batches, each event once.
//!
//! Where it is it learns from the centre itself: which journals that has, and how far ([`ledger`]). So there is no position
//! that could disagree, and after any error it asks again. What the centre acknowledged may be trimmed here; until then it
//! stays, however long the line is cut, within a [`Quota`]. It must not know what the events mean.

mod ledger;
mod quota;

use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_eventlog::{EventLog, LogError, Offset, ReadRecord, Record};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Header, Source, Text};
use calltide_schemas::journals::MISSING;
use calltide_schemas::topics::EVENTS;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::decode::redact::Redaction;
use crate::encode::{Encoder, Stamp};
use ledger::{Decision, Ledger};
pub use quota::Quota;

/// Bytes sent at once: more and more while all goes well, so that a long line's delay is shared widely, up to what can be held a
/// few times in memory. After an error it is half of that, and so on down to the least, so that what a slow line takes within
/// the centre's patience arrives.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_BYTES_MAX: usize = 8 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;

/// How long it sleeps while there is nothing to send.
const IDLE: Duration = Duration::from_millis(100);

/// After so many acknowledged bytes what is not needed here any more is trimmed, or soon when all has arrived: a full disk must
/// not stay full. The log frees whole segments.
const TRIM_BYTES: u64 = 64 << 20;
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// How it is done.
pub struct ForwardConfig {
    /// Frees what is before that offset of the local events.
    pub trim: Box<dyn FnMut(Offset) -> Result<(), LogError> + Send>,
    /// First wait after an error.
    pub retry_min: Duration,
    /// Longest wait after an error.
    pub retry_max: Duration,
    /// Seed of the jitter: different for each site.
    pub jitter_seed: u64,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            trim: Box::new(|_| Ok(())),
            retry_min: Duration::from_millis(200),
            retry_max: Duration::from_secs(30),
            jitter_seed: 0,
        }
    }
}

/// Why it went no further.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The centre's log: it is tried again.
    #[error("the centre takes no events")]
    Centre(#[source] LogError),
    /// The local log.
    #[error("what was collected can't be read")]
    Local(#[source] LogError),
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Everything is at the centre.
    Idle,
    /// So many records were acknowledged now; others were there already.
    Sent(usize),
}

/// See the module.
pub struct Forwarder {
    local: Arc<dyn EventLog>,
    centre: Arc<dyn EventLog>,
    config: ForwardConfig,
    /// `None`: the centre must be asked.
    ledger: Option<Ledger>,
    /// Everything before is at the centre.
    next: Offset,
    /// Bytes acknowledged since the last trimming, and when that was.
    untrimmed: u64,
    trimmed: Option<Instant>,
    batch_bytes: usize,
    meters: Meters,
}

struct Meters {
    sent: metrics::Counter,
    failures: metrics::Counter,
    missing: metrics::Counter,
    behind: metrics::Gauge,
    connected: metrics::Gauge,
}

impl Forwarder {
    /// From the oldest event that the local log still has.
    ///
    /// # Errors
    /// The local log's.
    pub fn new(
        local: Arc<dyn EventLog>,
        centre: Arc<dyn EventLog>,
        config: ForwardConfig,
    ) -> Result<Self, ForwardError> {
        let (next, _) = local.bounds(EVENTS, 0).map_err(ForwardError::Local)?;
        let meters = Meters {
            sent: metrics::counter!("calltide_forwarded_total"),
            failures: metrics::counter!("calltide_forward_failures_total"),
            missing: metrics::counter!("calltide_forward_missing_total"),
            behind: metrics::gauge!("calltide_forward_behind_records"),
            connected: metrics::gauge!("calltide_forward_connected"),
        };
        Ok(Self {
            local,
            centre,
            config,
            ledger: None,
            next,
            untrimmed: 0,
            trimmed: None,
            batch_bytes: BATCH_BYTES,
            meters,
        })
    }

    /// The offset of the local events up to which everything is at the centre.
    pub fn acknowledged(&self) -> Offset {
        self.next
    }

    /// Sends the next batch. After an error the same call goes on rightly: what arrived all the same is recognised.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub fn step(&mut self) -> Result<Step, ForwardError> {
        let step = self.send_next();
        self.batch_bytes = match &step {
            Ok(_) => (self.batch_bytes * 2).min(BATCH_BYTES_MAX),
            Err(_) => (self.batch_bytes / 2).max(BATCH_BYTES_MIN),
        };
        step
    }

    fn send_next(&mut self) -> Result<Step, ForwardError> {
        // Put back only when all is acknowledged: after an error the centre is asked what has arrived.
        let mut ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => Ledger::new(self.centre.journals("").map_err(ForwardError::Centre)?),
        };
        let batch = self.local.read(EVENTS, 0, self.next, self.batch_bytes).map_err(ForwardError::Local)?;
        for (from, to) in &batch.damaged {
            tracing::error!(from, to, "events were damaged on this disk before they were sent");
        }
        let mut bytes = 0;
        let mut outgoing = Vec::with_capacity(batch.records.len());
        for read in batch.records {
            bytes += read.record.payload.as_ref().map_or(0, Vec::len) as u64;
            self.sort(read, &mut ledger, &mut outgoing);
        }
        let sent = outgoing.len();
        // Perhaps everything is there already.
        if sent > 0 {
            self.centre.append_by_key(EVENTS, outgoing).map_err(ForwardError::Centre)?;
            self.meters.sent.increment(sent as u64);
        }
        self.ledger = Some(ledger);
        let idle = batch.next == self.next;
        self.next = batch.next;
        self.untrimmed += bytes;
        let rested = self.trimmed.is_none_or(|last| last.elapsed() >= TRIM_EVERY);
        if self.untrimmed >= TRIM_BYTES || (idle && rested && self.untrimmed > 0) {
            (self.untrimmed, self.trimmed) = (0, Some(Instant::now()));
            if let Err(error) = (self.config.trim)(self.next) {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what has arrived at the centre stays here for now");
            }
        }
        Ok(if idle { Step::Idle } else { Step::Sent(sent) })
    }

    fn sort(&self, read: ReadRecord, ledger: &mut Ledger, records: &mut Vec<Record>) {
        let record = read.record;
        let decision = match &record.journal {
            Some((journal, offset)) => ledger.next(journal, *offset),
            None => Decision::Send,
        };
        if decision == Decision::Skip {
            return;
        }
        if let Decision::SendAfterGap(first, last) = decision {
            let pbx = String::from_utf8_lossy(&record.key);
            let gap = missing(&pbx, &record, first, last);
            let named =
                gap.journal.as_ref().is_some_and(|(journal, offset)| ledger.next(journal, *offset) == Decision::Skip);
            if !named {
                tracing::error!(%pbx, first, last, "events are missing here; the gap is named at the centre");
                self.meters.missing.increment(last - first + 1);
                records.push(gap);
            }
        }
        records.push(record);
    }

    /// How many records are not at the centre yet.
    fn behind(&self) -> u64 {
        self.local.bounds(EVENTS, 0).map_or(0, |(_, end)| end.saturating_sub(self.next))
    }
}

/// Says that offsets of a journal are missing. It has an identity of its own, so that it is said once.
fn missing(pbx: &str, after: &Record, first: u64, last: u64) -> Record {
    let journal = after.journal.as_ref().map_or("", |(journal, _)| journal);
    let encoder = Encoder::new(pbx, &format!("{MISSING}{journal}"), Redaction::default());
    let at = Micros(after.at);
    let mut envelope = encoder.envelope(Source::Gap, Stamp { at, seen: at, offset: last });
    let header = |name: &'static str, value: String| Header(name.into(), Text(value.into()));
    envelope.reason = Some("missing".into());
    envelope.headers = vec![
        header("journal", journal.to_owned()),
        header("first", first.to_string()),
        header("last", last.to_string()),
    ];
    encoder.record(&envelope)
}

/// Forwards until told to stop; what the centre does not take is tried again for as long as that lasts. Blocks: it is to be
/// given a thread.
///
/// # Errors
/// The local log's.
pub fn run(forwarder: &mut Forwarder, stop: &watch::Receiver<bool>) -> Result<(), ForwardError> {
    let config = &forwarder.config;
    let mut backoff = Backoff::new(config.retry_min, config.retry_max, config.jitter_seed);
    let must_stop = || *stop.borrow() || stop.has_changed().is_err();
    let mut seen = 0;
    while !must_stop() {
        match forwarder.step() {
            Ok(step) => {
                backoff.reset();
                forwarder.meters.connected.set(1.0);
                forwarder.meters.behind.set(forwarder.behind() as f64);
                if step == Step::Idle {
                    seen = forwarder.local.wait(seen, IDLE);
                }
            }
            Err(ForwardError::Centre(error)) => {
                let retry_in = backoff.next_delay();
                let behind = forwarder.behind();
                forwarder.meters.failures.increment(1);
                forwarder.meters.connected.set(0.0);
                forwarder.meters.behind.set(behind as f64);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, behind, ?retry_in, "the centre takes no events: they are kept here");
                wait(retry_in, &must_stop);
            }
            Err(error @ ForwardError::Local(_)) => return Err(error),
        }
    }
    Ok(())
}

/// Sleeps, but not much longer than until it is time to stop.
fn wait(time: Duration, must_stop: &dyn Fn() -> bool) {
    let mut left = time;
    while !left.is_zero() && !must_stop() {
        let part = left.min(IDLE);
        std::thread::sleep(part);
        left -= part;
    }
}
