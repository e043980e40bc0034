//! Hours, days, weeks and months of a time zone: where each begins and ends, and what it is called.
//!
//! They follow the zone through its changes. A day begins at a time of day, midnight or another, and has the date on which it
//! began; a week that of its Monday, a month is `2026-10`. An hour is the local hour with its offset from UTC
//! (`2026-10-25T02:00+02:00`), so that the hour that comes twice in autumn stays two hours. It knows no tables; read
//! [`super::buckets`] for the SQL functions and [`super::pieces`] for what is cut at these borders.

use std::fmt;
use std::str::FromStr;

use datafusion::error::DataFusionError;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Microseconds of an hour.
const HOUR_MICROS: i64 = 3_600_000_000;

/// How long a stretch of time is, by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// The local hour, with its offset from UTC.
    Hour,
    /// The local date.
    Day,
    /// The week, by its Monday's date.
    Week,
    /// The month, `2026-03`.
    Month,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it, which is also its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The one of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.name() == name)
    }

    /// The SQL function that finds it by a time.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Hour => "local_hour",
            Self::Day => "local_day",
            Self::Week => "local_week",
            Self::Month => "local_month",
        }
    }
}

/// The local time at which days begin: midnight, or another one where shifts go on over midnight. Weeks begin at that time on
/// Monday, months on the first. Written as `06:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DayStart(Time);

/// A text at which no day can begin.
#[derive(Debug, thiserror::Error)]
#[error("a day cannot begin at `{text}`: give hours and whole minutes, as in 06:00")]
pub struct NoTimeOfDay {
    text: String,
}

impl FromStr for DayStart {
    type Err = NoTimeOfDay;

    fn from_str(text: &str) -> Result<Self, NoTimeOfDay> {
        let number = |digits: &str| {
            let two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse::<i8>().ok().filter(|_| two)
        };
        let time = text.split_once(':').and_then(|(hours, minutes)| {
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            Time::new(hours, minutes, 0, 0).ok()
        });
        time.map(Self).ok_or_else(|| NoTimeOfDay { text: text.to_owned() })
    }
}

impl fmt::Display for DayStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl DayStart {
    /// Whether days are those of the calendar.
    pub(crate) fn is_midnight(self) -> bool {
        self == Self::default()
    }

    /// When the day of a date begins. A local time that comes twice is the earlier one, one that does not exist is moved behind
    /// the gap.
    pub(crate) fn on(self, date: Date, zone: TimeZone) -> Result<Timestamp, jiff::Error> {
        Ok(date.to_datetime(self.0).to_zoned(zone)?.timestamp())
    }
}

/// The days of a zone that begin at a time of day there.
#[derive(Debug, Clone)]
pub(crate) struct Days {
    zone: TimeZone,
    begin: DayStart,
}

impl Days {
    pub(crate) fn new(zone: TimeZone, begin: DayStart) -> Self {
        Self { zone, begin }
    }

    /// When the day began that a moment is in, in microseconds.
    pub(crate) fn began(&self, micros: i64) -> Result<i64, jiff::Error> {
        self.start(self.at(micros)?)
    }

    /// The day that a moment is in: the last one that has begun.
    fn at(&self, micros: i64) -> Result<Date, jiff::Error> {
        let mut day = Timestamp::from_microsecond(micros)?.to_zoned(self.zone.clone()).date();
        while self.start(day)? > micros {
            day = day.yesterday()?;
        }
        let mut next = day.tomorrow()?;
        while self.start(next)? <= micros {
            (day, next) = (next, next.tomorrow()?);
        }
        Ok(day)
    }

    fn start(&self, date: Date) -> Result<i64, jiff::Error> {
        Ok(self.begin.on(date, self.zone.clone())?.as_microsecond())
    }
}

/// A stretch of time: `[from, to)` in microseconds, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Period {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) label: String,
}

impl Period {
    fn holds(&self, micros: i64) -> bool {
        (self.from..self.to).contains(&micros)
    }
}

/// The periods of a zone, as far as they were asked for: rows of many agents come to the same ones again and again.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    bucket: Bucket,
    days: Days,
    /// In their order.
    known: Vec<Period>,
    /// The one that was asked for last.
    last: usize,
}

impl Calendar {
    /// An hour in which a day begins, other than at midnight, is two periods of one name: so whatever was cut into hours can
    /// be put together to days.
    pub(super) fn new(bucket: Bucket, zone: &str, day_start: DayStart) -> Result<Self, DataFusionError> {
        let days = Days::new(TimeZone::get(zone).map_err(outside)?, day_start);
        Ok(Self { bucket, days, known: Vec::new(), last: 0 })
    }

