//! What is going on now, over HTTP.
//!
//! It only reads the parameters; what is looked at is in [`crate::reports::live`].

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use calltide_schemas::Micros;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::calls::json;
use super::params::{Params, Times};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::Range;
use crate::reports::live::{LiveQuery, live as look};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveParams {
    /// The moment that durations are counted up to, and whose day it is: the present one when not given.
    now: Option<String>,
    /// IANA time zone of the day and of `now`; UTC when not given.
    tz: Option<String>,
    /// The local time at which the day begins, as `06:00`, and so a date in `now`; midnight when not given.
    day_start: Option<String>,
    /// The service level's limit in seconds, included; 20 when not given.
    within_s: Option<u32>,
    /// Abandons earlier than this, in seconds, are short; 5 when not given.
    short_s: Option<u32>,
}

/// The present.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LiveAnswer {
    /// The moment that durations are counted up to.
    at: String,
    /// Each agent's state, since when, and in which call.
    #[schema(value_type = Vec<Object>)]
    agents: Box<RawValue>,
    /// Of each queue who waits, who works, and the day so far.
    #[schema(value_type = Vec<Object>)]
    queues: Box<RawValue>,
}

/// What is going on now: agents and their states, queues with their callers, agents and service levels of today.
#[utoipa::path(get, path = "/api/v1/live", tag = "reports", params(LiveParams), responses(
    (status = 200, description = "The present", body = LiveAnswer),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn live(State(app): State<App>, Params(params): Params<LiveParams>) -> Result<Response, Problem> {
    let (tz, day_start) = (params.tz.as_deref(), params.day_start.as_deref());
    let range = Times { tz, day_start, ..Times::default() }.range()?;
    let now = params.now.as_deref().map(|text| range.moment(text)).transpose()?;
    let Range { tz, day_start, .. } = range;
    let usual = LiveQuery::at(now.unwrap_or_else(|| Micros(Timestamp::now().as_microsecond())));
    let within_s = params.within_s.unwrap_or(usual.within_s);
    let query = LiveQuery { tz, day_start, within_s, short_s: params.short_s.unwrap_or(usual.short_s), ..usual };
    let live = look(&app.engine, &query).await?;
    let at = Timestamp::from_microsecond(query.now.0).map_err(|e| Problem::bad_request(e.to_string()))?;
    let answer = LiveAnswer { at: at.to_string(), agents: json(&live.agents)?, queues: json(&live.queues)? };
    let mut response = axum::Json(answer).into_response();
    accept::tell_of_lacking(&mut response, &live.agents.lacking);
    Ok(response)
}
