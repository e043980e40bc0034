//! `calltide replay`: derives every table again, from the log where it reaches back to the beginning, else from the archive.
//!
//! A new calls fold takes in every raw event; its rows fill a new generation of the tables, its state replaces the committed one,
//! and the generation is swapped in when it is complete. Until then readers see the old one. Nothing is published again.
//! What calls come to is told anew to the fold of agents ([`told`]); those of recycling take in again what they were told then.

mod told;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use calltide_eventlog::embedded::EmbeddedLog;
use calltide_eventlog::{EventLog, Offset, ReadRecord, Record};
use calltide_processor::agents::Agents;
use calltide_processor::calls::Calls;
use calltide_processor::fold::{Effects, Fold};
use calltide_processor::lake::{GenerationWriter, Lake, LakeThread, Tables};
use calltide_processor::recycling::{Contacts, Numbers};
use calltide_query_api::engine::{Engine, EngineOptions, LakePlace, Principal};
use calltide_schemas::topics::{EVENTS, IN_AGENTS, IN_CONTACTS, IN_NUMBERS, TOPICS};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Places, Replay, ReplayFrom};
use crate::cluster;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::site::open_log;
use told::Telling;

/// Rows that wait in memory before they are written.
const BYTES_MAX: usize = 64 << 20;
/// The group of the fold of calls.
const FOLD: &str = "calls";
/// Read from the log at once.
const READ_BYTES: usize = 4 << 20;
/// Offsets read from the archive at once: some tens of megabytes.
const ARCHIVE_OFFSETS: u64 = 20_000;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Replay) -> Result<()> {
    let config = Config::load(places, None)?;
    let data = places.data();
    cluster::only_without(&config, "a replay over Kafka is not there yet")?;
    if !data.log().exists() {
        return Err(Failure::new(Exit::NotFound, format!("no data in {}", data.path().display()))
            .hint("give the data directory with --data, or import something first"));
    }
    let log = open_log(&data, &config)?;
    let place = config.lake.place(&data)?;
    let lake = place.open()?;
    // The archive is carried over as it is, so it must have everything first.
    let thread =
        LakeThread::start(lake.clone(), Arc::clone(&log) as Arc<dyn EventLog>, config.lake.options(), Tables::All)?;
    let flushed = thread.flush_and_wait();
    thread.stop()?;
    flushed?;

    let (start, end) = log.bounds(EVENTS, 0)?;
    let from_archive = match asked.from {
        Some(from) => from == ReplayFrom::Archive,
        None => start > 0,
    };
    let bar = progress(end);
    let mut replay = Derivation::new(&lake, &config)?;
    let mut next = start;
    if from_archive {
        next = replay.archive(place.readable()?, end, &bar)?;
    }
    replay.log(&*log, next, end, &bar)?;
    replay.recycling(&log)?;
    replay.agents(&log)?;
    bar.finish_and_clear();
    let (rows, generation) = replay.finish(&log, end)?;
    output::note(&format!("derived {rows} rows again from {end} records; the tables are generation {generation}"));
    Ok(())
}

/// A fold from the beginning and the tables that it fills.
struct Derivation {
    fold: Calls,
    state: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    tables: GenerationWriter,
    rows: u64,
    /// What the fold of agents is told of calls.
    telling: Option<Telling>,
    /// The states of other folds.
    others: Vec<Derived>,
    /// Tables that are taken over as they are.
    carried: Vec<&'static str>,
}

/// A fold's state, derived anew.
struct Derived {
    group: &'static str,
    topic: &'static str,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where its work goes on.
    next: Offset,
}

impl Derivation {
    fn new(lake: &Lake, config: &Config) -> Result<Self> {
        let mut tables = lake.new_generation(BYTES_MAX)?;
        tables.carry_over("inputs", 1)?;
        let (others, carried) = (Vec::new(), Vec::new());
        let fold = Calls::new(config.call_settings());
        let telling = Some(Telling::new()?);
        Ok(Self { fold, state: BTreeMap::new(), tables, rows: 0, telling, others, carried })
    }

