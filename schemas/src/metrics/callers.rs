//! The metrics of those who called, as plain data like those of the other reports.
//!
//! Formulas are SQL aggregates over callers: a row has a number (none: all whose number was withheld), its `calls` in the
//! range, whether the last of them was not answered (`lost`), and whether the caller was spoken with since (`served`).

use super::{Metric, count, percent, ratio};

/// The metrics of the callers report, in the order of its columns.
pub const CALLERS: &[Metric] = &[
    count("calls", "coalesce(sum(calls), 0)", "inbound calls", &[]),
    count(
        "withheld",
        "coalesce(sum(calls) FILTER (WHERE number_e164 IS NULL), 0)",
        "of these, without a number that could be understood: they are in no other figure",
        &[],
    ),
    count("callers", "count(number_e164)", "unique callers: different numbers", &[]),
    count(
        "repeat_callers",
        "count(number_e164) FILTER (WHERE calls > 1)",
        "of these, those who called more than once",
        &[],
    ),
    percent("repeat_pct", "100.0 * {repeat_callers} / nullif({callers}, 0)", "repeat callers / unique callers", &[]),
    ratio(
        "calls_per_caller",
        "1.0 * ({calls} - {withheld}) / nullif({callers}, 0)",
        "their calls / unique callers",
        &[],
    ),
    count(
        "lost_callers",
        "count(number_e164) FILTER (WHERE lost)",
        "unique callers whose last call was not answered",
        &[],
    ),
    count(
        "lost_served",
        "count(number_e164) FILTER (WHERE lost AND served)",
        "of these, those whom an agent spoke with since, whoever called",
        &[],
    ),
    count(
        "lost_open",
        "count(number_e164) FILTER (WHERE lost AND NOT served)",
        "of the lost, those nobody spoke with since: to be called back",
        &[],
    ),
    percent("lost_pct", "100.0 * {lost_callers} / nullif({callers}, 0)", "lost callers / unique callers", &[]),
];
