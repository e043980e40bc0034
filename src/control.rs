//! The socket by which others ask a running `up` for what only the writing process can do or knows: import, look after
//! tables, metrics of collecting.
//!
//! One connection, one JSON line with the order; JSON lines back: stages, then the outcome or a failure. The socket lies in
//! the data directory, so whoever may write there may ask.

use std::io::{BufRead as _, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use calltide_eventlog::embedded::Cleaned;
use calltide_schemas::recycling::Intake;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::import::{self, Order, Outcome, Stage};
use crate::intake;
use crate::lake::{Told, Work};
use crate::site::Site;

/// How long metrics are waited for: less than Prometheus waits for them.
const METRICS_PATIENCE: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Import(Order),
    Tell(Vec<Intake>),
    Upkeep(Work),
    CleanLog,
    Metrics,
}

/// What is answered, line by line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Stage(Stage),
    Done(Outcome),
    /// What was said is in the log.
    Heard,
    Upkept(Told),
    AllUpkept,
    LogCleaned(Cleaned),
    /// In Prometheus' text format.
    Metrics(String),
    Failed(Failure),
}

/// Asks a running `up` to import. `None`: none is running.
pub(crate) fn import(data: &DataDir, order: &Order, told: &mut dyn FnMut(Stage)) -> Result<Option<Outcome>> {
    ask(data, &Request::Import(order.clone()), &mut |reply| match reply {
        Reply::Stage(stage) => {
            told(stage);
            None
        }
        Reply::Done(outcome) => Some(outcome),
        Reply::Heard
        | Reply::Upkept(_)
        | Reply::AllUpkept
        | Reply::LogCleaned(_)
        | Reply::Metrics(_)
        | Reply::Failed(_) => None,
    })
}

/// Says something by a running `up`. `None`: none is running.
pub(crate) fn tell(data: &DataDir, said: Vec<Intake>) -> Result<Option<()>> {
    ask(data, &Request::Tell(said), &mut |reply| matches!(reply, Reply::Heard).then_some(()))
}

/// Asks a running `up` to look after the tables. `None`: none is running.
pub(crate) fn upkeep(data: &DataDir, work: Work, told: &mut dyn FnMut(Told)) -> Result<Option<()>> {
    ask(data, &Request::Upkeep(work), &mut |reply| match reply {
        Reply::Upkept(step) => {
            told(step);
            None
        }
        Reply::AllUpkept => Some(()),
        Reply::Stage(_)
        | Reply::Done(_)
        | Reply::Heard
        | Reply::LogCleaned(_)
        | Reply::Metrics(_)
        | Reply::Failed(_) => None,
    })
}

/// Asks a running `up` to clean its log. `None`: none is running.
pub(crate) fn clean_log(data: &DataDir) -> Result<Option<Cleaned>> {
    ask(data, &Request::CleanLog, &mut |reply| match reply {
        Reply::LogCleaned(done) => Some(done),
        Reply::Stage(_)
        | Reply::Done(_)
        | Reply::Heard
        | Reply::Upkept(_)
        | Reply::AllUpkept
        | Reply::Metrics(_)
        | Reply::Failed(_) => None,
    })
}

/// What a running `up` measures of its collectors, its fold and the lake's writer, in Prometheus' text format. `None`: none is
/// running, or it does not say in time.
pub(crate) fn metrics(data: &DataDir) -> Option<String> {
    let mut stream = UnixStream::connect(data.control()).ok()?;
    stream.set_read_timeout(Some(METRICS_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(METRICS_PATIENCE)).ok()?;
    send(&mut stream, &Request::Metrics).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    match serde_json::from_str(&line) {
        Ok(Reply::Metrics(text)) => Some(text),
        Ok(_) | Err(_) => None,
    }
}

/// Asks, and gives each reply to `each` until that has an answer.
fn ask<T>(data: &DataDir, request: &Request, each: &mut dyn FnMut(Reply) -> Option<T>) -> Result<Option<T>> {
    let path = data.control();
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput) => {
            return Ok(None);
        }
        Err(e) => return Err(Failure::io("ask the running `up` by", &path, &e)),
    };
    let broken = |e: &std::io::Error| {
        Failure::new(Exit::Failed, "the running `up` ended before it was done")
            .because(e)
            .hint("do it again: it goes on where it was interrupted")
    };
    send(&mut stream, request).map_err(|e| broken(&e))?;
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(|e| broken(&e))?;
        match serde_json::from_str(&line) {
            Ok(Reply::Failed(failure)) => return Err(failure),
            Ok(reply) => {
                if let Some(answer) = each(reply) {
                    return Ok(Some(answer));
                }
            }
            Err(e) => {
                let failure = Failure::new(Exit::Failed, "the running `up` answers in another way than expected");
                return Err(failure.because(&e).hint("it is of another version; restart it"));
            }
        }
    }
    Err(broken(&std::io::Error::from(ErrorKind::UnexpectedEof)))
}

