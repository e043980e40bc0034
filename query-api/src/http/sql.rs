//! SQL over HTTP: one reading statement in, its rows out.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use datafusion::common::ScalarValue;
use serde::Deserialize;
use serde_json::Value;

use super::params::Params;
use super::problem::Problem;
use super::{App, accept, body};
use crate::{Principal, Question, Sql};

/// A query in the address.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlParams {
    /// The query's text.
    q: String,
}

/// A query in a JSON body.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlBody {
    /// The query's text.
    sql: String,
    /// The values of `$1`, `$2` and so on in it: texts, numbers, truths or nulls. A time is a text.
    #[serde(default)]
    parameters: Vec<Value>,
}

/// Answers a query given in the address.
#[utoipa::path(get, path = "/api/v1/sql", tag = "sql", params(SqlParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "No SQL, or unknown names", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not a reading query, or too large", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn by_get(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<SqlParams>,
) -> Result<Response, Problem> {
    run(&app, &headers, Question::sql(&params.q)).await
}

/// Answers a query given as the body: the bare text, or JSON `{"sql": "… WHERE agent = $1", "parameters": ["anna"]}`.
#[utoipa::path(post, path = "/api/v1/sql", tag = "sql", request_body(content(
    (String = "text/plain"),
    (SqlBody = "application/json"),
)), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "No SQL, or unknown names", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not a reading query, or too large", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn by_post(State(app): State<App>, headers: HeaderMap, request: Request) -> Result<Response, Problem> {
    let body = body::bytes(request).await?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") {
        let body: SqlBody = serde_json::from_slice(&body).map_err(|e| Problem::bad_request(e.to_string()))?;
        let values = body.parameters.iter().enumerate().map(|(at, value)| constant(at + 1, value));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        return run(&app, &headers, Question::Sql(Sql { values, ..Sql::text(&body.sql) })).await;
    }
    let sql = std::str::from_utf8(&body).map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
    run(&app, &headers, Question::sql(sql)).await
}

async fn run(app: &App, headers: &HeaderMap, question: Question) -> Result<Response, Problem> {
    let format = accept::format(headers)?;
    accept::answer(app.engine.execute(&Principal::local(), question).await?, format)
}

/// A value of JSON as one of a column; the engine makes it what its place wants.
fn constant(nth: usize, value: &Value) -> Result<ScalarValue, Problem> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(truth) => Ok(ScalarValue::from(*truth)),
        Value::String(text) => Ok(ScalarValue::from(text.as_str())),
        Value::Number(number) => Ok(match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => ScalarValue::from(whole),
            (None, Some(whole)) => ScalarValue::from(whole),
            (None, None) => ScalarValue::Float64(number.as_f64()),
        }),
        Value::Array(_) | Value::Object(_) => {
            Err(Problem::bad_request(format!("the value of ${nth} is no text, number, truth or null")))
        }
    }
}
