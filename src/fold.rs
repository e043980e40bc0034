//! A fold on a thread of its own, for as long as the process lives.
//!
//! Folds whose time is that of ticks are given them here, in the partitions that they own, and the rules and the directory that
//! hold. Whatever ends it, an error or a panic, is told, and after a pause it is begun anew from what was committed: what
//! collects beside it never notices. Whoever waits for it ([`FoldThread::caught_up`]) is told what keeps it from its work,
//! unless that passes by itself.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calltide_eventlog::{EventLog, Partition, Record};
use calltide_processor::agents::{Agents, for_agents};
use calltide_processor::calls::{CallSettings, Calls};
use calltide_processor::fold::Fold;
use calltide_processor::recycling::{Contacts, Numbers, for_all};
use calltide_processor::runtime::{Driver, Restore, RuntimeError};
use calltide_schemas::Micros;
use calltide_schemas::agents::directory::DirectoryChange;
use calltide_schemas::agents::{self, ForAgents};
use calltide_schemas::recycling::rules::SiteRules;
use calltide_schemas::recycling::{ForContacts, ForNumbers, Tick};
use calltide_schemas::topics::{EVENTS, IN_AGENTS, IN_CONTACTS, IN_NUMBERS};

use crate::clock;
use crate::errors::{Exit, Failure, Result};

/// Which fold, and what it is given to begin with.
#[derive(Debug, Clone)]
pub(crate) enum Derives {
    /// Calls and what belongs to them, from events.
    Calls(CallSettings),
    /// Verdicts on contacts, by these rules.
    Contacts(SiteRules),
    /// What is due on each number.
    Numbers,
    /// What agents do, and what that costs, by this directory.
    Agents(DirectoryChange),
}

impl Derives {
    /// The fold's group.
    pub(crate) const fn group(&self) -> &'static str {
        match self {
            Self::Calls(_) => "calls",
            Self::Contacts(_) => "contacts",
            Self::Numbers => "numbers",
            Self::Agents(_) => "agents",
        }
    }

    /// What it reads.
    pub(crate) const fn topic(&self) -> &'static str {
        match self {
            Self::Calls(_) => EVENTS,
            Self::Contacts(_) => IN_CONTACTS,
            Self::Numbers => IN_NUMBERS,
            Self::Agents(_) => IN_AGENTS,
        }
    }

    /// A tick.
    fn tick(&self, at: Micros) -> Option<Record> {
        let tick = Tick { at };
        match self {
            Self::Calls(_) => None,
            Self::Contacts(_) => Some(for_all("tick", at, &ForContacts::Tick(tick))),
            Self::Numbers => Some(for_all("numbers_tick", at, &ForNumbers::Tick(tick))),
            Self::Agents(_) => Some(for_agents(&ForAgents::Tick(agents::Tick { at }))),
        }
    }

    /// What a partition is given first.
    pub(crate) fn first(&self) -> Option<Record> {
        match self {
            Self::Contacts(rules) => Some(for_all("rules", rules.at, &ForContacts::Rules(rules.clone()))),
            Self::Agents(directory) => Some(for_agents(&ForAgents::Directory(directory.clone()))),
            Self::Calls(_) | Self::Numbers => None,
        }
    }
}

/// Whether time goes on for folds that are told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// By this machine's clock: what is due is published.
    GoesOn,
    /// It stands: what is imported or loaded is taken in, and nothing becomes due.
    Stands,
}

/// How long a request to the fold may wait while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between beginnings, doubled up to the last: a disk that is full or brokers that are away are asked as seldom.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// Who worked for so long did not end because of how it began.
const WORKED_WELL: Duration = Duration::from_secs(60);

/// Between two ticks: what is due is to be told within a second, and each costs two writes to the disk.
const TICKS_APART: Duration = Duration::from_millis(100);
/// Everywhere the time is told so often, whether something is due or not.
const TICK_EVERY: Duration = Duration::from_secs(60);

