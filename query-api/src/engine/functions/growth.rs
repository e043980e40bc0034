//! How many bytes a function would build, from the lengths of what it is given; and the sizes of values.
//!
//! The answer may be too high, never too low. Must not evaluate anything.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Most bytes that an aggregate may gather in one row.
pub(in crate::engine) const WIDTH_MAX: u64 = 64 << 10;

/// How the size of a result follows from the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::engine) enum Growth {
    /// About what it is given, or a few times that, which is looked at when it is there: `upper(text)`.
    Few,
    /// No bytes, but as many steps as the lengths of the first two make multiplied: `levenshtein(a, b)`.
    Steps,
    /// All arguments, one after the other: `concat(a, b, …)`, `make_array(a, b, …)`.
    Sum,
    /// All but the first, with the first between them: `concat_ws(separator, a, b, …)`.
    Joined,
    /// A text so many times: `repeat(text, n)`.
    Times,
    /// So many characters, of at most four bytes each: `lpad(text, n, fill)`.
    Characters,
    /// Each occurrence of the second by the third: `replace(text, from, to)`.
    Replaced,
    /// Each match by a text that may quote the match: `regexp_replace(text, pattern, by, flags)`.
    Matched,
    /// The entries of a list with a separator between them: `array_to_string(list, separator)`.
    Listed,
}

impl Growth {
    /// At most how many bytes the result has, or how many steps it takes, for all rows of the batch.
    pub(super) fn needs(self, call: &ScalarFunctionArgs) -> Result<u64> {
        let args = call.args.as_slice();
        let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { call.number_rows };
        match self {
            Self::Steps => by_row(args, rows, |[a, b, _]| a.max(1).saturating_mul(b.max(1))),
            Self::Few | Self::Sum => Ok(args.iter().map(|arg| spread(arg, rows)).fold(0, u64::saturating_add)),
            Self::Joined => {
                let all = args.iter().map(|arg| spread(arg, rows)).fold(0, u64::saturating_add);
                let separators = args.first().map_or(0, |arg| spread(arg, rows));
                Ok(all.saturating_add(separators.saturating_mul(args.len() as u64)))
            }
            Self::Times => by_row(args, rows, |[text, times, _]| text.max(1).saturating_mul(times)),
            Self::Characters => by_row(args, rows, |[_, characters, _]| characters.saturating_mul(4)),
            Self::Replaced => by_row(args, rows, |[text, from, to]| {
                // Nothing occurs between all characters, and at both ends.
                let times = text.checked_div(from).unwrap_or(text + 1);
                text.saturating_add(times.saturating_mul(to))
            }),
            Self::Matched => by_row(args, rows, |[text, _, by]| {
                // A pattern may match between all characters. What the replacement quotes of its matches is never more than
                // the text for each of its quotations, of two bytes each.
                let literal = (text + 1).saturating_mul(by);
                text.saturating_add(literal).saturating_add(text.saturating_mul(by / 2))
            }),
            Self::Listed => {
                let separator = match args.get(1) {
                    Some(arg) => lengths(arg, 1)?.iter().flatten().max().unwrap_or(0),
                    None => 0,
                };
                let separator = u64::try_from(separator).unwrap_or(0);
                let list = args.first().map_or(0, |arg| spread(arg, rows));
                // An entry takes four bytes in the list, if it were empty.
                Ok(list.saturating_mul(4).saturating_add((list / 4).saturating_mul(separator)))
            }
        }
    }
}

