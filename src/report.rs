//! `calltide report`: asks for a report and prints it, as a table for people or whole for programs.
//!
//! What is counted is the query side's matter, what a table shows that of `*_table.rs`.

use calltide_query_api::reports::agents::{AgentsQuery, Dimension, agents};
use calltide_query_api::reports::callers::{CallersQuery, callers};
use calltide_query_api::reports::charges::{ChargesQuery, charges};
use calltide_query_api::reports::live::{LiveQuery, live};
use calltide_query_api::reports::outcomes::{OutcomesQuery, outcomes};
use calltide_query_api::reports::queues::{QueuesQuery, queues};
use calltide_query_api::reports::recycling::{RecyclingQuery, recycling};
use calltide_query_api::{Engine, QueryError, reports};
use calltide_schemas::metrics;
use calltide_schemas::metrics::Statuses;
use jiff::Timestamp;

use crate::agent_table;
use crate::args::{
    AgentsReport, Basis, CallersReport, ChargesReport, Format, NowFormat, NowReport, Outcomes, Places, QueuesReport,
    RecyclingReport, Report,
};
use crate::caller_table;
use crate::charges_table;
use crate::clock;
use crate::errors::{Exit, Failure, Result};
use crate::outcome_table;
use crate::output;
use crate::queue_table;
use crate::reader::Reader;
use crate::recycling_table;
use crate::sql::written;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Report) -> Result<()> {
    match asked {
        Report::Outcomes(asked) => outcomes_report(places, asked),
        Report::Queues(asked) => queues_report(places, asked),
        Report::Agents(asked) => agents_report(places, asked, Dimension::Agent),
        Report::Teams(asked) => agents_report(places, asked, Dimension::Team),
        Report::Callers(asked) => callers_report(places, asked),
        Report::Now(asked) => now_report(places, asked),
        Report::Charges(asked) => charges_report(places, asked),
        Report::Recycling(asked) => recycling_report(places, asked),
    }
}

/// Asks for a report and prints it, as a table for people or written for programs.
fn print(
    places: &Places,
    format: Format,
    ask: impl AsyncFnOnce(&Engine) -> std::result::Result<reports::Report, QueryError>,
    table: impl FnOnce(&reports::Report) -> Result<String>,
) -> Result<()> {
    let reader = Reader::open(places)?;
    let report = reader.ask(ask)?;
    reader.tell_of_lacking(&report.output);
    match format {
        Format::Table => output::data(table(&report)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, format)?),
    }
}

fn outcomes_report(places: &Places, asked: &Outcomes) -> Result<()> {
    let query = OutcomesQuery {
        by: asked.by.clone(),
        range: asked.report.range()?,
        basis: match asked.basis {
            Basis::Attempt => metrics::Basis::Attempt,
            Basis::Contact => metrics::Basis::Contact,
        },
        directions: asked.direction.clone(),
        statuses: if asked.nine { Statuses::Classic } else { Statuses::All },
    };
    let table = |report: &reports::Report| outcome_table::tables(report, &query);
    print(places, asked.report.format, async |engine| outcomes(engine, &query).await, table)
}

fn queues_report(places: &Places, asked: &QueuesReport) -> Result<()> {
    let (by, range) = (asked.by.clone(), asked.report.range()?);
    let query = QueuesQuery { by, range, within_s: asked.within, short_s: asked.short };
    let table = |report: &reports::Report| queue_table::tables(report, &query);
    print(places, asked.report.format, async |engine| queues(engine, &query).await, table)
}

fn agents_report(places: &Places, asked: &AgentsReport, usual: Dimension) -> Result<()> {
    let range = asked.report.range()?;
    let now = asked.now.as_deref().map(|text| range.moment(text)).transpose()?;
    let by = if asked.by.is_empty() { vec![usual] } else { asked.by.clone() };
    let query = AgentsQuery { by, range, now: Some(now.unwrap_or_else(clock::now)), short_s: asked.short };
    let table = |report: &reports::Report| agent_table::tables(report, &query);
    print(places, asked.report.format, async |engine| agents(engine, &query).await, table)
}

fn callers_report(places: &Places, asked: &CallersReport) -> Result<()> {
    let query = CallersQuery { by: asked.by.clone(), range: asked.report.range()? };
    print(places, asked.report.format, async |engine| callers(engine, &query).await, caller_table::table)
}

fn charges_report(places: &Places, asked: &ChargesReport) -> Result<()> {
    let query = ChargesQuery { by: asked.by.clone(), range: asked.report.range()? };
    print(places, asked.report.format, async |engine| charges(engine, &query).await, charges_table::table)
}

fn recycling_report(places: &Places, asked: &RecyclingReport) -> Result<()> {
    let query = RecyclingQuery { by: asked.by.clone(), range: asked.report.range()? };
    print(places, asked.report.format, async |engine| recycling(engine, &query).await, recycling_table::tables)
}

fn now_report(places: &Places, asked: &NowReport) -> Result<()> {
    let reader = Reader::open(places)?;
    let (now, tz, day_start) = (clock::now(), asked.tz.clone(), asked.day_start);
    let query = LiveQuery { now, tz, day_start, within_s: asked.within, short_s: asked.short };
    let present = reader.ask(async |engine| live(engine, &query).await)?;
    reader.tell_of_lacking(&present.agents);
    match asked.format {
        NowFormat::Table => output::data(agent_table::present(&present, &asked.tz)?.as_bytes()),
        NowFormat::Json => {
            let at = Timestamp::from_microsecond(now.0);
            let at = at.map_err(|e| Failure::new(Exit::Failed, "the clock shows no time").because(&e))?;
            output::data(agent_table::present_json(&present, &at.to_string())?.as_bytes())
        }
    }
}
