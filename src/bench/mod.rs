//! `calltide bench`: how fast this machine decodes, folds and imports, from the recorded captures repeated.
//!
//! Decoding and folding are timed in processor time of one thread; `log` by the clock; `import` is the whole command in a process of its own,
//! whose peak memory is read from the system; `pressure` is live collecting on a slow disk, `cluster` the way over Kafka. Nothing is
//! written outside a temporary directory and topics of its own.

mod agents;
mod cluster;
mod decode;
mod files;
mod fold;
mod import;
mod load;
mod log;
mod pressure;
mod recycling;
pub(crate) mod repeat;
mod reports;
mod stopwatch;

use crate::args::{Bench, BenchStage};
use crate::errors::Result;
use crate::output;

/// The recording that everything is repeated from: AMI bytes of a real Asterisk 22.
const RECORDING: &[u8] = include_bytes!("../../tests/captures/asterisk-22.10/ami.raw");

/// The PBX's name in it.
const PBX: &str = "site-a";

/// Events a second, if nothing else is said: of the busiest PBX, and of a thousand operators.
const PRESSURE_RATE: u32 = 20_000;
const CLUSTER_RATE: u32 = 2_000;

/// Runs the command.
pub(crate) fn run(asked: &Bench) -> Result<()> {
    if let Some(folder) = &asked.files {
        return files::write(folder, asked.events);
    }
    if let (Some(port), Some(into)) = (asked.collect_from, &asked.into) {
        return pressure::collect(port, into, asked.slow_to);
    }
    if asked.only == Some(BenchStage::Pressure) {
        return output::data(pressure::measure(asked.rate.unwrap_or(PRESSURE_RATE), asked.seconds)?.as_bytes());
    }
    if asked.only == Some(BenchStage::Recycling) {
        return output::data(recycling::measure(asked.contacts)?.as_bytes());
    }
    if asked.only == Some(BenchStage::Agents) {
        return output::data(agents::measure(asked.calls).as_bytes());
    }
    if asked.only == Some(BenchStage::Reports) {
        return output::data(reports::measure(asked.calls)?.as_bytes());
    }
    if let Some(servers) = &asked.kafka {
        return output::data(
            cluster::measure(servers, asked.events, asked.rate.unwrap_or(CLUSTER_RATE), asked.seconds)?.as_bytes(),
        );
    }
    let wanted = |stage| asked.only.is_none_or(|only| only == stage);
    if wanted(BenchStage::Decode) {
        output::data(decode::measure(asked.events)?.as_bytes())?;
    }
    if wanted(BenchStage::Fold) {
        output::data(fold::measure(asked.events).as_bytes())?;
    }
    if wanted(BenchStage::Log) {
        output::data(log::measure(asked.events)?.as_bytes())?;
    }
    if wanted(BenchStage::Import) {
        output::data(import::measure(asked.events)?.as_bytes())?;
    }
    Ok(())
}

/// How many copies of the recording have at least so many events.
fn copies(events: u64) -> u32 {
    u32::try_from(events.div_ceil(copies_events() as u64)).unwrap_or(u32::MAX).max(1)
}

/// How many events one copy has.
fn copies_events() -> usize {
    RECORDING.windows(9).filter(|bytes| bytes == b"\r\nEvent: ").count()
        + usize::from(RECORDING.starts_with(b"Event: "))
}

/// Seconds from one copy to the next: the recording's own length and a pause.
pub(crate) fn step_secs(recording: &repeat::Repeated) -> i64 {
    recording.seconds().map_or(60, |(first, last)| last - first + 30)
}

/// A line of the result: `name  rate`.
fn line(stage: &str, count: usize, what: &str, bytes: usize, secs: f64) -> String {
    let rate = count as f64 / secs;
    let megabytes = bytes as f64 / secs / 1e6;
    format!("{stage:<24} {rate:>12.0} {what}/s {megabytes:>9.1} MB/s   ({count} {what}, {secs:.2} s)\n")
}
