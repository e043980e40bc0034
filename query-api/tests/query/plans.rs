//! Plans that were made of something else than SQL: they read our tables at the present moment, and none of the rules that
//! hold for texts can be got around by making the plan by hand.

use std::cmp::Ordering;
use std::fmt::Formatter;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use calltide_query_api::{Principal, QueryError, QueryOutput, Question};
use datafusion::common::{DFSchemaRef, ScalarValue, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::expr_fn::array_agg;
use datafusion::logical_expr::expr::{Placeholder, WindowFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Extension, GroupingSet, LogicalPlan, LogicalPlanBuilder, Partitioning, Projection, Union,
    UserDefinedLogicalNodeCore, Volatility, WindowFunctionDefinition, cast, col, create_udf, lit, not, scalar_subquery,
};
use serde_json::json;

use crate::bench::{Bench, at, rows};

async fn ask(bench: &Bench, plan: LogicalPlan) -> Result<QueryOutput, QueryError> {
    bench.engine.execute(&Principal::local(), Question::Plan(Box::new(plan))).await
}

async fn refused(bench: &Bench, plan: LogicalPlan, says: &str) {
    match ask(bench, plan).await {
        Err(QueryError::Refused { reason: said } | QueryError::Invalid { message: said }) => {
            assert!(said.contains(says), "{said}, not {says}");
        }
        other => panic!("{says}: {other:?}"),
    }
}

/// What a door would have made of its own language.
async fn planned(state: &SessionState, sql: &str) -> LogicalPlan {
    state.create_logical_plan(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn one() -> LogicalPlanBuilder {
    LogicalPlanBuilder::empty(true)
}

/// A plan that reads a table with these rows of its own.
fn over(name: impl Into<TableReference>, columns: &[(&str, &str)]) -> LogicalPlanBuilder {
    let schema =
        Schema::new(columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>());
    let values = columns.iter().map(|(_, text)| Arc::new(StringArray::from(vec![*text])) as ArrayRef);
    let rows = RecordBatch::try_new(Arc::new(schema), values.collect()).unwrap();
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None).unwrap()
}

#[tokio::test]
async fn a_ready_plan_reads_lake_and_log_as_a_text_does() {
    let bench = Bench::new();
    let call = |id: &str, status: &str, version: i64| json!({"call_id": id, "status": status, "version": version, "started_at": at("2026-03-01T09:00:00Z")});
    for (id, status, version) in [("p/1", "busy", 1), ("p/2", "busy", 1), ("p/1", "rejected", 2)] {
        bench.publish("calls", call(id, status, version));
    }
    bench.lake("calls").commit("2026-03-01", &[call("p/1", "busy", 1)], 1);
    bench.publish("attempts", json!({"call_id": "p/1", "campaign": "c", "contact": "anna", "version": 1}));
    let state = bench.engine.planner().unwrap();
    for sql in [
        "SELECT call_id, status FROM calls ORDER BY call_id",
        "SELECT status, count(*) AS n FROM calls GROUP BY status ORDER BY 1",
        "SELECT call_id FROM public.calls WHERE status = 'rejected' AND day = '2026-03-01'",
        "SELECT a.call_id, attempt_no, c.status FROM attempts a JOIN calls c USING (call_id)",
        "SELECT call_id FROM calls WHERE call_id IN (SELECT call_id FROM attempts)",
        "SELECT comment FROM columns WHERE table_name = 'attempts' AND column_name = 'attempt_no'",
        "SELECT upper(status) AS s, row_number() OVER (ORDER BY call_id) AS n FROM calls LIMIT 5",
    ] {
        let plan = planned(&state, sql).await;
        let found = ask(&bench, plan).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        assert!(found.rows() > 0, "{sql}");
        assert_eq!(rows(&found), bench.rows(sql).await, "{sql}");
    }
    // Conditions and columns may have gone into the scan already.
    let plan = planned(&state, "SELECT status FROM calls WHERE call_id = 'p/1'").await;
    let plan = state.optimize(&plan).unwrap();
    assert_eq!(rows(&ask(&bench, plan).await.unwrap()), json!([{"status": "rejected"}]));
}

#[tokio::test]
async fn tables_are_ours_by_their_names_or_not_there() {
    let bench = Bench::new();
    bench.publish("calls", json!({"call_id": "p/1", "version": 1, "started_at": at("2026-03-01T09:00:00Z")}));
    for name in ["passwd", "information_schema.tables", "other.public.calls", "secret.calls"] {
        refused(
            &bench,
            over(TableReference::parse_str(name), &[("line", "root")]).build().unwrap(),
            "there is no table",
        )
        .await;
    }
    let hidden = scalar_subquery(Arc::new(over("passwd", &[("line", "root")]).build().unwrap()));
    refused(&bench, one().project([hidden]).unwrap().build().unwrap(), "there is no table passwd").await;
    refused(&bench, over("calls", &[("line", "root")]).build().unwrap(), "a table of other columns").await;
    // One of the right columns gives our rows, not those that came along.
    let names = ["table_name", "column_name", "data_type", "comment"];
    let plan = over("columns", &names.map(|name| (name, "forged"))).build().unwrap();
    let found = rows(&ask(&bench, plan).await.unwrap()).to_string();
    assert!(found.contains("attempt_no") && !found.contains("forged"), "{found:.300}");
}

#[tokio::test]
async fn what_writes_or_defines_is_refused() {
    let bench = Bench::new();
    let state = bench.engine.planner().unwrap();
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE calls",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "SET datafusion.execution.batch_size = 1",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "EXPLAIN VERBOSE SELECT 1",
    ] {
        refused(&bench, planned(&state, sql).await, "").await;
    }
    let numbers = || one().project([lit(1).alias("n")]).unwrap();
    let endless = numbers().to_recursive_query("r".to_owned(), numbers().build().unwrap(), false).unwrap();
    refused(&bench, endless.build().unwrap(), "is not a query").await;
    let node = Arc::new(Foreign { schema: Arc::clone(one().build().unwrap().schema()) });
    refused(&bench, LogicalPlan::Extension(Extension { node }), "an extension is not a query").await;
}

#[tokio::test]
async fn functions_are_ours_and_listed() {
    let bench = Bench::new();
    let steal = |name: &str| {
        let give = Arc::new(|_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::from("stolen"))));
        let function = create_udf(name, vec![DataType::Utf8], DataType::Utf8, Volatility::Volatile, give);
        one().project([function.call(vec![lit("x")])]).unwrap().build().unwrap()
    };
    for name in ["steal", "upper", "checked", "not_replaced"] {
        refused(&bench, steal(name), &format!("the function {name} is not available")).await;
    }
    let columns = [("table_name", "a"), ("column_name", "b"), ("data_type", "c"), ("comment", "d")];
    let gathering = WindowFunctionDefinition::AggregateUDF(array_agg_udaf());
    let window = Expr::from(WindowFunction::new(gathering, vec![col("comment")]));
    let gathered = over("columns", &columns).window([window]).unwrap();
    refused(&bench, gathered.build().unwrap(), "use it with GROUP BY").await;
    let gathered = over("columns", &columns).aggregate(Vec::<Expr>::new(), [array_agg(col("data_type"))]).unwrap();
    assert_eq!(ask(&bench, gathered.build().unwrap()).await.unwrap().rows(), 1);
}

