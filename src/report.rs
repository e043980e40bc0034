//! `calltide report`: asks for a report and prints it, as a table for people or whole for programs.
//!
//! What is counted is the query side's matter, what a table shows that of `*_table.rs`.

use calltide_query_api::reports::agents::{AgentsQuery, Dimension, agents};
use calltide_query_api::reports::callers::{CallersQuery, callers};
use calltide_query_api::reports::charges::{ChargesQuery, charges};
use calltide_query_api::reports::instant;
use calltide_query_api::reports::live::{LiveQuery, live};
use calltide_query_api::reports::outcomes::{OutcomesQuery, outcomes};
use calltide_query_api::reports::queues::{QueuesQuery, queues};
use calltide_query_api::reports::recycling::{RecyclingQuery, recycling};
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

fn agents_report(places: &Places, asked: &AgentsReport, usual: Dimension) -> Result<()> {
    let reader = Reader::open(places)?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &asked.tz)).transpose();
    let (from, to, now) = (moment(&asked.from)?, moment(&asked.to)?, moment(&asked.now)?);
    let by = if asked.by.is_empty() { vec![usual] } else { asked.by.clone() };
    let now = Some(now.unwrap_or_else(clock::now));
    let query = AgentsQuery { by, from, to, now, tz: asked.tz.clone(), short_s: asked.short };
    let report = reader.ask(async |engine| agents(engine, &query).await)?;
    reader.tell_of_lacking(&report.output);
    match asked.format {
        Format::Table => output::data(agent_table::tables(&report, &query)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, asked.format)?),
    }
}

fn callers_report(places: &Places, asked: &CallersReport) -> Result<()> {
    let reader = Reader::open(places)?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &asked.tz)).transpose();
    let (from, to) = (moment(&asked.from)?, moment(&asked.to)?);
    let query = CallersQuery { by: asked.by.clone(), from, to, tz: asked.tz.clone() };
    let report = reader.ask(async |engine| callers(engine, &query).await)?;
    reader.tell_of_lacking(&report.output);
    match asked.format {
        Format::Table => output::data(caller_table::table(&report)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, asked.format)?),
    }
}

fn now_report(places: &Places, asked: &NowReport) -> Result<()> {
    let reader = Reader::open(places)?;
    let (now, tz) = (clock::now(), asked.tz.clone());
    let query = LiveQuery { now, tz, within_s: asked.within, short_s: asked.short };
    let present = reader.ask(async |engine| live(engine, &query).await)?;
    reader.tell_of_lacking(&present.agents);
    match asked.format {
        NowFormat::Table => output::data(agent_table::present(&present)?.as_bytes()),
        NowFormat::Json => {
            let at = Timestamp::from_microsecond(now.0);
            let at = at.map_err(|e| Failure::new(Exit::Failed, "the clock shows no time").because(&e))?;
            output::data(agent_table::present_json(&present, &at.to_string())?.as_bytes())
        }
    }
}

fn recycling_report(places: &Places, asked: &RecyclingReport) -> Result<()> {
    let reader = Reader::open(places)?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &asked.tz)).transpose();
    let (from, to) = (moment(&asked.from)?, moment(&asked.to)?);
    let query = RecyclingQuery { by: asked.by.clone(), from, to, tz: asked.tz.clone() };
    let report = reader.ask(async |engine| recycling(engine, &query).await)?;
    reader.tell_of_lacking(&report.output);
    match asked.format {
        Format::Table => output::data(recycling_table::tables(&report)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, asked.format)?),
    }
}

fn charges_report(places: &Places, asked: &ChargesReport) -> Result<()> {
    let reader = Reader::open(places)?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &asked.tz)).transpose();
    let (from, to) = (moment(&asked.from)?, moment(&asked.to)?);
    let query = ChargesQuery { by: asked.by.clone(), from, to, tz: asked.tz.clone() };
    let report = reader.ask(async |engine| charges(engine, &query).await)?;
    reader.tell_of_lacking(&report.output);
    match asked.format {
        Format::Table => output::data(charges_table::table(&report)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, asked.format)?),
    }
}

fn queues_report(places: &Places, asked: &QueuesReport) -> Result<()> {
    let reader = Reader::open(places)?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &asked.tz)).transpose();
    let (from, to) = (moment(&asked.from)?, moment(&asked.to)?);
    let (by, tz) = (asked.by.clone(), asked.tz.clone());
    let query = QueuesQuery { by, from, to, tz, within_s: asked.within, short_s: asked.short };
    let report = reader.ask(async |engine| queues(engine, &query).await)?;
    reader.tell_of_lacking(&report.output);
    match asked.format {
        Format::Table => output::data(queue_table::tables(&report, &query)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, asked.format)?),
    }
}

fn outcomes_report(places: &Places, asked: &Outcomes) -> Result<()> {
    let reader = Reader::open(places)?;
    let query = query(asked)?;
    let report = reader.ask(async |engine| outcomes(engine, &query).await)?;
    reader.tell_of_lacking(&report.output);
    match asked.format {
        Format::Table => output::data(outcome_table::tables(&report, &query)?.as_bytes()),
        Format::Json | Format::Csv => output::data(&written(&report.output, asked.format)?),
    }
}

fn query(asked: &Outcomes) -> Result<OutcomesQuery> {
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &asked.tz)).transpose();
    Ok(OutcomesQuery {
        by: asked.by.clone(),
        from: moment(&asked.from)?,
        to: moment(&asked.to)?,
        tz: asked.tz.clone(),
        basis: match asked.basis {
            Basis::Attempt => metrics::Basis::Attempt,
            Basis::Contact => metrics::Basis::Contact,
        },
        directions: asked.direction.clone(),
        statuses: if asked.nine { Statuses::Classic } else { Statuses::All },
    })
}
