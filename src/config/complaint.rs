//! What is wrong with the configuration, in words: which file or variable, which key, and the key that was meant.

use std::path::Path;

use figment::error::Kind;

use crate::errors::{Exit, Failure};

/// The failure that the first error is told by.
#[expect(clippy::wildcard_enum_match_arm, reason = "figment's own words do for everything else")]
pub(super) fn of(error: &figment::Error, file: &Path) -> Failure {
    let place = match &error.metadata {
        Some(metadata) if metadata.name.starts_with("the environment") => metadata.name.to_string(),
        Some(_) | None => file.display().to_string(),
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

/// The known word that is most like it, if one is like it at all.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    // Below that, words have little in common; transposed and missing letters stay well above.
    const LIKE: f64 = 0.7;
    let like = |word: &str| strsim::jaro_winkler(unknown, word);
    known.iter().copied().filter(|word| like(word) > LIKE).max_by(|a, b| like(a).total_cmp(&like(b)))
}
