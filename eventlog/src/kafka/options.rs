//! How to reach a cluster and what to be called there, and what that means in librdkafka's words.
//!
//! The settings of producers and consumers are where those are made; here are the ones that all clients share.

use std::{fmt, path::PathBuf, time::Duration};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// How to reach a cluster, and how this process behaves there.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// `host:port` of some of its brokers, separated by commas.
    pub servers: String,
    /// Put in front of the name of every topic, group and transactional id, so that several installations share a cluster.
    pub prefix: String,
    /// The name of this process among those that share the work, e.g. its host's. It keeps its partitions over a restart, and
    /// of two that use the same name the newer one fences the older.
    pub instance: String,
    /// Who we are, and whether the connection is encrypted.
    pub security: Security,
    /// Copies of each partition of topics that are created; `None` leaves it to the cluster's `default.replication.factor`.
    pub replication: Option<u16>,
    /// The deadline of every request: how long brokers may be away before an error says so.
    pub patience: Duration,
    /// A worker whose process is not heard of for so long is taken for dead, and its partitions go to others. Longer than a
    /// restart, so that one moves no partition; brokers take 6 s to 30 min by default.
    pub silence_max: Duration,
    /// A worker that is alive but does not poll for so long loses its partitions, too. At least `silence_max`.
    pub away_max: Duration,
    /// Where workers keep snapshots of their state, so that restoring it after a restart reads only what came since.
    pub snapshots: Option<PathBuf>,
    /// A snapshot is made when so many bytes of state were read or committed since the last one.
    pub snapshot_bytes: u64,
}

/// How the connection is secured. Without either, everything goes in the clear.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Encrypt, and check the brokers' certificates.
    pub tls: Option<Tls>,
    /// Log in with a name and a password.
    pub login: Option<Login>,
}

/// TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The authorities whose certificates are trusted, as PEM; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Our own certificate chain and its key, as PEM, where the brokers ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A login by SASL.
#[derive(Clone)]
pub struct Login {
    /// How the password is proven.
    pub mechanism: Mechanism,
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, user, password: _ } = self;
        f.debug_struct("Login").field("mechanism", mechanism).field("user", user).finish_non_exhaustive()
    }
}

/// How a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// It is sent as it is: only over TLS.
    Plain,
    /// By a challenge, with SHA-256.
    ScramSha256,
    /// By a challenge, with SHA-512.
    ScramSha512,
}

/// A connection that comes to nothing is given up after this, in time for another broker within most people's patience.
const CONNECT_MS: &str = "8000";
/// After a broker went away it is tried again so soon, and at least so often.
const RECONNECT_MS: (&str, &str) = ("50", "1000");

/// The largest record, and what topics are created for: the largest event of a PBX, several times over.
pub(super) const RECORD_BYTES_MAX: usize = 8 << 20;

impl KafkaOptions {
    /// For a cluster without security; everything else can be set afterwards.
    pub fn new(servers: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            prefix: String::new(),
            instance: instance.into(),
            security: Security::default(),
            replication: None,
            // Longer than a broker takes to be restarted in a cluster, or than a transaction left behind blocks others.
            patience: Duration::from_secs(30),
            silence_max: Duration::from_secs(20),
            away_max: Duration::from_secs(60),
            snapshots: None,
            // Read from the brokers in about a second.
            snapshot_bytes: 64 << 20,
        }
    }

    /// What all clients of this process share.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config.set("client.id", format!("calltide-{}", self.instance));
        config.set("socket.connection.setup.timeout.ms", CONNECT_MS);
        config.set("reconnect.backoff.ms", RECONNECT_MS.0).set("reconnect.backoff.max.ms", RECONNECT_MS.1);
        config.set("message.max.bytes", RECORD_BYTES_MAX.to_string());
        // Else the end of each request waits for a word from afar.
        config.set("socket.nagle.disable", "true");
        config.set_log_level(RDKafkaLogLevel::Info);
        let Security { tls, login } = &self.security;
        let protocol = match (tls, login) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(Tls { ca, identity }) = tls {
            if let Some(ca) = ca {
                config.set("ssl.ca.location", ca.to_string_lossy());
            }
            if let Some((certificate, key)) = identity {
                config.set("ssl.certificate.location", certificate.to_string_lossy());
                config.set("ssl.key.location", key.to_string_lossy());
            }
        }
        if let Some(Login { mechanism, user, password }) = login {
            config.set("sasl.mechanism", mechanism.name());
            config.set("sasl.username", user).set("sasl.password", password);
        }
        config
    }
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