fn send(stream: &mut impl Write, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The open socket; its file goes with it.
pub(crate) struct Control {
    path: std::path::PathBuf,
}

impl Control {
    /// Listens, on threads that end with the process. The caller holds the log's lock, so a file that is there is a leftover.
    pub(crate) fn open(
        data: &DataDir,
        site: &Arc<Site>,
        config: Arc<Config>,
        metrics: PrometheusHandle,
    ) -> Result<Self> {
        let path = data.control();
        drop(std::fs::remove_file(&path));
        let listener = UnixListener::bind(&path).map_err(|e| {
            // A Unix socket's path has at most 107 bytes.
            Failure::io("listen on", &path, &e).hint("the path of the data directory may be too long for a socket")
        })?;
        let one_at_a_time = Arc::new(Mutex::new(()));
        // Whoever opened the site closes it, whether somebody may still ask or not.
        let site = Arc::downgrade(site);
        let accept = move || {
            for stream in listener.incoming().filter_map(std::result::Result::ok) {
                let (site, config, turn) = (Weak::clone(&site), Arc::clone(&config), Arc::clone(&one_at_a_time));
                let metrics = metrics.clone();
                let serve = move || match asked(&stream) {
                    Some(Request::Metrics) => tell_metrics(stream, &metrics),
                    // Waits for no import either.
                    Some(Request::Tell(said)) => {
                        if let Some(site) = site.upgrade() {
                            hear(stream, &site, said);
                        }
                    }
                    Some(request) => {
                        let _turn = turn.lock();
                        // Gone: the process is ending.
                        if let Some(site) = site.upgrade() {
                            serve(stream, &site, &config, request);
                        }
                    }
                    None => {}
                };
                if let Err(error) = std::thread::Builder::new().name("import".to_owned()).spawn(serve) {
                    tracing::error!(%error, "an import could not be started");
                }
            }
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(accept);
        thread.map_err(|e| Failure::new(Exit::Failed, "cannot start the control thread").because(&e))?;
        Ok(Self { path })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// What the connection asks for.
fn asked(stream: &UnixStream) -> Option<Request> {
    let mut line = String::new();
    let read = stream.try_clone().and_then(|stream| BufReader::new(stream).read_line(&mut line));
    let request = read.map_err(|e| e.to_string()).and_then(|_| serde_json::from_str(&line).map_err(|e| e.to_string()));
    request.inspect_err(|reason| tracing::warn!(reason, "a request on the control socket could not be read")).ok()
}

fn serve(stream: UnixStream, site: &Site, config: &Config, request: Request) {
    match request {
        Request::Import(order) => import_now(stream, site, config, &order),
        Request::Upkeep(work) => upkeep_now(stream, site, config, work),
        Request::CleanLog => clean_log_now(stream, site, config),
        Request::Metrics | Request::Tell(_) => {}
    }
}

fn hear(mut stream: UnixStream, site: &Site, said: Vec<Intake>) {
    let reply = match intake::append(&*site.log, said) {
        Ok(()) => Reply::Heard,
        Err(error) => Reply::Failed(error.into()),
    };
    drop(send(&mut stream, &reply));
}

/// Does not wait for its turn: an import may take hours.
fn tell_metrics(mut stream: UnixStream, metrics: &PrometheusHandle) {
    drop(send(&mut stream, &Reply::Metrics(metrics.render())));
}

fn import_now(mut stream: UnixStream, site: &Site, config: &Config, order: &Order) {
    tracing::info!("import begins");
    // An asker who leaves does not stop the import: half of one is of use to nobody.
    let mut tell = |reply: &Reply| drop(send(&mut stream, reply));
    let outcome = import::carry_out(site, config, order, &mut |stage| tell(&Reply::Stage(stage)));
    match outcome {
        Ok(outcome) => {
            tracing::info!(calls = outcome.calls(), pbx = outcome.pbx(), "import done");
            tell(&Reply::Done(outcome));
        }
        Err(failure) => {
            tracing::warn!(error = failure.error(), "import failed");
            tell(&Reply::Failed(failure));
        }
    }
}

fn clean_log_now(mut stream: UnixStream, site: &Site, config: &Config) {
    let reply = match site.clean_log(config) {
        Ok(done) => Reply::LogCleaned(done),
        Err(failure) => Reply::Failed(failure),
    };
    drop(send(&mut stream, &reply));
}

fn upkeep_now(mut stream: UnixStream, site: &Site, config: &Config, work: Work) {
    let mut tell = |reply: &Reply| drop(send(&mut stream, reply));
    match site.upkeep(work.upkeep(config), &mut |done| tell(&Reply::Upkept(Told::of(&done)))) {
        Ok(()) => tell(&Reply::AllUpkept),
        Err(failure) => {
            tracing::warn!(error = failure.error(), "the tables were not looked after in full");
            tell(&Reply::Failed(failure));
        }
    }
}
