//! `calltide query-api`: the HTTP server over log and lake, in a process of its own.
//!
//! `up` starts it beside itself, so that no query can stop the collecting: it takes the processor after the collectors and is
//! the first to go when the machine's memory ends. It opens the log for reading only.

use std::future::Future;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use calltide_eventlog::EventLog;
use calltide_query_api::Engine;
use calltide_query_api::agents::Terminals;
use calltide_query_api::http::{Doors, MetricsText, ServeError, router, serve, serve_anybody, waiting_router};
use calltide_query_api::recycling::{Recycling, Takes};
use calltide_schemas::metrics::exposed::{EXPOSED, Shape};
use calltide_schemas::recycling::Intake;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::args::{Places, QueryApi};
use crate::clock;
use crate::config::Config;
use crate::control;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::intake;
use crate::reader;

/// mimalloc's: after how many milliseconds it gives memory back.
pub(crate) const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";
/// How much more willingly than other processes this one lets the processor go: half of the scale.
const NICE: i32 = 10;
/// What the kernel adds to this process's share when it looks for one to end for want of memory: the most there is.
const OOM_SCORE: &str = "1000";
/// How often measured durations are put together: until then each is kept by itself.
const METRICS_EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &QueryApi) -> Result<()> {
    give_memory_back_at_once();
    let metrics = metrics()?;
    let config = Config::load(places, asked.listen.as_deref())?;
    if asked.as_child {
        step_back();
    }
    let data = places.data();
    let metrics = with_those_of_up(metrics, data.clone());
    let parent = asked.as_child.then(stdin_closed);
    runtime()?.block_on(async {
        let listener = if asked.as_child { inherited()? } else { listen(&config.http.listen).await? };
        let is_shared = config.log.is_shared();
        let open = move || Served::open(&data, &config);
        let opened = if is_shared { open_beside(&listener, Arc::clone(&metrics), open).await? } else { Some(open()?) };
        let Some(served) = opened else { return Ok(()) };
        tracing::info!(url = url(&listener), pid = std::process::id(), "serving queries");
        let stop = async {
            match parent {
                Some(closed) => tokio::select! {
                    () = told_to_stop() => {}
                    _ = closed => {}
                },
                None => told_to_stop().await,
            }
        };
        serve_on(listener, served, metrics, stop).await
    })
}

/// What is served: answers, and the ways of dialers and terminals.
pub(crate) struct Served {
    engine: Arc<Engine>,
    doors: Option<Doors>,
}

impl Served {
    fn open(data: &DataDir, config: &Config) -> Result<Self> {
        let log = reader::log(data, config, reader::Patience::Waits)?;
        let engine = Arc::new(reader::engine_over(data, config, log.clone())?);
        match log {
            Some(log) if config.log.is_shared() => {
                Self::with(engine, config, Arc::clone(&log), Arc::new(ToTheLog(log)))
            }
            Some(log) => Self::with(engine, config, log, Arc::new(ByUp(data.clone()))),
            None => Ok(Self { engine, doors: None }),
        }
    }

    /// Over a log that this process writes to.
    pub(crate) fn over(engine: Arc<Engine>, config: &Config, log: Arc<dyn EventLog>) -> Result<Self> {
        Self::with(engine, config, Arc::clone(&log), Arc::new(ToTheLog(log)))
    }

    fn with(engine: Arc<Engine>, config: &Config, log: Arc<dyn EventLog>, takes: Arc<dyn Takes>) -> Result<Self> {
        let recycling = Recycling::start(Arc::clone(&log), Arc::clone(&takes), config.country(), clock::now());
        let recycling = recycling.map_err(|e| Failure::new(Exit::Failed, "cannot follow what is due").because(&e))?;
        let terminals = Terminals::start(log, takes, config.directory.heartbeat());
        let terminals = terminals.map_err(|e| Failure::new(Exit::Failed, "cannot listen for terminals").because(&e))?;
        let doors = Doors { recycling: Arc::new(recycling), terminals: Arc::new(terminals) };
        Ok(Self { engine, doors: Some(doors) })
    }
}

/// What is said goes to the brokers.
struct ToTheLog(Arc<dyn EventLog>);

impl Takes for ToTheLog {
    fn take(&self, said: Vec<Intake>) -> std::result::Result<(), String> {
        intake::append(&*self.0, said).map_err(|error| error.to_string())
    }
}

/// What is said goes to the process that writes the log.
struct ByUp(DataDir);

impl Takes for ByUp {
    fn take(&self, said: Vec<Intake>) -> std::result::Result<(), String> {
        match control::tell(&self.0, said) {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err("`calltide up` does not run on this data directory".to_owned()),
            Err(failure) => Err(failure.error().to_owned()),
        }
    }
}

