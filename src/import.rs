//! `calltide import`: files into the log, while calls are derived and tables written beside it.
//!
//! Opens the data directory itself or, where a running `up` has it open, asks that one to do it ([`crate::control`]): the
//! person sees the same either way. What is read from the files is not known here.

use std::collections::HashSet;
use std::path::PathBuf;

use calltide_eventlog::EventLog;
use calltide_ingest::decode::cel::CelColumns;
use calltide_ingest::import::{ImportPlan, ImportSummary, Progress};
use calltide_schemas::Micros;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::args::{Import, Places};
use crate::clock;
use crate::cluster;
use crate::config::Config;
use crate::control;
use crate::errors::{Exit, Failure, Result};
use crate::fold::Time;
use crate::output;
use crate::site::Site;

/// Read from the log at once while counting what was derived.
const READ_BYTES: usize = 4 << 20;

/// What is to be imported, as it is sent to a running `up`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pbx: Option<String>,
    ami: Vec<PathBuf>,
    cel: Vec<PathBuf>,
    queue_log: Vec<PathBuf>,
    tz: String,
    cel_columns: Vec<String>,
    keep_open: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    read: Read,
    calls: u64,
    corrections: u64,
    rejects: u64,
}

/// What was in the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    pbx: String,
    appended: u64,
    already_there: u64,
    unreadable: u64,
    span: Option<(Micros, Micros)>,
}

impl From<ImportSummary> for Read {
    fn from(summary: ImportSummary) -> Self {
        let ImportSummary { pbx, appended, already_there, unreadable, span, .. } = summary;
        Self { pbx, appended, already_there, unreadable, span }
    }
}

/// How far it is, as told to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Files are being read.
    Reading {
        /// Bytes read.
        done: u64,
        /// Bytes to read.
        total: u64,
        /// Events so far.
        items: u64,
    },
    /// Everything is in the log; calls are derived and tables written.
    Deriving,
}

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Import) -> Result<()> {
    let config = Config::load(places, None)?;
    let order = Order::of(asked, &config)?;
    let data = places.data();
    let bar = Bar::new();
    if let Some(options) = config.kafka(&data)? {
        let log = cluster::open(&options, &config)?;
        let summary = read_files(&*log, &config, &order, &mut |stage| bar.show(stage))?;
        drop(bar);
        output::complain(&format!("{}the processors derive calls from it now\n", Read::from(summary)));
        return Ok(());
    }
    let outcome = match Site::open(&data, &config, Time::Stands) {
        Ok(site) => {
            let outcome = carry_out(&site, &config, &order, &mut |stage| bar.show(stage));
            // What was appended before an error is derived all the same.
            let closed = site.close();
            let outcome = outcome?;
            closed?;
            outcome
        }
        Err(locked) if locked.exit == Exit::Locked => {
            match control::import(&data, &order, &mut |stage| bar.show(stage))? {
                Some(outcome) => outcome,
                None => return Err(locked),
            }
        }
        Err(error) => return Err(error),
    };
    drop(bar);
    output::complain(&outcome.to_string());
    Ok(())
}

impl Order {
    fn of(asked: &Import, config: &Config) -> Result<Self> {
        let configured = config.pbx.iter().find(|pbx| Some(&pbx.id) == asked.pbx.as_ref());
        let order = Self {
            pbx: asked.pbx.clone(),
            ami: absolute(&asked.ami)?,
            cel: absolute(&asked.cel)?,
            queue_log: absolute(&asked.queue_log)?,
            tz: asked.tz.clone().or(configured.and_then(|pbx| pbx.tz.clone())).unwrap_or_else(|| "UTC".to_owned()),
            cel_columns: match configured {
                Some(pbx) if asked.cel_columns.is_empty() => pbx.cel_columns.clone(),
                Some(_) | None => asked.cel_columns.clone(),
            },
            keep_open: asked.keep_open,
        };
        // Told before anything is opened.
        order.plan(config).map(|_| order)
    }

    fn plan(&self, config: &Config) -> Result<ImportPlan> {
        let tz = TimeZone::get(&self.tz).map_err(|_| {
            Failure::new(Exit::Usage, format!("unknown time zone `{}`", self.tz))
                .hint("give an IANA name such as Europe/Moscow or UTC")
        })?;
        let cel_columns = match self.cel_columns.as_slice() {
            [] => CelColumns::default(),
            names => CelColumns::new(names).map_err(|error| Failure::of(Exit::Usage, &error))?,
        };
        Ok(ImportPlan {
            pbx: self.pbx.clone(),
            ami: self.ami.clone(),
            cel: self.cel.clone(),
            queue_log: self.queue_log.clone(),
            tz,
            cel_columns,
            keep_open: self.keep_open,
            redaction: config.calls.redaction(),
        })
    }
}

/// Another process has another working directory.
fn absolute(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let absolute = |file: &PathBuf| std::path::absolute(file).map_err(|e| Failure::io("find", file, &e));
    files.iter().map(absolute).collect()
}

/// Imports into an open data directory and waits until everything is in the tables.
pub(crate) fn carry_out(site: &Site, config: &Config, order: &Order, told: &mut dyn FnMut(Stage)) -> Result<Outcome> {
    let before = Derived::begin(&*site.log)?;
    let summary = read_files(&*site.log, config, order, told)?;
    told(Stage::Deriving);
    site.flush()?;
    before.until_now(&*site.log, summary)
}

