//! The live collector against a played-back Asterisk: what was said is in the log, each once, with the gaps named.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use calltide_ingest::ami::{AmiConfig, AmiStatus, Auth, CollectError, Secret, Tls, collect};
use calltide_ingest::playback::{AtEnd, Channels, Fault, Playback, PlaybackOptions, Recording, Speed};
use calltide_schemas::Micros;
use calltide_schemas::envelope::{RESYNC_CHANNEL, RESYNC_SINCE, Source};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::import::capture;
use crate::memory::MemoryLog;

/// More than any of this can take, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(60);

fn recording() -> Arc<Recording> {
    Arc::new(Recording::new(fs::read(capture("asterisk-22.10", "ami.raw")).unwrap()).unwrap())
}

fn options() -> PlaybackOptions {
    PlaybackOptions { speed: Speed::Unlimited, ..PlaybackOptions::new("collector", "collect") }
}

fn config(port: u16) -> AmiConfig {
    AmiConfig {
        port,
        ping_every: Duration::from_millis(20),
        retry_min: Duration::from_millis(1),
        retry_max: Duration::from_millis(5),
        ..AmiConfig::new("site-a", "127.0.0.1", "collector", "collect")
    }
}

struct Collector {
    log: Arc<MemoryLog>,
    stop: watch::Sender<bool>,
    status: watch::Receiver<AmiStatus>,
    task: JoinHandle<Result<(), CollectError>>,
}

impl Collector {
    fn start(config: AmiConfig) -> Self {
        Self::start_with(config, Arc::default())
    }

    fn start_with(config: AmiConfig, log: Arc<MemoryLog>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (told, status) = watch::channel(AmiStatus::Connecting);
        let ticks = Arc::new(AtomicI64::new(1_000_000));
        let clock = Arc::new(move || Micros(ticks.fetch_add(1, Ordering::Relaxed)));
        let task = tokio::spawn(collect(config, log.clone(), clock, stopping, told));
        Self { log, stop, status, task }
    }

    async fn until(&mut self, wanted: impl Fn(&AmiStatus) -> bool) -> AmiStatus {
        let status = tokio::time::timeout(PATIENCE, self.status.wait_for(|status| wanted(status))).await;
        status.unwrap().unwrap().clone()
    }

    async fn stop(self) -> Arc<MemoryLog> {
        self.stop.send_replace(true);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        assert_eq!(*self.status.borrow(), AmiStatus::Stopped);
        self.log
    }
}

