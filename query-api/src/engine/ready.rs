//! A plan that some door made of something else than SQL: its tables are ours by their names, its functions are ours or it is
//! refused, whatever else it was made with.
//!
//! So such a plan reads the same moment as a text would, and nothing else. What else it may do is [`super::gateway`]'s to say.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as PlanResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, cast};

use super::QueryError;
use super::catalog::columns_of;
use super::guard::RELATIONS_MAX;
use super::session::{CATALOG, SCHEMA};
use super::size::Size;

/// The names of the tables that a plan reads, once it is known not to be too large.
pub(super) fn tables(plan: &LogicalPlan) -> Result<Vec<String>, QueryError> {
    let tables = Size::of(plan)?.tables;
    if tables.len() > RELATIONS_MAX {
        let found = tables.len();
        return Err(refused(format!("the query reads {found} tables, at most {RELATIONS_MAX} are allowed")));
    }
    tables.iter().map(ours).collect()
}

/// A table's name; only ours have one.
fn ours(table: &TableReference) -> Result<String, QueryError> {
    let place = (table.catalog().unwrap_or(CATALOG), table.schema().unwrap_or(SCHEMA));
    if place == (CATALOG, SCHEMA) && columns_of(table.table()).is_some() {
        return Ok(table.table().to_owned());
    }
    Err(QueryError::Invalid { message: format!("there is no table {table}") })
}

/// The plan over the tables of this session, which has those that [`tables`] named.
pub(super) async fn put_in_place(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan, QueryError> {
    let failed = |e: datafusion::error::DataFusionError| QueryError::from_plan(&e);
    check_functions(&plan, state)?;
    let mut found: HashMap<String, Arc<dyn TableProvider>> = HashMap::new();
    for name in tables(&plan)? {
        let schema = state.schema_for_ref(TableReference::bare(name.as_str())).map_err(failed)?;
        if let Some(table) = schema.table(&name).await.map_err(failed)? {
            found.insert(name, table);
        }
    }
    let mut wrong = None;
    let placed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
        let table = found.get(scan.table_name.table()).filter(|_| wrong.is_none());
        match (table, wrong_columns(&scan)) {
            (Some(table), None) => Ok(Transformed::yes(in_place(scan, table)?)),
            (_, told) => {
                wrong = wrong.take().or(told);
                Ok(Transformed::no(LogicalPlan::TableScan(scan)))
            }
        }
    });
    let placed = placed.map_err(failed)?.data;
    wrong.map_or(Ok(placed), |message| Err(QueryError::Invalid { message }))
}

/// Functions are compared with those of our own that have their names: a name alone says nothing of what is computed.
fn check_functions(plan: &LogicalPlan, state: &SessionState) -> Result<(), QueryError> {
    let mut unknown = None;
    let looked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                unknown = unknown.take().or_else(|| unknown_function(expr, state));
                Ok(if unknown.is_none() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            })
        })
    });
    looked.map_err(|e| QueryError::from_plan(&e))?;
    match unknown {
        Some(name) => Err(refused(format!("the function {name} is not available"))),
        None => Ok(()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else there is, calls no function")]
fn unknown_function(expr: &Expr, state: &SessionState) -> Option<String> {
    let (name, known) = match expr {
        Expr::ScalarFunction(call) => (call.name(), state.scalar_functions().get(call.name()) == Some(&call.func)),
        Expr::AggregateFunction(call) => {
            let name = call.func.name();
            (name, state.aggregate_functions().get(name) == Some(&call.func))
        }
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function.name(), state.aggregate_functions().get(function.name()) == Some(function))
            }
            WindowFunctionDefinition::WindowUDF(function) => {
                (function.name(), state.window_functions().get(function.name()) == Some(function))
            }
        },
        _ => return None,
    };
    (!known).then(|| name.to_owned())
}

/// What is wrong with the columns that a scan thinks its table has: they are counted from its first on.
fn wrong_columns(scan: &TableScan) -> Option<String> {
    let name = scan.table_name.table();
    let ours = columns_of(name)?;
    let theirs = scan.source.schema();
    let alike =
        |(ours, theirs): (&FieldRef, &FieldRef)| (ours.name(), ours.data_type()) == (theirs.name(), theirs.data_type());
    let same = ours.fields().len() == theirs.fields().len() && ours.fields().iter().zip(theirs.fields()).all(alike);
    let there = scan.projection.iter().flatten().all(|at| *at < ours.fields().len());
    (!same || !there).then(|| format!("the plan takes {name} for a table of other columns"))
}

/// The rows of our table in the place of a scan, under the same names and in the types that were planned.
fn in_place(scan: TableScan, table: &Arc<dyn TableProvider>) -> PlanResult<LogicalPlan> {
    let name = scan.table_name;
    let planned = scan.source.schema();
    let plain = |at: usize| Expr::Column(Column::new(Some(name.clone()), planned.field(at).name()));
    let typed = |at: usize| {
        let field = planned.field(at);
        if table.schema().field(at).data_type() == field.data_type() {
            return plain(at);
        }
        cast(plain(at), field.data_type().clone()).alias_qualified(Some(name.clone()), field.name())
    };
    let all = 0..planned.fields().len();
    let kept = scan.projection.unwrap_or_else(|| all.clone().collect());
    let mut rows = LogicalPlanBuilder::scan(name.clone(), provider_as_source(Arc::clone(table)), None)?;
    rows = rows.project(all.map(typed))?;
    for filter in scan.filters {
        rows = rows.filter(filter)?;
    }
    rows = rows.project(kept.into_iter().map(plain))?;
    match scan.fetch {
        Some(fetch) => rows.limit(0, Some(fetch))?.build(),
        None => rows.build(),
    }
}

fn refused(reason: String) -> QueryError {
    QueryError::Refused { reason }
}
