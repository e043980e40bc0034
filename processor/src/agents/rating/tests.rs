//! Rates at their boundaries. A rate is a line: `es +34 0.06/min 60/1 connection 0.1 from 2026-01-01 until 2026-07-01 in gold`;
//! what a connection costs is the seconds that are charged and the amount.

use calltide_schemas::agents::directory::STANDARD;

use super::*;

fn rate(line: &str) -> Rate {
    let words: Vec<_> = line.split_whitespace().collect();
    let [id, prefix, price, steps, rest @ ..] = &words[..] else { panic!("{line}") };
    let (minimum, increment) = steps.split_once('/').expect("minimum/increment");
    let told = |word: &str| rest.chunks(2).find(|pair| pair[0] == word).map(|pair| pair[1].to_owned());
    Rate {
        id: (*id).to_owned(),
        table: told("in").unwrap_or_else(|| STANDARD.to_owned()),
        prefix: prefix.trim_start_matches("all").to_owned(),
        per_minute: price.trim_end_matches("/min").to_owned(),
        connection: told("connection"),
        minimum_s: minimum.parse().expect("seconds"),
        increment_s: increment.parse().expect("seconds"),
        currency: "EUR".to_owned(),
        from: told("from"),
        until: told("until"),
    }
}

fn check(line: &str, up: &str, billed: i64, amount: &str) {
    let up_ms = (up.parse::<f64>().expect("seconds") * 1_000.0).round() as i64;
    let tariff = Tariff::of(&rate(line)).expect("a rate");
    let price = price(&tariff, up_ms);
    let told = (price.billed_s, price.amount.map(|amount| amount.to_string()));
    assert_eq!(told, (billed, Some(amount.to_owned())), "{line}, up for {up} s");
}

#[test]
fn time_is_charged_by_minimum_and_increment() {
    for (steps, up, billed, amount) in [
        ("60/60", "0", 60, "0.06"),
        ("60/60", "59.999", 60, "0.06"),
        ("60/60", "60", 60, "0.06"),
        ("60/60", "60.001", 120, "0.12"),
        ("60/60", "120", 120, "0.12"),
        ("60/60", "120.001", 180, "0.18"),
        ("60/1", "0", 60, "0.06"),
        ("60/1", "59.999", 60, "0.06"),
        ("60/1", "60", 60, "0.06"),
        ("60/1", "60.001", 61, "0.061"),
        ("30/6", "0", 30, "0.03"),
        ("30/6", "30", 30, "0.03"),
        ("30/6", "30.001", 36, "0.036"),
        ("30/6", "36", 36, "0.036"),
        ("30/6", "36.001", 42, "0.042"),
        ("30/6", "59.999", 60, "0.06"),
        ("30/6", "60", 60, "0.06"),
        ("30/6", "60.001", 66, "0.066"),
        ("1/1", "0", 1, "0.001"),
        ("1/1", "0.001", 1, "0.001"),
        ("1/1", "1", 1, "0.001"),
        ("1/1", "1.001", 2, "0.002"),
        ("1/1", "59.999", 60, "0.06"),
        ("1/1", "60", 60, "0.06"),
        ("1/1", "60.001", 61, "0.061"),
        ("0/1", "0", 0, "0"),
        ("0/1", "0.001", 1, "0.001"),
    ] {
        check(&format!("es +34 0.06/min {steps}"), up, billed, amount);
    }
}

#[test]
fn a_connection_costs_its_fee_however_short_it_is() {
    check("es +34 0.06/min 60/1 connection 0.15", "0", 60, "0.21");
    check("es +34 0.06/min 0/1 connection 0.15", "0", 0, "0.15");
    check("es +34 0/min 60/60 connection 0.15", "3600", 3600, "0.15");
    check("es +34 0.06/min 1/1 connection 0.15", "90", 90, "0.24");
}

#[test]
fn amounts_are_exact_and_rounded_half_up_once() {
    // 0.01 / 60 = 0.000166…, and twice that 0.000333…
    check("es +34 0.01/min 1/1", "1", 1, "0.000167");
    check("es +34 0.01/min 1/1", "2", 2, "0.000333");
    // Exactly half of the last digit: 0.00003 × 1 / 60 = 0.0000005.
    check("es +34 0.00003/min 1/1", "1", 1, "0.000001");
    check("es +34 0.00009/min 1/1", "1", 1, "0.000002");
    // A little less, which two roundings would lift: 0.000000499999999…
    check("es +34 0.000029999/min 1/1", "1", 1, "0");
    // As binary fractions these would not be what they are.
    check("es +34 0.1/min 60/60 connection 0.2", "60", 60, "0.3");
    check("es +34 999999.999999/min 60/60", "60", 60, "999999.999999");
}

