//! SQL over HTTP: one reading statement in, its rows out.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::params::Params;
use super::problem::Problem;
use super::{App, BODY_BYTES_MAX, accept};
use crate::Principal;

/// A query in the address.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
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
    run(&app, &headers, &params.q).await
}

/// Answers a query given as the body: the bare text, or JSON `{"sql": "…"}`.
#[utoipa::path(post, path = "/api/v1/sql", tag = "sql", request_body(content(
    (String = "text/plain"),
    (SqlBody = "application/json"),
)), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "No SQL, or unknown names", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not a reading query, or too large", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn by_post(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(BODY_BYTES_MAX),
        _ => Problem::bad_request(rejection.body_text()),
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") {
        let body: SqlBody = serde_json::from_slice(&body).map_err(|e| Problem::bad_request(e.to_string()))?;
        return run(&app, &headers, &body.sql).await;
    }
    let sql = std::str::from_utf8(&body).map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
    run(&app, &headers, sql).await
}

async fn run(app: &App, headers: &HeaderMap, sql: &str) -> Result<Response, Problem> {
    let format = accept::format(headers)?;
    accept::answer(app.engine.query(&Principal::local(), sql).await?, format)
}
