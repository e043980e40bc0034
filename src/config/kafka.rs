//! `[log] kafka` and what belongs to it: how to get into a cluster, and what to be called there.
//!
//! Passwords come from files, from the environment or from the configuration; they are never printed.

use std::path::PathBuf;

use calltide_eventlog::kafka::{self, KafkaOptions, Mechanism, Security};
use serde::Deserialize;

use super::Config;
use super::pbx::{Hidden, read_secret};
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};

/// `[log.tls]`: there is TLS if it is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Authorities to be trusted instead of the system's, as PEM.
    ca: Option<PathBuf>,
    /// Our own certificate chain, and its key.
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// `[log.login]`: SASL.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    #[serde(default)]
    mechanism: Word,
    username: String,
    #[serde(default)]
    password: Option<Hidden>,
    password_file: Option<PathBuf>,
}

/// As Kafka calls them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum Word {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Config {
    /// How to reach the cluster, if the log is on one. Reads the password's file.
    pub(crate) fn kafka(&self, data: &DataDir) -> Result<Option<KafkaOptions>> {
        let log = &self.log;
        let Some(servers) = &log.kafka else {
            let said = [
                ("[log.tls]", log.tls.is_some()),
                ("[log.login]", log.login.is_some()),
                ("[log] prefix", !log.prefix.is_empty()),
                ("[log] name", log.name.is_some()),
                ("[log] replication", log.replication.is_some()),
                ("[log] partitions", log.partitions.is_some()),
            ];
            return match said.into_iter().find(|(_, is_said)| *is_said) {
                Some((what, _)) => {
                    Err(wrong(&format!("{what} is for a log on Kafka, but [log] kafka names no broker")))
                }
                None => Ok(None),
            };
        };
        let security = Security {
            tls: log.tls.as_ref().map(Tls::options).transpose()?,
            login: log.login.as_ref().map(Login::options).transpose()?,
        };
        let name = log.name.clone().unwrap_or_else(|| own_name(data));
        Ok(Some(KafkaOptions {
            prefix: log.prefix.clone(),
            replication: log.replication,
            security,
            snapshots: Some(data.snapshots()),
            ..KafkaOptions::new(servers, name)
        }))
    }

    /// The same, for what cannot do without.
    pub(crate) fn cluster(&self, data: &DataDir, role: &str) -> Result<KafkaOptions> {
        self.kafka(data)?.ok_or_else(|| {
            wrong(&format!("`{role}` works with others over Kafka, and [log] kafka names no broker"))
                .hint("on one machine `calltide up` does everything without Kafka")
        })
    }
}

impl Tls {
    fn options(&self) -> Result<kafka::Tls> {
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(wrong("[log.tls] needs `certificate` and `key` together")),
        };
        Ok(kafka::Tls { ca: self.ca.clone(), identity })
    }
}

impl Login {
    fn options(&self) -> Result<kafka::Login> {
        let password = match (&self.password, &self.password_file) {
            (Some(Hidden(password)), None) => password.clone(),
            (None, Some(file)) => read_secret(file)?,
            (Some(_), Some(_)) | (None, None) => {
                return Err(wrong("[log.login] needs either `password` or `password_file`"));
            }
        };
        let mechanism = match self.mechanism {
            Word::Plain => Mechanism::Plain,
            Word::ScramSha256 => Mechanism::ScramSha256,
            Word::ScramSha512 => Mechanism::ScramSha512,
        };
        Ok(kafka::Login { mechanism, user: self.username.clone(), password })
    }
}

fn wrong(what: &str) -> Failure {
    Failure::new(Exit::Usage, what)
}

/// The host's name and the data directory: the same after every restart, another for every process that may run beside.
fn own_name(data: &DataDir) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "host" } else { host.trim() };
    let path = std::path::absolute(data.path()).unwrap_or_else(|_| data.path().to_owned());
    let place = xxhash_rust::xxh3::xxh3_64(path.as_os_str().as_encoded_bytes());
    format!("{host}-{:08x}", place >> 32)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;

    fn kafka(text: &str) -> Result<Option<KafkaOptions>> {
        let config: Config = toml::from_str(text).unwrap();
        config.kafka(&DataDir::at(Path::new("data")))
    }

    #[test]
    fn without_brokers_there_is_no_cluster() {
        assert!(kafka("").unwrap().is_none());
        let told = kafka("[log.login]\nusername = \"u\"\npassword = \"p\"").unwrap_err().to_string();
        assert!(told.contains("[log.login] is for") && told.contains("names no broker"), "{told}");
        let told = kafka("[log]\npartitions = 3").unwrap_err().to_string();
        assert!(told.contains("[log] partitions is for"), "{told}");
    }

    #[test]
    fn a_login_is_taken_from_the_file_or_from_the_configuration_and_not_printed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "from the file\n").unwrap();
        let login =
            |rest: &str| kafka(&format!("[log]\nkafka = \"k:1\"\n[log.tls]\n[log.login]\nusername = \"u\"\n{rest}"));
        let options = login(&format!("password_file = {file:?}")).unwrap().unwrap();
        let found = options.security.login.unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("u", "from the file"));
        assert_eq!(found.mechanism, Mechanism::ScramSha512);
        assert!(options.security.tls.is_some());
        let plain = login("mechanism = \"PLAIN\"\npassword = \"here\"").unwrap().unwrap();
        assert!(!format!("{plain:?}").contains("here"));
        assert!(login("").unwrap_err().to_string().contains("password_file"));
    }

    #[test]
    fn names_differ_by_data_directory_and_last() {
        let name = |path: &str| own_name(&DataDir::at(Path::new(path)));
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }
}
