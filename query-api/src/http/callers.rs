//! The callers report over HTTP.
//!
//! It only reads the parameters; what is counted is in [`crate::reports::callers`].

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::outcomes::words;
use super::params::{Params, Times};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::callers::{CallersQuery, callers as report};

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
    /// The local time at which a day begins, as `06:00`, and so a date in `from` and `to`; midnight when not given. A day has the
    /// date on which it begins.
    day_start: Option<String>,
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
    let times = Times {
        from: params.from.as_deref(),
        to: params.to.as_deref(),
        tz: params.tz.as_deref(),
        day_start: params.day_start.as_deref(),
    };
    let query = CallersQuery { by: words(params.by.as_deref())?, range: times.range()? };
    accept::answer(report(&app.engine, &query).await?.output, format)
}
