//! `calltide sql`: one query, its rows on stdout.

use calltide_query_api::{Principal, QueryOutput, format};

use crate::args::{Format, Places, Sql};
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::reader::Reader;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Sql) -> Result<()> {
    let answer = Reader::open(places)?.ask(async |engine| engine.query(&Principal::local(), &asked.query).await)?;
    if answer.truncated && asked.format != Format::Table {
        output::note("warning: there are more rows than [query] rows allows; the rest was left out");
    }
    output::data(&written(&answer, asked.format)?)
}

/// An answer as it is printed.
pub(crate) fn written(answer: &QueryOutput, format: Format) -> Result<Vec<u8>> {
    let format = match format {
        Format::Table => format::Format::Table,
        Format::Json => format::Format::Json,
        Format::Csv => format::Format::Csv,
    };
    format::write(answer, format).map_err(|e| Failure::new(Exit::Failed, "the answer cannot be written so").because(&e))
}
