//! `calltide log`: what is in the log, beside whoever writes it.
//!
//! Topics, journals, records as they are, what is damaged, and what may go. It must not know what records mean.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::embedded::{self, Cleaned, Lost};
use calltide_eventlog::{Cleanup, EventLog, LogError, Partition, ReadRecord};
use calltide_processor::lake::{LakeThread, Tables};
use calltide_query_api::reports::instant;
use calltide_schemas::topics::PREFIX;
use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::{Log, LogCat, Places};
use crate::cluster;
use crate::config::Config;
use crate::control;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::reader::{self, Patience};
use crate::site::{clean_log, open_log};

/// Read at once.
const READ_BYTES: usize = 4 << 20;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Log) -> Result<ExitCode> {
    let data = places.data();
    let config = Config::load(places, None)?;
    match asked {
        Log::Ls => ls(&*opened(&data, &config)?).map(|()| ExitCode::SUCCESS),
        Log::Cat(cat) => print(&*opened(&data, &config)?, cat).map(|()| ExitCode::SUCCESS),
        Log::Verify => {
            // `ingest` has a journal of its own there.
            if !data.log().is_dir() {
                cluster::only_without(&config, "brokers check what they keep; `calltide log cat` reads it")?;
            }
            verify(&data)
        }
        Log::Clean => {
            cluster::only_without(&config, "brokers remove what is older than [log] events and facts say")?;
            clean(&data, &config).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn opened(data: &DataDir, config: &Config) -> Result<Arc<dyn EventLog>> {
    let missing = || LogError::Missing { dir: data.log().display().to_string() };
    Ok(reader::log(data, config, Patience::None)?.ok_or_else(missing)?)
}

fn ls(log: &dyn EventLog) -> Result<()> {
    let right = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
    let mut topics = plain_table(["topic", "partition", "first", "next", "kept"]);
    for spec in log.topics() {
        for partition in 0..spec.partitions {
            let (first, next) = log.bounds(&spec.name, partition)?;
            let kept = match spec.cleanup {
                Cleanup::Delete { after: Some(after) } => span(after),
                Cleanup::Delete { after: None } => "for ever".to_owned(),
                Cleanup::Compact { after: None } => "the latest of each key".to_owned(),
                Cleanup::Compact { after: Some(after) } => format!("the latest of each key, {}", span(after)),
            };
            topics.add_row([
                Cell::new(&spec.name),
                right(partition.into()),
                right(first),
                right(next),
                Cell::new(kept),
            ]);
        }
    }
    let mut journals = plain_table(["journal", "events"]);
    for (journal, events) in log.journals("")? {
        journals.add_row([Cell::new(journal), right(events)]);
    }
    output::data(format!("{}\n{}", drawn(&topics), drawn(&journals)).as_bytes())
}

/// A time as people say it: `7d`, `36h`.
fn span(time: Duration) -> String {
    let hours = time.as_secs() / 3600;
    match hours % 24 {
        0 => format!("{}d", hours / 24),
        _ => format!("{hours}h"),
    }
}

/// A table with a line of titles and nothing else drawn.
pub(crate) fn plain_table<const N: usize>(titles: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(titles);
    table
}

/// As it is printed.
pub(crate) fn drawn(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A record as it is printed.
#[derive(Serialize)]
struct Printed<'a> {
    partition: u32,
    offset: u64,
    at: i64,
    key: &'a str,
    kind: &'a str,
    id: &'a str,
    /// The payload as it is; null for a key that was taken back.
    payload: Option<&'a RawValue>,
}

fn print(log: &dyn EventLog, asked: &LogCat) -> Result<()> {
    let topic = topic_named(log, &asked.topic)?;
    let partitions = log.partitions(&topic)?;
    let partitions = match asked.partition {
        Some(partition) if partition >= partitions => {
            return Err(Failure::new(Exit::NotFound, format!("{topic} has no partition {partition}"))
                .hint("`calltide log ls` lists the partitions"));
        }
        Some(partition) => partition..partition + 1,
        None => 0..partitions,
    };
    let mut left = asked.limit.unwrap_or(u64::MAX);
    for partition in partitions {
        if print_partition(log, &topic, partition, asked, &mut left)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Prints until `left` is used up; breaks when nobody reads on.
fn print_partition(
    log: &dyn EventLog,
    topic: &str,
    partition: Partition,
    asked: &LogCat,
    left: &mut u64,
) -> Result<ControlFlow<()>> {
    let (first, _) = log.bounds(topic, partition)?;
    let from = match &asked.since {
        Some(time) => log.offset_at(topic, partition, instant(time, "UTC")?.0)?,
        None => asked.from.max(first),
    };
    // What is being printed stays until it is.
    let _pin = log.pin(topic, partition, from)?;
    let mut next = from;
    while *left > 0 {
        let batch = log.read(topic, partition, next, READ_BYTES)?;
        for (from, to) in &batch.damaged {
            let last = to.saturating_sub(1);
            output::note(&format!("warning: offsets {from} to {last} are damaged; see `calltide log verify`"));
        }
        if batch.next == next {
            return Ok(ControlFlow::Continue(()));
        }
        next = batch.next;
        let mut text = Vec::new();
        for read in batch.records.iter().take(usize::try_from(*left).unwrap_or(usize::MAX)) {
            text.extend(line(partition, read)?);
            *left -= 1;
        }
        if output::data_to_the_end(&text)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Break(()))
}

/// The full name of a topic, given with or without the prefix.
fn topic_named(log: &dyn EventLog, asked: &str) -> Result<String> {
    let known: Vec<String> = log.topics().into_iter().map(|spec| spec.name).collect();
    let full = format!("{PREFIX}{asked}");
    match known.iter().find(|name| *name == asked || **name == full) {
        Some(name) => Ok(name.clone()),
        None => {
            let short =
                known.iter().map(|name| name.strip_prefix(PREFIX).unwrap_or(name)).collect::<Vec<_>>().join(", ");
            Err(Failure::new(Exit::NotFound, format!("there is no topic {asked}")).hint(format!("there are {short}")))
        }
    }
}

fn line(partition: Partition, read: &ReadRecord) -> Result<Vec<u8>> {
    let record = &read.record;
    let unreadable = |e: &dyn std::error::Error| {
        Failure::new(Exit::Failed, format!("the record at offset {} is not as this program writes it", read.offset))
            .because(e)
    };
    let printed = Printed {
        partition,
        offset: read.offset,
        at: record.at,
        key: std::str::from_utf8(&record.key).map_err(|e| unreadable(&e))?,
        kind: &record.kind,
        id: &record.id,
        payload: record.payload.as_deref().map(serde_json::from_slice).transpose().map_err(|e| unreadable(&e))?,
    };
    let mut text = serde_json::to_vec(&printed).map_err(|e| unreadable(&e))?;
    text.push(b'\n');
    Ok(text)
}

/// Removes what need not stay, or asks the running `up` to.
fn clean(data: &DataDir, config: &Config) -> Result<()> {
    if !data.log().exists() {
        return Err(Failure::new(Exit::NotFound, format!("no log in {}", data.path().display()))
            .hint("give the data directory with --data"));
    }
    let done = match open_log(data, config) {
        Ok(log) => {
            let lake = config.lake.place(data)?.open()?;
            let lake =
                LakeThread::start(lake, Arc::clone(&log) as Arc<dyn EventLog>, config.lake.options(), Tables::All)?;
            let done = clean_log(&log, &lake, config);
            lake.stop()?;
            done?
        }
        Err(locked) if locked.exit == Exit::Locked => control::clean_log(data)?.ok_or(locked)?,
        Err(error) => return Err(error),
    };
    let text = match done {
        Cleaned { deleted: 0, rewritten: 0, .. } => "nothing to remove\n".to_owned(),
        Cleaned { deleted, rewritten, bytes, .. } => {
            let megabytes = bytes as f64 / 1e6;
            format!("{megabytes:.1} MB freed: {deleted} segments deleted, {rewritten} written anew without what went\n")
        }
    };
    output::data(text.as_bytes())
}

fn verify(data: &DataDir) -> Result<ExitCode> {
    let damage = embedded::verify(&data.log())?;
    if damage.is_empty() {
        output::data(b"every record can be read\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for damage in &damage {
        let lost = match &damage.lost {
            Lost::Records { topic, partition, from, to } => {
                format!("{topic}/{partition}: offsets {from} to {to} are lost")
            }
            Lost::Changes { group, partition, from, to } => {
                format!("state of {group}/{partition}: changes {from} to {to} are lost")
            }
            Lost::Snapshot { group, partition } => format!("snapshot of {group}/{partition} is lost"),
            Lost::Nothing => "nothing is lost by it".to_owned(),
        };
        text.push_str(&format!("{} at byte {}: {lost}\n", damage.file.display(), damage.position));
    }
    output::data(text.as_bytes())?;
    let lost = damage.iter().any(|damage| damage.lost != Lost::Nothing);
    Ok(if lost { ExitCode::from(Exit::Failed.code()) } else { ExitCode::SUCCESS })
}
