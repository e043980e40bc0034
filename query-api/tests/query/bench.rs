//! A lake in a temporary directory, a log in memory, an engine over both.
//!
//! The lake is written by hand: Parquet files and Delta's JSON commits, so that these tests know the format and not the
//! writer. Rows are JSON objects; columns that a situation does not mention are null, empty or zero.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::datatypes::Schema;
use arrow::json::ReaderBuilder;
use calltide_eventlog::{
    Batch, Cleanup, EventLog, LogError, Offset, Partition, ReadRecord, Record, Result as LogResult, TopicSpec, Worker,
};
use calltide_query_api::format::{Format, write};
use calltide_query_api::{Engine, EngineOptions, LakePlace, Principal, QueryError, QueryOutput};
use calltide_schemas::lake::txn_app_id;
use calltide_schemas::tables::{Kind, Null, TableDef, table};
use calltide_schemas::topics::TOPICS;
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};

/// Everything a situation needs.
pub(crate) struct Bench {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) engine: Arc<Engine>,
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    pub(crate) fn with(change: impl FnOnce(EngineOptions) -> EngineOptions) -> Self {
        Self::in_folder(|_, options| change(options))
    }

    /// The same where the options depend on the directory that everything is in.
    pub(crate) fn in_folder(change: impl FnOnce(&Path, EngineOptions) -> EngineOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(MemoryLog::default());
        let mut options = EngineOptions::new(LakePlace::folder(&dir.path().join("lake")).unwrap(), Some(log.clone()));
        options.spill_dir = dir.path().join("spill");
        options.threads = 2;
        Self { log, engine: Arc::new(Engine::new(change(dir.path(), options)).unwrap()), dir }
    }

    pub(crate) fn lake(&self, table: &'static str) -> LakeTable {
        LakeTable::new(self.dir.path().join("lake"), "g1", table)
    }

    pub(crate) fn generation(&self, generation: &str, table: &'static str) -> LakeTable {
        LakeTable::new(self.dir.path().join("lake"), generation, table)
    }

    pub(crate) fn publish(&self, table_name: &str, row: Value) {
        let def = table(table_name).unwrap();
        let row = full(def, row);
        let key = row[def.key.unwrap()].as_str().unwrap().to_owned();
        self.log.push(
            def.topic,
            Record { key: key.into_bytes(), payload: Some(row.to_string().into_bytes()), ..Record::default() },
        );
    }

    pub(crate) fn forget(&self, table_name: &str, key: &str) {
        let def = table(table_name).unwrap();
        self.log.push(def.topic, Record { key: key.as_bytes().to_vec(), ..Record::default() });
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<QueryOutput, QueryError> {
        self.engine.query(&Principal::local(), sql).await
    }

    /// The rows as JSON.
    pub(crate) async fn rows(&self, sql: &str) -> Value {
        rows(&self.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")))
    }
}

pub(crate) fn rows(output: &QueryOutput) -> Value {
    serde_json::from_slice(&write(output, Format::Json).unwrap()).unwrap()
}

/// `row` with all columns of the table.
fn full(def: &TableDef, row: Value) -> Value {
    let mut all = Map::new();
    for column in def.columns {
        let value = match (column.null, column.kind) {
            (Null::Yes, _) => Value::Null,
            (Null::No, Kind::Text) => json!(""),
            (Null::No, Kind::Int | Kind::Time) => json!(0),
            (Null::No, Kind::Decimal) => json!("0"),
            (Null::No, Kind::Bool) => json!(false),
        };
        all.insert(column.name.to_owned(), value);
    }
    for (name, value) in row.as_object().unwrap() {
        assert!(def.column(name).is_some(), "{} has no column {name}", def.name);
        all.insert(name.clone(), value.clone());
    }
    Value::Object(all)
}

/// One table of the lake, to be committed to.
pub(crate) struct LakeTable {
    def: &'static TableDef,
    dir: PathBuf,
    version: u64,
    /// A column that the files do not have, as if it were added to the table after them.
    pub(crate) without: Option<&'static str>,
}

impl LakeTable {
    fn new(lake: PathBuf, generation: &str, name: &'static str) -> Self {
        let dir = lake.join(generation).join(name);
        std::fs::create_dir_all(dir.join("_delta_log")).unwrap();
        std::fs::write(lake.join("CURRENT"), generation).unwrap();
        let version = std::fs::read_dir(dir.join("_delta_log")).unwrap().count() as u64;
        Self { def: table(name).unwrap(), dir, version, without: None }
    }

    /// Commits rows, all of one UTC day, and the offset that the table now goes up to. Returns the file's path.
    pub(crate) fn commit(&mut self, day: &str, rows: &[Value], next: Offset) -> PathBuf {
        let path = format!("day={day}/part-{:05}.parquet", self.version);
        let file = self.dir.join(&path);
        let size = self.write(&file, rows);
        let mut actions = Vec::new();
        if self.version == 0 {
            actions.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
            actions.push(json!({"metaData": {
                "id": "00000000-0000-0000-0000-000000000001", "format": {"provider": "parquet", "options": {}},
                "schemaString": delta_schema(self.def), "partitionColumns": ["day"], "configuration": {}, "createdTime": 0,
            }}));
        }
        actions.push(json!({"add": {
            "path": path, "partitionValues": {"day": day}, "size": size, "modificationTime": 0, "dataChange": true,
        }}));
        self.append(&actions, next);
        file
    }

    /// Takes a file out, as a correction or a compaction does, and puts the rows in its place.
    pub(crate) fn replace(&mut self, old: &Path, day: &str, rows: &[Value], next: Offset) {
        let path = format!("day={day}/part-{:05}.parquet", self.version);
        let size = self.write(&self.dir.join(&path), rows);
        let old = old.strip_prefix(&self.dir).unwrap().to_str().unwrap();
        let actions = [
            json!({"remove": {"path": old, "dataChange": true, "deletionTimestamp": 0, "partitionValues": {"day": day}}}),
            json!({"add": {
                "path": path, "partitionValues": {"day": day}, "size": size, "modificationTime": 0, "dataChange": true,
            }}),
        ];
        self.append(&actions, next);
    }

    fn append(&mut self, actions: &[Value], next: Offset) {
        let txn = json!({"txn": {"appId": txn_app_id(self.def.topic, 0), "version": next, "lastUpdated": 0}});
        let lines: Vec<_> = actions.iter().chain([&txn]).map(Value::to_string).collect();
        std::fs::write(self.dir.join(format!("_delta_log/{:020}.json", self.version)), lines.join("\n")).unwrap();
        self.version += 1;
    }

    fn write(&self, file: &Path, rows: &[Value]) -> u64 {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let all = self.def.arrow_schema();
        let columns = all.fields().iter().filter(|f| Some(f.name().as_str()) != self.without).cloned();
        let schema = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
        let mut decoder = ReaderBuilder::new(schema).with_batch_size(rows.len().max(1)).build_decoder().unwrap();
        for row in rows {
            decoder.decode(full(self.def, row.clone()).to_string().as_bytes()).unwrap();
        }
        let batch = decoder.flush().unwrap().unwrap();
        let mut writer = ArrowWriter::try_new(File::create(file).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        std::fs::metadata(file).unwrap().len()
    }
}

fn delta_schema(def: &TableDef) -> String {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let fields = def.columns.iter().map(|column| {
        let kind = match column.kind {
            Kind::Text => "string",
            Kind::Int => "long",
            Kind::Bool => "boolean",
            Kind::Time => "timestamp",
            Kind::Decimal => "decimal(18,6)",
        };
        field(column.name, kind)
    });
    json!({"type": "struct", "fields": fields.chain([field("day", "string")]).collect::<Vec<_>>()}).to_string()
}

/// A log of one partition a topic, in memory.
#[derive(Default)]
pub(crate) struct MemoryLog {
    /// Whoever reads it is let down badly.
    pub(crate) panics: AtomicBool,
    /// Offsets that cannot be read, of any topic.
    pub(crate) damaged: Mutex<Vec<Offset>>,
    /// What is before it is gone, of any topic.
    pub(crate) cleaned: Mutex<Offset>,
    topics: Mutex<HashMap<String, Vec<Record>>>,
    reads: Mutex<HashMap<String, usize>>,
}

impl MemoryLog {
    pub(crate) fn push(&self, topic: &str, record: Record) {
        self.topics.lock().unwrap().entry(topic.to_owned()).or_default().push(record);
    }

    /// How often a topic was read from.
    pub(crate) fn reads(&self, topic: &str) -> usize {
        self.reads.lock().unwrap().get(topic).copied().unwrap_or_default()
    }
}

impl EventLog for MemoryLog {
    fn topics(&self) -> Vec<TopicSpec> {
        TOPICS
            .iter()
            .map(|t| TopicSpec { name: t.name.to_owned(), partitions: 1, cleanup: Cleanup::Compact { after: None } })
            .collect()
    }

    fn append(&self, _: &str, _: Partition, _: Vec<Record>) -> LogResult<Offset> {
        Err(LogError::ReadOnly { dir: "memory".to_owned() })
    }

    fn read(&self, topic: &str, _: Partition, from: Offset, _: usize) -> LogResult<Batch> {
        *self.reads.lock().unwrap().entry(topic.to_owned()).or_default() += 1;
        let topics = self.topics.lock().unwrap();
        let records = topics.get(topic).map(Vec::as_slice).unwrap_or_default();
        // Few at once at the beginning, so that a tail is made of several pieces.
        let most = if from < 100 { 2 } else { 10_000 };
        let taken = (from..).zip(records.iter().skip(from as usize)).take(most);
        let mut records: Vec<_> = taken.map(|(offset, record)| ReadRecord { offset, record: record.clone() }).collect();
        let next = from + records.len() as u64;
        let damaged = self.damaged.lock().unwrap();
        records.retain(|read| !damaged.contains(&read.offset));
        let within = damaged.iter().filter(|offset| (from..next).contains(*offset));
        Ok(Batch { next, records, damaged: within.map(|offset| (*offset, offset + 1)).collect() })
    }

    fn bounds(&self, topic: &str, _: Partition) -> LogResult<(Offset, Offset)> {
        assert!(!self.panics.load(Ordering::Relaxed), "the log is not to be trusted");
        Ok((*self.cleaned.lock().unwrap(), self.topics.lock().unwrap().get(topic).map_or(0, Vec::len) as u64))
    }

    fn journals(&self, _: &str) -> LogResult<Vec<(String, u64)>> {
        Ok(Vec::new())
    }

    fn wait(&self, seen: u64, _: Duration) -> u64 {
        let now = self.topics.lock().unwrap().values().map(Vec::len).sum::<usize>() as u64;
        if now == seen {
            // Whoever follows does not spin.
            std::thread::sleep(Duration::from_millis(1));
        }
        now
    }

    fn worker(&self, _: &str, _: &str) -> LogResult<Box<dyn Worker>> {
        Err(LogError::ReadOnly { dir: "memory".to_owned() })
    }
}

/// Microseconds of a moment in RFC 3339.
pub(crate) fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}
