//! The configuration: defaults, then `calltide.toml`, then `CALLTIDE_…` variables, then flags; the later wins.
//!
//! A key that is not known is an error that names the file and the key (`complaint`). What the settings mean is decided by
//! the crates that take them: [`pbx`] gives collectors, [`calls`] the calls fold.

mod calls;
mod campaigns;
mod complaint;
mod directory;
mod kafka;
mod lake;
mod log;
mod pbx;
mod units;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use calltide_processor::calls::CallSettings;
use calltide_schemas::Micros;
use calltide_schemas::recycling::check_names;
use calltide_schemas::recycling::rules::SiteRules;
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Deserialize;

pub(crate) use calls::Calls;
pub(crate) use directory::{Directory, entries_of, must_fit};
pub(crate) use lake::Lake;
pub(crate) use log::Log;
pub(crate) use pbx::Pbx;
use units::{Bytes, Span};

use crate::args::Places;
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};

/// The file that is read if it is there and no other is named.
const FILE: &str = "calltide.toml";
/// With less not even a report is answered.
const MEMORY_MIN: usize = 64 << 20;

/// What variables of the environment begin with.
const PREFIX: &str = "CALLTIDE_";
/// Variables that are no settings of the file: they say where it is, where the data is, and how much is logged.
const NOT_SETTINGS: [&str; 3] = ["CALLTIDE_CONFIG", "CALLTIDE_DATA", "CALLTIDE_LOG"];

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The PBXs that are collected from.
    pub(crate) pbx: Vec<Pbx>,
    /// How calls are read.
    pub(crate) calls: Calls,
    /// The rules of recycling for all campaigns.
    pub(crate) recycling: campaigns::Rules,
    /// Campaigns with their own.
    pub(crate) campaign: Vec<campaigns::Campaign>,
    /// Who works, with what, for whom, and what it costs.
    pub(crate) directory: Directory,
    /// The HTTP door.
    pub(crate) http: Http,
    /// Where the log is, and how long events and facts stay in it.
    pub(crate) log: Log,
    /// When the tables are written, and what they keep.
    pub(crate) lake: Lake,
    /// How a processor works.
    pub(crate) processor: Processor,
    /// What queries may use.
    pub(crate) query: Query,
}

/// How a processor works.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Processor {
    workers: Option<usize>,
}

impl Processor {
    /// Threads that derive, each a member of the group: one for each CPU, if nothing else is said.
    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).max(1)
    }
}

/// The HTTP door.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Host and port; loopback only.
    pub(crate) listen: String,
}

impl Http {
    fn port(&self) -> Option<u16> {
        self.listen.rsplit_once(':').filter(|(host, _)| !host.is_empty())?.1.parse().ok()
    }

    /// Whether `up` and `query-api` may serve there.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.listen.rsplit_once(':').map_or("", |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(host == "localhost", |address| address.is_loopback())
    }
}

impl Default for Http {
    fn default() -> Self {
        // Of no well-known service, so it is free on most machines.
        Self { listen: "127.0.0.1:8474".to_owned() }
    }
}

/// What queries may use.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Query {
    memory: Option<Bytes>,
    memory_margin: Option<Bytes>,
    spill: Option<Bytes>,
    deadline: Option<Span>,
    rows: Option<usize>,
    at_once: Option<usize>,
    waiting: Option<usize>,
}

impl Config {
    /// Reads every layer. `listen` is the flag of that name.
    pub(crate) fn load(places: &Places, listen: Option<&str>) -> Result<Self> {
        let file = match &places.config {
            Some(named) if !named.is_file() => {
                return Err(Failure::new(Exit::Usage, format!("there is no configuration file {}", named.display()))
                    .hint("give the right one with --config, or leave it out: everything has a default"));
            }
            Some(named) => named.clone(),
            None => PathBuf::from(FILE),
        };
        let config = Self::layered(&file, std::env::vars(), listen)?;
        config.check(&file)?;
        Ok(config)
    }

