//! How large a plan's conditions become once the optimizer pushes them down: a condition on a computed column has the whole
//! computation put in the column's place, at each mention anew, and stands in each arm of a UNION.
//!
//! Thirty clauses that each double a column make 2^30 expressions of one comparison, and planning never yields. This counts
//! them without making them. It knows no functions and no tables.

use std::collections::HashMap;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};

/// What a plan below a condition makes of it.
struct Below {
    /// Per column, how many expressions stand for it.
    columns: Vec<u64>,
    /// Into how many arms a condition goes.
    arms: u64,
}

/// How many expressions all conditions of a plan come to.
pub(super) fn conditions(plan: &LogicalPlan) -> Result<u64> {
    let mut total = 0;
    below(plan, &mut total)?;
    Ok(total)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "through all other nodes nothing is put in the place of a column")]
fn below(node: &LogicalPlan, total: &mut u64) -> Result<Below> {
    let inputs = node.inputs().into_iter().map(|input| below(input, total)).collect::<Result<Vec<_>>>()?;
    let known = names(node, &inputs);
    let arms = inputs.iter().map(|input| input.arms).fold(0, u64::saturating_add).max(1);
    let mut sizes = Vec::new();
    node.apply_expressions(|expr| {
        sizes.push(substituted(expr, &known, total)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let fields = node.schema().fields().len();
    let mut conditions = |sizes: &[u64]| {
        let all = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        *total = total.saturating_add(all.saturating_mul(arms));
    };
    let columns = match node {
        LogicalPlan::Projection(_) => sizes,
        LogicalPlan::Union(_) => {
            let widest =
                |at: usize| inputs.iter().filter_map(|input| input.columns.get(at)).max().copied().unwrap_or(1);
            (0..fields).map(widest).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            conditions(&sizes);
            let grouped = aggregate.group_expr.len();
            (0..fields).map(|at| sizes.get(at).filter(|_| at < grouped).copied().unwrap_or(1)).collect()
        }
        LogicalPlan::Unnest(unnest) => {
            let given = inputs.first().map(|input| input.columns.as_slice()).unwrap_or_default();
            unnest.dependency_indices.iter().map(|at| given.get(*at).copied().unwrap_or(1)).collect()
        }
        _ => {
            conditions(&sizes);
            let given = inputs.iter().flat_map(|input| input.columns.iter().copied());
            given.chain(std::iter::repeat(1)).take(fields).collect()
        }
    };
    Ok(Below { columns, arms })
}

/// The sizes of a node's input columns by their names.
fn names(node: &LogicalPlan, inputs: &[Below]) -> HashMap<Column, u64> {
    let mut known = HashMap::new();
    for (input, below) in node.inputs().into_iter().zip(inputs) {
        known.extend(input.schema().columns().into_iter().zip(below.columns.iter().copied()));
    }
    known
}

/// The size of an expression with its columns replaced. What its subqueries come to is added to the total.
fn substituted(expr: &Expr, known: &HashMap<Column, u64>, total: &mut u64) -> Result<u64> {
    let mut size: u64 = 0;
    expr.apply(|part| {
        let column = if let Expr::Column(column) = part { known.get(column).copied() } else { None };
        size = size.saturating_add(column.unwrap_or(1));
        if let Some(subquery) = subquery_of(part) {
            let before = *total;
            below(&subquery.subquery, total)?;
            // Its mentions of our columns are taken out of it and become conditions here.
            let within = total.saturating_sub(before).max(1);
            for column in subquery.outer_ref_columns.iter().filter_map(outer_column) {
                let one = known.get(column).copied().unwrap_or(1);
                size = size.saturating_add(one.saturating_mul(within));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(size)
}

/// The query that an expression holds.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other expression holds a query")]
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::SetComparison(compared) => Some(&compared.subquery),
        _ => None,
    }
}

fn outer_column(expr: &Expr) -> Option<&Column> {
    if let Expr::OuterReferenceColumn(_, column) = expr { Some(column) } else { None }
}
