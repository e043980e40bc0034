//! Puts the limits into a plan: every expression that builds texts or lists is asked or checked.
//!
//! It runs after the types are known, on every plan. What an expression gives is decided by its type where it only chooses
//! (CASE), by the function's kind otherwise. It knows no tables.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF, Unnest};
use datafusion::optimizer::AnalyzerRule;

use super::budget::Budget;
use super::known::{GATHERING, Kind, kind};
use super::{Asked, Checked, Look};

/// What the functions of a query may build for one batch of rows, in bytes, over all threads.
const BUDGET_BYTES: u64 = 128 << 20;
/// The least that is left for one thread.
const BUDGET_BYTES_MIN: u64 = 8 << 20;

/// Puts the limits into a plan.
#[derive(Debug)]
pub(in crate::engine) struct LimitValues {
    bytes_max: u64,
}

impl LimitValues {
    /// For queries that run on so many threads.
    pub(in crate::engine) fn new(threads: usize) -> Self {
        Self { bytes_max: (BUDGET_BYTES / threads.max(1) as u64).max(BUDGET_BYTES_MIN) }
    }
}

impl AnalyzerRule for LimitValues {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let budget = Budget::new(self.bytes_max);
        let limited = plan.transform_up_with_subqueries(|node| limit_node(node, &budget))?;
        Ok(limited.data)
    }

    fn name(&self) -> &'static str {
        "limit_values"
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other nodes gather nothing and make no rows")]
fn limit_node(node: LogicalPlan, budget: &Arc<Budget>) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    // Who reads a column of this node knows it by the name that it had.
    let names = NamePreserver::new(&node);
    let limited = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let limited = expr.transform_up(|expr| Ok(limit(expr, &schema, budget)))?;
        Ok(limited.update_data(|expr| name.restore(expr)))
    })?;
    let changed = limited.transformed;
    Ok(match limited.data {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(gathers) => {
            let first = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
            let gathered: Vec<usize> =
                (first..).zip(&aggregate.aggr_expr).filter(|(_, e)| gathers(e)).map(|(at, _)| at).collect();
            Transformed::yes(looked_at(LogicalPlan::Aggregate(aggregate), &gathered, Look::Width, budget)?)
        }
        LogicalPlan::Unnest(unnest) => {
            let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(at, _)| *at).collect();
            let input = Arc::new(looked_at(Arc::unwrap_or_clone(unnest.input), &lists, Look::Entries, budget)?);
            Transformed::yes(LogicalPlan::Unnest(Unnest { input, ..unnest }))
        }
        other if changed => Transformed::yes(other),
        other => Transformed::no(other),
    })
}

/// Whether an aggregate's result holds all that it was given.
fn gathers(expr: &Expr) -> bool {
    let gathering = |e: &Expr| Ok(matches!(e, Expr::AggregateFunction(call) if GATHERING.contains(&call.func.name())));
    expr.exists(gathering).unwrap_or(true)
}

/// The same rows, with a look at these columns.
fn looked_at(node: LogicalPlan, columns: &[usize], look: Look, budget: &Arc<Budget>) -> Result<LogicalPlan> {
    let all: Vec<Expr> = node
        .schema()
        .iter()
        .enumerate()
        .map(|(at, (table, field))| {
            let column = Expr::Column(Column::new(table.cloned(), field.name()));
            if columns.contains(&at) {
                Checked::call(look, budget.part(), column).alias_qualified(table.cloned(), field.name())
            } else {
                column
            }
        })
        .collect();
    LogicalPlanBuilder::from(node).project(all)?.build()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what builds values is limited")]
fn limit(expr: Expr, schema: &DFSchema, budget: &Arc<Budget>) -> Transformed<Expr> {
    let checked = |expr: Expr| Transformed::yes(Checked::call(Look::Size, budget.part(), expr));
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => checked(expr),
        Expr::Case(_) if builds(&expr, schema) => checked(expr),
        Expr::ScalarFunction(ScalarFunction { func, args }) => match kind(func.name()) {
            Some(Kind::Growing(growth)) if !func.inner().is::<Asked>() => {
                let asked = Asked { function: func, growth, part: budget.part() };
                let func = Arc::new(ScalarUDF::new_from_impl(asked));
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
            Some(Kind::Choice) => {
                let call = Expr::ScalarFunction(ScalarFunction { func, args });
                if builds(&call, schema) { checked(call) } else { Transformed::no(call) }
            }
            Some(Kind::Growing(_) | Kind::Plain) | None => {
                Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
        },
        other => Transformed::no(other),
    }
}

/// Whether an expression gives texts or lists; an unknown type might be one.
fn builds(expr: &Expr, schema: &DFSchema) -> bool {
    !expr
        .get_type(schema)
        .is_ok_and(|given| given.is_primitive() || matches!(given, DataType::Boolean | DataType::Null))
}
