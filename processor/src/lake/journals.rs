//! How far the archive has each journal, for logs that may have a record twice: sent again after its first sending seemed lost.
//!
//! Of a journal, records come in order but for such repeats, so what is not beyond the highest offset was there already. The
//! offsets are `txn` versions of the table and committed together with the rows.

use rustc_hash::FxHashMap;

/// The journals that records came from since the writer was opened.
#[derive(Debug, Default)]
pub(super) struct Journals {
    ends: FxHashMap<String, End>,
}

/// The highest offset of a journal.
#[derive(Debug, Clone, Copy)]
struct End {
    /// In the table, if any is.
    stored: Option<i64>,
    /// Read so far, if any was.
    read: Option<i64>,
}

impl Journals {
    /// Whether it is not known yet how far the table has this journal: [`Journals::found`] is to be called first.
    pub(super) fn is_unknown(&self, journal: &str) -> bool {
        !self.ends.contains_key(journal)
    }

    /// The table has the journal up to there.
    pub(super) fn found(&mut self, journal: &str, stored: Option<i64>) {
        self.ends.insert(journal.to_owned(), End { stored, read: stored });
    }

    /// Takes note of a record; false: it was there already.
    pub(super) fn advance(&mut self, journal: &str, offset: u64) -> bool {
        let (Some(end), Ok(offset)) = (self.ends.get_mut(journal), i64::try_from(offset)) else { return true };
        let is_new = end.read.is_none_or(|read| offset > read);
        if is_new {
            end.read = Some(offset);
        }
        is_new
    }

    /// What the next commit has to say, by journal.
    pub(super) fn unsaved(&self) -> impl Iterator<Item = (&str, i64)> {
        let moved = self.ends.iter().filter(|(_, end)| end.read != end.stored);
        moved.filter_map(|(journal, end)| end.read.map(|read| (journal.as_str(), read)))
    }

    /// It was committed.
    pub(super) fn saved(&mut self) {
        self.ends.values_mut().for_each(|end| end.stored = end.read);
    }
}
