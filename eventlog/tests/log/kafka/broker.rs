//! A Kafka broker for tests: a real one, of one node, on free loopback ports, in a directory that goes with it.
//!
//! A shell stands between the test and the broker and kills it when the test's end of a pipe closes, so that none is left over
//! however the test ends.

#![allow(dead_code, reason = "included by tests of several crates, each of which uses a part")]

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

const VERSION: &str = "4.1.0";

/// Kills the broker, and removes its directory if told to, when its own input ends. Prints the broker's process id first.
const WATCH: &str = r#"
"$JAVA" "$@" </dev/null >>"$DIR/server.log" 2>&1 &
echo $!
cat >/dev/null
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
[ -n "$REMOVE" ] && rm -rf "$DIR"
exit 0
"#;

/// A broker that starts in this time will not start at all, on however slow a machine.
const START: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct Broker {
    dir: PathBuf,
    /// For clients, for the controller, and for clients that come by another way.
    ports: [u16; 3],
    /// Removed by whoever is last.
    keeps: Keeps,
    /// By which address clients come to the third port.
    far: Option<SocketAddr>,
    watch: Option<Child>,
    pid: i32,
}

enum Keeps {
    Dir(#[expect(dead_code, reason = "removes the directory")] tempfile::TempDir),
    Watch,
}

/// How a broker lets clients in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Plaintext,
    /// TLS; clients must show a certificate of their own.
    Ssl,
    /// TLS and a password.
    SaslSsl,
}

/// The broker that tests share; `None` where there can be none.
pub(crate) fn shared() -> Option<&'static Broker> {
    static SHARED: OnceLock<Option<Broker>> = OnceLock::new();
    let start = || {
        jars()?;
        let dir = tempfile::tempdir().unwrap().keep();
        Some(Broker::start_in(dir, Keeps::Watch, Door::Plaintext, "", None))
    };
    SHARED.get_or_init(start).as_ref()
}

impl Broker {
    /// A broker of its own, if there can be one.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(Door::Plaintext, |_| String::new())
    }

    /// One with a door and settings that may need files in its directory.
    pub(crate) fn start_with(door: Door, settings: impl FnOnce(&Path) -> String) -> Option<Self> {
        jars()?;
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        Some(Self::start_in(dir.path().to_owned(), Keeps::Dir(dir), door, &settings, None))
    }

    /// One that some of its clients reach by another address, from which somebody takes them to [`Broker::far`].
    pub(crate) fn start_behind(at: SocketAddr) -> Option<Self> {
        jars()?;
        let dir = tempfile::tempdir().unwrap();
        Some(Self::start_in(dir.path().to_owned(), Keeps::Dir(dir), Door::Plaintext, "", Some(at)))
    }

    fn start_in(dir: PathBuf, keeps: Keeps, door: Door, settings: &str, far: Option<SocketAddr>) -> Self {
        // Held together, so that they differ; given back only when the broker is about to take them.
        let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = held.each_ref().map(|held| held.local_addr().unwrap().port());
        let mut broker = Self { dir, ports, keeps, far, watch: None, pid: 0 };
        fs::write(broker.dir.join("server.properties"), broker.properties(door, settings)).unwrap();
        let format = ["kafka.tools.StorageTool", "format", "-t", "Y2FsbHRpZGUtdGVzdC0wMQ", "-c"];
        let properties = broker.dir.join("server.properties");
        let mut command = broker.java();
        command.args(format).arg(properties);
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            command.arg("--add-scram").arg(format!("{mechanism}=[name=anna,password=anna-secret]"));
        }
        let formatted = command.output().unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        drop(held);
        broker.run();
        broker
    }

    fn properties(&self, door: Door, settings: &str) -> String {
        let [port, controller, far] = self.ports;
        let protocol = match door {
            Door::Plaintext => "PLAINTEXT",
            Door::Ssl => "SSL",
            Door::SaslSsl => "SASL_SSL",
        };
        let mut text = String::new();
        writeln!(text, "process.roles=broker,controller\nnode.id=1").unwrap();
        writeln!(text, "controller.quorum.voters=1@127.0.0.1:{controller}").unwrap();
        let advertised = self.far.map_or_else(String::new, |at| format!(",FAR://{at}"));
        let listens = if advertised.is_empty() { String::new() } else { format!(",FAR://127.0.0.1:{far}") };
        writeln!(text, "listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listens}").unwrap();
        writeln!(text, "advertised.listeners=CLIENTS://127.0.0.1:{port}{advertised}").unwrap();
        writeln!(text, "listener.security.protocol.map=CLIENTS:{protocol},CONTROLLER:PLAINTEXT,FAR:PLAINTEXT").unwrap();
        writeln!(text, "controller.listener.names=CONTROLLER\ninter.broker.listener.name=CLIENTS").unwrap();
        writeln!(text, "log.dirs={}", self.dir.join("data").display()).unwrap();
        for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
            writeln!(text, "{topic}.replication.factor=1\n{topic}.num.partitions=2").unwrap();
        }
        writeln!(text, "transaction.state.log.min.isr=1\nshare.coordinator.state.topic.min.isr=1").unwrap();
        writeln!(text, "group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000\n{settings}").unwrap();
        text
    }

    fn java(&self) -> Command {
        let mut command = Command::new("java");
        let jars = jars().unwrap().join("*");
        command.args(["-Xmx384m", "-XX:+UseSerialGC", "-cp"]).arg(jars).current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// Starts the broker, again on the same ports and data.
    pub(crate) fn run(&mut self) {
        let java = self.java();
        let mut watch = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(java.get_args())
            .args(["kafka.Kafka", "server.properties"])
            .env("JAVA", "java")
            .env("DIR", &self.dir)
            .env("REMOVE", if matches!(self.keeps, Keeps::Watch) { "yes" } else { "" })
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(watch.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        self.pid = pid.trim().parse().unwrap();
        self.watch = Some(watch);
        let until = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", self.ports[0])).is_err() {
            let log = || fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
            let gone = !Path::new(&format!("/proc/{}", self.pid)).exists();
            assert!(!gone && Instant::now() < until, "the broker does not start:\n{}", log());
            sleep(Duration::from_millis(50));
        }
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            drop(watch.stdin.take());
            watch.wait().unwrap();
        }
    }

    /// `host:port`.
    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where clients that come by another address are to be taken.
    pub(crate) fn far(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[2]))
    }

    /// Runs one of Kafka's own tools.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let output =
            self.java().arg(class).args(["--bootstrap-server", &self.servers()]).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{class}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kafka's jars, fetched once; `None` where they cannot be had, which is said.
