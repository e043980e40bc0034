//! The end of the log that is not in the lake yet, per table: decoded facts, the newest version of each key.
//!
//! A tail is kept between queries: each query reads only the records that came since, and forgets those that the lake has
//! taken over. What results is an [`Overlay`]: rows to add, and keys whose rows in the lake they replace.
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

/// How much is read and decoded at once: large enough to decode in columns, small enough to drop piecemeal.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What the log has to say about a table, beyond the lake.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// The newest version of each key; with the column `day`.
    pub(super) rows: Vec<RecordBatch>,
    /// Keys whose rows in the lake no longer count: replaced, or removed by a tombstone.
    pub(super) hidden: Arc<HashSet<Arc<str>>>,
}

/// One table's tail.
pub(super) struct Tail {
    def: &'static TableDef,
    spans: Vec<Span>,
    chunks: Vec<Chunk>,
    overlay: Arc<Overlay>,
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
        Self { def, spans: Vec::new(), chunks: Vec::new(), overlay: Arc::default() }
    }

    /// Brings the tail to exactly the facts from `lake_next` (what the lake has not) to `ends`, both per partition.
    pub(super) fn refresh(
        &mut self,
        log: &dyn EventLog,
        lake_next: &[Offset],
        ends: &[Offset],
        bytes_max: usize,
    ) -> Result<Arc<Overlay>, QueryError> {
        let stale = |span: &Span, lake: Offset, end: Offset| lake < span.from || end < span.next;
        let moved_back = self.spans.iter().zip(lake_next).zip(ends).any(|((span, lake), end)| stale(span, *lake, *end));
        if moved_back || self.spans.len() != ends.len() {
            // Another generation of the lake is in use, or another log: nothing held is to be trusted.
            *self = Self::new(self.def);
            self.spans = vec![Span::default(); ends.len()];
        }
        let mut changed = false;
        for (partition, (lake, end)) in (0..).zip(lake_next.iter().zip(ends)) {
            changed |= self.forget(partition, *lake);
            changed |= self.read(log, partition, *end, bytes_max)?;
        }
        if changed {
            let laid = self.lay().map_err(|e| QueryError::Failed { message: e.to_string() })?;
            self.overlay = Arc::new(laid);
        }
        Ok(Arc::clone(&self.overlay))
    }

    /// Drops what the lake has taken over.
    fn forget(&mut self, partition: Partition, lake_next: Offset) -> bool {
        let Some(span) = self.spans.get_mut(partition as usize) else { return false };
        if lake_next <= span.from {
            return false;
        }
        *span = Span { from: lake_next, next: span.next.max(lake_next) };
        let gone = |chunk: &Chunk| chunk.entries.last().is_none_or(|last| last.offset < lake_next);
        self.chunks.retain(|chunk| chunk.partition != partition || !gone(chunk));
        true
    }

    fn read(
        &mut self,
        log: &dyn EventLog,
        partition: Partition,
        end: Offset,
        bytes_max: usize,
    ) -> Result<bool, QueryError> {
        let Some(mut span) = self.spans.get(partition as usize).copied() else { return Ok(false) };
        let topic = self.def.topic;
        let mut changed = false;
        span.next = span.next.max(log.bounds(topic, partition)?.0);
        while span.next < end {
            let batch = log.read(topic, partition, span.next, READ_BYTES)?;
            for (from, to) in &batch.damaged {
                tracing::warn!(topic, partition, from, to, "damaged records are missing from query results");
            }
            if batch.next <= span.next {
                break;
            }
            span.next = batch.next.min(end);
            let mut records = batch.records;
            records.retain(|r| r.offset < end);
            if let Some(first) = records.first() {
                let offset = first.offset;
                let bytes = records.iter().map(|r| r.record.payload.as_ref().map_or(0, Vec::len)).sum();
                let (entries, rows) = fact::decode(self.def, partition, &records).map_err(|e| QueryError::Fact {
                    topic,
                    partition,
                    offset,
                    message: e.to_string(),
                })?;
                self.chunks.push(Chunk { partition, entries, rows, bytes });
                changed = true;
            }
            if self.chunks.iter().map(|c| c.bytes).sum::<usize>() > bytes_max {
                return Err(QueryError::Behind { table: self.def.name, bytes_max });
            }
        }
        if let Some(kept) = self.spans.get_mut(partition as usize) {
            *kept = span;
        }
        Ok(changed)
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
        let hidden = newest.keys().map(|key| Arc::clone(key)).collect();
        let mut rows = Vec::new();
        for (chunk, live) in self.chunks.iter().zip(live) {
            rows.push(filter_record_batch(&chunk.rows, &BooleanArray::from(live))?);
        }
        rows.retain(|batch| batch.num_rows() > 0);
        Ok(Overlay { rows, hidden: Arc::new(hidden) })
    }
}

fn mark(live: &mut [Vec<bool>], place: &Newest, counts: bool) {
    if let Some(row) = place.row
        && let Some(flag) = live.get_mut(place.chunk).and_then(|rows| rows.get_mut(row))
    {
        *flag = counts;
    }
}
