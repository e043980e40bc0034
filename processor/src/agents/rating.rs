//! What a connection costs: the rate that its number has on its day, and what that makes of its time.
//!
//! Of a table's rates that hold on the UTC day of the answer the longest prefix counts. The time is rounded up to whole
//! seconds, charged at least for the minimum and beyond it in whole steps; the amount is exact until it is rounded half up.
//! Must not know who pays: [`super::charging`] does.

use std::collections::BTreeMap;

use calltide_schemas::Micros;
use calltide_schemas::agents::Tariff;
use calltide_schemas::agents::directory::Rate;
use calltide_schemas::tables::DECIMAL_SCALE;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::{Decimal, RoundingStrategy};

/// All rates as they stand: each has its own days, so a corrected one counts for its past days, too.
#[derive(Debug, Default)]
pub(super) struct RateBook {
    /// By table and prefix.
    tariffs: BTreeMap<String, BTreeMap<String, Vec<Tariff>>>,
    /// Where each rate is.
    places: BTreeMap<String, (String, String)>,
}

/// What a connection costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Price {
    /// The seconds that are charged.
    pub(super) billed_s: i64,
    /// The amount; none where it is so large that it must be a mistake.
    pub(super) amount: Option<Decimal>,
}

impl RateBook {
    /// Takes a rate in, in place of the one with its id; `false` if it can't be understood, and then it is as if removed.
    pub(super) fn put(&mut self, rate: &Rate) -> bool {
        self.remove(&rate.id);
        let Ok(tariff) = Tariff::of(rate) else { return false };
        let table = self.tariffs.entry(rate.table.clone()).or_default();
        let same = table.entry(rate.prefix.clone()).or_default();
        same.push(tariff);
        // Of two for the same numbers and day the one that began later counts, then the first by its id.
        same.sort_by(|a, b| b.from.cmp(&a.from).then_with(|| a.id.cmp(&b.id)));
        self.places.insert(rate.id.clone(), (rate.table.clone(), rate.prefix.clone()));
        true
    }

    /// Forgets a rate.
    pub(super) fn remove(&mut self, id: &str) {
        let Some((name, prefix)) = self.places.remove(id) else { return };
        let Some(table) = self.tariffs.get_mut(&name) else { return };
        if let Some(same) = table.get_mut(&prefix) {
            same.retain(|tariff| tariff.id != id);
            if same.is_empty() {
                table.remove(&prefix);
            }
        }
    }

    /// The rate of a number on a UTC day. A number that could not be understood has only that of all numbers.
    pub(super) fn find(&self, table: &str, number_e164: Option<&str>, day: Date) -> Option<&Tariff> {
        let table = self.tariffs.get(table)?;
        let number = number_e164.unwrap_or_default();
        let prefixes = (0..=number.len()).rev().filter_map(|length| number.get(..length));
        prefixes.filter_map(|prefix| table.get(prefix)).flatten().find(|tariff| tariff.holds_on(day))
    }
}

/// What a connection costs by a rate.
pub(super) fn price(tariff: &Tariff, up_ms: i64) -> Price {
    let billed_s = billed_s(tariff, up_ms);
    let amount = Decimal::from(60)
        .checked_mul(tariff.connection)
        .zip(Decimal::from(billed_s).checked_mul(tariff.per_minute))
        .and_then(|(connection, time)| connection.checked_add(time))
        // Divided last: the only quotients without an end are thirds, which are never on the edge of two roundings.
        .and_then(|sixty| sixty.checked_div(Decimal::from(60)))
        .map(|exact| {
            exact
                .round_dp_with_strategy(u32::from(DECIMAL_SCALE.unsigned_abs()), RoundingStrategy::MidpointAwayFromZero)
        })
        .filter(|amount| *amount < Decimal::from(TOO_MUCH));
    Price { billed_s, amount: amount.map(|amount| amount.normalize()) }
}

/// The column's end: twelve digits before the point.
const TOO_MUCH: i64 = 1_000_000_000_000;

/// Whole seconds, at least the minimum, beyond it in whole steps.
fn billed_s(tariff: &Tariff, up_ms: i64) -> i64 {
    let (minimum, step) = (i64::from(tariff.minimum_s), i64::from(tariff.increment_s.get()));
    let up_s = ceil_div(up_ms.max(0), 1_000);
    let beyond = (up_s - minimum).max(0);
    minimum + ceil_div(beyond, step).saturating_mul(step)
}

const fn ceil_div(of: i64, by: i64) -> i64 {
    of / by + (of % by > 0) as i64
}

/// The UTC day of a moment.
pub(super) fn utc_day(at: Micros) -> Date {
    let beyond = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(at.0).unwrap_or(beyond).to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests;