#[tokio::test]
async fn no_cap_can_be_got_around_by_a_plan_made_by_hand() {
    let bench = Bench::new();
    let plan = |builder: LogicalPlanBuilder| builder.build().unwrap();
    let projected = |exprs: Vec<Expr>| plan(one().project(exprs).unwrap());
    let mut deep = one();
    for _ in 0..3_000 {
        deep = deep.limit(0, Some(1)).unwrap();
    }
    refused(&bench, plan(deep), "more steps upon each other").await;
    let wide = LogicalPlan::Union(Union {
        inputs: (0..5_000).map(|_| Arc::new(plan(one()))).collect(),
        schema: Arc::clone(plan(one()).schema()),
    });
    refused(&bench, wide, "more steps than").await;
    let arms = LogicalPlan::Union(Union {
        inputs: (0..300).map(|_| Arc::new(plan(one()))).collect(),
        schema: Arc::clone(plan(one()).schema()),
    });
    refused(&bench, arms, "300 UNION arms").await;
    let nested = (0..2_000).fold(lit(true), |inner, _| not(inner));
    let shown = Arc::clone(projected(vec![lit(true)]).schema());
    let nested = Projection::try_new_with_schema(vec![nested], Arc::new(plan(one())), shown).unwrap();
    refused(&bench, LogicalPlan::Projection(nested), "more expressions in each other").await;
    let many: Vec<Vec<Expr>> = (0..21_000).map(|n: i64| vec![lit(n)]).collect();
    refused(&bench, plan(LogicalPlanBuilder::values(many).unwrap()), "more expressions, tables").await;
    refused(&bench, projected(vec![lit("y".repeat(5_000))]), "a text in the query has 5000 bytes").await;
    let joined = (0..25).fold(one(), |left, _| left.cross_join(plan(one())).unwrap());
    refused(&bench, plan(joined), "25 joins").await;
    let empty =
        || plan(over("columns", &["table_name", "column_name", "data_type", "comment"].map(|name| (name, "x"))));
    let tables = LogicalPlan::Union(Union {
        inputs: (0..101).map(|_| Arc::new(empty())).collect(),
        schema: Arc::clone(empty().schema()),
    });
    refused(&bench, tables, "reads 101 tables").await;
    let cube = Expr::GroupingSet(GroupingSet::Cube((0..10).map(|n: i32| lit(n).alias(format!("c{n}"))).collect()));
    refused(&bench, plan(one().aggregate([cube], Vec::<Expr>::new()).unwrap()), "groups in 1024 ways").await;
    let spread = one().repartition(Partitioning::RoundRobinBatch(1_000_000)).unwrap();
    refused(&bench, plan(spread), "number of partitions").await;
    let open = Expr::Placeholder(Placeholder::new_with_field("$1".to_owned(), None));
    refused(&bench, projected(vec![open]), "$1 has no value").await;
    let sized = cast(Expr::Literal(ScalarValue::Null, None), DataType::FixedSizeBinary(1_000_000_000));
    refused(&bench, projected(vec![sized]), "cannot be made").await;
    assert_eq!(bench.rows("SELECT 1 AS n").await, json!([{"n": 1}]), "and the next one is answered");
}

/// A step of somebody else's.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Foreign {
    schema: DFSchemaRef,
}

impl PartialOrd for Foreign {
    fn partial_cmp(&self, _: &Self) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        panic!("nobody asks it")
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        panic!("nobody asks it")
    }

    fn fmt_for_explain(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("foreign")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> datafusion::error::Result<Self> {
        panic!("nobody asks it")
    }
}
