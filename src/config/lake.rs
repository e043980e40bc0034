//! `[lake]`: when the tables are written, how often they are looked after, and which days they keep.
//!
//! Nothing is dropped unless it is configured. What the settings mean is decided by the lake's writer.

use std::collections::BTreeMap;

use calltide_processor::lake::{Options, Retention};
use calltide_schemas::tables::TABLES;
use serde::Deserialize;

use super::units::{Bytes, Span};
use crate::data::DataDir;
use crate::errors::{Exit, Failure, Result};
use crate::place::Place;

/// See the module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lake {
    /// Where the tables are, if not in the data directory, and what their store must be told.
    url: Option<String>,
    store: BTreeMap<String, Setting>,
    commit_every: Option<Span>,
    commit_bytes: Option<Bytes>,
    upkeep_every: Option<Span>,
    retain_days: Days,
}

/// A store's clients take texts; a person may leave out the quotes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Setting {
    Text(String),
    Flag(bool),
    Number(i64),
}

/// Tables whose rows hold until something ends them, however old they are: a number for all is not meant for them.
const STANDING: [&str; 2] = ["directory", "agent_names"];

/// One number for all tables, or one for each that is named; the others are kept for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Told")]
struct Days(Retention);

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    All(u32),
    Each(BTreeMap<String, u32>),
}

impl TryFrom<Told> for Days {
    type Error = String;

    fn try_from(told: Told) -> std::result::Result<Self, String> {
        let days: Retention = match told {
            Told::All(days) => {
                let passing = TABLES.iter().filter(|def| !STANDING.contains(&def.name));
                passing.map(|def| (def.name, days)).collect()
            }
            Told::Each(named) => {
                let known = |(name, days): (String, u32)| {
                    let def = TABLES.iter().find(|def| def.name == name);
                    def.map(|def| (def.name, days)).ok_or_else(|| format!("`{name}` is no table"))
                };
                named.into_iter().map(known).collect::<std::result::Result<_, _>>()?
            }
        };
        match days.values().any(|days| *days == 0) {
            true => Err("0 days would keep nothing; leave the table out to keep everything".to_owned()),
            false => Ok(Self(days)),
        }
    }
}

impl Setting {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Lake {
    /// Where the tables are.
    pub(crate) fn place(&self, data: &DataDir) -> Result<Place> {
        match &self.url {
            Some(url) => {
                let text = |(key, setting): (&String, &Setting)| (key.clone(), setting.text());
                Place::in_store(url, &self.store.iter().map(text).collect())
            }
            None => {
                let path = data.path().to_string_lossy();
                let hex = |two: &[u8]| two.iter().all(u8::is_ascii_hexdigit);
                if path.contains('\\') || path.as_bytes().windows(3).any(|three| three[0] == b'%' && hex(&three[1..])) {
                    let error = format!(
                        "a data directory cannot be used with `\\`, or `%` and two digits, in its path: {path}"
                    );
                    return Err(Failure::new(Exit::Usage, error).hint("give another one with --data"));
                }
                Ok(Place::Folder(data.lake()))
            }
        }
    }

    /// As the lake's writer takes it.
    pub(crate) fn options(&self) -> Options {
        let usual = Options::default();
        Options {
            commit_every: self.commit_every.map_or(usual.commit_every, Span::duration),
            commit_bytes: self.commit_bytes.map_or(usual.commit_bytes, Bytes::count),
            upkeep_every: self.upkeep_every.map_or(usual.upkeep_every, Span::duration),
            retain: self.retention(),
        }
    }

    /// Which days are kept.
    pub(crate) fn retention(&self) -> Retention {
        self.retain_days.0.clone()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn retention(text: &str) -> std::result::Result<Retention, String> {
        toml::from_str::<Lake>(text).map(|lake| lake.retention()).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_kept_unless_it_is_said() {
        assert_eq!(retention("").unwrap(), Retention::new());
        let all = retention("retain_days = 400").unwrap();
        assert_eq!(all.len(), TABLES.len() - STANDING.len());
        assert!(!all.contains_key("directory"), "an agent who came long ago still works");
        let named = retention("[retain_days]\ninputs = 90\nstories = 30").unwrap();
        assert_eq!(named, Retention::from([("inputs", 90), ("stories", 30)]));
    }

    #[test]
    fn no_such_table_and_no_days_are_errors() {
        assert!(retention("[retain_days]\ncals = 90").unwrap_err().contains("`cals` is no table"));
        assert!(retention("retain_days = 0").unwrap_err().contains("0 days"));
        assert!(retention("retain_days = -1").is_err());
    }
}
