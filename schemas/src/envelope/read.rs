//! Reads envelopes. Every event passes here, most of them as a collector writes them: these are read by a short way of their own,
//! everything else by serde's.
//!
//! The short way takes nothing that serde would not, and understands it as serde does; where it is in doubt it gives up.

use std::borrow::Cow;

use super::plain::plain;
use super::{Envelope, Header, Source, Text};
use crate::time::Micros;

impl<'a> Envelope<'a> {
    /// Reads an envelope from its JSON.
    ///
    /// # Errors
    /// Serde's, where it is none.
    pub fn read(json: &'a [u8]) -> serde_json::Result<Self> {
        match std::str::from_utf8(json).ok().and_then(|text| Rest(text).envelope()) {
            Some(envelope) => Ok(envelope),
            None => serde_json::from_slice(json),
        }
    }
}

/// What was not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// The fields in the order of the type, without spaces; those of rare records are left to serde.
    fn envelope(mut self) -> Option<Envelope<'a>> {
        self.word("{\"v\":1,\"pbx\":")?;
        let pbx = self.text()?;
        self.word(",\"source\":")?;
        let source = source(&self.text()?)?;
        self.word(",\"at\":")?;
        let at = Micros(self.number()?);
        self.word(",\"seen\":")?;
        let seen = Micros(self.number()?);
        self.word(",\"journal\":")?;
        let journal = self.text()?;
        self.word(",\"offset\":")?;
        let offset = self.number()?;
        let headers = self.list(",\"headers\":[", Self::header)?;
        let fields = self.list(",\"fields\":[", |rest| rest.text().map(Text))?;
        let (reason, raw, keep_open) = (None, None, false);
        let envelope =
            Envelope { v: 1, pbx, source, at, seen, journal, offset, headers, fields, reason, raw, keep_open };
        (self.0 == "}").then_some(envelope)
    }

    /// A list that is not empty, if it is there.
    fn list<T>(&mut self, begin: &str, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if self.word(begin).is_some() {
            // An AMI event has about so many headers.
            items.reserve(24);
            loop {
                items.push(item(self)?);
                if self.word(",").is_none() {
                    break self.word("]")?;
                }
            }
        }
        Some(items)
    }

    fn header(&mut self) -> Option<Header<'a>> {
        self.word("[")?;
        let name = self.text()?;
        self.word(",")?;
        let value = self.text()?;
        self.word("]")?;
        Some(Header(Text(name), Text(value)))
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let within = self.0.strip_prefix('"')?;
        let end = plain(within.as_bytes());
        if let Some(rest) = within[end..].strip_prefix('"') {
            self.0 = rest;
            return Some(Cow::Borrowed(&within[..end]));
        }
        let mut escaped = false;
        let ends = |byte: u8| {
            let is_end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            is_end
        };
        let end = 1 + within.bytes().position(ends)? + 1;
        let text = serde_json::from_str::<String>(&self.0[..end]).ok()?;
        self.0 = &self.0[end..];
        Some(Cow::Owned(text))
    }

    fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        let digits = self.0.strip_prefix('-').unwrap_or(self.0);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        // JSON has no others.
        if count > 1 && digits.starts_with('0') {
            return None;
        }
        let end = self.0.len() - digits.len() + count;
        let number = self.0[..end].parse().ok()?;
        self.0 = &self.0[end..];
        Some(number)
    }
}

fn source(name: &str) -> Option<Source> {
    Some(match name {
        "ami" => Source::Ami,
        "cel" => Source::Cel,
        "queue_log" => Source::QueueLog,
        "heartbeat" => Source::Heartbeat,
        "import_end" => Source::ImportEnd,
        "gap" => Source::Gap,
        "unreadable" => Source::Unreadable,
        "resync" => Source::Resync,
        _ => return None,
    })
}
