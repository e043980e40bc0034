//! Facts that wait for the next commit, and which of them count: the highest version of each key, or its removal.
//!
//! Payloads stay as bytes until then, so that waiting costs little and most superseded versions never leave memory.
//! What the lake already holds of a key is for [`super::replace`].

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::json::ReaderBuilder;
use calltide_eventlog::{Offset, Partition};
use calltide_schemas::tables::TableDef;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{LakeError, Result};

/// Rows decoded at once: what Arrow's readers use, too.
const CHUNK_ROWS: usize = 8192;

/// A fact as the log had it. Without a payload its key is forgotten.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) partition: Partition,
    pub(super) offset: Offset,
    pub(super) key: Vec<u8>,
    pub(super) payload: Option<Vec<u8>>,
}

/// Facts since the last commit, in the order of the log.
#[derive(Debug)]
pub(super) struct Facts {
    def: &'static TableDef,
    key: &'static str,
    facts: Vec<Fact>,
    bytes: usize,
}

/// What a commit does to one key that the lake may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supersede {
    /// A row up to this version goes; a higher one stays, and then the new row is ignored.
    UpTo(i64),
    /// The same for a row that is told for the first time, as far as its fold remembers: what was forgotten long ago may be
    /// told again, of the same day.
    Again(i64),
    /// Whatever is there goes.
    Any,
}

/// What the waiting facts come to.
pub(super) struct Latest {
    /// One row per key.
    pub(super) rows: RecordBatch,
    /// Keys of which the lake may hold a row. Of most it holds none: see [`Supersede::Again`].
    pub(super) supersede: FxHashMap<String, Supersede>,
}

/// What is known of a key so far.
struct Slot {
    /// Index of its row among those decoded, and the version; none after a removal.
    row: Option<(usize, i64)>,
    supersede: Option<Supersede>,
}

impl Facts {
    pub(super) fn new(def: &'static TableDef, key: &'static str) -> Self {
        Self { def, key, facts: Vec::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, fact: Fact) {
        // 64: the fact itself and its two allocations.
        self.bytes += 64 + fact.key.len() + fact.payload.as_ref().map_or(0, Vec::len);
        self.facts.push(fact);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows that count, in the columns of `schema`.
    pub(super) fn latest(&self, schema: &SchemaRef) -> Result<Latest> {
        let rows: Vec<&Fact> = self.facts.iter().filter(|f| f.payload.is_some()).collect();
        let columns = self.def.arrow_schema();
        let chunks = rows.chunks(CHUNK_ROWS).map(|chunk| self.decode(&columns, chunk)).collect::<Result<Vec<_>>>()?;
        let slots = self.slots(&chunks)?;
        let mut keep = vec![false; rows.len()];
        let mut supersede = FxHashMap::default();
        for (key, slot) in slots {
            if let Some((row, _)) = slot.row {
                keep[row] = true;
            }
            supersede.extend(slot.supersede.map(|s| (key.to_owned(), s)));
        }
        let kept = chunks.iter().zip(keep.chunks(CHUNK_ROWS)).map(|(chunk, keep)| {
            filter_record_batch(chunk, &BooleanArray::from(keep.to_vec()))?.with_schema(Arc::clone(schema))
        });
        let kept = kept.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Latest { rows: concat_batches(schema, &kept)?, supersede })
    }

    fn slots<'a>(&'a self, chunks: &'a [RecordBatch]) -> Result<FxHashMap<&'a str, Slot>> {
        let columns = chunks.iter().map(|chunk| Ok((text(chunk, self.key)?, int(chunk, "version")?)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut slots: FxHashMap<&str, Slot> = FxHashMap::default();
        let mut row = 0;
        for fact in &self.facts {
            if fact.payload.is_none() {
                let key = std::str::from_utf8(&fact.key).map_err(|e| self.bad(fact, e.to_string()))?;
                slots.insert(key, Slot { row: None, supersede: Some(Supersede::Any) });
                continue;
            }
            let (keys, versions) = &columns[row / CHUNK_ROWS];
            let (key, version) = (keys.value(row % CHUNK_ROWS), versions.value(row % CHUNK_ROWS));
            slots.entry(key).or_insert_with(|| Slot::first(version)).offer(row, version);
            row += 1;
        }
        Ok(slots)
    }

    fn decode(&self, schema: &SchemaRef, facts: &[&Fact]) -> Result<RecordBatch> {
        match decode(schema, facts) {
            Ok(batch) => Ok(batch),
            // Which one was it?
            Err(reason) => Err(facts
                .iter()
                .find_map(|fact| decode(schema, &[fact]).err().map(|reason| self.bad(fact, reason)))
                .unwrap_or_else(|| self.bad(facts[0], reason))),
        }
    }

    fn bad(&self, fact: &Fact, reason: String) -> LakeError {
        LakeError::Row {
            table: self.def.name,
            topic: self.def.topic,
            partition: fact.partition,
            offset: fact.offset,
            reason,
        }
    }
}

impl Latest {
    /// The rows but those of keys that the lake already holds as new.
    pub(super) fn fresh(&self, key: &str, stale: &FxHashSet<String>) -> Result<RecordBatch> {
        if stale.is_empty() {
            return Ok(self.rows.clone());
        }
        let stays = text(&self.rows, key)?.iter().map(|k| Some(!k.is_some_and(|k| stale.contains(k))));
        Ok(filter_record_batch(&self.rows, &stays.collect::<BooleanArray>())?)
    }
}

impl Slot {
    fn first(version: i64) -> Self {
        Self { row: None, supersede: Some(Supersede::of(version)) }
    }

    /// Of equal versions the later one counts.
    fn offer(&mut self, row: usize, version: i64) {
        if self.row.is_some_and(|(_, present)| version < present) {
            return;
        }
        self.row = Some((row, version));
        if let Some(Supersede::UpTo(_) | Supersede::Again(_)) = self.supersede {
            self.supersede = Some(Supersede::of(version));
        }
    }
}

impl Supersede {
    const fn of(version: i64) -> Self {
        if version > 1 { Self::UpTo(version) } else { Self::Again(version) }
    }
}

/// Fields that are no columns of this version are left out: fields may be added by a later one.
fn decode(schema: &SchemaRef, facts: &[&Fact]) -> std::result::Result<RecordBatch, String> {
    let mut decoder = ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(facts.len() + 1)
        .build_decoder()
        .map_err(|e| e.to_string())?;
    for fact in facts {
        let payload = fact.payload.as_deref().unwrap_or_default();
        let read = decoder.decode(payload).map_err(|e| e.to_string())?;
        if read < payload.len() || decoder.has_partial_record() {
            return Err("not one JSON object".to_owned());
        }
    }
    let batch = decoder.flush().map_err(|e| e.to_string())?;
    batch.filter(|batch| batch.num_rows() == facts.len()).ok_or_else(|| "not one JSON object".to_owned())
}

/// A text column of a batch.
pub(super) fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref());
    column.ok_or_else(|| LakeError::Column { column: name.to_owned() })
}

/// A column of whole numbers of a batch.
pub(super) fn int<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array> {
    let column = batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref());
    column.ok_or_else(|| LakeError::Column { column: name.to_owned() })
}
