//! The calls fold on a thread of its own, for as long as the process lives.
//!
//! Whatever ends it, an error or a panic, is told, and after a pause it is begun anew from what was committed: what collects
//! beside it never notices. Whoever waits for it ([`FoldThread::caught_up`]) is told what keeps it from its work, unless that
//! passes by itself.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calltide_eventlog::EventLog;
use calltide_processor::calls::{CallSettings, Calls};
use calltide_processor::runtime::{Driver, RuntimeError};
use calltide_schemas::topics::EVENTS;

use crate::errors::{Exit, Failure, Result};

/// The group of the calls fold.
pub(crate) const FOLD: &str = "calls";
/// How long a request to the fold may wait while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between beginnings, doubled up to the last: a disk that is full or brokers that are away are asked as seldom.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// Who worked for so long did not end because of how it began.
const WORKED_WELL: Duration = Duration::from_secs(60);

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
    requests: Sender<Asked>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl FoldThread {
    /// Starts it.
    pub(crate) fn start(log: Arc<dyn EventLog>, settings: CallSettings, at_end: AtEnd) -> Result<Self> {
        let (requests, asked) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let fold = Fold { log, settings, at_end, asked, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name("calls-fold".to_owned()).spawn(move || fold.keep_working());
        let thread = thread.map_err(|e| Failure::new(Exit::Failed, "cannot start the fold's thread").because(&e))?;
        Ok(Self { requests, stop, thread })
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
            return Failure::new(Exit::Failed, "the calls fold was stopped before everything was processed")
                .hint("the events are safe in the log; the next start goes on with them");
        }
        panicked()
    }

    /// Asks it to end soon, whether it can do its work or not.
    pub(crate) fn give_up(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Ends it as [`AtEnd`] says.
    ///
    /// # Errors
    /// Those of its last work.
    pub(crate) fn stop(self) -> Result<()> {
        self.give_up();
        match self.thread.join() {
            Ok(ended) => ended,
            Err(_) => Err(panicked()),
        }
    }
}

struct Fold {
    log: Arc<dyn EventLog>,
    settings: CallSettings,
    at_end: AtEnd,
    asked: Receiver<Asked>,
    stop: Arc<AtomicBool>,
}

impl Fold {
    fn keep_working(self) -> Result<()> {
        let stopped = Standstill::new();
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
                Err(_) => (panicked(), false),
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
                tracing::warn!(error = failure.error(), again_in = ?pause, "calls are not derived for now");
            } else {
                let (error, hint) = (failure.error(), failure.advice());
                tracing::error!(error, hint, again_in = ?pause, "calls are not derived; collecting goes on");
            }
            self.rest(pause, (!may_pass).then_some(&failure));
            pause = (pause * 2).min(if may_pass { PAUSE_LAST_PASSING } else { PAUSE_LAST });
        }
    }

    /// Drives the fold until told to stop.
    fn work(&self, stopped: &Standstill) -> std::result::Result<(), RuntimeError> {
        let settings = self.settings.clone();
        let restore = Box::new(move |state| Calls::restore(settings.clone(), state));
        let mut driver = Driver::join(&*self.log, FOLD, EVENTS, restore)?;
        while !self.must_stop() {
            driver.step(LOOK_EVERY)?;
            stopped.is(false);
            let waiting: Vec<_> = self.asked.try_iter().collect();
            if !waiting.is_empty() {
                driver.drain(|_| {})?;
                for reply in waiting {
                    // Whoever asked may have gone.
                    let _ = reply.send(Ok(()));
                }
            }
        }
        match self.at_end {
            AtEnd::CatchUp => driver.drain(|_| {}).map(drop),
            AtEnd::Leave => Ok(()),
        }
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
    fn new() -> Self {
        let folds = metrics::gauge!("calltide_fold_stopped", "fold" => FOLD);
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

fn panicked() -> Failure {
    Failure::new(Exit::Failed, "the calls fold ended with a panic")
        .hint("this is a defect; the events are safe in the log")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::AtomicUsize;

    use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
    use calltide_eventlog::{Commit, Layer, LogError, Partition, Polled, Worker};

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
        let fold = FoldThread::start(log, config.calls.settings(), AtEnd::CatchUp).unwrap();
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
