//! The words of `report charges`.
//!
//! What it does is in `src/report.rs`.

use calltide_query_api::reports::charges::Dimension;
use clap::Args as ClapArgs;

use super::ReportArgs;

const REPORT_EXAMPLES: &str = "\
A call out is charged to the user of the internal device that placed it, a leg to an ordinary telephone to the user that owns
it. Amounts of several currencies are never summed: rows and totals are of one currency each. What no rate fits is unrated,
and in a row without a currency; what no user owns is unowned. All of it counts by when it was answered.

Examples:
  calltide report charges
  calltide report charges --by user,month --from 2026-08-01 --to 2026-09-01 --tz Europe/Madrid
  calltide report charges --by device,what,day --format csv";

/// Arguments of `report charges`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct ChargesReport {
    /// Group by user, device, agent, team, campaign, currency, what, hour, day, week, month; several with commas. The
    /// currency is always the last of them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "user")]
    pub(crate) by: Vec<Dimension>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