/// What passes by itself is tried again at least so often.
const PAUSE_LAST_PASSING: Duration = Duration::from_secs(2);

/// Asks to be told when everything that is in the log is processed, or why it cannot be.
type Asked = Sender<Result<()>>;

/// What is done when it is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// Everything that is in the log is processed.
    CatchUp,
    /// What is under way is committed; others do the rest.
    Leave,
}

/// See the module.
pub(crate) struct FoldThread {
    group: &'static str,
    requests: Sender<Asked>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl FoldThread {
    /// Starts it.
    pub(crate) fn start(log: Arc<dyn EventLog>, derives: Derives, time: Time, at_end: AtEnd) -> Result<Self> {
        let (requests, asked) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let group = derives.group();
        let fold = Working { log, derives, time, at_end, asked, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name(format!("{group}-fold")).spawn(move || fold.keep_working());
        let thread = thread.map_err(|e| Failure::new(Exit::Failed, "cannot start the fold's thread").because(&e))?;
        Ok(Self { group, requests, stop, thread })
    }

    /// Returns when it has processed everything that was in the log, or that it cannot.
    pub(crate) fn caught_up(&self) -> Result<()> {
        let (reply, done) = channel();
        // Nobody replies: it was told to stop, or panicked just now.
        self.requests.send(reply).map_err(|_| self.ended())?;
        done.recv().map_err(|_| self.ended())?
    }

    fn ended(&self) -> Failure {
        if self.stop.load(Ordering::Acquire) {
            return Failure::new(
                Exit::Failed,
                format!("the {} fold was stopped before everything was processed", self.group),
            )
            .hint("the events are safe in the log; the next start goes on with them");
        }
        panicked(self.group)
    }

    /// Asks it to end soon, whether it can do its work or not.
    pub(crate) fn give_up(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether it was asked to end.
    pub(crate) fn is_given_up(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ends it as [`AtEnd`] says.
    ///
    /// # Errors
    /// Those of its last work.
    pub(crate) fn stop(self) -> Result<()> {
        self.give_up();
        let group = self.group;
        match self.thread.join() {
            Ok(ended) => ended,
            Err(_) => Err(panicked(group)),
        }
    }
}

/// When the time was told last.
#[derive(Default)]
struct Told {
    at: Option<Instant>,
    everywhere: Option<Instant>,
}

struct Working {
    log: Arc<dyn EventLog>,
    derives: Derives,
    time: Time,
    at_end: AtEnd,
    asked: Receiver<Asked>,
    stop: Arc<AtomicBool>,
}

impl Working {
    fn keep_working(self) -> Result<()> {
        let group = self.derives.group();
        let stopped = Standstill::new(group);
        let mut pause = PAUSE_FIRST;
        loop {
            let began = Instant::now();
            // What a panic left behind goes with the driver: the next one begins with what was committed.
            let worked = catch_unwind(AssertUnwindSafe(|| self.work(&stopped)));
            let (failure, may_pass) = match worked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => {
                    let passes = may_pass(&error);
                    (Failure::from(error), passes)
                }
                Err(_) => (panicked(group), false),
            };
            if self.must_stop() {
                // Others go on where it was.
                return if may_pass && self.at_end == AtEnd::Leave { Ok(()) } else { Err(failure) };
            }
            stopped.is(true);
            if began.elapsed() > WORKED_WELL {
                pause = PAUSE_FIRST;
            }
            if may_pass {
                tracing::warn!(error = failure.error(), again_in = ?pause, "{group} are not derived for now");
            } else {
                let (error, hint) = (failure.error(), failure.advice());
                tracing::error!(error, hint, again_in = ?pause, "{group} are not derived; collecting goes on");
            }
            self.rest(pause, (!may_pass).then_some(&failure));
            pause = (pause * 2).min(if may_pass { PAUSE_LAST_PASSING } else { PAUSE_LAST });
        }
    }

    /// Drives the fold until told to stop.
    fn work(&self, stopped: &Standstill) -> std::result::Result<(), RuntimeError> {
        match &self.derives {
            Derives::Calls(settings) => {
                let settings = settings.clone();
                self.drive(Box::new(move |state| Calls::restore(settings.clone(), state)), stopped)
            }
            Derives::Contacts(_) => self.drive(Box::new(Contacts::restore), stopped),
            Derives::Numbers => self.drive(Box::new(Numbers::restore), stopped),
            Derives::Agents(_) => self.drive(Box::new(Agents::restore), stopped),
        }
    }

    fn drive<F: Fold>(&self, restore: Restore<F>, stopped: &Standstill) -> std::result::Result<(), RuntimeError> {
        let mut driver = Driver::join(&*self.log, self.derives.group(), self.derives.topic(), restore)?;
        let mut given = BTreeSet::new();
        let mut told = Told::default();
        while !self.must_stop() {
            driver.step(LOOK_EVERY)?;
            let partitions: BTreeSet<Partition> = driver.partitions().into_iter().collect();
            if partitions != given {
                // Who does everything has given it before.
                if self.at_end == AtEnd::Leave {
                    self.append(partitions.difference(&given).copied(), || self.derives.first())?;
                }
                given = partitions;
            }
            stopped.is(false);
            let waiting: Vec<_> = self.asked.try_iter().collect();
            if !waiting.is_empty() {
                self.catch_up(&mut driver)?;
                for reply in waiting {
                    // Whoever asked may have gone.
                    let _ = reply.send(Ok(()));
                }
            }
            self.go_on(&driver)?;
            self.tick(&driver, &mut told)?;
        }
        match self.at_end {
            AtEnd::CatchUp => self.catch_up(&mut driver),
            AtEnd::Leave => Ok(()),
        }
    }

    /// Processes everything that is there, and what follows from it.
    fn catch_up<F: Fold>(&self, driver: &mut Driver<F>) -> std::result::Result<(), RuntimeError> {
        driver.drain(|_| {})?;
        while !driver.have_more().is_empty() {
            self.go_on(driver)?;
            driver.drain(|_| {})?;
        }
        Ok(())
    }

    /// What is done some at a time goes on with a record that says nothing new.
    fn go_on<F: Fold>(&self, driver: &Driver<F>) -> std::result::Result<(), RuntimeError> {
        self.append(driver.have_more(), || self.derives.tick(Micros(0)))
    }

    /// Tells the time where something is to be done by now, and everywhere once in a while.
    fn tick<F: Fold>(&self, driver: &Driver<F>, told: &mut Told) -> std::result::Result<(), RuntimeError> {
        if self.time == Time::Stands || told.at.is_some_and(|at| at.elapsed() < TICKS_APART) {
            return Ok(());
        }
        let now = clock::now();
        let everywhere = told.everywhere.is_none_or(|at| at.elapsed() >= TICK_EVERY);
        let partitions = if everywhere { driver.partitions() } else { driver.due(now) };
        if partitions.is_empty() {
            return Ok(());
        }
        self.append(partitions, || self.derives.tick(now))?;
        told.at = Some(Instant::now());
        if everywhere {
            told.everywhere = told.at;
        }
        Ok(())
    }

    /// Appends a record to each of these partitions of the fold's input.
    fn append(
        &self,
        partitions: impl IntoIterator<Item = Partition>,
        record: impl Fn() -> Option<Record>,
    ) -> std::result::Result<(), RuntimeError> {
        for partition in partitions {
            if let Some(record) = record() {
                self.log.append(self.derives.topic(), partition, vec![record])?;
            }
        }
        Ok(())
    }

    /// Waits, but not longer than until it is time to stop. What will not pass by itself is told to whoever asks.
    fn rest(&self, pause: Duration, lasting: Option<&Failure>) {
        let until = Instant::now() + pause;
        while !self.must_stop() && Instant::now() < until {
            if let Some(failure) = lasting {
                self.asked.try_iter().for_each(|reply| drop(reply.send(Err(failure.clone()))));
            }
            std::thread::sleep(LOOK_EVERY.min(pause));
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Tells whether this fold stands still; the figure counts those of the process that do.
struct Standstill {
    folds: metrics::Gauge,
    is: Cell<bool>,
}

impl Standstill {
    fn new(group: &'static str) -> Self {
        let folds = metrics::gauge!("calltide_fold_stopped", "fold" => group);
        // So that it is shown.
        folds.increment(0.0);
        Self { folds, is: Cell::new(false) }
    }

    fn is(&self, still: bool) {
        match (self.is.replace(still), still) {
            (false, true) => self.folds.increment(1.0),
            (true, false) => self.folds.decrement(1.0),
            (false, false) | (true, true) => {}
        }
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.is(false);
    }
}

fn may_pass(error: &RuntimeError) -> bool {
    match error {
        RuntimeError::Log(error) => error.may_pass(),
        RuntimeError::OtherLayout { .. } => false,
    }
}

fn panicked(group: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the {group} fold ended with a panic"))
        .hint("this is a defect; the events are safe in the log")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::AtomicUsize;

    use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
    use calltide_eventlog::{Commit, Layer, LogError, Polled, Worker};

    use super::*;
    use crate::config::Config;

    /// A log whose workers fail at their first polls, each in its own way.
    struct Failing {
        below: EmbeddedLog,
        polls: Arc<AtomicUsize>,
    }

    impl Layer for Failing {
        fn below(&self) -> &dyn EventLog {
            &self.below
        }

        fn worker(&self, group: &str, topic: &str) -> calltide_eventlog::Result<Box<dyn Worker>> {
            Ok(Box::new(FailingWorker { below: self.below.worker(group, topic)?, polls: Arc::clone(&self.polls) }))
        }
    }

    struct FailingWorker {
        below: Box<dyn Worker>,
        polls: Arc<AtomicUsize>,
    }

    impl Worker for FailingWorker {
        fn poll(&mut self, bytes_max: usize, timeout: Duration) -> calltide_eventlog::Result<Polled> {
            match self.polls.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("as the test wants"),
                1 => Err(LogError::DiskFull { dir: "here".to_owned() }),
                2 => Err(LogError::Damaged { what: "the state".to_owned() }),
                _ => self.below.poll(bytes_max, timeout),
            }
        }

        fn commit_all(&mut self, commits: Vec<(Partition, Commit)>) -> calltide_eventlog::Result<()> {
            self.below.commit_all(commits)
        }
    }

    #[test]
    fn after_a_panic_and_after_errors_it_begins_anew_and_those_who_wait_hear_of_what_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::default();
        let below = EmbeddedLog::open(dir.path(), &config.log.topics(), EmbeddedOptions::default()).unwrap();
        let polls = Arc::new(AtomicUsize::new(0));
        let log = Arc::new(Failing { below, polls: Arc::clone(&polls) });
        let fold =
            FoldThread::start(log, Derives::Calls(config.call_settings()), Time::GoesOn, AtEnd::CatchUp).unwrap();
        // Asked at any moment, it answers: with what lasts, or when all is done.
        let mut heard = Vec::new();
        loop {
            match fold.caught_up() {
                Ok(()) => break,
                Err(failure) => heard.push(failure.error().to_owned()),
            }
        }
        assert!(polls.load(Ordering::Relaxed) > 3);
        let known = ["the calls fold ended with a panic", "damaged on disk: the state"];
        assert!(!heard.is_empty() && heard.iter().all(|error| known.contains(&error.as_str())), "{heard:?}");
        fold.give_up();
        while fold.caught_up().is_ok() {}
        assert!(fold.caught_up().unwrap_err().error().contains("was stopped before"));
        fold.stop().unwrap();
    }
}
