//! The thread that keeps the lake up to date: reads every table's topic, commits by age, by size and when asked.
//!
//! What cannot be written stops its own table only: after a disk or store error it is tried again from the last commit, after
//! a record that is no row, or when another writer took over, it stays stopped and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use calltide_eventlog::EventLog;
use calltide_schemas::Micros;
use calltide_schemas::tables::{TABLES, TableDef};
use metrics::gauge;

use super::compact::SMALL_FILES_MAX;
use super::upkeep::{Done, Retention, Step, Steps, Upkeep};
use super::{Lake, LakeError, LakeWriter, Result};

/// Read at once from one partition: small enough that no table waits long for another.
const READ_BYTES: usize = 4 << 20;

/// How long a request to flush or to stop may go unnoticed while nothing happens in the log.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Between attempts to write a table after errors: from one second, doubled up to a minute.
const RETRY_FIRST: i64 = 1_000_000;
const RETRY_LAST: i64 = 60_000_000;

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

/// What the thread can be asked.
enum Request {
    /// To commit what is in the log.
    Flush(Sender<Result<()>>),
    /// To do this now, and to tell what it does.
    Upkeep(Upkeep, Sender<Result<Done>>),
}

/// The running thread.
pub struct LakeThread {
    requests: Sender<Request>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl LakeThread {
    /// Starts it.
    pub fn start(lake: Lake, log: Arc<dyn EventLog>, options: Options) -> Result<Self> {
        let (requests, asked) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("lake-writer".to_owned())
            .spawn(move || Driver::new(lake, log, options).run(&asked, &stopped))
            .map_err(LakeError::io("starting the lake's thread".to_owned()))?;
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
    generation: String,
    lanes: Vec<Lane>,
    /// What is left of this hour's upkeep, and when the next is due.
    upkeep: Steps,
    upkeep_at: Micros,
}

/// One table's way into the lake.
struct Lane {
    def: &'static TableDef,
    writer: Option<LakeWriter>,
    state: State,
}

enum State {
    Running,
    /// Opened again at that time.
    Waiting {
        until: Micros,
        pause: i64,
    },
    /// For good.
    Stopped {
        reason: String,
    },
}

impl Driver {
    fn new(lake: Lake, log: Arc<dyn EventLog>, options: Options) -> Self {
        let lanes = TABLES.iter().copied().map(|def| Lane { def, writer: None, state: State::Running }).collect();
        let upkeep_at = lake.now() + UPKEEP_FIRST;
        Self { lake, log, options, generation: String::new(), lanes, upkeep: Steps::default(), upkeep_at }
    }

    fn run(&mut self, asked: &Receiver<Request>, stop: &AtomicBool) {
        let mut seen = 0;
        while !stop.load(Ordering::Acquire) {
            self.follow_generation();
            let read = self.read();
            self.flush_due();
            for request in asked.try_iter() {
                // Whoever asked may have gone.
                match request {
                    Request::Flush(reply) => drop(reply.send(self.flush_all())),
                    Request::Upkeep(asked, tell) => self.upkeep_now(&asked, &tell, stop),
                }
            }
            let worked = self.upkeep_due();
            if read == 0 && !worked {
                seen = self.log.wait(seen, LOOK_EVERY);
            }
        }
        for lane in &mut self.lanes {
            lane.attempt(&self.lake, &*self.log, |writer, _| writer.flush());
        }
    }

    /// After a replay the writers go on in the new generation, from its own progress; what they had read comes again.
    fn follow_generation(&mut self) {
        match self.lake.generation() {
            Ok(generation) if generation != self.generation => {
                self.lanes.iter_mut().for_each(|lane| lane.writer = None);
                self.generation = generation;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the lake's generation is unknown"),
        }
    }

    fn read(&mut self) -> usize {
        let read = self.lanes.iter_mut().map(|lane| {
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
            }
        }
    }

    /// One table's error keeps no other from being committed.
    fn flush_all(&mut self) -> Result<()> {
        self.follow_generation();
        let flushed: Vec<_> = (0..self.lanes.len()).map(|index| self.flush_lane(index)).collect();
        flushed.into_iter().collect()
    }

    fn flush_lane(&mut self, index: usize) -> Result<()> {
        let lane = &mut self.lanes[index];
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
            let asked = Upkeep { compact: true, retain, vacuum: true, dry_run: false };
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
        self.follow_generation();
        let mut steps = Steps::of(asked, 1, 1, self.lake.now());
        while let Some((def, step)) = steps.next()
            && !stop.load(Ordering::Acquire)
        {
            self.read();
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
        let removed = match step {
            Step::Compact { past, today } => {
                return self.with(def, |writer| writer.merge(past, today, dry_run)).map(Ok);
            }
            Step::Retain { before } => return self.with(def, |writer| writer.retire(before, dry_run)).map(Ok),
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

impl Lane {
    /// Does something with the writer, opening it where needed. `None`: it failed, or the table is stopped or waiting.
    fn attempt<T>(
        &mut self,
        lake: &Lake,
        log: &dyn EventLog,
        act: impl FnOnce(&mut LakeWriter, &dyn EventLog) -> Result<T>,
    ) -> Option<T> {
        match &self.state {
            State::Running => {}
            State::Waiting { until, .. } if lake.now() >= *until => {}
            State::Waiting { .. } | State::Stopped { .. } => return None,
        }
        let result = match &mut self.writer {
            Some(writer) => act(writer, log),
            none => LakeWriter::open(lake, self.def, log).and_then(|opened| act(none.insert(opened), log)),
        };
        match result {
            Ok(value) => {
                self.state = State::Running;
                gauge!("calltide_lake_table_stopped", "table" => self.def.name).set(0.0);
                Some(value)
            }
            Err(error) => {
                self.fail(lake.now(), &error);
                None
            }
        }
    }

    fn fail(&mut self, now: Micros, error: &LakeError) {
        // Whatever it had read and not committed is read again.
        self.writer = None;
        let final_ = matches!(
            error,
            LakeError::Row { .. } | LakeError::Fenced { .. } | LakeError::Column { .. } | LakeError::AheadOfLog { .. }
        );
        let pause =
            if let State::Waiting { pause, .. } = self.state { (pause * 2).min(RETRY_LAST) } else { RETRY_FIRST };
        tracing::error!(table = self.def.name, error = error as &dyn std::error::Error, stopped = final_, "lake");
        gauge!("calltide_lake_table_stopped", "table" => self.def.name).set(1.0);
        self.state = if final_ {
            State::Stopped { reason: error.to_string() }
        } else {
            State::Waiting { until: now + pause, pause }
        };
    }

    fn error(&self) -> LakeError {
        let reason = match &self.state {
            State::Stopped { reason } => reason.clone(),
            State::Running | State::Waiting { .. } => "the last attempt failed, the next one is soon".to_owned(),
        };
        LakeError::Stopped { table: self.def.name, reason }
    }

    fn pending_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, LakeWriter::pending_bytes)
    }
}
