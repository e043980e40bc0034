//! Points in time, as every payload and table carries them.
//!
//! `at` is when something happened, `seen` when we got it; both are [`Micros`].

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// From whole seconds since 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Milliseconds from `earlier` to `self`, rounded to the nearest; never negative.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        let micros = self.0.saturating_sub(earlier.0);
        if micros < 0 { 0 } else { (micros + 500) / 1_000 }
    }
}

impl Add<i64> for Micros {
    type Output = Self;

    /// Later by that many microseconds.
    fn add(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Micros {
    type Output = i64;

    /// Microseconds between.
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}
