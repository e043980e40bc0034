//! `calltide generate`: a data directory full of invented calls, for demonstrations and measurements.
//!
//! The rows go straight into the lake, in the files that real ones would be in; there are no events behind them, so
//! `inspect` has no story of them and `replay` would forget them. [`calls`] invents, [`rows`] makes rows of
//! it, [`shifts`] those of what agents did between.

mod calls;
mod dice;
mod rows;
mod shifts;

use calltide_schemas::Micros;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::args::{Generate, Places};
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::place::Place;
use calls::Centre;
use rows::{Rows, Told};
use shifts::Shifts;

/// Calls that are in memory at once, as rows.
const CALLS_AT_ONCE: u64 = 128 * 1024;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Generate) -> Result<()> {
    let data = places.data();
    let place = Place::Folder(data.lake());
    if place.may_have_tables() || data.log().exists() {
        let failure = Failure::new(Exit::Usage, format!("{} has data already", data.path().display()));
        return Err(failure.hint("give a new directory with --data: invented calls are not mixed with real ones"));
    }
    let first_day = midnight(asked.from)?;
    let lake = place.open()?;
    let mut generation = lake.new_generation(0)?;
    let centre = Centre::new(asked);
    let bar = bar(asked.calls);
    let mut made = 0;
    for day in 0..asked.days {
        let mut left = centre.calls_on(day);
        let mut nth = 0;
        let mut shifts = Shifts::default();
        while left > 0 {
            let count = left.min(CALLS_AT_ONCE);
            let midnight = Micros(first_day.0 + i64::from(day) * 86_400_000_000);
            let mut rows = Rows::default();
            centre.each(day, nth, count, midnight, |call| {
                let told = Told::of(call);
                rows.add(&told);
                shifts.note(&told);
            });
            generation.add(&rows.finish()?)?;
            left -= count;
            nth += 1;
            made += count;
            bar.set_position(made);
        }
        shifts.finish(|rows| Ok(generation.add(&rows)?))?;
    }
    generation.finish(&[])?;
    bar.finish_and_clear();
    output::note(&format!("{made} calls in {}; try: calltide report outcomes --data {0}", data.path().display()));
    Ok(())
}

fn midnight(date: Date) -> Result<Micros> {
    let zoned = date.to_zoned(TimeZone::UTC);
    let zoned = zoned.map_err(|e| Failure::new(Exit::Usage, format!("{date} is no day of ours")).because(&e))?;
    Ok(Micros(zoned.timestamp().as_microsecond()))
}

fn bar(calls: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} calls, {per_sec}, {eta} left");
    ProgressBar::new(calls).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