/// Waits until the log has so many events.
pub(crate) async fn has_events(log: &MemoryLog, events: usize) {
    let arrived = async {
        while log.count(Source::Ami) < events {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.unwrap();
}

/// What the log says, but for events and heartbeats; checks that each journal counts from 1 without holes.
fn gaps(log: &MemoryLog) -> Vec<String> {
    let (mut gaps, mut journal, mut offset) = (Vec::new(), String::new(), 0);
    log.each(|envelope| {
        if journal != envelope.journal {
            (journal, offset) = (envelope.journal.to_string(), 0);
        }
        offset += 1;
        assert_eq!(envelope.offset, offset);
        if let Some(reason) = &envelope.reason {
            gaps.push(format!("{} {reason}", envelope.source.name()));
        }
    });
    gaps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_was_said_is_in_the_log_in_order() {
    for auth in [Auth::Challenge, Auth::Plain] {
        let mut playback = Playback::start(recording(), options()).await.unwrap();
        let collector = Collector::start(AmiConfig { auth, ..config(playback.address.port()) });
        playback.all_sent().await;
        has_events(&collector.log, recording().events()).await;
        let log = collector.stop().await;
        assert_eq!(gaps(&log), ["gap connected", "gap stopped"]);
        assert!(log.count(Source::Heartbeat) > 0);
        let mut said = Vec::new();
        let (first, _) = recording().span();
        log.each(|envelope| {
            said.extend(envelope.header("Event").map(str::to_owned));
            assert!(envelope.at >= first, "the PBX's own time, not ours: {envelope:?}");
        });
        let text = String::from_utf8_lossy(&fs::read(capture("asterisk-22.10", "ami.raw")).unwrap()).into_owned();
        let expected: Vec<&str> = text.split("\r\n").filter_map(|line| line.strip_prefix("Event: ")).collect();
        assert_eq!(said, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_many_times_the_speed_pings_tell_the_time_of_the_recording() {
    let speed = Speed::Times(2_000.0);
    let mut playback = Playback::start(recording(), PlaybackOptions { speed, ..options() }).await.unwrap();
    let collector = Collector::start(config(playback.address.port()));
    playback.all_sent().await;
    has_events(&collector.log, recording().events()).await;
    let (first, last) = recording().span();
    let heartbeats = |log: &MemoryLog| {
        let records = log.records().into_iter().filter(|record| record.kind == Source::Heartbeat.name());
        records.map(|record| Micros(record.at)).collect::<Vec<_>>()
    };
    // The PBX lives on behind the end of the recording, so that what is open there can be closed.
    let lives_on = async {
        while heartbeats(&collector.log).last().is_none_or(|at| *at <= last + 10_000_000) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, lives_on).await.unwrap();
    let times = heartbeats(&*collector.stop().await);
    assert!(times.is_sorted() && times[0] >= first, "{times:?}");
    assert!(times.iter().any(|at| *at > first && *at < last), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_and_nothing_is_logged() {
    let playback = Playback::start(recording(), options()).await.unwrap();
    for auth in [Auth::Challenge, Auth::Plain] {
        let wrong = AmiConfig { secret: Secret("guess".into()), auth, ..config(playback.address.port()) };
        let mut collector = Collector::start(wrong);
        let status = collector.until(|status| matches!(status, AmiStatus::Waiting { .. })).await;
        let AmiStatus::Waiting { error, retry_in } = status else { unreachable!("waited for it") };
        assert!(error.contains("refused user collector") && error.contains("manager.conf"), "{error}");
        assert!(!error.contains("guess"));
        assert_eq!(retry_in, Duration::from_secs(60), "slowly");
        assert!(collector.stop().await.records().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_made_again_and_both_ends_of_the_gap_are_named() {
    let faults = vec![Fault::Close { after: 100_000 }, Fault::FallSilent { after: 500_001 }];
    let mut playback = Playback::start(recording(), PlaybackOptions { faults, ..options() }).await.unwrap();
    // Short, but longer than a busy machine may keep a living connection waiting.
    let impatient = AmiConfig { read_deadline: Duration::from_secs(6), ..config(playback.address.port()) };
    let collector = Collector::start(impatient);
    playback.all_sent().await;
    // Each fault tore an event.
    has_events(&collector.log, recording().events() - 2).await;
    let log = collector.stop().await;
    let expected = [
        "gap connected",
        "unreadable torn_frame",
        "gap closed",
        "gap connected",
        "unreadable torn_frame",
        "gap silent",
        "gap connected",
        "gap stopped",
    ];
    assert_eq!(gaps(&log), expected);
    assert_eq!(playback.played().connections, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_log_in_the_channels_that_are_up_are_on_record() {
    let faults = vec![Fault::Close { after: 100_000 }];
    let channels = Channels::Listed;
    let mut playback = Playback::start(recording(), PlaybackOptions { faults, channels, ..options() }).await.unwrap();
    let collector = Collector::start(config(playback.address.port()));
    playback.all_sent().await;
    has_events(&collector.log, recording().events() - 1).await;
    let log = collector.stop().await;
    assert_eq!(log.count(Source::Resync), 2);
    let (mut connected, mut listed) = (Micros(0), Vec::new());
    log.each(|envelope| match (envelope.source, envelope.header("Event")) {
        (Source::Gap, _) => (connected, listed) = (envelope.at, Vec::new()),
        (Source::Ami, Some("CoreShowChannel")) => listed.extend(envelope.header("Uniqueid").map(str::to_owned)),
        (Source::Resync, _) => {
            assert_eq!(envelope.header(RESYNC_SINCE), Some(&*connected.0.to_string()));
            let channels = envelope.headers.iter().filter(|h| h.0.as_str() == RESYNC_CHANNEL);
            assert_eq!(channels.map(|h| h.1.as_str().to_owned()).collect::<Vec<_>>(), listed);
        }
        _ => {}
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_log_in_who_is_in_which_queue_is_on_record() {
    // After the agents came into their queue, and before they leave it.
    let faults = vec![Fault::Close { after: 400_000 }];
    let channels = Channels::Listed;
    let mut playback = Playback::start(recording(), PlaybackOptions { faults, channels, ..options() }).await.unwrap();
    let collector = Collector::start(config(playback.address.port()));
    playback.all_sent().await;
    let listed_twice = async {
        let complete = |log: &MemoryLog| {
            let mut count = 0;
            log.each(|envelope| count += usize::from(envelope.header("Event") == Some("QueueStatusComplete")));
            count
        };
        while complete(&collector.log) < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listed_twice).await.unwrap();
    has_events(&collector.log, recording().events()).await;
    let log = collector.stop().await;
    assert_eq!(log.count(Source::Resync), 2, "the channels have a list of their own");
    // Each list names those of whom was told before it, as they are then.
    let (mut named, mut there, mut lists) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    log.each(|envelope| {
        let of = |name| envelope.header(name).unwrap_or_default().to_owned();
        match envelope.header("Event") {
            Some("QueueMemberAdded" | "QueueMemberPause" | "QueueMemberStatus") => {
                there.insert((of("Queue"), of("Interface")), (of("MemberName"), of("Membership"), of("Paused")));
            }
            Some("QueueMemberRemoved") => drop(there.remove(&(of("Queue"), of("Interface")))),
            Some("QueueMember") => {
                assert_eq!(of("ActionID"), "calltide-queues");
                named.insert((of("Queue"), of("Location")), (of("Name"), of("Membership"), of("Paused")));
            }
            Some("QueueStatusComplete") => {
                assert_eq!(named, there);
                lists.push(std::mem::take(&mut named).len());
            }
            _ => {}
        }
    });
    assert_eq!((lists.len(), lists[1]), (2, 3), "{lists:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_ask_collects_all_the_same() {
    let channels = Channels::Refused;
    let mut playback = Playback::start(recording(), PlaybackOptions { channels, ..options() }).await.unwrap();
    let collector = Collector::start(config(playback.address.port()));
    playback.all_sent().await;
    has_events(&collector.log, recording().events()).await;
    assert_eq!(collector.stop().await.count(Source::Resync), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_asterisk_swallows_cost_one_event_and_are_reported() {
    let faults = vec![Fault::LeaveOut { after: 300_000, bytes: 1 << 20 }];
    let mut playback = Playback::start(recording(), PlaybackOptions { faults, ..options() }).await.unwrap();
    let collector = Collector::start(config(playback.address.port()));
    playback.all_sent().await;
    has_events(&collector.log, recording().events() - 1).await;
    assert_eq!(gaps(&*collector.stop().await), ["gap connected", "unreadable torn_frame", "gap stopped"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_only_with_a_certificate_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let certified = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let file = folder.path().join(name);
        fs::write(&file, made.cert.pem()).unwrap();
        (made, file)
    };
    let (server, trusted) = certified("ca.pem");
    let (_, stranger) = certified("other.pem");
    let key = PrivateKeyDer::Pkcs8(server.signing_key.serialize_der().into());
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server.cert.der().clone()], key)
        .unwrap();
    let tls = Some(TlsAcceptor::from(Arc::new(tls)));
    let options = PlaybackOptions { tls, ..options() };
    let fails = [Tls::CaFile(stranger), Tls::System, Tls::CaFile(folder.path().join("absent.pem"))];
    let playback = Playback::start(recording(), options.clone()).await.unwrap();
    for tls in fails {
        let port = playback.address.port();
        let mut collector = Collector::start(AmiConfig { host: "localhost".into(), tls, ..config(port) });
        let status = collector.until(|status| matches!(status, AmiStatus::Waiting { .. })).await;
        let AmiStatus::Waiting { error, .. } = status else { unreachable!("waited for it") };
        assert!(error.contains("can't use TLS with localhost"), "{error}");
        assert!(collector.stop().await.records().is_empty());
    }
    for tls in [Tls::CaFile(trusted), Tls::Insecure] {
        let mut playback = Playback::start(recording(), options.clone()).await.unwrap();
        let port = playback.address.port();
        let collector = Collector::start(AmiConfig { host: "localhost".into(), tls, ..config(port) });
        playback.all_sent().await;
        has_events(&collector.log, recording().events()).await;
        assert_eq!(gaps(&*collector.stop().await), ["gap connected", "gap stopped"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn something_else_behind_the_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
    });
    let slowly = AmiConfig { retry_min: PATIENCE, retry_max: PATIENCE, ..config(port) };
    let mut collector = Collector::start(slowly);
    let status = collector.until(|status| matches!(status, AmiStatus::Waiting { .. })).await;
    assert!(format!("{status:?}").contains("is no asterisk manager"), "{status:?}");
    server.join().unwrap();
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_waited_out_and_a_stopped_log_ends_the_collector() {
    let log = Arc::new(MemoryLog::default());
    log.fill_disk(1);
    let mut playback =
        Playback::start(recording(), PlaybackOptions { at_end: AtEnd::Close, ..options() }).await.unwrap();
    let mut collector = Collector::start_with(config(playback.address.port()), log.clone());
    collector.until(|status| *status == AmiStatus::DiskFull).await;
    playback.all_sent().await;
    has_events(&log, recording().events()).await;
    assert_eq!(gaps(&*collector.stop().await)[..2], ["gap connected", "gap closed"]);

    let playback = Playback::start(recording(), options()).await.unwrap();
    log.fail_after(Some(0));
    let collector = Collector::start_with(config(playback.address.port()), log);
    let ended = tokio::time::timeout(PATIENCE, collector.task).await.unwrap().unwrap();
    assert!(matches!(ended, Err(CollectError::Log { .. })), "{ended:?}");
}