    fn layered(
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        listen: Option<&str>,
    ) -> Result<Self> {
        // The usual file need not be there; one that was named is looked for before.
        let mut figment = Figment::new();
        if file.is_file() {
            figment = figment.merge(Toml::file_exact(file));
        }
        for (name, value) in environment {
            if name.starts_with(PREFIX) && !NOT_SETTINGS.contains(&name.as_str()) {
                figment = figment.merge(Variable { name, value });
            }
        }
        if let Some(listen) = listen {
            figment = figment.merge(("http.listen", listen));
        }
        let mut config: Self = figment.extract().map_err(|error| complaint::of(&error, file))?;
        config.directory.read(file)?;
        Ok(config)
    }

    fn check(&self, file: &Path) -> Result<()> {
        for (place, pbx) in self.pbx.iter().enumerate() {
            if self.pbx[..place].iter().any(|other| other.id == pbx.id) {
                let error = format!("two [[pbx]] in {} have the id {}", file.display(), pbx.id);
                return Err(
                    Failure::new(Exit::Usage, error).hint("every key of a call begins with it, so it must be unique")
                );
            }
            pbx.check()?;
        }
        self.check_campaigns(file)?;
        if self.query.deadline.is_some_and(|deadline| deadline.duration().is_zero()) {
            return Err(Failure::new(Exit::Usage, "[query] deadline is no time at all"));
        }
        if self.query.memory.is_some_and(|memory| memory.count() < MEMORY_MIN) || self.query.rows == Some(0) {
            let error = format!("[query] memory must be {} MiB at least, and rows 1", MEMORY_MIN >> 20);
            return Err(Failure::new(Exit::Usage, error));
        }
        if self.http.port().is_none() {
            let error = format!("`{}` is no address to listen at, such as 127.0.0.1:8474", self.http.listen);
            return Err(Failure::new(Exit::Usage, error).hint("it comes from --listen, or from [http] listen"));
        }
        Ok(())
    }

    fn check_campaigns(&self, file: &Path) -> Result<()> {
        for (place, campaign) in self.campaign.iter().enumerate() {
            let id = &campaign.id;
            if check_names([Some(id.as_str())]).is_err()
                || id == "*"
                || self.campaign[..place].iter().any(|other| other.id == *id)
            {
                let error = format!(
                    "[[campaign]] {} in {}: the id `{id}` is no name, `*`, or there twice",
                    place + 1,
                    file.display()
                );
                return Err(Failure::new(Exit::Usage, error).hint("it is what the dialer sets as the campaign"));
            }
            if let Some(to) = campaign.goes_on_in().find(|to| !self.campaign.iter().any(|other| other.id == *to)) {
                let error = format!("campaign {id} goes on in campaign {to}, which is not in {}", file.display());
                return Err(Failure::new(Exit::Usage, error).hint("add a [[campaign]] with that id"));
            }
        }
        self.site_rules(Micros(0), "").map(drop)
    }

    /// The rules of recycling, given at that moment.
    pub(crate) fn site_rules(&self, at: Micros, who: &str) -> Result<SiteRules> {
        let rules = campaigns::site_rules(&self.recycling, &self.campaign, at, who);
        rules.map_err(|error| Failure::new(Exit::Usage, error))
    }

