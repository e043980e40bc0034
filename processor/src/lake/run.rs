//! The thread that keeps the lake up to date: reads every table's topic, commits by age, by size and when asked.
//!
//! What cannot be written stops its own table only: after a disk or store error it is tried again from the last commit, after
//! a record that is no row it stays stopped and says so. While an object store is away nothing is read at all; the log keeps
//! it. After a panic all of them go on from their last commits. Which tables are this process's says [`Tables`].

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use calltide_eventlog::{EventLog, Offset, Partition};
use calltide_schemas::Micros;
use calltide_schemas::errors::in_one_line;
use calltide_schemas::tables::{TABLES, TableDef};
use metrics::counter;

use super::compact::SMALL_FILES_MAX;
use super::lane::{Lane, State};
use super::share::Tables;
use super::upkeep::{Done, Retention, Step, Steps, Upkeep};
use super::{Lake, LakeError, LakeWriter, Result};

/// Read at once for one table: small enough that no table waits long for another.
const READ_BYTES: usize = 4 << 20;

/// How long a request to flush or to stop may go unnoticed while nothing happens in the log.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often it is looked whether another generation is in use: in an object store, each look is a request. What is written to
/// the former one in between comes into the new one, too, from the log.
const LOOK_FOR_GENERATION: Duration = Duration::from_secs(2);

/// After a panic.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// After the start: what only imports or asks is done before.
const UPKEEP_FIRST: i64 = 60_000_000;

/// When the lake commits, and what is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// No row waits longer than this.
    pub commit_every: Duration,
    /// Waiting rows of all tables together take no more memory than about this.
    pub commit_bytes: usize,
    /// How often small files are merged, old days dropped and unneeded files removed.
    pub upkeep_every: Duration,
    /// Which days are kept.
    pub retain: Retention,
}

impl Default for Options {
    /// 30 s, 64 MiB; upkeep every hour, all days kept.
    fn default() -> Self {
        Self {
            commit_every: Duration::from_secs(30),
            commit_bytes: 64 << 20,
            upkeep_every: Duration::from_secs(60 * 60),
            retain: Retention::new(),
        }
    }
}

/// Up to which offset the tables have each topic's partitions. One that is missing is not known: its table is stopped.
pub type Stored = BTreeMap<(String, Partition), Offset>;

/// What the thread can be asked.
enum Request {
    /// To commit what is in the log.
    Flush(Sender<Result<()>>),
    /// To do this now, and to tell what it does.
    Upkeep(Upkeep, Sender<Result<Done>>),
    /// To tell what the tables have.
    Stored(Sender<Stored>),
}