/// The memory of a value as it is.
pub(super) fn size(value: &ColumnarValue) -> u64 {
    match value {
        ColumnarValue::Array(array) => array_size(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array().map_or(u64::MAX, |array| array_size(&array)),
    }
}

/// The memory of its widest row.
pub(super) fn width(value: &ColumnarValue) -> Result<u64> {
    let array = match value {
        ColumnarValue::Array(array) => ArrayRef::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    if array.data_type().is_nested() {
        return Ok((0..array.len()).map(|row| array_size(&array.slice(row, 1))).max().unwrap_or(0));
    }
    let lengths = cast(&length(&array)?, &DataType::Int64)?;
    let lengths = lengths.as_primitive::<Int64Type>();
    Ok(lengths.iter().flatten().max().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

/// How many entries its lists have.
pub(super) fn entries(value: &ColumnarValue, rows: usize) -> Result<u64> {
    let entries = lengths(value, rows)?.iter().flatten().filter_map(|n| u64::try_from(n).ok()).sum::<u64>();
    let times = if matches!(value, ColumnarValue::Scalar(_)) { rows as u64 } else { 1 };
    Ok(entries.saturating_mul(times))
}

/// What Arrow counts of views leaves their texts out, and of a slice's lists it takes the whole. Here each counts where it
/// stands.
fn array_size(array: &ArrayRef) -> u64 {
    // The lower half of a view's first word is the text's length.
    let viewed = |views: &[u128]| views.iter().map(|view| (*view & u128::from(u32::MAX)) as u64).sum::<u64>();
    if let Some(texts) = array.as_string_view_opt() {
        return viewed(texts.views()) + size_of_val::<[u128]>(texts.views()) as u64;
    }
    if let Some(bytes) = array.as_binary_view_opt() {
        return viewed(bytes.views()) + size_of_val::<[u128]>(bytes.views()) as u64;
    }
    if let Some(lists) = array.as_list_opt::<i32>() {
        let (first, last) = (lists.value_offsets().first(), lists.value_offsets().last());
        let (first, last) = (first.map_or(0, |n| *n as usize), last.map_or(0, |n| *n as usize));
        return array_size(&lists.values().slice(first, last - first)) + 4 * lists.len() as u64;
    }
    if let Some(parts) = array.as_struct_opt() {
        return parts.columns().iter().map(array_size).sum();
    }
    if array.data_type().is_nested() {
        return array.get_array_memory_size() as u64;
    }
    array.to_data().get_slice_memory_size().unwrap_or(usize::MAX) as u64
}

/// The memory of a value once it stands in every row.
fn spread(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(_) => size(value),
        ColumnarValue::Scalar(_) => size(value).saturating_mul(rows as u64),
    }
}

/// Adds up what `bytes` says of each row's first three arguments: the length of a text, the value of a number; 0 for none.
fn by_row(args: &[ColumnarValue], rows: usize, bytes: impl Fn([u64; 3]) -> u64) -> Result<u64> {
    let columns = args.iter().take(3).map(|arg| lengths(arg, rows)).collect::<Result<Vec<_>>>()?;
    let scalars_only = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let at = |column: usize, row: usize| -> u64 {
        let Some(column) = columns.get(column) else { return 0 };
        let row = if column.len() == 1 { 0 } else { row };
        if column.is_valid(row) { u64::try_from(column.value(row)).unwrap_or(0) } else { 0 }
    };
    let rows = if scalars_only { 1 } else { rows };
    Ok((0..rows).map(|row| bytes([at(0, row), at(1, row), at(2, row)])).fold(0, u64::saturating_add))
}

/// The lengths of texts in bytes, or the numbers; one for a scalar.
fn lengths(arg: &ColumnarValue, rows: usize) -> Result<Int64Array> {
    let array: ArrayRef = match arg {
        ColumnarValue::Array(array) => ArrayRef::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    let array = if let DataType::Dictionary(_, value) = array.data_type() { cast(&array, value)? } else { array };
    let numbers = if array.data_type().is_numeric() { array } else { length(&array)? };
    let numbers = cast(&numbers, &DataType::Int64)?;
    match numbers.as_primitive_opt::<Int64Type>() {
        Some(numbers) if numbers.len() == 1 || numbers.len() == rows => Ok(numbers.clone()),
        Some(_) | None => exec_err!("an argument has {} values for {rows} rows", numbers.len()),
    }
}
