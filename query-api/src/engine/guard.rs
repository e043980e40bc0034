//! What a text must look like to be planned at all: one statement that only reads, of a size the planner survives.
//!
//! DataFusion's planner recurses over chains of operators, which its own recursion limit does not see: measured on
//! DataFusion 55, 2,000 terms end the process on a 2 MiB stack and 5,000 keep a 64 MiB stack busy for twenty seconds, and
//! planning never yields, so no deadline helps. Hence the caps here, before the parser and after it. It knows no tables.
//! Read [`super`] for what happens next.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{self, Statement as Sql, Visit, Visitor, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::QueryError;
use super::gateway::ALLOWED;

/// Longest text of a query; a dashboard's generated query is below 10 KB.
const SQL_BYTES_MAX: usize = 64 * 1024;
/// Most operators in one query: 1,000 plan in about a second on one core, and the time grows faster than their number.
const OPERATORS_MAX: usize = 1_000;
/// Most values in all lists together; longer lists belong into a join.
const COMMAS_MAX: usize = 5_000;
/// Deepest nesting of parentheses; the parser's own limit is 50 levels of expressions.
const NESTING_MAX: usize = 50;
/// Most arms of UNION, EXCEPT and INTERSECT.
pub(super) const ARMS_MAX: usize = 200;
/// Most combinations of columns that one query groups by at once: a CUBE of seven.
pub(super) const GROUPINGS_MAX: usize = 128;
/// Most tables read by one query, each repetition counted.
pub(super) const RELATIONS_MAX: usize = 100;

/// Parses one reading statement, or says why not.
pub(super) fn parse(sql: &str) -> Result<Statement, QueryError> {
    check_size(sql)?;
    let mut statements = DFParser::parse_sql(sql).map_err(|e| QueryError::from_plan(&e))?;
    let Some(statement) = statements.pop_front() else {
        return Err(refused(format!("the query is empty: {ALLOWED}")));
    };
    if !statements.is_empty() {
        return Err(refused(format!("there are {} statements: {ALLOWED}", statements.len() + 1)));
    }
    check_kind(&statement)?;
    check_relations(&statement)?;
    check_groupings(&statement)?;
    Ok(statement)
}

fn refused(reason: String) -> QueryError {
    QueryError::Refused { reason }
}

