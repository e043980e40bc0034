//! The lake: facts from the log become rows of Delta tables, exactly once.
//!
//! [`LakeThread`] keeps all tables of the current generation up to date, each through a [`LakeWriter`]; `replay` fills a new
//! generation through a [`GenerationWriter`]. What a fact means is not known here, only its table's columns, key and version.
//! Read [`writer`] first, then [`facts`] and [`replace`] for which row counts, [`table`] for Delta.

mod archive;
mod compact;
mod day;
mod facts;
mod file;
mod generation;
mod journals;
mod lane;
mod read;
mod replace;
mod root;
mod run;
mod share;
mod sorted;
mod store;
mod table;
mod upkeep;
mod writer;

use std::sync::Arc;

use calltide_eventlog::{LogError, Offset, Partition};
use calltide_schemas::Micros;
use deltalake_core::DeltaTableError;

pub use generation::GenerationWriter;
pub use root::{Lake, TableState};
pub use run::{LakeThread, Options, Stored};
pub use share::{Membership, Tables};
pub use store::allow;
pub use upkeep::{Done, Retention, Upkeep};
pub use writer::LakeWriter;

/// Tells the present moment.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// Shorthand for results of the lake.
pub type Result<T> = std::result::Result<T, LakeError>;

/// What can go wrong with the lake.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LakeError {
    /// A fact that isn't a row: a bug in what wrote it. Its table stops there, since nothing may be lost silently.
    #[error("the record at offset {offset} of {topic}/{partition} is no row of {table}: {reason}")]
    Row { table: &'static str, topic: &'static str, partition: Partition, offset: Offset, reason: String },
    /// The table's progress isn't where this writer left it: another one writes the table.
    #[error("another writer has taken over {table}: partition {partition} is at {}, expected {}", shown(*.found), shown(*.expected))]
    Fenced { table: &'static str, partition: Partition, found: Option<i64>, expected: Option<i64> },
    /// Others committed again and again in between.
    #[error("others changed {table} during each of {attempts} attempts to commit to it")]
    Contended { table: &'static str, attempts: u32 },
    /// The table was written from another log than this one, or the log lost its end.
    #[error(
        "{table} has offsets up to {stored} of partition {partition}, but the log ends at {end}: it is not the log of this lake"
    )]
    AheadOfLog { table: &'static str, partition: Partition, stored: Offset, end: Offset },
    /// A new generation is complete, but another one was put in place since it was begun.
    #[error("another replay has put {found} in place meanwhile, so {generation} is not")]
    Replaced { generation: String, found: String },
    /// The bucket or container is not there.
    #[error("there is no bucket or container for {root}")]
    NoBucket { root: String },
    /// A put that should have failed, since something was there already, did not.
    #[error("the store of {root} does not honour conditional puts, so that two writers would overwrite each other")]
    Unconditional { root: String },
    /// The store does not answer; it is asked again from time to time.
    #[error("the lake's store does not answer: {reason}")]
    Away { reason: String },
    /// The table was stopped by an earlier error.
    #[error("{table} is not being written: {reason}")]
    Stopped { table: &'static str, reason: String },
    /// The lake's thread has ended.
    #[error("the lake's writer has ended")]
    Ended,
    /// A table that isn't defined.
    #[error("unknown table {name}")]
    UnknownTable { name: String },
    /// A file lacks a column that its table must have, or has it in another type.
    #[error("no column {column} of the expected type")]
    Column { column: String },
    /// `CURRENT` holds something else than the name of a generation.
    #[error("{root}/CURRENT names no generation of the lake: {name:?}")]
    Generation { root: String, name: String },
    /// The lake's folder has no absolute path.
    #[error("{root} is no absolute path")]
    Root { root: String },
    /// The operating system's word, with what was being done.
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    /// The table format's word.
    #[error("table {table}")]
    Delta {
        table: &'static str,
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The store's word.
    #[error("the lake's store")]
    Store(#[from] object_store::Error),
    /// The file format's word.
    #[error("a file of the lake")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The column format's word.
    #[error("rows of the lake")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The log's word.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl LakeError {
    fn delta(table: &'static str, source: DeltaTableError) -> Self {
        Self::Delta { table, source: Box::new(source) }
    }

    /// Whether the store or the log did not answer, or not as one that is well: it may be well later.
    pub fn is_away(&self) -> bool {
        if let Self::Log(error) = self {
            error.may_pass()
        } else {
            matches!(self, Self::Away { .. }) || store::is_away(self)
        }
    }

    fn io(what: String) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

fn shown(offset: Option<i64>) -> String {
    offset.map_or_else(|| "no offset".to_owned(), |offset| offset.to_string())
}
