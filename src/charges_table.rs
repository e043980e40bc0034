//! The charges report for people: one table, the totals of each currency below a line.
//!
//! Amounts are written digit by digit as they are, never by way of a binary fraction. The formulas are in
//! `calltide_schemas::metrics::charges`.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Decimal128Type;
use calltide_query_api::reports::Report;
use serde_json::Value;

use crate::errors::Result;
use crate::report_table::{Column, Row, clock, drawn_with_totals, groups, number, rows};

/// The table; a sentence if nothing is counted.
pub(crate) fn table(report: &Report) -> Result<String> {
    let mut rows = rows(report)?;
    if rows.is_empty() {
        return Ok("nothing was charged in this range\n".to_owned());
    }
    for (row, amount) in rows.iter_mut().zip(amounts(report)) {
        row.insert("amount".to_owned(), amount.map_or(Value::Null, Value::String));
    }
    let groups = groups(report);
    let currencies: BTreeSet<_> = rows.iter().map(|row| text(row, "currency")).collect();
    let totals = if groups.len() > 1 { currencies.len() } else { 0 };
    let mut shown = drawn_with_totals(&rows, &groups, &columns(), totals);
    if rows.iter().any(|row| number(row, "unrated") > 0) {
        shown.push_str("\nWhat is unrated has no currency: no rate fits its number on its day.\n");
    }
    Ok(shown)
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("calls", |row| number(row, "calls").to_string()),
        Column::new("up", |row| clock(number(row, "up_ms"))),
        Column::new("billed", |row| clock(number(row, "billed_s").saturating_mul(1_000))),
        Column::new("amount", |row| text(row, "amount").unwrap_or("-").to_owned()),
        Column::occurring("unrated"),
        Column::occurring("unowned"),
    ]
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

/// The amount of each row.
fn amounts(report: &Report) -> Vec<Option<String>> {
    let column = |batch: &arrow::array::RecordBatch| {
        let amounts = batch.column_by_name("amount").and_then(|c| c.as_primitive_opt::<Decimal128Type>().cloned());
        let text = |row| amounts.as_ref().filter(|a| a.is_valid(row)).map(|a| price(&a.value_as_string(row)));
        (0..batch.num_rows()).map(text).collect::<Vec<_>>()
    };
    report.output.batches.iter().flat_map(column).collect()
}

/// As prices are written: two digits after the point at least, and no zeros behind them.
fn price(amount: &str) -> String {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}.{:0<2}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_digits_or_as_many_as_they_need() {
        for (amount, expected) in [
            ("0.000000", "0.00"),
            ("12.000000", "12.00"),
            ("1.500000", "1.50"),
            ("0.037500", "0.0375"),
            ("0.000001", "0.000001"),
            ("1234567890123456789012.345678", "1234567890123456789012.345678"),
            ("100", "100.00"),
        ] {
            assert_eq!(price(amount), expected);
        }
    }
}
