//! `[lake]`: when the tables are written, how often they are looked after, and which days they keep.
//!
//! Nothing is dropped unless it is configured. What the settings mean is decided by the lake's writer.

use std::collections::BTreeMap;

use calltide_processor::lake::{Options, Retention};
use calltide_schemas::tables::TABLES;
use serde::Deserialize;

use super::units::{Bytes, Span};

/// See the module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lake {
    commit_every: Option<Span>,
    commit_bytes: Option<Bytes>,
    upkeep_every: Option<Span>,
    retain_days: Days,
}

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

    fn try_from(told: Told) -> Result<Self, String> {
        let days: Retention = match told {
            Told::All(days) => TABLES.iter().map(|def| (def.name, days)).collect(),
            Told::Each(named) => {
                let known = |(name, days): (String, u32)| {
                    let def = TABLES.iter().find(|def| def.name == name);
                    def.map(|def| (def.name, days)).ok_or_else(|| format!("`{name}` is no table"))
                };
                named.into_iter().map(known).collect::<Result<_, _>>()?
            }
        };
        match days.values().any(|days| *days == 0) {
            true => Err("0 days would keep nothing; leave the table out to keep everything".to_owned()),
            false => Ok(Self(days)),
        }
    }
}

impl Lake {
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

    fn retention(text: &str) -> Result<Retention, String> {
        toml::from_str::<Lake>(text).map(|lake| lake.retention()).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_kept_unless_it_is_said() {
        assert_eq!(retention("").unwrap(), Retention::new());
        assert_eq!(retention("retain_days = 400").unwrap().len(), TABLES.len());
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
