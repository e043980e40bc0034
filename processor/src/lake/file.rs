//! One Parquet file of a table: how it is laid out, and what Delta is told about it so that readers can skip it.
//!
//! Files are made in memory, at most as large as a commit may be, and then put into the store whole.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use calltide_schemas::tables::{Kind, TableDef};
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};

use super::Result;

/// Enough for good compression, small enough that a day's file has several units to skip or to read in parallel.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// A wrong "maybe" costs one look into a file's key column, so one in a hundred is plenty.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// How the files of a table are written.
#[derive(Debug, Clone)]
pub(super) struct FileLayout {
    def: &'static TableDef,
    schema: SchemaRef,
    properties: WriterProperties,
}

impl FileLayout {
    pub(super) fn new(def: &'static TableDef, schema: SchemaRef) -> Result<Self> {
        // The archive is written at the rate of events and rarely read: the fastest level.
        let level = if def.key.is_some() { 3 } else { 1 };
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_sorting_columns(sorting(def, &schema));
        for name in bloom_columns(def) {
            properties = properties
                .set_column_bloom_filter_max_ndv(ColumnPath::from(name), ROW_GROUP_ROWS as u64)
                .set_column_bloom_filter_fpp(ColumnPath::from(name), BLOOM_FALSE_POSITIVES);
        }
        // Nearly every value is new, and not far from the one before: read in less than half the time that a dictionary takes.
        let times = def.columns.iter().filter(|column| column.kind == Kind::Time).map(|column| column.name);
        for name in times.chain(def.key.is_none().then_some("offset")) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
            properties = properties.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
        }
        if def.key.is_none() {
            // Nearly every value is new: a dictionary and statistics of whole payloads would only cost.
            for name in ["id", "payload"] {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
            }
            properties = properties.set_column_statistics_enabled(ColumnPath::from("payload"), EnabledStatistics::None);
        }
        Ok(Self { def, schema, properties: properties.build() })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

fn sorting(def: &TableDef, schema: &SchemaRef) -> Option<Vec<SortingColumn>> {
    let columns = def.sort.iter().filter_map(|name| schema.index_of(name).ok());
    let sorting: Vec<_> = columns
        .filter_map(|index| i32::try_from(index).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect();
    (!sorting.is_empty()).then_some(sorting)
}

fn bloom_columns(def: &'static TableDef) -> impl Iterator<Item = &'static str> {
    let call = def.key.filter(|key| *key != "call_id").and(def.column("call_id")).map(|c| c.name);
    def.key.into_iter().chain(call)
}

/// The columns whose smallest and largest values Delta is told per file: what reports filter on, and no telephone numbers.
pub(super) fn stats_columns(def: &'static TableDef) -> Vec<&'static str> {
    let wanted = |name: &str, kind: Kind| {
        kind == Kind::Time
            || def.key == Some(name)
            || def.sort.contains(&name)
            || matches!(name, "pbx" | "call_id" | "topic" | "partition" | "offset")
    };
    def.columns.iter().filter(|c| wanted(c.name, c.kind)).map(|c| c.name).collect()
}

/// A file that is being made.
pub(super) struct FileWriter {
    def: &'static TableDef,
    writer: ArrowWriter<Vec<u8>>,
}

/// A file that is complete.
pub(super) struct FinishedFile {
    /// The Parquet file.
    pub(super) bytes: Vec<u8>,
    /// Delta's statistics, JSON.
    pub(super) stats: String,
}

impl FileWriter {
    pub(super) fn new(layout: &FileLayout) -> Result<Self> {
        let options =
            ArrowWriterOptions::new().with_properties(layout.properties.clone()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&layout.schema), options)?;
        Ok(Self { def: layout.def, writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(batch)?)
    }

    /// Bytes held in memory.
    pub(super) fn memory(&self) -> usize {
        self.writer.bytes_written() + self.writer.memory_size()
    }

    pub(super) fn finish(mut self) -> Result<FinishedFile> {
        let metadata = self.writer.finish()?;
        let bytes = std::mem::take(self.writer.inner_mut());
        Ok(FinishedFile { bytes, stats: delta_stats(self.def, &metadata) })
    }
}

fn delta_stats(def: &'static TableDef, metadata: &ParquetMetaData) -> String {
    let (mut min, mut max, mut nulls) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for name in stats_columns(def) {
        let Some(column) = def.column(name) else { continue };
        let bounds = Bounds::of(name, column.kind, metadata);
        min.extend(bounds.min.map(|v| (name, v.shown())));
        max.extend(bounds.max.map(|v| (name, v.shown())));
        nulls.extend(bounds.nulls.map(|n| (name, n)));
    }
    let rows = metadata.file_metadata().num_rows();
    json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls }).to_string()
}

/// A bound as Parquet has it.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Text(String),
    Int(i64),
    Time(i64),
}

impl Bound {
    fn read(kind: Kind, bytes: Option<&[u8]>) -> Option<Self> {
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_le_bytes);
        match kind {
            Kind::Text => String::from_utf8(bytes?.to_vec()).ok().map(Self::Text),
            Kind::Int => number(bytes?).map(Self::Int),
            Kind::Time => number(bytes?).map(Self::Time),
            // Delta wants no bounds of truths, and nobody looks for files by an amount.
            Kind::Bool | Kind::Decimal => None,
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Int(a) | Self::Time(a), Self::Int(b) | Self::Time(b)) => a.cmp(b),
            (Self::Text(_), Self::Int(_) | Self::Time(_)) | (Self::Int(_) | Self::Time(_), Self::Text(_)) => {
                Ordering::Equal
            }
        }
    }

    /// As Delta's statistics write it; a time that no calendar has is left out (null).
    fn shown(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Int(n) => n.into(),
            Self::Time(at) => Timestamp::from_microsecond(at)
                .map_or(Value::Null, |t| t.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into()),
        }
    }
}

/// What is known of a column over all row groups; a bound that one of them lacks is not known at all.
#[derive(Debug, Default)]
struct Bounds {
    min: Option<Bound>,
    max: Option<Bound>,
    nulls: Option<u64>,
}

impl Bounds {
    fn of(name: &str, kind: Kind, metadata: &ParquetMetaData) -> Self {
        let mut all: Option<Self> = None;
        for group in metadata.row_groups() {
            let column = group.columns().iter().find(|c| c.column_path().string() == name);
            let Some(statistics) = column.and_then(|c| c.statistics()) else { return Self::default() };
            let one = Self::of_group(kind, statistics);
            all = Some(match all {
                None => one,
                Some(all) => all.joined(one),
            });
        }
        all.unwrap_or_default()
    }

    fn of_group(kind: Kind, statistics: &Statistics) -> Self {
        Self {
            min: Bound::read(kind, statistics.min_bytes_opt()),
            max: Bound::read(kind, statistics.max_bytes_opt()),
            nulls: statistics.null_count_opt(),
        }
    }

    fn joined(self, other: Self) -> Self {
        let pick = |a: Option<Bound>, b: Option<Bound>, keep: Ordering| match (a, b) {
            (Some(a), Some(b)) => Some(if a.order(&b) == keep { a } else { b }),
            _ => None,
        };
        Self {
            min: pick(self.min, other.min, Ordering::Less),
            max: pick(self.max, other.max, Ordering::Greater),
            nulls: self.nulls.zip(other.nulls).map(|(a, b)| a + b),
        }
    }
}
