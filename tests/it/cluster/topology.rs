//! A small installation: two PBXs that are played, a collector beside them, a line, Kafka, two processors, one lake.

use std::path::Path;
use std::sync::Arc;

use calltide_ingest::playback::{Playback, PlaybackOptions, Recording, Speed};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::broker::Broker;
use crate::line::Line;
use crate::started::{Running, Site, get, peak_mib};

/// The PBXs, by their ids.
pub(super) const PBXS: [&str; 2] = ["north", "south"];

/// PBXs that say a recording, as far as they may.
pub(super) struct Pbxs {
    runtime: Runtime,
    playbacks: Vec<Playback>,
    hold: watch::Sender<usize>,
}

impl Pbxs {
    pub(super) fn playing(recording: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let recording = Arc::new(Recording::new(std::fs::read(recording).unwrap()).unwrap());
        let (hold, held) = watch::channel(0);
        let options =
            PlaybackOptions { speed: Speed::Unlimited, hold: Some(held), ..PlaybackOptions::new("calltide", "secret") };
        let start = |_: &&str| runtime.block_on(Playback::start(Arc::clone(&recording), options.clone())).unwrap();
        let playbacks = PBXS.iter().map(start).collect();
        Self { runtime, playbacks, hold }
    }

    /// The `[[pbx]]`s of a configuration.
    pub(super) fn configuration(&self) -> String {
        let pbx = |(id, playback): (&&str, &Playback)| {
            let port = playback.address.port();
            format!(
                "[[pbx]]\nid = \"{id}\"\nhost = \"127.0.0.1\"\nport = {port}\nusername = \"calltide\"\nsecret = \"secret\"\n"
            )
        };
        PBXS.iter().zip(&self.playbacks).map(pbx).collect()
    }

    /// Lets each of them say so many events in all.
    pub(super) fn may_say(&self, events: usize) {
        self.hold.send_replace(events);
    }

    /// Events that all of them have said.
    pub(super) fn said(&self) -> usize {
        self.playbacks.iter().map(|playback| playback.played().events).sum()
    }

    /// Lets them say everything, and waits until they have.
    pub(super) fn finish(&mut self) {
        self.may_say(usize::MAX);
        for playback in &mut self.playbacks {
            self.runtime.block_on(playback.all_sent());
        }
    }
}

/// A process of a role, which may be down.
pub(super) struct Role {
    pub(super) site: Site,
    role: &'static str,
    running: Option<Up>,
}

struct Up {
    running: Running,
    url: String,
    pid: String,
}

impl Role {
    pub(super) fn configured(role: &'static str, configuration: &str) -> Self {
        let site = Site::new();
        site.configured(configuration);
        Self { site, role, running: None }
    }

    /// Starts it, unless it is up.
    pub(super) fn up(&mut self) {
        if self.running.is_none() {
            let mut running = self.site.start(&[self.role, "--listen", "127.0.0.1:0"]);
            let line = running.tells("serving ");
            let field = |name: &str| {
                let value = line.split(&format!("{name}=")).nth(1).and_then(|rest| rest.split_whitespace().next());
                value.unwrap_or_else(|| panic!("no {name} in {line}")).trim_matches('"').to_owned()
            };
            let (url, pid) = (field("url"), field("pid"));
            self.running = Some(Up { running, url, pid });
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(Up { running, .. }) = self.running.take() {
            running.kill();
        }
    }

    pub(super) fn stop(&mut self) {
        if let Some(Up { running, .. }) = self.running.take() {
            running.stop();
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.running.as_ref().unwrap().url
    }

    /// The most memory that it ever held, in MiB.
    pub(super) fn peak_mib(&self) -> u64 {
        peak_mib(&self.running.as_ref().unwrap().pid)
    }

    /// The sum of a metric over its labels; 0 where nothing was counted yet.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let (_, metrics) = get(self.url(), "/metrics");
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        metrics.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// At any hour, whenever this runs, and as often as the recording has them.
const RULES: &str = "
[recycling]
windows = []
attempts = 1000000
attempts_24h = 1000000
results = [{ results = [\"busy\", \"no_answer\", \"voicemail\", \"rejected\", \"cancelled\", \"congestion\"], delays = [\"1s\"] }]
";

/// See the module.
pub(super) struct Topology {
    pub(super) ingest: Role,
    pub(super) processors: [Role; 2],
    /// Asks the lake and the log.
    pub(super) reader: Site,
    pub(super) line: Line,
    pub(super) broker: Broker,
    _lake: Option<tempfile::TempDir>,
}

impl Topology {
    /// With the lake in a folder. Nothing but the broker is up yet; `None` where there can be no broker.
    pub(super) fn around(pbxs: &Pbxs) -> Option<Self> {
        let lake = tempfile::tempdir().unwrap();
        let place = format!("[lake]\nurl = \"file://{}\"\n", lake.path().join("lake").display());
        Some(Self { _lake: Some(lake), ..Self::over(pbxs, &place)? })
    }

    /// The same with the lake that this `[lake]` names.
    pub(super) fn over(pbxs: &Pbxs, lake: &str) -> Option<Self> {
        let line = Line::new();
        let broker = Broker::start_behind(line.address)?;
        line.leads_to(broker.far());
        let log = |servers: &str| format!("[log]\nkafka = \"{servers}\"\nprefix = \"test.\"\npartitions = 4\n");
        let lake = lake.replacen("[lake]\n", "[lake]\ncommit_every = \"1s\"\n", 1);
        let here = format!("{}{lake}[processor]\nworkers = 1\n{RULES}", log(&broker.servers()));
        let reader = Site::new();
        reader.configured(&here);
        Some(Self {
            ingest: Role::configured("ingest", &format!("{}{}", log(&line.address.to_string()), pbxs.configuration())),
            processors: [(); 2].map(|()| Role::configured("processor", &here)),
            reader,
            line,
            broker,
            _lake: None,
        })
    }

    /// Everything that is down is started.
    pub(super) fn up(&mut self) {
        self.ingest.up();
        self.processors.iter_mut().for_each(Role::up);
    }
}
