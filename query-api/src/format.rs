//! How results are written: a table for people, JSON, CSV and Arrow for programs. Used by the command and by HTTP alike.
//!
//! JSON is an array of objects with every column in each, nulls included, times in RFC 3339 UTC. Texts come from outside
//! (telephone numbers, names): the table shows no control characters, and CSV disarms formulas, see [`disarm`].
//! It must not know what the columns mean.

mod pieces;

pub use pieces::Pieces;

use std::borrow::Cow;
use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Float64Type;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::QueryOutput;

/// A way to write a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// An array of objects.
    Json,
    /// RFC 4180 with a line of names.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl std::str::FromStr for Format {
    type Err = crate::reports::outcomes::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "arrow" => Ok(Self::Arrow),
            other => {
                let known = "table, json, csv, arrow".to_owned();
                Err(crate::reports::outcomes::UnknownWord { what: "format", word: other.to_owned(), known })
            }
        }
    }
}

/// Microseconds, always six digits, so that texts sort as times do.
const TIMES: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
/// Times for people, without the zone that the column's name does not need either.
const TIMES_SHORT: &str = "%Y-%m-%d %H:%M:%S%.3f";

/// Most rows that are laid out for people, and most bytes of their texts: the widths of columns need all of them at once.
const TABLE_ROWS_MAX: usize = 10_000;
const TABLE_BYTES_MAX: usize = 16 << 20;

/// Writes a result.
///
/// # Errors
/// When a column has a type that the format cannot express.
pub fn write(output: &QueryOutput, format: Format) -> Result<Vec<u8>, ArrowError> {
    let pieces = Pieces::new(output.clone(), format)?.collect::<Result<Vec<_>, _>>()?;
    Ok(pieces.concat())
}

/// A table of text, one line a row, with a line break at its end.
fn table(output: &QueryOutput) -> Result<String, ArrowError> {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(output.schema.fields().iter().map(|f| Cell::new(f.name())));
    let times = FormatOptions::default()
        .with_timestamp_format(Some(TIMES_SHORT))
        .with_timestamp_tz_format(Some(TIMES_SHORT))
        .with_null("-");
    let (mut shown, mut bytes) = (0, 0);
    for batch in &output.batches {
        let columns = batch.columns();
        let formatters = columns.iter().map(|c| ArrayFormatter::try_new(c, &times)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            if shown == TABLE_ROWS_MAX || bytes > TABLE_BYTES_MAX {
                break;
            }
            let cells = formatters.iter().zip(columns).map(|(formatter, column)| cell(formatter, column, row));
            let cells: Vec<Cell> = cells.inspect(|cell| bytes += cell.content().len()).collect();
            table.add_row(cells);
            shown += 1;
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    if shown < output.rows() {
        let _ = writeln!(text, "(the first {shown} of {} rows; JSON and CSV have all of them)", output.rows());
    }
    if output.truncated {
        text.push_str("(there are more rows)\n");
    }
    Ok(text)
}

/// Numbers stand to the right; fractions, which are percentages mostly, have two digits.
fn cell(formatter: &ArrayFormatter<'_>, column: &ArrayRef, row: usize) -> Cell {
    let text = match column.as_primitive_opt::<Float64Type>().filter(|c| c.is_valid(row)) {
        Some(floats) => format!("{:.2}", floats.value(row)),
        None => formatter.value(row).to_string(),
    };
    let side = if column.data_type().is_numeric() { CellAlignment::Right } else { CellAlignment::Left };
    Cell::new(printable(&text)).set_alignment(side)
}

/// Shows what a terminal would obey.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) { text.escape_debug().to_string().into() } else { text.into() }
}

/// Puts an apostrophe before a text that a spreadsheet would run as a formula. CSV is for programs too, and every number in
/// E.164 begins with `+`: texts that begin with `+` or `-` and go on like a number stay as they are, since a spreadsheet
/// makes nothing worse than a number of them.
fn disarm(text: &str) -> Cow<'_, str> {
    let like_a_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.'));
    let armed = match text.as_bytes() {
        [b'=' | b'@' | b'\t' | b'\r', ..] => true,
        [b'+' | b'-', ..] => !like_a_number(text.get(1..).unwrap_or_default()),
        _ => false,
    };
    if armed { format!("'{text}").into() } else { text.into() }
}
