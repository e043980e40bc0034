//! What a plan may do, whatever door it came by: read our tables with known functions, and nothing else.
//!
//! [`super::guard`] looks at texts before they are planned; this looks at the plan itself, so that it holds for plans that no
//! text was parsed for. It refuses what writes or defines, recursion without an end, functions and types that are in no list,
//! windows that gather whole columns into each row, and what the optimizer would be busy with for too long. The optimized plan
//! is looked at once more ([`rows_at_once`]), for the constants that were computed.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan, Operator, Partitioning};
use regex::RegexBuilder;

use super::QueryError;
use super::functions::{AGGREGATES, CONSTANT_BYTES_MAX, GATHERING, WIDTH_MAX, WINDOWS, kind, pattern_at};
use super::guard::{ARMS_MAX, GROUPINGS_MAX};
use super::size::Size;
use super::substitution;

/// Most expressions of a plan, WITH clauses counted wherever they are used: more keep the optimizer busy for seconds.
pub(super) const EXPRESSIONS_MAX: usize = 20_000;
/// Most joins; engines that look for the best order of more than that take their time, and memory for each.
const JOINS_MAX: usize = 20;
/// Most columns at any place in a plan; all tables together have about two hundred.
const COLUMNS_MAX: usize = 2_000;
/// Longest regular expression, and the most memory that it may take when compiled, which happens for each batch of rows.
const PATTERN_BYTES_MAX: usize = 1_024;
const PATTERN_MEMORY_MAX: usize = 1 << 20;
/// Most bytes of all constants of a plan, the computed ones among them.
const CONSTANTS_BYTES_MAX: u64 = 256 << 10;
/// What the constants and gathered values of a batch of rows may come to if each stood in every row.
const COPIES_BYTES_MAX: u64 = 16 << 20;
/// Rows of a batch, usually; where each row becomes many; at least.
const ROWS: u64 = 8_192;
const ROWS_UNNESTED: u64 = 128;
const ROWS_MIN: u64 = 16;

/// Functions that make much of a short text, or take many steps.
const MULTIPLYING: [&str; 6] = ["array_has_all", "array_has_any", "levenshtein", "lpad", "repeat", "rpad"];

/// What is said to whoever sends anything else.
pub(super) const ALLOWED: &str = "allowed is one SELECT (WITH and VALUES included), or EXPLAIN or DESCRIBE";

/// Refuses what is no reading plan, or more than a plan may be.
pub(super) fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    Size::of(plan)?;
    let mut found = look(plan, Stage::Asked)?;
    if found.joins > JOINS_MAX {
        found.refuse(format!("the query has {} joins, at most {JOINS_MAX} are allowed", found.joins));
    }
    if found.reason.is_none() {
        let conditions = substitution::conditions(plan).map_err(|e| QueryError::from_plan(&e))?;
        if conditions > EXPRESSIONS_MAX as u64 {
            found.refuse(format!(
                "the conditions of the query come to {conditions} expressions with the computed columns in them put in place, at most {EXPRESSIONS_MAX} are allowed"
            ));
        }
    }
    found.answer(())
}

/// How a plan may run.
pub(super) struct Manner {
    /// Rows of a batch.
    pub(super) rows: usize,
    /// It builds much of little, whatever it reads.
    pub(super) builds: bool,
}

/// Refuses an optimized plan whose constants are too large, and says how it may run.
pub(super) fn rows_at_once(plan: &LogicalPlan) -> Result<Manner, QueryError> {
    let mut found = look(plan, Stage::Optimized)?;
    if found.constants > CONSTANTS_BYTES_MAX {
        found.refuse(format!(
            "the constants of the query come to {} bytes, at most {CONSTANTS_BYTES_MAX} are allowed",
            found.constants
        ));
    }
    // What an aggregate has gathered is copied only where its row meets many others.
    let met = found.joins > 0 || found.subqueries > 0 || found.unnests > 0;
    let gathered = if met { found.gathered.saturating_mul(WIDTH_MAX) } else { 0 };
    let copies = found.constants.saturating_sub(found.listed).saturating_add(gathered).max(1);
    let most = if found.unnests > 0 { ROWS_UNNESTED } else { ROWS };
    let rows = (COPIES_BYTES_MAX / copies).clamp(ROWS_MIN, most);
    let builds = rows < ROWS || found.gathered > 0 || found.multiplied > 0;
    found.answer(Manner { rows: usize::try_from(rows).unwrap_or(usize::MAX), builds })
}

/// What the engine made of a plan already: its optimizer may use functions that nobody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Optimized,
}

fn look(plan: &LogicalPlan, stage: Stage) -> Result<Found, QueryError> {
    let mut found = Found::at(stage);
    let looked = plan.apply_with_subqueries(|node| {
        found.node(node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found.expr(expr);
                Ok(found.go_on())
            })
        })?;
        Ok(found.go_on())
    });
    looked.map_err(|e| QueryError::from_plan(&e))?;
    Ok(found)
}

