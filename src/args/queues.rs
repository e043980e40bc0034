//! The words of `report queues`.
//!
//! What it does is in `src/report.rs`.

use calltide_query_api::reports::queues::Dimension;
use calltide_schemas::metrics::queues::{SHORT_S, WITHIN_S};
use clap::Args as ClapArgs;

use super::ReportArgs;

const REPORT_EXAMPLES: &str = "\
Service levels are named by what they are over: answered (answered within X / answered), offered (answered within X /
offered less short abandons), removed (left the queue within X / offered). By queue, visits are counted, each where it
began; the total, and rows over several queues, count each call once: by the first visit that an agent took, else by its
last one.

Examples:
  calltide report queues
  calltide report queues --by queue,day --from 2026-08-01 --to 2026-09-01 --tz Europe/Madrid
  calltide report queues --by hour --within 30 --short 10 --format csv";

/// Arguments of `report queues`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct QueuesReport {
    /// Group by queue, pbx, hour, day, week, month; several with commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "queue")]
    pub(crate) by: Vec<Dimension>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// The service level's X, included
    #[arg(long, value_name = "SECONDS", default_value_t = WITHIN_S)]
    pub(crate) within: u32,
    /// Who hangs up earlier than this is a short abandon
    #[arg(long, value_name = "SECONDS", default_value_t = SHORT_S)]
    pub(crate) short: u32,
}
