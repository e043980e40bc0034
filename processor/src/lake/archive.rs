//! Raw events that wait for the next commit of `inputs`: straight from the log into compressed columns, nothing parsed.
//!
//! This runs at the rate of events, so rows go into builders and from there, a few thousand at a time, into their day's file.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use calltide_eventlog::{Partition, ReadRecord};
use calltide_schemas::Micros;
use calltide_schemas::tables::TableDef;
use metrics::counter;

use super::Result;
use super::day::Day;
use super::file::{FileLayout, FileWriter, FinishedFile};

/// A day's rows go into its file in pieces of this many bytes: large enough for the encoder to run well. Days with less
/// have no open file, since each open one costs memory of its own.
const PIECE_BYTES: usize = 4 << 20;

/// Memory of an open file beside its data: compression contexts of its eight columns, about a megabyte each.
const OPEN_FILE_BYTES: usize = 8 << 20;

/// Events since the last commit.
pub(super) struct Archive {
    def: &'static TableDef,
    layout: FileLayout,
    days: BTreeMap<Day, DayFile>,
}

#[derive(Default)]
struct DayFile {
    rows: Rows,
    file: Option<FileWriter>,
}

#[derive(Default)]
struct Rows {
    topic: StringBuilder,
    partition: Int64Builder,
    offset: Int64Builder,
    pbx: StringBuilder,
    source: StringBuilder,
    id: StringBuilder,
    at: TimestampMicrosecondBuilder,
    payload: StringBuilder,
    bytes: usize,
}

impl Archive {
    pub(super) fn new(def: &'static TableDef, layout: FileLayout) -> Self {
        Self { def, layout, days: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, partition: Partition, read: &ReadRecord) -> Result<()> {
        let day = self.days.entry(Day::of(Micros(read.record.at))).or_default();
        if let Err(reason) = day.rows.push(self.def.topic, partition, read) {
            // Somebody else's: it must not keep the events after it from the table.
            let (topic, offset) = (self.def.topic, read.offset);
            tracing::error!(topic, partition, offset, reason, "a record that is no event is passed over");
            counter!("calltide_lake_damaged_records_total", "table" => self.def.name).increment(1);
        }
        if day.rows.bytes >= PIECE_BYTES { day.spill(&self.layout) } else { Ok(()) }
    }

    /// Bytes held in memory.
    pub(super) fn bytes(&self) -> usize {
        self.days.values().map(|d| d.rows.bytes + d.file.as_ref().map_or(0, |f| f.memory() + OPEN_FILE_BYTES)).sum()
    }

    /// Completes the earliest day's file, if any is left.
    pub(super) fn finish_next(&mut self) -> Result<Option<(Day, FinishedFile)>> {
        let Some((day, mut open)) = self.days.pop_first() else { return Ok(None) };
        open.spill(&self.layout)?;
        open.file.map(|file| Ok((day, file.finish()?))).transpose()
    }
}

impl DayFile {
    fn spill(&mut self, layout: &FileLayout) -> Result<()> {
        let batch = self.rows.take(layout)?;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(FileWriter::new(layout)?),
        };
        file.write(&batch)
    }
}

impl Rows {
    fn push(&mut self, topic: &str, partition: Partition, read: &ReadRecord) -> std::result::Result<(), String> {
        let record = &read.record;
        let payload = record.payload.as_deref().ok_or("an event without a payload")?;
        let payload = std::str::from_utf8(payload).map_err(|e| e.to_string())?;
        let pbx = std::str::from_utf8(&record.key).map_err(|e| e.to_string())?;
        let offset = i64::try_from(read.offset).map_err(|e| e.to_string())?;
        self.topic.append_value(topic);
        self.partition.append_value(i64::from(partition));
        self.offset.append_value(offset);
        self.pbx.append_value(pbx);
        self.source.append_value(&record.kind);
        self.id.append_value(&record.id);
        self.at.append_value(record.at);
        self.payload.append_value(payload);
        // 48: three numbers and five string offsets, rounded.
        self.bytes += 48 + payload.len() + topic.len() + pbx.len() + record.kind.len() + record.id.len();
        Ok(())
    }

    fn take(&mut self, layout: &FileLayout) -> Result<RecordBatch> {
        let Self { topic, partition, offset, pbx, source, id, at, payload, bytes: _ } = &mut mem::take(self);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(topic.finish()),
            Arc::new(partition.finish()),
            Arc::new(offset.finish()),
            Arc::new(pbx.finish()),
            Arc::new(source.finish()),
            Arc::new(id.finish()),
            Arc::new(at.finish().with_timezone("UTC")),
            Arc::new(payload.finish()),
        ];
        Ok(RecordBatch::try_new(Arc::clone(layout.schema()), columns)?)
    }
}
