//! When a contact may be called: a campaign's windows and holidays, by the clocks of the zones in which the contact may be.
//!
//! All follows from one rule: an instant is open if the clock on the wall is inside a window in every zone. Between two bounds
//! (of windows, of holidays, changes of clocks) nothing changes, so a search goes from bound to bound and is exact.
//! Nothing is known here of attempts and due times, and no clock is looked at; the zones come from `zones`.

use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::Window;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::zones::Zones;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;
/// A search ends after so long: over a year, so that windows on one date between holidays are found.
const SEARCH_US: i64 = 400 * DAY_US;

/// When calls are allowed by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// The open spans of each day of the week, Monday first.
    week: [Vec<Span>; 7],
    /// Whether the spans leave out nothing, which is also so without any window.
    always: bool,
    /// The holidays as days since 1970, in order.
    holidays: Vec<i64>,
}

/// From when to when of a day, in microseconds since its midnight; ordered, and apart from the day's other spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from_us: i64,
    to_us: i64,
}

/// How it is at an instant in one zone.
enum Stretch {
    /// Open, and so until the instant that is named.
    Open(i64),
    /// Closed, and so until the instant that is named.
    Closed(i64),
}

impl Windows {
    /// Of a campaign's windows and holidays (`YYYY-MM-DD`). What the configuration refuses does nothing here: days of the week
    /// that don't exist, dates that can't be read; minutes after a day's end are its end.
    pub(super) fn new(windows: &[Window], holidays: &[String]) -> Self {
        let mut week: [Vec<Span>; 7] = std::array::from_fn(|day| spans(windows, day));
        if windows.is_empty() {
            week.fill(vec![Span { from_us: 0, to_us: DAY_US }]);
        }
        let always = week.iter().all(|spans| matches!(spans.as_slice(), [Span { from_us: 0, to_us: DAY_US }]));
        let mut holidays: Vec<i64> = holidays.iter().filter_map(|date| day_number(date)).collect();
        holidays.sort_unstable();
        holidays.dedup();
        Self { week, always, holidays }
    }

    /// Whether calls are allowed at `at` in all the zones.
    #[cfg(test)]
    pub(super) fn is_open(&self, at: Micros, zones: &Zones) -> bool {
        let open = |zone| match local(at.0, zone).map(|(_, local_us)| self.stretch(local_us)) {
            Some(Stretch::Open(_)) => true,
            Some(Stretch::Closed(_)) | None => false,
        };
        zones.iter().all(open)
    }

    /// The first instant from `at` on at which calls are allowed in all the zones; `None` if there is none within 400 days.
    pub(super) fn next_open(&self, at: Micros, zones: &Zones) -> Option<Micros> {
        if self.week.iter().all(Vec::is_empty) {
            return None;
        }
        let last = at.0.saturating_add(SEARCH_US);
        let mut now = at.0;
        while now <= last {
            let mut closed_until = now;
            for zone in zones.iter() {
                match self.stretch_in(now, zone)? {
                    Stretch::Open(_) => {}
                    Stretch::Closed(until) => closed_until = closed_until.max(until),
                }
            }
            if closed_until == now {
                return Some(Micros(now));
            }
            now = closed_until;
        }
        None
    }

    /// The first instant after `at` at which calls are no longer allowed in all the zones, or `at` itself if they aren't then;
    /// `None` if they stay allowed for 400 days.
    pub(super) fn closes(&self, at: Micros, zones: &Zones) -> Option<Micros> {
        let last = at.0.saturating_add(SEARCH_US);
        let mut now = at.0;
        while now <= last {
            let mut open_until = i64::MAX;
            for zone in zones.iter() {
                match self.stretch_in(now, zone)? {
                    Stretch::Open(until) => open_until = open_until.min(until),
                    Stretch::Closed(_) => return Some(Micros(now)),
                }
            }
            now = open_until;
        }
        None
    }

