//! The end of the log that is not in the lake yet, per table: decoded facts, the newest version of each key.
//!
//! A tail is kept between queries: each query reads only the records that came since, and forgets those that the lake has
//! taken over. What results is an [`Overlay`]: rows to add, and keys whose rows in the lake they replace. How much memory it
//! may take is said by [`super::moment`], which keeps all tails.
//! It knows nothing of SQL; [`super::catalog`] lays the overlay over the lake's rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use calltide_eventlog::{EventLog, Offset, Partition};
use calltide_schemas::tables::TableDef;

use super::QueryError;
use super::fact::{self, Entry};
use super::lacking::{Lacking, Lost};

/// How much is read and decoded at once: large enough to decode in columns, small enough to drop piecemeal.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What the log has to say about a table, beyond the lake.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// The newest version of each key; with the column `day`.
    pub(super) rows: Vec<RecordBatch>,
    /// Keys whose rows in the lake no longer count: replaced, or removed by a tombstone. Whatever their versions are: looking at
    /// those would be to read the keys of the whole lake.
    pub(super) hidden: Arc<HashSet<Arc<str>>>,
    /// What it ought to have and has not.
    pub(super) lacking: Vec<Lacking>,
    /// Memory that it takes beside the records that it was made of.
    bytes: usize,
}

/// How much memory a tail may take.
pub(super) struct Room<'a> {
    /// Of all tails together.
    pub(super) bytes_max: usize,
    /// Whether there is room for a tail of so many bytes, beside others that are needed now.
    pub(super) has: &'a mut dyn FnMut(usize) -> bool,
}

/// One table's tail.
pub(super) struct Tail {
    def: &'static TableDef,
    spans: Vec<Span>,
    chunks: Vec<Chunk>,
    lacking: Vec<Lacking>,
    overlay: Arc<Overlay>,
    /// Records came or went since the overlay was laid.
    changed: bool,
    /// Where the lake was when the log was too far ahead of it: it still is for as long as the lake stays there.
    too_far_from: Option<Vec<Offset>>,
}

/// The offsets of one partition that are held: `from` on belongs to the log, `next` is where reading goes on.
#[derive(Clone, Copy, Default)]
struct Span {
    from: Offset,
    next: Offset,
}

/// Records that were read and decoded together.
struct Chunk {
    partition: Partition,
    entries: Vec<Entry>,
    rows: RecordBatch,
    /// Memory that they take, decoded.
    bytes: usize,
}

/// Where a key's newest fact is.
struct Newest {
    chunk: usize,
    row: Option<usize>,
    version: i64,
}

