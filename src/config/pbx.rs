//! One PBX that is collected from: `[[pbx]]`.
//!
//! Checks what can be seen without connecting and gives the collector its settings; must not connect itself.

use std::path::{Path, PathBuf};

use calltide_ingest::ami::{AmiConfig, Auth, Secret, Tls};
use calltide_ingest::decode::redact::Redaction;
use serde::Deserialize;

use crate::errors::{Exit, Failure, Result};

/// The usual ports of AMI.
const PORT: u16 = 5038;
const PORT_TLS: u16 = 5039;

/// A PBX.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pbx {
    /// What its calls' ids begin with.
    pub(crate) id: String,
    host: String,
    port: Option<u16>,
    username: String,
    #[serde(default)]
    secret: Option<Hidden>,
    secret_file: Option<PathBuf>,
    #[serde(default)]
    auth: AuthWord,
    #[serde(default)]
    tls: TlsWord,
    /// A certificate file that the PBX's own must be signed by.
    tls_ca: Option<PathBuf>,
    /// The zone of its local times, for imports.
    pub(crate) tz: Option<String>,
}

/// A secret in the file, never printed.
#[derive(Clone, Deserialize)]
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AuthWord {
    #[default]
    Md5,
    Plain,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TlsWord {
    #[default]
    Off,
    On,
    Insecure,
}

impl Pbx {
    /// What can be seen without connecting.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Failure::new(Exit::Usage, what));
        let fits = (1..=80).contains(&self.id.chars().count()) && !self.id.chars().any(|c| c == '/' || c.is_control());
        if !fits {
            return wrong(format!("{:?} cannot be the id of a pbx: 1 to 80 characters, without `/`", self.id));
        }
        if self.secret.is_some() == self.secret_file.is_some() {
            return wrong(format!("pbx {} needs either `secret` or `secret_file`", self.id));
        }
        if self.tls_ca.is_some() && self.tls != TlsWord::On {
            return wrong(format!("pbx {} has `tls_ca` without tls = \"on\"", self.id));
        }
        match &self.tz {
            Some(zone) if jiff::tz::TimeZone::get(zone).is_err() => {
                wrong(format!("pbx {}: unknown time zone `{zone}`", self.id))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }

    fn port(&self) -> u16 {
        let usual = if self.tls == TlsWord::Off { PORT } else { PORT_TLS };
        self.port.unwrap_or(usual)
    }

    /// As the collector takes it. Reads the secret's file.
    pub(crate) fn collector(&self, redaction: Redaction) -> Result<AmiConfig> {
        let secret = match (&self.secret, &self.secret_file) {
            (Some(Hidden(secret)), _) => secret.clone(),
            (None, Some(file)) => read_secret(file)?,
            (None, None) => String::new(),
        };
        let tls = match (self.tls, &self.tls_ca) {
            (TlsWord::Off, _) => Tls::Off,
            (TlsWord::On, None) => Tls::System,
            (TlsWord::On, Some(file)) => Tls::CaFile(file.clone()),
            (TlsWord::Insecure, _) => Tls::Insecure,
        };
        Ok(AmiConfig {
            port: self.port(),
            secret: Secret(secret),
            auth: match self.auth {
                AuthWord::Md5 => Auth::Challenge,
                AuthWord::Plain => Auth::Plain,
            },
            tls,
            redaction,
            ..AmiConfig::new(&self.id, &self.host, &self.username, "")
        })
    }
}

fn read_secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::io("read the secret in", file, &error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