#[test]
fn an_impossible_time_is_no_amount() {
    let tariff = Tariff::of(&rate("es +34 999999/min 60/60")).expect("a rate");
    assert_eq!(price(&tariff, i64::MAX).amount, None);
    assert_eq!(price(&tariff, i64::MIN), Price { billed_s: 60, amount: Some(Decimal::from(999_999)) });
    let cheap = Tariff::of(&rate("es +34 0.01/min 1/4000000000")).expect("a rate");
    assert!(price(&cheap, i64::MAX).billed_s > 0, "saturates");
}

fn found(rates: &[&str], number: Option<&str>, at: &str) -> Option<String> {
    let mut book = RateBook::default();
    for line in rates {
        assert!(book.put(&rate(line)), "{line}");
    }
    let at: Timestamp = at.parse().expect("a moment");
    book.find(STANDARD, number, utc_day(Micros(at.as_microsecond()))).map(|tariff| tariff.id.clone())
}

#[test]
fn the_longest_prefix_of_the_table_counts() {
    let rates = [
        "world all 1/min 60/60",
        "spain +34 0.06/min 60/60",
        "madrid +3491 0.03/min 60/60",
        "mobile +346 0.2/min 60/60",
        "number +34912345678 0/min 60/60",
        "cheap +349 0/min 60/60 in gold",
    ];
    for (number, id) in [
        (Some("+34912345678"), Some("number")),
        (Some("+34912345679"), Some("madrid")),
        (Some("+34934567890"), Some("spain")),
        (Some("+34612345678"), Some("mobile")),
        (Some("+3"), Some("world")),
        (Some("+4930123456"), Some("world")),
        // Not understood: nobody knows what it begins with.
        (None, Some("world")),
    ] {
        assert_eq!(found(&rates, number, "2026-03-01T12:00:00Z").as_deref(), id, "{number:?}");
        // Whatever the order in which they came.
        let reversed: Vec<_> = rates.into_iter().rev().collect();
        assert_eq!(found(&reversed, number, "2026-03-01T12:00:00Z").as_deref(), id, "{number:?}");
    }
    assert_eq!(found(&rates[1..], Some("+4930123456"), "2026-03-01T12:00:00Z"), None, "no rate fits");
    assert_eq!(found(&rates[1..], None, "2026-03-01T12:00:00Z"), None, "no rate fits");
    assert_eq!(found(&rates[5..], Some("+34912345678"), "2026-03-01T12:00:00Z"), None, "another table's");
}

#[test]
fn the_utc_day_of_the_answer_chooses_among_rates_of_different_days() {
    let rates = [
        "before +34 0.06/min 60/60 until 2026-07-01",
        "after +34 0.07/min 60/60 from 2026-07-01 until 2026-08-01",
        "spain all 1/min 60/60 from 2026-07-01",
    ];
    for (at, id) in [
        ("2026-06-30T23:59:59.999999Z", Some("before")),
        ("2026-07-01T00:00:00Z", Some("after")),
        // It is the 1st in Madrid already, and the 30th in UTC.
        ("2026-07-01T01:59:59+02:00", Some("before")),
        ("2026-07-31T23:59:59.999999Z", Some("after")),
        // The longer prefix does not hold any more: the next one does.
        ("2026-08-01T00:00:00Z", Some("spain")),
    ] {
        assert_eq!(found(&rates, Some("+34912345678"), at).as_deref(), id, "{at}");
    }
    assert_eq!(found(&rates, Some("+4930123456"), "2026-06-30T23:59:59Z"), None);
    let overlapping = ["b +34 1/min 1/1", "a +34 2/min 1/1", "c +34 3/min 1/1 from 2026-07-01"];
    assert_eq!(found(&overlapping, Some("+34912345678"), "2026-07-01T00:00:00Z").as_deref(), Some("c"), "began later");
    assert_eq!(
        found(&overlapping, Some("+34912345678"), "2026-06-30T00:00:00Z").as_deref(),
        Some("a"),
        "first by its id"
    );
}

#[test]
fn a_rate_replaces_the_one_with_its_id_wherever_it_was() {
    let mut book = RateBook::default();
    let day = utc_day(Micros(0));
    let find =
        |book: &RateBook, number| book.find(STANDARD, Some(number), day).map(|tariff| tariff.per_minute.to_string());
    assert!(book.put(&rate("es +34 0.06/min 60/60")));
    assert!(book.put(&rate("es +351 0.08/min 60/60")));
    assert_eq!((find(&book, "+34912345678"), find(&book, "+351212345678")), (None, Some("0.08".to_owned())));
    assert!(!book.put(&rate("es +351 dear/min 60/60")), "it can't be understood");
    assert_eq!(find(&book, "+351212345678"), None);
    assert!(book.put(&rate("es +351 0.09/min 60/60")));
    book.remove("es");
    book.remove("es");
    assert_eq!(find(&book, "+351212345678"), None);
}
