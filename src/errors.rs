//! What a command says when it cannot do its work: `error:`, `cause:`, `hint:`, and the exit code.
//!
//! The one table of exit codes is [`Exit::ALL`]; help and README show it. Errors of the crates are turned into [`Failure`]s
//! here, with a hint where somebody can do something about it. Must not know which command failed.

use std::error::Error;
use std::fmt;
use std::path::Path;

use calltide_eventlog::LogError;
use calltide_ingest::import::ImportError;
use calltide_processor::lake::LakeError;
use calltide_processor::runtime::RuntimeError;
use calltide_query_api::QueryError;
use serde::{Deserialize, Serialize};

/// How the process ends when it does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// Something went wrong while it was done.
    Failed,
    /// The command line, the configuration or the query is wrong.
    Usage,
    /// Another process writes to the data directory.
    Locked,
    /// There is no such data, file, call or topic.
    NotFound,
    /// Queries took too much or did not end, so the process had to.
    OutOfHand,
    /// Somebody pressed Ctrl-C before it was done.
    Interrupted,
}

impl Exit {
    /// Every exit code and what it means.
    pub(crate) const ALL: [(u8, &'static str); 7] = [
        (0, "done"),
        (1, "failed; `check` and `log verify`: something is wrong"),
        (2, "the command line, the configuration or the query is wrong"),
        (3, "another process writes to the data directory"),
        (4, "no such data, file, call or topic"),
        (5, "queries took too much memory or did not end, so the process did"),
        (130, "interrupted by Ctrl-C before it was done"),
    ];

    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Locked => 3,
            Self::NotFound => 4,
            Self::OutOfHand => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Shorthand for what commands return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command could not do its work, in words for the person who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    error: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure without a known cause.
    pub(crate) fn new(exit: Exit, error: impl Into<String>) -> Self {
        Self { exit, error: error.into(), causes: Vec::new(), hint: None }
    }

    /// What the error says, and what is below it as causes.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        if let Some(source) = error.source() {
            failure = failure.because(source);
        }
        failure
    }

    /// Adds a cause and what is below it. What only repeats the line above, or a part of it, is left out.
    pub(crate) fn because(mut self, cause: &dyn Error) -> Self {
        let mut cause = Some(cause);
        while let Some(error) = cause {
            let text = error.to_string();
            if !self.causes.last().unwrap_or(&self.error).contains(&text) {
                self.causes.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// Says what can be done about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What went wrong, in one line.
    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    /// What can be done about it, if anything.
    pub(crate) fn advice(&self) -> &str {
        self.hint.as_deref().unwrap_or_default()
    }

    /// The same, for something of the file system at a place.
    pub(crate) fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Self::new(exit, format!("cannot {what} {}", path.display())).because(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A second line of a message must not look like a message of its own.
        let indented = |text: &str| text.trim_end().replace('\n', "\n       ");
        writeln!(f, "error: {}", indented(&self.error))?;
        for cause in &self.causes {
            writeln!(f, "cause: {}", indented(cause))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "hint:  {}", indented(hint))?;
        }
        Ok(())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let failure = |exit| Self::of(exit, &error);
        match &error {
            LogError::Locked { .. } => failure(Exit::Locked)
                .hint("only one process writes to a data directory; wait for it, or give another one with --data"),
            LogError::Missing { .. } => failure(Exit::NotFound).hint(
                "`calltide import` or `calltide up` makes it; give the right directory with --data, or try `calltide demo`",
            ),
            LogError::DiskFull { .. } => {
                failure(Exit::Failed).hint("free some space; everything acknowledged before is safe, and nothing is repeated")
            }
            LogError::Damaged { .. } => failure(Exit::Failed).hint(
                "`calltide log verify` shows what is damaged; `calltide replay` derives state and tables anew from the events",
            ),
            LogError::UnknownTopic { .. } => failure(Exit::NotFound).hint("`calltide log ls` lists the topics"),
            LogError::Unreachable { .. } => failure(Exit::Failed)
                .hint("check the address, the port and the login; everything acknowledged before is safe"),
            LogError::WrongTopic { command, .. } => failure(Exit::Failed).hint(format!("run `{command}`")),
            LogError::ReadOnly { .. }
            | LogError::Stopped { .. }
            | LogError::Fenced { .. }
            | LogError::Aborted { .. }
            | LogError::Kafka { .. }
            | LogError::Io { .. } => failure(Exit::Failed),
        }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Log(error) => error.into(),
            RuntimeError::OtherLayout { .. } => {
                Self::of(Exit::Failed, &error).hint("`calltide replay` derives everything again from the log")
            }
        }
    }
}

