//! The arguments of `calltide import`: which files, of which PBX.

use std::path::PathBuf;

use clap::Args as ClapArgs;

const IMPORT_EXAMPLES: &str = "\
Importing again changes nothing; a file that grew gives what is new in it. While `up` runs on the
data directory, the import goes through it.

Examples:
  calltide import --pbx site-a --cel Master.csv --queue-log queue_log --tz Europe/Moscow
  calltide import --pbx site-a --ami recording.raw";

/// Arguments of `import`.
#[derive(Debug, ClapArgs)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct Import {
    /// The PBX's id [default: the SystemName in the AMI recording]
    #[arg(long, value_name = "ID")]
    pub(crate) pbx: Option<String>,
    /// An AMI recording: every byte a connection received; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) ami: Vec<PathBuf>,
    /// A CSV file of cel_custom; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) cel: Vec<PathBuf>,
    /// A queue_log; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) queue_log: Vec<PathBuf>,
    /// The zone of local times in the files, e.g. Europe/Moscow [default: the PBX's configured zone, else UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// The columns of the CEL files, if they differ from the README's mapping
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) cel_columns: Vec<String>,
    /// Leave calls open that are open at the end: more files follow
    #[arg(long)]
    pub(crate) keep_open: bool,
}
