//! A rate as it can be reckoned with: prices as exact decimals, days as days. What is none is refused here, before it comes
//! into the directory, whatever way it comes.
//!
//! Must not know calls; what one costs is the matter of whoever charges it.

use std::num::NonZeroU32;

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::directory::Rate;

/// Digits of a price before its point: dearer minutes are mistakes, and what these give fits the column for any call.
const WHOLE_DIGITS_MAX: usize = 6;

/// Digits after it: carriers quote up to six, and a few more cost nothing.
const FRACTION_DIGITS_MAX: usize = 9;

/// Why a rate is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// It can't be told from others.
    #[error("a rate has no id")]
    NoId,
    /// Its table can't be named by a user.
    #[error("rate `{id}`: its table has no name")]
    NoTable {
        /// The rate.
        id: String,
    },
    /// No number begins so.
    #[error("rate `{id}`: no number in E.164 begins with `{prefix}`; write `+` and digits, or nothing for all numbers")]
    Prefix {
        /// The rate.
        id: String,
        /// What was given.
        prefix: String,
    },
    /// A price is no decimal number.
    #[error("rate `{id}`: {field} `{price}` is no price; write a decimal number such as 0.0125, below a million")]
    Price {
        /// The rate.
        id: String,
        /// Which one.
        field: &'static str,
        /// What was given.
        price: String,
    },
    /// Nothing can be charged in steps of nothing.
    #[error("rate `{id}`: increment_s is 0; write 1 for each second")]
    NoIncrement {
        /// The rate.
        id: String,
    },
    /// It is no currency's code.
    #[error("rate `{id}`: `{currency}` is no currency; write three capital letters such as EUR")]
    Currency {
        /// The rate.
        id: String,
        /// What was given.
        currency: String,
    },
    /// A day is in no calendar.
    #[error("rate `{id}`: {field} `{day}` is no day; write YYYY-MM-DD")]
    Day {
        /// The rate.
        id: String,
        /// Which one.
        field: &'static str,
        /// What was given.
        day: String,
    },
    /// It holds on no day.
    #[error("rate `{id}` holds on no day: until {until} is not after from {from}")]
    NeverHolds {
        /// The rate.
        id: String,
        /// The first day.
        from: Date,
        /// The day after the last one.
        until: Date,
    },
}

/// A rate, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The rate's id.
    pub id: String,
    /// The price of a minute.
    pub per_minute: Decimal,
    /// The price of a connection.
    pub connection: Decimal,
    /// Seconds that are charged at least.
    pub minimum_s: u32,
    /// What is beyond them is charged in steps of so many seconds.
    pub increment_s: NonZeroU32,
    /// ISO 4217.
    pub currency: String,
    /// The first day, UTC; from the beginning if there is none.
    pub from: Option<Date>,
    /// The day after the last one; without end if there is none.
    pub until: Option<Date>,
}

impl Tariff {
    /// Understands a rate.
    ///
    /// # Errors
    /// Says which field of it cannot be.
    pub fn of(rate: &Rate) -> Result<Self, BadRate> {
        let id = || rate.id.clone();
        if rate.id.is_empty() {
            return Err(BadRate::NoId);
        }
        if rate.table.is_empty() {
            return Err(BadRate::NoTable { id: id() });
        }
        if !is_prefix(&rate.prefix) {
            return Err(BadRate::Prefix { id: id(), prefix: rate.prefix.clone() });
        }
        if rate.currency.len() != 3 || !rate.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(BadRate::Currency { id: id(), currency: rate.currency.clone() });
        }
        let price = |field: &'static str, text: &str| {
            price(text).ok_or_else(|| BadRate::Price { id: id(), field, price: text.to_owned() })
        };
        let day = |field: &'static str, text: Option<&str>| {
            text.map(|text| day(text).ok_or_else(|| BadRate::Day { id: id(), field, day: text.to_owned() })).transpose()
        };
        let (from, until) = (day("from", rate.from.as_deref())?, day("until", rate.until.as_deref())?);
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            return Err(BadRate::NeverHolds { id: id(), from, until });
        }
        Ok(Self {
            id: id(),
            per_minute: price("per_minute", &rate.per_minute)?,
            connection: price("connection", rate.connection.as_deref().unwrap_or("0"))?,
            minimum_s: rate.minimum_s,
            increment_s: NonZeroU32::new(rate.increment_s).ok_or_else(|| BadRate::NoIncrement { id: id() })?,
            currency: rate.currency.clone(),
            from,
            until,
        })
    }

    /// Whether it holds on a day: its first one is included, the one that it ends with is not.
    pub fn holds_on(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }
}

