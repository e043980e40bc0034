//! Statements with parameters: their types are told before they run, their values are constants like any other.

use arrow::datatypes::{DataType, TimeUnit};
use calltide_query_api::{Description, Principal, QueryError, QueryOutput, Question, Sql};
use datafusion::common::ScalarValue;
use serde_json::{Value, json};

use crate::bench::{Bench, at, rows};

async fn ask(bench: &Bench, text: &str, values: &[ScalarValue]) -> Result<QueryOutput, QueryError> {
    let sql = Sql { values: values.to_vec(), ..Sql::text(text) };
    bench.engine.execute(&Principal::local(), Question::Sql(sql)).await
}

async fn answer(bench: &Bench, text: &str, values: &[ScalarValue]) -> Value {
    rows(&ask(bench, text, values).await.unwrap_or_else(|e| panic!("{text}: {e:?}")))
}

async fn described(bench: &Bench, text: &str, types: &[Option<DataType>]) -> Result<Description, QueryError> {
    let sql = Sql { types: types.to_vec(), ..Sql::text(text) };
    bench.engine.describe(&Principal::local(), sql).await
}

/// Three calls, the first one in the lake.
fn calls() -> Bench {
    let bench = Bench::new();
    let call = |id: &str, agent: &str, talk: i64, hour: u32| {
        let started = at(&format!("2026-03-01T{hour:02}:00:00Z"));
        json!({"call_id": id, "version": 1, "agent": agent, "talk_ms": talk, "started_at": started})
    };
    let all = [call("p/1", "anna", 1, 9), call("p/2", "bert", 2, 10), call("p/3", "anna' OR 1=1 --", 3, 11)];
    for call in &all {
        bench.publish("calls", call.clone());
    }
    bench.lake("calls").commit("2026-03-01", &all[..1], 1);
    bench
}

#[tokio::test]
async fn a_statement_is_described_and_then_answered_with_values() {
    let bench = calls();
    let text =
        "SELECT call_id, talk_ms + $2 AS more FROM calls WHERE agent = $1 AND started_at >= $3 ORDER BY 1 LIMIT $4";
    let told = described(&bench, text, &[]).await.unwrap();
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(told.parameters, [DataType::Utf8, DataType::Int64, time, DataType::Int64]);
    let columns: Vec<_> = told.schema.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    assert_eq!(columns, [("call_id", DataType::Utf8), ("more", DataType::Int64)]);
    let values = |agent: &str, at: &str| {
        [ScalarValue::from(agent), ScalarValue::from(10_i64), ScalarValue::from(at), ScalarValue::from(5_i64)]
    };
    let found = ask(&bench, text, &values("anna", "2026-03-01T00:00:00Z")).await.unwrap();
    assert_eq!(
        found.schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>(),
        [DataType::Utf8, DataType::Int64]
    );
    assert_eq!(rows(&found), json!([{"call_id": "p/1", "more": 11}]));
    assert_eq!(answer(&bench, text, &values("anna", "2026-03-01T10:00:00Z")).await, json!([]));
    assert_eq!(answer(&bench, text, &values("bert", "2026-03-01")).await, json!([{"call_id": "p/2", "more": 12}]));
}

#[tokio::test]
async fn a_value_is_never_read_as_sql() {
    let bench = calls();
    let text = "SELECT call_id FROM calls WHERE agent = $1";
    let found = answer(&bench, text, &[ScalarValue::from("anna' OR 1=1 --")]).await;
    assert_eq!(found, json!([{"call_id": "p/3"}]));
    assert_eq!(answer(&bench, text, &[ScalarValue::Null]).await, json!([]));
}

