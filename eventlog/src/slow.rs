//! A log whose disk is slower than the one it is on, and stalls: for tests and benchmarks of whoever appends.
//!
//! It delays appends, as a disk would that takes so many records a second and nothing at all for a while now and then.
//! What it promises otherwise is what the log below promises.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{EventLog, Layer, Offset, Partition, Record, Result};

/// How slow the disk is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Records that it takes a second while it takes any; more than 0.
    pub records_per_second: f64,
    /// A stall begins so long after the end of the one before, the first one so long after the first append.
    pub stall_every: Duration,
    /// How long each stall is.
    pub stall: Duration,
}

/// See the module.
pub struct SlowLog {
    log: Arc<dyn EventLog>,
    pace: Pace,
    /// When the first append came, and until when the disk is busy with what it took.
    times: Mutex<Option<(Instant, Instant)>>,
}

impl SlowLog {
    /// Slows a log down.
    pub fn new(log: Arc<dyn EventLog>, pace: Pace) -> Self {
        Self { log, pace, times: Mutex::new(None) }
    }

    /// When an append of so many records is done that comes now.
    fn done_at(&self, now: Instant, records: usize) -> Instant {
        let mut times = self.times.lock();
        let (began, busy_until) = *times.get_or_insert((now, now));
        let done = self.pace.done_at(began, busy_until.max(now), records);
        *times = Some((began, done));
        done
    }
}

impl Pace {
    fn done_at(&self, began: Instant, starts: Instant, records: usize) -> Instant {
        let mut left = Duration::from_secs_f64(records as f64 / self.records_per_second);
        let mut at = starts;
        let round = self.stall_every + self.stall;
        if self.stall.is_zero() || round.is_zero() {
            return at + left;
        }
        loop {
            let since = (at - began).as_nanos() % round.as_nanos();
            let since = Duration::from_nanos(u64::try_from(since).unwrap_or_default());
            // Until the next stall it works; then it waits for the end of that.
            let works = self.stall_every.saturating_sub(since);
            if left <= works {
                return at + left;
            }
            left -= works;
            at += round - since;
        }
    }
}

impl Layer for SlowLog {
    fn below(&self) -> &dyn EventLog {
        &*self.log
    }

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        let done = self.done_at(Instant::now(), records.len());
        let appended = self.log.append(topic, partition, records);
        sleep(done.saturating_duration_since(Instant::now()));
        appended
    }

    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        let done = self.done_at(Instant::now(), records.len());
        let appended = self.log.append_by_key(topic, records);
        sleep(done.saturating_duration_since(Instant::now()));
        appended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_works_between_stalls_at_its_pace() {
        let secs = Duration::from_secs_f64;
        let pace = Pace { records_per_second: 100.0, stall_every: secs(2.0), stall: secs(1.0) };
        let began = Instant::now();
        let done = |starts: f64, records| (pace.done_at(began, began + secs(starts), records) - began).as_secs_f64();
        for (starts, records, expected) in [
            (0.0, 100, 1.0),
            (1.0, 100, 2.0),
            // Half before the stall, half after.
            (1.5, 100, 3.5),
            // In the middle of a stall.
            (2.5, 100, 4.0),
            // Over two stalls.
            (0.0, 500, 7.0),
        ] {
            assert!(
                (done(starts, records) - expected).abs() < 1e-6,
                "{records} from {starts}: {}",
                done(starts, records)
            );
        }
        let steady = Pace { stall: Duration::ZERO, ..pace };
        assert_eq!(steady.done_at(began, began, 100), began + secs(1.0));
    }
}
