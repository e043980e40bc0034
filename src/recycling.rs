//! `calltide recycling`: why a contact is called again or is not, and what other rules would have done.
//!
//! Both only read: the tables, and what the log has of that history. What rules mean is decided by the folds.

use std::collections::{BTreeMap, VecDeque};

use calltide_eventlog::{EventLog, Offset, Partition, Record};
use calltide_processor::recycling::{Outcome, Rules, Simulation};
use calltide_query_api::format;
use calltide_schemas::Micros;
use calltide_schemas::recycling::ContactKey;
use calltide_schemas::topics::{IN_CONTACTS, IN_NUMBERS};
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{Format, Places, Recycling, Simulate, Why};
use crate::clock;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::reader::{self, Patience, Reader};
use crate::sql::written;

/// Read from the log at once.
const READ_BYTES: usize = 1 << 20;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Recycling) -> Result<()> {
    match asked {
        Recycling::Why(asked) => why(places, asked),
        Recycling::Simulate(asked) => simulate(places, asked),
    }
}

fn why(places: &Places, asked: &Why) -> Result<()> {
    let reader = Reader::open(places)?;
    let key = ContactKey::new(&asked.campaign, &asked.contact).to_string().replace('\'', "''");
    let sql = format!(
        "SELECT decided_at, verdict, due_at, number_e164 AS number, rule, reason, \"trigger\", rules_version, verdict_id, facts \
         FROM verdicts WHERE contact_key = '{key}' ORDER BY length(verdict_id), verdict_id"
    );
    let answer = reader.ask(async |engine| engine.query(&calltide_query_api::Principal::local(), &sql).await)?;
    reader.tell_of_lacking(&answer);
    if answer.rows() == 0 {
        let error = format!("there is no contact {} in campaign {}", asked.contact, asked.campaign);
        return Err(Failure::new(Exit::NotFound, error)
            .hint("calltide sql \"SELECT campaign, contact, verdict FROM contacts LIMIT 20\" shows some"));
    }
    if asked.format != Format::Table {
        return output::data(&written(&answer, asked.format)?);
    }
    let unreadable = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "the verdicts cannot be shown").because(e);
    let rows = format::write(&answer, format::Format::Json).map_err(|e| unreadable(&e))?;
    let rows: Vec<Told> = serde_json::from_slice(&rows).map_err(|e| unreadable(&e))?;
    let mut text = String::new();
    for row in rows {
        let due = row.due_at.map(|due| format!(" at {due}")).unwrap_or_default();
        let number = row.number.map(|number| format!(" on {number}")).unwrap_or_default();
        text += &format!("{}  {}{due}{number}\n", row.decided_at, row.verdict);
        text += &format!("    rule {}, version {}, after {}\n", row.rule, row.rules_version, row.trigger);
        text += &format!("    {}\n    {}\n", row.reason, row.facts);
    }
    output::data(text.as_bytes())
}

/// A verdict as it is told.
#[derive(Deserialize)]
struct Told {
    decided_at: String,
    verdict: String,
    due_at: Option<String>,
    number: Option<String>,
    rule: String,
    reason: String,
    trigger: String,
    rules_version: i64,
    facts: String,
}

fn simulate(places: &Places, asked: &Simulate) -> Result<()> {
    let config = Config::load(places, None)?;
    let tried = Config::load(&Places { config: Some(asked.rules.clone()), ..places.clone() }, None)?;
    let data = places.data();
    let Some(log) = reader::log(&data, &config, Patience::None)? else {
        let error = format!("there is no log in {}", data.path().display());
        return Err(Failure::new(Exit::NotFound, error).hint("give the data directory with --data"));
    };
    let rules = Rules::These(Box::new(tried.site_rules(Micros(0), &asked.rules.display().to_string())?));
    let first = Rules::OfThatTime(Box::new(config.site_rules(Micros(0), "the configuration")?));
    let (mut before, mut after) = (Simulation::new(first), Simulation::new(rules));
    let mut history = History::open(&*log)?;
    if history.is_cut {
        output::note("warning: the log does not reach back to the first contacts; the history begins later");
    }
    let mut last = None;
    while let Some((topic, record)) = history.next(&*log)? {
        before.take(topic, &record);
        after.take(topic, &record);
        last = last.max(Some(Micros(record.at)));
    }
    history.bar.finish_and_clear();
    let Some(last) = last else {
        return Err(Failure::new(Exit::NotFound, "the log knows of no contacts yet")
            .hint("load some with `calltide contacts load`, or import calls of campaigns"));
    };
    // What became due since then is a part of it.
    let now = clock::now().max(last);
    before.until(now);
    after.until(now);
    show(&before.outcome(), &after.outcome(), asked.format)
}

