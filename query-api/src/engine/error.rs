//! Why a query gave no rows, in terms of who can do something about it: the asker, the operator, or the programmer.
//!
//! The doors turn these into their own words ([`crate::http`] into problem details).

use std::time::Duration;

use calltide_eventlog::LogError;
use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use tokio::task::JoinError;

/// tokio's words for the panic of a task.
const PANICKED: &str = "panicked with message";

/// What can go wrong with a query.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is well-formed, but may not be asked.
    #[error("query refused: {reason}")]
    Refused {
        /// Why, and what is allowed.
        reason: String,
    },
    /// It is not SQL, or names what does not exist.
    #[error("invalid query: {message}")]
    Invalid {
        /// The planner's words.
        message: String,
    },
    /// It failed on the data, e.g. a division by zero or a text that is no number.
    #[error("query failed: {message}")]
    Failed {
        /// The engine's words.
        message: String,
    },
    /// It took too long and was stopped.
    #[error("query stopped after {} s, the longest allowed", .after.as_secs_f64())]
    Deadline {
        /// The time it had.
        after: Duration,
    },
    /// Too many queries were running or waiting.
    #[error("too many queries at once: {asked} of yours are running or waiting")]
    Busy {
        /// How many of the asker's were there.
        asked: usize,
    },
    /// It needs more memory or spill space than a query may have.
    #[error("query needs too much memory: {message}")]
    Resources {
        /// The engine's words.
        message: String,
    },
    /// A defect: the query panicked. Others are not affected.
    #[error("query panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A defect of the engine, or a way to run out of memory that it has no other words for.
    #[error("query engine failed: {message}")]
    Internal {
        /// The engine's words.
        message: String,
    },
    /// The engine ends, and its queries with it.
    #[error("query ended with the server")]
    Ended,
    /// More facts wait in the log for the lake's writer than fit into memory.
    #[error(
        "the lake is too far behind the log: the facts of table {table} that it lacks would take more than the {} MiB that all tables together have for that; it is catching up, try again later",
        .bytes_max >> 20
    )]
    Behind {
        /// The table.
        table: &'static str,
        /// How much memory the facts that the lake lacks may take, of all tables together.
        bytes_max: usize,
    },
    /// The lake cannot be read.
    #[error("lake table {table} cannot be read")]
    Lake {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The lake's store does not answer, or not as a store that is well.
    #[error("the lake at {place} cannot be reached: {reason}")]
    Away {
        /// Its URL.
        place: String,
        /// What the last request to it came to.
        reason: String,
    },
    /// The lake has something that this program never writes and reads wrongly if it went on.
    #[error("lake table {table} uses {feature}, which is not supported")]
    LakeFeature {
        /// The table.
        table: &'static str,
        /// What it uses.
        feature: &'static str,
    },
    /// The lake's directory cannot be read.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// The operating system's word.
        #[source]
        source: std::io::Error,
    },
    /// The log cannot be read.
    #[error("log cannot be read")]
    Log(#[from] LogError),
    /// A fact in the log does not fit its table.
    #[error("facts of {topic} partition {partition} from offset {offset} do not fit their table: {message}")]
    Fact {
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: u32,
        /// The first offset of the batch.
        offset: u64,
        /// What does not fit.
        message: String,
    },
}

impl QueryError {
    /// Its kind in a word, for metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Invalid { .. } => "invalid",
            Self::Failed { .. } => "failed",
            Self::Deadline { .. } => "deadline",
            Self::Busy { .. } => "busy",
            Self::Resources { .. } => "resources",
            Self::Panicked { .. } => "panicked",
            Self::Internal { .. } => "internal",
            Self::Ended => "ended",
            Self::Behind { .. } | Self::Lake { .. } | Self::LakeFeature { .. } => "lake",
            Self::Io { .. } => "io",
            Self::Away { .. } => "away",
            Self::Log(_) | Self::Fact { .. } => "log",
        }
    }

    /// An error of parsing, planning or optimising: the asker's.
    pub(crate) fn from_plan(error: &DataFusionError) -> Self {
        Self::Invalid { message: error.strip_backtrace() }
    }

    /// An error while running.
    #[expect(clippy::wildcard_enum_match_arm, reason = "DataFusion's errors: all that is not the asker's or memory")]
    pub(crate) fn from_run(error: &DataFusionError) -> Self {
        let message = error.strip_backtrace();
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Resources { message },
            DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
                Self::Invalid { message }
            }
            // DataFusion's words for a nested loop join that found no room for a single batch.
            DataFusionError::Internal(text) if text.contains("produced no data to spill") => {
                Self::Resources { message: "there is no room left for a join".to_owned() }
            }
            DataFusionError::Internal(_) => Self::Internal { message },
            // A task of its own that an operator has started; what it waited for may have been one, too.
            DataFusionError::External(cause)
                if cause.downcast_ref().is_some_and(JoinError::is_panic) || message.contains(PANICKED) =>
            {
                Self::Panicked { message }
            }
            DataFusionError::ExecutionJoin(cause) if cause.is_panic() => Self::Panicked { message },
            DataFusionError::NotImplemented(_) => Self::Invalid { message },
            _ => Self::Failed { message },
        }
    }
}
