//! When calls are allowed: tables for both sides of every bound, and random windows against walking minute by minute.

#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::{Span as Time, Zoned};
use proptest::prelude::*;

use super::*;

/// Windows as `1-5 09:00-20:00, 6 10:00-16:00`.
fn windows(text: &str) -> Vec<Window> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':').unwrap();
        hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
    };
    let window = |text: &str| {
        let (days, times) = text.split_once(' ').unwrap();
        let (from, to) = times.split_once('-').unwrap();
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let days = (first.parse().unwrap()..=last.parse().unwrap()).collect();
        Window { days, from_minute: minute(from), to_minute: minute(to) }
    };
    text.split(", ").filter(|text| !text.is_empty()).map(window).collect()
}

fn calendar(text: &str, holidays: &str) -> Windows {
    Windows::new(&windows(text), &holidays.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

/// Zones by their names, parted by spaces.
fn zones(names: &str) -> Zones {
    Zones::all_of(names.split(' ')).unwrap()
}

/// An instant as `2026-03-29 03:00:00+02:00`, with fractions of seconds if there are any.
fn at(text: &str) -> Micros {
    Micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

/// The instant as it is written in the tables, by the clock of the first zone.
fn shown(at: Option<Micros>, zones: &Zones) -> String {
    let show = |at: Micros| {
        let zone = zones.iter().next().unwrap().clone();
        Timestamp::from_microsecond(at.0).unwrap().to_zoned(zone).strftime("%F %T%.f%:z").to_string()
    };
    at.map_or_else(|| "never".to_owned(), show)
}

/// One line of a table: of an instant, when it is open next, and when it is closed after that.
fn check(calendar: &Windows, zone_names: &str, table: &[(&str, &str, &str)]) {
    let zones = zones(zone_names);
    for (instant, opens, closes) in table {
        let next = calendar.next_open(at(instant), &zones);
        assert_eq!(shown(next, &zones), *opens, "when {instant} in {zone_names} is open next");
        assert_eq!(calendar.is_open(at(instant), &zones), next == Some(at(instant)), "whether {instant} is open");
        let closed = next.and_then(|next| calendar.closes(next, &zones));
        assert_eq!(shown(closed, &zones), *closes, "when it closes after {instant} in {zone_names}");
    }
}

#[test]
fn office_hours_have_two_sides_each() {
    let office = calendar("1-5 09:00-20:00, 6 10:00-16:00", "");
    check(
        &office,
        "Europe/Berlin",
        &[
            ("2026-06-15 08:59:59.999999+02:00", "2026-06-15 09:00:00+02:00", "2026-06-15 20:00:00+02:00"),
            ("2026-06-15 09:00:00+02:00", "2026-06-15 09:00:00+02:00", "2026-06-15 20:00:00+02:00"),
            ("2026-06-15 19:59:59.999999+02:00", "2026-06-15 19:59:59.999999+02:00", "2026-06-15 20:00:00+02:00"),
            ("2026-06-15 20:00:00+02:00", "2026-06-16 09:00:00+02:00", "2026-06-16 20:00:00+02:00"),
            ("2026-06-19 20:00:00+02:00", "2026-06-20 10:00:00+02:00", "2026-06-20 16:00:00+02:00"),
            ("2026-06-20 16:00:00+02:00", "2026-06-22 09:00:00+02:00", "2026-06-22 20:00:00+02:00"),
        ],
    );
    let closed = at("2026-06-21 12:00:00+02:00");
    assert_eq!(office.closes(closed, &zones("Europe/Berlin")), Some(closed), "an instant that is closed");
}

#[test]
fn a_night_window_belongs_to_the_day_on_which_it_opens() {
    let friday_night = calendar("5 22:00-06:00", "");
    check(
        &friday_night,
        "Europe/Berlin",
        &[
            ("2026-06-19 05:00:00+02:00", "2026-06-19 22:00:00+02:00", "2026-06-20 06:00:00+02:00"),
            ("2026-06-20 00:00:00+02:00", "2026-06-20 00:00:00+02:00", "2026-06-20 06:00:00+02:00"),
            ("2026-06-20 05:59:59.999999+02:00", "2026-06-20 05:59:59.999999+02:00", "2026-06-20 06:00:00+02:00"),
            ("2026-06-20 06:00:00+02:00", "2026-06-26 22:00:00+02:00", "2026-06-27 06:00:00+02:00"),
        ],
    );
    // Sunday's ends on Monday.
    check(
        &calendar("7 22:00-06:00", ""),
        "Europe/Berlin",
        &[
            ("2026-06-22 05:00:00+02:00", "2026-06-22 05:00:00+02:00", "2026-06-22 06:00:00+02:00"),
            ("2026-06-22 06:00:00+02:00", "2026-06-28 22:00:00+02:00", "2026-06-29 06:00:00+02:00"),
        ],
    );
}

#[test]
fn a_window_that_ends_when_it_began_lasts_a_day() {
    check(
        &calendar("3 10:00-10:00", ""),
        "Europe/Berlin",
        &[
            ("2026-06-17 09:59:59+02:00", "2026-06-17 10:00:00+02:00", "2026-06-18 10:00:00+02:00"),
            ("2026-06-18 09:00:00+02:00", "2026-06-18 09:00:00+02:00", "2026-06-18 10:00:00+02:00"),
        ],
    );
    check(
        &calendar("3 00:00-00:00", ""),
        "Europe/Berlin",
        &[("2026-06-16 12:00:00+02:00", "2026-06-17 00:00:00+02:00", "2026-06-18 00:00:00+02:00")],
    );
    check(
        &calendar("3 00:00-24:00", ""),
        "Europe/Berlin",
        &[("2026-06-16 12:00:00+02:00", "2026-06-17 00:00:00+02:00", "2026-06-18 00:00:00+02:00")],
    );
}

#[test]
fn windows_that_meet_are_one() {
    check(
        &calendar("1-2 08:00-12:00, 1-2 12:00-14:00, 1 13:00-00:00, 2 00:00-09:00", ""),
        "Europe/Berlin",
        &[("2026-06-15 09:00:00+02:00", "2026-06-15 09:00:00+02:00", "2026-06-16 14:00:00+02:00")],
    );
}

#[test]
fn clocks_go_forward() {
    // Berlin's show 03:00 after 01:59 on 2026-03-29.
    check(
        &calendar("7 02:30-05:00", ""),
        "Europe/Berlin",
        &[("2026-03-29 01:59:59.999999+01:00", "2026-03-29 03:00:00+02:00", "2026-03-29 05:00:00+02:00")],
    );
    check(
        &calendar("7 02:00-03:00", ""),
        "Europe/Berlin",
        &[("2026-03-29 00:00:00+01:00", "2026-04-05 02:00:00+02:00", "2026-04-05 03:00:00+02:00")],
    );
    check(
        &calendar("7 01:00-02:30", ""),
        "Europe/Berlin",
        &[("2026-03-29 01:30:00+01:00", "2026-03-29 01:30:00+01:00", "2026-03-29 03:00:00+02:00")],
    );
    check(
        &calendar("6 22:00-06:00", ""),
        "Europe/Berlin",
        &[("2026-03-28 21:00:00+01:00", "2026-03-28 22:00:00+01:00", "2026-03-29 06:00:00+02:00")],
    );
    check(
        &calendar("7 02:15-09:00", ""),
        "America/New_York",
        &[("2026-03-08 01:00:00-05:00", "2026-03-08 03:00:00-04:00", "2026-03-08 09:00:00-04:00")],
    );
    // Lord Howe's by half an hour only: 02:30 after 01:59 on 2026-10-04.
    check(
        &calendar("7 02:15-02:45", ""),
        "Australia/Lord_Howe",
        &[("2026-10-04 01:00:00+10:30", "2026-10-04 02:30:00+11:00", "2026-10-04 02:45:00+11:00")],
    );
    // Where clocks go forward at midnight the day begins at 01:00.
    check(
        &calendar("5 00:00-02:00", ""),
        "Africa/Cairo",
        &[("2026-04-23 23:00:00+02:00", "2026-04-24 01:00:00+03:00", "2026-04-24 02:00:00+03:00")],
    );
}

#[test]
fn clocks_go_back() {
    // Berlin's show 02:00 again after 02:59 on 2026-10-25.
    check(
        &calendar("7 02:15-02:45", ""),
        "Europe/Berlin",
        &[
            ("2026-10-25 01:00:00+02:00", "2026-10-25 02:15:00+02:00", "2026-10-25 02:45:00+02:00"),
            ("2026-10-25 02:45:00+02:00", "2026-10-25 02:15:00+01:00", "2026-10-25 02:45:00+01:00"),
            ("2026-10-25 02:45:00+01:00", "2026-11-01 02:15:00+01:00", "2026-11-01 02:45:00+01:00"),
        ],
    );
    check(
        &calendar("7 02:00-03:00", ""),
        "Europe/Berlin",
        &[("2026-10-25 01:00:00+02:00", "2026-10-25 02:00:00+02:00", "2026-10-25 03:00:00+01:00")],
    );
    check(
        &calendar("7 00:00-02:30", ""),
        "Europe/Berlin",
        &[
            ("2026-10-25 00:00:00+02:00", "2026-10-25 00:00:00+02:00", "2026-10-25 02:30:00+02:00"),
            ("2026-10-25 02:30:00+02:00", "2026-10-25 02:00:00+01:00", "2026-10-25 02:30:00+01:00"),
        ],
    );
    check(
        &calendar("7 01:30-09:00", ""),
        "America/New_York",
        &[
            ("2026-11-01 01:00:00-04:00", "2026-11-01 01:30:00-04:00", "2026-11-01 01:00:00-05:00"),
            ("2026-11-01 01:10:00-05:00", "2026-11-01 01:30:00-05:00", "2026-11-01 09:00:00-05:00"),
        ],
    );
    check(
        &calendar("7 01:40-03:00", ""),
        "Australia/Lord_Howe",
        &[
            ("2026-04-05 01:00:00+11:00", "2026-04-05 01:40:00+11:00", "2026-04-05 01:30:00+10:30"),
            ("2026-04-05 01:30:00+10:30", "2026-04-05 01:40:00+10:30", "2026-04-05 03:00:00+10:30"),
        ],
    );
}

#[test]
fn a_holiday_is_closed_from_midnight_to_midnight() {
    let days = calendar("1-5 09:00-20:00", "2026-12-24 2026-12-25 no-date 2026-02-30");
    check(
        &days,
        "Europe/Berlin",
        &[
            ("2026-12-23 19:00:00+01:00", "2026-12-23 19:00:00+01:00", "2026-12-23 20:00:00+01:00"),
            ("2026-12-24 12:00:00+01:00", "2026-12-28 09:00:00+01:00", "2026-12-28 20:00:00+01:00"),
        ],
    );
    // Night windows: one runs into the holiday and stops, one begins on it and is open once it is over.
    let nights = calendar("1-7 22:00-06:00", "2026-12-25");
    check(
        &nights,
        "Europe/Berlin",
        &[
            ("2026-12-24 23:00:00+01:00", "2026-12-24 23:00:00+01:00", "2026-12-25 00:00:00+01:00"),
            ("2026-12-25 00:00:00+01:00", "2026-12-26 00:00:00+01:00", "2026-12-26 06:00:00+01:00"),
            ("2026-12-25 23:59:59.999999+01:00", "2026-12-26 00:00:00+01:00", "2026-12-26 06:00:00+01:00"),
        ],
    );
    // A holiday on which clocks go back lasts 25 hours.
    check(
        &calendar("", "2026-10-25"),
        "Europe/Berlin",
        &[("2026-10-25 00:00:00+02:00", "2026-10-26 00:00:00+01:00", "never")],
    );
}

#[test]
fn without_windows_only_holidays_are_closed() {
    check(&calendar("", ""), "Europe/Berlin", &[("2026-06-15 03:00:00+02:00", "2026-06-15 03:00:00+02:00", "never")]);
    check(
        &calendar("", "2026-12-25 2027-12-25 2026-12-26"),
        "Europe/Berlin",
        &[
            ("2026-06-15 03:00:00+02:00", "2026-06-15 03:00:00+02:00", "2026-12-25 00:00:00+01:00"),
            ("2026-12-25 00:00:00+01:00", "2026-12-27 00:00:00+01:00", "2027-12-25 00:00:00+01:00"),
            ("2026-12-24 23:59:59.999999+01:00", "2026-12-24 23:59:59.999999+01:00", "2026-12-25 00:00:00+01:00"),
        ],
    );
}

#[test]
fn with_several_zones_it_must_be_allowed_in_each() {
    let office = calendar("1-5 09:00-20:00", "");
    check(
        &office,
        "America/New_York America/Los_Angeles",
        &[
            ("2026-06-15 09:00:00-04:00", "2026-06-15 12:00:00-04:00", "2026-06-15 20:00:00-04:00"),
            ("2026-06-19 20:00:00-04:00", "2026-06-22 12:00:00-04:00", "2026-06-22 20:00:00-04:00"),
        ],
    );
    check(
        &office,
        "America/New_York Pacific/Honolulu",
        &[("2026-06-15 09:00:00-04:00", "2026-06-15 15:00:00-04:00", "2026-06-15 20:00:00-04:00")],
    );
    // Sydney's clocks go forward on 2026-10-04, and then it is two hours ahead of Perth's and more.
    check(
        &calendar("1-7 09:00-11:30", ""),
        "Australia/Perth Australia/Sydney",
        &[
            ("2026-10-03 09:00:00+08:00", "2026-10-03 09:00:00+08:00", "2026-10-03 09:30:00+08:00"),
            ("2026-10-03 09:30:00+08:00", "2027-04-04 09:00:00+08:00", "2027-04-04 09:30:00+08:00"),
        ],
    );
    // A holiday begins first in the east and ends last in the west.
    check(
        &calendar("", "2026-12-25"),
        "Europe/Lisbon Atlantic/Azores",
        &[
            ("2026-12-24 12:00:00+00:00", "2026-12-24 12:00:00+00:00", "2026-12-25 00:00:00+00:00"),
            ("2026-12-25 12:00:00+00:00", "2026-12-26 01:00:00+00:00", "never"),
        ],
    );
}

#[test]
fn what_never_opens_is_never_found() {
    let first: Date = "2026-01-01".parse().unwrap();
    let days = |count: i64| (0..count).map(|day| (first + Time::new().days(day)).to_string()).collect::<Vec<_>>();
    let start = "2026-01-01 00:00:00+01:00";
    let never = [(start, "never", "never")];
    check(&Windows::new(&windows("1-7 09:00-20:00"), &days(401)), "Europe/Berlin", &never);
    check(&Windows::new(&[], &days(401)), "Europe/Berlin", &never);
    // Within 400 days, which are from midnight to midnight here.
    let after = [(start, "2027-02-05 00:00:00+01:00", "never")];
    check(&Windows::new(&[], &days(400)), "Europe/Berlin", &after);
    check(&calendar("1-7 09:00-12:00", ""), "Europe/Berlin America/New_York", &never);
    let nowhere = Window { days: vec![0, 8, 255], from_minute: 540, to_minute: 1200 };
    check(&Windows::new(&[nowhere], &[]), "Europe/Berlin", &never);
}

#[test]
fn instants_outside_all_calendars_are_closed() {
    let zones = zones("Europe/Berlin");
    for calendar in [calendar("", ""), calendar("1-7 09:00-20:00", "2026-12-25")] {
        for at in [Micros(i64::MIN), Micros(i64::MAX)] {
            assert!(!calendar.is_open(at, &zones));
            assert_eq!((calendar.next_open(at, &zones), calendar.closes(at, &zones)), (None, None));
        }
    }
}

/// Whether it is open by the rules as they are told, read off a calendar.
fn told(windows: &[Window], holidays: &[String], at: Micros, zones: &Zones) -> bool {
    let inside = |clock: &Zoned, window: &Window| {
        let minute = u16::try_from(clock.hour()).unwrap() * 60 + u16::try_from(clock.minute()).unwrap();
        let opened_on = |day: Date| window.days.contains(&u8::try_from(day.weekday().to_monday_one_offset()).unwrap());
        if window.to_minute > window.from_minute {
            opened_on(clock.date()) && (window.from_minute..window.to_minute).contains(&minute)
        } else {
            opened_on(clock.date()) && minute >= window.from_minute
                || opened_on(clock.date().yesterday().unwrap()) && minute < window.to_minute
        }
    };
    zones.iter().all(|zone| {
        let clock = Timestamp::from_microsecond(at.0).unwrap().to_zoned(zone.clone());
        let holiday = holidays.contains(&clock.date().to_string());
        !holiday && (windows.is_empty() || windows.iter().any(|window| inside(&clock, window)))
    })
}

/// The first instant from `at` on that is open or not, as wanted, minute by minute; none within the days.
fn walk(at: Micros, days: i64, wanted: impl Fn(Micros) -> bool) -> Option<Micros> {
    let minutes = (at.0.div_euclid(MINUTE_US) + 1..).map(|minute| Micros(minute * MINUTE_US));
    let within = minutes.take_while(|minute| minute.0 <= at.0 + days * DAY_US);
    std::iter::once(at).chain(within).find(|at| wanted(*at))
}

fn some_windows() -> impl Strategy<Value = Vec<Window>> {
    let minute = prop_oneof![0..=1440_u16, (0..=48_u16).prop_map(|half_hour| half_hour * 30)];
    let window = (prop::collection::vec(1..=7_u8, 1..5), minute.clone(), minute)
        .prop_map(|(days, from_minute, to_minute)| Window { days, from_minute: from_minute.min(1439), to_minute });
    prop::collection::vec(window, 0..4)
}

fn some_zones() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&ZONES[..]), 1..4)
}

