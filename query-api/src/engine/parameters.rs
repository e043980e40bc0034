//! The parameters of a statement: `$1`, `$2` and so on, whose types are declared or follow from their use, and whose values are
//! put into the plan as constants before it is looked at.
//!
//! So nothing that is said of constants can be got around by a parameter. It knows no tables.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Statement as Prepared};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{DataType as Word, ExactNumberInfo, Ident, Statement as Sql, TimezoneInfo};

use super::QueryError;

/// Most parameters of a statement; each is an expression, and lists belong into a join.
const PARAMETERS_MAX: usize = 1_000;

/// A planned statement, still with its parameters.
pub(super) struct Typed {
    plan: LogicalPlan,
    /// Of each parameter, as far as it is known.
    types: Vec<Option<DataType>>,
}

impl Typed {
    /// Plans a statement over the tables of a session.
    pub(super) async fn plan(
        state: &SessionState,
        statement: Statement,
        declared: &[Option<DataType>],
    ) -> Result<Self, QueryError> {
        check_count(declared.len())?;
        let invalid = |e: datafusion::error::DataFusionError| QueryError::from_plan(&e);
        let words = match &statement {
            Statement::Statement(_) => words(state, &statement, declared).await?,
            // An EXPLAIN: the types follow from their use.
            Statement::Explain(_) | Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {
                Vec::new()
            }
        };
        let plan = match statement {
            Statement::Statement(statement) if !words.is_empty() => {
                let prepare = Sql::Prepare { name: Ident::new("asked"), data_types: words, statement };
                let plan = state.statement_to_plan(Statement::Statement(Box::new(prepare))).await.map_err(invalid)?;
                if let LogicalPlan::Statement(Prepared::Prepare(prepare)) = plan {
                    Arc::unwrap_or_clone(prepare.input)
                } else {
                    plan
                }
            }
            statement @ (Statement::Statement(_)
            | Statement::Explain(_)
            | Statement::CreateExternalTable(_)
            | Statement::CopyTo(_)
            | Statement::Reset(_)) => state.statement_to_plan(statement).await.map_err(invalid)?,
        };
        let mut types = types_of(&plan)?;
        types.resize(types.len().max(declared.len()), None);
        for (found, declared) in types.iter_mut().zip(declared) {
            // The planner's own word for the type comes first: the values must be of that.
            *found = found.take().or_else(|| declared.clone());
        }
        Ok(Self { plan, types })
    }

    /// The types as they are told: text where nothing says otherwise.
    pub(super) fn shown(&self) -> Vec<DataType> {
        let shown = |found: &Option<DataType>| match found {
            None | Some(DataType::Null | DataType::Utf8View) => DataType::Utf8,
            Some(known) => known.clone(),
        };
        self.types.iter().map(shown).collect()
    }

    /// The plan with these values.
    pub(super) fn bind(self, values: Vec<ScalarValue>) -> Result<LogicalPlan, QueryError> {
        if values.len() != self.types.len() {
            let message = format!("the query has {} parameters, {} values were given", self.types.len(), values.len());
            return Err(QueryError::Invalid { message });
        }
        if values.is_empty() {
            return Ok(self.plan);
        }
        let all = self.types.iter().zip(values).enumerate();
        let values = all.map(|(at, (wanted, value))| fit(at + 1, value, wanted.as_ref()));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.plan.with_param_values(values).map_err(|e| QueryError::from_plan(&e))
    }

    /// The plan with a null of its type for each parameter: what it would give is the same.
    pub(super) fn bind_nothing(self) -> Result<LogicalPlan, QueryError> {
        let nulls = self.shown().iter().map(ScalarValue::try_from).collect::<Result<Vec<_>, _>>();
        self.bind(nulls.map_err(|e| QueryError::from_plan(&e))?)
    }
}