/// Everything that is in the files is in the log afterwards.
fn read_files(
    log: &dyn EventLog,
    config: &Config,
    order: &Order,
    told: &mut dyn FnMut(Stage),
) -> Result<ImportSummary> {
    let mut progress = |Progress { bytes_done, bytes_total, items }| {
        told(Stage::Reading { done: bytes_done, total: bytes_total, items });
    };
    Ok(calltide_ingest::import::import(log, &order.plan(config)?, clock::now(), &mut progress)?)
}

/// Where the derived topics stood before the import.
struct Derived {
    calls: u64,
    rejects: u64,
}

impl Derived {
    fn begin(log: &dyn EventLog) -> Result<Self> {
        let end = |topic| log.bounds(topic, 0).map(|(_, end)| end);
        Ok(Self { calls: end("calltide.calls")?, rejects: end("calltide.rejects")? })
    }

    fn until_now(self, log: &dyn EventLog, summary: ImportSummary) -> Result<Outcome> {
        let mut outcome = Outcome { read: summary.into(), calls: 0, corrections: 0, rejects: 0 };
        let of_this_pbx = format!("{}/", outcome.read.pbx).into_bytes();
        let (mut new, mut changed) = (HashSet::new(), HashSet::new());
        each(log, "calltide.calls", self.calls, |record| {
            let is_first = record.id.ends_with(":1");
            if !record.key.starts_with(&of_this_pbx) {
                // Of a PBX that is collected from meanwhile.
            } else if record.payload.is_none() {
                new.remove(&record.key);
            } else if is_first {
                new.insert(record.key.clone());
            } else if !new.contains(&record.key) {
                changed.insert(record.key.clone());
            }
        })?;
        outcome.calls = new.len() as u64;
        outcome.corrections = changed.len() as u64;
        each(log, "calltide.rejects", self.rejects, |_| outcome.rejects += 1)?;
        Ok(outcome)
    }
}

fn each(log: &dyn EventLog, topic: &str, from: u64, mut take: impl FnMut(&calltide_eventlog::Record)) -> Result<()> {
    let mut next = from;
    loop {
        let batch = log.read(topic, 0, next, READ_BYTES)?;
        if batch.next == next {
            return Ok(());
        }
        batch.records.iter().for_each(|read| take(&read.record));
        next = batch.next;
    }
}

impl Outcome {
    /// The PBX.
    pub(crate) fn pbx(&self) -> &str {
        &self.read.pbx
    }

    /// Calls that were not known before.
    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let span = self.span.map(|(from, to)| format!(", from {} to {} UTC", second(from), second(to)));
        writeln!(f, "imported {}: {} new events{}", self.pbx, self.appended, span.unwrap_or_default())?;
        writeln!(f, "  already there  {}", self.already_there)?;
        writeln!(f, "  unreadable     {}", self.unreadable)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.read.fmt(f)?;
        writeln!(f, "  new calls      {}", self.calls)?;
        writeln!(f, "  changed calls  {}", self.corrections)?;
        writeln!(f, "  rejects        {}", self.rejects)?;
        if self.rejects > 0 {
            writeln!(f, "why: calltide sql \"SELECT reason, count(*) FROM rejects GROUP BY reason\"")?;
        }
        Ok(())
    }
}

fn second(at: Micros) -> String {
    Timestamp::from_microsecond(at.0)
        .map_or_else(|_| at.0.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The progress bar; it shows nothing where stderr is no terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        Self(ProgressBar::new(0))
    }

    fn show(&self, stage: Stage) {
        match stage {
            Stage::Reading { done, total, items } => {
                self.0.set_length(total);
                if let Ok(style) = ProgressStyle::with_template(
                    "reading {bar:30} {bytes}/{total_bytes} {msg} {bytes_per_sec} {eta} left",
                ) {
                    self.0.set_style(style);
                }
                self.0.set_message(format!("{items} events"));
                self.0.set_position(done);
            }
            Stage::Deriving => {
                if let Ok(style) = ProgressStyle::with_template("{spinner} deriving calls and writing tables {elapsed}")
                {
                    self.0.set_style(style);
                }
                self.0.enable_steady_tick(std::time::Duration::from_millis(100));
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;

    #[test]
    fn the_summary_tells_what_was_new() {
        let read = Read {
            pbx: "site-a".to_owned(),
            appended: 12,
            already_there: 3,
            unreadable: 1,
            span: Some((Micros::from_secs(0), Micros::from_secs(60))),
        };
        let outcome = Outcome { read, calls: 2, corrections: 0, rejects: 1 };
        let text = outcome.to_string();
        assert!(
            text.starts_with("imported site-a: 12 new events, from 1970-01-01 00:00:00 to 1970-01-01 00:01:00 UTC\n")
        );
        assert!(text.contains("already there  3\n") && text.contains("SELECT reason"), "{text}");
        let read: Outcome = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
        assert_eq!(read, outcome);
    }

    #[test]
    fn files_are_named_absolutely() {
        let named = absolute(&[PathBuf::from("x")]).unwrap();
        assert!(named[0].is_absolute() && named[0].ends_with(Path::new("x")));
    }
}