/// Zones with all kinds of changes: whole hours and half ones, at midnight, on either half of the earth, at Ramadan, none.
const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Santiago",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "UTC",
];

/// Instants from 2024 to 2031, every other within two days of a change of the clocks in Europe or America.
fn some_instant() -> impl Strategy<Value = Micros> {
    const CHANGES: [&str; 8] = [
        "2026-03-29 01:00:00Z",
        "2026-10-25 01:00:00Z",
        "2026-03-08 07:00:00Z",
        "2026-11-01 06:00:00Z",
        "2026-04-04 15:00:00Z",
        "2026-10-03 15:30:00Z",
        "2026-04-23 22:00:00Z",
        "2026-02-15 02:00:00Z",
    ];
    let near = (prop::sample::select(&CHANGES[..]), -2 * DAY_US..2 * DAY_US).prop_map(|(change, off)| at(change) + off);
    let on_a_minute = near.clone().prop_map(|at| Micros(at.0.div_euclid(MINUTE_US) * MINUTE_US));
    let any = (at("2024-01-01 00:00:00Z").0..at("2031-01-01 00:00:00Z").0).prop_map(Micros);
    prop_oneof![near, on_a_minute, any]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn searching_finds_what_walking_minute_by_minute_finds(
        windows in some_windows(),
        holidays_after in prop::collection::vec(-1..8_i64, 0..3),
        names in some_zones(),
        start in some_instant(),
    ) {
        const DAYS: i64 = 9;
        let zones = zones(&names.join(" "));
        let date = |days: i64| Timestamp::from_microsecond(start.0 + days * DAY_US).unwrap().strftime("%F").to_string();
        let holidays: Vec<String> = holidays_after.into_iter().map(date).collect();
        let calendar = Windows::new(&windows, &holidays);
        let open = |at: Micros| told(&windows, &holidays, at, &zones);

        prop_assert_eq!(calendar.is_open(start, &zones), open(start));
        let opens = calendar.next_open(start, &zones);
        match walk(start, DAYS, open) {
            Some(found) => prop_assert_eq!(opens, Some(found)),
            None => prop_assert!(opens.is_none_or(|opens| opens.0 > start.0 + DAYS * DAY_US && open(opens))),
        }
        let Some(opens) = opens else { return Ok(()) };
        let closes = calendar.closes(opens, &zones);
        match walk(opens, DAYS, |at| !open(at)) {
            Some(found) => prop_assert_eq!(closes, Some(found)),
            None => prop_assert!(closes.is_none_or(|closes| closes.0 > opens.0 + DAYS * DAY_US && !open(closes))),
        }
    }
}
