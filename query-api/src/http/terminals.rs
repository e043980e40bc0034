//! The door for agents' terminals: login, heartbeat, logout.
//!
//! Nothing is decided here: what a terminal says goes into the log by [`crate::agents`], and the fold's answer comes back.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, Path, State};
use axum::http::request::Parts;
use calltide_schemas::agents::TerminalWhat;
use calltide_schemas::recycling::check_names;
use serde::{Deserialize, Serialize};

use super::App;
use super::body::Body;
use super::problem::Problem;
use super::recycling::now;
use crate::agents::{TerminalError, Terminals};

/// The longest time without a heartbeat that can be asked for: a week. Longer is never.
const TIMEOUT_MAX_S: u64 = 7 * 86_400;

/// What a terminal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TerminalAction {
    /// The agent logs in there.
    Login,
    /// The agent is still there.
    Heartbeat,
    /// The agent logs out there.
    Logout,
}

/// What a terminal says of an agent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminalBody {
    /// The terminal, by a name that it always says.
    terminal: String,
    /// What.
    action: TerminalAction,
    /// Of a login the terminal's IP address; that which the request came from, if nothing is said.
    address: Option<String>,
    /// Of a login the device that the agent names, `<pbx>/<endpoint>`.
    device: Option<String>,
    /// Of a login: without a heartbeat for so many seconds the agent is logged out; never with 0. As `[directory] heartbeat`
    /// says, if nothing is said.
    timeout_s: Option<u64>,
}

/// What became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct TerminalAnswer {
    /// That it was done.
    accepted: bool,
    /// The agent's device now, `<pbx>/<endpoint>`, if there is one.
    device: Option<String>,
}

/// Logs an agent in or out at a terminal, or says that the agent is still there.
#[utoipa::path(post, path = "/api/v1/agents/{id}/terminals", tag = "agents", request_body = TerminalBody, params(
    ("id" = String, Path, description = "The agent, by the id in the directory, or `<pbx>/<name>`, whose slashes are sent as `%2F`"),
), responses(
    (status = 200, description = "It was done", body = TerminalAnswer),
    (status = 400, description = "The body is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It was refused, and why", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "The log or the fold does not answer", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn say(
    State(app): State<App>,
    Path(agent): Path<String>,
    Caller(caller): Caller,
    Body(body): Body<TerminalBody>,
) -> Result<Json<TerminalAnswer>, Problem> {
    check_names([Some(agent.as_str()), Some(&body.terminal), body.device.as_deref()]).map_err(Problem::bad_request)?;
    let terminals = terminals(&app)?;
    let is_login = body.action == TerminalAction::Login;
    if !is_login && (body.address.is_some() || body.device.is_some() || body.timeout_s.is_some()) {
        return Err(Problem::bad_request("`address`, `device` and `timeout_s` belong to a login"));
    }
    if let Some(wrong) = body.address.as_deref().filter(|address| address.parse::<IpAddr>().is_err()) {
        return Err(Problem::bad_request(format!("`{wrong}` is no IP address")));
    }
    if body.timeout_s.is_some_and(|seconds| seconds > TIMEOUT_MAX_S) {
        return Err(Problem::bad_request(format!("timeout_s is more than {TIMEOUT_MAX_S}; 0 is never")));
    }
    let usual = terminals.heartbeat().map(|time| time.as_millis());
    let timeout_ms = match body.timeout_s {
        Some(0) => None,
        Some(seconds) => i64::try_from(seconds * 1_000).ok(),
        None => usual.and_then(|ms| i64::try_from(ms).ok()),
    };
    let what = match body.action {
        TerminalAction::Login => TerminalWhat::Login {
            address: body.address.or_else(|| caller.map(|address| address.to_string())),
            device: body.device,
            timeout_ms,
        },
        TerminalAction::Heartbeat => TerminalWhat::Heartbeat,
        TerminalAction::Logout => TerminalWhat::Logout,
    };
    let answer = terminals.say(now(), &agent, &body.terminal, what).await?;
    if answer.accepted {
        Ok(Json(TerminalAnswer { accepted: true, device: answer.device }))
    } else {
        Err(Problem::not_done(answer.reason.unwrap_or_else(|| "it was refused".to_owned())))
    }
}

/// Where a request comes from. What stands before us on this machine says whom it speaks for.
pub(super) struct Caller(Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let mut all = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        // The last one is the nearest proxy's own word.
        let told = all.next_back().and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        let is_proxy = peer.is_some_and(|peer| peer.is_loopback());
        Ok(Self(told.filter(|_| is_proxy).or(peer)))
    }
}

pub(super) fn terminals(app: &App) -> Result<&Arc<Terminals>, Problem> {
    let terminals = app.doors.as_ref().map(|doors| &doors.terminals);
    terminals.ok_or_else(|| Problem::unavailable("there is no log here that could be written to"))
}

impl From<TerminalError> for Problem {
    fn from(error: TerminalError) -> Self {
        Self::unavailable(error.to_string())
    }
}
