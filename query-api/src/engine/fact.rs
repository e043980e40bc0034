//! Records of the log as rows of their table: JSON facts by their columns, raw events as rows of `inputs`.
//!
//! It must not judge what a row says; which of several versions counts is for [`super::tail`].

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use calltide_eventlog::{Offset, Partition, ReadRecord};
use calltide_schemas::tables::TableDef;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::scan::{columns, day_field};

/// One record of the log.
pub(super) struct Entry {
    /// Where it is in its partition.
    pub(super) offset: Offset,
    /// Its primary key.
    pub(super) key: Arc<str>,
    /// Its row among the decoded ones; `None` for a tombstone.
    pub(super) row: Option<usize>,
    /// The fact's version; 0 where there is none.
    pub(super) version: i64,
}

impl Entry {
    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        // The key is counted by two numbers.
        size_of::<Self>() + self.key.len() + 2 * size_of::<usize>()
    }
}

/// The table's columns as they are read, and `day`.
pub(super) fn schema(def: &TableDef) -> SchemaRef {
    let columns = columns(def);
    let fields = columns.fields().iter().map(|f| f.as_ref().clone()).chain([day_field()]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Decodes records of one partition.
pub(super) fn decode(
    def: &'static TableDef,
    partition: Partition,
    records: &[ReadRecord],
) -> Result<(Vec<Entry>, RecordBatch), ArrowError> {
    let rows = if def.key.is_some() { facts(def, records)? } else { events(def, partition, records)? };
    let versions = rows.column_by_name("version").and_then(|v| v.as_primitive_opt::<Int64Type>());
    let mut entries = Vec::with_capacity(records.len());
    let mut row = 0;
    for record in records {
        let place = record.record.payload.is_some().then_some(row);
        entries.push(Entry {
            offset: record.offset,
            key: String::from_utf8_lossy(&record.record.key).into(),
            row: place,
            version: place.and_then(|at| versions.map(|v| v.value(at))).unwrap_or_default(),
        });
        row += usize::from(place.is_some());
    }
    Ok((entries, with_day(def, &rows)?))
}

fn facts(def: &TableDef, records: &[ReadRecord]) -> Result<RecordBatch, ArrowError> {
    let payloads = records.iter().filter_map(|r| r.record.payload.as_deref());
    let count = payloads.clone().count();
    if count == 0 {
        return Ok(RecordBatch::new_empty(def.arrow_schema()));
    }
    let mut decoder = ReaderBuilder::new(def.arrow_schema()).with_batch_size(count).build_decoder()?;
    for payload in payloads {
        decoder.decode(payload)?;
    }
    let rows = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(def.arrow_schema()));
    if rows.num_rows() != count {
        return Err(ArrowError::JsonError(format!("{count} records hold {} objects", rows.num_rows())));
    }
    Ok(rows)
}

/// Raw events have their columns in the record, not in the payload. An event is never a tombstone.
fn events(def: &TableDef, partition: Partition, records: &[ReadRecord]) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<_> = records.iter().filter(|r| r.record.payload.is_some()).collect();
    let text = |value: fn(&ReadRecord) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(value(r))).collect::<StringArray>())
    };
    let offsets = rows.iter().map(|r| i64::try_from(r.offset).unwrap_or(i64::MAX));
    let times = rows.iter().map(|r| r.record.at).collect::<Vec<_>>();
    let values: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![def.topic; rows.len()])),
        Arc::new(Int64Array::from(vec![i64::from(partition); rows.len()])),
        Arc::new(offsets.collect::<Int64Array>()),
        text(|r| String::from_utf8_lossy(&r.record.key).into_owned()),
        text(|r| r.record.kind.clone()),
        text(|r| r.record.id.clone()),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        text(|r| String::from_utf8_lossy(r.record.payload.as_deref().unwrap_or_default()).into_owned()),
    ];
    RecordBatch::try_new(def.arrow_schema(), values)
}

fn with_day(def: &TableDef, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let times = rows.column_by_name(def.day_of).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(times) = times else {
        return Err(ArrowError::SchemaError(format!("{} has no time column {}", def.name, def.day_of)));
    };
    let days: StringArray = (0..times.len()).map(|row| Some(utc_day(times.value(row)).to_string())).collect();
    let mut values = rows.columns().to_vec();
    values.push(Arc::new(days));
    RecordBatch::try_new(schema(def), values)
}

fn utc_day(micros: i64) -> Date {
    Timestamp::from_microsecond(micros).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}
