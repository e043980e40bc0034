//! Whether the server lives, whether it can answer, and its own metrics.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::Problem;

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "The process lives")))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// A query can be answered over the log and the lake as they are.
#[utoipa::path(get, path = "/readyz", tag = "server", responses(
    (status = 200, description = "Queries are answered"),
    (status = 503, description = "The log or the lake cannot be read", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.engine.report("SELECT count(*) FROM calls WHERE false").await.map_err(Problem::unavailable)?;
    Ok("ok\n")
}

/// Metrics of this process.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Metrics in Prometheus' text format", content_type = "text/plain"),
    (status = 404, description = "No metrics are kept", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    match app.metrics {
        Some(handle) => ([("content-type", "text/plain; version=0.0.4")], handle.render()).into_response(),
        None => Problem::not_found("this process keeps no metrics").into_response(),
    }
}
