//! The words of `report agents`, `report teams`, `report callers` and `report now`.
//!
//! What they do is in `src/report.rs`.

use calltide_query_api::reports::agents::Dimension;
use calltide_query_api::reports::{DayStart, callers};
use calltide_schemas::metrics::agents::SHORT_TALK_S;
use calltide_schemas::metrics::queues::{SHORT_S, WITHIN_S};
use clap::{Args as ClapArgs, ValueEnum};

use super::ReportArgs;

const REPORT_EXAMPLES: &str = "\
Times are cut at the ends of hours, days, weeks, months and of the range: of what began before --from, the rest counts. A
call counts where it was offered. Of who has no login (static members of queues) login, idle time and occupancy are not
known. By queue and PBX there are no logins, so that columns which need one are left out; by reason the columns are those
of pauses.

Examples:
  calltide report agents --from 2026-08-01 --to 2026-09-01 --tz Europe/Madrid
  calltide report agents --by agent,hour --from 2026-08-03 --to 2026-08-04
  calltide report agents --by agent,reason
  calltide report teams --by team,day --format csv";

/// Arguments of `report agents` and `report teams`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct AgentsReport {
    /// Group by agent, pbx, team, queue, reason, hour, day, week, month; several with commas [default: agent, or team]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) by: Vec<Dimension>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Up to when what goes on is counted [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<String>,
    /// A talk under this is short
    #[arg(long, value_name = "SECONDS", default_value_t = SHORT_TALK_S)]
    pub(crate) short: u32,
}

/// Arguments of `report callers`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Calls count by when they began.\n\nExamples:\n  calltide report callers --from 2026-08-01 --tz Europe/Madrid\n  calltide report callers --by queue,day"
)]
pub(crate) struct CallersReport {
    /// Group by queue, pbx, hour, day, week, month; several with commas. Each row, and the total, has a caller once
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) by: Vec<callers::Dimension>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Arguments of `report now`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  calltide report now --tz Europe/Madrid\n  calltide report now --format json")]
pub(crate) struct NowReport {
    /// The zone of the day that service levels are of
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) tz: String,
    /// When that day begins there
    #[arg(long, value_name = "HH:MM", default_value_t)]
    pub(crate) day_start: DayStart,
    /// The service level's X, included
    #[arg(long, value_name = "SECONDS", default_value_t = WITHIN_S)]
    pub(crate) within: u32,
    /// Who hangs up earlier than this is a short abandon
    #[arg(long, value_name = "SECONDS", default_value_t = SHORT_S)]
    pub(crate) short: u32,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: NowFormat,
}

/// How the present is written: it has two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum NowFormat {
    /// For people
    #[default]
    Table,
    /// An object with `at`, `agents` and `queues`
    Json,
}
