//! What the centre has of each journal, and what is to become of the next record: pure.
//!
//! Records of a journal come in its order, so the highest offset that the centre has tells it all. An offset that is passed
//! over in a journal under way was lost here, and is named.

use std::collections::BTreeMap;

/// By journal, the highest offset that the centre has.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ledger {
    has: BTreeMap<String, u64>,
}

/// What is to become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The centre has it.
    Skip,
    /// It is sent.
    Send,
    /// It is sent, and before it that these offsets of its journal are missing, first and last.
    SendAfterGap(u64, u64),
}

impl Ledger {
    /// From what the centre says of its journals.
    pub(super) fn new(journals: Vec<(String, u64)>) -> Self {
        Self { has: journals.into_iter().collect() }
    }

    /// Decides on the next record of a journal, and takes it as sent.
    pub(super) fn next(&mut self, journal: &str, offset: u64) -> Decision {
        let Some(has) = self.has.get_mut(journal) else {
            // An import begins where an earlier one ended, so that a journal need not begin with 1.
            self.has.insert(journal.to_owned(), offset);
            return Decision::Send;
        };
        if offset <= *has {
            return Decision::Skip;
        }
        let before = std::mem::replace(has, offset);
        if offset == before + 1 { Decision::Send } else { Decision::SendAfterGap(before + 1, offset - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_centre_has_is_skipped_and_what_is_missing_named() {
        let mut ledger = Ledger::new(vec![("a".into(), 3)]);
        for (journal, offset, expected) in [
            ("a", 2, Decision::Skip),
            ("a", 3, Decision::Skip),
            ("a", 4, Decision::Send),
            ("b", 7, Decision::Send),
            ("a", 4, Decision::Skip),
            ("b", 8, Decision::Send),
            ("a", 8, Decision::SendAfterGap(5, 7)),
            ("a", 9, Decision::Send),
        ] {
            assert_eq!(ledger.next(journal, offset), expected, "{journal} {offset}");
        }
    }
}