    /// The folds of recycling take in again what they were told; what calls come to now is not told again. Where the log does
    /// not reach back to its beginning, their tables stay as they are.
    fn recycling(&mut self, log: &EmbeddedLog) -> Result<()> {
        if log.bounds(IN_CONTACTS, 0)?.0 > 0 || log.bounds(IN_NUMBERS, 0)?.0 > 0 {
            self.carry_over(&["`contacts`", "`numbers`"])?;
            output::note(
                "the log does not reach back to the first contacts: verdicts and do-not-call entries stay as they are",
            );
            return Ok(());
        }
        self.other(log, ("contacts", IN_CONTACTS), Contacts::new(), &mut AsTold)?;
        self.other(log, ("numbers", IN_NUMBERS), Numbers::new(), &mut AsTold)
    }

    /// The fold of agents is told what calls come to now, and the rest again as it was. Where the log does not reach back to the
    /// beginning, nobody knows who was who, and its tables stay as they are.
    fn agents(&mut self, log: &EmbeddedLog) -> Result<()> {
        let Some(telling) = self.telling.take() else { return Ok(()) };
        if log.bounds(IN_AGENTS, 0)?.0 > 0 {
            output::note(
                "the log does not reach back to the first directory: agents' tables and charges stay as they are",
            );
            return self.carry_over(&["`agents`"]);
        }
        let mut logged = HashSet::new();
        read_all(log, IN_AGENTS, &mut |records| {
            logged.extend(records.iter().map(told::hash));
            Ok(())
        })?;
        self.other(log, ("agents", IN_AGENTS), Agents::new(), &mut telling.told(logged)?)
    }

    /// Tables of these folds stay as they are.
    fn carry_over(&mut self, folds: &[&str]) -> Result<()> {
        for topic in TOPICS.iter().filter(|topic| folds.iter().any(|fold| topic.writer.contains(fold))) {
            if let Some(table) = topic.table {
                self.tables.carry_over(table, 1)?;
                self.carried.push(topic.name);
            }
        }
        Ok(())
    }

    fn other(
        &mut self,
        log: &EmbeddedLog,
        (group, topic): (&'static str, &'static str),
        mut fold: impl Fold,
        tells: &mut dyn Tells,
    ) -> Result<()> {
        let mut state = BTreeMap::new();
        let mut take = |records: Vec<Record>| {
            let mut effects = Effects::default();
            records.iter().for_each(|record| fold.apply(record, &mut effects));
            for change in fold.changes() {
                match change.value {
                    Some(value) => drop(state.insert(change.key, value)),
                    None => drop(state.remove(&change.key)),
                }
            }
            self.push(effects)
        };
        let next = read_all(log, topic, &mut |records| {
            let mut told = Vec::new();
            for record in records {
                told.extend(tells.instead_of(record)?);
            }
            take(told)
        })?;
        while let Some(rest) = Some(tells.rest()?).filter(|rest| !rest.is_empty()) {
            take(rest)?;
        }
        self.others.push(Derived { group, topic, state, next });
        Ok(())
    }

    fn push(&mut self, effects: Effects) -> Result<()> {
        for output in effects.outputs {
            if let Some(telling) = self.telling.as_mut().filter(|_| output.topic == IN_AGENTS) {
                telling.push(&output.record)?;
                continue;
            }
            let table = TOPICS.iter().find(|topic| topic.name == output.topic).and_then(|topic| topic.table);
            if let Some(table) = table {
                let read = ReadRecord { offset: self.rows, record: output.record };
                // One order for all of them, whatever partition they would go to.
                self.tables.push(table, 0, read)?;
                self.rows += 1;
            }
        }
        Ok(())
    }

    fn take(&mut self, records: impl Iterator<Item = Record>) -> Result<()> {
        let mut effects = Effects::default();
        for record in records {
            self.fold.apply(&record, &mut effects);
        }
        self.state.extend(self.fold.changes().into_iter().map(|change| (change.key, change.value)));
        self.push(effects)
    }

