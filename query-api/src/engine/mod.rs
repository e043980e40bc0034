//! The engine behind every door: one SQL text in, one result out, over the lake's rows and the log's newest facts.
//!
//! It only reads, and a query, however bad, ends as that query's error: [`guard`] refuses what the planner cannot take,
//! queries run on threads of their own with deep stacks, within a memory pool, a deadline and a row cap, and a panic is
//! caught. It must not know who asks, nor how results are shown. Read [`moment`] for what a query sees of the data,
//! [`catalog`] for the tables, then [`scan`].

mod buckets;
mod catalog;
mod error;
mod fact;
mod guard;
mod hidden;
mod lake;
mod moment;
mod scan;
mod store;
mod tail;

pub use error::QueryError;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use calltide_eventlog::EventLog;
use calltide_schemas::tables::{TableDef, table};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use moment::Source;

/// Planning a chain of 1,000 operators overflows the usual 2 MiB.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Parsed footers of some thousand files; DataFusion's own 50 MB are too few.
const FOOTER_CACHE_BYTES: usize = 256 * 1024 * 1024;
/// Functions whose result may be many times as long as what they are given: they allocate outside the memory pool.
const REMOVED_FUNCTIONS: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "replace",
    "regexp_replace",
    "translate",
    "array_repeat",
    "array_resize",
    "range",
    "generate_series",
];
const CATALOG: &str = "calltide";
const SCHEMA: &str = "public";

/// Where an engine reads, and what a query may use.
#[derive(Clone)]
pub struct EngineOptions {
    /// The lake's directory; need not be there yet.
    pub lake: PathBuf,
    /// The log, for what is not in the lake yet; `None`: the lake alone.
    pub log: Option<Arc<dyn EventLog>>,
    /// Memory of all running queries together, in bytes (sorts, joins and aggregates; they spill when it is used up).
    pub memory_bytes: usize,
    /// Where they spill to; made when needed.
    pub spill_dir: PathBuf,
    /// Most bytes spilled at once.
    pub spill_bytes: u64,
    /// Most rows of a result; more are cut off, and the output says so.
    pub rows_max: usize,
    /// Most bytes of a result in memory; more are an error.
    pub result_bytes_max: usize,
    /// Longest time of a query, waiting included.
    pub deadline: Duration,
    /// Most queries at once; others wait within their deadline.
    pub queries_max: usize,
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
            spill_dir: std::env::temp_dir(),
            spill_bytes: 10 * 1024 * 1024 * 1024,
            rows_max: 1_000_000,
            result_bytes_max: 512 * 1024 * 1024,
            deadline: Duration::from_secs(60),
            queries_max: 8,
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
}

impl QueryOutput {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Who wrote a query: our own reports need no caps on their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    Asker,
    Report,
}

/// The engine. Cheap to share; lives on a runtime of its own, so that queries cannot starve whoever waits for them.
pub struct Engine {
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
    running: Arc<Semaphore>,
}

struct Inner {
    options: EngineOptions,
    source: Mutex<Source>,
    state: SessionState,
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .enable_all()
            .build()
            .map_err(|source| QueryError::Io { what: "cannot start the query threads".to_owned(), source })?;
        let state = session(&options).map_err(|e| QueryError::from_run(&e))?;
        let running = Arc::new(Semaphore::new(options.queries_max));
        let source = Mutex::new(Source::new(options.lake.clone(), options.log.clone(), options.tail_bytes_max));
        Ok(Self { inner: Arc::new(Inner { options, source, state }), runtime: Some(runtime), running })
    }

    /// Answers one SQL query. Dropping the future stops the query.
    ///
    /// # Errors
    /// See [`QueryError`]; nothing else can come of a query.
    pub async fn query(&self, sql: &str) -> Result<QueryOutput, QueryError> {
        self.run(sql, Author::Asker).await
    }

    /// Answers a query that this crate has written itself.
    pub(crate) async fn report(&self, sql: &str) -> Result<QueryOutput, QueryError> {
        self.run(sql, Author::Report).await
    }

    async fn run(&self, sql: &str, author: Author) -> Result<QueryOutput, QueryError> {
        let started = std::time::Instant::now();
        let answer = self.run_within_limits(sql, author).await;
        let outcome = if answer.is_ok() { "ok" } else { "error" };
        metrics::counter!("calltide_queries_total", "outcome" => outcome).increment(1);
        metrics::histogram!("calltide_query_seconds").record(started.elapsed().as_secs_f64());
        answer
    }

    async fn run_within_limits(&self, sql: &str, author: Author) -> Result<QueryOutput, QueryError> {
        let Some(runtime) = &self.runtime else {
            return Err(QueryError::Panicked { message: "the engine has stopped".to_owned() });
        };
        let deadline = self.inner.options.deadline;
        let started = tokio::time::Instant::now();
        let slot = tokio::time::timeout(deadline, Arc::clone(&self.running).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(QueryError::Busy { running: self.inner.options.queries_max });
        };
        let (inner, sql) = (Arc::clone(&self.inner), sql.to_owned());
        // The set stops its task when it is dropped: at the deadline, or when the asker has gone.
        let mut task = JoinSet::new();
        let query = async move {
            // Held by the task, since planning cannot be interrupted: a stopped query frees its slot when it really ends.
            let _slot = slot;
            inner.answer(&sql, author).await
        };
        task.spawn_on(query, runtime.handle());
        match tokio::time::timeout_at(started + deadline, task.join_next()).await {
            Ok(Some(Ok(answer))) => answer,
            Ok(Some(Err(e))) => Err(QueryError::Panicked { message: panic_text(e) }),
            Ok(None) | Err(_) => Err(QueryError::Deadline { after: deadline }),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A runtime must not be waited for in async code, and a running query may take its time.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Inner {
    async fn answer(&self, sql: &str, author: Author) -> Result<QueryOutput, QueryError> {
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
        if author == Author::Asker {
            guard::check_plan(&plan)?;
        }
        let plan = state.optimize(&plan).map_err(|e| QueryError::from_run(&e))?;
        let plan =
            state.query_planner().create_physical_plan(&plan, &state).await.map_err(|e| QueryError::from_run(&e))?;
        self.collect(execute_stream(plan, state.task_ctx()).map_err(|e| QueryError::from_run(&e))?).await
    }

    /// The rows, up to the caps.
    async fn collect(&self, mut stream: SendableRecordBatchStream) -> Result<QueryOutput, QueryError> {
        let mut output = QueryOutput { schema: stream.schema(), batches: Vec::new(), truncated: false };
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| QueryError::from_run(&e))?;
            let room = self.options.rows_max - rows;
            if batch.num_rows() > room {
                output.batches.push(batch.slice(0, room));
                output.truncated = true;
                break;
            }
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            if bytes > self.options.result_bytes_max {
                let message = format!("the result has more than {} bytes", self.options.result_bytes_max);
                return Err(QueryError::Resources { message });
            }
            output.batches.push(batch);
        }
        Ok(output)
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
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime_env(options)?)
        .with_default_features()
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

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "the query was stopped".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
