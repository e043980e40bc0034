//! What happens to a log in the world, over and over: kills, full disks, power losses, flipped bits.
//!
//! Each fault must cost no record or be reported with its offsets, and never keep the rest from being read: the tests assert
//! that. A plain run does a tenth of what `FAULTS=full` does; `SEED` repeats one. Shown are seeds and a line for each kind:
//! `FAULTS=full cargo test --release --workspace --test log -- faults:: --nocapture --test-threads 1`

mod disks;
mod flips;
mod images;
mod kills;
mod limits;

use std::time::Duration;

use calltide_eventlog::embedded::{Cleaning, Groups};

/// Takes all that is old and that no group has still to read: everything is old.
const FREELY: Cleaning<'static> = Cleaning {
    now: i64::MAX / 2,
    settled: Duration::ZERO,
    bytes_max: None,
    protect: &|_, _| u64::MAX,
    groups: Groups::Work,
};

/// How many times a fault is done: a tenth of `full`, or all.
pub(crate) fn runs(full: u64) -> u64 {
    if std::env::var("FAULTS").is_ok_and(|how| how == "full") { full } else { full / 10 }
}

/// What a kind of fault came to. That nothing was silent is what the tests assert.
#[derive(Debug, Default)]
struct Figures {
    runs: u64,
    harmless: u64,
    reported: u64,
    offsets: u64,
}

impl Figures {
    /// One more, of which so many offsets were reported as damaged.
    fn add(&mut self, offsets: u64) {
        self.runs += 1;
        self.offsets += offsets;
        if offsets == 0 { self.harmless += 1 } else { self.reported += 1 }
    }

    #[expect(clippy::print_stdout, reason = "the figures are what the run is for")]
    fn show(&self, kind: &str) {
        let Self { runs, harmless, reported, offsets } = self;
        println!("{kind:<42}{runs:>6} runs {harmless:>6} cost no record {reported:>6} reported, {offsets} offsets");
    }
}
