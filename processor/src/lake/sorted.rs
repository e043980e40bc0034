//! Rows of any days, sorted and cut into one piece per day, as the files want them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use calltide_schemas::Micros;
use calltide_schemas::tables::TableDef;

use super::day::Day;
use super::{LakeError, Result};

/// One day's rows in the order of the table's sort columns.
pub(super) struct DayRows {
    pub(super) day: Day,
    pub(super) rows: RecordBatch,
}

/// Sorts and cuts.
pub(super) fn by_day(def: &TableDef, rows: &RecordBatch) -> Result<Vec<DayRows>> {
    if rows.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let days = days(def, rows)?;
    let options = Some(SortOptions { descending: false, nulls_first: false });
    let day_numbers: Int64Array = days.iter().map(|day| day.number()).collect();
    let mut order = vec![SortColumn { values: Arc::new(day_numbers), options }];
    for name in def.sort {
        order.push(SortColumn { values: Arc::clone(column(rows, name)?), options });
    }
    let indices = lexsort_to_indices(&order, None)?;
    let sorted = take_record_batch(rows, &indices)?;

    let days: Vec<Day> = indices.values().iter().map(|i| days[*i as usize]).collect();
    let mut from = 0;
    let pieces = days.chunk_by(|a, b| a == b).map(|run| {
        let piece = DayRows { day: run[0], rows: sorted.slice(from, run.len()) };
        from += run.len();
        piece
    });
    Ok(pieces.collect())
}

/// The day of each row.
pub(super) fn days(def: &TableDef, rows: &RecordBatch) -> Result<Vec<Day>> {
    let times = column(rows, def.day_of)?.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.ok_or_else(|| LakeError::Column { column: def.day_of.to_owned() })?;
    Ok(times.values().iter().map(|at| Day::of(Micros(*at))).collect())
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).ok_or_else(|| LakeError::Column { column: name.to_owned() })
}
