//! `agent_pieces('hour', 'Europe/Berlin', from, to, now)`: the rows of `agent_intervals` within `[from, to)`, cut at the
//! borders of local hours, days, weeks or months, or whole (`'all'`). A sixth argument, `'06:00'`, is when days begin.
//!
//! An interval that goes on ends at `now`. Lengths are differences of whole milliseconds of the clock, so that pieces sum up to
//! their interval and intervals to their login. Pieces of a batch that differ in nothing that was asked for become one row:
//! that is most of the summing up. It knows nothing of what is counted.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err, plan_err};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use rustc_hash::FxHashMap;

use super::calendar::{Bucket, Calendar, DayStart};
use super::cutting::CutExec;

/// Its name.
pub(super) const AGENT_PIECES: &str = "agent_pieces";
/// The table that it cuts.
pub(super) const AGENT_INTERVALS: &str = "agent_intervals";

/// Columns that a piece has of its interval.
const KEPT: [&str; 7] = ["person", "agent", "pbx", "team", "queue", "state", "reason"];
/// What it needs beside them: the last one tells whether it is a part of a login.
const READ: [&str; 3] = ["started_at", "ended_at", "session_id"];
/// Columns of its own: whether the agent was logged in, how many of the intervals began in it, in which bucket, how long.
const LOGGED_IN: &str = "logged_in";
const BEGAN: &str = "began";
const BUCKET_AT: &str = "bucket_at";
const MS: &str = "ms";

/// Between two whole milliseconds.
const MILLI_MICROS: i64 = 1_000;

/// The function over the intervals of one moment.
#[derive(Debug)]
pub(super) struct AgentPieces(pub(super) Arc<dyn TableProvider>);

impl TableFunctionImpl for AgentPieces {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let [length, zone, from, to, now, rest @ ..] = args.exprs() else {
            return plan_err!("{AGENT_PIECES} takes a length, a zone, from, to and now");
        };
        let day_start = match rest {
            [] => DayStart::default(),
            [begin] => text(begin)?.parse::<DayStart>().map_err(|e| plan_datafusion_err!("{e}"))?,
            _ => return plan_err!("{AGENT_PIECES} takes at most when days begin after now"),
        };
        let (length, zone) = (text(length)?, text(zone)?);
        let calendar = match Bucket::named(length) {
            Some(bucket) => Some(Calendar::new(bucket, zone, day_start)?),
            None if length == "all" => None,
            None => return plan_err!("{AGENT_PIECES} cuts at hour, day, week, month or all, not at {length}"),
        };
        let cut = Cut { calendar, from: micros(from)?, to: micros(to)?, now: micros(now)? };
        Ok(Arc::new(Pieces { intervals: Arc::clone(&self.0), cut, schema: schema(&self.0.schema())? }))
    }
}

fn text(argument: &Expr) -> Result<&str> {
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = argument {
        return Ok(text);
    }
    plan_err!("{AGENT_PIECES} takes a text, not {argument}")
}

/// A moment, or none.
fn micros(argument: &Expr) -> Result<Option<i64>> {
    if let Expr::Literal(ScalarValue::Int64(micros), _) = argument {
        return Ok(*micros);
    }
    if matches!(argument, Expr::Literal(ScalarValue::Null, _)) {
        return Ok(None);
    }
    plan_err!("{AGENT_PIECES} takes microseconds, not {argument}")
}

