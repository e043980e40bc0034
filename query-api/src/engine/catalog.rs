//! What a query finds by name: each table as the lake's rows under the log's overlay, and `columns`, the data dictionary.
//!
//! `attempts` gets its `attempt_no` here, since it is a matter of reading (SEMANTICS: the row number within the contact over
//! all PBXs). Only the tables that a query names are laid out; the others are listed, but empty.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use calltide_schemas::tables::{Kind, TABLES, TableDef, table};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, col, when};

use super::fact;
use super::hidden::NotReplaced;
use super::moment::TableMoment;
use super::pieces::AGENT_INTERVALS;
use super::scan::LakeTable;

/// The view with the columns of all tables.
pub(super) const COLUMNS: &str = "columns";
/// The table with a computed column, and that column.
const ATTEMPTS: &str = "attempts";
const ATTEMPT_NO: &str = "attempt_no";
const ATTEMPT_NO_DOC: &str = "which dial of this contact it is, over all PBXs, from 1; null for calls dialled by hand";

/// The tables of one query.
#[derive(Debug)]
pub(super) struct Tables {
    laid: HashMap<&'static str, Arc<dyn TableProvider>>,
}

impl Tables {
    /// Lays out the tables that the query reads.
    pub(super) fn new(moments: &[TableMoment]) -> Result<Self> {
        let mut laid = HashMap::new();
        for moment in moments {
            laid.insert(moment.def.name, lay(moment)?);
        }
        Ok(Self { laid })
    }

    /// What agents did, to be cut.
    pub(super) fn intervals(&self) -> Result<Arc<dyn TableProvider>> {
        if let Some(laid) = self.laid.get(AGENT_INTERVALS) {
            return Ok(Arc::clone(laid));
        }
        Ok(Arc::new(EmptyTable::new(columns_of(AGENT_INTERVALS).unwrap_or_else(|| Arc::new(Schema::empty())))))
    }

    /// All tables without rows, none of them put together of others: what plans are made over before it is known what there is.
    pub(super) fn without_rows() -> Self {
        let none = |name: &'static str| -> Option<(&'static str, Arc<dyn TableProvider>)> {
            Some((name, Arc::new(EmptyTable::new(columns_of(name)?))))
        };
        Self { laid: TABLES.iter().map(|def| def.name).chain([COLUMNS]).filter_map(none).collect() }
    }
}

/// The columns of a table as a query sees them; `None`: there is no such table.
pub(super) fn columns_of(name: &str) -> Option<SchemaRef> {
    if name == COLUMNS {
        return Some(dictionary());
    }
    let def = table(name)?;
    let columns = fact::schema(def);
    if name != ATTEMPTS {
        return Some(columns);
    }
    let numbered = Field::new(ATTEMPT_NO, DataType::Int64, true);
    let fields = columns.fields().iter().map(|field| field.as_ref().clone()).chain([numbered]);
    Some(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|def| def.name.to_owned()).chain([COLUMNS.to_owned()]).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(laid) = self.laid.get(name) {
            return Ok(Some(Arc::clone(laid)));
        }
        if name == COLUMNS {
            return Ok(Some(columns()?));
        }
        table(name).map(|def| lay(&TableMoment { def, snapshot: None, overlay: Arc::default() })).transpose()
    }

    fn table_exist(&self, name: &str) -> bool {
        name == COLUMNS || table(name).is_some()
    }
}

fn lay(moment: &TableMoment) -> Result<Arc<dyn TableProvider>> {
    let def = moment.def;
    let mut plan: Option<LogicalPlan> = None;
    if let Some(snapshot) = moment.snapshot.as_ref().filter(|s| !s.files.is_empty()) {
        let lake: Arc<dyn TableProvider> = Arc::new(LakeTable::new(def, Arc::clone(snapshot)));
        let mut rows = LogicalPlanBuilder::scan(def.name, provider_as_source(lake), None)?;
        if let Some(key) = def.key.filter(|_| !moment.overlay.hidden.is_empty()) {
            rows = rows.filter(NotReplaced::condition(&moment.overlay.hidden, col(key)))?;
        }
        plan = Some(rows.build()?);
    }
    if !moment.overlay.rows.is_empty() {
        let facts = MemTable::try_new(fact::schema(def), vec![moment.overlay.rows.clone()])?;
        let rows = LogicalPlanBuilder::scan(def.name, provider_as_source(Arc::new(facts)), None)?.build()?;
        plan = Some(match plan {
            Some(lake) => LogicalPlanBuilder::from(lake).union(rows)?.build()?,
            None => rows,
        });
    }
    let plan = match plan {
        Some(plan) => plan,
        None => {
            let none: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(fact::schema(def)));
            LogicalPlanBuilder::scan(def.name, provider_as_source(none), None)?.build()?
        }
    };
    let plan = if def.name == ATTEMPTS { number(def, plan)? } else { plan };
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Adds `attempt_no`. Queries that do not use it are not slowed: the optimizer drops the numbering.
fn number(def: &TableDef, plan: LogicalPlan) -> Result<LogicalPlan> {
    let within = row_number()
        .partition_by(vec![col("campaign"), col("contact")])
        .order_by(vec![col("started_at").sort(true, false), col("call_id").sort(true, false)])
        .build()?
        .alias("nth");
    let given: Vec<Expr> = fact::schema(def).fields().iter().map(|f| col(f.name())).collect();
    let numbered = when(col("contact").is_not_null(), cast(col("nth"), DataType::Int64)).end()?.alias(ATTEMPT_NO);
    LogicalPlanBuilder::from(plan).window(vec![within])?.project(given.into_iter().chain([numbered]))?.build()
}

/// The data dictionary as a table.
fn columns() -> Result<Arc<dyn TableProvider>> {
    let mut rows: Vec<[&str; 4]> = Vec::new();
    for def in TABLES.iter() {
        for column in def.columns {
            let kind = match column.kind {
                Kind::Text => "text",
                Kind::Int => "bigint",
                Kind::Bool => "boolean",
                Kind::Time => "timestamp with time zone",
                Kind::Decimal => "numeric",
            };
            rows.push([def.name, column.name, kind, column.doc]);
        }
        rows.push([def.name, calltide_schemas::tables::DAY, "text", "UTC day of the row, YYYY-MM-DD"]);
        if def.name == ATTEMPTS {
            rows.push([def.name, ATTEMPT_NO, "bigint", ATTEMPT_NO_DOC]);
        }
    }
    let schema = dictionary();
    let column = |at: usize| Arc::new(rows.iter().map(|row| row.get(at).copied()).collect::<StringArray>()) as _;
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column(0), column(1), column(2), column(3)])?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn dictionary() -> SchemaRef {
    let names = ["table_name", "column_name", "data_type", "comment"];
    Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Utf8, false)).to_vec()))
}
