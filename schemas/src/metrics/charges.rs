//! The metrics of charges, as plain data like those of the other reports.
//!
//! Formulas are SQL aggregates over the rows of `charges`, one for each connection that cost money. Amounts of several
//! currencies are no sum, so every row of the report is of one currency, that of its rates; what has no rate has none.
//! The data dictionary has an example by hand.

use super::{Basis, Metric, Unit, count, millis};

/// Rows of this report are connections, whatever is asked.
const CONNECTIONS: &[Basis] = &[];

/// The metrics of the charges report, in the order of its columns.
pub const CHARGES: &[Metric] = &[
    count("calls", "count(*)", "connections: calls out, and legs to ordinary telephones", CONNECTIONS),
    millis("up_ms", "coalesce(sum(up_ms), 0)", "how long they were up, summed", CONNECTIONS),
    Metric {
        name: "billed_s",
        version: 1,
        unit: Unit::Seconds,
        formula: "coalesce(sum(billed_s), 0)",
        doc: "the seconds that are charged, summed; those without a rate have none",
        bases: CONNECTIONS,
    },
    Metric {
        name: "amount",
        version: 1,
        unit: Unit::Amount,
        formula: "sum(amount)",
        doc: "what they cost in the row's currency, each rounded half up to six digits, summed exactly; null where none has a rate",
        bases: CONNECTIONS,
    },
    count(
        "unrated",
        "count(*) FILTER (WHERE amount IS NULL)",
        "of these, without an amount: no rate fits the number",
        CONNECTIONS,
    ),
    count(
        "unowned",
        "count(*) FILTER (WHERE \"user\" IS NULL)",
        "of these, charged to nobody: no user owns the device",
        CONNECTIONS,
    ),
];
