//! The engine behind every door: one question in, one result out, over the lake's rows and the log's newest facts.
//!
//! It only reads, and a query, however bad, ends as that query's error: [`guard`] refuses texts, [`gateway`] plans,
//! [`admission`] gives turns, the deadline is kept from outside, a panic is caught, and [`watch`] sees what escapes all that.
//! It must not know how results are shown. Read [`prepare`] for the way to a plan, [`moment`] for what a query sees of the
//! data, [`catalog`] for the tables, then [`scan`].

mod admission;
mod answers;
mod buckets;
pub(crate) mod calendar;
mod catalog;
mod cutting;
mod error;
mod fact;
mod functions;
mod gateway;
mod guard;
mod hidden;
mod inquiry;
mod lacking;
mod lake;
mod memory;
mod moment;
mod options;
mod output;
mod parameters;
mod pieces;
mod planning;
mod prepare;
mod question;
mod ready;
mod scan;
mod session;
mod size;
mod store;
mod substitution;
mod tail;
mod watch;
mod weight;

pub use admission::Principal;
pub use error::QueryError;
pub use lacking::{Lacking, Lost};
pub use options::EngineOptions;
pub(crate) use output::Held;
pub use output::QueryOutput;
pub use question::{Description, Question, Sql};
pub use store::LakePlace;
pub use watch::LastResort;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::execution::SessionState;
use datafusion::physical_plan::execute_stream;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use admission::{Admission, Author, Lane, Seat, Turn};
use answers::Answers;
use memory::Memory;
use moment::Source;
use planning::{Permit, Planners};
use prepare::{Prepared, Present};
use watch::{Asked, Stop, Watch, Work};

/// Planning a chain of 1,000 operators overflows the usual 2 MiB.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// What a heavy query takes beside the pool at its worst, as measured with joins of everything with everything.
const HEAVY_BYTES: usize = 256 * 1024 * 1024;
/// Of the margin, the facts that the lake does not have yet may take one part in so many.
const TAILS_PART: usize = 4;
/// Longest time from a parsed text to a plan: it cannot be interrupted. The largest texts that the caps allow take two seconds
/// on a processor of their own.
const PLANNING_MAX: Duration = Duration::from_secs(10);
/// How long one request to an object store may take, its repetitions included; half of a query's deadline, if that is less.
const STORE_PATIENCE: Duration = Duration::from_secs(15);
/// What is said to all who were asking when the process came near its limit.
const NEAR_LIMIT: &str = "the memory of all queries together came near its limit, so the heavy ones were stopped";

/// The engine. Cheap to share; lives on a runtime of its own, so that queries cannot starve whoever waits for them.
pub struct Engine {
    inner: Arc<Inner>,
    runtimes: Option<Runtimes>,
    admission: Arc<Admission>,
    planners: Planners,
    watch: Watch,
    answers: Answers,
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
    /// What every query starts from.
    session: SessionState,
    memory: Memory,
}

/// A question on its way to an answer.
struct Admitted {
    seat: Seat,
    asked: Asked,
    until: Instant,
    /// It waits for others, not for itself.
    waits: AtomicBool,
}

impl Engine {
    /// An engine over a lake and a log. Reads nothing yet.
    ///
    /// # Errors
    /// When the threads or the memory pools cannot be made.
    pub fn new(mut options: EngineOptions) -> Result<Self, QueryError> {
        let answers = Answers::new(STORE_PATIENCE.min(options.deadline / 2));
        options.lake = options.lake.watched(&answers);
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
        let runtimes = Runtimes { light: runtime("query-light")?, heavy: runtime("query-heavy")? };
        let spilling = |source| QueryError::Io { what: format!("cannot make {}", options.spill_dir.display()), source };
        std::fs::create_dir_all(&options.spill_dir).map_err(spilling)?;
        let heavy = (options.margin_bytes / HEAVY_BYTES).min(options.queries_max / 2).max(1);
        let memory = Memory::new(&options, heavy).map_err(|e| QueryError::from_run(&e))?;
        let session = session::session(options.threads, memory.env()).map_err(|e| QueryError::from_run(&e))?;
        let (bytes, margin) = (options.memory_bytes as u64, options.margin_bytes as u64);
        let limits = watch::Limits {
            memory_bytes: bytes + margin / 4 * 3,
            memory_bytes_last: bytes + margin,
            stuck_after: options.stuck_after,
            stuck_max: options.threads,
            silent_max: options.deadline + options.stuck_after,
            last_resort: options.last_resort.clone(),
        };
        let watch = Watch::start(limits, &[&runtimes.light, &runtimes.heavy]);
        let admission = Admission::new(options.queries_max, heavy, options.waiting_max);
        let planners = Planners::new(options.threads);
        let tail_bytes_max = options.tail_bytes_max.min(options.margin_bytes / TAILS_PART);
        let source = Mutex::new(Source::new(options.lake.clone(), options.log.clone(), tail_bytes_max));
        let inner = Arc::new(Inner { options, source, session, memory });
        Ok(Self { inner, runtimes: Some(runtimes), admission, planners, watch: watch.map_err(threads)?, answers })
    }

