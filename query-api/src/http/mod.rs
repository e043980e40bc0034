//! The HTTP door: reports, calls and SQL under `/api/v1`, health, metrics, and the OpenAPI document.
//!
//! An adapter: it turns requests into queries of the [`crate::engine`] and results into what `Accept` asks for; errors are
//! problem details (RFC 9457). It must not know how anything is counted or stored.
//! Without configured users it serves the loopback interface only, see [`serve`].

mod accept;
mod agents;
mod body;
mod callers;
mod calls;
mod charges;
mod contacts;
mod directory;
mod health;
mod live;
mod openapi;
mod outcomes;
mod params;
mod problem;
mod queues;
mod recycling;
mod serve;
mod sql;
mod terminals;

pub use health::{health_router, waiting_router};
pub use openapi::openapi;
pub use serve::{ServeLimits, serve, serve_anybody, serve_within};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::Engine;
use crate::agents::Terminals;
use crate::recycling::Recycling;
use problem::Problem;

/// Longest request body: a query's text (64 KB), with room for JSON's escapes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Gives what `/metrics` shows, in Prometheus' text format. It may block for a moment.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What every handler has.
#[derive(Clone)]
struct App {
    engine: Arc<Engine>,
    metrics: Option<MetricsText>,
    doors: Option<Doors>,
}

/// Where people and programs say something, over a log that can be written to.
#[derive(Clone)]
pub struct Doors {
    /// Lists, promises, and the way of dialers.
    pub recycling: Arc<Recycling>,
    /// Agents' terminals, and the directory.
    pub terminals: Arc<Terminals>,
}

/// Why the door stays closed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anybody could read everything.
    #[error(
        "address {address} is reachable by others, and no users are configured: only loopback addresses are served"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The socket failed.
    #[error("cannot serve HTTP")]
    Io(#[from] std::io::Error),
}

/// All routes over one engine. `metrics` is what `/metrics` shows; without `doors` nothing can be said, only asked.
pub fn router(engine: Arc<Engine>, metrics: Option<MetricsText>, doors: Option<Doors>) -> Router {
    Router::new()
        .route("/api/v1/reports/outcomes", get(outcomes::outcomes))
        .route("/api/v1/reports/queues", get(queues::queues))
        .route("/api/v1/reports/agents", get(agents::agents))
        .route("/api/v1/reports/teams", get(agents::teams))
        .route("/api/v1/reports/callers", get(callers::callers))
        .route("/api/v1/live", get(live::live))
        .route("/api/v1/reports/charges", get(charges::charges))
        .route("/api/v1/reports/recycling", get(contacts::recycling))
        .route("/api/v1/recycling/due", get(recycling::due))
        .route("/api/v1/recycling/ack", post(recycling::ack))
        .route("/api/v1/recycling/stream", get(recycling::follow))
        .route("/api/v1/contacts", post(recycling::load))
        .route("/api/v1/contacts/standing", post(recycling::stand))
        .route("/api/v1/contacts/callback", post(recycling::promise))
        .route("/api/v1/contacts/{campaign}/{*contact}", get(contacts::show))
        .route("/api/v1/do-not-call", post(recycling::list))
        .route("/api/v1/agents/{id}/terminals", post(terminals::say))
        .route("/api/v1/directory", get(directory::list))
        .route("/api/v1/directory/{kind}/{*id}", get(directory::show).put(directory::put).delete(directory::remove))
        .route("/api/v1/calls", get(calls::list))
        .route("/api/v1/calls/{*id}", get(calls::show))
        .route("/api/v1/sql", get(sql::by_get).post(sql::by_post))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::show))
        .fallback(async || Problem::not_found("there is nothing at this address; see /openapi.json"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(from_no_other_site))
        .layer(middleware::from_fn(only_by_a_local_name))
        .with_state(App { engine, metrics, doors })
}

/// Refuses requests that came by a name of somebody else's: a web page can make its own name point here, and its script in
/// the browser of somebody on this machine would read everything.
async fn only_by_a_local_name(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.or_else(|| request.uri().host()).unwrap_or("localhost");
    let name = match name.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => name,
    };
    let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if name.eq_ignore_ascii_case("localhost") || literal.is_ok_and(|ip| ip.is_loopback()) {
        next.run(request).await
    } else {
        Problem::misdirected(name).into_response()
    }
}

/// Refuses what the page of another site sends: a browser does not show that page the answer, but the query would have run.
async fn from_no_other_site(request: Request, next: Next) -> Response {
    if is_from_another_site(&request) { Problem::foreign().into_response() } else { next.run(request).await }
}

fn is_from_another_site(request: &Request) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin" | "none"), _) => false,
        // A link to an answer is as good as its address typed in.
        (Some(_), _) => text("sec-fetch-mode") != Some("navigate") || request.method() != Method::GET,
        (None, Some(origin)) => {
            let host = text("host").unwrap_or_default();
            origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
        }
        (None, None) => false,
    }
}
