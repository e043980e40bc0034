//! Plays the recordings and collects them, until every call in them is told and settled.
//!
//! It knows only what a PBX and a collector know: events and heartbeats. What became of the calls is read by [`super`].

use std::sync::Arc;
use std::time::Duration;

use calltide_eventlog::EventLog;
use calltide_ingest::ami::{AmiConfig, AmiStatus, CollectError, collect as collect_ami};
use calltide_ingest::playback::{Playback, PlaybackOptions, Recording, Speed};
use calltide_processor::calls::CallSettings;
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;
use calltide_schemas::topics::EVENTS;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::errors::{Exit, Failure, Result};
use crate::site::Site;

/// AMI as two Asterisks said it, each with the calls of a test campaign.
pub(super) const RECORDINGS: [(&str, &[u8]); 2] = [
    ("site-a", include_bytes!("../../tests/captures/asterisk-22.10/ami.raw")),
    ("site-b", include_bytes!("../../tests/captures/asterisk-16.28/ami.raw")),
];

/// Who logs in. Both ends are here.
pub(super) const USERNAME: &str = "calltide";
pub(super) const SECRET: &str = "demo";
/// Often enough that the PBX's time, sped up, moves in small steps.
const PING_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Read from the log at once.
const READ_BYTES: usize = 1 << 20;
/// Longest wait after the recordings were sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was collected.
pub(super) struct Collected {
    /// Events of both PBXs.
    pub(super) events: usize,
}

/// Plays, collects, and returns when the log has everything and time enough to settle it.
pub(super) async fn collect(site: &Site, speed: f64) -> Result<Collected> {
    let (stop, stopping) = watch::channel(false);
    let mut playbacks = Vec::new();
    let mut collectors = JoinSet::new();
    let mut settled_at = Vec::new();
    let mut events = 0;
    for (pbx, bytes) in RECORDINGS {
        let recording = Recording::new(bytes.to_vec()).map_err(|e| Failure::of(Exit::Failed, &e))?;
        settled_at.push((pbx, recording.span().1 + CallSettings::default().settle_us));
        events += recording.events();
        let options = PlaybackOptions { speed: Speed::Times(speed), ..PlaybackOptions::new(USERNAME, SECRET) };
        let playback = Playback::start(Arc::new(recording), options).await;
        let playback = playback.map_err(|e| Failure::new(Exit::Failed, "cannot play a recording").because(&e))?;
        let config = AmiConfig {
            port: playback.address.port(),
            ping_every: PING_EVERY,
            ..AmiConfig::new(pbx, "127.0.0.1", USERNAME, SECRET)
        };
        let (told, _) = watch::channel(AmiStatus::Connecting);
        collectors.spawn(collect_ami(config, Arc::clone(&site.log), clock::wall(), stopping.clone(), told));
        playbacks.push(playback);
    }
    tokio::select! {
        waited = until_settled(&playbacks, &*site.log, settled_at) => waited?,
        ended = collectors.join_next() => failed(ended)?,
    }
    stop.send_replace(true);
    while let Some(ended) = collectors.join_next().await {
        failed(Some(ended))?;
    }
    Ok(Collected { events })
}

fn failed(
    ended: Option<std::result::Result<std::result::Result<(), CollectError>, tokio::task::JoinError>>,
) -> Result<()> {
    match ended {
        Some(Ok(Err(e))) => Err(Failure::of(Exit::Failed, &e)),
        Some(Err(e)) => Err(Failure::new(Exit::Failed, "a collector has ended").because(&e)),
        Some(Ok(Ok(()))) | None => Ok(()),
    }
}

/// Returns when the log has a heartbeat of each PBX from after the moment at which its last call settles. Heartbeats come by
/// the same connection as events, so nothing can be missing before them.
async fn until_settled(playbacks: &[Playback], log: &dyn EventLog, mut waiting: Vec<(&str, Micros)>) -> Result<()> {
    let bar = bar(playbacks);
    let (mut next, mut sent_at) = (0, None);
    while !waiting.is_empty() {
        tokio::time::sleep(LOOK_EVERY).await;
        let played = playbacks.iter().map(Playback::played);
        let (sent, total) = played.fold((0, 0), |(sent, total), p| (sent + p.events, total + p.events_total));
        bar.set_position(sent as u64);
        if sent == total && sent_at.get_or_insert_with(tokio::time::Instant::now).elapsed() > PATIENCE {
            return Err(Failure::new(Exit::Failed, "the recordings were sent, but not collected in time"));
        }
        loop {
            let batch = log.read(EVENTS, 0, next, READ_BYTES)?;
            if batch.next == next {
                break;
            }
            next = batch.next;
            for read in &batch.records {
                let record = &read.record;
                if record.kind == Source::Heartbeat.name() {
                    waiting.retain(|(pbx, until)| record.key != pbx.as_bytes() || record.at <= until.0);
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn bar(playbacks: &[Playback]) -> ProgressBar {
    let total: usize = playbacks.iter().map(|playback| playback.played().events_total).sum();
    let bar = ProgressBar::new(total as u64);
    match ProgressStyle::with_template("collecting from two recorded PBXs {bar:30} {pos}/{len} events") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