fn jars() -> Option<&'static Path> {
    static JARS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = JARS.get_or_init(|| {
        fetch()
            .inspect_err(|reason| {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "no Kafka to test with: {reason}");
                #[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
                {
                    eprintln!("SKIPPED, as there is no Kafka to test with: {reason}");
                }
            })
            .ok()
    });
    found.as_deref()
}

fn fetch() -> Result<PathBuf, String> {
    let has = |program: &str| Command::new(program).arg("-version").output().is_ok_and(|out| out.status.success());
    if !has("java") {
        return Err("no java, 17 or later".to_owned());
    }
    let cache = std::env::var_os("CALLTIDE_CACHE").map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cache/calltide"));
    let cache = cache.or_else(home).ok_or("no directory to keep it in; set CALLTIDE_CACHE")?;
    let jars = cache.join(format!("kafka-{VERSION}-with-tools"));
    if jars.exists() {
        return Ok(jars);
    }
    if !has("mvn") {
        return Err("no mvn to fetch it with".to_owned());
    }
    fs::create_dir_all(&cache).map_err(|e| e.to_string())?;
    let fetched = tempfile::tempdir_in(&cache).map_err(|e| e.to_string())?;
    let jar = |name| {
        format!(
            "<dependency><groupId>org.apache.kafka</groupId><artifactId>{name}</artifactId>\
             <version>{VERSION}</version></dependency>"
        )
    };
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{}{}</dependencies></project>",
        jar("kafka_2.13"),
        jar("kafka-tools"),
    );
    fs::write(fetched.path().join("pom.xml"), pom).map_err(|e| e.to_string())?;
    let mvn = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"])
        .current_dir(fetched.path())
        .output()
        .map_err(|e| e.to_string())?;
    if !mvn.status.success() {
        return Err(String::from_utf8_lossy(&mvn.stdout).into_owned());
    }
    // Another process may have been quicker.
    drop(fs::rename(fetched.path().join("libs"), &jars));
    Ok(jars)
}