#[tokio::test]
async fn types_are_declared_or_follow_from_their_use() {
    let bench = calls();
    let whole = Some(DataType::Int64);
    let told = described(&bench, "SELECT $1 + $2 AS sum", &[whole.clone(), whole.clone()]).await.unwrap();
    assert_eq!(told.parameters, [DataType::Int64, DataType::Int64]);
    assert_eq!(told.schema.field(0).data_type(), &DataType::Int64);
    let told = described(&bench, "SELECT $1 AS it FROM calls WHERE agent = $2", &[whole.clone(), None]).await.unwrap();
    assert_eq!(told.parameters, [DataType::Int64, DataType::Utf8]);
    let told = described(&bench, "SELECT $1 AS it", &[]).await.unwrap();
    assert_eq!((told.parameters, told.schema.field(0).data_type()), (vec![DataType::Utf8], &DataType::Utf8));
    let sql = Sql {
        text: "SELECT $1 + $2 AS sum".to_owned(),
        types: vec![whole.clone(), whole],
        values: vec![ScalarValue::from("1"), ScalarValue::from(2_i32)],
    };
    let sum = bench.engine.execute(&Principal::local(), Question::Sql(sql)).await.unwrap();
    assert_eq!(rows(&sum), json!([{"sum": 3}]));
    // A fraction stays one where the column has whole numbers.
    let text = "SELECT call_id FROM calls WHERE talk_ms > $1 ORDER BY call_id";
    assert_eq!(answer(&bench, text, &[ScalarValue::from(1.5)]).await, json!([{"call_id": "p/2"}, {"call_id": "p/3"}]));
    assert_eq!(answer(&bench, text, &[ScalarValue::from(2.0)]).await, json!([{"call_id": "p/3"}]));
}

#[tokio::test]
async fn values_that_do_not_fit_are_named() {
    let bench = calls();
    let text = "SELECT call_id FROM calls WHERE started_at > $1 AND agent = $2";
    let one = ScalarValue::from("anna");
    for (text, values, says) in [
        (text, vec![], "has 2 parameters, 0 values"),
        (text, vec![one.clone(); 3], "has 2 parameters, 3 values"),
        (text, vec![one.clone(), one.clone()], "the value of $1"),
        ("SELECT 1", vec![one.clone()], "has 0 parameters, 1 values"),
        ("SELECT $name", vec![one.clone()], "`$name` is no parameter"),
        ("SELECT $0", vec![one.clone()], "zero"),
        ("SELECT 1 FROM calls WHERE agent = ?", vec![one.clone()], ""),
    ] {
        match ask(&bench, text, &values).await {
            Err(QueryError::Invalid { message }) => assert!(message.contains(says), "{text}: {message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_refused_as_text_is_refused_with_parameters() {
    let bench = calls();
    let long = ScalarValue::from("y".repeat(5_000));
    let short = ScalarValue::from("y");
    let repeated = ScalarValue::from("(\\w{100}){100}");
    for (text, value, says) in [
        ("SELECT $1", long.clone(), "a text in the query has 5000 bytes"),
        ("SELECT * FROM calls WHERE agent = $1", long, "a text in the query has 5000 bytes"),
        ("SELECT * FROM calls WHERE regexp_like(agent, $1)", repeated, "repeats too much"),
        ("INSERT INTO calls SELECT $1", short.clone(), "INSERT is not a query"),
        ("COPY (SELECT $1) TO '/tmp/stolen.csv'", short.clone(), "not a query"),
        ("PREPARE p AS SELECT $1", short.clone(), "PREPARE is not a query"),
        ("EXPLAIN ANALYZE INSERT INTO calls SELECT $1", short.clone(), "not a query"),
        ("SELECT $1001", short, "1001 parameters"),
    ] {
        match ask(&bench, text, &[value]).await {
            Err(QueryError::Refused { reason }) => assert!(reason.contains(says), "{text}: {reason}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in ["INSERT INTO calls SELECT $1", "SELECT 1; SELECT $1", "SET x = $1", "CREATE TABLE t AS SELECT $1"] {
        assert!(matches!(described(&bench, text, &[]).await, Err(QueryError::Refused { .. })), "{text}");
    }
    let chain = format!("SELECT {} AS n", vec!["$1"; 2_000].join("+"));
    assert!(matches!(described(&bench, &chain, &[]).await, Err(QueryError::Refused { .. })));
}