const COLUMNS: [&str; 12] = [
    "contacts",
    "due",
    "withdrawn",
    "capped",
    "retry",
    "held",
    "done",
    "exhausted",
    "suppressed",
    "invalid",
    "retargeted",
    "closed",
];

fn show(before: &BTreeMap<String, Outcome>, after: &BTreeMap<String, Outcome>, format: Format) -> Result<()> {
    let mut rows = Vec::new();
    let campaigns: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for campaign in campaigns {
        for (rules, outcomes) in [("as they were", before), ("new", after)] {
            let outcome = outcomes.get(campaign).copied().unwrap_or_default();
            let mut row = json!({ "campaign": campaign, "rules": rules });
            let counts = serde_json::to_value(outcome).unwrap_or_default();
            COLUMNS.iter().for_each(|column| row[*column] = counts[*column].clone());
            rows.push(row);
        }
    }
    let names = || ["campaign", "rules"].into_iter().chain(COLUMNS);
    let cell = |row: &Value, name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&rows).unwrap_or_default();
            output::data(format!("{text}\n").as_bytes())
        }
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let failed = |e: csv::Error| Failure::new(Exit::Failed, "the answer cannot be written").because(&e);
            writer.write_record(names()).map_err(failed)?;
            for row in &rows {
                writer.write_record(names().map(|name| cell(row, name))).map_err(failed)?;
            }
            output::data(&writer.into_inner().unwrap_or_default())
        }
        Format::Table => {
            let mut table = Table::new();
            table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(names());
            for row in &rows {
                table.add_row(names().map(|name| {
                    let number = if row[name].is_number() { CellAlignment::Right } else { CellAlignment::Left };
                    Cell::new(cell(row, name)).set_alignment(number)
                }));
            }
            output::data(format!("{table}\n").as_bytes())
        }
    }
}

/// What was told to recycling, all partitions merged by time.
struct History {
    streams: Vec<Stream>,
    is_cut: bool,
    bar: ProgressBar,
}

struct Stream {
    topic: &'static str,
    partition: Partition,
    next: Offset,
    end: Offset,
    read: VecDeque<Record>,
}

impl History {
    fn open(log: &dyn EventLog) -> Result<Self> {
        let (mut streams, mut is_cut, mut total) = (Vec::new(), false, 0);
        for topic in [IN_CONTACTS, IN_NUMBERS] {
            for partition in 0..log.partitions(topic)? {
                let (next, end) = log.bounds(topic, partition)?;
                is_cut |= next > 0;
                total += end - next;
                streams.push(Stream { topic, partition, next, end, read: VecDeque::new() });
            }
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("replaying {wide_bar} {pos}/{len} records, {eta} left") {
            bar.set_style(style);
        }
        Ok(Self { streams, is_cut, bar })
    }

    /// The earliest record that is left.
    fn next(&mut self, log: &dyn EventLog) -> Result<Option<(&'static str, Record)>> {
        for stream in &mut self.streams {
            while stream.read.is_empty() && stream.next < stream.end {
                let batch = log.read(stream.topic, stream.partition, stream.next, READ_BYTES)?;
                if batch.next == stream.next {
                    stream.next = stream.end;
                }
                stream.next = stream.next.max(batch.next);
                stream.read.extend(batch.records.into_iter().map(|read| read.record));
            }
        }
        let earliest = self.streams.iter_mut().filter(|stream| !stream.read.is_empty());
        let earliest = earliest.min_by_key(|stream| stream.read.front().map(|record| record.at));
        self.bar.inc(1);
        Ok(earliest.and_then(|stream| Some((stream.topic, stream.read.pop_front()?))))
    }
}
