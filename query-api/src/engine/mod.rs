//! The engine behind every door: one SQL text in, one result out, over the lake's rows and the log's newest facts.
//!
//! It only reads, and a query, however bad, ends as that query's error: [`guard`] refuses texts, [`gateway`] plans,
//! [`admission`] gives turns, the deadline is kept from outside, a panic is caught, and [`watch`] sees what escapes all that.
//! It must not know how results are shown. Read [`moment`] for what a query sees of the data, [`catalog`] for the tables,
//! then [`scan`].

mod admission;
mod buckets;
mod catalog;
mod error;
mod fact;
mod functions;
mod gateway;
mod guard;
mod hidden;
mod lake;
mod moment;
mod scan;
mod store;
mod tail;
mod watch;
mod weight;

pub use admission::Principal;
pub use error::QueryError;
pub use watch::LastResort;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use calltide_eventlog::EventLog;
use calltide_schemas::tables::{TableDef, table};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::common::{Column, TableReference};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use admission::{Admission, Author, Lane, Turn};
use moment::Source;
use watch::{Asked, Watch, Work};

/// Planning a chain of 1,000 operators overflows the usual 2 MiB.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Parsed footers of some thousand files; DataFusion's own 50 MB are too few.
const FOOTER_CACHE_BYTES: usize = 256 * 1024 * 1024;
/// Functions that build a list by a number; there are table functions of the last two names.
const REMOVED_FUNCTIONS: [&str; 4] = ["array_repeat", "array_resize", "range", "generate_series"];
/// What a heavy query takes beside the pool at its worst, as measured with joins of everything with everything.
const HEAVY_BYTES: usize = 256 * 1024 * 1024;
/// What is said to all who were asking when the process came near its limit.
const NEAR_LIMIT: &str = "the memory of all queries together came near its limit, so the heavy ones were stopped";
const CATALOG: &str = "calltide";
const SCHEMA: &str = "public";

/// Where an engine reads, and what a query may use.
#[derive(Clone)]
pub struct EngineOptions {
    /// The lake's directory; need not be there yet.
    pub lake: PathBuf,
    /// The log, for what is not in the lake yet; `None`: the lake alone.
    pub log: Option<Arc<dyn EventLog>>,
    /// Memory of all running queries together, in bytes (sorts, joins, aggregates, which spill when it is used up; results).
    pub memory_bytes: usize,
    /// What the process may take beside that, in bytes, for rows in passing, caches and the facts that the lake does not have
    /// yet: with three quarters of it taken the heavy queries are stopped, beyond it comes the last resort.
    pub margin_bytes: usize,
    /// Where they spill to; made, and removed when it is empty at the end.
    pub spill_dir: PathBuf,
    /// Most bytes spilled at once.
    pub spill_bytes: u64,
    /// Most rows of a result; more are cut off, and the output says so.
    pub rows_max: usize,
    /// Most bytes of a result in memory; more are an error.
    pub result_bytes_max: usize,
    /// Longest time of a query, waiting included.
    pub deadline: Duration,
    /// Most light queries at once; of heavy ones at most half as many, and one for each 256 MiB of the margin. Others wait
    /// within their deadline.
    pub queries_max: usize,
    /// Most queries that wait in a lane for one asker; more are turned away.
    pub waiting_max: usize,
    /// Called when memory or threads cannot be had back otherwise. `None`: it is only logged.
    pub last_resort: Option<LastResort>,
    /// Most bytes of facts per table that the log may be ahead of the lake.
    pub tail_bytes_max: usize,
    /// Threads for queries.
    pub threads: usize,
}

impl EngineOptions {
    /// Limits that fit a machine of 4 GB or more.
    pub fn new(lake: impl Into<PathBuf>, log: Option<Arc<dyn EventLog>>) -> Self {
        Self {
            lake: lake.into(),
            log,
            memory_bytes: 1024 * 1024 * 1024,
            margin_bytes: 1024 * 1024 * 1024,
            spill_dir: std::env::temp_dir(),
            spill_bytes: 10 * 1024 * 1024 * 1024,
            rows_max: 1_000_000,
            result_bytes_max: 512 * 1024 * 1024,
            deadline: Duration::from_secs(60),
            queries_max: 8,
            waiting_max: 32,
            last_resort: None,
            tail_bytes_max: 512 * 1024 * 1024,
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2),
        }
    }
}

