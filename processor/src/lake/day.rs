//! Which day partition a row is in: the UTC date of its time, before 1970 as after.

use calltide_schemas::Micros;
use jiff::Span;
use jiff::civil::{Date, date};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The first and the last date that a partition is named after; times beyond are kept there, so that the garbage clock of
/// one PBX can't stop the lake.
const FIRST: Date = date(1, 1, 1);
const LAST: Date = date(9999, 12, 31);

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

impl Day {
    /// The day of a moment.
    pub(super) const fn of(at: Micros) -> Self {
        Self(at.0.div_euclid(DAY_MICROS))
    }

    /// Days since 1970-01-01.
    pub(super) const fn number(self) -> i64 {
        self.0
    }

    /// As the partition is named: `YYYY-MM-DD`.
    pub(super) fn name(self) -> String {
        let beyond = if self.0 < 0 { FIRST } else { LAST };
        let day = Span::new()
            .try_days(self.0)
            .and_then(|days| date(1970, 1, 1).checked_add(days))
            .unwrap_or(beyond)
            .clamp(FIRST, LAST);
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: i64, expected: &str) {
        assert_eq!(Day::of(Micros(at)).name(), expected, "at {at}");
    }

    #[test]
    fn a_row_is_in_the_partition_of_its_utc_date() {
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(DAY_MICROS - 1, "1970-01-01");
        check(DAY_MICROS, "1970-01-02");
        // The hour that Berlin repeats in October 2026: both times 02:30 local are the 25th in UTC.
        check(1_792_888_200_000_000, "2026-10-25");
        check(1_792_891_800_000_000, "2026-10-25");
        check(i64::MAX, "9999-12-31");
        check(i64::MIN, "0001-01-01");
    }
}