    /// The period that a moment is in.
    pub(super) fn at(&mut self, micros: i64) -> Result<&Period, DataFusionError> {
        if !self.known.get(self.last).is_some_and(|period| period.holds(micros)) {
            let after = self.known.partition_point(|period| period.from <= micros);
            self.last = match after.checked_sub(1).filter(|before| self.known[*before].holds(micros)) {
                Some(known) => known,
                None => {
                    let period = self.period(micros).map_err(outside)?;
                    self.known.insert(after, period);
                    after
                }
            };
        }
        Ok(&self.known[self.last])
    }

    fn period(&self, micros: i64) -> Result<Period, jiff::Error> {
        let Days { zone, begin } = &self.days;
        if self.bucket == Bucket::Hour && begin.is_midnight() {
            return hour(zone, micros);
        }
        let day = self.days.at(micros)?;
        let (first, next, label) = match self.bucket {
            Bucket::Hour => {
                let Period { from, to, label } = hour(zone, micros)?;
                let (first, next) = (self.days.start(day)?, self.days.start(day.tomorrow()?)?);
                return Ok(Period { from: from.max(first), to: to.min(next), label });
            }
            Bucket::Day => (day, day.tomorrow()?, day.to_string()),
            Bucket::Week => {
                let monday = day.checked_sub(Span::new().days(day.weekday().to_monday_zero_offset()))?;
                (monday, monday.checked_add(Span::new().days(7))?, monday.to_string())
            }
            Bucket::Month => (day.first_of_month(), day.last_of_month().tomorrow()?, day.strftime("%Y-%m").to_string()),
        };
        Ok(Period { from: self.days.start(first)?, to: self.days.start(next)?, label })
    }
}

