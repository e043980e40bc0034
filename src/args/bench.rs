//! The arguments of `calltide bench`: what is measured, for how long, and where.
//!
//! What each stage does is in `src/bench/mod.rs`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

/// `calltide bench`
#[derive(Debug, ClapArgs)]
pub(crate) struct Bench {
    /// How many AMI events, at least
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    pub(crate) events: u64,
    /// Only this stage
    #[arg(long, value_enum)]
    pub(crate) only: Option<BenchStage>,
    /// Instead measure the way over Kafka, on these brokers: catching up, and how soon a call is told at a steady rate
    #[arg(long, value_name = "SERVERS", conflicts_with = "only")]
    pub(crate) kafka: Option<String>,
    /// With --only pressure and --kafka: for how many seconds events come
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// With --only pressure and --kafka: how many a second [default: 20000, with --kafka 2000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub(crate) rate: Option<u32>,
    /// What `--only pressure` starts: collects from this port of this machine until stdin is closed
    #[arg(long, hide = true, requires = "into")]
    pub(crate) collect_from: Option<u16>,
    /// And into this data directory
    #[arg(long, hide = true)]
    pub(crate) into: Option<PathBuf>,
    /// And as slowly as a disk of so many records a second that stalls
    #[arg(long, hide = true)]
    pub(crate) slow_to: Option<u32>,
    /// With --only recycling: how many contacts
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    pub(crate) contacts: u64,
    /// With --only agents and --only reports: how many calls in a day of ten thousand agents
    #[arg(long, default_value_t = 2_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    pub(crate) calls: u64,
    /// Instead of measuring, write the repeated recording into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
}

/// A stage that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchStage {
    /// AMI bytes to frames and facts.
    Decode,
    /// Facts to rows.
    Fold,
    /// Records of 500 bytes into the embedded log, synced, and out of it again
    Log,
    /// A file to the lake, by the command itself.
    Import,
    /// Live collecting while the disk is slow and stalls and nothing derives; only when asked for
    ///
    /// A PBX that cuts the line after 5 s says the events; the disk takes one and a half times of what comes and stalls for
    /// 2 s every 8 s. As root with the block controller of cgroups v1 the kernel holds the disk back; elsewhere the appends
    /// are delayed as by such a disk. Afterwards it is checked that every event is in the log, once and in order.
    Pressure,
    /// A state of many contacts: verdicts, memory, restart, and how soon what is due is told; only when asked for
    Recycling,
    /// What agents do: a day of calls, each told thrice as it goes on; only when asked for
    Agents,
    /// Reports of agents over the tables of an invented day, by hour and by agent; only when asked for
    Reports,
}