/// Opens log and tables, and tells whoever asks meanwhile that they are waited for. `None`: it was told to stop before.
async fn open_beside(
    listener: &TcpListener,
    metrics: MetricsText,
    open: impl FnOnce() -> Result<Served> + Send + 'static,
) -> Result<Option<Served>> {
    let failed = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "cannot start").because(e);
    let socket = listener.as_fd().try_clone_to_owned().map_err(|e| failed(&e))?;
    let socket = TcpListener::from_std(std::net::TcpListener::from(socket)).map_err(|e| failed(&e))?;
    let (tell, told) = oneshot::channel();
    // A thread that the end of this process does not wait for.
    let opening = move || drop(tell.send(open()));
    std::thread::Builder::new().name("opening".to_owned()).spawn(opening).map_err(|e| failed(&e))?;
    tracing::info!(url = url(listener), "listening; queries are served when Kafka answers");
    let (opened, until) = oneshot::channel::<()>();
    let serving = serve(socket, waiting_router("waiting for Kafka", metrics), async { drop(until.await) });
    let serving = tokio::spawn(serving);
    let engine = tokio::select! {
        told = told => Some(told.map_err(|e| failed(&e))??),
        () = told_to_stop() => None,
    };
    drop(opened);
    serving.await.map_err(|e| failed(&e))?.map_err(|e| Failure::of(Exit::Failed, &e))?;
    Ok(engine)
}

/// Memory that a query gave back goes back to the system at once: the limits are about what the process holds. The allocator
/// asks the environment for it when the process starts, so who was started without begins once more.
fn give_memory_back_at_once() {
    if std::env::var_os(PURGE_DELAY).is_some() {
        return;
    }
    let again = std::env::current_exe()
        .map(|me| Command::new(me).args(std::env::args_os().skip(1)).env(PURGE_DELAY, "0").exec());
    // It only comes back if it could not be done.
    let (Ok(error) | Err(error)) = again;
    tracing::warn!(%error, "memory is given back late: heavy queries may be stopped early");
}

/// Puts collecting before queries. Nothing depends on it, so it may fail.
fn step_back() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "queries run at the priority of collecting");
    }
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE) {
        tracing::debug!(%error, "the kernel may end collecting before queries when memory ends");
    }
}

/// The socket that the parent listens on.
fn inherited() -> Result<TcpListener> {
    let failed = |e: std::io::Error| Failure::new(Exit::Failed, "the parent's socket cannot be used").because(&e);
    let socket = std::io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)).map_err(failed)
}

/// A runtime for serving.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| Failure::new(Exit::Failed, "cannot start").because(&e))
}

/// Keeps metrics from now on; the handle shows them.
pub(crate) fn metrics() -> Result<PrometheusHandle> {
    let failed = |e: &dyn std::error::Error| Failure::new(Exit::Failed, "metrics cannot be kept").because(e);
    let handle = PrometheusBuilder::new().install_recorder().map_err(|e| failed(&e))?;
    for of in EXPOSED {
        match of.shape {
            Shape::Counter => metrics::describe_counter!(of.name, of.doc),
            Shape::Gauge => metrics::describe_gauge!(of.name, of.doc),
            Shape::Histogram => metrics::describe_histogram!(of.name, of.doc),
        }
    }
    let kept = handle.clone();
    let upkeep = move || {
        loop {
            std::thread::sleep(METRICS_EVERY);
            kept.run_upkeep();
        }
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(upkeep).map_err(|e| failed(&e))?;
    Ok(handle)
}

/// What `/metrics` shows of this process alone.
pub(crate) fn of_this_process(metrics: PrometheusHandle) -> MetricsText {
    Arc::new(move || metrics.render())
}

/// The same, with the metrics of a running `up`. Collectors and folds are measured there and queries here, so nothing is in
/// both.
fn with_those_of_up(metrics: PrometheusHandle, data: DataDir) -> MetricsText {
    Arc::new(move || metrics.render() + &control::metrics(&data).unwrap_or_default())
}

/// Listens there, whatever address it is: for what tells nothing of calls.
pub(crate) async fn listen_anywhere(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::new(Exit::Failed, format!("cannot listen on {address}"))
            .because(&e)
            .hint("another program may use the port; give another address with --listen or [http] listen")
    })
}

/// Listens there, on a loopback address.
pub(crate) async fn listen(address: &str) -> Result<TcpListener> {
    let listener = listen_anywhere(address).await?;
    match listener.local_addr() {
        Ok(bound) if !bound.ip().is_loopback() => {
            Err(Failure::of(Exit::Usage, &ServeError::NotLoopback { address: bound })
                .hint("listen on 127.0.0.1 and put a proxy with its own login before it"))
        }
        Ok(_) | Err(_) => Ok(listener),
    }
}

/// Where a listener can be reached.
pub(crate) fn url(listener: &TcpListener) -> String {
    let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    format!("http://{address}")
}

/// Serves until `stop` is ready.
pub(crate) async fn serve_on(
    listener: TcpListener,
    served: Served,
    metrics: MetricsText,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let streams = served.doors.clone();
    let stop = async move {
        stop.await;
        // They have no end of their own.
        if let Some(doors) = streams {
            doors.recycling.end_streams();
        }
    };
    serve(listener, router(served.engine, Some(metrics), served.doors), stop)
        .await
        .map_err(|e| Failure::of(Exit::Failed, &e))
}

/// Serves a process's health and metrics until told to stop.
pub(crate) async fn serve_status(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let stop = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    serve_anybody(listener, router, stop).await;
}

/// Returns when the process is told to end, by Ctrl-C or by a service manager.
pub(crate) async fn told_to_stop() {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        match signal(kind) {
            Ok(signal) => signals.push(signal),
            Err(error) => tracing::error!(%error, "a signal cannot be listened for"),
        }
    }
    match signals.as_mut_slice() {
        [interrupt, terminate] => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// Becomes ready when stdin ends. A thread of its own reads it, since a runtime would wait for such a read at its end.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (tell, closed) = oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end too.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = tell.send(());
    });
    closed
}