fn outside(error: jiff::Error) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// Some zones change within an hour (Lord Howe by half an hour): such an hour ends at the change.
fn hour(zone: &TimeZone, micros: i64) -> Result<Period, jiff::Error> {
    let at = Timestamp::from_microsecond(micros)?.to_zoned(zone.clone());
    let local = micros + i64::from(at.offset().seconds()) * 1_000_000;
    let from = micros - local.rem_euclid(HOUR_MICROS);
    let just_after = at.timestamp() + SignedDuration::from_micros(1);
    let before = zone.preceding(just_after).next().map_or(i64::MIN, |t| t.timestamp().as_microsecond());
    let after = zone.following(at.timestamp()).next().map_or(i64::MAX, |t| t.timestamp().as_microsecond());
    let label = at.strftime("%Y-%m-%dT%H:00%:z").to_string();
    Ok(Period { from: from.max(before), to: (from + HOUR_MICROS).min(after), label })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn begin(text: &str) -> DayStart {
        text.parse().unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    /// From, to, label.
    fn period(bucket: Bucket, zone: &str, day_start: &str, moment: &str) -> [String; 3] {
        let mut calendar = Calendar::new(bucket, zone, begin(day_start)).unwrap();
        let Period { from, to, label } = calendar.at(at(moment)).unwrap().clone();
        let shown = |micros| Timestamp::from_microsecond(micros).unwrap().to_string();
        [shown(from), shown(to), label]
    }

    #[test]
    fn a_day_begins_at_hours_and_whole_minutes() {
        for text in ["00:00", "06:00", "02:30", "23:59"] {
            assert_eq!(begin(text).to_string(), text);
        }
        assert_eq!(DayStart::default(), begin("00:00"));
        for text in
            ["24:00", "6:00", "06:60", "06:00:30", "06", "06:0", "+6:00", "06:+1", "06.00", " 06:00", "noon", ""]
        {
            let error = text.parse::<DayStart>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("a day cannot begin at `{text}`")), "{error}");
        }
    }

    #[test]
    fn the_night_belongs_to_the_day_before() {
        for (bucket, moment, expected) in [
            (Bucket::Day, "2026-03-02T04:59:59Z", ["2026-03-01T05:00:00Z", "2026-03-02T05:00:00Z", "2026-03-01"]),
            (Bucket::Day, "2026-03-02T05:00:00Z", ["2026-03-02T05:00:00Z", "2026-03-03T05:00:00Z", "2026-03-02"]),
            (Bucket::Week, "2026-03-02T04:59:59Z", ["2026-02-23T05:00:00Z", "2026-03-02T05:00:00Z", "2026-02-23"]),
            (Bucket::Week, "2026-03-02T05:00:00Z", ["2026-03-02T05:00:00Z", "2026-03-09T05:00:00Z", "2026-03-02"]),
            (Bucket::Month, "2026-03-01T04:59:59Z", ["2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z", "2026-02"]),
            (Bucket::Month, "2026-02-01T05:00:00Z", ["2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z", "2026-02"]),
            (
                Bucket::Hour,
                "2026-03-02T04:59:59Z",
                ["2026-03-02T04:00:00Z", "2026-03-02T05:00:00Z", "2026-03-02T05:00+01:00"],
            ),
        ] {
            assert_eq!(period(bucket, "Europe/Berlin", "06:00", moment), expected, "{moment}");
        }
    }

    /// Half past two is not there on 29 March: the day begins at half past three of summer time.
    #[test]
    fn a_day_that_would_begin_within_the_lost_hour_begins_behind_it() {
        for (bucket, moment, expected) in [
            (Bucket::Day, "2026-03-29T01:29:59Z", ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-28"]),
            (Bucket::Day, "2026-03-29T01:30:00Z", ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-29"]),
            (Bucket::Week, "2026-03-30T00:29:59Z", ["2026-03-23T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-23"]),
            (Bucket::Month, "2026-04-01T00:29:59Z", ["2026-03-01T01:30:00Z", "2026-04-01T00:30:00Z", "2026-03"]),
            // An hour in which a day begins is cut there, and keeps its name.
            (
                Bucket::Hour,
                "2026-03-29T01:29:59Z",
                ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T03:00+02:00"],
            ),
            (
                Bucket::Hour,
                "2026-03-29T01:30:00Z",
                ["2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z", "2026-03-29T03:00+02:00"],
            ),
        ] {
            assert_eq!(period(bucket, "Europe/Berlin", "02:30", moment), expected, "{moment}");
        }
    }

    /// Half past two comes twice on 25 October: the day begins at the first one.
    #[test]
    fn a_day_that_could_begin_twice_begins_once() {
        for (bucket, moment, expected) in [
            (Bucket::Day, "2026-10-25T00:29:59Z", ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-24"]),
            (Bucket::Day, "2026-10-25T00:30:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-25"]),
            // A quarter past two for the second time.
            (Bucket::Day, "2026-10-25T01:15:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-25"]),
            (Bucket::Week, "2026-10-26T01:29:59Z", ["2026-10-19T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-19"]),
            (
                Bucket::Hour,
                "2026-10-25T00:15:00Z",
                ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00+02:00"],
            ),
            (
                Bucket::Hour,
                "2026-10-25T00:45:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00+02:00"],
            ),
            (
                Bucket::Hour,
                "2026-10-25T01:45:00Z",
                ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:00+01:00"],
            ),
        ] {
            assert_eq!(period(bucket, "Europe/Berlin", "02:30", moment), expected, "{moment}");
        }
    }

    /// Samoa had no 30 December 2011; in St. John's the clock went from a minute past midnight back to a minute past eleven.
    #[test]
    fn days_follow_one_another_where_dates_are_left_out_or_come_again() {
        for (zone, day_start, moment, expected) in [
            (
                "Pacific/Apia",
                "00:00",
                "2011-12-30T09:59:59Z",
                ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-29"],
            ),
            (
                "Pacific/Apia",
                "00:00",
                "2011-12-30T10:00:00Z",
                ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2011-12-31"],
            ),
            (
                "Pacific/Apia",
                "06:00",
                "2011-12-30T15:59:59Z",
                ["2011-12-29T16:00:00Z", "2011-12-30T16:00:00Z", "2011-12-29"],
            ),
            (
                "Pacific/Apia",
                "06:00",
                "2011-12-30T16:00:00Z",
                ["2011-12-30T16:00:00Z", "2011-12-31T16:00:00Z", "2011-12-31"],
            ),
            (
                "America/St_Johns",
                "00:00",
                "2010-11-07T03:00:00Z",
                ["2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z", "2010-11-07"],
            ),
        ] {
            assert_eq!(period(Bucket::Day, zone, day_start, moment), expected, "{zone} {day_start} {moment}");
        }
    }

    #[test]
    fn periods_have_no_holes_and_no_overlaps() {
        for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"] {
            for day_start in ["00:00", "02:30", "06:00", "23:59"] {
                for bucket in Bucket::ALL {
                    let mut calendar = Calendar::new(bucket, zone, begin(day_start)).unwrap();
                    for (first, last) in [("2026-03-05", "2026-04-10"), ("2026-10-01", "2026-11-05")] {
                        let (mut next, end) = (at(&format!("{first}T00:00:00Z")), at(&format!("{last}T00:00:00Z")));
                        next = calendar.at(next).unwrap().from;
                        while next < end {
                            let Period { from, to, label } = calendar.at(next).unwrap().clone();
                            assert!(from == next && to > from, "{label} in {zone} from {day_start} on");
                            assert_eq!(calendar.at(to - 1).unwrap().label, label, "{zone}, {day_start}");
                            next = to;
                        }
                    }
                }
            }
        }
    }
}