fn is_prefix(prefix: &str) -> bool {
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    prefix.is_empty() || prefix.strip_prefix('+').is_some_and(digits)
}

/// Digits with or without a fraction: no sign, no exponent, no separators, whatever the library would take.
fn price(text: &str) -> Option<Decimal> {
    let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_price = digits(whole, WHOLE_DIGITS_MAX) && digits(fraction, FRACTION_DIGITS_MAX);
    is_price.then(|| Decimal::from_str_exact(text).ok()).flatten()
}

/// As it is written in ISO 8601, and in no other form that the library knows.
fn day(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|day| day.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spain() -> Rate {
        Rate {
            id: "es".to_owned(),
            table: "standard".to_owned(),
            prefix: "+34".to_owned(),
            per_minute: "0.0125".to_owned(),
            connection: Some("0.05".to_owned()),
            minimum_s: 30,
            increment_s: 6,
            currency: "EUR".to_owned(),
            from: Some("2026-01-01".to_owned()),
            until: Some("2027-01-01".to_owned()),
        }
    }

    fn check(change: impl FnOnce(&mut Rate), refused: Option<&str>) {
        let mut rate = spain();
        change(&mut rate);
        assert_eq!(Tariff::of(&rate).err().map(|e| e.to_string()).as_deref(), refused, "{rate:?}");
    }

    #[test]
    fn prices_are_plain_decimal_numbers() {
        for good in ["0", "1", "0.0125", "999999", "000000", "999999.999999999", "0.000000001"] {
            check(|rate| rate.per_minute = good.to_owned(), None);
            check(|rate| rate.connection = Some(good.to_owned()), None);
        }
        for bad in [
            "",
            "free",
            "-1",
            "+1",
            "1.",
            ".5",
            "1,5",
            "1e3",
            "1_000",
            "0x1",
            "1.2.3",
            " 1",
            "1000000",
            "0.0000000001",
            "١",
        ] {
            let told = format!(
                "rate `es`: per_minute `{bad}` is no price; write a decimal number such as 0.0125, below a million"
            );
            check(|rate| rate.per_minute = bad.to_owned(), Some(&told));
            check(|rate| rate.connection = Some(bad.to_owned()), Some(&told.replace("per_minute", "connection")));
        }
    }

    #[test]
    fn what_cannot_be_a_rate_is_refused_with_its_field() {
        check(|_| (), None);
        check(|rate| rate.id.clear(), Some("a rate has no id"));
        check(|rate| rate.table.clear(), Some("rate `es`: its table has no name"));
        check(|rate| rate.prefix.clear(), None);
        for prefix in ["34", "+", "+34x", "0034", "++34"] {
            let told = format!(
                "rate `es`: no number in E.164 begins with `{prefix}`; write `+` and digits, or nothing for all numbers"
            );
            check(|rate| rate.prefix = prefix.to_owned(), Some(&told));
        }
        check(|rate| rate.increment_s = 0, Some("rate `es`: increment_s is 0; write 1 for each second"));
        for currency in ["", "eur", "EURO", "€", "E1R"] {
            let told = format!("rate `es`: `{currency}` is no currency; write three capital letters such as EUR");
            check(|rate| rate.currency = currency.to_owned(), Some(&told));
        }
        for day in ["2026-02-29", "2026-1-1", "20260101", "2026-01-01T00:00", "tomorrow"] {
            let told = format!("rate `es`: from `{day}` is no day; write YYYY-MM-DD");
            check(|rate| rate.from = Some(day.to_owned()), Some(&told));
        }
        check(
            |rate| rate.until = Some("2026-01-01".to_owned()),
            Some("rate `es` holds on no day: until 2026-01-01 is not after from 2026-01-01"),
        );
    }

    #[test]
    fn a_rate_holds_from_its_first_day_to_the_one_before_its_end() {
        let tariff = Tariff::of(&spain()).expect("a rate");
        for (day, holds) in [("2025-12-31", false), ("2026-01-01", true), ("2026-12-31", true), ("2027-01-01", false)] {
            assert_eq!(tariff.holds_on(day.parse().expect("a day")), holds, "{day}");
        }
        let always = Tariff::of(&Rate { from: None, until: None, ..spain() }).expect("a rate");
        assert!(always.holds_on(Date::MIN) && always.holds_on(Date::MAX));
    }
}
