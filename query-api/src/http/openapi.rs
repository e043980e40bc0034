//! The OpenAPI document, generated from the handlers; checked in as `query-api/openapi.json`, and a test compares the two.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;

use super::{
    agents, callers, calls, charges, contacts, directory, health, live, outcomes, problem, queues, recycling, sql,
    terminals,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Calltide",
        description = "Reports and calls, the way of dialers, agents' terminals and the directory. Results are JSON (an array of objects), CSV or an Arrow stream by \
                       `Accept`; errors are problem details (RFC 9457).",
    ),
    paths(
        outcomes::outcomes,
        queues::queues,
        agents::agents,
        agents::teams,
        callers::callers,
        live::live,
        charges::charges,
        contacts::recycling,
        calls::list,
        calls::show,
        contacts::show,
        recycling::load,
        recycling::stand,
        recycling::promise,
        recycling::list,
        recycling::due,
        recycling::ack,
        recycling::follow,
        terminals::say,
        directory::list,
        directory::show,
        directory::put,
        directory::remove,
        sql::by_get,
        sql::by_post,
        health::alive,
        health::ready,
        health::metrics,
        show,
    ),
    components(schemas(
        problem::Problem,
        calls::Call,
        contacts::Contact,
        live::LiveAnswer,
        recycling::DueAnswer,
        recycling::AckBody,
        recycling::AckAnswer,
        recycling::ContactsBody,
        recycling::ContactsAnswer,
        recycling::StandingBody,
        recycling::CallbackBody,
        recycling::DoNotCallBody,
        terminals::TerminalBody,
        terminals::TerminalAnswer,
        directory::EntryRow,
        sql::SqlBody,
    ))
)]
struct Document;

/// The document as JSON text, with a line break at its end.
///
/// # Errors
/// Never in practice: when it cannot be written as JSON.
pub fn openapi() -> serde_json::Result<String> {
    Document::openapi().to_pretty_json().map(|text| text + "\n")
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, description = "This document")))]
pub(super) async fn show() -> Result<impl IntoResponse, problem::Problem> {
    let text = openapi().map_err(|e| problem::Problem::internal(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
