//! ORDER BY and LIMIT: the rows come in the order asked for, they are the same rows as without an order, and a slice of them is
//! what LIMIT and OFFSET give. Some of the results are larger than what the engine hands on at once.

use std::cmp::Ordering;

use serde_json::Value;

use super::expressions::Dice;
use super::{Tally, answers, sorted};
use crate::bench::Bench;

/// The keys of one order; the last two together are different in every row.
struct Order {
    /// Column, direction, place of the nulls.
    keys: Vec<(&'static str, Direction, Nulls)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Asc,
    Desc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    First,
    Last,
}

impl Order {
    fn any(dice: &mut Dice) -> Self {
        let mut one = |column| {
            let direction = if dice.below(2) == 0 { Direction::Asc } else { Direction::Desc };
            let nulls = if dice.below(2) == 0 { Nulls::First } else { Nulls::Last };
            (column, direction, nulls)
        };
        Self { keys: ["x", "c", "l"].map(&mut one).to_vec() }
    }

    fn sql(&self) -> String {
        let key = |(column, direction, nulls): &(&str, _, _)| {
            let direction = if *direction == Direction::Asc { "ASC" } else { "DESC" };
            let nulls = if *nulls == Nulls::First { "FIRST" } else { "LAST" };
            format!("{column} {direction} NULLS {nulls}")
        };
        self.keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let by_key = |(column, direction, nulls): &(&str, _, _)| {
            let (a, b) = (&a[*column], &b[*column]);
            let null_first = if *nulls == Nulls::First { Ordering::Less } else { Ordering::Greater };
            match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) => null_first,
                (false, true) => null_first.reverse(),
                (false, false) if *direction == Direction::Desc => compare(b, a),
                (false, false) => compare(a, b),
            }
        };
        self.keys.iter().map(by_key).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Texts by their bytes, numbers by their size.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.cmp(b),
        _ => a.as_i64().cmp(&b.as_i64()),
    }
}

/// One round of it.
pub(super) async fn round(bench: &Bench, dice: &mut Dice, tally: &mut Tally) {
    let key = match dice.below(3) {
        0 => dice.pick(&["c.talk_ms", "c.wait_ms", "c.started_at", "l.talk_ms"]).to_owned(),
        _ => dice.text(2, "c."),
    };
    let condition = dice.condition(2, "c.");
    let select = format!(
        "SELECT {key} AS x, c.call_id AS c, l.leg_id AS l FROM calls c CROSS JOIN legs l WHERE ({condition}) IS NOT FALSE"
    );
    let order = Order::any(dice);
    let in_order = format!("{select} ORDER BY {}", order.sql());
    let Some(rows) = answers(bench, std::slice::from_ref(&in_order), tally).await else { return };
    let Some(without) = answers(bench, std::slice::from_ref(&select), tally).await else { return };
    let count = rows.len() as u64;
    let (limit, offset) = (dice.below(count.max(1) + 10), dice.below(count.max(1) + 10));
    let slice = format!("{in_order} LIMIT {limit} OFFSET {offset}");
    let Some(sliced) = answers(bench, std::slice::from_ref(&slice), tally).await else { return };
    tally.judged += 1;
    if let Some(place) = rows.windows(2).position(|pair| order.compare(&pair[0], &pair[1]).is_gt()) {
        let pair = &rows[place..place + 2];
        tally.findings.push(format!("{in_order}\n  row {place} comes before one that it should follow: {pair:?}"));
    }
    let expected = rows.iter().skip(offset as usize).take(limit as usize);
    if !expected.eq(&sliced) {
        tally.findings.push(format!("{slice}\n  is not that part of the whole"));
    }
    if sorted(rows) != sorted(without) {
        tally.findings.push(format!("{in_order}\n  has other rows than without its order"));
    }
}
