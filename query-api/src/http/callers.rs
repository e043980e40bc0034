//! The callers report over HTTP.
//!
//! It only reads the parameters; what is counted is in [`crate::reports::callers`].

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::outcomes::words;
use super::params::Params;
use super::problem::Problem;
use super::{App, accept};
use crate::reports::callers::{CallersQuery, callers as report};
use crate::reports::instant;

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CallersParams {
    /// Grouping, comma-separated: queue, pbx, hour, day, week, month. Each row, and the total, has a caller once.
    by: Option<String>,
    /// Calls that began then or later: a date or time in `tz`, or RFC 3339.
    from: Option<String>,
    /// Calls that began earlier than this.
    to: Option<String>,
    /// IANA time zone of hours, days, weeks, months, `from` and `to`; UTC when not given.
    tz: Option<String>,
}

/// Who called: unique and repeat callers, and those to be called back, with the total as the last row when grouped.
#[utoipa::path(get, path = "/api/v1/reports/callers", tag = "reports", params(CallersParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn callers(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<CallersParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let tz = params.tz.unwrap_or_else(|| "UTC".to_owned());
    let moment = |text: &Option<String>| text.as_deref().map(|text| instant(text, &tz)).transpose();
    let (from, to) = (moment(&params.from)?, moment(&params.to)?);
    let query = CallersQuery { by: words(params.by.as_deref())?, from, to, tz };
    accept::answer(report(&app.engine, &query).await?.output, format)
}