impl From<LakeError> for Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all but the log's errors are told alike")]
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Log(error) => error.into(),
            LakeError::Generation { .. } => {
                Self::of(Exit::Failed, &error).hint("`calltide replay` writes the tables again from the log")
            }
            other => Self::of(Exit::Failed, &other),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let failure = |exit| Self::of(exit, &error);
        match &error {
            QueryError::Invalid { .. } => failure(Exit::Usage),
            QueryError::Refused { .. } => {
                failure(Exit::Usage).hint("only SELECT over the tables of the lake is answered")
            }
            QueryError::Deadline { .. } | QueryError::Resources { .. } => failure(Exit::Failed)
                .hint("narrow the range of started_at, or raise [query] deadline and memory in calltide.toml"),
            QueryError::Away { .. } => failure(Exit::Failed)
                .hint("see that the store runs; endpoint, region and keys are in [lake.store] of calltide.toml"),
            QueryError::Behind { .. } => failure(Exit::Failed)
                .hint("`calltide up` or an import on this data directory writes them into the lake, with Kafka a `calltide processor`"),
            QueryError::Failed { .. }
            | QueryError::Busy { .. }
            | QueryError::Ended
            | QueryError::Internal { .. }
            | QueryError::Panicked { .. }
            | QueryError::Lake { .. }
            | QueryError::LakeFeature { .. }
            | QueryError::Io { .. }
            | QueryError::Log(_)
            | QueryError::Fact { .. } => failure(Exit::Failed),
        }
    }
}

impl From<ImportError> for Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the log's errors have hints of their own")]
    fn from(error: ImportError) -> Self {
        let error = match error {
            ImportError::Log(error) => return error.into(),
            other => other,
        };
        let failure = |exit| Self::of(exit, &error);
        match &error {
            ImportError::NoFiles => failure(Exit::Usage).hint("name files with --ami, --cel and --queue-log"),
            ImportError::Io { source, path } => Self::io("read", path, source),
            ImportError::NotAFile { .. } => failure(Exit::Usage),
            ImportError::WrongKind { expected, .. } if expected.contains("cel") => failure(Exit::Usage)
                .hint("give the columns of the file in their order with --cel-columns, as cel_custom.conf has them"),
            ImportError::WrongKind { .. } => failure(Exit::Usage)
                .hint("--ami takes recordings, --cel CSV files of cel_custom, --queue-log queue_log files"),
            ImportError::NoTimes { .. }
            | ImportError::NoPbx
            | ImportError::TwoPbxs { .. }
            | ImportError::BadPbx { .. } => failure(Exit::Usage),
            ImportError::Changed { .. } => failure(Exit::Failed).hint("import a copy of it, or import it again"),
            ImportError::Log(_) => failure(Exit::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_as_error_cause_and_hint() {
        let error = std::io::Error::other("the disk\nis gone");
        let failure = Failure::new(Exit::Failed, "cannot read /x").because(&error).hint("mount it");
        assert_eq!(failure.to_string(), "error: cannot read /x\ncause: the disk\n       is gone\nhint:  mount it\n");
    }

    #[test]
    fn causes_that_only_repeat_are_left_out() {
        let error = LogError::Io { what: "sync".to_owned(), source: std::io::Error::other("sync") };
        assert_eq!(Failure::from(error).to_string(), "error: sync\n");
    }

    #[test]
    fn every_exit_is_in_the_table_once() {
        for exit in [Exit::Failed, Exit::Usage, Exit::Locked, Exit::NotFound, Exit::OutOfHand, Exit::Interrupted] {
            assert_eq!(Exit::ALL.iter().filter(|(code, _)| *code == exit.code()).count(), 1, "{exit:?}");
        }
    }

    #[test]
    fn a_locked_log_has_its_own_exit_code_and_names_the_process() {
        let failure = Failure::from(LogError::Locked { dir: "d".to_owned(), pid: Some(7) });
        assert_eq!(failure.exit.code(), 3);
        assert!(failure.to_string().contains("process 7"), "{failure}");
    }
}
