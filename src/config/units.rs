//! Values with units, as people write them: `5s`, `24h`, `64MiB`, and regular expressions.

use std::time::Duration;

use calltide_schemas::numbers::is_country;
use jiff::SignedDuration;
use regex::Regex;
use serde::Deserialize;

/// A time span: `500ms`, `5s`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(Duration);

impl Span {
    pub(super) const fn duration(self) -> Duration {
        self.0
    }

    /// In microseconds.
    pub(super) fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span = text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        span.map(Self).ok_or_else(|| format!("`{text}` is no time span such as 500ms, 5s, 30m or 24h"))
    }
}

/// A number of bytes: `67108864`, `64MB`, `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub(super) struct Bytes(usize);

#[derive(Deserialize)]
#[serde(untagged, expecting = "this is no number of bytes such as 64MB, 512MiB or 1GiB")]
enum NumberOrText {
    Number(usize),
    Text(String),
}

/// Longest first, so that `MiB` is not taken for `B`.
const BYTE_UNITS: [(&str, usize); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl Bytes {
    pub(super) const fn count(self) -> usize {
        self.0
    }
}

impl TryFrom<NumberOrText> for Bytes {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        let text = match value {
            NumberOrText::Number(count) => return Ok(Self(count)),
            NumberOrText::Text(text) => text,
        };
        let (number, unit) =
            BYTE_UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((&text, 1));
        let count = number.trim().parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
        count.map(Self).ok_or_else(|| format!("`{text}` is no number of bytes such as 64MB, 512MiB or 1GiB"))
    }
}

/// A country by its two letters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Country(pub(super) String);

impl TryFrom<String> for Country {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_country(&text) { Ok(Self(text)) } else { Err(format!("`{text}` is no country such as DE, RU or MX")) }
    }
}

/// A regular expression.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pattern(pub(super) Regex);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&text).map(Self).map_err(|error| error.to_string())
    }
}
