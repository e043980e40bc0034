//! What stands between the socket and the log: pieces in the order in which they were read, bounded in bytes.
//!
//! The reader puts pieces in and never waits for the log while there is room; the journal takes them out at the log's pace.
//! When there is no room the reader waits, so that TCP holds the PBX back: memory stays bounded, and it is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use calltide_schemas::Micros;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, watch};
use tokio::time::Instant;

/// What a piece takes beside its bytes: its place in the queue, two allocations, its share of the room.
const PIECE_BYTES: usize = 128;

/// How often it is told that reading waits.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What the reader hands over.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Bytes, and when they were read.
    Bytes { seen: Micros, bytes: Bytes },
    /// The connection is over.
    End { seen: Micros, reason: &'static str },
}

/// A piece and the room that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) chunk: Chunk,
    _room: Option<OwnedSemaphorePermit>,
}

/// The reader's end.
pub(super) struct Buffer {
    pbx: String,
    queue: mpsc::UnboundedSender<Held>,
    room: Arc<Semaphore>,
    bytes_max: usize,
    held_max: usize,
    /// When it was last told that reading waits.
    told: Option<Instant>,
    meters: Meters,
}

/// The journal's end.
pub(super) struct Pieces {
    queue: mpsc::UnboundedReceiver<Held>,
    room: Arc<Semaphore>,
    bytes_max: usize,
    held: metrics::Gauge,
}

struct Meters {
    held: metrics::Gauge,
    held_max: metrics::Gauge,
    waiting: metrics::Gauge,
    waits: metrics::Counter,
    waited_ms: metrics::Counter,
}

/// The journal is gone; it says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Both ends of a buffer of so many bytes.
pub(super) fn buffer(pbx: &str, bytes_max: usize) -> (Buffer, Pieces) {
    let (sender, receiver) = mpsc::unbounded_channel();
    // A piece asks for its room at once, as a 32-bit number.
    let bytes_max = bytes_max.clamp(PIECE_BYTES, u32::MAX as usize);
    let room = Arc::new(Semaphore::new(bytes_max));
    let meters = Meters::of(pbx);
    let pieces = Pieces { queue: receiver, room: Arc::clone(&room), bytes_max, held: meters.held.clone() };
    (Buffer { pbx: pbx.to_owned(), queue: sender, room, bytes_max, held_max: 0, told: None, meters }, pieces)
}

impl Buffer {
    /// Puts a piece in; waits while there is no room, unless it is time to stop.
    pub(super) async fn put(
        &mut self,
        seen: Micros,
        bytes: Bytes,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Gone> {
        let needed = u32::try_from((bytes.len() + PIECE_BYTES).min(self.bytes_max)).unwrap_or(u32::MAX);
        let room = match Arc::clone(&self.room).try_acquire_many_owned(needed) {
            Ok(room) => Some(room),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => self.wait(needed, stop).await,
        };
        let sent = self.queue.send(Held { chunk: Chunk::Bytes { seen, bytes }, _room: room });
        let held = self.bytes_max.saturating_sub(self.room.available_permits());
        self.held_max = self.held_max.max(held);
        self.meters.held.set(held as f64);
        self.meters.held_max.set(self.held_max as f64);
        sent.map_err(|_| Gone)
    }

    /// `None`: it is time to stop. What was read goes in all the same, as the last piece.
    async fn wait(&mut self, needed: u32, stop: &mut watch::Receiver<bool>) -> Option<OwnedSemaphorePermit> {
        // At the brim it waits for every piece.
        let tells = self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if tells {
            self.told = Some(Instant::now());
            tracing::warn!(
                pbx = self.pbx,
                buffered = self.bytes_max,
                "the log takes events more slowly than they come: reading waits for room; the pbx may cut the line"
            );
        }
        self.meters.waits.increment(1);
        self.meters.waiting.set(1.0);
        let began = Instant::now();
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_many_owned(needed) => room.ok(),
            () = super::stopped(stop) => None,
        };
        let waited = began.elapsed();
        self.meters.waiting.set(0.0);
        self.meters.waited_ms.increment(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        if tells {
            tracing::warn!(pbx = self.pbx, ?waited, "reading goes on");
        }
        room
    }

    /// Puts in that the connection is over.
    pub(super) fn end(self, seen: Micros, reason: &'static str) {
        // If nobody takes it, the journal has failed, which says why.
        let _ = self.queue.send(Held { chunk: Chunk::End { seen, reason }, _room: None });
    }
}

impl Pieces {
    /// The next piece; waits for it. `None`: there will be none.
    pub(super) fn next(&mut self) -> Option<Held> {
        self.held.set(self.bytes_max.saturating_sub(self.room.available_permits()) as f64);
        self.queue.blocking_recv()
    }

    /// The next piece, if it is there.
    pub(super) fn next_now(&mut self) -> Option<Held> {
        self.queue.try_recv().ok()
    }
}

impl Meters {
    fn of(pbx: &str) -> Self {
        let gauge = |name: &'static str| metrics::gauge!(name, "pbx" => pbx.to_owned());
        let counter = |name: &'static str| metrics::counter!(name, "pbx" => pbx.to_owned());
        Self {
            held: gauge("calltide_ami_buffered_bytes"),
            held_max: gauge("calltide_ami_buffered_bytes_max"),
            waiting: gauge("calltide_ami_reading_waits"),
            waits: counter("calltide_ami_reading_waits_total"),
            waited_ms: counter("calltide_ami_reading_waited_milliseconds_total"),
        }
    }
}
