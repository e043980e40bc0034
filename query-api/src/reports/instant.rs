//! How people write a moment: `2026-03-29`, `2026-03-29T10:00` in the asked zone, or RFC 3339 with an offset.

use calltide_schemas::Micros;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::bucket::DayStart;
use crate::QueryError;

/// The moment that a text means. A date is its first instant in the zone; a local time that comes twice is the earlier one,
/// one that does not exist is moved behind the gap.
///
/// # Errors
/// When the text is no date or time, or the zone is unknown.
pub fn instant(text: &str, tz: &str) -> Result<Micros, QueryError> {
    moment(text, tz, DayStart::default())
}

/// The same where days begin at another time than midnight: a date is when its day begins.
pub(super) fn moment(text: &str, tz: &str, day_start: DayStart) -> Result<Micros, QueryError> {
    let invalid = |message: String| QueryError::Invalid { message };
    let zone = zone(tz)?;
    if text.contains('[') {
        return Err(invalid(format!("`{text}` names a zone of its own: give `tz` instead")));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Micros(at.as_microsecond()));
    }
    // A date is read from a longer text, too, and the rest of that would not count.
    let local = match text.parse::<Date>() {
        Ok(date) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => day_start.on(date, zone),
        Ok(_) | Err(_) => {
            text.parse::<DateTime>().and_then(|local| local.to_zoned(zone)).map(|local| local.timestamp())
        }
    };
    local.map(|at| Micros(at.as_microsecond())).map_err(|_| {
        invalid(format!("`{text}` is no date (2026-03-29) or time (2026-03-29T10:00, 2026-03-29T10:00:00Z)"))
    })
}

/// The zone of that name; one that there is not is refused.
pub(super) fn zone(tz: &str) -> Result<TimeZone, QueryError> {
    TimeZone::get(tz).map_err(|_| QueryError::Invalid { message: format!("unknown time zone `{tz}`") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_text_counts() {
        let micros = |text: &str| instant(text, "Europe/Berlin").ok().map(|at| at.0);
        // On this day the clock goes from two to three.
        let midnight = micros("2026-03-29").unwrap_or_default();
        let hours = |hours: i64| Some(midnight + hours * 3_600_000_000);
        for (text, expected) in [
            ("2026-03-29T00:00", hours(0)),
            ("2026-03-29T10", hours(9)),
            ("2026-03-29 10:30", hours(9).map(|at| at + 1_800_000_000)),
            ("20260329T103000", hours(9).map(|at| at + 1_800_000_000)),
            ("2026-03-29T08:00:00Z", hours(9)),
            ("2026-03-29T08:00:00+01:00", hours(8)),
            ("2026-03-29[Europe/Moscow]", None),
            ("2026-03-29T10:00[Europe/Moscow]", None),
            ("2026-03-29T", None),
            ("2026-13-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert!(instant("2026-03-29", "Europe/Nowhere").is_err());
    }
}
