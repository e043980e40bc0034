//! What can be asked, in the words of every door: a text of SQL, with values for its parameters, or a plan that a door made of
//! something else.
//!
//! It decides nothing: [`super::prepare`] turns a question into a plan that may run.

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;

/// A question.
#[derive(Debug, Clone)]
pub enum Question {
    /// By SQL.
    Sql(Sql),
    /// By a plan over the tables of [`super::Engine::planner`]. They are taken by their names, whatever rows the plan would
    /// read, and the functions must be those of that planner.
    Plan(Box<LogicalPlan>),
}

/// One statement.
#[derive(Debug, Clone, Default)]
pub struct Sql {
    /// Its text; parameters are `$1`, `$2` and so on.
    pub text: String,
    /// The types of the parameters, as far as the asker has declared them. What is not is taken from how the text uses it.
    pub types: Vec<Option<DataType>>,
    /// The parameters' values, one for each. They are made what the types say, where that loses nothing.
    pub values: Vec<ScalarValue>,
}

/// What a statement takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The types of its parameters, in order; text where nothing says otherwise.
    pub parameters: Vec<DataType>,
    /// The columns of its answer.
    pub schema: SchemaRef,
}

impl Sql {
    /// A statement without parameters.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

impl Question {
    /// A text without parameters.
    pub fn sql(text: &str) -> Self {
        Self::Sql(Sql::text(text))
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Sql(sql) => &sql.text,
            Self::Plan(_) => "a ready plan",
        }
    }

    /// How long it is; a plan's length is not known before it was looked at.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Sql(sql) => sql.text.len() + sql.values.iter().map(ScalarValue::size).sum::<usize>(),
            Self::Plan(_) => usize::MAX,
        }
    }
}
