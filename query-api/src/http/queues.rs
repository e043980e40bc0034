//! The queues report over HTTP.
//!
//! It only reads the parameters; what is counted is in [`crate::reports::queues`].

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use calltide_schemas::metrics::queues::{SHORT_S, WITHIN_S};
use serde::Deserialize;

use super::outcomes::words;
use super::params::{Params, Times};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::queues::{QueuesQuery, queues as report};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct QueuesParams {
    /// Grouping, comma-separated: queue, pbx, hour, day, week, month. By queue visits are counted; rows over several queues, as
    /// the total, count each call once.
    by: Option<String>,
    /// Visits that began then or later: a date or time in `tz`, or RFC 3339.
    from: Option<String>,
    /// Visits that began earlier than this.
    to: Option<String>,
    /// IANA time zone of hours, days, weeks, months, `from` and `to`; UTC when not given.
    tz: Option<String>,
    /// The local time at which a day begins, as `06:00`, and so a date in `from` and `to`; midnight when not given. A day has the
    /// date on which it begins.
    day_start: Option<String>,
    /// The service level's limit in seconds, included; 20 when not given.
    within_s: Option<u32>,
    /// Abandons earlier than this, in seconds, are short; 5 when not given.
    short_s: Option<u32>,
}

/// How queues were served: counts, rates, service levels on three bases and waits, with the total as the last row when grouped.
#[utoipa::path(get, path = "/api/v1/reports/queues", tag = "reports", params(QueuesParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn queues(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<QueuesParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let times = Times {
        from: params.from.as_deref(),
        to: params.to.as_deref(),
        tz: params.tz.as_deref(),
        day_start: params.day_start.as_deref(),
    };
    let (within_s, short_s) = (params.within_s.unwrap_or(WITHIN_S), params.short_s.unwrap_or(SHORT_S));
    let query = QueuesQuery { by: words(params.by.as_deref())?, range: times.range()?, within_s, short_s };
    accept::answer(report(&app.engine, &query).await?.output, format)
}
