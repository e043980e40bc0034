//! Which functions a query may call, and how much they may build: functions allocate outside the memory pool, so a text that
//! grows by a number (`repeat`) or by itself (`a || a`) could take all memory before the pool is asked.
//!
//! Every function is in a list or cannot be called ([`known`]). What builds texts or lists shares the query's [`budget`]; most are
//! asked before they build ([`growth`]). The limits are put into plans ([`limits`]), by whatever door they came. It knows no
//! tables.

mod budget;
mod growth;
mod known;
mod limits;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use budget::{Part, Shape};
use growth::Growth;

pub(super) use budget::CONSTANT_BYTES_MAX;
pub(super) use growth::WIDTH_MAX;
pub(super) use known::{AGGREGATES, GATHERING, WINDOWS, kind, pattern_at};
pub(super) use limits::LimitValues;

/// Most entries that an UNNEST may make of a batch of rows.
const ENTRIES_MAX: u64 = 32_768;
/// Most steps of a costly function for a batch of rows: some tenths of a second, in which it cannot be stopped.
const STEPS_MAX: u64 = 200_000_000;

/// A function behind the question how much it would build.
#[derive(Debug)]
struct Asked {
    function: Arc<ScalarUDF>,
    growth: Growth,
    part: Part,
}

// Whose budget it is, is no part of what it computes.
impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function && self.growth == other.growth
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.function, self.growth).hash(state);
    }
}

// It has no `simplify`: what that returned would be the bare function again.
impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.inner().coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let what = format!("{}()", self.name());
        let needs = self.growth.needs(&args)?;
        if self.growth == Growth::Steps {
            if needs > STEPS_MAX {
                return exec_err!(
                    "{what} would take {needs} steps for a batch of rows, at most {STEPS_MAX} are allowed"
                );
            }
            return self.function.invoke_with_args(args);
        }
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let shape = if constant { Shape::Constant } else { Shape::Rows };
        self.part.take(&what, needs, shape)?;
        let value = self.function.invoke_with_args(args)?;
        if self.growth == Growth::Few {
            self.part.take(&what, growth::size(&value), shape)?;
        }
        Ok(value)
    }
}

/// What is looked at in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    /// Its bytes, in the query's budget.
    Size,
    /// The bytes of its widest row: what an aggregate has gathered may come to stand in many rows.
    Width,
    /// How many rows its lists make.
    Entries,
}

/// Gives its argument back, unless it is too large. Shows itself under the argument's name.
#[derive(Debug)]
struct Checked {
    signature: Signature,
    look: Look,
    part: Part,
}

impl Checked {
    fn call(look: Look, part: Part, arg: Expr) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        ScalarUDF::new_from_impl(Self { signature, look, part }).call(vec![arg])
    }
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.look == other.look
    }
}

impl Eq for Checked {}

impl Hash for Checked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.look.hash(state);
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        "checked"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::clone(field)),
            _ => exec_err!("checked() takes one value"),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.pop() else { return exec_err!("checked() takes one value") };
        match self.look {
            Look::Size => {
                let shape = if matches!(value, ColumnarValue::Scalar(_)) { Shape::Constant } else { Shape::Rows };
                self.part.take("an expression", growth::size(&value), shape)?;
            }
            Look::Width => {
                let bytes = growth::width(&value)?;
                if bytes > WIDTH_MAX {
                    return exec_err!(
                        "an aggregate has gathered {bytes} bytes in one row, at most {WIDTH_MAX} are allowed"
                    );
                }
            }
            Look::Entries => {
                let entries = growth::entries(&value, args.number_rows)?;
                if entries > ENTRIES_MAX {
                    return exec_err!("UNNEST would make {entries} rows of a batch, at most {ENTRIES_MAX} are allowed");
                }
            }
        }
        Ok(value)
    }
}