struct Found {
    stage: Stage,
    expressions: usize,
    joins: usize,
    unnests: usize,
    subqueries: usize,
    /// Aggregates that gather.
    gathered: u64,
    /// Calls that make much of a short text, or take many steps.
    multiplied: u64,
    /// Bytes of all constants, and of those that are only compared with.
    constants: u64,
    listed: u64,
    reason: Option<String>,
}

impl Found {
    fn at(stage: Stage) -> Self {
        let (expressions, joins, unnests, subqueries) = (0, 0, 0, 0);
        Self {
            stage,
            expressions,
            joins,
            unnests,
            subqueries,
            gathered: 0,
            multiplied: 0,
            constants: 0,
            listed: 0,
            reason: None,
        }
    }

    fn answer<T>(self, answer: T) -> Result<T, QueryError> {
        self.reason.map_or(Ok(answer), |reason| Err(QueryError::Refused { reason }))
    }

    fn go_on(&self) -> TreeNodeRecursion {
        if self.reason.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
    }

    fn refuse(&mut self, reason: String) {
        self.reason.get_or_insert(reason);
    }

    fn node(&mut self, node: &LogicalPlan) {
        let columns = node.schema().fields().len();
        if columns > COLUMNS_MAX {
            self.refuse(format!("the query has {columns} columns at one place, at most {COLUMNS_MAX} are allowed"));
        }
        match node {
            LogicalPlan::Join(_) => self.joins += 1,
            LogicalPlan::Unnest(_) => self.unnests += 1,
            LogicalPlan::Union(union) if self.stage == Stage::Asked && union.inputs.len() > ARMS_MAX => {
                let arms = union.inputs.len();
                self.refuse(format!("the query has {arms} UNION arms, at most {ARMS_MAX} are allowed"));
            }
            LogicalPlan::Aggregate(aggregate) if self.stage == Stage::Asked => self.groupings(&aggregate.group_expr),
            LogicalPlan::Repartition(repartition)
                if !matches!(repartition.partitioning_scheme, Partitioning::DistributeBy(_)) =>
            {
                self.refuse("a plan does not choose its number of partitions".to_owned());
            }
            LogicalPlan::Explain(explain) if explain.verbose => {
                self.refuse("EXPLAIN VERBOSE, which shows every step of the optimizer, is not available".to_owned());
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::DescribeTable(_) => {}
            LogicalPlan::Statement(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::RecursiveQuery(_) => {
                self.refuse(format!("{} is not a query: {ALLOWED}", node.display()));
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what else there is only computes")]
    fn expr(&mut self, expr: &Expr) {
        self.expressions += 1;
        if self.expressions > EXPRESSIONS_MAX {
            let used = "tables and clauses counted wherever they are used";
            self.refuse(format!("the query has more than {EXPRESSIONS_MAX} expressions, {used}"));
        }
        match expr {
            Expr::ScalarFunction(call) if self.stage == Stage::Asked => self.call(call),
            Expr::ScalarFunction(call) => self.multiplied += u64::from(MULTIPLYING.contains(&call.name())),
            Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
                self.refuse("functions of functions are not available".to_owned());
            }
            Expr::AggregateFunction(call) => {
                self.gathered += u64::from(GATHERING.contains(&call.func.name()));
                if self.stage == Stage::Asked && !AGGREGATES.contains(&call.func.name()) {
                    self.refuse(format!("the aggregate {} is not available", call.func.name()));
                }
            }
            Expr::WindowFunction(call) if self.stage == Stage::Asked => self.window(&call.fun),
            Expr::InList(within) => self.listed += within.list.iter().map(constant_bytes).sum::<u64>(),
            Expr::Cast(cast) => self.cast_to(cast.field.data_type()),
            Expr::TryCast(cast) => self.cast_to(cast.field.data_type()),
            Expr::BinaryExpr(binary) if matches_pattern(binary.op) => self.pattern(&binary.right),
            Expr::SimilarTo(like) => self.pattern(&like.pattern),
            Expr::ScalarSubquery(_) => self.subqueries += 1,
            Expr::Placeholder(parameter) => self.refuse(format!("{} has no value", parameter.id)),
            Expr::Literal(constant, _) => self.constant(constant),
            _ => {}
        }
    }

    /// In how many ways an aggregate groups: each is a pass over its rows.
    fn groupings(&mut self, groups: &[Expr]) {
        let ways = |expr: &Expr| {
            let Expr::GroupingSet(grouping) = expr else { return 1 };
            match grouping {
                GroupingSet::Cube(columns) => 1 << columns.len().min(32),
                GroupingSet::Rollup(columns) => columns.len() + 1,
                GroupingSet::GroupingSets(sets) => sets.len().max(1),
            }
        };
        let all = groups.iter().map(ways).fold(1, usize::saturating_mul);
        if all > GROUPINGS_MAX {
            self.refuse(format!("the query groups in {all} ways, at most {GROUPINGS_MAX} are allowed"));
        }
    }

    fn call(&mut self, call: &ScalarFunction) {
        if kind(call.name()).is_none() {
            self.refuse(format!("the function {} is not available", call.name()));
        }
        if let Some(pattern) = pattern_at(call.name()).and_then(|at| call.args.get(at)) {
            self.pattern(pattern);
        }
        if matches!(call.name(), "arrow_cast" | "arrow_try_cast") {
            match call.args.get(1).and_then(text_of).map(|name| name.parse::<DataType>()) {
                Some(Ok(given)) => self.cast_to(&given),
                Some(Err(_)) | None => self.refuse(format!("{} takes a constant type", call.name())),
            }
        }
    }

    fn window(&mut self, function: &WindowFunctionDefinition) {
        let name = function.name();
        let known = match function {
            WindowFunctionDefinition::AggregateUDF(_) if GATHERING.contains(&name) => {
                self.refuse(format!("{name} over a window would put the column into each row: use it with GROUP BY"));
                true
            }
            WindowFunctionDefinition::AggregateUDF(_) => AGGREGATES.contains(&name),
            WindowFunctionDefinition::WindowUDF(_) => WINDOWS.contains(&name),
        };
        if !known {
            self.refuse(format!("the window function {name} is not available"));
        }
    }

    fn cast_to(&mut self, given: &DataType) {
        if !may_be_cast_to(given) {
            self.refuse(format!("a value cannot be made {given} here"));
        }
    }

    /// A pattern is compiled for each batch of rows: it must be a constant, and small when compiled.
    fn pattern(&mut self, pattern: &Expr) {
        let Some(text) = text_of(pattern) else {
            return self.refuse("a regular expression must be a constant in the query".to_owned());
        };
        if text.len() > PATTERN_BYTES_MAX {
            let bytes = text.len();
            self.refuse(format!("a regular expression has {bytes} bytes, at most {PATTERN_BYTES_MAX} are allowed"));
        } else if let Err(regex::Error::CompiledTooBig(_)) =
            RegexBuilder::new(text).size_limit(PATTERN_MEMORY_MAX).build()
        {
            self.refuse("a regular expression repeats too much: compiled it would be too large".to_owned());
        }
    }

    fn constant(&mut self, constant: &ScalarValue) {
        let bytes = bytes_of(constant);
        self.constants = self.constants.saturating_add(bytes);
        if bytes > CONSTANT_BYTES_MAX {
            self.refuse(format!("a text in the query has {bytes} bytes, at most {CONSTANT_BYTES_MAX} are allowed"));
        }
    }
}

/// The bytes of a constant that may be long.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other constants are numbers, times and truths")]
fn bytes_of(constant: &ScalarValue) -> u64 {
    let bytes = match constant {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len)
        }
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) | ScalarValue::BinaryView(bytes) => {
            bytes.as_ref().map_or(0, Vec::len)
        }
        ScalarValue::Dictionary(_, value) => return bytes_of(value),
        other if other.data_type().is_nested() => other.size(),
        ScalarValue::FixedSizeBinary(size, _) => usize::try_from(*size).unwrap_or(0),
        _ => 0,
    };
    bytes as u64
}

fn constant_bytes(expr: &Expr) -> u64 {
    if let Expr::Literal(constant, _) = expr { bytes_of(constant) } else { 0 }
}

/// A constant text, as it stands or after a cast that the planner put around it.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else there is, is no constant text")]
fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text), _) => {
            // Nothing is matched by nothing.
            Some(text.as_deref().unwrap_or_default())
        }
        Expr::Cast(cast) => text_of(&cast.expr),
        Expr::Alias(alias) => text_of(&alias.expr),
        _ => None,
    }
}

fn matches_pattern(op: Operator) -> bool {
    [Operator::RegexMatch, Operator::RegexIMatch, Operator::RegexNotMatch, Operator::RegexNotIMatch].contains(&op)
}

/// Types whose values are as large as their content. One value of a fixed size may have any size, even where it is null.
fn may_be_cast_to(given: &DataType) -> bool {
    match given {
        DataType::FixedSizeBinary(_)
        | DataType::FixedSizeList(..)
        | DataType::RunEndEncoded(..)
        | DataType::Union(..)
        | DataType::Map(..)
        | DataType::Struct(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => false,
        DataType::List(entry) | DataType::LargeList(entry) => may_be_cast_to(entry.data_type()),
        DataType::Dictionary(_, value) => may_be_cast_to(value),
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
    }
}
