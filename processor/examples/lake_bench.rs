//! How fast the lake takes raw events and facts: rows and megabytes per second, and the peak of memory.
//!
//! `cargo run --release --example lake_bench -- [events] [calls]`
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use calltide_eventlog::{
    Batch, Cleanup, EventLog, LogError, Offset, Partition, ReadRecord, Record, Result, TopicSpec, Worker,
};
use calltide_processor::lake::{Lake, LakeWriter, Options};
use calltide_schemas::Micros;
use calltide_schemas::tables::{self, Kind, TableDef};

/// 2026-11-21 09:00 UTC, in microseconds.
const START: i64 = 1_795_251_600_000_000;

/// A log that makes its records up as they are read, so that only the lake is measured.
struct Made {
    topic: &'static str,
    count: u64,
    record: Box<dyn Fn(u64) -> Record + Send + Sync>,
}

impl EventLog for Made {
    fn topics(&self) -> Vec<TopicSpec> {
        vec![TopicSpec { name: self.topic.to_owned(), partitions: 1, cleanup: Cleanup::Compact { after: None } }]
    }

    fn append(&self, _: &str, _: Partition, _: Vec<Record>) -> Result<Offset> {
        Err(LogError::ReadOnly { dir: "memory".to_owned() })
    }

    fn read(&self, _: &str, _: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        let mut batch = Batch { next: from, ..Batch::default() };
        let mut bytes = 0;
        while batch.next < self.count && bytes < bytes_max {
            let record = (self.record)(batch.next);
            bytes += record.payload.as_ref().map_or(0, Vec::len);
            batch.records.push(ReadRecord { offset: batch.next, record });
            batch.next += 1;
        }
        Ok(batch)
    }

    fn bounds(&self, _: &str, _: Partition) -> Result<(Offset, Offset)> {
        Ok((0, self.count))
    }

    fn journals(&self, _: &str) -> Result<Vec<(String, u64)>> {
        Ok(Vec::new())
    }

    fn wait(&self, seen: u64, _: std::time::Duration) -> u64 {
        seen
    }

    fn worker(&self, _: &str, topic: &str) -> Result<Box<dyn Worker>> {
        Err(LogError::UnknownTopic { topic: topic.to_owned() })
    }
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut counts = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let (events, calls) = (counts.next().unwrap_or(2_000_000), counts.next().unwrap_or(300_000));
    measure("inputs", events, Box::new(event))?;
    let def = tables::table("calls").ok_or("no table calls")?;
    measure("calls", calls, Box::new(move |n| call(def, n)))
}

fn measure(
    table: &str,
    count: u64,
    record: Box<dyn Fn(u64) -> Record + Send + Sync>,
) -> std::result::Result<(), Box<dyn Error>> {
    let def = tables::table(table).ok_or("no such table")?;
    let made = Instant::now();
    let bytes: usize = (0..count).map(|n| record(n).payload.map_or(0, |p| p.len())).sum();
    let making = made.elapsed();
    let log = Made { topic: def.topic, count, record };
    let folder = std::env::temp_dir().join(format!("calltide-lake-bench-{}", std::process::id()));
    let lake = Lake::open(&folder, Arc::new(|| Micros(START)))?;
    let mut writer = LakeWriter::open(&lake, def, &log)?;
    let begun = Instant::now();
    let mut commits = 0;
    while writer.read(&log, 4 << 20)? > 0 {
        if writer.pending_bytes() > Options::default().commit_bytes {
            writer.flush()?;
            commits += 1;
        }
    }
    writer.flush()?;
    let seconds = begun.elapsed().saturating_sub(making).as_secs_f64();
    let size = size_of(&folder.join("g1").join(table))?;
    println!(
        "{table}: {count} rows of {} bytes in {seconds:.2} s = {:.0} rows/s, {:.0} MB/s; {} commits, {} MB on disk, peak {} MB",
        bytes as u64 / count,
        count as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
        commits + 1,
        size / 1_000_000,
        peak_kb().unwrap_or_default() / 1000,
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// An AMI event as collectors envelope it, about 900 bytes.
fn event(n: u64) -> Record {
    let at = START + i64::try_from(n).unwrap_or_default() * 10;
    let (call, agent, hash) = (n / 40, n % 300, n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let payload = format!(
        r#"{{"v":1,"pbx":"pbx1","source":"ami","at":{at},"seen":{},"journal":"pbx1-ami","offset":{n},"headers":[["Event","Newstate"],["Privilege","call,all"],["Channel","PJSIP/{agent}-{:08x}"],["ChannelState","6"],["ChannelStateDesc","Up"],["CallerIDNum","+49{}"],["CallerIDName","<unknown>"],["ConnectedLineNum","{}"],["ConnectedLineName","Agent {agent}"],["Language","en"],["AccountCode",""],["Context","from-internal"],["Exten","s"],["Priority","{}"],["Uniqueid","{}.{n}"],["Linkedid","{}.{call}"],["BridgeUniqueid","{hash:016x}-{:016x}"],["BridgeType","basic"],["BridgeTechnology","simple_bridge"],["BridgeCreator","AppDial"],["BridgeName","<unknown>"],["BridgeNumChannels","2"],["BridgeVideoSourceMode","none"],["Variable","DIALSTATUS"],["Value","ANSWER"],["SystemName","pbx1"],["Timestamp","{}.{:06}"]]}}"#,
        at + 350,
        hash >> 32,
        hash % 10_000_000_000,
        hash % 997,
        hash % 23,
        at / 1_000_000,
        at / 1_000_000,
        hash.rotate_left(13),
        at / 1_000_000,
        at % 1_000_000,
    );
    Record {
        key: b"pbx1".to_vec(),
        at,
        id: format!("pbx1-ami:{n}"),
        kind: "ami".to_owned(),
        journal: Some(("pbx1-ami".to_owned(), n)),
        payload: Some(payload.into_bytes()),
    }
}

/// A call: each is told twice, first as closed, a little later as settled.
fn call(def: &TableDef, n: u64) -> Record {
    let (id, version) = (n / 100 * 50 + n % 50, 1 + n % 100 / 50);
    let at = START + i64::try_from(id).unwrap_or_default() * 10_000;
    let mut row = serde_json::Map::new();
    for (index, column) in def.columns.iter().enumerate() {
        let value = match (column.name, column.kind) {
            ("version", _) => version.into(),
            ("call_id", _) => format!("pbx1/{}.{id}", at / 1_000_000).into(),
            (_, Kind::Time) => (at + index as i64 * 1_000).into(),
            (_, Kind::Int) => (id % 90_000).into(),
            (_, Kind::Bool) => (id % 7 == 0).into(),
            (_, Kind::Decimal) => format!("{}.{:04}", id % 50, id % 10_000).into(),
            (name, Kind::Text) => format!("{name}-{}", id % 50).into(),
        };
        row.insert(column.name.to_owned(), value);
    }
    let key = format!("pbx1/{}.{id}", at / 1_000_000);
    let payload = serde_json::Value::Object(row).to_string().into_bytes();
    Record { key: key.into_bytes(), at, kind: "call".to_owned(), payload: Some(payload), ..Record::default() }
}

fn size_of(folder: &std::path::Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() { size_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(size)
}

/// The most memory this process has had, where the system tells.
fn peak_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
