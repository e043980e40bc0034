//! How people write a moment: `2026-03-29`, `2026-03-29T10:00` in the asked zone, or RFC 3339 with an offset.

use calltide_schemas::Micros;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::QueryError;

/// The moment that a text means. A date is its first instant in the zone; a local time that comes twice is the earlier one,
/// one that does not exist is moved behind the gap.
///
/// # Errors
/// When the text is no date or time, or the zone is unknown.
pub fn instant(text: &str, tz: &str) -> Result<Micros, QueryError> {
    let invalid = |message: String| QueryError::Invalid { message };
    let zone = TimeZone::get(tz).map_err(|_| invalid(format!("unknown time zone `{tz}`")))?;
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Micros(at.as_microsecond()));
    }
    let local = match text.parse::<Date>() {
        Ok(date) if !text.contains(':') => date.to_zoned(zone),
        Ok(_) | Err(_) => text.parse::<DateTime>().and_then(|local| local.to_zoned(zone)),
    };
    local.map(|at| Micros(at.timestamp().as_microsecond())).map_err(|_| {
        invalid(format!("`{text}` is no date (2026-03-29) or time (2026-03-29T10:00, 2026-03-29T10:00:00Z)"))
    })
}
