//! What the lake's tests stand on: a log in memory, a store that fails when told, rows as text.

pub(crate) mod log;
pub(crate) mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use calltide_eventlog::Record;
use calltide_processor::lake::{Clock, Lake, LakeWriter, Result};
use calltide_schemas::{Micros, tables};
use deltalake_core::DeltaTableBuilder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use url::Url;

use log::MemoryLog;
use store::FaultyStore;

/// 2026-11-21 09:00 UTC.
pub(crate) const NINE: i64 = 1_795_251_600_000_000;

/// An hour in microseconds.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A lake in a folder of its own, the log it follows and the clock on its wall.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) store: FaultyStore,
    pub(crate) now: Arc<AtomicI64>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let now = Arc::new(AtomicI64::new(NINE));
        Self { folder: tempfile::tempdir().unwrap(), log: Arc::default(), store: FaultyStore::default(), now }
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || Micros(now.load(Ordering::Relaxed)))
    }

    pub(crate) fn lake(&self) -> Lake {
        Lake::open_on(Arc::new(self.store.clone()), &self.root(), self.clock()).unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    pub(crate) fn writer(&self, table: &str) -> LakeWriter {
        LakeWriter::open(&self.lake(), tables::table(table).unwrap(), &*self.log).unwrap()
    }

    /// A reject of that id and version, at that time.
    pub(crate) fn reject(&self, id: &str, version: i64, at: i64, reason: &str) {
        let row = json!({
            "pbx": "pbx1", "reject_id": id, "source": "ami", "reason": reason, "detail": null, "raw": "Event: X",
            "at": at, "version": version, "updated_at": at,
        });
        self.put("calltide.rejects", id, at, Some(row.to_string()));
    }

    pub(crate) fn forget(&self, id: &str) {
        self.put("calltide.rejects", id, NINE, None);
    }

    pub(crate) fn put(&self, topic: &str, key: &str, at: i64, payload: Option<String>) {
        let partition = u32::from(key.as_bytes().last().copied().unwrap_or_default()) % log::PARTITIONS;
        let record = Record {
            key: key.as_bytes().to_vec(),
            at,
            id: format!("{topic}/{key}"),
            kind: "ami".to_owned(),
            journal: None,
            payload: payload.map(String::into_bytes),
        };
        self.log.put(topic, partition, record);
    }

    /// Reads everything and commits it.
    pub(crate) fn run(&self, table: &str) -> Result<()> {
        let mut writer = self.writer(table);
        while writer.read(&*self.log, 1 << 20)? > 0 {}
        writer.flush()
    }

    /// The rows of `rejects`, as `day id vVERSION reason`, in order.
    pub(crate) fn rejects(&self) -> Vec<String> {
        rows(&self.lake().folder().unwrap().join("rejects"), &["reject_id", "version", "reason"])
    }

    /// How many files a table has.
    pub(crate) fn files(&self, table: &str) -> usize {
        active_files(&self.lake().folder().unwrap().join(table)).len()
    }
}

/// The rows of the files that the newest snapshot names, each as its day and the given columns.
pub(crate) fn rows(table: &Path, columns: &[&str]) -> Vec<String> {
    let mut rows = Vec::new();
    for (path, day) in active_files(table) {
        let file = std::fs::File::open(table.join(path)).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let mut shown = vec![day.clone()];
                for column in columns {
                    let value = batch.column_by_name(column).unwrap();
                    shown.push(array_value_to_string(value, row).unwrap());
                }
                rows.push(shown.join(" "));
            }
        }
    }
    rows.sort();
    rows
}

/// Path and day of each file of the newest snapshot; what Delta is told of each is checked against its content.
pub(crate) fn active_files(table: &Path) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = Url::from_directory_path(table.canonicalize().unwrap()).unwrap();
    let delta = runtime.block_on(DeltaTableBuilder::from_url(url).unwrap().load()).unwrap();
    let files = delta.snapshot().unwrap().log_data().into_iter();
    let mut found = Vec::new();
    for file in files {
        let day = file.partition_values_map().remove("day").flatten().unwrap();
        let path = file.path().into_owned();
        assert!(path.starts_with(&format!("day={day}/")), "{path} is not in the folder of {day}");
        check_stats(&table.join(&path), &file.stats().unwrap());
        found.push((path, day));
    }
    found
}

/// Readers skip files by these bounds, so they must hold.
fn check_stats(path: &Path, stats: &str) {
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let batches: Vec<_> = reader.build().unwrap().map(|b| b.unwrap()).collect();
    let count: usize = batches.iter().map(|b| b.num_rows()).sum();
    assert_eq!(stats["numRecords"], count, "{path:?}");
    for (column, min) in stats["minValues"].as_object().unwrap() {
        let max = &stats["maxValues"][column];
        for batch in &batches {
            let values = batch.column_by_name(column).unwrap();
            if let Some(texts) = values.as_string_opt::<i32>() {
                let (min, max) = (min.as_str().unwrap(), max.as_str().unwrap());
                assert!(texts.iter().flatten().all(|t| min <= t && t <= max), "{column} of {path:?}");
            } else if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
                let (min, max) = (min.as_i64().unwrap(), max.as_i64().unwrap());
                assert!(numbers.iter().flatten().all(|n| min <= n && n <= max), "{column} of {path:?}");
            } else if let Some(times) = values.as_primitive_opt::<TimestampMicrosecondType>() {
                let micros = |v: &serde_json::Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
                let (min, max) = (micros(min).as_microsecond(), micros(max).as_microsecond());
                assert!(times.iter().flatten().all(|t| min <= t && t <= max), "{column} of {path:?}");
            }
        }
    }
}
