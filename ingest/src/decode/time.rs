//! The times of the sources: seconds since 1970 with a fraction, and local times without a zone.
//!
//! A local time that exists twice, at the end of summer time, is told by the order of the file ([`LocalClock`]).

use calltide_schemas::Micros;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// The last second of year 9999: what is beyond is no time of a telephone call, and the lake has no partition for it.
const SECONDS_MAX: i64 = 253_402_300_799;

/// How far back a line of a log may reach before it is taken for the second pass of a repeated hour, in microseconds.
/// Lines are written in the order of happening but for some seconds; ten minutes are far from both that and an hour.
const DISORDER_MAX: i64 = 600 * 1_000_000;

/// Reads `sec` or `sec.frac`, digits beyond microseconds dropped.
pub fn epoch(text: &[u8]) -> Option<Micros> {
    let dot = memchr::memchr(b'.', text).unwrap_or(text.len());
    let secs = digits(&text[..dot]).filter(|secs| *secs <= SECONDS_MAX)?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if dot < text.len() && fraction.is_empty() {
        return None;
    }
    let kept = &fraction[..fraction.len().min(6)];
    let mut micros = if kept.is_empty() { 0 } else { digits(kept)? };
    for _ in kept.len()..6 {
        micros *= 10;
    }
    if !fraction[kept.len()..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(Micros::from_secs(secs) + micros)
}

/// A number of at most 18 digits, so that it cannot overflow.
fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// Reads the times of one file in its order.
#[derive(Debug, Clone)]
pub struct LocalClock {
    zone: TimeZone,
    last: Option<Micros>,
}

impl LocalClock {
    /// A clock for a file whose local times are of that zone.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, last: None }
    }

    /// Reads `sec[.frac]` or `YYYY-MM-DD HH:MM:SS[.frac]`.
    pub fn read(&mut self, text: &[u8]) -> Option<Micros> {
        let at = epoch(text).or_else(|| self.local(text))?;
        self.last = self.last.max(Some(at));
        Some(at)
    }

    fn local(&self, text: &[u8]) -> Option<Micros> {
        let local: DateTime = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
        let instant = |offset: Offset| offset.to_timestamp(local).ok().map(|at| Micros(at.as_microsecond()));
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(offset),
            // A time that the clock jumped over: read as if it had not.
            AmbiguousOffset::Gap { before, .. } => instant(before),
            AmbiguousOffset::Fold { before, after } => {
                let first = instant(before)?;
                let passed = self.last.is_some_and(|last| last - first > DISORDER_MAX);
                if passed { instant(after) } else { Some(first) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn seconds_with_and_without_a_fraction() {
        let cases: &[(&str, Option<i64>)] = &[
            ("1795345923.234454", Some(1_795_345_923_234_454)),
            ("1795345923", Some(1_795_345_923_000_000)),
            ("1795345923.5", Some(1_795_345_923_500_000)),
            ("1795345923.2344549", Some(1_795_345_923_234_454)),
            ("1795345923.", None),
            ("", None),
            (".5", None),
            ("-1", None),
            ("17953459231.000001x", None),
            ("999999999999999999", None),
            ("99999999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(epoch(text.as_bytes()).map(|at| at.0), *expected, "{text}");
        }
    }

    #[test]
    fn the_repeated_hour_is_told_by_the_order_of_the_file() {
        let mut clock = LocalClock::new(TimeZone::get("Europe/Berlin").unwrap());
        let mut hours = Vec::new();
        for text in [
            "2026-10-25 02:50:00",
            "2026-10-25 02:49:58.5",
            "2026-10-25 02:10:00",
            "2026-10-25 02:50:00",
            "2026-10-25 03:00:00",
        ] {
            hours.push(clock.read(text.as_bytes()).unwrap().0 / 1_000_000 - 1_792_886_400);
        }
        // Seconds after 00:00 UTC: 00:50, 00:49:58, then 01:10 and 01:50 of the second pass, 02:00.
        assert_eq!(hours, [3000, 2998, 4200, 6600, 7200]);
    }

    #[test]
    fn a_local_time_that_the_clock_jumped_over_is_read_all_the_same() {
        let mut clock = LocalClock::new(TimeZone::get("Europe/Berlin").unwrap());
        assert_eq!(clock.read(b"2026-03-29 02:30:00").unwrap().0 / 1_000_000, 1_774_747_800);
        assert_eq!(clock.read(b"2026-13-29 02:30:00"), None);
        assert_eq!(clock.read(b"\xff"), None);
    }
}