    /// What the directory names of PBXs that are not configured, where any are.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let known: Vec<&str> = self.pbx.iter().map(|pbx| pbx.id.as_str()).collect();
        if known.is_empty() { Vec::new() } else { self.directory.strangers(&known) }
    }

    /// Warns of them: it may be meant for later, or be a slip.
    pub(crate) fn warn_of_strangers(&self) {
        self.strangers().iter().for_each(|told| tracing::warn!("{told}"));
    }

    /// The country whose national numbers are dialled.
    pub(crate) fn country(&self) -> Option<String> {
        self.calls.settings().country
    }

    /// As the calls fold takes all of it.
    pub(crate) fn call_settings(&self) -> CallSettings {
        let mut settings = self.calls.settings();
        settings.campaigns = self.campaign.iter().map(campaigns::Campaign::matches).collect();
        settings.recall = self.campaign.iter().filter_map(campaigns::Campaign::recall).collect();
        for campaign in &settings.campaigns {
            let named = campaign.accounts.iter().map(|account| (account.clone(), campaign.campaign.clone()));
            settings.reading.accounts.extend(named);
        }
        settings
    }

    /// The engine's options over a data directory and its log.
    pub(crate) fn engine(
        &self,
        data: &DataDir,
        log: Option<std::sync::Arc<dyn calltide_eventlog::EventLog>>,
    ) -> Result<calltide_query_api::EngineOptions> {
        let usual = calltide_query_api::EngineOptions::new(self.lake.place(data)?.readable()?, log);
        let Query { memory, memory_margin, spill, deadline, rows, at_once, waiting } = &self.query;
        Ok(calltide_query_api::EngineOptions {
            memory_bytes: memory.map_or(usual.memory_bytes, Bytes::count),
            margin_bytes: memory_margin.map_or(usual.margin_bytes, Bytes::count),
            spill_bytes: spill.map_or(usual.spill_bytes, |bytes| bytes.count() as u64),
            deadline: deadline.map_or(usual.deadline, Span::duration),
            rows_max: rows.unwrap_or(usual.rows_max),
            queries_max: at_once.unwrap_or(usual.queries_max),
            waiting_max: waiting.unwrap_or(usual.waiting_max),
            spill_dir: data.spill(),
            ..usual
        })
    }
}

