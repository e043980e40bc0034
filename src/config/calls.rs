//! How calls are read: `[calls]`. Whatever is not said keeps the fold's own default.

use calltide_ingest::decode::redact::Redaction;
use calltide_processor::calls::CallSettings;
use calltide_schemas::status::ReasonCodes;
use regex::Regex;
use serde::Deserialize;

use super::units::{Country, Pattern, Span};

/// See README.md for each key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Calls {
    settle: Option<Span>,
    correct: Option<Span>,
    silence: Option<Span>,
    short: Option<Span>,
    campaign_variables: Option<Vec<String>>,
    contact_variables: Option<Vec<String>>,
    keep_variables: Vec<String>,
    machine_events: Option<Vec<String>>,
    forbidden: Option<Vec<String>>,
    trunks: Option<Vec<Pattern>>,
    devices: Option<Vec<Pattern>>,
    outside_contexts: Option<Vec<Pattern>>,
    inside_contexts: Option<Vec<Pattern>>,
    self_service: Option<Vec<String>>,
    country: Option<Country>,
    reason_codes: Option<ReasonWord>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReasonWord {
    Asterisk,
    Issabel,
}

impl Calls {
    /// As the calls fold takes it.
    pub(crate) fn settings(&self) -> CallSettings {
        let mut settings = CallSettings::default();
        set(&mut settings.settle_us, self.settle.map(Span::micros));
        set(&mut settings.correct_us, self.correct.map(Span::micros));
        set(&mut settings.silence_us, self.silence.map(Span::micros));
        set(&mut settings.short_ms, self.short.map(|short| short.micros() / 1_000));
        set(&mut settings.reading.campaign, self.campaign_variables.clone().map(plain));
        set(&mut settings.reading.contact, self.contact_variables.clone().map(plain));
        set(&mut settings.reading.machine_events, self.machine_events.clone());
        set(&mut settings.reading.forbidden, self.forbidden.clone());
        set(&mut settings.trunks, patterns(self.trunks.as_deref()));
        set(&mut settings.devices, patterns(self.devices.as_deref()));
        set(&mut settings.outside_contexts, patterns(self.outside_contexts.as_deref()));
        set(&mut settings.inside_contexts, patterns(self.inside_contexts.as_deref()));
        set(&mut settings.self_service, self.self_service.clone());
        set(
            &mut settings.reason_codes,
            self.reason_codes.map(|word| match word {
                ReasonWord::Asterisk => ReasonCodes::Asterisk,
                ReasonWord::Issabel => ReasonCodes::Issabel,
            }),
        );
        set(&mut settings.country, self.country.clone().map(|country| Some(country.0)));
        settings
    }

    /// What must not reach the log: every variable but the usual ones and those that are read.
    pub(crate) fn redaction(&self) -> Redaction {
        let read = [self.campaign_variables.as_deref(), self.contact_variables.as_deref(), self.forbidden.as_deref()];
        let kept: Vec<String> =
            read.into_iter().flatten().flatten().chain(&self.keep_variables).map(String::clone).collect();
        Redaction::allowing(&kept)
    }
}

fn set<T>(setting: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *setting = said;
    }
}

/// Variables are compared without the underscores that make them inherited.
fn plain(names: Vec<String>) -> Vec<String> {
    names.iter().map(|name| name.trim_start_matches('_').to_owned()).collect()
}

fn patterns(said: Option<&[Pattern]>) -> Option<Vec<Regex>> {
    said.map(|patterns| patterns.iter().map(|pattern| pattern.0.clone()).collect())
}
