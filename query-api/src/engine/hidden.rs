//! The condition that takes rows of the lake out of a table because the log holds a newer version of them.
//!
//! A function in the plan rather than a list of literals: it may hold as many keys as the lake's writer is behind.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// True for keys that are not in the set.
#[derive(Debug)]
pub(super) struct NotReplaced {
    keys: Arc<HashSet<Arc<str>>>,
    signature: Signature,
}

impl NotReplaced {
    /// The condition on a table's key column.
    pub(super) fn condition(keys: &Arc<HashSet<Arc<str>>>, key: Expr) -> Expr {
        let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
        ScalarUDF::from(Self { keys: Arc::clone(keys), signature }).call(vec![key])
    }
}

// Two of them are the same function when they look into the same set.
impl PartialEq for NotReplaced {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
    }
}

impl Eq for NotReplaced {}

impl Hash for NotReplaced {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.keys).hash(state);
    }
}

impl ScalarUDFImpl for NotReplaced {
    fn name(&self) -> &'static str {
        "not_replaced"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(keys) = arrays.first().and_then(|a| a.as_string_opt::<i32>()) else {
            return exec_err!("{} takes a text", self.name());
        };
        let kept: BooleanArray = keys.iter().map(|key| key.map(|key| !self.keys.contains(key))).collect();
        Ok(ColumnarValue::Array(Arc::new(kept)))
    }
}
