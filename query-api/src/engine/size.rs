//! How large and how deep a plan is, found out without recursion: whoever makes a plan by hand may make one that would use up
//! the stack of everything else that looks at it.
//!
//! A text's plan has been bounded by [`super::guard`] already, far below these caps. It must not know what a plan may do:
//! [`super::gateway`] says that.

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::QueryError;
use super::gateway::{ALLOWED, EXPRESSIONS_MAX};
use super::substitution::subquery_of;

/// Most steps of a plan, its tables' own counted: a hundred tables have less than a thousand.
const NODES_MAX: usize = 4_000;
/// How deep steps may lie upon each other: fifty levels of parentheses and two hundred arms of a UNION are less.
const NODES_DEPTH_MAX: usize = 1_000;
/// How deep expressions may lie in each other: a chain of a thousand operators, and what the planner puts around it.
const EXPRESSIONS_DEPTH_MAX: usize = 1_500;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Size {
    nodes: usize,
    expressions: usize,
    /// The tables that it reads, each mention for itself.
    pub(super) tables: Vec<TableReference>,
}

impl Size {
    /// Measures a plan, or says that it is too large.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Self, QueryError> {
        let mut size = Self::default();
        size.add(plan, 1)?;
        Ok(size)
    }

    fn add(&mut self, plan: &LogicalPlan, depth: usize) -> Result<(), QueryError> {
        let mut waiting = vec![(plan, depth)];
        while let Some((node, depth)) = waiting.pop() {
            self.nodes += 1;
            within(self.nodes, NODES_MAX, "steps")?;
            within(depth, NODES_DEPTH_MAX, "steps upon each other")?;
            if let LogicalPlan::TableScan(scan) = node {
                self.tables.push(scan.table_name.clone());
            } else if matches!(node, LogicalPlan::Extension(_)) {
                // What it would say of itself is code that nobody knows.
                return Err(refused(format!("an extension is not a query: {ALLOWED}")));
            }
            let mut queries = Vec::new();
            let mut found = Ok(());
            let looked = node.apply_expressions(|expr| {
                found = self.add_expression(expr, &mut queries);
                Ok(if found.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            });
            looked.map_err(|e| QueryError::from_plan(&e)).and(found)?;
            for query in queries {
                // As deep as queries lie within expressions, which is no deeper than steps may.
                self.add(&query, depth + 1)?;
            }
            waiting.extend(node.inputs().into_iter().map(|input| (input, depth + 1)));
        }
        Ok(())
    }

    fn add_expression(&mut self, expr: &Expr, queries: &mut Vec<Arc<LogicalPlan>>) -> Result<(), QueryError> {
        let mut waiting = vec![(expr, 1)];
        while let Some((expr, depth)) = waiting.pop() {
            self.expressions += 1;
            within(
                self.expressions,
                EXPRESSIONS_MAX,
                "expressions, tables and clauses counted wherever they are used,",
            )?;
            within(depth, EXPRESSIONS_DEPTH_MAX, "expressions in each other")?;
            queries.extend(subquery_of(expr).map(|query| Arc::clone(&query.subquery)));
            let looked = expr.apply_children(|child| {
                waiting.push((child, depth + 1));
                Ok(TreeNodeRecursion::Continue)
            });
            looked.map_err(|e| QueryError::from_plan(&e))?;
        }
        Ok(())
    }
}

fn within(number: usize, max: usize, what: &str) -> Result<(), QueryError> {
    if number > max {
        return Err(refused(format!("the query has more {what} than the {max} that are allowed")));
    }
    Ok(())
}

fn refused(reason: String) -> QueryError {
    QueryError::Refused { reason }
}
