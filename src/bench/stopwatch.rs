//! Processor time of this thread, so that a rate per core means the same on a busy machine.

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
