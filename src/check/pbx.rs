//! What can be known of a PBX by logging in and listening for a moment.
//!
//! The real collector connects, into a temporary log; what came is looked at. AMI tells nobody their read classes, so those
//! are known only from events that came: a class of which nothing came may be missing, or nothing happened.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_eventlog::{Cleanup, EventLog, TopicSpec};
use calltide_ingest::ami::{AmiStatus, collect};
use calltide_schemas::envelope::{Envelope, RESYNC_CHANNEL, Source};
use calltide_schemas::topics::EVENTS;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Finding, Level};
use crate::clock;
use crate::config::{Config, Pbx};
use crate::errors::{Exit, Failure, Result};

/// How long each PBX is listened to, connecting included: the log-in's own deadline is 10 s.
const LISTEN: Duration = Duration::from_secs(12);
/// How long events are gathered after the log-in.
const GATHER: Duration = Duration::from_secs(3);
/// The read classes that the outcome of a call is known from.
const CLASSES: [&str; 5] = ["system", "call", "agent", "user", "dialplan"];
/// A PBX whose clock is further away than this has no time service.
const CLOCK_APART_SECS: f64 = 2.0;
/// More than a PBX says in three seconds.
const READ_BYTES: usize = 64 << 20;

/// Asks all PBXs at once.
pub(super) fn ask_all(config: &Config) -> Result<Vec<Finding>> {
    crate::query_api::runtime()?.block_on(async {
        let mut asked = JoinSet::new();
        for (place, pbx) in config.pbx.iter().enumerate() {
            let (pbx, config) = (pbx.clone(), config.clone());
            asked.spawn(async move { (place, ask(&pbx, &config).await) });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(place, _)| *place);
        let findings = answers.into_iter().map(|(_, findings)| findings).collect::<Result<Vec<_>>>()?;
        Ok(findings.into_iter().flatten().collect())
    })
}

async fn ask(pbx: &Pbx, config: &Config) -> Result<Vec<Finding>> {
    let what = format!("PBX {}", pbx.id);
    let collector = match pbx.collector(config.calls.redaction()) {
        Ok(Some(collector)) => collector,
        // Its files are looked at elsewhere.
        Ok(None) => return Ok(Vec::new()),
        Err(failure) => return Ok(vec![Finding::new(Level::Error, what, failure.to_string().trim_end())]),
    };
    let dir =
        tempfile::tempdir().map_err(|e| Failure::new(Exit::Failed, "cannot make a temporary directory").because(&e))?;
    let topic = TopicSpec { name: EVENTS.to_owned(), partitions: 1, cleanup: Cleanup::Delete { after: None } };
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(dir.path(), &[topic], EmbeddedOptions::default())?);
    let (stop, stopping) = watch::channel(false);
    let (told, mut status) = watch::channel(AmiStatus::Connecting);
    let collecting = tokio::spawn(collect(collector, Arc::clone(&log), clock::wall(), stopping, told));
    let deadline = Instant::now() + LISTEN;
    let tried = |status: &AmiStatus| *status != AmiStatus::Connecting;
    let first = timeout_at(deadline, status.wait_for(tried)).await;
    let first = first.ok().and_then(|status| status.ok().map(|status| status.clone()));
    let version = match first {
        Some(AmiStatus::Connected { version, .. }) => version,
        Some(AmiStatus::Waiting { error, .. }) => return Ok(vec![unreachable(what, &error)]),
        Some(AmiStatus::Connecting | AmiStatus::DiskFull | AmiStatus::Stopped) | None => {
            return Ok(vec![unreachable(what, &format!("{} did not answer in time", pbx.address()))]);
        }
    };
    sleep_until(Instant::now() + GATHER).await;
    stop.send_replace(true);
    let ended = collecting.await.map_err(|e| Failure::new(Exit::Failed, "the collector has ended").because(&e))?;
    ended.map_err(|e| Failure::of(Exit::Failed, &e))?;
    let mut findings = vec![Finding::new(Level::Ok, &what, format!("logged in at {} (AMI {version})", pbx.address()))];
    findings.extend(heard(&what, &*log)?);
    Ok(findings)
}

