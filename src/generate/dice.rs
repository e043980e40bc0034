//! Numbers that look random and follow from a seed.

/// Splitmix64: small, fast, the same everywhere.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice of their own for each part of what is made, so that the parts don't depend on each other.
    pub(super) fn of(seed: u64, parts: &[u64]) -> Self {
        let mut dice = Self(seed);
        for part in parts {
            dice.0 = dice.next() ^ part.wrapping_mul(0xff51_afd7_ed55_8ccd);
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The product's upper half: even enough for `end` far below 2^64.
        u64::try_from((u128::from(self.next()) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// From 0 up to, not including, 1.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True so many times in a hundred.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them, each as likely as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, from: &[(T, u64)]) -> T {
        let mut left = self.below(from.iter().map(|(_, weight)| weight).sum());
        for (one, weight) in from {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        from[0].0
    }

    /// Milliseconds around `median`, many below and a few far above, as lengths of talks and waits are.
    pub(super) fn length_ms(&mut self, median: f64) -> i64 {
        // The sum of some shares is nearly normal; its exponential nearly log-normal.
        let normal = (0..6).map(|_| self.share()).sum::<f64>() - 3.0;
        (median * (normal * 1.2).exp()) as i64
    }
}