    /// How it is at an instant in a zone, until a bound or the next change of the clocks; `None` for instants that calendars
    /// don't reach.
    fn stretch_in(&self, at: i64, zone: &TimeZone) -> Option<Stretch> {
        let (timestamp, local_us) = local(at, zone)?;
        let change = zone.following(timestamp).next().map_or(i64::MAX, |change| change.timestamp().as_microsecond());
        // The clock on the wall goes with `at` until it is changed. No step is empty, or a search might not end.
        let until = |until_local: i64| at.saturating_add(until_local.saturating_sub(local_us)).min(change).max(at + 1);
        Some(match self.stretch(local_us) {
            Stretch::Open(until_local) => Stretch::Open(until(until_local)),
            Stretch::Closed(until_local) => Stretch::Closed(until(until_local)),
        })
    }

    /// How it is at a time of the clock on the wall, and until which, as if nobody ever changed it.
    fn stretch(&self, local_us: i64) -> Stretch {
        let day = local_us.div_euclid(DAY_US);
        let time_us = local_us.rem_euclid(DAY_US);
        let next_holiday = match self.holidays.binary_search(&day) {
            Ok(index) => {
                let run = self.holidays.iter().skip(index).zip(day..).take_while(|(holiday, day)| *holiday == day);
                let days = i64::try_from(run.count()).unwrap_or(1);
                return Stretch::Closed((day + days) * DAY_US);
            }
            Err(index) => self.holidays.get(index),
        };
        if self.always {
            return Stretch::Open(next_holiday.map_or(i64::MAX, |holiday| holiday * DAY_US));
        }
        match self.spans(day).iter().find(|span| time_us < span.to_us) {
            Some(span) if span.from_us <= time_us => return Stretch::Open(day * DAY_US + span.to_us),
            Some(span) => return Stretch::Closed(day * DAY_US + span.from_us),
            None => {}
        }
        let later = (day + 1..=day + 7).find_map(|day| self.spans(day).first().map(|span| day * DAY_US + span.from_us));
        Stretch::Closed(later.unwrap_or((day + 8) * DAY_US))
    }

    /// The spans of a day since 1970, which was a Thursday.
    fn spans(&self, day: i64) -> &[Span] {
        let weekday = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        self.week.get(weekday).map_or(&[], Vec::as_slice)
    }
}

/// The instant for jiff, and what the clock on the wall shows then, in microseconds since 1970 there.
fn local(at: i64, zone: &TimeZone) -> Option<(Timestamp, i64)> {
    let timestamp = Timestamp::from_microsecond(at).ok()?;
    let ahead_s = i64::from(zone.to_offset(timestamp).seconds());
    Some((timestamp, at + ahead_s * 1_000_000))
}

/// What the windows leave open of a day of the week (0 is Monday), of which some opened the day before.
fn spans(windows: &[Window], day: usize) -> Vec<Span> {
    let opens = |window: &Window, day: usize| window.days.iter().any(|named| usize::from(*named) == day + 1);
    let mut spans = Vec::new();
    for window in windows {
        let from = window.from_minute.min(DAY_MINUTES);
        let to = window.to_minute.min(DAY_MINUTES);
        let over_midnight = to <= from;
        if opens(window, day) {
            spans.push(Span::of_minutes(from, if over_midnight { DAY_MINUTES } else { to }));
        }
        if over_midnight && opens(window, (day + 6) % 7) {
            spans.push(Span::of_minutes(0, to));
        }
    }
    spans.retain(|span| span.from_us < span.to_us);
    spans.sort_unstable();
    spans.dedup_by(|next, span| {
        let together = next.from_us <= span.to_us;
        if together {
            span.to_us = span.to_us.max(next.to_us);
        }
        together
    });
    spans
}

impl Span {
    fn of_minutes(from: u16, to: u16) -> Self {
        Self { from_us: i64::from(from) * MINUTE_US, to_us: i64::from(to) * MINUTE_US }
    }
}

/// The days since 1970 of a date.
fn day_number(date: &str) -> Option<i64> {
    let midnight = date.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_microsecond().div_euclid(DAY_US))
}

#[cfg(test)]
mod tests;
