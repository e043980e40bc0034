//! `calltide lake`: what the tables consist of, and what keeps them small and soon opened: merging, dropping old days, removing
//! old files, checkpoints.
//!
//! The work is done by the tables' one writer: this process, or a running `up`, which is asked by its control socket. What
//! may be merged, dropped or removed is decided in `calltide_processor::lake`.

use calltide_processor::lake::{Done, LakeThread, Tables, Upkeep};
use comfy_table::{Cell, CellAlignment};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::args;
use crate::args::Places;
use crate::cluster;
use crate::config::Config;
use crate::control;
use crate::errors::{Exit, Failure, Result};
use crate::log::{drawn, plain_table};
use crate::output;
use crate::place::Place;
use crate::site::open_log;

/// What is to be done, as it is sent to a running `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    task: Task,
    dry_run: bool,
}

/// One of the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    Compact,
    Vacuum,
    Retain,
    Checkpoint,
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    table: Option<String>,
    what: String,
    files: usize,
    rows: u64,
    bytes: u64,
}

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &args::Lake) -> Result<()> {
    let data = places.data();
    let config = Config::load(places, None)?;
    let place = config.lake.place(&data)?;
    if !place.may_have_tables() {
        return Err(Failure::new(Exit::NotFound, format!("there are no tables in {}", data.path().display()))
            .hint("`calltide import` or `calltide up` makes them; give the right directory with --data"));
    }
    let (task, how) = match asked {
        args::Lake::Ls => return ls(&place),
        args::Lake::Compact(how) => (Task::Compact, how),
        args::Lake::Vacuum(how) => (Task::Vacuum, how),
        args::Lake::Checkpoint(how) => (Task::Checkpoint, how),
        args::Lake::Retain(how) => (Task::Retain, how),
    };
    cluster::only_without(
        &config,
        "processors look after the tables by themselves, as often as [lake] upkeep_every says",
    )?;
    if task == Task::Retain && config.lake.retention().is_empty() {
        return Err(Failure::new(Exit::Usage, "every table keeps all of its days")
            .hint("[lake] retain_days in calltide.toml says how many to keep"));
    }
    let work = Work { task, dry_run: how.dry_run };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut all = Vec::new();
    let mut told = |told: Told| {
        bar.set_message(told.line(work.dry_run));
        all.push(told);
    };
    match open_log(&data, &config) {
        Ok(log) => {
            let lake = place.open()?;
            let thread = LakeThread::start(lake, log, config.lake.options(), Tables::All)?;
            let done = thread.upkeep(work.upkeep(&config), &mut |done| told(Told::of(&done)));
            thread.stop()?;
            done?;
        }
        Err(locked) if locked.exit == Exit::Locked => {
            if control::upkeep(&data, work, &mut told)?.is_none() {
                return Err(locked);
            }
        }
        Err(error) => return Err(error),
    }
    bar.finish_and_clear();
    output::data(summary(&all, work.dry_run).as_bytes())
}

impl Work {
    /// As the writer takes it.
    pub(crate) fn upkeep(self, config: &Config) -> Upkeep {
        Upkeep {
            compact: self.task == Task::Compact,
            retain: (self.task == Task::Retain).then(|| config.lake.retention()),
            vacuum: self.task == Task::Vacuum,
            checkpoint: self.task == Task::Checkpoint,
            dry_run: self.dry_run,
        }
    }
}

impl Told {
    pub(crate) fn of(done: &Done) -> Self {
        Self {
            table: done.table.map(str::to_owned),
            what: done.what.to_owned(),
            files: done.files,
            rows: done.rows,
            bytes: done.bytes,
        }
    }

    fn line(&self, dry_run: bool) -> String {
        let table = self.table.as_deref().unwrap_or("all tables");
        let mut line = format!("{table}: {}{} {}", if dry_run { "would be " } else { "" }, self.what, self.files);
        line += if self.table.is_some() { " files" } else { "" };
        if self.bytes > 0 {
            line += &format!(", {:.1} MB", self.bytes as f64 / 1e6);
        }
        if self.rows > 0 {
            line += &format!(", {} rows", self.rows);
        }
        line
    }
}

/// A line for each table and what was done to it.
fn summary(all: &[Told], dry_run: bool) -> String {
    let mut sums: Vec<Told> = Vec::new();
    for told in all {
        match sums.iter_mut().find(|sum| (&sum.table, &sum.what) == (&told.table, &told.what)) {
            Some(sum) => {
                sum.files += told.files;
                sum.rows += told.rows;
                sum.bytes += told.bytes;
            }
            None => sums.push(told.clone()),
        }
    }
    match sums.as_slice() {
        [] => "nothing to do\n".to_owned(),
        sums => sums.iter().map(|told| told.line(dry_run) + "\n").collect(),
    }
}

fn ls(place: &Place) -> Result<()> {
    let lake = place.look()?;
    let right = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
    let mut table = plain_table(["table", "rows", "files", "bytes", "oldest", "newest", "version", "checkpoint"]);
    for state in lake.tables()? {
        let (oldest, newest) = state.days.unwrap_or_default();
        let checkpoint = state.checkpoint.map(|version| version.to_string()).unwrap_or_default();
        table.add_row([
            Cell::new(state.table),
            right(state.rows),
            right(state.files as u64),
            right(state.bytes),
            Cell::new(oldest),
            Cell::new(newest),
            right(state.version),
            Cell::new(checkpoint).set_alignment(CellAlignment::Right),
        ]);
    }
    output::data(drawn(&table).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_table_are_told_as_one() {
        let step = |table: &str, files, rows| Told {
            table: Some(table.to_owned()),
            what: "dropped".to_owned(),
            files,
            rows,
            bytes: 1_500_000,
        };
        let all = [step("calls", 1, 5), step("legs", 2, 0), step("calls", 3, 6)];
        assert_eq!(summary(&all, false), "calls: dropped 4 files, 3.0 MB, 11 rows\nlegs: dropped 2 files, 1.5 MB\n");
        assert_eq!(summary(&all[..1], true), "calls: would be dropped 1 files, 1.5 MB, 5 rows\n");
        assert_eq!(summary(&[], false), "nothing to do\n");
    }
}