/// One variable of the environment: `CALLTIDE_CALLS__SETTLE=5s` is `calls.settle`.
struct Variable {
    name: String,
    value: String,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> std::result::Result<Map<Profile, Dict>, figment::Error> {
        let key = self.name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        // Anything is a value: what is no number, list or table is a text.
        let value: Value = self.value.parse().unwrap_or_else(|never| match never {});
        let nested = figment::util::nest(&key, value).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(nested))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    fn layered(file: &str, environment: &[(&str, &str)], listen: Option<&str>) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calltide.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::layered(&path, environment, listen)?;
        config.check(&path)?;
        Ok(config)
    }

    fn complaint(file: &str, environment: &[(&str, &str)]) -> String {
        layered(file, environment, None).unwrap_err().to_string()
    }

    const SITE_A: &str = "[[pbx]]\nid = \"site-a\"\nhost = \"pbx\"\nusername = \"u\"\nsecret = \"s\"\n";

    #[test]
    fn without_a_file_everything_has_a_default() {
        let config = layered("", &[], None).unwrap();
        assert!(config.pbx.is_empty());
        assert_eq!(config.http.listen, "127.0.0.1:8474");
        assert_eq!(config.lake.options().commit_every, Duration::from_secs(30));
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let file = "[http]\nlisten = \"127.0.0.1:1\"\n";
        let variable = [("CALLTIDE_HTTP__LISTEN", "127.0.0.1:2")];
        let listen = |environment: &[_], flag| layered(file, environment, flag).unwrap().http.listen;
        assert_eq!(listen(&[], None), "127.0.0.1:1");
        assert_eq!(listen(&variable, None), "127.0.0.1:2");
        assert_eq!(listen(&variable, Some("127.0.0.1:3")), "127.0.0.1:3");
    }

    #[test]
    fn variables_that_are_no_settings_are_left_alone() {
        let environment = [("CALLTIDE_DATA", "/d"), ("CALLTIDE_LOG", "debug"), ("CALLTIDE_CONFIG", "c"), ("HOME", "/")];
        assert!(layered("", &environment, None).is_ok());
    }

    #[test]
    fn times_and_sizes_have_units() {
        let config = layered("[lake]\ncommit_every = \"1m30s\"\ncommit_bytes = \"16MiB\"\n", &[], None).unwrap();
        let options = config.lake.options();
        assert_eq!((options.commit_every, options.commit_bytes), (Duration::from_secs(90), 16 << 20));
        let told = complaint("[lake]\ncommit_every = \"soon\"\n", &[]);
        assert!(told.contains("lake.commit_every") && told.contains("`soon` is no time span"), "{told}");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_the_nearest_known_one() {
        let told = complaint("[calls]\nsetle = \"5s\"\n", &[]);
        assert!(told.contains("`setle`") && told.contains("calltide.toml"), "{told}");
        assert!(told.contains("did you mean `settle`?"), "{told}");
        let told = complaint("[cals]\n", &[]);
        assert!(told.contains("did you mean `calls`?"), "{told}");
        let told = complaint(&SITE_A.replace("host", "hots"), &[]);
        assert!(told.contains("did you mean `host`?") && told.contains("`hots`"), "{told}");
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let told = complaint("", &[("CALLTIDE_CALLS__SETTEL", "5s")]);
        assert!(told.contains("CALLTIDE_CALLS__SETTEL") && told.contains("did you mean `settle`?"), "{told}");
    }

    #[test]
    fn what_cannot_be_meant_is_told_at_once() {
        for (file, says) in [
            ("[query]\ndeadline = \"0s\"\n", "deadline is no time"),
            ("[http]\nlisten = \"8474\"\n", "`8474` is no address"),
            ("[http]\nlisten = \"localhost:http\"\n", "[http] listen"),
            ("[calls]\ncountry = \"Germany\"\n", "`Germany` is no country"),
            ("[query]\nmemory = \"0\"\n", "memory must be 64 MiB at least"),
            ("[query]\nmemory = 1.5\n", "no number of bytes such as"),
            ("[query]\nrows = 0\n", "and rows 1"),
        ] {
            let told = complaint(file, &[]);
            assert!(told.contains(says), "{told}");
        }
        let http = |listen| layered(&format!("[http]\nlisten = \"{listen}\"\n"), &[], None).unwrap().http;
        for (listen, loopback) in [("[::1]:1", true), ("localhost:1", true), ("0.0.0.0:1", false), ("pbx:1", false)] {
            assert_eq!(http(listen).is_loopback(), loopback, "{listen}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_names_its_key() {
        let told = complaint("[calls]\ntrunks = [\"^PJSIP/(\"]\n", &[]);
        assert!(told.contains("calls.trunks") && told.contains("unclosed group"), "{told}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_with_its_line() {
        let told = complaint("[calls\n", &[]);
        assert!(told.contains("calltide.toml") && told.contains("line 1"), "{told}");
    }

    #[test]
    fn pbx_ids_are_unique() {
        let told = complaint(&format!("{SITE_A}{SITE_A}"), &[]);
        assert!(told.contains("have the id site-a"), "{told}");
    }

    #[test]
    fn a_pbx_lacks_something() {
        let told = complaint("[[pbx]]\nid = \"a\"\nusername = \"u\"\nsecret = \"s\"\n", &[]);
        assert!(told.contains("`host`"), "{told}");
        let told = complaint("[[pbx]]\nid = \"a\"\nhost = \"h\"\nusername = \"u\"\n", &[]);
        assert!(told.contains("secret"), "{told}");
        let told = complaint("[[pbx]]\nid = \"a\"\nhost = \"h\"\nsecret = \"s\"\n", &[]);
        assert!(told.contains("`username`"), "{told}");
    }

    #[test]
    fn a_pbx_may_be_known_by_its_files_alone() {
        let files = "[[pbx]]\nid = \"a\"\ncel = \"/c\"\nqueue_log = \"/q\"\n";
        assert!(layered(files, &[], None).is_ok());
        let told = complaint("[[pbx]]\nid = \"a\"\n", &[]);
        assert!(told.contains("`host`, or files"), "{told}");
        let told = complaint(&format!("{files}cel_columns = [\"eventtype\"]\n"), &[]);
        assert!(told.contains("pbx a") && told.contains("eventtime"), "{told}");
        let told = complaint(&format!("{SITE_A}tz = \"Europe/Nowhere\"\n"), &[]);
        assert!(told.contains("unknown time zone"), "{told}");
    }
}
