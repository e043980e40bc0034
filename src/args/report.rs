//! The words of `report`: which reports there are, what all of them take, and what `report outcomes` takes beside it.
//!
//! The others' own words are in [`super::agents`], [`super::queues`], [`super::charges`] and [`super::recycling`]; what all of
//! them do is in `src/report.rs`.

use calltide_query_api::QueryError;
use calltide_query_api::reports::outcomes::{Dimension, Direction};
use calltide_query_api::reports::{DayStart, Range};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{AgentsReport, CallersReport, ChargesReport, Format, NowReport, QueuesReport, RecyclingReport};

/// The reports.
#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// What became of the calls: counts and percentages
    #[command(after_help = REPORT_EXAMPLES)]
    Outcomes(Outcomes),
    /// How queues were served: counts, rates, service levels and waits
    Queues(QueuesReport),
    /// What agents did: logins, pauses, occupancy, calls and handling times
    Agents(AgentsReport),
    /// The same of teams
    Teams(AgentsReport),
    /// Who called: unique and repeat callers, and those who got nobody and were not called back
    Callers(CallersReport),
    /// What is going on now: agents' states, queues' callers, service levels of today
    Now(NowReport),
    /// What calls out and legs to ordinary telephones cost, and whom
    Charges(ChargesReport),
    /// What recycling came to: contacts by best class and verdict, and what calling again yields
    Recycling(RecyclingReport),
}

/// What every report of a time takes.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ReportArgs {
    /// From then on: 2026-08-01, 2026-08-01T10:00, or RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The zone of times, hours, days, weeks and months
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    /// When a day begins there, and so a date in --from and --to; it has the date on which it begins
    #[arg(long, value_name = "HH:MM", default_value_t)]
    day_start: DayStart,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl ReportArgs {
    /// The time that is asked for.
    pub(crate) fn range(&self) -> Result<Range, QueryError> {
        Range::all(&self.tz, self.day_start).between(self.from.as_deref(), self.to.as_deref())
    }
}

const REPORT_EXAMPLES: &str = "\
Calls count by when they started. Per contact, outbound, --from is no bound, since the best attempt counts whenever it was made,
and --to takes attempts that ended before it.

Examples:
  calltide report outcomes --by campaign
  calltide report outcomes --by day,campaign --from 2026-08-01 --to 2026-09-01 --tz Europe/Moscow
  calltide report outcomes --by day --day-start 06:00
  calltide report outcomes --by campaign --basis contact --direction outbound --format csv";

/// Arguments of `report outcomes`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Outcomes {
    /// Group by campaign, agent, queue, direction, pbx, hour, day, week, month; several with commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) by: Vec<Dimension>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// What is counted: every attempt, or every contact by its best attempt
    #[arg(long, value_enum, default_value_t)]
    pub(crate) basis: Basis,
    /// inbound, outbound, internal; several with commas [default: inbound,outbound]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) direction: Vec<Direction>,
    /// Show the nine classic statuses instead of all fourteen
    #[arg(long)]
    pub(crate) nine: bool,
}

/// What a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Basis {
    /// Every attempt; inbound every call
    #[default]
    Attempt,
    /// Every contact by its best attempt; inbound every call
    Contact,
}
