//! How long to wait before trying again: twice as long each time, with jitter from a seed, so that many collectors don't
//! return at the same moment and tests know what comes.

use std::time::Duration;

/// Waits that double from the least to the longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self { min, max, next: min, random: seed }
    }

    /// Begins anew: the connection was made.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    /// Between half of the current wait and the whole of it.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let whole = self.next.min(self.max);
        self.next = whole.saturating_mul(2).min(self.max);
        let half = whole / 2;
        half + half.mul_f64(self.fraction())
    }

    /// Splitmix64 (Steele, Lea and Flood 2014), as a number from 0 to 1: enough to spread waits.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from((mixed >> 32) as u32) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ_by_seed() {
        let waits = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), seed);
            (0..9).map(|_| backoff.next_delay().as_millis()).collect::<Vec<_>>()
        };
        for (nth, wait) in waits(7).into_iter().enumerate() {
            let whole = (1000 << nth).min(30_000);
            assert!((whole / 2..=whole).contains(&wait), "wait {nth}: {wait} ms");
        }
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
