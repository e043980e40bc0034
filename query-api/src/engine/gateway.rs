//! What a plan may do, whatever door it came by: read our tables with known functions, and nothing else.
//!
//! [`super::guard`] looks at texts before they are planned; this looks at the plan itself, so that it holds for plans that no
//! text was parsed for. It refuses what writes or defines, recursion without an end, functions that are in no list, texts in
//! the query that would be copied into every row, and windows that gather whole columns into each row.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::QueryError;
use super::functions::kind;

/// Most expressions of a plan, WITH clauses counted wherever they are used: more keep the optimizer busy for seconds.
const EXPRESSIONS_MAX: usize = 20_000;
/// Longest text within a query. It may stand in each of 8,192 rows at once, for each thread.
const TEXT_BYTES_MAX: usize = 4_096;
/// Aggregates whose result holds all that they were given.
const GATHERING: [&str; 4] = ["array_agg", "string_agg", "listagg", "group_concat"];

/// What is said to whoever sends anything else.
pub(super) const ALLOWED: &str = "allowed is one SELECT (WITH and VALUES included), or EXPLAIN or DESCRIBE";

/// Refuses what is no reading plan, or more than a plan may be.
pub(super) fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut found = Found::default();
    let looked = plan.apply_with_subqueries(|node| {
        found.node(node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found.expr(expr);
                Ok(found.go_on())
            })
        })?;
        Ok(found.go_on())
    });
    looked.map_err(|e| QueryError::from_plan(&e))?;
    found.reason.map_or(Ok(()), |reason| Err(QueryError::Refused { reason }))
}

#[derive(Default)]
struct Found {
    expressions: usize,
    reason: Option<String>,
}

impl Found {
    fn go_on(&self) -> TreeNodeRecursion {
        if self.reason.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
    }

    fn refuse(&mut self, reason: String) {
        self.reason.get_or_insert(reason);
    }

    fn node(&mut self, node: &LogicalPlan) {
        match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Unnest(_) => {}
            LogicalPlan::Statement(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::RecursiveQuery(_) => {
                self.refuse(format!("{} is not a query: {ALLOWED}", node.display()));
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what else there is only computes")]
    fn expr(&mut self, expr: &Expr) {
        self.expressions += 1;
        if self.expressions > EXPRESSIONS_MAX {
            let used = "tables and clauses counted wherever they are used";
            self.refuse(format!("the query has more than {EXPRESSIONS_MAX} expressions, {used}"));
        }
        match expr {
            Expr::ScalarFunction(call) if kind(call.name()).is_none() => {
                self.refuse(format!("the function {} is not available", call.name()));
            }
            Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
                self.refuse("functions of functions are not available".to_owned());
            }
            Expr::WindowFunction(call) => {
                if let WindowFunctionDefinition::AggregateUDF(aggregate) = &call.fun
                    && GATHERING.contains(&aggregate.name())
                {
                    let name = aggregate.name();
                    self.refuse(format!(
                        "{name} over a window would put the column into each row: use it with GROUP BY"
                    ));
                }
            }
            Expr::Literal(
                ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
                _,
            ) if text.len() > TEXT_BYTES_MAX => {
                let bytes = text.len();
                self.refuse(format!("a text in the query has {bytes} bytes, at most {TEXT_BYTES_MAX} are allowed"));
            }
            _ => {}
        }
    }
}
