//! Measures how fast a site catches up after its line was cut: from one embedded log to another, each batch synced.
//!
//! `forward_bench [DIR] [RECORDS] [PAYLOAD_BYTES]`. DIR must not hold logs and is left behind with two.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_eventlog::embedded::{Cleaning, EmbeddedLog, EmbeddedOptions, Groups};
use calltide_eventlog::{Cleanup, EventLog, Record, TopicSpec};
use calltide_ingest::forward::{ForwardConfig, Forwarder, Step};
use calltide_schemas::topics::EVENTS;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "forward-bench".into()));
    let records: u64 = args.next().map_or(Ok(1_000_000), |arg| arg.parse())?;
    let payload_bytes: usize = args.next().map_or(Ok(500), |arg| arg.parse())?;
    let cleanup = Cleanup::Delete { after: Some(Duration::ZERO) };
    let topic = TopicSpec { name: EVENTS.into(), partitions: 1, cleanup };
    let open =
        |name: &str| EmbeddedLog::open(&dir.join(name), std::slice::from_ref(&topic), EmbeddedOptions::default());
    let (local, centre) = (Arc::new(open("site")?), Arc::new(open("centre")?));
    for batch in 0..records / 1_000 {
        let event = |n: u64| Record {
            key: b"site-a".to_vec(),
            at: i64::try_from(n).unwrap_or_default(),
            id: format!("ami/site-a/1:{n}"),
            kind: "ami".into(),
            journal: Some(("ami/site-a/1".into(), n)),
            payload: Some(format!("{{\"n\":{n},\"said\":\"{:0payload_bytes$}\"}}", n * n).into_bytes()),
        };
        local.append(EVENTS, 0, (batch * 1_000 + 1..=batch * 1_000 + 1_000).map(event).collect())?;
    }
    let trimmed = Arc::clone(&local);
    let trim = move |to| {
        let cleaning = Cleaning {
            now: i64::MAX,
            settled: Duration::ZERO,
            bytes_max: None,
            protect: &|_, _| to,
            groups: Groups::Work,
        };
        trimmed.clean(&cleaning).map(drop)
    };
    let config = ForwardConfig { trim: Box::new(trim), ..ForwardConfig::default() };
    let mut forwarder = Forwarder::new(local, centre, config)?;
    let began = Instant::now();
    while forwarder.step()? != Step::Idle {}
    let secs = began.elapsed().as_secs_f64();
    println!("caught up: {records} events in {secs:.2} s, {:.0} events/s", records as f64 / secs);
    Ok(())
}
