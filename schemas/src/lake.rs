//! Where the lake's tables are and how a commit names its place in the log: shared by the writer and its readers.
//!
//! ```text
//! lake/CURRENT             the name of the generation in use, e.g. g1
//! lake/g1/calls/           a Delta table; files in day=YYYY-MM-DD/
//! ```

/// The file in the lake's root that names the generation in use; replaced atomically by a rename.
pub const CURRENT: &str = "CURRENT";

/// The generation that a new lake begins with.
pub const FIRST_GENERATION: &str = "g1";

/// The application id of the Delta `txn` action that says up to which offset (exclusive, as its version) a partition of a
/// topic is in a table.
pub fn txn_app_id(topic: &str, partition: u32) -> String {
    format!("{topic}/{partition}")
}

/// The application id of the one that says up to which of its offsets (inclusive) a collector's journal is in `inputs`. Only with
/// a log that may have a record twice.
pub fn txn_app_id_of_journal(journal: &str) -> String {
    format!("journal/{journal}")
}
