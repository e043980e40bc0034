//! Measures the embedded log: appends of events in batches, each synced before it is acknowledged, then a read of all.
//!
//! `log_bench [DIR] [RECORDS] [PAYLOAD_BYTES] [THREADS] [BATCH]`. DIR must not hold a log and is left behind with one.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::{path::PathBuf, time::Instant};

use calltide_eventlog::{
    Cleanup, EventLog, Record, TopicSpec,
    embedded::{EmbeddedLog, EmbeddedOptions},
};

const TOPIC: &str = "calltide.events";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "log-bench".into()));
    let records: usize = args.next().map_or(Ok(2_000_000), |arg| arg.parse())?;
    let payload_bytes: usize = args.next().map_or(Ok(500), |arg| arg.parse())?;
    let threads: usize = args.next().map_or(Ok(4), |arg| arg.parse())?;
    let batch_records: usize = args.next().map_or(Ok(1000), |arg| arg.parse())?;
    let topic = TopicSpec { name: TOPIC.into(), partitions: 1, cleanup: Cleanup::Delete { after: None } };
    let log = EmbeddedLog::open(&dir, &[topic], EmbeddedOptions::default())?;

    let batches: Vec<Vec<Record>> =
        (0..100).map(|batch| events(batch * batch_records, batch_records, payload_bytes)).collect();
    let began = Instant::now();
    std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        let appending = (0..threads).map(|thread| {
            let (log, batches) = (&log, &batches);
            scope.spawn(move || {
                (thread..records / batch_records)
                    .step_by(threads)
                    .try_for_each(|batch| log.append(TOPIC, 0, batches[batch % batches.len()].clone()).map(drop))
            })
        });
        for thread in appending.collect::<Vec<_>>() {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    print("append", records, began);

    let began = Instant::now();
    let (mut next, mut read, mut bytes) = (0, 0, 0);
    loop {
        let batch = log.read(TOPIC, 0, next, 1 << 20)?;
        if batch.next == next {
            break;
        }
        next = batch.next;
        read += batch.records.len();
        bytes += batch.records.iter().filter_map(|r| r.record.payload.as_ref()).map(Vec::len).sum::<usize>();
    }
    print("read", read, began);
    drop(log);
    let began = Instant::now();
    let log = EmbeddedLog::open(&dir, &[], EmbeddedOptions::default())?;
    println!("open: {:.3} s", began.elapsed().as_secs_f64());
    let on_disk: u64 = std::fs::read_dir(&dir)?.map(|file| file?.metadata()).map(|m| m.map_or(0, |m| m.len())).sum();
    println!("payload {} MB, on disk {} MB, ends {:?}", bytes >> 20, on_disk >> 20, log.bounds(TOPIC, 0)?);
    Ok(())
}

fn print(what: &str, records: usize, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {records} records in {seconds:.2} s, {:.0} a second", records as f64 / seconds);
}

/// AMI events as they look in the log.
fn events(first: usize, count: usize, bytes: usize) -> Vec<Record> {
    (first..first + count).map(|n| event(n as u64, bytes)).collect()
}

fn event(n: u64, bytes: usize) -> Record {
    let unique = format!("{}.{}", 1_700_000_000 + n / 50, n.wrapping_mul(2_654_435_761) % 100_000);
    let mut payload = format!(
        r#"{{"v":1,"pbx":"pbx-1","source":"ami","at":{},"seen":{},"journal":"pbx-1/ami/1","offset":{n},"headers":["#,
        1_700_000_000_000_000 + n * 20_000,
        1_700_000_000_000_500 + n * 20_000,
    );
    payload.push_str(&format!(r#"["Event","Newstate"],["Uniqueid","{unique}"],["Linkedid","{unique}"]"#));
    payload.push_str(&format!(r#",["CallerIDNum","+7495{:07}"]"#, n.wrapping_mul(40_503) % 10_000_000));
    let more = ["ChannelStateDesc", "ConnectedLineNum", "Context", "Exten", "Priority", "Language", "AccountCode"];
    for name in more.iter().cycle() {
        if payload.len() + 40 > bytes {
            break;
        }
        payload.push_str(&format!(r#",["{name}","from-internal-{}"]"#, n % 97));
    }
    payload.push_str("]}");
    Record {
        key: b"pbx-1".to_vec(),
        at: 1_700_000_000_000_000 + i64::try_from(n).unwrap_or(0) * 20_000,
        id: format!("pbx-1/ami/1/{n}"),
        kind: "ami".into(),
        journal: Some(("pbx-1/ami/1".into(), n)),
        payload: Some(payload.into_bytes()),
    }
}
