//! The hours, days, weeks and months that reports group by: what their columns say, and their SQL.
//!
//! Where a bucket begins and ends is the engine's matter ([`crate::engine::calendar`]); it follows the zone and the beginning
//! of days of a [`Range`].

pub use crate::engine::calendar::{Bucket, DayStart, NoTimeOfDay};

use super::range::Range;

impl Bucket {
    /// What its column says; what happened then is for the report to add.
    pub(super) const fn doc(self) -> &'static str {
        match self {
            Self::Hour => "the local hour with its offset",
            Self::Day => "the local date",
            Self::Week => "the Monday of the local week",
            Self::Month => "the local month",
        }
    }

    /// The SQL that finds it by a time.
    pub(super) fn sql(self, at: &str, range: &Range) -> String {
        let (function, zone) = (self.function(), range.zone());
        match self {
            Self::Hour => format!("{function}({at}, {zone})"),
            Self::Day | Self::Week | Self::Month => format!("{function}({at}, {zone}{})", range.day_start()),
        }
    }

    /// The same as a further column of a SELECT.
    pub(super) fn column(self, at: &str, range: &Range) -> String {
        format!(", {} AS \"{}\"", self.sql(at, range), self.name())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_days_that_begin_elsewhere_than_at_midnight_are_told_to_the_engine() {
        let midnight = Range::all("Europe/Berlin", DayStart::default());
        let morning = Range::all("Europe/Berlin", "06:00".parse().unwrap());
        for (bucket, at_midnight, in_the_morning) in [
            (Bucket::Hour, "local_hour(at, 'Europe/Berlin')", "local_hour(at, 'Europe/Berlin')"),
            (Bucket::Day, "local_day(at, 'Europe/Berlin')", "local_day(at, 'Europe/Berlin', '06:00')"),
            (Bucket::Week, "local_week(at, 'Europe/Berlin')", "local_week(at, 'Europe/Berlin', '06:00')"),
            (Bucket::Month, "local_month(at, 'Europe/Berlin')", "local_month(at, 'Europe/Berlin', '06:00')"),
        ] {
            assert_eq!(bucket.sql("at", &midnight), at_midnight);
            assert_eq!(bucket.sql("at", &morning), in_the_morning);
        }
        assert_eq!(Bucket::Day.column("at", &midnight), ", local_day(at, 'Europe/Berlin') AS \"day\"");
    }
}
