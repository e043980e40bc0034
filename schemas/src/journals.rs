//! The names of collectors' journals, and which source of a PBX's events a journal belongs to.
//!
//! Collectors name their journals by these prefixes; what follows is theirs alone, but for the PBX and the source of a file.
//! A journal's offsets go up one by one. It may begin later than with 1: an import begins where an earlier one ended.

use crate::envelope::{Envelope, HEARTBEAT_OF_FILES, Source};

/// A connection to a PBX's AMI: `ami/<pbx>/…`.
pub const CONNECTION: &str = "ami/";

/// A file that is followed while it grows, `follow/<pbx>/<source>/…`, and the time that such files tell,
/// `follow/<pbx>/heartbeat/…`.
pub const FOLLOWED: &str = "follow/";

/// An imported file: `file/<pbx>/<source>/…`.
pub const IMPORTED: &str = "file/";

/// The time that an import's files tell: `heartbeat/<pbx>/…`.
pub const IMPORT_TIME: &str = "heartbeat/";

/// That an import is over: `import/<pbx>/…`.
pub const IMPORT_END: &str = "import/";

/// What a forwarder found missing in another journal, which is named behind the prefix. Its offsets are those of the other
/// journal, with holes.
pub const MISSING: &str = "missing/";

/// One of the sources of a PBX's events: a log, and whether it was heard as it happened or imported later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Connections to its AMI.
    Ami,
    /// Its CEL file, followed.
    Cel,
    /// Its queue_log, followed.
    QueueLog,
    /// Imported recordings of AMI.
    ImportedAmi,
    /// Imported CEL files.
    ImportedCel,
    /// Imported queue logs.
    ImportedQueueLog,
}

impl Feed {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ami, Self::Cel, Self::QueueLog, Self::ImportedAmi, Self::ImportedCel, Self::ImportedQueueLog];

    /// The feed that a record belongs to by its journal, else by what it is; `None` for what tells only the time, or of other
    /// journals.
    pub fn of(envelope: &Envelope<'_>) -> Option<Self> {
        let journal: &str = &envelope.journal;
        let file = || journal.split('/').nth(2);
        if journal.starts_with(CONNECTION) {
            return Some(Self::Ami);
        }
        if journal.starts_with(FOLLOWED) {
            return Self::live(file()?);
        }
        if journal.starts_with(IMPORTED) {
            return Self::live(file()?).map(Self::imported);
        }
        if [IMPORT_TIME, IMPORT_END, MISSING].iter().any(|prefix| journal.starts_with(prefix)) {
            return None;
        }
        match envelope.source {
            Source::Heartbeat if envelope.header(HEARTBEAT_OF_FILES.0) == Some(HEARTBEAT_OF_FILES.1) => None,
            Source::Ami | Source::Heartbeat | Source::Gap | Source::Resync => Some(Self::Ami),
            Source::Cel => Some(Self::Cel),
            Source::QueueLog => Some(Self::QueueLog),
            Source::Unreadable => Self::live(envelope.header("source")?),
            Source::ImportEnd => None,
        }
    }

    /// The live feed of a source.
    fn live(source: &str) -> Option<Self> {
        [Self::Ami, Self::Cel, Self::QueueLog].into_iter().find(|feed| feed.source().name() == source)
    }

    /// The same source, imported.
    const fn imported(self) -> Self {
        match self {
            Self::Ami | Self::ImportedAmi => Self::ImportedAmi,
            Self::Cel | Self::ImportedCel => Self::ImportedCel,
            Self::QueueLog | Self::ImportedQueueLog => Self::ImportedQueueLog,
        }
    }

    /// Which log of the PBX.
    pub const fn source(self) -> Source {
        match self {
            Self::Ami | Self::ImportedAmi => Source::Ami,
            Self::Cel | Self::ImportedCel => Source::Cel,
            Self::QueueLog | Self::ImportedQueueLog => Source::QueueLog,
        }
    }

    /// Whether it was imported, not heard as it happened.
    pub const fn is_imported(self) -> bool {
        match self {
            Self::Ami | Self::Cel | Self::QueueLog => false,
            Self::ImportedAmi | Self::ImportedCel | Self::ImportedQueueLog => true,
        }
    }

    /// `live` or `import`.
    pub const fn way(self) -> &'static str {
        if self.is_imported() { "import" } else { "live" }
    }

    /// Its name within the PBX.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ami => "ami",
            Self::Cel => "cel",
            Self::QueueLog => "queue_log",
            Self::ImportedAmi => "import/ami",
            Self::ImportedCel => "import/cel",
            Self::ImportedQueueLog => "import/queue_log",
        }
    }

    /// The feed of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feed| feed.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Micros;

    #[test]
    fn a_record_belongs_to_the_feed_of_its_journal() {
        use Source::{Ami, Cel, Gap, Heartbeat, ImportEnd, QueueLog, Unreadable};
        for (journal, source, expected) in [
            ("ami/site-a/1795345900000000", Ami, Some("ami")),
            ("ami/site-a/1795345900000000", Heartbeat, Some("ami")),
            ("ami/site-a/1795345900000000", Unreadable, Some("ami")),
            ("follow/site-a/cel/0f", Unreadable, Some("cel")),
            ("follow/site-a/queue_log/0f", QueueLog, Some("queue_log")),
            ("follow/site-a/heartbeat/1795345900000000", Heartbeat, None),
            ("file/site-a/ami/10-0f", Ami, Some("import/ami")),
            ("file/site-a/queue_log/10-0f", QueueLog, Some("import/queue_log")),
            ("heartbeat/site-a/0f/1795345900", Heartbeat, None),
            ("import/site-a/0f", ImportEnd, None),
            ("missing/ami/site-a/1795345900000000", Gap, None),
            ("of-another-collector", Cel, Some("cel")),
        ] {
            let at = Micros(0);
            let envelope = Envelope::new("site-a", source, at, at, journal, 1);
            assert_eq!(Feed::of(&envelope).map(Feed::name), expected, "{journal} {source:?}");
        }
        for feed in Feed::ALL {
            assert_eq!(Feed::named(feed.name()), Some(feed));
        }
    }
}