    fn log(&mut self, log: &dyn EventLog, from: Offset, end: Offset, bar: &ProgressBar) -> Result<()> {
        let mut next = from;
        while next < end {
            let batch = log.read(EVENTS, 0, next, READ_BYTES)?;
            if batch.next == next {
                break;
            }
            if let Some((first, last)) = batch.damaged.first() {
                let error = format!("events of the log are damaged, the first of them at offsets {first} to {last}");
                return Err(Failure::new(Exit::Failed, error).hint(
                    "nothing was changed; `calltide replay --from archive` takes the events from the tables, \
                     `calltide log verify` shows all that is damaged",
                ));
            }
            next = batch.next;
            self.take(batch.records.into_iter().map(|read| read.record))?;
            bar.set_position(next);
        }
        Ok(())
    }

    /// Takes in the archive, window by window in the order of offsets; returns where the log goes on.
    fn archive(&mut self, lake: LakePlace, end: Offset, bar: &ProgressBar) -> Result<Offset> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, "cannot start reading the archive").because(&error))?;
        let engine = Engine::new(EngineOptions::new(lake, None))?;
        let mut next = 0;
        while next < end {
            let until = (next + ARCHIVE_OFFSETS).min(end);
            let sql = format!(
                "SELECT \"offset\", payload FROM inputs WHERE \"offset\" >= {next} AND \"offset\" < {until} ORDER BY \"offset\""
            );
            let rows = runtime.block_on(engine.query(&Principal::local(), &sql))?;
            let payloads = archived(&rows)?;
            self.take(payloads.into_iter().map(|payload| Record { payload: Some(payload), ..Record::default() }))?;
            next = until;
            bar.set_position(next);
        }
        Ok(end)
    }

    /// Replaces the committed state and swaps the tables in. The state comes first: with it alone, running again mends all.
    fn finish(self, log: &EmbeddedLog, end: Offset) -> Result<(u64, String)> {
        let state = self.state.into_iter().filter_map(|(key, value)| Some((key, value?)));
        log.replace_state((FOLD, EVENTS, 0), state.collect(), end)?;
        for Derived { group, topic, state, next } in self.others {
            log.replace_state((group, topic, 0), state, next)?;
        }
        let mut progress = Vec::new();
        let carried = |name: &str| name == EVENTS || self.carried.contains(&name);
        for topic in TOPICS.iter().filter(|topic| topic.table.is_some() && !carried(topic.name)) {
            progress.push((topic.name.to_owned(), 0, log.bounds(topic.name, 0)?.1));
        }
        Ok((self.rows, self.tables.finish(&progress)?))
    }
}

/// What a fold is told again.
trait Tells {
    /// Where this record of the log stands.
    fn instead_of(&mut self, logged: Record) -> Result<Vec<Record>>;

    /// Behind the log's end, some at a time; nothing when all is told.
    fn rest(&mut self) -> Result<Vec<Record>>;
}

/// What it was told then.
struct AsTold;

impl Tells for AsTold {
    fn instead_of(&mut self, logged: Record) -> Result<Vec<Record>> {
        Ok(vec![logged])
    }

    fn rest(&mut self) -> Result<Vec<Record>> {
        Ok(Vec::new())
    }
}

/// Reads a topic from its beginning to its end, which is returned.
fn read_all(log: &EmbeddedLog, topic: &str, each: &mut dyn FnMut(Vec<Record>) -> Result<()>) -> Result<Offset> {
    let (mut next, end) = log.bounds(topic, 0)?;
    while next < end {
        let batch = log.read(topic, 0, next, READ_BYTES)?;
        each(batch.records.into_iter().map(|read| read.record).collect())?;
        next = batch.next;
    }
    Ok(end)
}

/// The payloads of archived events, in order.
fn archived(rows: &calltide_query_api::engine::QueryOutput) -> Result<Vec<Vec<u8>>> {
    let text = calltide_query_api::format::write(rows, calltide_query_api::format::Format::Json)
        .map_err(|error| Failure::new(Exit::Failed, "cannot read the archive").because(&error))?;
    #[derive(serde::Deserialize)]
    struct Archived {
        payload: String,
    }
    let rows: Vec<Archived> = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(Exit::Failed, "cannot read the archive").because(&error))?;
    Ok(rows.into_iter().map(|row| row.payload.into_bytes()).collect())
}

fn progress(end: Offset) -> ProgressBar {
    let style = ProgressStyle::with_template("deriving {wide_bar} {pos}/{len} records, {per_sec}, {eta} left");
    let bar = ProgressBar::new(end);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
