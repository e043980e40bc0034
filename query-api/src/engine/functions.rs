//! Which functions a query may call, and how much one call of them may build: functions allocate outside the memory pool, so
//! a text that grows by a number (`repeat`) or by itself (`a || a`) could take all memory before the pool is asked.
//!
//! Every function is in a list or cannot be called: [`Kind::Plain`] ones give one small value a row; what [`Kind::Text`] ones
//! give is checked after each batch; growing ones are asked beforehand. The limits are put into plans, by whatever door they
//! came. It knows no tables.

mod growth;
mod known;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use growth::Growth;
pub(super) use known::{Kind, kind};

/// The most that one call may build from one batch of rows, in bytes.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// Puts the limits into a plan. Runs after the types are known, on every plan.
#[derive(Debug)]
pub(super) struct LimitValues;

impl AnalyzerRule for LimitValues {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let limited = plan.transform_up_with_subqueries(|node| {
            node.map_expressions(|expr| expr.transform_up(|expr| Ok(limit(expr))))
        })?;
        Ok(limited.data)
    }

    fn name(&self) -> &'static str {
        "limit_values"
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what builds values is limited")]
fn limit(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => Transformed::yes(checked(expr)),
        Expr::ScalarFunction(ScalarFunction { func, args }) => match kind(func.name()) {
            Some(Kind::Growing(growth)) if !func.inner().is::<Asked>() => {
                let func = Arc::new(ScalarUDF::new_from_impl(Asked { function: func, growth }));
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
            Some(Kind::Text) => Transformed::yes(checked(Expr::ScalarFunction(ScalarFunction { func, args }))),
            Some(Kind::Growing(_) | Kind::Plain) | None => {
                Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
        },
        other => Transformed::no(other),
    }
}

fn checked(expr: Expr) -> Expr {
    let func = Arc::new(ScalarUDF::new_from_impl(Checked(Signature::any(1, Volatility::Immutable))));
    Expr::ScalarFunction(ScalarFunction { func, args: vec![expr] })
}

fn too_much<T>(what: &str, bytes: u64) -> Result<T> {
    exec_err!("{what} would build {bytes} bytes from a batch of rows, at most {BATCH_BYTES_MAX} are allowed")
}

/// A growing function behind the question how much it would build.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    function: Arc<ScalarUDF>,
    growth: Growth,
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
        let bytes = self.growth.bytes(&args)?;
        if bytes > BATCH_BYTES_MAX {
            return too_much(&format!("{}()", self.name()), bytes);
        }
        self.function.invoke_with_args(args)
    }
}

/// Gives its argument back, unless it is too large. Shows itself under the argument's name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked(Signature);

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        "checked"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.0
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
        let bytes = growth::size(&value);
        if bytes > BATCH_BYTES_MAX { too_much("an expression", bytes) } else { Ok(value) }
    }
}
