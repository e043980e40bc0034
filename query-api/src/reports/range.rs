//! Which time a report is about: from, to, and how its days are counted.
//!
//! It only says what a range is, how people write its ends, and its SQL; what has to lie in it (calls that began, states that
//! are cut there) each report says itself. Read [`super::bucket`] for the hours and days that it is divided into.

use calltide_schemas::Micros;

use super::bucket::DayStart;
use super::instant::{moment, zone};
use super::time;
use crate::QueryError;

/// A part of time, and the zone and time of day by which it is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// From then on; none: from the beginning.
    pub from: Option<Micros>,
    /// Before then; none: without an end.
    pub to: Option<Micros>,
    /// IANA zone of hours, days, weeks and months.
    pub tz: String,
    /// When a day begins there.
    pub day_start: DayStart,
}

impl Default for Range {
    /// Everything, in days of UTC.
    fn default() -> Self {
        Self::all("UTC", DayStart::default())
    }
}

impl Range {
    /// Everything, in days of this zone that begin then.
    pub fn all(tz: &str, day_start: DayStart) -> Self {
        Self { from: None, to: None, tz: tz.to_owned(), day_start }
    }

    /// What of it lies between two moments, as people write them; none: no bound.
    ///
    /// # Errors
    /// When a text is no date or time, or the zone is unknown.
    pub fn between(self, from: Option<&str>, to: Option<&str>) -> Result<Self, QueryError> {
        let moment = |text: Option<&str>| text.map(|text| self.moment(text)).transpose();
        let (from, to) = (moment(from)?, moment(to)?);
        Ok(Self { from, to, ..self })
    }

    /// The moment that a text means in these days: a date is the beginning of its day.
    ///
    /// # Errors
    /// When the text is no date or time, or the zone is unknown.
    pub fn moment(&self, text: &str) -> Result<Micros, QueryError> {
        moment(text, &self.tz, self.day_start)
    }

    /// Refuses a zone that there is not; what is left can stand in a query.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        zone(&self.tz).map(drop)
    }

    /// What a time column must fulfil to be in the range, beginning with AND; nothing where it has no ends.
    pub(super) fn within(&self, column: &str) -> String {
        self.since(column) + &self.before(column)
    }

    /// The same of its beginning alone.
    pub(super) fn since(&self, column: &str) -> String {
        self.from.map(|from| format!(" AND {column} >= {}", time(from))).unwrap_or_default()
    }

    /// The same of its end alone.
    pub(super) fn before(&self, column: &str) -> String {
        self.to.map(|to| format!(" AND {column} < {}", time(to))).unwrap_or_default()
    }

    /// The zone as a text of SQL.
    pub(super) fn zone(&self) -> String {
        format!("'{}'", self.tz.replace('\'', "''"))
    }

    /// When days begin, as a further argument of a function; nothing where they begin at midnight.
    pub(super) fn day_start(&self) -> String {
        if self.day_start.is_midnight() { String::new() } else { format!(", '{}'", self.day_start) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at(text: &str) -> Option<Micros> {
        Some(Micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond()))
    }

    #[test]
    fn a_date_is_the_beginning_of_its_day_and_a_written_time_what_it_says() {
        for (day_start, from, expected) in [
            ("00:00", "2026-03-01", "2026-02-28T23:00:00Z"),
            ("06:00", "2026-03-01", "2026-03-01T05:00:00Z"),
            ("06:00", "2026-03-01T00:00", "2026-02-28T23:00:00Z"),
            ("06:00", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            // Half past two is not there, and comes twice.
            ("02:30", "2026-03-29", "2026-03-29T01:30:00Z"),
            ("02:30", "2026-10-25", "2026-10-25T00:30:00Z"),
        ] {
            let all = Range::all("Europe/Berlin", day_start.parse().unwrap());
            let range = all.clone().between(Some(from), None).unwrap();
            assert_eq!(range, Range { from: at(expected), ..all.clone() }, "{from} with days from {day_start} on");
            assert_eq!(all.clone().between(None, Some(from)).unwrap(), Range { to: at(expected), ..all });
        }
    }

    #[test]
    fn what_is_no_time_and_no_zone_is_refused() {
        assert!(Range::default().between(Some("yesterday"), None).is_err());
        let nowhere = Range::all("Mars/Olympus", DayStart::default());
        assert!(nowhere.check().is_err() && nowhere.between(None, Some("2026-03-01")).is_err());
        assert!(Range::default().check().is_ok());
    }

    #[test]
    fn without_ends_and_at_midnight_nothing_is_said() {
        let range = Range::default();
        assert_eq!(
            (range.within("at"), range.zone(), range.day_start()),
            (String::new(), "'UTC'".to_owned(), String::new())
        );
        let range = Range::all("UTC", "06:00".parse().unwrap()).between(None, Some("1970-01-01")).unwrap();
        assert!(range.within("at").starts_with(" AND at < arrow_cast(21600000000, "), "{}", range.within("at"));
        assert_eq!((range.since("at"), range.day_start()), (String::new(), ", '06:00'".to_owned()));
    }
}
