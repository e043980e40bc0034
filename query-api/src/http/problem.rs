//! Errors as problem details, RFC 9457: `application/problem+json` with a type per kind of error.
//!
//! Must not know what was asked. Read [`crate::engine`]'s errors for what can go wrong.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use calltide_eventlog::LogError;
use serde::Serialize;

use crate::QueryError;

/// A problem, as it is sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Problem {
    /// Which kind: `urn:calltide:problem:…`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words; the same for every problem of this kind.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: format!("urn:calltide:problem:{kind}"), title, status: status.as_u16(), detail: detail.into() }
    }

    /// A parameter or body that cannot be understood.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "The request is invalid", detail)
    }

    /// Nothing has this address or id.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The address does not do this.
    pub(super) fn method_not_allowed() -> Self {
        let detail = "this address does not take this method; see /openapi.json";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed", detail)
    }

    /// The body is longer than any request of ours.
    pub(super) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("the body has more than {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    }

    /// It is not so any more.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "It is not so any more", detail)
    }

    /// It was understood, and may not be done.
    pub(super) fn not_done(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "not-done", "It was not done", detail)
    }

    /// The request was sent to a name that is not this machine's own.
    pub(super) fn misdirected(name: &str) -> Self {
        let detail = format!("`{name}` is not served here; a proxy must send the Host `localhost`");
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "The request came by another name", detail)
    }

    /// The request was sent by a page of another site.
    pub(super) fn foreign() -> Self {
        let detail = "pages of other sites cannot ask here";
        Self::new(StatusCode::FORBIDDEN, "foreign", "The request came from another site", detail)
    }

    /// The body did not come.
    pub(super) fn slow() -> Self {
        let detail = "the body did not come in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow", "The request took too long", detail)
    }

    /// None of the asked media types can be had.
    pub(super) fn not_acceptable(known: &str) -> Self {
        let detail = format!("this address answers in {known}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "None of the asked media types can be had", detail)
    }

    /// What is wrong this time.
    pub(super) fn into_detail(self) -> String {
        self.detail
    }

    /// The log or the lake cannot be read or written at present.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server is busy; try again", detail)
    }

    /// Log or lake were never open so far.
    pub(super) fn not_ready(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The server is not ready yet; try again", reason)
    }

    /// A defect, or data that does not fit.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed", detail)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let detail = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        match error {
            QueryError::Refused { .. } => {
                Self::new(StatusCode::FORBIDDEN, "refused", "The query may not be asked", detail)
            }
            QueryError::Invalid { .. } => Self::bad_request(detail),
            QueryError::Failed { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "failed", "The query failed on the data", detail)
            }
            QueryError::Deadline { .. } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline", "The query took too long", detail)
            }
            QueryError::Resources { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "resources", "The query needs too much memory", detail)
            }
            QueryError::Busy { .. } | QueryError::Ended | QueryError::Behind { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The server is busy; try again", detail)
            }
            QueryError::Away { .. } => {
                tracing::error!(detail, "query failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "away", "The lake's store does not answer", detail)
            }
            QueryError::Log(LogError::Unreachable { .. }) => {
                tracing::error!(detail, "query failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "away", "The log does not answer", detail)
            }
            QueryError::Panicked { .. }
            | QueryError::Internal { .. }
            | QueryError::Lake { .. }
            | QueryError::LakeFeature { .. }
            | QueryError::Io { .. }
            | QueryError::Log(_)
            | QueryError::Fact { .. } => {
                tracing::error!(detail, "query failed");
                Self::internal(detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