fn schema(intervals: &Schema) -> Result<SchemaRef> {
    let kept = KEPT.iter().map(|name| Ok(intervals.field_with_name(name)?.clone()));
    let own = [
        Field::new(LOGGED_IN, DataType::Boolean, false),
        Field::new(BEGAN, DataType::Int64, false),
        Field::new(BUCKET_AT, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new(MS, DataType::Int64, false),
    ];
    Ok(Arc::new(Schema::new(kept.chain(own.into_iter().map(Ok)).collect::<Result<Vec<_>>>()?)))
}

/// The pieces as a table.
#[derive(Debug)]
struct Pieces {
    intervals: Arc<dyn TableProvider>,
    cut: Cut,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Pieces {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let shown: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&shown)?);
        let intervals = self.intervals.schema();
        let kept = schema.fields().iter().map(|field| field.name().as_str()).filter(|name| KEPT.contains(name));
        let read = kept.chain(READ).map(|name| Ok(intervals.index_of(name)?)).collect::<Result<Vec<_>>>()?;
        let now = match (self.cut.now, state.execution_props().query_execution_start_time) {
            (Some(now), _) => now,
            (None, Some(begun)) => begun.timestamp_micros(),
            (None, None) => return plan_err!("{AGENT_PIECES} knows no present moment"),
        };
        let cut = Cut { now: Some(now), ..self.cut.clone() };
        let input = self.intervals.scan(state, Some(&read), &cut.conditions(), None).await?;
        Ok(Arc::new(CutExec::new(input, cut, schema)))
    }
}

/// Where intervals are cut.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    calendar: Option<Calendar>,
    from: Option<i64>,
    to: Option<i64>,
    now: Option<i64>,
}

impl Cut {
    /// What can have a piece in the range, so that days and files without are left out.
    fn conditions(&self) -> Vec<Expr> {
        let moment = |at: i64| lit(ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into())));
        let before = self.to.map(|to| col("started_at").lt(moment(to)));
        let after = self.from.map(|from| col("ended_at").gt(moment(from)).or(col("ended_at").is_null()));
        before.into_iter().chain(after).collect()
    }

    /// The pieces of a batch of intervals, at most so many rows at once.
    pub(super) fn pieces(&self, intervals: RecordBatch, schema: &SchemaRef, rows_max: usize) -> Result<Cutting> {
        let times = |name: &str| {
            let column = intervals.column_by_name(name).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
            column.cloned().ok_or_else(|| exec_datafusion_err!("intervals have no times {name}"))
        };
        let Some(sessions) = intervals.column_by_name("session_id") else {
            return exec_err!("intervals have no sessions");
        };
        Ok(Cutting {
            started: times("started_at")?,
            ended: times("ended_at")?,
            sessions: Arc::clone(sessions),
            kinds: alike(&intervals, schema)?,
            cut: self.clone(),
            schema: Arc::clone(schema),
            intervals,
            rows_max,
            row: 0,
            at: None,
        })
    }
}

/// A batch of intervals that is being cut.
pub(super) struct Cutting {
    intervals: RecordBatch,
    started: TimestampMicrosecondArray,
    ended: TimestampMicrosecondArray,
    sessions: ArrayRef,
    /// By interval: the same number where nothing that is asked for differs.
    kinds: Vec<u32>,
    cut: Cut,
    schema: SchemaRef,
    rows_max: usize,
    /// The interval at hand, and how far it was cut.
    row: usize,
    at: Option<i64>,
}

/// Rows in the making.
#[derive(Default)]
struct Made {
    /// By the kind of interval, its bucket, and whether it is a part of a login.
    places: FxHashMap<(u32, Option<i64>, bool), usize>,
    rows: Vec<Sum>,
}

/// Pieces that are alike.
struct Sum {
    /// One of the intervals.
    row: u32,
    logged_in: bool,
    bucket: Option<i64>,
    began: i64,
    ms: i64,
}

impl Iterator for Cutting {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut made = Made::default();
        while self.row < self.intervals.num_rows() && made.rows.len() < self.rows_max {
            if let Err(error) = self.cut_one(&mut made) {
                self.row = self.intervals.num_rows();
                return Some(Err(error));
            }
        }
        (!made.rows.is_empty()).then(|| self.batch(made))
    }
}

