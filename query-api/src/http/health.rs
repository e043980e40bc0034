//! Whether the server lives, whether it can answer, and its own metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::problem::Problem;
use super::{App, MetricsText};

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
    app.engine.probe().await.map_err(|error| Problem::unavailable(Problem::from(error).into_detail()))?;
    Ok("ok\n")
}

/// Metrics of this process and, where `up` runs over the same data, of its collectors and folds.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Metrics in Prometheus' text format", content_type = "text/plain"),
    (status = 404, description = "No metrics are kept", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let Some(metrics) = app.metrics else {
        return Problem::not_found("this process keeps no metrics").into_response();
    };
    match tokio::task::spawn_blocking(move || metrics()).await {
        Ok(text) => shown(text),
        Err(error) => Problem::internal(error.to_string()).into_response(),
    }
}

fn shown(text: String) -> Response {
    ([("content-type", "text/plain; version=0.0.4")], text).into_response()
}

/// `/healthz`, `/readyz` and `/metrics` of a process that answers no queries. `ready` says why it is not.
pub fn health_router(ready: impl Fn() -> Result<(), String> + Send + Sync + 'static, metrics: MetricsText) -> Router {
    let ready = Arc::new(ready);
    let ready = move || {
        let ready = Arc::clone(&ready);
        async move {
            match ready() {
                Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
                Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            }
        }
    };
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(async move || shown(metrics())))
}

/// The same of one that will answer queries and cannot yet, and says why to whoever asks.
pub fn waiting_router(reason: &'static str, metrics: MetricsText) -> Router {
    health_router(|| Err(reason.to_owned()), metrics).fallback(async || Problem::not_ready(reason))
}
