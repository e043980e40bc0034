//! The whole story of one contact: why it is called again, or is not; and the recycling report.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use calltide_schemas::recycling::ContactKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::calls::{json, quoted, unreadable};
use super::outcomes::words;
use super::params::{Params, Times};
use super::problem::Problem;
use super::{App, accept};
use crate::reports::recycling::{RecyclingQuery, recycling as report};

/// Everything about one contact.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Contact {
    /// Its row in `contacts`, with the latest verdict.
    #[schema(value_type = Object)]
    contact: Box<RawValue>,
    /// All verdicts, the first one first, each with the facts that it was decided by.
    #[schema(value_type = Vec<Object>)]
    verdicts: Box<RawValue>,
    /// Its attempts, in their order.
    #[schema(value_type = Vec<Object>)]
    attempts: Box<RawValue>,
    /// Do-not-call entries of its numbers.
    #[schema(value_type = Vec<Object>)]
    do_not_call: Box<RawValue>,
}

/// Why a contact is called again, or is not: its latest verdict, all verdicts before, attempts, do-not-call entries.
#[utoipa::path(get, path = "/api/v1/contacts/{campaign}/{contact}", tag = "recycling", params(
    ("campaign" = String, Path, description = "The campaign"),
    ("contact" = String, Path, description = "The contact within it"),
), responses(
    (status = 200, description = "The contact", body = Contact),
    (status = 404, description = "There is no such contact", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(app): State<App>,
    Path((campaign, contact)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let inquiry = app.engine.inquiry(&["contacts", "verdicts", "attempts", "do_not_call"]).await?;
    let key = quoted(&ContactKey::new(&campaign, &contact).to_string());
    let found = inquiry.report(&format!("SELECT * FROM contacts WHERE contact_key = {key}")).await?;
    let mut response = match serde_json::from_str::<Vec<Box<RawValue>>>(json(&found)?.get()).map_err(unreadable)?.pop()
    {
        Some(row) => {
            let rows = async |sql: &str| inquiry.report(sql).await;
            let of = format!("campaign = {} AND contact = {}", quoted(&campaign), quoted(&contact));
            let verdicts =
                format!("SELECT * FROM verdicts WHERE contact_key = {key} ORDER BY length(verdict_id), verdict_id");
            let attempts = format!("SELECT * FROM attempts WHERE {of} ORDER BY started_at, call_id");
            // Of every number that was ever decided on.
            let campaign = quoted(&campaign);
            let numbers = format!("SELECT DISTINCT number_e164 AS n FROM verdicts WHERE contact_key = {key}");
            let entries = format!(
                "SELECT DISTINCT d.* FROM do_not_call d JOIN ({numbers}) v ON d.number = v.n OR (d.number LIKE '%*' AND \
                 starts_with(v.n, replace(d.number, '*', ''))) \
                 WHERE d.campaign IS NULL OR d.campaign = {campaign} ORDER BY since_at, entry_id"
            );
            let verdicts = json(&rows(&verdicts).await?)?;
            let attempts = json(&rows(&attempts).await?)?;
            let do_not_call = json(&rows(&entries).await?)?;
            axum::Json(Contact { contact: row, verdicts, attempts, do_not_call }).into_response()
        }
        None => Problem::not_found(format!("there is no contact {contact} in campaign {campaign}")).into_response(),
    };
    // All of it is of one moment, so each statement lacks the same.
    accept::tell_of_lacking(&mut response, &found.lacking);
    Ok(response)
}

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RecyclingParams {
    /// Grouping, comma-separated: campaign, attempt, hour, day.
    by: Option<String>,
    /// Attempts that began then or later: a date or time in `tz`, or RFC 3339.
    from: Option<String>,
    /// Attempts that began earlier than this, and contacts heard of before, with their best class at that time.
    to: Option<String>,
    /// IANA time zone of hours, days, `from` and `to`; UTC when not given.
    tz: Option<String>,
    /// The local time at which a day begins, as `06:00`, and so a date in `from` and `to`; midnight when not given. A day has the
    /// date on which it begins.
    day_start: Option<String>,
}

/// Contacts by best class and verdict, and what calling again yields.
#[utoipa::path(get, path = "/api/v1/reports/recycling", tag = "reports", params(RecyclingParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn recycling(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<RecyclingParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let times = Times {
        from: params.from.as_deref(),
        to: params.to.as_deref(),
        tz: params.tz.as_deref(),
        day_start: params.day_start.as_deref(),
    };
    let query = RecyclingQuery { by: words(params.by.as_deref())?, range: times.range()? };
    accept::answer(report(&app.engine, &query).await?.output, format)
}
