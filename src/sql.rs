//! `calltide sql`: one query, its rows on stdout as they are written.

use std::io::Read as _;
use std::path::Path;

use calltide_query_api::format::Pieces;
use calltide_query_api::{Principal, QueryOutput, format};

use crate::args::{Format, Places, Sql};
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::reader::Reader;

/// Longest text that is read from stdin: far above any that is answered, so that the refusal is the engine's.
const STDIN_BYTES_MAX: u64 = 16 << 20;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Sql) -> Result<()> {
    let query = text(&asked.query)?;
    let reader = Reader::open(places)?;
    let answer = reader.ask(async |engine| engine.query(&Principal::local(), &query).await)?;
    if answer.truncated && asked.format != Format::Table {
        output::note("warning: there are more rows than [query] rows allows; the rest was left out");
    }
    reader.tell_of_lacking(&answer);
    let pieces = Pieces::new(answer, known(asked.format)).map_err(|e| unwritten(&e))?;
    for piece in pieces {
        if output::data_to_the_end(&piece.map_err(|e| unwritten(&e))?)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The query's text, which a `-` stands for on stdin.
fn text(query: &str) -> Result<String> {
    if query != "-" {
        return Ok(query.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(STDIN_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|e| Failure::io("read", Path::new("stdin"), &e))?;
    Ok(text)
}

fn unwritten(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failed, "the answer cannot be written so").because(error)
}

const fn known(format: Format) -> format::Format {
    match format {
        Format::Table => format::Format::Table,
        Format::Json => format::Format::Json,
        Format::Csv => format::Format::Csv,
    }
}

/// An answer as it is printed.
pub(crate) fn written(answer: &QueryOutput, format: Format) -> Result<Vec<u8>> {
    format::write(answer, known(format)).map_err(|e| unwritten(&e))
}
