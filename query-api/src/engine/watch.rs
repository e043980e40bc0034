//! Looks at the queries from outside: a thread that no query can keep busy.
//!
//! Two things escape all other limits: memory that is taken outside the pool, and work that was stopped but does not end,
//! since it never comes to a point where it could. Near the memory limit the heavy queries are stopped; beyond its margin, or when
//! work that ought to have ended holds every thread, the last resort is called: in a process of its own that is the process's
//! end, and whoever started it starts the next one. Must not know what queries mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

/// How often it looks while something runs.
const PERIOD: Duration = Duration::from_millis(20);
/// And while nothing does.
const PERIOD_IDLE: Duration = Duration::from_secs(1);
/// How long those that were told to stop may take before others are.
const STOP_PATIENCE: Duration = Duration::from_millis(500);
/// How much of a query's text is kept to name it by.
const NAMED_BY_CHARS: usize = 200;

/// Called with the reason when nothing else helps; not expected to return.
pub type LastResort = Arc<dyn Fn(&str) + Send + Sync>;

/// What is watched over.
#[derive(Clone)]
pub(super) struct Limits {
    /// Above this resident memory of the process, in bytes, all queries are stopped.
    pub(super) memory_bytes: u64,
    /// Above this, the last resort.
    pub(super) memory_bytes_last: u64,
    /// Work that goes on for so long after it was stopped holds its thread: it is stuck.
    pub(super) stuck_after: Duration,
    /// So many stuck ones leave nobody to work.
    pub(super) stuck_max: usize,
    /// Runtimes that took up no work for so long never will: whatever held their threads then had to end before.
    pub(super) silent_max: Duration,
    /// What is done then.
    pub(super) last_resort: Option<LastResort>,
}

/// A query whose work is watched.
#[derive(Debug)]
struct Query {
    text: String,
    /// It waits in the heavy lane or runs there.
    heavy: AtomicBool,
    /// When whoever asked for it left: it ought to end soon after.
    left: OnceLock<Instant>,
}

/// Who must stop for memory's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nobody,
    /// The heavy ones: light ones cannot have taken it.
    Heavy,
    All,
}

/// Whether a runtime's threads still take up work: it is asked, and asked again when it has answered.
struct Pulse {
    runtime: Handle,
    answered: Arc<AtomicBool>,
    silent: Duration,
}

impl Pulse {
    fn of(runtime: Handle) -> Self {
        Self { runtime, answered: Arc::new(AtomicBool::new(true)), silent: Duration::ZERO }
    }

    /// For how long it has not answered, when so much time has passed since it was looked at.
    fn silent(&mut self, passed: Duration) -> Duration {
        if self.answered.swap(false, Ordering::AcqRel) {
            self.silent = Duration::ZERO;
            let answered = Arc::clone(&self.answered);
            drop(self.runtime.spawn(async move { answered.store(true, Ordering::Release) }));
        } else {
            self.silent += passed;
        }
        self.silent
    }
}

#[derive(Debug)]
struct Shared {
    work: Mutex<HashMap<u64, Arc<Query>>>,
    begun: Condvar,
    next: AtomicU64,
    ended: AtomicBool,
    stop: watch::Sender<Told>,
}

/// The thread and what it looks at. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    /// Watches over queries that run on these runtimes.
    pub(super) fn start(limits: Limits, runtimes: &[&Runtime]) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            work: Mutex::default(),
            begun: Condvar::new(),
            next: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            stop: watch::Sender::new(Told::Nobody),
        });
        if resident_bytes().is_none() {
            tracing::warn!(
                "this system does not tell how much memory a process holds: memory outside the pool is not limited"
            );
        }
        let looked_at = Arc::downgrade(&shared);
        let pulses = runtimes.iter().map(|runtime| Pulse::of(runtime.handle().clone())).collect();
        let looking = move || look(&looked_at, &limits, pulses);
        std::thread::Builder::new().name("query-watch".to_owned()).spawn(looking)?;
        Ok(Self { shared })
    }

    /// A query that somebody asks for.
    pub(super) fn asked(&self, text: &str) -> Asked {
        let text = text.chars().take(NAMED_BY_CHARS).collect();
        let query = Arc::new(Query { text, heavy: AtomicBool::new(false), left: OnceLock::new() });
        Asked { query, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.shared.begun.notify_all();
    }
}

/// Held by whoever waits for the answer; dropping it says that nobody does any more.
#[derive(Debug)]
pub(super) struct Asked {
    query: Arc<Query>,
    shared: Arc<Shared>,
}

impl Asked {
    /// Work for the query begins; it ends when the result is dropped.
    pub(super) fn work(&self) -> Work {
        Work::on(&self.query, &self.shared)
    }

    /// Tells when the query must stop for memory's sake.
    pub(super) fn stop(&self) -> Stop {
        Stop { query: Arc::clone(&self.query), told: self.shared.stop.subscribe() }
    }