fn unreachable(what: String, error: &str) -> Finding {
    let hint = if error.contains("refused user") {
        "compare username and secret with manager.conf, and `permit` with this machine's address"
    } else {
        "is manager.conf enabled, and is the port open to this machine?"
    };
    Finding::new(Level::Error, what, error).hint(hint)
}

/// What the events of a moment tell of the PBX's configuration.
fn heard(what: &str, log: &dyn EventLog) -> Result<Vec<Finding>> {
    let batch = log.read(EVENTS, 0, 0, READ_BYTES)?;
    let (mut events, mut with_time, mut classes, mut apart, mut channels) = (0, 0, BTreeSet::new(), None, None);
    for read in &batch.records {
        let Some(envelope) =
            read.record.payload.as_deref().and_then(|p| serde_json::from_slice::<Envelope<'_>>(p).ok())
        else {
            continue;
        };
        match envelope.source {
            Source::Ami => {
                events += 1;
                with_time += u64::from(envelope.header("Timestamp").is_some());
                let held = envelope.header("Privilege").unwrap_or_default().split(',').map(str::to_owned);
                classes.extend(held.filter(|class| CLASSES.contains(&class.as_str())));
            }
            Source::Resync => {
                channels = Some(envelope.headers.iter().filter(|header| header.0.as_str() == RESYNC_CHANNEL).count());
            }
            Source::Heartbeat => apart = Some((envelope.at - envelope.seen) as f64 / 1e6),
            Source::Cel | Source::QueueLog | Source::ImportEnd | Source::Gap | Source::Unreadable => {}
        }
    }
    let unheard: Vec<_> = CLASSES.into_iter().filter(|class| !classes.contains(*class)).collect();
    let read = format!("{what} read classes");
    let of_classes = if unheard.is_empty() {
        Finding::new(Level::Ok, read, "events of every class came")
    } else {
        let found = format!("{events} events in {} s, none of class {}", GATHER.as_secs(), unheard.join(", "));
        Finding::new(Level::Warn, read, found)
            .hint("that is so on a quiet PBX; if calls are going on, manager.conf needs read = system,call,agent,user,dialplan")
    };
    let times = format!("{what} times");
    let of_times = match (events, with_time) {
        // FullyBooted, said at the log-in, never has one.
        (0 | 1, 0) => Finding::new(Level::Warn, times, "too few events came to see whether they carry times")
            .hint("timestampevents = yes in manager.conf makes times exact"),
        (_, 0) => Finding::new(Level::Warn, times, "events carry no time; the moment of their arrival is taken")
            .hint("set timestampevents = yes in manager.conf"),
        (_, _) => Finding::new(Level::Ok, times, "events carry their time"),
    };
    let of_clock = match apart {
        None => Finding::new(Level::Warn, format!("{what} clock"), "the PBX did not say its time"),
        Some(apart) if apart.abs() > CLOCK_APART_SECS => {
            Finding::new(Level::Warn, format!("{what} clock"), format!("{apart:+.1} s from ours"))
                .hint("start a time service (chrony) on both machines")
        }
        Some(apart) => Finding::new(Level::Ok, format!("{what} clock"), format!("{apart:+.1} s from ours")),
    };
    let asking = format!("{what} channels");
    let of_channels = match channels {
        Some(count) => Finding::new(Level::Ok, asking, format!("{count} are up")),
        None => Finding::new(Level::Warn, asking, "it does not say which are up after a cut").hint(
            "manager.conf needs write = reporting; without it a call that ends during a cut stays open until a file tells",
        ),
    };
    Ok(vec![of_classes, of_times, of_clock, of_channels])
}
