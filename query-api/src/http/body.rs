//! Request bodies: read in time, of a bearable size, and as JSON, with a problem where they are not.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::BODY_BYTES_MAX;
use super::problem::Problem;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body in JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = bytes(request).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|e| Problem::bad_request(e.to_string()))
    }
}

/// The bytes of a body.
pub(super) async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let body = timeout(PATIENCE, Bytes::from_request(request, &())).await.map_err(|_| Problem::slow())?;
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(BODY_BYTES_MAX),
        _ => Problem::bad_request(rejection.body_text()),
    })
}
