//! The reports of agents and teams over HTTP.
//!
//! It only reads the parameters; what is counted is in [`crate::reports::agents`].

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use calltide_schemas::metrics::agents::SHORT_TALK_S;
use serde::Deserialize;

use super::outcomes::words;
use super::params::{Params, Times};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::agents::{AgentsQuery, Dimension, agents as report};

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentsParams {
    /// Grouping, comma-separated: agent, pbx, team, queue, reason, hour, day, week, month. Of a queue or a PBX there is no login,
    /// so that columns which need one are left out by them; by reason the columns are those of pauses.
    by: Option<String>,
    /// What was from then on, and of what began before, the rest: a date or time in `tz`, or RFC 3339.
    from: Option<String>,
    /// What was before this.
    to: Option<String>,
    /// Up to when what goes on is counted; the present moment when not given.
    now: Option<String>,
    /// IANA time zone of hours, days, weeks, months, `from`, `to` and `now`; UTC when not given.
    tz: Option<String>,
    /// The local time at which a day begins, as `06:00`, and so a date in `from`, `to` and `now`; midnight when not given. A day
    /// has the date on which it begins.
    day_start: Option<String>,
    /// A talk under so many seconds is short; 10 when not given.
    short_s: Option<u32>,
}

impl AgentsParams {
    fn query(self, usual: &[Dimension]) -> Result<AgentsQuery, Problem> {
        let times = Times {
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            tz: self.tz.as_deref(),
            day_start: self.day_start.as_deref(),
        };
        let range = times.range()?;
        let now = self.now.as_deref().map(|text| range.moment(text)).transpose()?;
        let by = if self.by.is_some() { words(self.by.as_deref())? } else { usual.to_vec() };
        Ok(AgentsQuery { by, range, now, short_s: self.short_s.unwrap_or(SHORT_TALK_S) })
    }
}

/// What agents did: logins, pauses, states, occupancy and their parts in calls, with the total as the last row when grouped.
#[utoipa::path(get, path = "/api/v1/reports/agents", tag = "reports", params(AgentsParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`; by agent when nothing else is asked for"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn agents(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<AgentsParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let query = params.query(&[Dimension::Agent])?;
    accept::answer(report(&app.engine, &query).await?.output, format)
}

/// What teams did: the same as of agents.
#[utoipa::path(get, path = "/api/v1/reports/teams", tag = "reports", params(AgentsParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`; by team when nothing else is asked for"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn teams(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<AgentsParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let query = params.query(&[Dimension::Team])?;
    accept::answer(report(&app.engine, &query).await?.output, format)
}
