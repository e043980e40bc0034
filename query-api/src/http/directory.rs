//! The directory over HTTP: what it has, and changes of what did not come from the configuration.
//!
//! A change is checked as the configuration is (`calltide_schemas::agents::check`), against what the table has; then it goes
//! into the log by [`crate::agents`], and is waited for in the table, so that the next request finds it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use calltide_schemas::agents::check::{ChangeRefused, Standing, check_change, entry_of, kind_named};
use calltide_schemas::agents::directory::{DirectoryChange, Entry, EntryKind, Origin};
use calltide_schemas::recycling::check_names;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::App;
use super::body::Body;
use super::calls::{json, quoted, unreadable};
use super::params::Params;
use super::problem::Problem;
use super::recycling::{WHO, now};
use super::terminals::terminals;

/// How often it is looked whether a change is in the table.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An entry of the directory, as it holds now.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub(super) struct EntryRow {
    /// user, team, group, agent, device, queue or rate.
    entry: String,
    /// Its id among those of its kind.
    id: String,
    /// The entry in full.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "from_text")]
    definition: Value,
    /// configuration or api: what the configuration gave, it alone changes.
    origin: String,
    /// Who gave it.
    who: String,
    /// Since when it holds.
    #[schema(value_type = String)]
    since_at: Value,
}

fn from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let text = String::deserialize(deserializer)?;
    serde_json::from_str(&text).map_err(serde::de::Error::custom)
}

impl EntryRow {
    fn entry(&self) -> Result<Entry, String> {
        entry_of(kind_named(&self.entry)?, Some(&self.id), self.definition.clone())
    }

    fn standing(&self) -> Result<Standing, String> {
        let is_api = self.origin == "api";
        Ok(Standing { entry: self.entry()?, origin: if is_api { Origin::Api } else { Origin::Configuration } })
    }
}

/// What is asked of the directory.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectoryParams {
    /// Only these: user, team, group, agent, device, queue or rate.
    kind: Option<String>,
}

/// Who makes a change.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeParams {
    /// Who says so, for the record.
    who: Option<String>,
}

/// Everything that the directory has now, by kind and id.
#[utoipa::path(get, path = "/api/v1/directory", tag = "agents", params(DirectoryParams), responses(
    (status = 200, description = "The entries", body = Vec<EntryRow>),
    (status = 400, description = "There is no such kind", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    Params(params): Params<DirectoryParams>,
) -> Result<Json<Vec<EntryRow>>, Problem> {
    let kind = params.kind.as_deref().map(kind_named).transpose().map_err(Problem::bad_request)?;
    let kind = kind.map(|kind| format!(" AND entry = {}", quoted(kind.name())));
    Ok(Json(rows(&app, &kind.unwrap_or_default()).await?))
}

