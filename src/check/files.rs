//! What can be known of the files of a PBX that are followed: whether they are there and can be read.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::{Finding, Level};
use crate::config::Config;

/// One line for each file.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pbx in &config.pbx {
        for (word, path) in [("cel", &pbx.cel), ("queue_log", &pbx.queue_log)] {
            findings.extend(path.iter().map(|path| file(&format!("PBX {} {word}", pbx.id), path)));
        }
    }
    findings
}

fn file(what: &str, path: &Path) -> Finding {
    let opened = File::open(path).and_then(|file| file.metadata());
    match opened {
        Ok(metadata) if metadata.is_file() => {
            Finding::new(Level::Ok, what, format!("{} can be read ({} bytes)", path.display(), metadata.len()))
        }
        Ok(_) => Finding::new(Level::Error, what, format!("{} is not a file", path.display())),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            Finding::new(Level::Warn, what, format!("{} is not there yet", path.display()))
                .hint("it is followed as soon as the PBX writes it; is the path right?")
        }
        Err(e) => Finding::new(Level::Error, what, format!("{} cannot be read: {e}", path.display()))
            .hint("let the user that calltide runs as read it, e.g. by the group asterisk"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_that_is_not_there_may_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue_log");
        assert_eq!(file("q", &path).level, Level::Warn);
        assert_eq!(file("q", folder.path()).level, Level::Error);
        std::fs::write(&path, "1|a|b|c|d\n").unwrap();
        let found = file("q", &path);
        assert_eq!(found.level, Level::Ok);
        assert!(found.found.contains("10 bytes"), "{found:?}");
    }
}