/// The running thread.
pub struct LakeThread {
    requests: Sender<Request>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl LakeThread {
    /// Starts it.
    pub fn start(lake: Lake, log: Arc<dyn EventLog>, options: Options, tables: Tables) -> Result<Self> {
        let (requests, asked) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let write = move || {
            let driver = || Driver::new(lake.clone(), Arc::clone(&log), options.clone(), tables.clone());
            // What a panic left behind goes with the driver: the next one begins with what the tables have.
            while catch_unwind(AssertUnwindSafe(|| driver().run(&asked, &stopped))).is_err() {
                tracing::error!("the lake's writer panicked, which is a defect: it goes on from the last commits");
                counter!("calltide_lake_panics_total").increment(1);
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                thread::sleep(PANIC_PAUSE);
            }
        };
        let thread = thread::Builder::new().name("lake-writer".to_owned()).spawn(write);
        let thread = thread.map_err(LakeError::io("starting the lake's thread".to_owned()))?;
        Ok(Self { requests, stop, thread })
    }

    /// Returns when everything that is in the log now is in the lake, or with the first table's error.
    pub fn flush_and_wait(&self) -> Result<()> {
        let (reply, done) = channel();
        self.requests.send(Request::Flush(reply)).map_err(|_| LakeError::Ended)?;
        done.recv().map_err(|_| LakeError::Ended)?
    }

    /// Does what is asked, table by table, and tells what was done; commits go on meanwhile. Ends with the first error, after
    /// the tables that have none.
    pub fn upkeep(&self, asked: Upkeep, told: &mut dyn FnMut(Done)) -> Result<()> {
        let (tell, done) = channel();
        self.requests.send(Request::Upkeep(asked, tell)).map_err(|_| LakeError::Ended)?;
        let mut first_error = None;
        for done in done {
            match done {
                Ok(done) => told(done),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// What the tables have as of their last commits.
    pub fn stored(&self) -> Result<Stored> {
        let (reply, stored) = channel();
        self.requests.send(Request::Stored(reply)).map_err(|_| LakeError::Ended)?;
        stored.recv().map_err(|_| LakeError::Ended)
    }

    /// Commits what was read and ends the thread.
    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| LakeError::Ended)
    }
}

struct Driver {
    lake: Lake,
    log: Arc<dyn EventLog>,
    options: Options,
    tables: Tables,
    /// Whether the lake as a whole can be reached.
    state: State,
    generation: String,
    looked: Option<Instant>,
    lanes: Vec<Lane>,
    /// What is left of this hour's upkeep, and when the next is due.
    upkeep: Steps,
    upkeep_at: Micros,
}

impl Driver {
    fn new(lake: Lake, log: Arc<dyn EventLog>, options: Options, tables: Tables) -> Self {
        let lanes = TABLES.iter().copied().map(|def| Lane::new(def, &tables)).collect();
        let upkeep_at = lake.now() + UPKEEP_FIRST;
        let (state, generation, upkeep) = (State::Running, String::new(), Steps::default());
        Self { lake, log, options, tables, state, generation, looked: None, lanes, upkeep, upkeep_at }
    }

    fn run(&mut self, asked: &Receiver<Request>, stop: &AtomicBool) {
        let mut seen = 0;
        while !stop.load(Ordering::Acquire) {
            self.lanes.iter_mut().for_each(|lane| lane.follow(&self.tables));
            let fresh = self.looked.is_some_and(|looked| looked.elapsed() < LOOK_FOR_GENERATION);
            let there = fresh || self.follow_generation().is_ok();
            let read = if there { self.read(stop) } else { 0 };
            if there {
                self.flush_due();
            }
            for request in asked.try_iter() {
                // Whoever asked may have gone.
                match request {
                    Request::Flush(reply) => drop(reply.send(self.flush_all())),
                    Request::Upkeep(asked, tell) => self.upkeep_now(&asked, &tell, stop),
                    Request::Stored(reply) => drop(reply.send(self.stored())),
                }
            }
            let worked = there && self.upkeep_due();
            if self.lanes.iter().any(|lane| lane.away) {
                // Whether it is the whole lake is seen by the next look.
                self.lanes.iter_mut().for_each(|lane| lane.away = false);
                self.looked = None;
            }
            if read == 0 && !worked {
                seen = self.log.wait(seen, LOOK_EVERY);
            }
        }
        if self.follow_generation().is_err() {
            return;
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.writer.is_some()) {
            lane.attempt(&self.lake, &*self.log, |writer, _| writer.flush());
            // The log has it; a store that has just gone is not waited for once for each table.
            if lane.away {
                return;
            }
        }
    }

    /// After a replay the writers go on in the new generation, from its own progress; what they had read comes again.
    /// An error: the lake cannot be reached, or is not asked yet, since it was away a moment ago.
    fn follow_generation(&mut self) -> Result<()> {
        if let State::Waiting { until, reason, .. } = &self.state
            && self.lake.now() < *until
        {
            return Err(LakeError::Away { reason: reason.clone() });
        }
        match self.lake.prepare().and_then(|()| self.lake.generation()) {
            Ok(generation) => {
                if matches!(self.state, State::Waiting { .. }) {
                    tracing::info!("the lake can be reached again");
                    self.lanes.iter_mut().for_each(Lane::try_now);
                }
                if generation != self.generation {
                    self.lanes.iter_mut().for_each(|lane| lane.writer = None);
                    self.generation = generation;
                }
                (self.state, self.looked) = (State::Running, Some(Instant::now()));
                Ok(())
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the lake cannot be reached; the log keeps its rows"
                );
                let reason = in_one_line(&error);
                // What was read waits in the log, not in memory.
                self.lanes.iter_mut().for_each(|lane| lane.writer = None);
                (self.state, self.looked) = (self.state.later(self.lake.now(), reason.clone()), None);
                Err(LakeError::Away { reason })
            }
        }
    }

    /// Each lane may wait for a log that is away, so that it is looked before each whether to stop.
    fn read(&mut self, stop: &AtomicBool) -> usize {
        let read = self.lanes.iter_mut().take_while(|_| !stop.load(Ordering::Acquire)).map(|lane| {
            lane.attempt(&self.lake, &*self.log, |writer, log| writer.read(log, READ_BYTES)).unwrap_or_default()
        });
        read.sum()
    }

    fn flush_due(&mut self) {
        let every = i64::try_from(self.options.commit_every.as_micros()).unwrap_or(i64::MAX);
        let now = self.lake.now();
        let mut waiting: usize = self.lanes.iter().map(Lane::pending_bytes).sum();
        self.lanes.sort_by_key(|lane| std::cmp::Reverse(lane.pending_bytes()));
        for lane in &mut self.lanes {
            let since = lane.writer.as_ref().and_then(LakeWriter::pending_since);
            let old = since.is_some_and(|since| now - since >= every);
            if old || waiting > self.options.commit_bytes {
                waiting -= lane.pending_bytes();
                lane.attempt(&self.lake, &*self.log, |writer, _| {
                    writer.flush()?;
                    writer.compact()
                });
                if lane.away {
                    return;
                }
            }
        }
    }

    /// One table's error keeps no other from being committed.
    fn flush_all(&mut self) -> Result<()> {
        self.follow_generation()?;
        let flushed: Vec<_> = (0..self.lanes.len()).map(|index| self.flush_lane(index)).collect();
        flushed.into_iter().collect()
    }

    fn stored(&mut self) -> Stored {
        let mut stored = Stored::new();
        if self.follow_generation().is_err() {
            return stored;
        }
        for lane in &mut self.lanes {
            let of_table = lane.attempt(&self.lake, &*self.log, |writer, _| Ok(writer.stored()));
            let topic = lane.def.topic;
            stored
                .extend(of_table.into_iter().flatten().map(|(partition, next)| ((topic.to_owned(), partition), next)));
        }
        stored
    }

    fn flush_lane(&mut self, index: usize) -> Result<()> {
        let lane = &mut self.lanes[index];
        if !lane.is_ours {
            return Ok(());
        }
        let ends = lane.attempt(&self.lake, &*self.log, |writer, log| writer.ends(log));
        let ends = ends.ok_or_else(|| lane.error())?;
        // Reading on may need commits in between, to keep memory bounded.
        while !lane.writer.as_ref().is_some_and(|writer| writer.reached(&ends)) {
            let more = lane.attempt(&self.lake, &*self.log, |writer, log| {
                writer.read(log, READ_BYTES)?;
                if writer.pending_bytes() > self.options.commit_bytes { writer.flush() } else { Ok(()) }
            });
            more.ok_or_else(|| lane.error())?;
        }
        let flushed = lane.attempt(&self.lake, &*self.log, |writer, _| writer.flush());
        flushed.ok_or_else(|| lane.error())
    }

    /// One step of what is due, so that no commit waits for more than that. Returns whether there was one.
    fn upkeep_due(&mut self) -> bool {
        let now = self.lake.now();
        if self.upkeep.is_empty() && now >= self.upkeep_at {
            let every = i64::try_from(self.options.upkeep_every.as_micros()).unwrap_or(i64::MAX);
            self.upkeep_at = Micros(now.0.saturating_add(every));
            let retain = Some(self.options.retain.clone());
            let asked = Upkeep { compact: true, retain, vacuum: true, ..Upkeep::default() };
            self.upkeep = Steps::of(&asked, 1, SMALL_FILES_MAX, now);
        }
        let Some((def, step)) = self.upkeep.next() else { return false };
        if let Some(Ok(done)) = self.step(def, step, false)
            && matches!(step, Step::Compact { .. })
            && done.files > 0
        {
            self.upkeep.again(def, step);
        }
        true
    }

    /// All that is asked, with commits between the steps.
    fn upkeep_now(&mut self, asked: &Upkeep, tell: &Sender<Result<Done>>, stop: &AtomicBool) {
        if let Err(error) = self.follow_generation() {
            return drop(tell.send(Err(error)));
        }
        let mut steps = Steps::of(asked, 1, 1, self.lake.now());
        while let Some((def, step)) = steps.next()
            && !stop.load(Ordering::Acquire)
        {
            self.read(stop);
            self.flush_due();
            let result = self.step(def, step, asked.dry_run).unwrap_or_else(|| {
                let lane = self.lanes.iter().find(|lane| lane.def.name == def.name);
                Err(lane.map_or(LakeError::Ended, Lane::error))
            });
            let more = matches!((&result, step), (Ok(done), Step::Compact { .. }) if done.files > 0 && !asked.dry_run);
            if more {
                steps.again(def, step);
            }
            if result.as_ref().map_or(true, |done| done.files > 0) && tell.send(result).is_err() {
                // Nobody listens any more; the rest is done by the clock.
                return;
            }
        }
    }

    /// `None`: the table is stopped, or the step failed, which was logged.
    fn step(&mut self, def: &'static TableDef, step: Step, dry_run: bool) -> Option<Result<Done>> {
        if !self.tables.has(def) {
            return Some(Ok(Done::default()));
        }
        let removed = match step {
            Step::Compact { past, today } => {
                return self.with(def, |writer| writer.merge(past, today, dry_run)).map(Ok);
            }
            Step::Retain { before } => return self.with(def, |writer| writer.retire(before, dry_run)).map(Ok),
            Step::Checkpoint => return self.with(def, |writer| writer.checkpoint(dry_run)).map(Ok),
            Step::Vacuum => self.lake.vacuum_table(def, dry_run),
            Step::Generations => self.lake.remove_generations(dry_run),
        };
        if let Err(error) = &removed {
            tracing::warn!(table = def.name, error = error as &dyn std::error::Error, "removed files stay for now");
        }
        Some(removed)
    }

    fn with<T>(&mut self, def: &TableDef, act: impl FnOnce(&mut LakeWriter) -> Result<T>) -> Option<T> {
        let lane = self.lanes.iter_mut().find(|lane| lane.def.name == def.name)?;
        lane.attempt(&self.lake, &*self.log, |writer, _| act(writer))
    }
}
