//! The rules that hold, campaign by campaign, with their versions.

use std::collections::BTreeMap;

use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{CampaignRules, SiteRules};
use serde::{Deserialize, Serialize};

use super::profiles::Profile;
use super::windows::Windows;
use super::zones::Zones;

/// The name under which the rules of all other campaigns are kept.
pub(super) const ALL_OTHERS: &str = "*";

/// One campaign's rules, ready to be used.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) version: u32,
    pub(super) rules: CampaignRules,
    pub(super) windows: Windows,
}

impl Book {
    fn new(version: u32, rules: CampaignRules) -> Self {
        let windows = Windows::new(&rules.windows, &rules.holidays);
        Self { version, rules, windows }
    }

    /// Until when what is due then is due: until its window closes, and not for ever.
    pub(super) fn valid_until(&self, due: Micros, zones: &Zones) -> Micros {
        let valid = i64::try_from(self.rules.valid_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let latest = due + valid;
        let latest = self.rules.ends_at.map_or(latest, |end| end.min(latest));
        self.windows.closes(due, zones).map_or(latest, |closes| closes.min(latest))
    }
}

/// Rules as they are committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) version: u32,
    /// `None`: the campaign has none of its own any more.
    pub(super) rules: Option<CampaignRules>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Rulebook {
    books: BTreeMap<String, Book>,
    versions: BTreeMap<String, u32>,
    others: Book,
}

impl Default for Rulebook {
    fn default() -> Self {
        Self { books: BTreeMap::new(), versions: BTreeMap::new(), others: Book::new(0, Profile::default().rules()) }
    }
}

impl Rulebook {
    /// The rules of a campaign.
    pub(super) fn of(&self, campaign: &str) -> &Book {
        self.books.get(campaign).unwrap_or(&self.others)
    }

    /// The rules of a campaign of that name, if it has its own.
    pub(super) fn own(&self, campaign: &str) -> Option<&Book> {
        self.books.get(campaign)
    }

    /// Takes in what was committed, or is new.
    pub(super) fn keep(&mut self, campaign: &str, kept: Kept) {
        self.versions.insert(campaign.to_owned(), kept.version);
        match kept.rules {
            Some(rules) if campaign == ALL_OTHERS => self.others = Book::new(kept.version, rules),
            Some(rules) => drop(self.books.insert(campaign.to_owned(), Book::new(kept.version, rules))),
            None => drop(self.books.remove(campaign)),
        }
    }

    /// What is different in new rules: each campaign with its next version.
    pub(super) fn changes(&self, said: &SiteRules) -> Vec<(String, Kept)> {
        let next = |campaign: &str| self.versions.get(campaign).copied().unwrap_or(0) + 1;
        let mut changes = Vec::new();
        if self.others.rules != said.default || self.others.version == 0 {
            changes
                .push((ALL_OTHERS.to_owned(), Kept { version: next(ALL_OTHERS), rules: Some(said.default.clone()) }));
        }
        for (campaign, rules) in &said.campaigns {
            if self.own(campaign).is_none_or(|book| book.rules != *rules) {
                changes.push((campaign.clone(), Kept { version: next(campaign), rules: Some(rules.clone()) }));
            }
        }
        let gone = self.books.keys().filter(|campaign| !said.campaigns.contains_key(*campaign));
        changes.extend(gone.map(|campaign| (campaign.clone(), Kept { version: next(campaign), rules: None })));
        changes
    }

    /// Campaigns with their ends, those that have one.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&str, Micros)> {
        let named = self.books.iter().map(|(campaign, book)| (campaign.as_str(), book));
        named.chain([(ALL_OTHERS, &self.others)]).filter_map(|(campaign, book)| Some((campaign, book.rules.ends_at?)))
    }
}
