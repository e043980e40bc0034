//! `calltide log`: what is in the log, beside whoever writes it.
//!
//! Topics, journals, records as they are, and what is damaged. It must not know what records mean.

use std::process::ExitCode;

use calltide_eventlog::embedded::{self, EmbeddedLog, Lost};
use calltide_eventlog::{Cleanup, EventLog, ReadRecord};
use calltide_schemas::topics::PREFIX;
use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::{Log, LogCat, Places};
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::output;

/// Read at once.
const READ_BYTES: usize = 4 << 20;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Log) -> Result<ExitCode> {
    let data = places.data();
    match asked {
        Log::Ls => ls(&data).map(|()| ExitCode::SUCCESS),
        Log::Cat(cat) => print(&data, cat).map(|()| ExitCode::SUCCESS),
        Log::Verify => verify(&data),
    }
}

fn ls(data: &DataDir) -> Result<()> {
    let log = EmbeddedLog::open_reader(&data.log())?;
    let right = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
    let mut topics = plain_table(["topic", "partition", "first", "next", "kept"]);
    for spec in log.topics() {
        for partition in 0..spec.partitions {
            let (first, next) = log.bounds(&spec.name, partition)?;
            let kept = match spec.cleanup {
                Cleanup::Delete { after: Some(after) } => format!("{} days", after.as_secs() / 86_400),
                Cleanup::Delete { after: None } => "for ever".to_owned(),
                Cleanup::Compact => "the latest of each key".to_owned(),
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
    offset: u64,
    at: i64,
    key: &'a str,
    kind: &'a str,
    id: &'a str,
    /// The payload as it is; null for a key that was taken back.
    payload: Option<&'a RawValue>,
}

fn print(data: &DataDir, asked: &LogCat) -> Result<()> {
    let log = EmbeddedLog::open_reader(&data.log())?;
    let topic = topic_named(&log, &asked.topic)?;
    let (first, _) = log.bounds(&topic, 0)?;
    let (mut next, mut left) = (asked.from.max(first), asked.limit.unwrap_or(u64::MAX));
    while left > 0 {
        let batch = log.read(&topic, 0, next, READ_BYTES)?;
        for (from, to) in &batch.damaged {
            output::note(&format!("warning: offsets {from} to {to} are damaged; see `calltide log verify`"));
        }
        if batch.next == next {
            return Ok(());
        }
        next = batch.next;
        let mut text = Vec::new();
        for read in batch.records.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            text.extend(line(read)?);
            left -= 1;
        }
        if output::data_to_the_end(&text)?.is_break() {
            return Ok(());
        }
    }
    Ok(())
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

fn line(read: &ReadRecord) -> Result<Vec<u8>> {
    let record = &read.record;
    let unreadable = |e: &dyn std::error::Error| {
        Failure::new(Exit::Failed, format!("the record at offset {} is not as this program writes it", read.offset))
            .because(e)
    };
    let printed = Printed {
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
