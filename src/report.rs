//! `calltide report`: asks for a report and prints it, as a table for people or whole for programs.

use calltide_query_api::reports::instant;
use calltide_query_api::reports::outcomes::{OutcomesQuery, outcomes};
use calltide_query_api::reports::queues::{QueuesQuery, queues};
use calltide_query_api::reports::recycling::{RecyclingQuery, recycling};
use calltide_schemas::metrics;
use calltide_schemas::metrics::Statuses;

use crate::args::{Basis, Format, Outcomes, Places, QueuesReport, RecyclingReport, Report};
use crate::errors::Result;
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
        Report::Recycling(asked) => recycling_report(places, asked),
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
