//! One PBX that is collected from: `[[pbx]]`, by AMI, by the files that it writes, or by both.
//!
//! Checks what can be seen without connecting and gives the collectors their settings; must not connect itself.

use std::path::{Path, PathBuf};

use calltide_ingest::ami::{AmiConfig, Auth, Secret, Tls};
use calltide_ingest::decode::cel::CelColumns;
use calltide_ingest::decode::redact::Redaction;
use calltide_ingest::follow::FollowConfig;
use jiff::tz::TimeZone;
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
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    #[serde(default)]
    secret: Option<Hidden>,
    secret_file: Option<PathBuf>,
    #[serde(default)]
    auth: AuthWord,
    #[serde(default)]
    tls: TlsWord,
    /// A certificate file that the PBX's own must be signed by.
    tls_ca: Option<PathBuf>,
    /// The CEL file that is followed.
    pub(crate) cel: Option<PathBuf>,
    /// The columns of its CEL files.
    #[serde(default)]
    pub(crate) cel_columns: Vec<String>,
    /// The queue_log that is followed.
    pub(crate) queue_log: Option<PathBuf>,
    /// The zone of local times in its files.
    pub(crate) tz: Option<String>,
}

/// A secret in the file, never printed.
#[derive(Clone, Deserialize)]
pub(super) struct Hidden(pub(super) String);

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
        if self.host.is_none() {
            return self.check_files_alone();
        }
        if self.username.is_none() {
            return wrong(format!("pbx {} has a `host` without `username`", self.id));
        }
        if self.secret.is_some() == self.secret_file.is_some() {
            return wrong(format!("pbx {} needs either `secret` or `secret_file`", self.id));
        }
        if self.tls_ca.is_some() && self.tls != TlsWord::On {
            return wrong(format!("pbx {} has `tls_ca` without tls = \"on\"", self.id));
        }
        self.files().map(drop)
    }

    /// Without AMI its files tell what happens.
    fn check_files_alone(&self) -> Result<()> {
        let of_ami = self.username.is_some() || self.secret.is_some() || self.secret_file.is_some();
        if of_ami || (self.cel.is_none() && self.queue_log.is_none()) {
            let what = format!("pbx {} needs a `host`, or files to be followed: `cel`, `queue_log`", self.id);
            return Err(Failure::new(Exit::Usage, what));
        }
        self.files().map(drop)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host.as_deref().unwrap_or_default(), self.port())
    }

    /// Its files as they are followed; nothing if none are.
    fn files(&self) -> Result<Option<FollowConfig>> {
        let wrong = |what: String| Failure::new(Exit::Usage, format!("pbx {}: {what}", self.id));
        let tz = match &self.tz {
            Some(zone) => TimeZone::get(zone).map_err(|_| wrong(format!("unknown time zone `{zone}`")))?,
            None => TimeZone::UTC,
        };
        let cel_columns = match self.cel_columns.as_slice() {
            [] => CelColumns::default(),
            names => CelColumns::new(names).map_err(|error| wrong(error.to_string()))?,
        };
        let (cel, queue_log) = (self.cel.clone(), self.queue_log.clone());
        let any = cel.is_some() || queue_log.is_some();
        Ok(any.then(|| FollowConfig { cel, queue_log, tz, cel_columns, ..FollowConfig::new(&self.id) }))
    }

    /// As whoever follows its files takes it; nothing if none are followed.
    pub(crate) fn followed(&self, redaction: Redaction) -> Result<Option<FollowConfig>> {
        Ok(self.files()?.map(|files| FollowConfig { redaction, ..files }))
    }

    fn port(&self) -> u16 {
        let usual = if self.tls == TlsWord::Off { PORT } else { PORT_TLS };
        self.port.unwrap_or(usual)
    }

    /// As the collector takes it, if there is AMI to be asked. Reads the secret's file.
    pub(crate) fn collector(&self, redaction: Redaction) -> Result<Option<AmiConfig>> {
        let (Some(host), Some(username)) = (&self.host, &self.username) else { return Ok(None) };
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
        Ok(Some(AmiConfig {
            port: self.port(),
            secret: Secret(secret),
            auth: match self.auth {
                AuthWord::Md5 => Auth::Challenge,
                AuthWord::Plain => Auth::Plain,
            },
            tls,
            redaction,
            ..AmiConfig::new(&self.id, host, username, "")
        }))
    }
}

pub(super) fn read_secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::io("read the secret in", file, &error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
