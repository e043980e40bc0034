//! Arguments of `generate`. Must not know how calls are made.

use clap::Args;

/// `calltide generate`
#[derive(Debug, Clone, Copy, Args)]
#[command(
    after_help = "Examples:\n  calltide generate --calls 100000 --data demo-data\n  calltide report outcomes --by campaign --data demo-data"
)]
pub(crate) struct Generate {
    /// How many calls, about
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) calls: u64,
    /// Over how many days
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,
    /// The first day
    #[arg(long, default_value = "2026-01-01", value_name = "DATE")]
    pub(crate) from: jiff::civil::Date,
    /// Of how many campaigns
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) campaigns: u32,
    /// By how many agents
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) agents: u32,
    /// Through how many queues
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) queues: u32,
    /// Another number gives other calls; the same gives the same
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}

impl Generate {
    /// A day of ten thousand agents, which is measured.
    pub(crate) fn day_of_agents() -> Self {
        let from = jiff::civil::date(2026, 1, 1);
        Self { calls: 2_000_000, days: 1, from, campaigns: 20, agents: 10_000, queues: 12, seed: 1 }
    }
}