    /// Answers one SQL query without parameters. Dropping the future stops the query.
    ///
    /// # Errors
    /// See [`QueryError`]; nothing else can come of a query.
    pub async fn query(&self, principal: &Principal, sql: &str) -> Result<QueryOutput, QueryError> {
        self.execute(principal, Question::sql(sql)).await
    }

    /// Answers one question, whatever door it came by: the same tables, limits and rights for all. Dropping the future stops
    /// the query.
    ///
    /// # Errors
    /// See [`QueryError`]; nothing else can come of a query.
    pub async fn execute(&self, principal: &Principal, question: Question) -> Result<QueryOutput, QueryError> {
        counted(self.run(principal, question, Author::Asker, self.deadline(), None)).await
    }

    /// Says what a statement takes and gives, without running it. Its values play no part.
    ///
    /// # Errors
    /// As for the query itself.
    pub async fn describe(&self, principal: &Principal, sql: Sql) -> Result<Description, QueryError> {
        let question = Question::Sql(sql);
        let admitted = self.admit(principal, &question, Author::Asker, self.deadline())?;
        let answer = async {
            let permit = self.planners.permit(principal, Author::Asker, question.bytes()).await?;
            admitted.goes_on();
            let (Question::Sql(sql), inner) = (question, Arc::clone(&self.inner)) else {
                return Err(QueryError::Ended);
            };
            let described = move |handle: &Handle, begin| handle.block_on(inner.describe(&sql, begin));
            self.on_a_planner(&admitted.asked, permit, described).await
        };
        counted(admitted.in_time(self.inner.options.deadline, answer)).await
    }

    /// A session over the tables, without their rows, for doors that make plans of something else than SQL: what they make goes
    /// into [`Question::Plan`].
    ///
    /// # Errors
    /// When the session cannot be made.
    pub fn planner(&self) -> Result<SessionState, QueryError> {
        self.inner.planner()
    }

    /// Answers a query that this crate has written itself.
    pub(crate) async fn report(&self, sql: &str) -> Result<QueryOutput, QueryError> {
        counted(self.run(&Principal::local(), Question::sql(sql), Author::Report, self.deadline(), None)).await
    }

    /// Whether queries are answered over log and lake as they are.
    pub(crate) async fn probe(&self) -> Result<(), QueryError> {
        let question = Question::sql("SELECT count(*) FROM calls WHERE false");
        counted(self.run(&Principal::local(), question, Author::Probe, self.deadline(), None)).await.map(drop)
    }

    /// When a question that comes now must be answered.
    fn deadline(&self) -> Instant {
        Instant::now() + self.inner.options.deadline
    }

    /// Answers over the given moment, if there is one, else over the present.
    async fn run(
        &self,
        principal: &Principal,
        question: Question,
        author: Author,
        until: Instant,
        present: Option<Present>,
    ) -> Result<QueryOutput, QueryError> {
        let admitted = self.admit(principal, &question, author, until)?;
        let answer = async {
            let permit = self.planners.permit(principal, author, question.bytes()).await?;
            admitted.goes_on();
            let inner = Arc::clone(&self.inner);
            let prepare =
                move |handle: &Handle, begin| handle.block_on(inner.prepare(question, author, present, begin));
            let prepared = self.on_a_planner(&admitted.asked, permit, prepare).await?;
            if prepared.weight == Lane::Heavy {
                admitted.asked.is_heavy();
            }
            admitted.waits();
            let turn = admitted.seat.turn(prepared.lane).await?;
            admitted.goes_on();
            self.run_prepared(prepared, turn, &admitted.asked).await
        };
        let answer = admitted.in_time(self.inner.options.deadline, answer).await;
        answer.map_err(|error| self.for_want_of_the_lake(error))
    }

