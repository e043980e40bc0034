//! The charges report over HTTP.
//!
//! It only reads the parameters; what is counted is in [`crate::reports::charges`].

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::outcomes::words;
use super::params::{Params, Times};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::charges::{ChargesQuery, charges as report};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ChargesParams {
    /// Grouping, comma-separated: user, device, agent, team, campaign, currency, what, hour, day, week, month. The currency is
    /// always among them, as the last.
    by: Option<String>,
    /// What was answered then or later: a date or time in `tz`, or RFC 3339.
    from: Option<String>,
    /// What was answered earlier than this.
    to: Option<String>,
    /// IANA time zone of hours, days, weeks, months, `from` and `to`; UTC when not given.
    tz: Option<String>,
    /// The local time at which a day begins, as `06:00`, and so a date in `from` and `to`; midnight when not given. A day has the
    /// date on which it begins.
    day_start: Option<String>,
}

/// What calls out and legs to ordinary telephones cost, and whom: a row for each group and currency, the totals of the
/// currencies as the last rows when grouped.
#[utoipa::path(get, path = "/api/v1/reports/charges", tag = "reports", params(ChargesParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn charges(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<ChargesParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let times = Times {
        from: params.from.as_deref(),
        to: params.to.as_deref(),
        tz: params.tz.as_deref(),
        day_start: params.day_start.as_deref(),
    };
    let query = ChargesQuery { by: words(params.by.as_deref())?, range: times.range()? };
    accept::answer(report(&app.engine, &query).await?.output, format)
}
