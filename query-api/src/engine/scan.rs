//! One table of the lake at one snapshot, as DataFusion reads it: Parquet files, those of days that cannot match left out.
//!
//! Every file holds the rows of one UTC day, so a condition on `day` or on the time column that the day is taken from
//! decides about whole files before any is opened; within the files DataFusion prunes by Parquet's own statistics.
//! It knows nothing of corrections that wait in the log: [`super::catalog`] lays those over it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use calltide_schemas::tables::{DAY, TableDef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::lake::Snapshot;
use super::store::LAKE_URL;

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// A table's files at one snapshot.
#[derive(Debug)]
pub(super) struct LakeTable {
    def: &'static TableDef,
    columns: TableSchema,
    snapshot: Arc<Snapshot>,
}

impl LakeTable {
    pub(super) fn new(def: &'static TableDef, snapshot: Arc<Snapshot>) -> Self {
        let day = Arc::new(day_field());
        let columns = TableSchema::builder(as_views(&columns(def))).with_table_partition_cols(vec![day]).build();
        Self { def, columns, snapshot }
    }

    /// The files that may hold rows for which `filters` are true.
    fn files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let keep = match conjunction(filters.iter().cloned()) {
            Some(filter) => {
                let schema = DFSchema::try_from(self.schema())?;
                self.prune(&state.create_physical_expr(filter, &schema)?)
            }
            None => vec![true; self.snapshot.files.len()],
        };
        let kept = self.snapshot.files.iter().zip(keep).filter(|(_, keep)| *keep);
        Ok(kept
            .map(|(file, _)| {
                PartitionedFile::new_from_meta(file.meta.clone())
                    .with_partition_values(vec![ScalarValue::from(file.day.as_str())])
            })
            .collect())
    }

    /// Pruning only saves work: where a condition cannot be judged, every file stays.
    fn prune(&self, filter: &Arc<dyn PhysicalExpr>) -> Vec<bool> {
        let days = FileDays { def: self.def, snapshot: &self.snapshot };
        PruningPredicateBuilder::new()
            .with_file_schema(self.schema())
            .try_build(Arc::clone(filter))
            .and_then(|predicate| predicate.prune(&days))
            .unwrap_or_else(|_| vec![true; self.snapshot.files.len()])
    }
}

/// The table's columns as they are read: any may be null, since a file knows nothing of columns that were added after it.
pub(super) fn columns(def: &TableDef) -> SchemaRef {
    let fields = def.arrow_schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

/// The partition column as a field.
pub(super) fn day_field() -> Field {
    Field::new(DAY, DataType::Utf8, false)
        .with_metadata([("comment".to_owned(), "UTC day of the row, YYYY-MM-DD".to_owned())].into())
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files(state, filters)?;
        if files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema().project(columns)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        // A limit counts rows before the filters above: it may only go down when there are none.
        let limit = if filters.is_empty() { limit } else { None };
        let source = Arc::new(ParquetSource::new(self.columns.clone()));
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::parse(LAKE_URL)?, source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        // Through the format, since that brings the cache of parsed footers.
        ParquetFormat::default()
            .with_options(state.default_table_options().parquet)
            .create_physical_plan(state, scan)
            .await
    }
}

/// Texts as views: Parquet's dictionaries are decoded without copying each text, and grouping compares their first bytes.
fn as_views(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| {
        if field.data_type() == &DataType::Utf8 {
            return Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View));
        }
        Arc::clone(field)
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// What is known of each file without opening it.
struct FileDays<'a> {
    def: &'static TableDef,
    snapshot: &'a Snapshot,
}

impl FileDays<'_> {
    fn bound(&self, column: &Column, end: i64) -> Option<ArrayRef> {
        let files = self.snapshot.files.iter();
        if column.name == DAY {
            return Some(Arc::new(files.map(|f| Some(f.day.as_str())).collect::<StringArray>()));
        }
        if column.name != self.def.day_of {
            return None;
        }
        let times = files.map(|f| day_start(&f.day).map(|start| start + end)).collect::<TimestampMicrosecondArray>();
        Some(Arc::new(times.with_timezone("UTC")))
    }
}

/// The first microsecond of a UTC day.
fn day_start(day: &str) -> Option<i64> {
    let date: jiff::civil::Date = day.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

impl PruningStatistics for FileDays<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, 0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, DAY_MICROS - 1)
    }

    fn num_containers(&self) -> usize {
        self.snapshot.files.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