    /// What a query came to while the lake's store does not answer.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others have other reasons")]
    fn for_want_of_the_lake(&self, error: QueryError) -> QueryError {
        let Some(reason) = self.answers.failure() else { return error };
        match error {
            QueryError::Failed { message } if !message.contains("tore error") => QueryError::Failed { message },
            QueryError::Failed { .. }
            | QueryError::Io { .. }
            | QueryError::Lake { .. }
            | QueryError::Busy { .. }
            | QueryError::Deadline { .. } => {
                QueryError::Away { place: self.inner.options.lake.url().to_string(), reason }
            }
            other => other,
        }
    }

    fn admit(
        &self,
        principal: &Principal,
        question: &Question,
        author: Author,
        until: Instant,
    ) -> Result<Admitted, QueryError> {
        let seat = self.admission.enter(principal.clone(), author)?;
        Ok(Admitted { seat, asked: self.watch.asked(question.name()), until, waits: AtomicBool::new(true) })
    }

    /// Plans on a thread of its own with a deep stack. Whoever waits for it keeps its time.
    async fn on_a_planner<T: Send + 'static>(
        &self,
        asked: &Asked,
        permit: Permit,
        plan: impl FnOnce(&Handle, oneshot::Sender<()>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let runtime = self.runtimes.as_ref().map(|runtimes| &runtimes.light).ok_or(QueryError::Ended)?;
        let held = (permit, asked.work());
        let handle = runtime.handle().clone();
        let (begin, begun) = oneshot::channel();
        let planned = runtime.spawn_blocking(move || {
            let planned = plan(&handle, begin);
            drop(held);
            planned
        });
        let too_long = async {
            match begun.await {
                Ok(()) => tokio::time::sleep(PLANNING_MAX).await,
                // It came to no planning.
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            planned = planned => planned.map_err(panicked)?,
            () = too_long => {
                let reason = format!("planning it takes more than {} s", PLANNING_MAX.as_secs());
                Err(QueryError::Refused { reason })
            }
        }
    }

    async fn run_prepared(&self, prepared: Prepared, turn: Turn, asked: &Asked) -> Result<QueryOutput, QueryError> {
        let runtimes = self.runtimes.as_ref().ok_or(QueryError::Ended)?;
        let runtime = match prepared.weight {
            Lane::Light => &runtimes.light,
            Lane::Heavy => &runtimes.heavy,
        };
        // Held by the task: a stopped query gives its turn back when it really ends.
        let held = (turn, asked.work());
        let writing = asked.writing();
        let inner = Arc::clone(&self.inner);
        // The set stops its task when it is dropped: at the deadline, or when the asker has gone.
        let mut task = JoinSet::new();
        task.spawn_on(async move { inner.run(prepared, held, writing).await }, runtime.handle());
        match task.join_next().await {
            Some(ended) => ended.map_err(panicked)?,
            None => Err(QueryError::Ended),
        }
    }
}

impl Admitted {
    fn waits(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    fn goes_on(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    /// The deadline is kept by whoever waits, on the waiter's own threads; so is the stop for memory's sake.
    async fn in_time<T>(
        &self,
        deadline: Duration,
        answer: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let mut stop = self.asked.stop();
        tokio::select! {
            biased;
            answer = answer => answer,
            () = stop.asked_for() => Err(QueryError::Resources { message: NEAR_LIMIT.to_owned() }),
            () = sleep_until(self.until) => Err(match self.waits.load(Ordering::Relaxed) {
                true => QueryError::Busy { asked: self.seat.seated() },
                false => QueryError::Deadline { after: deadline },
            }),
        }
    }
}

/// Counts answers and their times.
async fn counted<T>(answer: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
    let started = std::time::Instant::now();
    let answer = answer.await;
    let outcome = answer.as_ref().map_or_else(QueryError::kind, |_| "ok");
    metrics::counter!("calltide_queries_total", "outcome" => outcome).increment(1);
    metrics::histogram!("calltide_query_seconds").record(started.elapsed().as_secs_f64());
    answer
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
    /// The rows. What is held is held until the work is done.
    async fn run(
        &self,
        prepared: Prepared,
        _held: (Turn, Work),
        writing: (Work, Stop),
    ) -> Result<QueryOutput, QueryError> {
        let context = self.memory.context(prepared.lane, &prepared.state);
        let stream = execute_stream(prepared.plan, context).map_err(|e| QueryError::from_run(&e))?;
        let reserved = self.memory.for_result(prepared.lane);
        let (rows_max, bytes_max) = (self.options.rows_max, self.options.result_bytes_max);
        output::collect(stream, prepared.lacking, reserved, writing, rows_max, bytes_max).await
    }
}

fn panicked(error: tokio::task::JoinError) -> QueryError {
    let Ok(panic) = error.try_into_panic() else { return QueryError::Ended };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    QueryError::Panicked { message }
}
