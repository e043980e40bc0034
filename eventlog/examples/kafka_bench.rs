//! How fast the log on Kafka takes and gives records, and how long a commit takes.
//!
//! `cargo run --release -p calltide-eventlog --example kafka_bench -- HOST:PORT [records]`
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use calltide_eventlog::{
    Change, Cleanup, Commit, EventLog, LogError, Output, Polled, Record, TopicSpec, Worker,
    kafka::{KafkaLog, KafkaOptions},
};

const EVENTS: &str = "calltide.events";
const CALLS: &str = "calltide.calls";
/// As many as a collector appends at once.
const BATCH: u64 = 4096;

/// An event of about 600 bytes.
fn event(n: u64) -> Record {
    let rest = format!("{n:020}").repeat(25);
    Record {
        key: b"pbx-1".to_vec(),
        at: 1_795_251_600_000_000 + i64::try_from(n).unwrap_or_default(),
        id: format!("ami/pbx-1/1795251600000000:{n}"),
        kind: "ami".into(),
        journal: Some(("ami/pbx-1/1795251600000000".into(), n)),
        payload: Some(format!("{{\"pbx\":\"pbx-1\",\"event\":\"Newstate\",\"rest\":\"{rest}\"}}").into_bytes()),
    }
}

fn show(what: &str, count: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what:<40}{:>12.0}/s{:>10.1} s", count as f64 / seconds, seconds);
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().ok_or("give HOST:PORT of a broker")?;
    let count: u64 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let prefix = format!("bench-{}.", std::time::UNIX_EPOCH.elapsed()?.as_millis());
    let options = KafkaOptions { prefix, ..KafkaOptions::new(servers, "bench") };
    let spec = |name: &str, cleanup| TopicSpec { name: name.into(), partitions: 1, cleanup };
    let topics = [spec(EVENTS, Cleanup::Delete { after: None }), spec(CALLS, Cleanup::Compact { after: None })];
    let log = KafkaLog::open(&options, &topics)?;

    let began = Instant::now();
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        log.append(EVENTS, 0, (first..count.min(first + BATCH)).map(event).collect())?;
    }
    show("append, one thread, 4096 at once", count, began);

    let began = Instant::now();
    let (mut next, mut read) = (0, 0);
    while read < count {
        let batch = log.read(EVENTS, 0, next, 4 << 20)?;
        (next, read) = (batch.next, read + batch.records.len() as u64);
    }
    show("read, one thread", read, began);

    let mut worker = log.worker("calls", EVENTS)?;
    catch_up(&mut *worker, count)?;
    one_by_one(&log, &mut *worker, count)?;
    drop(worker);

    let began = Instant::now();
    let mut worker = log.worker("calls", EVENTS)?;
    loop {
        if let Polled::Assigned { state, .. } = worker.poll(1, Duration::from_secs(1))? {
            println!("joined and restored {} entries in {} ms", state.len(), began.elapsed().as_millis());
            return Ok(());
        }
    }
}

/// Processes what is there, in batches.
fn catch_up(worker: &mut dyn Worker, count: u64) -> Result<(), LogError> {
    let (mut processed, mut commits, mut longest, mut committing) = (0, 0, Duration::ZERO, Duration::ZERO);
    let mut began = Instant::now();
    while processed < count {
        match worker.poll(4 << 20, Duration::from_secs(1))? {
            Polled::Batch { partition, batch } if !batch.records.is_empty() => {
                processed += batch.records.len() as u64;
                // About as a fold does: an output for ten events, and a changed entry for each call.
                let calls = batch.records.iter().step_by(10);
                let output = |read: &calltide_eventlog::ReadRecord| Output {
                    topic: CALLS.into(),
                    record: Record { key: read.record.id.clone().into_bytes(), ..read.record.clone() },
                };
                let change = |read: &calltide_eventlog::ReadRecord| Change {
                    key: format!("call/{}", read.offset % 1000).into_bytes(),
                    value: read.record.payload.clone(),
                };
                let (outputs, changes) = (calls.clone().map(output).collect(), calls.map(change).collect());
                let commit = Instant::now();
                worker.commit(partition, Commit { outputs, changes, next: batch.next })?;
                commits += 1;
                longest = longest.max(commit.elapsed());
                committing += commit.elapsed();
            }
            Polled::Assigned { .. } => began = Instant::now(),
            Polled::Batch { .. } | Polled::Revoked { .. } => {}
        }
    }
    show("poll and commit, 4 MiB at once", processed, began);
    let each = committing.as_secs_f64() * 1000.0 / f64::from(commits);
    println!("{commits} commits, {each:.1} ms each, the longest {} ms", longest.as_millis());
    Ok(())
}

/// How quickly an event becomes something that is committed, when there is but one.
fn one_by_one(log: &KafkaLog, worker: &mut dyn Worker, count: u64) -> Result<(), LogError> {
    let began = Instant::now();
    let mut small: u32 = 0;
    while began.elapsed() < Duration::from_secs(5) {
        small += 1;
        log.append(EVENTS, 0, vec![event(count + u64::from(small))])?;
        loop {
            if let Polled::Batch { partition, batch } = worker.poll(4 << 20, Duration::from_secs(1))?
                && !batch.records.is_empty()
            {
                worker.commit(partition, Commit { next: batch.next, ..Commit::default() })?;
                break;
            }
        }
    }
    show("one event appended, read and committed", small.into(), began);
    Ok(())
}