/// A result.
#[derive(Debug, Clone)]
pub struct QueryOutput {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// There were more rows than the cap allows.
    pub truncated: bool,
    /// Counts the rows as memory in use for as long as they are there.
    held: Arc<MemoryReservation>,
}

impl QueryOutput {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The same with these rows instead, which must be taken from its own.
    pub(crate) fn with_rows(self, batches: Vec<RecordBatch>, truncated: bool) -> Self {
        Self { batches, truncated, ..self }
    }

    /// Its rows, to be taken one batch after the other, and what counts them as memory in use.
    pub(crate) fn into_batches(self) -> (Vec<RecordBatch>, Arc<MemoryReservation>) {
        (self.batches, self.held)
    }
}

/// The engine. Cheap to share; lives on a runtime of its own, so that queries cannot starve whoever waits for them.
pub struct Engine {
    inner: Arc<Inner>,
    runtimes: Option<Runtimes>,
    admission: Arc<Admission>,
    /// Planning cannot be interrupted, and has no more threads than running.
    planners: Arc<Semaphore>,
    watch: Watch,
}

/// Threads to plan and run on. Heavy queries have their own: some of their operators keep a thread for seconds, and light
/// queries must not wait for that. The system shares the processors out among all.
struct Runtimes {
    light: Runtime,
    heavy: Runtime,
}

struct Inner {
    options: EngineOptions,
    source: Mutex<Source>,
    state: SessionState,
}

/// A query that is ready to run.
struct Prepared {
    plan: Arc<dyn ExecutionPlan>,
    state: SessionState,
    lane: Lane,
}

