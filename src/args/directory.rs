//! The words of `agents` and `directory`.
//!
//! What they do is in `src/agents.rs` and `src/directory.rs`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Format;
use super::recycling::Who;

const AGENTS_EXAMPLES: &str = "\
A login by this command lasts until the logout: nobody sends heartbeats for it.

Examples:
  calltide agents login anna --terminal desk-7
  calltide agents login anna --terminal desk-7 --device site-a/PJSIP/107
  calltide agents logout anna --terminal desk-7";

/// Agents at terminals.
#[derive(Debug, Subcommand)]
#[command(after_help = AGENTS_EXAMPLES)]
pub(crate) enum Agents {
    /// Log an agent in at a terminal
    Login(AgentLogin),
    /// Log an agent out there
    Logout(AgentLogout),
}

/// Arguments of `agents login`.
#[derive(Debug, ClapArgs)]
pub(crate) struct AgentLogin {
    /// The agent, by the id in the directory, or <pbx>/<name>
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The terminal
    #[arg(long, value_name = "NAME")]
    pub(crate) terminal: String,
    /// The device that the agent names, e.g. site-a/PJSIP/101
    #[arg(long, value_name = "PBX/ENDPOINT")]
    pub(crate) device: Option<String>,
    /// The terminal's IP address
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<std::net::IpAddr>,
}

/// Arguments of `agents logout`.
#[derive(Debug, ClapArgs)]
pub(crate) struct AgentLogout {
    /// The agent, by the id in the directory, or <pbx>/<name>
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The terminal
    #[arg(long, value_name = "NAME")]
    pub(crate) terminal: String,
}

const DIRECTORY_EXAMPLES: &str = "\
What stands in the configuration is changed there alone. A file has [[user]], [[team]], [[group]], [[agent]],
[[device]], [[queue]] and [[rate]], as [directory] in calltide.toml does.

Examples:
  calltide directory show --kind agent
  calltide directory check new-rates.toml
  calltide directory set new-rates.toml
  calltide directory remove agent anna";

/// Who works, with what, for whom, and what it costs.
#[derive(Debug, Subcommand)]
#[command(after_help = DIRECTORY_EXAMPLES)]
pub(crate) enum Directory {
    /// Show what holds now
    Show(DirectoryShow),
    /// Look whether the configuration's directory, or a file beside what holds, can be meant
    Check(DirectoryCheck),
    /// Take in the entries of a file; those with the same kind and id are replaced
    Set(DirectorySet),
    /// Take an entry away
    Remove(DirectoryRemove),
}

/// Arguments of `directory show`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DirectoryShow {
    /// Only these: user, team, group, agent, device, queue or rate
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Arguments of `directory check`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DirectoryCheck {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Arguments of `directory set`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DirectorySet {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) who: Who,
}

/// Arguments of `directory remove`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DirectoryRemove {
    /// user, team, group, agent, device, queue or rate
    #[arg(value_name = "KIND")]
    pub(crate) kind: String,
    /// Its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) who: Who,
}
