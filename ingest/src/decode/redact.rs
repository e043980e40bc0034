//! The one table of what stays out of the log, for all sources: passwords, challenges, pressed keys, channel variables.
//!
//! A redacted value becomes [`REDACTED`]; its name stays, so that a reader sees that something was there. What a torn frame
//! holds is redacted too, by the names of its lines alone. It must not know which campaign or PBX an event is of.

use std::borrow::Cow;

use memchr::memmem;
use rustc_hash::FxHashSet;

use super::ami::Frame;

/// What stands in place of a secret.
pub const REDACTED: &[u8] = b"[redacted]";

/// Events and those of their headers that are secret.
const SECRETS: &[(&str, &[&str])] = &[
    ("VoicemailPasswordChange", &["NewPassword"]),
    ("ChallengeResponseFailed", &["Challenge", "Response", "ExpectedResponse"]),
    ("InvalidPassword", &["Challenge", "ReceivedChallenge", "ReceivedHash"]),
    ("DTMFBegin", &["Digit"]),
    ("DTMFEnd", &["Digit"]),
    // Up to Asterisk 11.
    ("DTMF", &["Digit"]),
];

/// Variables that say what became of a call; all others are redacted, since dialplans keep card numbers in them.
const VARIABLES: &[&str] = &[
    "ABANDONED",
    "AMDCAUSE",
    "AMDSTATUS",
    "ATTENDEDTRANSFER",
    "BLINDTRANSFER",
    "CAMPAIGN",
    "CONTACT",
    "DIALSTATUS",
    "DISPOSITION",
    "EXTERNAL_ID",
    "MEMBERINTERFACE",
    "MEMBERNAME",
    "MIXMONITOR_FILENAME",
    "QUEUESTATUS",
    "RECORDING",
    "VERDICT_ID",
    "VMSTATUS",
];

/// What may stay.
#[derive(Debug, Clone)]
pub struct Redaction {
    variables: FxHashSet<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self::allowing(&[])
    }
}

/// What is secret in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// Nothing.
    None,
    /// The values of these headers.
    Headers(&'static [&'static str]),
    /// The pressed key in the JSON of the header or column `Extra`.
    Digit,
    /// What a dialplan's `Set` assigns, in `AppData`: `VarSet` will say the same.
    Assignment,
}

impl Redaction {
    /// The usual variables and these, with or without their leading underscores; letter case is ignored.
    pub fn allowing(more: &[String]) -> Self {
        let usual = VARIABLES.iter().copied();
        let variables =
            usual.chain(more.iter().map(String::as_str)).map(|name| name.trim_start_matches('_').to_ascii_uppercase());
        Self { variables: variables.collect() }
    }

    /// What is secret in an AMI event.
    pub fn of_ami(&self, frame: &Frame<'_>) -> Secret {
        let event = frame.title();
        if event.eq_ignore_ascii_case(b"VarSet") {
            let allowed = frame.header("Variable").is_some_and(|name| self.allows(name));
            return if allowed { Secret::None } else { Secret::Headers(&["Value"]) };
        }
        if event.eq_ignore_ascii_case(b"CEL") {
            let key = frame.header("EventName").is_some_and(|name| name.eq_ignore_ascii_case(b"DTMF"));
            return if key { Secret::Digit } else { Secret::None };
        }
        if event.eq_ignore_ascii_case(b"Newexten") {
            return self.of_application(frame);
        }
        let known = SECRETS.iter().find(|(name, _)| event.eq_ignore_ascii_case(name.as_bytes()));
        known.map_or(Secret::None, |(_, headers)| Secret::Headers(headers))
    }

    fn of_application(&self, frame: &Frame<'_>) -> Secret {
        let sets = |name: &[u8]| name.eq_ignore_ascii_case(b"Set") || name.eq_ignore_ascii_case(b"MSet");
        if !frame.header("Application").is_some_and(sets) {
            return Secret::None;
        }
        let assigned = frame.header("AppData").unwrap_or_default();
        let variable = assigned.split(|byte| *byte == b'=').next().unwrap_or_default();
        // MSet assigns many at once, so a second `=` may belong to another variable.
        let single = assigned.iter().filter(|byte| **byte == b'=').count() <= 1;
        if single && self.allows(variable) { Secret::None } else { Secret::Assignment }
    }

    fn allows(&self, variable: &[u8]) -> bool {
        let name = String::from_utf8_lossy(variable);
        self.variables.contains(name.trim_start_matches('_').to_ascii_uppercase().as_str())
    }
}

impl Secret {
    /// The value that may be kept.
    pub fn keep<'a>(self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::None => Cow::Borrowed(value),
            Self::Headers(names) if names.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_bytes())) => {
                Cow::Borrowed(REDACTED)
            }
            Self::Headers(_) => Cow::Borrowed(value),
            Self::Digit if name.eq_ignore_ascii_case(b"Extra") && !value.is_empty() => digit(value),
            Self::Assignment if name.eq_ignore_ascii_case(b"AppData") => {
                let variable = value.split(|byte| *byte == b'=').next().unwrap_or_default();
                Cow::Owned([variable, b"=", REDACTED].concat())
            }
            Self::Digit | Self::Assignment => Cow::Borrowed(value),
        }
    }
}

/// `{"digit":"5","duration_ms":90}` without the key. If it doesn't look so, nothing of it is kept.
fn digit(extra: &[u8]) -> Cow<'_, [u8]> {
    let place = || {
        // In the bytes of a CSV row the quotes are doubled.
        let key = memmem::find(extra, b"digit\"")? + b"digit".len();
        let skipped = extra[key..].iter().position(|byte| !matches!(byte, b'"' | b' ' | b':'))?;
        let from = key + skipped;
        let to = from + extra[from..].iter().position(|byte| *byte == b'"')?;
        Some((from, to))
    };
    match place() {
        Some((from, to)) => Cow::Owned([&extra[..from], REDACTED, &extra[to..]].concat()),
        None => Cow::Borrowed(REDACTED),
    }
}

/// The bytes of something that could not be read, with every line's value redacted whose name is in the table.
pub fn of_garbage(bytes: &[u8]) -> Cow<'_, [u8]> {
    let secret = |line: &[u8]| {
        let colon = memchr::memchr(b':', line)?;
        let name = line[..colon].trim_ascii();
        let named = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        (named(&["Value", "AppData"]) || SECRETS.iter().any(|(_, headers)| named(headers))).then_some(colon)
    };
    let pressed = |line: &[u8]| memmem::find(line, b"digit\"").is_some();
    if !bytes.split(|byte| *byte == b'\n').any(|line| secret(line).is_some() || pressed(line)) {
        return Cow::Borrowed(bytes);
    }
    let mut kept = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match secret(line) {
            Some(colon) => {
                kept.extend_from_slice(&line[..=colon]);
                kept.push(b' ');
                kept.extend_from_slice(REDACTED);
                kept.extend_from_slice(&line[line.trim_ascii_end().len()..]);
            }
            None if pressed(line) => kept.extend_from_slice(&digit(line)),
            None => kept.extend_from_slice(line),
        }
    }
    Cow::Owned(kept)
}
