//! The embedded log alone: records of 500 bytes appended by several threads, each append synced before it returns, then all
//! of them read again.
//!
//! The payloads are pieces of the recorded events, so they compress as real ones do; what is given per second is bytes of
//! payload, and what the files hold is told beside it.

use std::path::Path;
use std::time::Instant;

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_eventlog::{Cleanup, EventLog, LogError, Record, TopicSpec};

use super::{RECORDING, line};
use crate::errors::{Exit, Failure, Result};

const TOPIC: &str = "bench";
/// Threads that append, as collectors do.
const APPENDERS: u64 = 4;
/// Records of one append.
const RECORDS_AT_ONCE: u64 = 500;
/// Bytes of one record's payload.
const RECORD_BYTES: usize = 500;
/// Payload of one read.
const READ_BYTES: usize = 4 << 20;

/// Measures and tells.
pub(crate) fn measure(records: u64) -> Result<String> {
    let dir = tempfile::tempdir().map_err(|e| Failure::new(Exit::Failed, "cannot make a folder").because(&e))?;
    let topic = TopicSpec { name: TOPIC.to_owned(), partitions: 1, cleanup: Cleanup::Delete { after: None } };
    let log = EmbeddedLog::open(dir.path(), &[topic], EmbeddedOptions::default())?;
    let began = Instant::now();
    append_all(&log, records)?;
    let appending = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let (count, bytes) = read_all(&log)?;
    let reading = began.elapsed().as_secs_f64();
    let mut text = line("log: append and sync", count, "records", bytes, appending);
    text += &line("log: read", count, "records", bytes, reading);
    let held = size(dir.path());
    text += &format!("{:<24} {:.0} % of the payloads' bytes in the files\n", "", held as f64 * 100.0 / bytes as f64);
    Ok(text)
}

fn append_all(log: &EmbeddedLog, records: u64) -> Result<()> {
    let of_one = records.div_ceil(APPENDERS);
    std::thread::scope(|scope| {
        let appender = |thread| scope.spawn(move || append(log, thread, of_one));
        let threads: Vec<_> = (0..APPENDERS).map(appender).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(appended) => Ok(appended?),
            Err(_) => Err(Failure::new(Exit::Failed, "a thread that appends ended with a panic")),
        })
    })
}

fn append(log: &EmbeddedLog, thread: u64, records: u64) -> std::result::Result<(), LogError> {
    for first in (0..records).step_by(usize::try_from(RECORDS_AT_ONCE).unwrap_or(1)) {
        let last = (first + RECORDS_AT_ONCE).min(records);
        log.append(TOPIC, 0, (first..last).map(|n| record(thread, n)).collect())?;
    }
    Ok(())
}

fn record(thread: u64, n: u64) -> Record {
    // Another piece of the recording each time, but for a stretch where the end is near.
    let steps = (RECORDING.len() - RECORD_BYTES) as u64;
    let at = usize::try_from((n * RECORD_BYTES as u64 + thread * 131) % steps).unwrap_or(0);
    Record {
        key: b"site-a".to_vec(),
        at: 1_700_000_000_000_000 + i64::try_from(n).unwrap_or(0) * 1_000,
        id: format!("{thread}:{n}"),
        kind: "ami".to_owned(),
        journal: Some((format!("bench/{thread}"), n)),
        payload: RECORDING.get(at..at + RECORD_BYTES).map(<[u8]>::to_vec),
    }
}

fn read_all(log: &EmbeddedLog) -> Result<(usize, usize)> {
    let (mut next, mut count, mut bytes) = (0, 0, 0);
    loop {
        let batch = log.read(TOPIC, 0, next, READ_BYTES)?;
        if batch.next == next {
            return Ok((count, bytes));
        }
        next = batch.next;
        count += batch.records.len();
        bytes += batch.records.iter().filter_map(|r| r.record.payload.as_ref()).map(Vec::len).sum::<usize>();
    }
}

fn size(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
