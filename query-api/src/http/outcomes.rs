//! The outcomes report over HTTP.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use calltide_schemas::metrics::{Basis, Statuses};
use serde::Deserialize;

use super::params::{Params, Times, unknown};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::outcomes::{OutcomesQuery, UnknownWord, outcomes as report};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OutcomesParams {
    /// Grouping, comma-separated: campaign, direction, queue, agent, pbx, hour, day, week, month.
    by: Option<String>,
    /// Calls that started then or later: a date or time in `tz`, or RFC 3339. Per contact, outbound: no bound, since the best
    /// attempt counts whenever it was made.
    from: Option<String>,
    /// Calls that started earlier than this. Per contact, outbound: attempts that ended earlier.
    to: Option<String>,
    /// IANA time zone of hours, days, `from` and `to`; UTC when not given.
    tz: Option<String>,
    /// The local time at which a day begins, as `06:00`, and so a date in `from` and `to`; midnight when not given. A day has the
    /// date on which it begins.
    day_start: Option<String>,
    /// `attempt` (the default) or `contact`.
    basis: Option<String>,
    /// Directions, comma-separated; inbound and outbound when not given.
    direction: Option<String>,
    /// `all` fourteen statuses (the default) or the nine `classic` ones.
    statuses: Option<String>,
}

/// What became of the calls, with the total as the last row when grouped.
#[utoipa::path(get, path = "/api/v1/reports/outcomes", tag = "reports", params(OutcomesParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn outcomes(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<OutcomesParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let query = read(&params)?;
    accept::answer(report(&app.engine, &query).await?.output, format)
}

fn read(params: &OutcomesParams) -> Result<OutcomesQuery, Problem> {
    let times = Times {
        from: params.from.as_deref(),
        to: params.to.as_deref(),
        tz: params.tz.as_deref(),
        day_start: params.day_start.as_deref(),
    };
    Ok(OutcomesQuery {
        by: words(params.by.as_deref())?,
        range: times.range()?,
        basis: match params.basis.as_deref() {
            None | Some("attempt") => Basis::Attempt,
            Some("contact") => Basis::Contact,
            Some(other) => return Err(unknown("basis", other, "attempt, contact")),
        },
        directions: words(params.direction.as_deref())?,
        statuses: match params.statuses.as_deref() {
            None | Some("all") => Statuses::All,
            Some("classic") => Statuses::Classic,
            Some(other) => return Err(unknown("statuses", other, "all, classic")),
        },
    })
}

pub(super) fn words<T: std::str::FromStr<Err = UnknownWord>>(list: Option<&str>) -> Result<Vec<T>, Problem> {
    let words = list.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|e: UnknownWord| Problem::bad_request(e.to_string()))).collect()
}