impl Tail {
    pub(super) fn new(def: &'static TableDef) -> Self {
        let (spans, chunks, lacking, overlay) = (Vec::new(), Vec::new(), Vec::new(), Arc::default());
        Self { def, spans, chunks, lacking, overlay, changed: false, too_far_from: None }
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes).sum::<usize>() + self.overlay.bytes
    }

    /// Brings the tail to exactly the facts from `lake_next` (what the lake has not) to `ends`, both per partition.
    pub(super) fn refresh(
        &mut self,
        log: &dyn EventLog,
        lake_next: &[Offset],
        ends: &[Offset],
        room: &mut Room<'_>,
    ) -> Result<Arc<Overlay>, QueryError> {
        if self.too_far_from.as_deref() == Some(lake_next) {
            return Err(self.behind(room));
        }
        let stale = |span: &Span, lake: Offset, end: Offset| lake < span.from || end < span.next;
        let moved_back = self.spans.iter().zip(lake_next).zip(ends).any(|((span, lake), end)| stale(span, *lake, *end));
        if moved_back || self.spans.len() != ends.len() || self.too_far_from.is_some() {
            // Another generation of the lake is in use, or another log: nothing held is to be trusted.
            *self = Self::new(self.def);
            self.spans = vec![Span::default(); ends.len()];
        }
        for (partition, lake) in (0..).zip(lake_next) {
            self.forget(partition, *lake);
        }
        for (partition, end) in (0..).zip(ends) {
            self.read(log, partition, *end, room)?;
        }
        if self.changed {
            let laid = self.lay().map_err(|e| QueryError::Failed { message: e.to_string() })?;
            self.overlay = Arc::new(laid);
            self.changed = false;
            self.check(room)?;
        }
        Ok(Arc::clone(&self.overlay))
    }

    /// Whether there is room for what is held. Where there would be none for it alone, it is let go until the lake has moved.
    fn check(&mut self, room: &mut Room<'_>) -> Result<(), QueryError> {
        let bytes = self.bytes();
        if (room.has)(bytes) {
            return Ok(());
        }
        if bytes > room.bytes_max {
            let from = self.spans.iter().map(|span| span.from).collect();
            *self = Self { too_far_from: Some(from), ..Self::new(self.def) };
        }
        Err(self.behind(room))
    }

    fn behind(&self, room: &Room<'_>) -> QueryError {
        QueryError::Behind { table: self.def.name, bytes_max: room.bytes_max }
    }

    /// Drops what the lake has taken over.
    fn forget(&mut self, partition: Partition, lake_next: Offset) {
        let Some(span) = self.spans.get_mut(partition as usize) else { return };
        if lake_next <= span.from {
            return;
        }
        *span = Span { from: lake_next, next: span.next.max(lake_next) };
        let gone = |chunk: &Chunk| chunk.entries.last().is_none_or(|last| last.offset < lake_next);
        self.chunks.retain(|chunk| chunk.partition != partition || !gone(chunk));
        self.lacking.retain(|lacking| lacking.partition != partition || lacking.to > lake_next);
        for lacking in self.lacking.iter_mut().filter(|lacking| lacking.partition == partition) {
            lacking.from = lacking.from.max(lake_next);
        }
        self.changed = true;
    }

    fn read(
        &mut self,
        log: &dyn EventLog,
        partition: Partition,
        end: Offset,
        room: &mut Room<'_>,
    ) -> Result<(), QueryError> {
        let Some(mut next) = self.spans.get(partition as usize).map(|span| span.next) else { return Ok(()) };
        let topic = self.def.topic;
        if next >= end {
            return Ok(());
        }
        let first = log.bounds(topic, partition)?.0.min(end);
        if next < first {
            self.lacks(Lacking { topic, partition, from: next, to: first, why: Lost::Gone });
            next = first;
            self.held_up_to(partition, next);
        }
        while next < end {
            let batch = log.read(topic, partition, next, READ_BYTES)?;
            if batch.next <= next {
                break;
            }
            next = batch.next.min(end);
            let mut records = batch.records;
            records.retain(|r| r.offset < end);
            if let Some(first) = records.first() {
                let offset = first.offset;
                let (entries, rows) = fact::decode(self.def, partition, &records).map_err(|e| QueryError::Fact {
                    topic,
                    partition,
                    offset,
                    message: e.to_string(),
                })?;
                let bytes = rows.get_array_memory_size() + entries.iter().map(Entry::bytes).sum::<usize>();
                self.chunks.push(Chunk { partition, entries, rows, bytes });
                self.changed = true;
            }
            for (from, to) in batch.damaged.into_iter().filter(|(from, _)| *from < end) {
                self.lacks(Lacking { topic, partition, from, to: to.min(end), why: Lost::Damaged });
            }
            // At once, so that what is held and where it ends agree, whatever becomes of this query.
            self.held_up_to(partition, next);
            self.check(room)?;
        }
        Ok(())
    }

    fn held_up_to(&mut self, partition: Partition, next: Offset) {
        if let Some(span) = self.spans.get_mut(partition as usize) {
            span.next = next;
        }
    }

    fn lacks(&mut self, lacking: Lacking) {
        self.lacking.push(lacking);
        self.changed = true;
    }

    /// Lays the chunks over each other.
    fn lay(&self) -> Result<Overlay, ArrowError> {
        let mut newest: HashMap<&Arc<str>, Newest> = HashMap::new();
        let mut live: Vec<Vec<bool>> = self.chunks.iter().map(|c| vec![false; c.rows.num_rows()]).collect();
        for (index, chunk) in self.chunks.iter().enumerate() {
            let from = self.spans.get(chunk.partition as usize).map_or(0, |s| s.from);
            for entry in chunk.entries.iter().filter(|e| e.offset >= from) {
                let found = Newest { chunk: index, row: entry.row, version: entry.version };
                if self.def.key.is_none() {
                    mark(&mut live, &found, true);
                    continue;
                }
                // A tombstone and what follows it count by their place in the log, versions by their number.
                let older = newest
                    .get(&entry.key)
                    .is_some_and(|n| n.row.is_some() && entry.row.is_some() && n.version > entry.version);
                if older {
                    continue;
                }
                mark(&mut live, &found, true);
                if let Some(replaced) = newest.insert(&entry.key, found) {
                    mark(&mut live, &replaced, false);
                }
            }
        }
        let hidden: HashSet<_> = newest.keys().map(|key| Arc::clone(key)).collect();
        let mut bytes = hidden.capacity() * size_of::<Arc<str>>();
        let mut rows = Vec::new();
        for (chunk, live) in self.chunks.iter().zip(live) {
            let kept = filter_record_batch(&chunk.rows, &BooleanArray::from(live))?;
            if kept.num_rows() == 0 {
                continue;
            }
            // A chunk that is kept as a whole is not copied.
            if kept.num_rows() < chunk.rows.num_rows() {
                bytes += kept.get_array_memory_size();
            }
            rows.push(kept);
        }
        Ok(Overlay { rows, hidden: Arc::new(hidden), lacking: self.lacking.clone(), bytes })
    }
}

fn mark(live: &mut [Vec<bool>], place: &Newest, counts: bool) {
    if let Some(row) = place.row
        && let Some(flag) = live.get_mut(place.chunk).and_then(|rows| rows.get_mut(row))
    {
        *flag = counts;
    }
}