impl Cutting {
    /// Cuts the next piece off the interval at hand.
    fn cut_one(&mut self, made: &mut Made) -> Result<()> {
        let started = self.started.value(self.row);
        let ended = if self.ended.is_null(self.row) { self.cut.now } else { Some(self.ended.value(self.row)) };
        let ended = ended.unwrap_or(started).min(self.cut.to.unwrap_or(i64::MAX));
        let at = self.at.unwrap_or_else(|| started.max(self.cut.from.unwrap_or(i64::MIN)));
        if at >= ended {
            (self.row, self.at) = (self.row + 1, None);
            return Ok(());
        }
        let (bucket, border) = match &mut self.cut.calendar {
            Some(calendar) => {
                let bucket = calendar.at(at)?;
                (Some(bucket.from), bucket.to)
            }
            None => (None, i64::MAX),
        };
        let until = ended.min(border);
        let logged_in = self.sessions.is_valid(self.row);
        let place = match made.places.entry((self.kinds[self.row], bucket, logged_in)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let row =
                    u32::try_from(self.row).map_err(|_| exec_datafusion_err!("a batch is too large to be cut"))?;
                made.rows.push(Sum { row, logged_in, bucket, began: 0, ms: 0 });
                *new.insert(made.rows.len() - 1)
            }
        };
        let sum = &mut made.rows[place];
        sum.began += i64::from(at == started);
        sum.ms += until.div_euclid(MILLI_MICROS) - at.div_euclid(MILLI_MICROS);
        (self.row, self.at) = if until < ended { (self.row, Some(until)) } else { (self.row + 1, None) };
        Ok(())
    }

    fn batch(&self, Made { rows: sums, .. }: Made) -> Result<RecordBatch> {
        let rows: UInt32Array = sums.iter().map(|sum| sum.row).collect();
        let logged_in: BooleanArray = sums.iter().map(|sum| Some(sum.logged_in)).collect();
        let buckets: TimestampMicrosecondArray = sums.iter().map(|sum| sum.bucket).collect();
        let buckets = buckets.with_timezone("UTC");
        let numbers = |of: fn(&Sum) -> i64| sums.iter().map(of).collect::<Int64Array>();
        let (began, ms) = (numbers(|sum| sum.began), numbers(|sum| sum.ms));
        let column = |field: &Arc<Field>| -> Result<ArrayRef> {
            Ok(match field.name().as_str() {
                LOGGED_IN => Arc::new(logged_in.clone()),
                BEGAN => Arc::new(began.clone()),
                BUCKET_AT => Arc::new(buckets.clone()),
                MS => Arc::new(ms.clone()),
                name => {
                    let of = self.intervals.column_by_name(name);
                    let of = of.ok_or_else(|| plan_datafusion_err!("intervals have no column {name}"))?;
                    take(of, &rows, None)?
                }
            })
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// Numbers the rows: those get the same that have the same texts in the columns that are asked for. Where a text is kept in two
/// places it may get two numbers, which makes more rows and no others.
fn alike(intervals: &RecordBatch, schema: &Schema) -> Result<Vec<u32>> {
    let mut kinds = vec![0; intervals.num_rows()];
    for field in schema.fields().iter().filter(|field| KEPT.contains(&field.name().as_str())) {
        // Those of the log come as texts, those of the lake as views.
        let column =
            intervals.column_by_name(field.name()).map(|column| cast(column, &DataType::Utf8View)).transpose()?;
        let column = column.as_ref().and_then(|column| column.as_string_view_opt());
        let column = column.ok_or_else(|| exec_datafusion_err!("intervals have no texts {}", field.name()))?;
        let mut known: FxHashMap<(u32, Option<u128>), u32> = FxHashMap::default();
        let mut last = None;
        for (row, (kind, view)) in kinds.iter_mut().zip(column.views()).enumerate() {
            let key = (*kind, column.is_valid(row).then_some(*view));
            *kind = match last {
                // Rows of an agent stand together.
                Some((same, kind)) if same == key => kind,
                Some(_) | None => {
                    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                    *known.entry(key).or_insert(next)
                }
            };
            last = Some((key, *kind));
        }
    }
    Ok(kinds)
}