fn check_size(sql: &str) -> Result<(), QueryError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(refused(format!("the query has {} bytes, at most {SQL_BYTES_MAX} are allowed", sql.len())));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|e| QueryError::Invalid { message: format!("cannot be read as SQL: {e}") })?;
    let mut count = Counts::default();
    for token in &tokens {
        count.add(token);
    }
    for (number, max, what) in [
        (count.operators, OPERATORS_MAX, "operators"),
        (count.commas, COMMAS_MAX, "list entries"),
        (count.depth_max, NESTING_MAX, "levels of parentheses"),
        (count.arms, ARMS_MAX, "UNION, EXCEPT or INTERSECT arms"),
    ] {
        if number > max {
            return Err(refused(format!("the query has {number} {what}, at most {max} are allowed")));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    operators: usize,
    commas: usize,
    arms: usize,
    depth: usize,
    depth_max: usize,
}

impl Counts {
    #[expect(clippy::wildcard_enum_match_arm, reason = "sqlparser's tokens: whatever is not structure is an operator")]
    fn add(&mut self, token: &Token) {
        match token {
            Token::Whitespace(_) | Token::SemiColon | Token::EOF | Token::Period => {}
            Token::Number(..) | Token::SingleQuotedString(_) | Token::DollarQuotedString(_) | Token::Placeholder(_) => {
            }
            Token::Comma => self.commas += 1,
            Token::LParen => {
                self.depth += 1;
                self.depth_max = self.depth_max.max(self.depth);
            }
            Token::RParen => self.depth = self.depth.saturating_sub(1),
            Token::Word(word) => match word.keyword {
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => self.arms += 1,
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::XOR | Keyword::IS | Keyword::LIKE => {
                    self.operators += 1;
                }
                Keyword::ILIKE | Keyword::SIMILAR | Keyword::BETWEEN | Keyword::IN | Keyword::DIV => {
                    self.operators += 1
                }
                Keyword::COLLATE | Keyword::AT | Keyword::OVERLAPS | Keyword::WHEN => self.operators += 1,
                _ => {}
            },
            _ => self.operators += 1,
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an allow-list: every other statement is refused")]
fn check_kind(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Explain(explain) => check_kind(&explain.statement),
        Statement::Statement(sql) => match sql.as_ref() {
            Sql::Query(query) => check_body(&query.body),
            Sql::ExplainTable { .. } => Ok(()),
            Sql::Explain { statement, .. } => check_kind(&Statement::Statement(statement.clone())),
            other => Err(refused(format!("{} is not a query: {ALLOWED}", verb(&other.to_string())))),
        },
        other => Err(refused(format!("{} is not a query: {ALLOWED}", verb(&other.to_string())))),
    }
}

/// A query's body can hide a write, as in `WITH x AS (…) INSERT …`.
#[expect(clippy::wildcard_enum_match_arm, reason = "an allow-list: every other body is refused")]
fn check_body(body: &ast::SetExpr) -> Result<(), QueryError> {
    match body {
        ast::SetExpr::Select(select) if select.into.is_some() => {
            Err(refused(format!("SELECT INTO writes a table: {ALLOWED}")))
        }
        ast::SetExpr::Select(_) | ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => Ok(()),
        ast::SetExpr::Query(query) => check_body(&query.body),
        ast::SetExpr::SetOperation { left, right, .. } => check_body(left).and_then(|()| check_body(right)),
        other => Err(refused(format!("{} is not a query: {ALLOWED}", verb(&other.to_string())))),
    }
}

/// Counts the tables that a query reads once its WITH clauses are put in place: two uses of each other double them at
/// every step, so that thirty short lines would keep the planner busy for ever.
fn check_relations(statement: &Statement) -> Result<(), QueryError> {
    let sql = match statement {
        Statement::Explain(explain) => return check_relations(&explain.statement),
        Statement::Statement(sql) => sql,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Ok(()),
    };
    let mut reading = Reading::default();
    let _: ControlFlow<()> = sql.visit(&mut reading);
    let tables = reading.tables;
    if tables > RELATIONS_MAX {
        return Err(refused(format!("the query reads {tables} tables, at most {RELATIONS_MAX} are allowed")));
    }
    Ok(())
}

/// Counts what CUBE, ROLLUP and GROUPING SETS group by: a CUBE of thirteen columns takes a second to plan alone.
fn check_groupings(statement: &Statement) -> Result<(), QueryError> {
    let sql = match statement {
        Statement::Explain(explain) => return check_groupings(&explain.statement),
        Statement::Statement(sql) => sql,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Ok(()),
    };
    let mut groupings: usize = 1;
    let _: ControlFlow<()> = visit_expressions(sql.as_ref(), |expr| {
        if let ast::Expr::Cube(columns) = expr {
            groupings = groupings.saturating_mul(1 << columns.len().min(32));
        } else if let ast::Expr::Rollup(columns) | ast::Expr::GroupingSets(columns) = expr {
            groupings = groupings.saturating_mul(columns.len() + 1);
        }
        ControlFlow::Continue(())
    });
    if groupings > GROUPINGS_MAX {
        return Err(refused(format!("the query groups in {groupings} ways, at most {GROUPINGS_MAX} are allowed")));
    }
    Ok(())
}

/// Counts what a query reads, clauses and what stands between parentheses included. A clause's name means it after it, within
/// its own query; an inner name hides an outer one.
#[derive(Default)]
struct Reading {
    tables: usize,
    within: Vec<Scope>,
}

/// A query that is being gone through.
#[derive(Default)]
struct Scope {
    /// The clauses of its WITH: their queries, to be known again by where they are, and their names.
    clauses: Vec<(*const ast::Query, String)>,
    /// How many tables those that were gone through already read.
    sizes: HashMap<String, usize>,
    tables: usize,
}

impl Reading {
    fn add(&mut self, tables: usize) {
        let count = self.within.last_mut().map_or(&mut self.tables, |scope| &mut scope.tables);
        *count = count.saturating_add(tables);
    }
}

impl Visitor for Reading {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        let clauses = query.with.iter().flat_map(|with| &with.cte_tables);
        let clauses = clauses.map(|clause| (std::ptr::from_ref(clause.query.as_ref()), name_of(&clause.alias.name)));
        self.within.push(Scope { clauses: clauses.collect(), ..Scope::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        let tables = self.within.pop().map_or(0, |scope| scope.tables);
        if let Some(scope) = self.within.last_mut()
            && let Some((_, name)) = scope.clauses.iter().find(|(clause, _)| std::ptr::eq(*clause, query))
        {
            scope.sizes.insert(name.clone(), tables.max(1));
            return ControlFlow::Continue(());
        }
        self.add(tables);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
        let name = relation.0.last().map(ToString::to_string).unwrap_or_default();
        let name = name.trim_matches('"').to_lowercase();
        let known = self.within.iter().rev().find_map(|scope| scope.sizes.get(&name));
        let tables = known.copied().unwrap_or(1);
        self.add(tables);
        ControlFlow::Continue(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "tables by name are counted as such")]
    fn pre_visit_table_factor(&mut self, factor: &ast::TableFactor) -> ControlFlow<()> {
        match factor {
            ast::TableFactor::Table { .. } | ast::TableFactor::NestedJoin { .. } => {}
            _ => self.add(1),
        }
        ControlFlow::Continue(())
    }
}

fn name_of(name: &ast::Ident) -> String {
    name.value.to_lowercase()
}

/// The first word of a statement, for the message.
fn verb(sql: &str) -> String {
    sql.split_whitespace().next().unwrap_or_default().to_uppercase()
}