impl Engine {
    /// An engine over a lake and a log. Reads nothing yet.
    ///
    /// # Errors
    /// When the threads or the memory pool cannot be made.
    pub fn new(options: EngineOptions) -> Result<Self, QueryError> {
        let lake = std::path::absolute(&options.lake)
            .map_err(|source| QueryError::Io { what: format!("cannot use {}", options.lake.display()), source })?;
        let options = EngineOptions { lake, ..options };
        let threads = |source| QueryError::Io { what: "cannot start the query threads".to_owned(), source };
        let runtime = |name: &str| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(options.threads)
                .thread_stack_size(STACK_BYTES)
                .thread_name(name)
                .enable_all()
                .build()
                .map_err(threads)
        };
        let runtimes = Some(Runtimes { light: runtime("query-light")?, heavy: runtime("query-heavy")? });
        let spilling = |source| QueryError::Io { what: format!("cannot make {}", options.spill_dir.display()), source };
        std::fs::create_dir_all(&options.spill_dir).map_err(spilling)?;
        let state = session(&options).map_err(|e| QueryError::from_run(&e))?;
        let (memory, margin) = (options.memory_bytes as u64, options.margin_bytes as u64);
        let watch = Watch::start(watch::Limits {
            memory_bytes: memory + margin / 4 * 3,
            memory_bytes_last: memory + margin,
            stuck_max: options.threads,
            last_resort: options.last_resort.clone(),
        });
        let heavy = (options.margin_bytes / HEAVY_BYTES).min(options.queries_max / 2);
        let admission = Admission::new(options.queries_max, heavy, options.waiting_max);
        let planners = Arc::new(Semaphore::new(options.threads));
        let source = Mutex::new(Source::new(options.lake.clone(), options.log.clone(), options.tail_bytes_max));
        let inner = Arc::new(Inner { options, source, state });
        Ok(Self { inner, runtimes, admission, planners, watch: watch.map_err(threads)? })
    }

    /// Answers one SQL query. Dropping the future stops the query.
    ///
    /// # Errors
    /// See [`QueryError`]; nothing else can come of a query.
    pub async fn query(&self, principal: &Principal, sql: &str) -> Result<QueryOutput, QueryError> {
        self.run(principal, sql, Author::Asker).await
    }

    /// Answers a query that this crate has written itself.
    pub(crate) async fn report(&self, sql: &str) -> Result<QueryOutput, QueryError> {
        self.run(&Principal::local(), sql, Author::Report).await
    }

    async fn run(&self, principal: &Principal, sql: &str, author: Author) -> Result<QueryOutput, QueryError> {
        let started = std::time::Instant::now();
        let answer = self.run_within_limits(principal, sql, author).await;
        let outcome = answer.as_ref().map_or_else(QueryError::kind, |_| "ok");
        metrics::counter!("calltide_queries_total", "outcome" => outcome).increment(1);
        metrics::histogram!("calltide_query_seconds").record(started.elapsed().as_secs_f64());
        answer
    }

    /// The deadline is kept by whoever waits, on the waiter's own threads; so is the stop for memory's sake.
    async fn run_within_limits(
        &self,
        principal: &Principal,
        sql: &str,
        author: Author,
    ) -> Result<QueryOutput, QueryError> {
        let deadline = self.inner.options.deadline;
        let until = Instant::now() + deadline;
        let seat = self.admission.enter(principal.clone(), author)?;
        let asked = self.watch.asked(sql);
        let mut stop = asked.stop();
        let mut waits = false;
        let answer = async {
            let prepared = self.prepare(sql, author, &asked).await?;
            if prepared.lane == Lane::Heavy {
                asked.is_heavy();
            }
            waits = true;
            let turn = seat.turn(prepared.lane).await?;
            waits = false;
            self.execute(prepared, turn, &asked).await
        };
        let answer = tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = stop.asked_for() => Some(Err(QueryError::Resources { message: NEAR_LIMIT.to_owned() })),
            () = sleep_until(until) => None,
        };
        match answer {
            Some(answer) => answer,
            None if waits => Err(QueryError::Busy { asked: seat.seated() }),
            None => Err(QueryError::Deadline { after: deadline }),
        }
    }

    /// From the text to a plan that may run, on a thread of its own with a deep stack.
    async fn prepare(&self, sql: &str, author: Author, asked: &Asked) -> Result<Prepared, QueryError> {
        let runtime = self.runtimes.as_ref().map(|runtimes| &runtimes.light).ok_or(QueryError::Ended)?;
        let permit = Arc::clone(&self.planners).acquire_owned().await.map_err(|_| QueryError::Ended)?;
        let held = (permit, asked.work());
        let (inner, sql, handle) = (Arc::clone(&self.inner), sql.to_owned(), runtime.handle().clone());
        let planned = runtime.spawn_blocking(move || {
            let prepared = handle.block_on(inner.prepare(&sql, author));
            drop(held);
            prepared
        });
        planned.await.map_err(panicked)?
    }

    async fn execute(&self, prepared: Prepared, turn: Turn, asked: &Asked) -> Result<QueryOutput, QueryError> {
        let runtimes = self.runtimes.as_ref().ok_or(QueryError::Ended)?;
        let runtime = match prepared.lane {
            Lane::Light => &runtimes.light,
            Lane::Heavy => &runtimes.heavy,
        };
        // Held by the task: a stopped query gives its turn back when it really ends.
        let held = (turn, asked.work());
        let inner = Arc::clone(&self.inner);
        // The set stops its task when it is dropped: at the deadline, or when the asker has gone.
        let mut task = JoinSet::new();
        task.spawn_on(async move { inner.execute(prepared, held).await }, runtime.handle());
        match task.join_next().await {
            Some(ended) => ended.map_err(panicked)?,
            None => Err(QueryError::Ended),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A runtime must not be waited for in async code, and a running query may take its time.
        if let Some(Runtimes { light, heavy }) = self.runtimes.take() {
            light.shutdown_background();
            heavy.shutdown_background();
        }
        // Empty, unless a query still works; then it stays for whoever clears up.
        let _ = std::fs::remove_dir(&self.inner.options.spill_dir);
    }
}

impl Inner {
    async fn prepare(&self, sql: &str, author: Author) -> Result<Prepared, QueryError> {
        let statement = match author {
            Author::Asker => guard::parse(sql)?,
            Author::Report => self
                .state
                .sql_to_statement(sql, &datafusion::config::Dialect::Generic)
                .map_err(|e| QueryError::from_plan(&e))?,
        };
        let defs = self.tables_of(&statement)?;
        let moments = self.source.lock().await.moment(&defs).await?;
        let state = self.state_over(&moments).map_err(|e| QueryError::from_run(&e))?;
        let plan = state.statement_to_plan(statement).await.map_err(|e| QueryError::from_plan(&e))?;
        gateway::check(&plan)?;
        let plan = plain_texts(plan).map_err(|e| QueryError::from_run(&e))?;
        let plan = state.optimize(&plan).map_err(|e| QueryError::from_run(&e))?;
        let plan =
            state.query_planner().create_physical_plan(&plan, &state).await.map_err(|e| QueryError::from_run(&e))?;
        let lane = if author == Author::Report { Lane::Light } else { weight::lane(&plan) };
        Ok(Prepared { plan, state, lane })
    }

