//! What is wrong with the configuration, in words: which file or variable, which key, and the key that was meant.

use std::path::Path;

use figment::error::Kind;
use toml::de::{DeTable, DeValue};

use crate::errors::{Exit, Failure};

/// The failure that the first error is told by.
#[expect(clippy::wildcard_enum_match_arm, reason = "figment's own words do for everything else")]
pub(super) fn of(error: &figment::Error, file: &Path) -> Failure {
    let place = match &error.metadata {
        Some(metadata) if metadata.name.starts_with("the environment") => metadata.name.to_string(),
        Some(_) | None => {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = line_of(&text, &error.path).map(|line| format!(", line {line}"));
            format!("{}{}", file.display(), line.unwrap_or_default())
        }
    };
    let key = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(unknown, known) => {
            let table = error.path.iter().filter(|part| *part != unknown).cloned().collect::<Vec<_>>().join(".");
            let within = if table.is_empty() { String::new() } else { format!(" in [{table}]") };
            let failure = Failure::new(Exit::Usage, format!("unknown key `{unknown}`{within}, from {place}"));
            match nearest(unknown, known) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure.hint(format!("known are {}", known.join(", "))),
            }
        }
        Kind::MissingField(field) => {
            let within = if key.is_empty() { String::new() } else { format!(" in {key}") };
            Failure::new(Exit::Usage, format!("the key `{field}` is missing{within}, in {place}"))
        }
        Kind::UnknownVariant(unknown, known) => {
            let failure = Failure::new(Exit::Usage, format!("`{unknown}` is no value of {key}, from {place}"));
            failure.hint(format!("known are {}", known.join(", ")))
        }
        kind if key.is_empty() => Failure::new(Exit::Usage, format!("{place} cannot be read:\n{kind}")),
        kind => Failure::new(Exit::Usage, format!("{key}, from {place}: {kind}")),
    }
}

/// The line of the deepest part of a key that stands in the file, from 1.
pub(super) fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut place = DeValue::Table(root.get_ref().clone());
    let mut found = None;
    for part in path {
        let (at, next) = match &place {
            DeValue::Table(table) => {
                let (key, value) = table.iter().find(|(key, _)| key.get_ref() == part.as_str())?;
                (key.span().start, value.get_ref().clone())
            }
            DeValue::Array(list) => {
                let value = list.get(part.parse::<usize>().ok()?)?;
                (value.span().start, value.get_ref().clone())
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => break,
        };
        found = Some(at);
        place = next;
    }
    found.map(|at| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1)
}

/// The known word that is most like it, if one is like it at all.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    // Below that, words have little in common; transposed and missing letters stay well above.
    const LIKE: f64 = 0.7;
    let like = |word: &str| strsim::jaro_winkler(unknown, word);
    known.iter().copied().filter(|word| like(word) > LIKE).max_by(|a, b| like(a).total_cmp(&like(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_line() {
        let text = "[http]\nlisten = \"x\"\n\n[[campaign]]\nid = \"a\"\n[campaign.rules]\nattempts = 0\nwindows = [\n  { days = \"mon\" },\n]\n";
        for (path, line) in [
            ("http.listen", Some(2)),
            ("campaign.0.rules.attempts", Some(7)),
            ("campaign.0.rules.windows.0.days", Some(9)),
            ("campaign.1.id", None),
            ("campaign.0.rules.attempts.deeper", Some(7)),
        ] {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert_eq!(line_of(text, &path), line, "{path:?}");
        }
    }
}