    /// Its result is being handed out; that lasts until the result is dropped, and is no work that ought to end.
    pub(super) fn writing(&self) -> (Work, Stop) {
        let heavy = AtomicBool::new(self.query.heavy.load(Ordering::Relaxed));
        let query = Arc::new(Query { text: self.query.text.clone(), heavy, left: OnceLock::new() });
        (Work::on(&query, &self.shared), Stop { query, told: self.shared.stop.subscribe() })
    }

    /// From now on it counts as heavy.
    pub(super) fn is_heavy(&self) {
        self.query.heavy.store(true, Ordering::Relaxed);
    }
}

/// The word to stop.
#[derive(Debug)]
pub(super) struct Stop {
    query: Arc<Query>,
    told: watch::Receiver<Told>,
}

impl Stop {
    /// Whether the query must stop.
    pub(super) fn is_asked_for(&self) -> bool {
        self.told.has_changed().unwrap_or(false) && self.is_meant_by(*self.told.borrow())
    }

    fn is_meant_by(&self, told: Told) -> bool {
        told == Told::All || told == Told::Heavy && self.query.heavy.load(Ordering::Relaxed)
    }

    /// Becomes ready when the query must stop.
    pub(super) async fn asked_for(&mut self) {
        while self.told.changed().await.is_ok() {
            let told = *self.told.borrow_and_update();
            if self.is_meant_by(told) {
                return;
            }
        }
        std::future::pending().await
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.query.left.set(Instant::now());
    }
}

/// Work under way; to be held by what works.
#[derive(Debug)]
pub(super) struct Work {
    id: u64,
    shared: Arc<Shared>,
}

impl Work {
    fn on(query: &Arc<Query>, shared: &Arc<Shared>) -> Self {
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        shared.work.lock().insert(id, Arc::clone(query));
        shared.begun.notify_all();
        Self { id, shared: Arc::clone(shared) }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.shared.work.lock().remove(&self.id);
    }
}

fn look(shared: &Weak<Shared>, limits: &Limits, mut pulses: Vec<Pulse>) {
    let mut told: Option<Instant> = None;
    let mut looked = Instant::now();
    while let Some(shared) = shared.upgrade() {
        {
            let mut work = shared.work.lock();
            if work.is_empty() && !shared.ended.load(Ordering::Relaxed) {
                shared.begun.wait_for(&mut work, PERIOD_IDLE);
            }
        }
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        // A process that stood still as a whole is not silent.
        let passed = looked.elapsed().min(PERIOD_IDLE);
        looked = Instant::now();
        let silent = pulses.iter_mut().map(|pulse| pulse.silent(passed)).max();
        if silent.is_some_and(|silent| silent > limits.silent_max) {
            last_resort(limits, "the threads of the queries take up no work");
        }
        look_once(&shared, limits, &mut told);
        drop(shared);
        std::thread::sleep(PERIOD);
    }
}

fn look_once(shared: &Shared, limits: &Limits, told: &mut Option<Instant>) {
    let work: Vec<_> = shared.work.lock().values().cloned().collect();
    let stuck: Vec<_> =
        work.iter().filter(|q| q.left.get().is_some_and(|l| l.elapsed() > limits.stuck_after)).collect();
    metrics::gauge!("calltide_queries_running").set(work.len() as f64);
    metrics::gauge!("calltide_queries_stuck").set(stuck.len() as f64);
    if let Some(query) = stuck.first().filter(|_| stuck.len() >= limits.stuck_max) {
        last_resort(limits, &format!("{} stopped queries do not end, e.g. {}", stuck.len(), query.text));
    }
    let Some(resident) = resident_bytes().filter(|_| !work.is_empty()) else { return };
    if resident > limits.memory_bytes_last {
        let mb = resident >> 20;
        last_resort(limits, &format!("{mb} MiB of memory are in use, more than [query] memory and its margin"));
    } else if resident > limits.memory_bytes && told.is_none_or(|told| told.elapsed() > STOP_PATIENCE) {
        let heavy = work.iter().any(|q| q.left.get().is_none() && q.heavy.load(Ordering::Relaxed));
        let ending = work.iter().any(|q| q.left.get().is_some());
        let stop = match (heavy, ending) {
            (true, _) => Told::Heavy,
            // What was stopped before still holds the memory, and gives it back or comes to be stuck.
            (false, true) => return,
            (false, false) => Told::All,
        };
        tracing::warn!(resident, running = work.len(), ?stop, "the memory limit is near: queries are stopped");
        metrics::counter!("calltide_queries_stopped_for_memory_total").increment(1);
        shared.stop.send_replace(stop);
        *told = Some(Instant::now());
    }
}

fn last_resort(limits: &Limits, reason: &str) {
    tracing::error!(reason, "queries are out of hand");
    if let Some(call) = &limits.last_resort {
        call(reason);
    }
}

/// The memory that this process holds; `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kb * 1024)
}