/// The declared types in SQL's words. Where only some are declared, the others are taken from a plan without any.
async fn words(
    state: &SessionState,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Vec<Word>, QueryError> {
    if declared.iter().all(Option::is_none) {
        return Ok(Vec::new());
    }
    let used = match declared.iter().any(Option::is_none) {
        // It may not be to be planned so; then they are texts.
        true => state.statement_to_plan(statement.clone()).await.map_or(Ok(Vec::new()), |plan| types_of(&plan))?,
        false => Vec::new(),
    };
    let all = declared.iter().enumerate();
    all.map(|(at, declared)| match (declared, used.get(at).and_then(Option::as_ref)) {
        (Some(declared), _) => word(declared),
        (None, Some(used)) => word(used).or(Ok(Word::Text)),
        (None, None) => Ok(Word::Text),
    })
    .collect()
}

/// A type in SQL's words.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other types are of no use to a client")]
fn word(declared: &DataType) -> Result<Word, QueryError> {
    Ok(match declared {
        DataType::Boolean => Word::Boolean,
        DataType::Int8 | DataType::Int16 => Word::SmallInt(None),
        DataType::Int32 => Word::Int(None),
        DataType::Int64 => Word::BigInt(None),
        DataType::Float32 => Word::Real,
        DataType::Float64 => Word::DoublePrecision,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Word::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Word::Bytea,
        DataType::Date32 => Word::Date,
        DataType::Timestamp(_, None) => Word::Timestamp(None, TimezoneInfo::None),
        DataType::Timestamp(_, Some(_)) => Word::Timestamp(None, TimezoneInfo::WithTimeZone),
        DataType::Decimal128(precision, scale) => {
            Word::Decimal(ExactNumberInfo::PrecisionAndScale((*precision).into(), (*scale).into()))
        }
        other => return Err(QueryError::Invalid { message: format!("a parameter cannot be of the type {other}") }),
    })
}

/// The types of the parameters as the plan knows them.
fn types_of(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, QueryError> {
    let fields = plan.get_parameter_fields().map_err(|e| QueryError::from_plan(&e))?;
    let mut types = Vec::new();
    for (name, field) in fields {
        let nth = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok()).filter(|nth| *nth > 0);
        let Some(nth) = nth else {
            let message = format!("`{name}` is no parameter: they are $1, $2 and so on");
            return Err(QueryError::Invalid { message });
        };
        check_count(nth)?;
        types.resize(types.len().max(nth), None);
        if let Some(known) = types.get_mut(nth - 1) {
            *known = field.map(|field| field.data_type().clone());
        }
    }
    count_rows_by_numbers(plan, &mut types)?;
    Ok(types)
}

/// How many rows are taken or left out is a number, which the planner does not say.
fn count_rows_by_numbers(plan: &LogicalPlan, types: &mut [Option<DataType>]) -> Result<(), QueryError> {
    let looked = plan.apply_with_subqueries(|node| {
        let LogicalPlan::Limit(limit) = node else { return Ok(TreeNodeRecursion::Continue) };
        for count in limit.skip.iter().chain(&limit.fetch) {
            let Expr::Placeholder(parameter) = count.as_ref() else { continue };
            let nth = parameter.id.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
            if let Some(known) = nth.and_then(|nth| types.get_mut(nth.checked_sub(1)?)) {
                known.get_or_insert(DataType::Int64);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    looked.map(drop).map_err(|e| QueryError::from_plan(&e))
}

fn check_count(count: usize) -> Result<(), QueryError> {
    if count > PARAMETERS_MAX {
        let reason = format!("the query has {count} parameters, at most {PARAMETERS_MAX} are allowed");
        return Err(QueryError::Refused { reason });
    }
    Ok(())
}

/// A value as the type that its place wants.
fn fit(nth: usize, value: ScalarValue, wanted: Option<&DataType>) -> Result<ScalarValue, QueryError> {
    let Some(wanted) = wanted.filter(|wanted| **wanted != DataType::Null) else { return Ok(value) };
    // It is compared as the fraction that it is, not cut off.
    if wanted.is_integer() && is_fraction(&value) {
        return Ok(value);
    }
    value.cast_to(wanted).map_err(|_| QueryError::Invalid {
        message: format!("the value of ${nth} is of the type {} and cannot be made {wanted}", value.data_type()),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other value has a fraction")]
fn is_fraction(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(number)) => number.fract() != 0.0,
        ScalarValue::Float32(Some(number)) => number.fract() != 0.0,
        _ => false,
    }
}