/// One entry.
#[utoipa::path(get, path = "/api/v1/directory/{kind}/{id}", tag = "agents", params(
    ("kind" = String, Path, description = "user, team, group, agent, device, queue or rate"),
    ("id" = String, Path, description = "Its id; slashes may be sent as they are"),
), responses(
    (status = 200, description = "The entry", body = EntryRow),
    (status = 404, description = "There is no such entry", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<EntryRow>, Problem> {
    let kind = kind_named(&kind).map_err(Problem::not_found)?;
    one(&app, kind, &id).await?.map(Json).ok_or_else(|| none(kind, &id))
}

/// Gives an entry, or a new one in its place. The body has its fields; the id may be left out.
#[utoipa::path(put, path = "/api/v1/directory/{kind}/{id}", tag = "agents", request_body = Object, params(
    ("kind" = String, Path, description = "user, team, group, agent, device, queue or rate"),
    ("id" = String, Path, description = "Its id; slashes may be sent as they are"),
    ChangeParams,
), responses(
    (status = 200, description = "It holds", body = EntryRow),
    (status = 202, description = "It is in the log, and no processor has taken it in yet"),
    (status = 400, description = "The entry cannot be meant, or names what is not there", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It stands in the configuration", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn put(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    Params(params): Params<ChangeParams>,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let kind = kind_named(&kind).map_err(Problem::not_found)?;
    let entry = entry_of(kind, Some(&id), body).map_err(Problem::bad_request)?;
    let _alone = terminals(&app)?.alone().await;
    change(&app, params, vec![entry.clone()], Vec::new()).await?;
    let holds = |row: Option<&EntryRow>| row.is_some_and(|row| row.entry().as_ref() == Ok(&entry));
    Ok(match seen(&app, kind, &id, holds).await? {
        Some(Some(row)) => Json(row).into_response(),
        Some(None) | None => StatusCode::ACCEPTED.into_response(),
    })
}

/// Takes an entry away.
#[utoipa::path(delete, path = "/api/v1/directory/{kind}/{id}", tag = "agents", params(
    ("kind" = String, Path, description = "user, team, group, agent, device, queue or rate"),
    ("id" = String, Path, description = "Its id; slashes may be sent as they are"),
    ChangeParams,
), responses(
    (status = 204, description = "It is no more"),
    (status = 202, description = "It is in the log, and no processor has taken it in yet"),
    (status = 404, description = "There is no such entry", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It stands in the configuration, or others name it", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    Params(params): Params<ChangeParams>,
) -> Result<StatusCode, Problem> {
    let kind = kind_named(&kind).map_err(Problem::not_found)?;
    let _alone = terminals(&app)?.alone().await;
    change(&app, params, Vec::new(), vec![(kind, id.clone())]).await?;
    let gone = seen(&app, kind, &id, |row| row.is_none()).await?;
    Ok(if gone.is_some() { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}

/// Brings a change into the log, if it may be made.
async fn change(
    app: &App,
    params: ChangeParams,
    entries: Vec<Entry>,
    removed: Vec<(EntryKind, String)>,
) -> Result<(), Problem> {
    check_names([params.who.as_deref()]).map_err(Problem::bad_request)?;
    let is_removal = !removed.is_empty();
    let who = params.who.unwrap_or_else(|| WHO.to_owned());
    let change = DirectoryChange { at: now(), who, origin: Origin::Api, entries, removed, whole: false };
    let rows = rows(app, "").await?;
    let standing = rows.iter().map(EntryRow::standing).collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
    match check_change(&standing, &change) {
        Ok(()) => Ok(terminals(app)?.change(change).await?),
        Err(refused) => Err(match &refused {
            ChangeRefused::Absent(_) => Problem::not_found(refused.to_string()),
            ChangeRefused::Faulty(_) if !is_removal => Problem::bad_request(refused.to_string()),
            ChangeRefused::Configured(_) | ChangeRefused::Faulty(_) => Problem::not_done(refused.to_string()),
        }),
    }
}

/// What the table has of an entry, as soon as it is as wanted; `None` if that is not so in time.
async fn seen(
    app: &App,
    kind: EntryKind,
    id: &str,
    is_so: impl Fn(Option<&EntryRow>) -> bool,
) -> Result<Option<Option<EntryRow>>, Problem> {
    let until = Instant::now() + terminals(app)?.patience();
    loop {
        let row = one(app, kind, id).await?;
        if is_so(row.as_ref()) {
            return Ok(Some(row));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn one(app: &App, kind: EntryKind, id: &str) -> Result<Option<EntryRow>, Problem> {
    let of = format!(" AND entry = {} AND id = {}", quoted(kind.name()), quoted(id));
    Ok(rows(app, &of).await?.pop())
}

async fn rows(app: &App, of: &str) -> Result<Vec<EntryRow>, Problem> {
    let sql = format!(
        "SELECT entry, id, definition, origin, who, since_at FROM directory WHERE until_at IS NULL{of} ORDER BY entry, id, since_at"
    );
    let found = app.engine.report(&sql).await?;
    if found.truncated || !found.lacking.is_empty() {
        return Err(Problem::unavailable("a part of the directory cannot be read"));
    }
    serde_json::from_str(json(&found)?.get()).map_err(unreadable)
}

fn none(kind: EntryKind, id: &str) -> Problem {
    Problem::not_found(format!("there is no {} `{id}` in the directory", kind.name()))
}