    /// The rows. What is held is held until the work is done.
    async fn execute(&self, prepared: Prepared, _held: (Turn, Work)) -> Result<QueryOutput, QueryError> {
        let stream = execute_stream(prepared.plan, prepared.state.task_ctx()).map_err(|e| QueryError::from_run(&e))?;
        self.collect(stream).await
    }

    /// The rows, up to the caps.
    async fn collect(&self, mut stream: SendableRecordBatchStream) -> Result<QueryOutput, QueryError> {
        let held = MemoryConsumer::new("result").register(&self.state.runtime_env().memory_pool);
        let (mut batches, mut truncated) = (Vec::new(), false);
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| QueryError::from_run(&e))?;
            let room = self.options.rows_max - rows;
            if batch.num_rows() > room {
                batches.push(batch.slice(0, room));
                truncated = true;
                break;
            }
            rows += batch.num_rows();
            held.try_grow(batch.get_array_memory_size()).map_err(|e| QueryError::from_run(&e))?;
            if held.size() > self.options.result_bytes_max {
                let message = format!("the result has more than {} bytes", self.options.result_bytes_max);
                return Err(QueryError::Resources { message });
            }
            batches.push(batch);
        }
        Ok(QueryOutput { schema: stream.schema(), batches, truncated, held: Arc::new(held) })
    }

    /// The tables that a statement names; what is not a table of ours is for the planner to complain of.
    fn tables_of(&self, statement: &Statement) -> Result<Vec<&'static TableDef>, QueryError> {
        let references = self.state.resolve_table_references(statement).map_err(|e| QueryError::from_plan(&e))?;
        let mut defs: Vec<_> = references.iter().filter_map(|r| table(r.table())).collect();
        defs.sort_by_key(|def| def.name);
        defs.dedup_by_key(|def| def.name);
        Ok(defs)
    }

    fn state_over(&self, moments: &[moment::TableMoment]) -> datafusion::error::Result<SessionState> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(catalog::Tables::new(moments)?))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        let mut state =
            SessionStateBuilder::new_from_existing(self.state.clone()).with_catalog_list(Arc::new(catalogs)).build();
        // `now()` is the moment at which the query begins.
        state.mark_start_execution();
        Ok(state)
    }
}

/// Texts are views while a query runs ([`scan`]); whoever gets the answer gets them as they are in the tables' definitions.
fn plain_texts(plan: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    let shown = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_));
    if shown || plan.schema().fields().iter().all(|field| field.data_type() != &DataType::Utf8View) {
        return Ok(plan);
    }
    let text = |(table, field): (Option<&TableReference>, &FieldRef)| {
        let column = Expr::Column(Column::new(table.cloned(), field.name()));
        if field.data_type() == &DataType::Utf8View {
            return cast(column, DataType::Utf8).alias_qualified(table.cloned(), field.name());
        }
        column
    };
    let texts: Vec<_> = plan.schema().iter().map(text).collect();
    LogicalPlanBuilder::from(plan).project(texts)?.build()
}

fn session(options: &EngineOptions) -> datafusion::error::Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(options.threads);
    let settings = config.options_mut();
    // Without end, and of no use to a report.
    settings.execution.enable_recursive_ctes = false;
    settings.sql_parser.map_string_types_to_utf8view = false;
    // DataFusion 55 takes `x IS FALSE` (IS UNKNOWN, IS NOT TRUE, …) for never null in its logical plan and for nullable in its
    // physical one, and then refuses an aggregate over a common part of it. Only that check is about it; found by random
    // queries (`tests/query/random.rs`).
    settings.execution.skip_physical_aggregate_schema_check = true;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime_env(options)?)
        .with_default_features()
        .with_analyzer_rule(Arc::new(functions::LimitValues))
        .build();
    for function in buckets::functions() {
        state.register_udf(Arc::new(function))?;
    }
    for name in REMOVED_FUNCTIONS {
        state.deregister_udf(name)?;
    }
    Ok(state)
}

fn runtime_env(options: &EngineOptions) -> datafusion::error::Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![options.spill_dir.clone()]))
        .with_max_temp_directory_size(options.spill_bytes);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes)))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(FOOTER_CACHE_BYTES)
        .with_object_store_registry(Arc::new(store::LakeOnly::new(options.lake.clone())))
        .build_arc()
}

fn panicked(error: tokio::task::JoinError) -> QueryError {
    let Ok(panic) = error.try_into_panic() else { return QueryError::Ended };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    QueryError::Panicked { message }
}
