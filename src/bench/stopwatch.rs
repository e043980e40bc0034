//! Processor time of this thread, or of this process, so that a rate per core means the same on a busy machine.

use std::time::Instant;

/// Runs from its making on.
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Option<u64>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), cpu: on_cpu_ns() }
    }

    /// Seconds on a processor since the start; by the wall clock where the system doesn't tell.
    pub(crate) fn secs(&self) -> f64 {
        match self.cpu.zip(on_cpu_ns()) {
            Some((from, to)) => to.saturating_sub(from) as f64 / 1e9,
            None => self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// What Linux's scheduler counted for this thread, in nanoseconds.
fn on_cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The clock, and the processor time of all threads of this process.
pub(crate) struct Processors {
    began: Instant,
    ticks: u64,
}

impl Processors {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), ticks: ticks() }
    }

    pub(crate) fn line(&self, what: &str, events: u64) -> String {
        self.line_of(what, events, "events")
    }

    pub(crate) fn line_of(&self, what: &str, events: u64, unit: &str) -> String {
        // Linux counts in hundredths for everybody.
        let (wall, busy) = (self.began.elapsed().as_secs_f64(), (ticks() - self.ticks) as f64 / 100.0);
        let events = events as f64;
        format!(
            "{what:<26} {:>9.0} {unit}/s, {:>9.0} per second of a processor ({events:.0} in {wall:.1} s, {:.2} processors)\n",
            events / wall,
            events / busy.max(0.01),
            busy / wall
        )
    }
}

/// Processor time of this process, in hundredths of a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may have spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |nth: usize| fields.get(nth).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    number(11) + number(12)
}
