//! How to reach one PBX's AMI, with defaults that fit an Asterisk as it comes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::decode::redact::Redaction;

/// Several seconds of the busiest PBX: 20,000 events a second are some eight megabytes.
const BUFFER_BYTES: usize = 64 << 20;

/// Where and how to collect.
#[derive(Debug, Clone)]
pub struct AmiConfig {
    /// The PBX's id in every record.
    pub pbx: String,
    /// Host name or address.
    pub host: String,
    /// 5038 as a rule, 5039 with TLS.
    pub port: u16,
    /// The user in manager.conf.
    pub username: String,
    /// Its secret.
    pub secret: Secret,
    /// How the secret is shown.
    pub auth: Auth,
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// How often to ask an idle PBX for its time; a lively one is asked five times as often. It also makes Asterisk deliver events that it forgot (asterisk#2145).
    pub ping_every: Duration,
    /// After how long without a byte the connection is given up; must be several times `ping_every`.
    pub read_deadline: Duration,
    /// What may be read ahead of the log, in bytes; beyond it reading waits.
    pub buffer_bytes: usize,
    /// First wait before connecting again.
    pub retry_min: Duration,
    /// Longest wait before connecting again.
    pub retry_max: Duration,
    /// Wait after the PBX refused the user.
    pub retry_refused: Duration,
    /// Seed of the jitter: different for each PBX, so that they don't all connect at once.
    pub jitter_seed: u64,
    /// What must not reach the log.
    pub redaction: Redaction,
}

/// How the secret is shown to the PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// By the MD5 of a challenge and it.
    #[default]
    Challenge,
    /// As it is.
    Plain,
}

/// Whether and how the connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Not at all.
    #[default]
    Off,
    /// The PBX's certificate must be signed by one that the system trusts.
    System,
    /// Or by one in this PEM file.
    CaFile(PathBuf),
    /// Encrypted, but it may be anybody.
    Insecure,
}

/// A secret, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl AmiConfig {
    /// A plain connection to port 5038 with the usual intervals.
    pub fn new(pbx: &str, host: &str, username: &str, secret: &str) -> Self {
        Self {
            pbx: pbx.to_owned(),
            host: host.to_owned(),
            port: 5038,
            username: username.to_owned(),
            secret: Secret(secret.to_owned()),
            auth: Auth::default(),
            tls: Tls::default(),
            ping_every: Duration::from_secs(1),
            read_deadline: Duration::from_secs(10),
            buffer_bytes: BUFFER_BYTES,
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            retry_refused: Duration::from_secs(60),
            jitter_seed: pbx.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))),
            redaction: Redaction::default(),
        }
    }

    /// Host and port, for messages.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
