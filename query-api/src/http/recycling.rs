//! The doors for dialers and for whoever loads contacts: what is due, leases, a stream, lists, promises, do-not-call.
//!
//! Nothing is decided here: what is said goes into the log by [`crate::recycling`], and what is told comes from its topics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use calltide_schemas::Micros;
use calltide_schemas::recycling::{
    Acknowledged, Acknowledgement, Callback, DoNotCall, Due, ForContacts, ForNumbers, Intake, Listing, LoadAs,
    NewContact, Standing, StandingChange, calling_number, check_names, listed_number,
};
use futures::stream::{self, Stream};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use super::App;
use super::accept;
use super::body::Body;
use super::params::Params;
use super::problem::Problem;
use crate::format::Format;
use crate::recycling::{Recycling, RecyclingError};
use crate::reports::instant;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Contacts of one request: with longer ones the body is too large before.
const CONTACTS_MAX: usize = 1_000;
/// How long a lease lasts when nothing is said, and at most.
const LEASE_DEFAULT_S: u64 = 60;
const LEASE_MAX_S: u64 = 3_600;
/// Who says what a request does not say.
pub(super) const WHO: &str = "the HTTP API";

/// What is asked of the due.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DueParams {
    /// Only this campaign.
    campaign: Option<String>,
    /// At most so many: 100, at most 1,000.
    limit: Option<usize>,
    /// The dialer that wants to have them: nobody else gets them for the time of the lease. Without it they are only shown.
    dialer: Option<String>,
    /// How long the lease lasts, in seconds: 60, at most 3,600.
    lease_s: Option<u64>,
}

/// What is due.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DueAnswer {
    /// Names the lease for its acknowledgement; null if nothing was leased.
    lease_id: Option<String>,
    /// Until when nobody else gets them, in microseconds since 1970.
    lease_until: Option<i64>,
    /// The contacts, the longest waiting first, as in the topic `retry-due`.
    #[schema(value_type = Vec<Object>)]
    due: Vec<Due>,
}

/// Who may be called now. With `dialer` they are leased to it, after the latest verdict of each was looked at once more.
#[utoipa::path(get, path = "/api/v1/recycling/due", tag = "recycling", params(DueParams), responses(
    (status = 200, description = "Who is due, in JSON or, for dialers that import files, CSV by `Accept`", body = DueAnswer),
    (status = 503, description = "The log or the folds do not answer", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn due(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<DueParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit {limit} is not between 1 and {LIMIT_MAX}")));
    }
    let lease_s = params.lease_s.unwrap_or(LEASE_DEFAULT_S);
    if !(1..=LEASE_MAX_S).contains(&lease_s) {
        return Err(Problem::bad_request(format!("lease_s {lease_s} is not between 1 and {LEASE_MAX_S}")));
    }
    let recycling = recycling(&app)?;
    if !recycling.is_ready() {
        return Err(Problem::unavailable("what is due is still being read; try again"));
    }
    if params.dialer.as_deref() == Some("") {
        return Err(Problem::bad_request("dialer is empty: leave it out to look, or name the dialer to lease"));
    }
    let (campaign, now) = (params.campaign.as_deref(), now());
    let answer = match params.dialer.as_deref() {
        // A link on a page of another site must not take anything away.
        Some(_) if is_foreign(&headers) => return Err(Problem::foreign()),
        Some(dialer) => {
            let lasts = Duration::from_secs(lease_s);
            let leased = recycling.lease(dialer, campaign, limit, (now, lasts)).await?;
            let is_any = !leased.dues.is_empty();
            DueAnswer {
                lease_id: is_any.then_some(leased.lease_id),
                lease_until: is_any.then_some(leased.until.0),
                due: leased.dues,
            }
        }
        None => DueAnswer { lease_id: None, lease_until: None, due: recycling.due(campaign, limit, now) },
    };
    match format {
        Format::Json => Ok(Json(answer).into_response()),
        Format::Csv => Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&answer)?).into_response()),
        Format::Arrow | Format::Table => Err(Problem::bad_request("who is due is given in JSON or CSV".to_owned())),
    }
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    site.is_some_and(|site| !["same-origin", "none"].contains(&site))
}

fn csv(answer: &DueAnswer) -> Result<Vec<u8>, Problem> {
    let failed = |error: csv::Error| Problem::internal(error.to_string());
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let names =
        ["verdict_id", "campaign", "contact", "number", "attempt", "agent", "due_at", "valid_until", "lease_id"];
    writer.write_record(names).map_err(failed)?;
    let lease = answer.lease_id.as_deref().unwrap_or_default();
    for due in &answer.due {
        let (attempt, due_at, valid_until) = (due.attempt.to_string(), time(due.due_at), time(due.valid_until));
        let agent = due.agent.as_deref().unwrap_or_default();
        let (verdict, campaign, contact, number) = (&due.verdict_id, &due.campaign, &due.contact, &due.number.0);
        let fields = [verdict, campaign, contact, number, &attempt, agent, &due_at, &valid_until, lease];
        writer.write_record(fields).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Problem::internal(error.to_string()))
}

fn time(at: Micros) -> String {
    Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// What a dialer did.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AckBody {
    /// The lease.
    lease_id: String,
    /// `dialled`: it dials or will; `returned`: others may have them.
    #[schema(value_type = String)]
    done: Acknowledgement,
    /// Verdicts of the lease.
    verdict_ids: Vec<String>,
}

/// What became of an acknowledgement.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct AckAnswer {
    /// Verdicts that are in the log as acknowledged.
    accepted: Vec<String>,
    /// Verdicts that this lease does not have, or has no more.
    refused: Vec<String>,
}

/// Acknowledges a lease.
#[utoipa::path(post, path = "/api/v1/recycling/ack", tag = "recycling", request_body = AckBody, responses(
    (status = 200, description = "Which verdicts were acknowledged, and which the lease does not have", body = AckAnswer),
    (status = 400, description = "The body is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The lease has none of them", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn ack(State(app): State<App>, Body(body): Body<AckBody>) -> Result<Json<AckAnswer>, Problem> {
    let recycling = recycling(&app)?;
    let (mut said, mut answer) = (Vec::new(), AckAnswer { accepted: Vec::new(), refused: Vec::new() });
    for verdict_id in body.verdict_ids {
        let Some(number) = recycling.leased(&body.lease_id, &verdict_id, now()) else {
            answer.refused.push(verdict_id);
            continue;
        };
        answer.accepted.push(verdict_id.clone());
        let (at, lease_id, done) = (now(), body.lease_id.clone(), body.done);
        let acknowledged = Acknowledged { at, lease_id, verdict_id, number, done };
        said.push(Intake::of_numbers(ForNumbers::Acknowledged(acknowledged)));
    }
    if answer.accepted.is_empty() {
        return Err(Problem::conflict("the lease has none of these verdicts, or its time is over"));
    }
    take(&app, said).await?;
    Ok(Json(answer))
}

/// What is followed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamParams {
    /// Only this campaign.
    campaign: Option<String>,
}

/// Everything that dialers are told from now on, as server-sent events: `due` and `withdrawn`.
#[utoipa::path(get, path = "/api/v1/recycling/stream", tag = "recycling", params(StreamParams), responses(
    (status = 200, description = "Events, each with a message of the topic `retry-due`", content_type = "text/event-stream"),
))]
pub(super) async fn follow(
    State(app): State<App>,
    Params(params): Params<StreamParams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let receiver = recycling(&app)?.stream().ok_or_else(|| Problem::unavailable("this process is ending"))?;
    let events = stream::unfold((receiver, params.campaign), async |(mut receiver, campaign)| {
        loop {
            match receiver.recv().await {
                Ok(due) if campaign.as_ref().is_some_and(|campaign| due.campaign != *campaign) => {}
                Ok(due) => {
                    let event = Event::default().event(if due.withdrawn { "withdrawn" } else { "due" });
                    let event = event.id(due.verdict_id.clone());
                    let event = event.json_data(&due).unwrap_or_else(|_| Event::default().event("error"));
                    return Some((Ok(event), (receiver, campaign)));
                }
                Err(RecvError::Lagged(lost)) => {
                    let event = Event::default().event("lost").data(lost.to_string());
                    return Some((Ok(event), (receiver, campaign)));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Contacts to be put on a list.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactsBody {
    /// The campaign.
    campaign: String,
    /// The list of contacts that name none.
    list: Option<String>,
    /// The country of national numbers.
    country: Option<String>,
    /// The time zone of contacts that name none.
    tz: Option<String>,
    /// A new round begins: earlier attempts count no more.
    #[serde(default)]
    reset: bool,
    /// Who loads them.
    who: Option<String>,
    /// At most 1,000: `contact`, `numbers`, and `tz`, `list`, `person`, `agent` where they are known.
    #[schema(value_type = Vec<Object>)]
    contacts: Vec<NewContact>,
}

/// What became of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ContactsAnswer {
    /// How many are in the log.
    loaded: usize,
    /// Which were refused, by their place from 0, and why.
    rejected: Vec<RejectedContact>,
}

/// A contact that was not taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RejectedContact {
    /// Its place in the request, from 0.
    place: usize,
    /// Why.
    reason: String,
}

/// Puts contacts on a campaign's list.
#[utoipa::path(post, path = "/api/v1/contacts", tag = "recycling", request_body = ContactsBody, responses(
    (status = 200, description = "What was loaded and what was refused", body = ContactsAnswer),
    (status = 400, description = "The body is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn load(
    State(app): State<App>,
    Body(body): Body<ContactsBody>,
) -> Result<Json<ContactsAnswer>, Problem> {
    if body.contacts.len() > CONTACTS_MAX {
        return Err(Problem::bad_request(format!("{} contacts are more than {CONTACTS_MAX}", body.contacts.len())));
    }
    let country = body.country.or_else(|| country(&app));
    let load = LoadAs {
        at: now(),
        who: body.who.unwrap_or_else(|| WHO.to_owned()),
        campaign: body.campaign,
        list: body.list,
        country,
        tz: body.tz,
        reset: body.reset,
        // As the folds know them.
        is_zone: |name| TimeZoneDatabase::bundled().get(name).is_ok(),
    };
    let (mut said, mut rejected) = (Vec::new(), Vec::new());
    for (place, new) in body.contacts.iter().enumerate() {
        match load.loaded(new) {
            Ok(contact) => said.push(Intake::of_contacts(ForContacts::Loaded(contact))),
            Err(reason) => rejected.push(RejectedContact { place, reason }),
        }
    }
    let loaded = said.len();
    take(&app, said).await?;
    Ok(Json(ContactsAnswer { loaded, rejected }))
}

/// Contacts are held, released or removed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StandingBody {
    /// The campaign.
    campaign: String,
    /// Only those of this list.
    list: Option<String>,
    /// Only this one.
    contact: Option<String>,
    /// `hold`, `release` or `remove`.
    #[schema(value_type = String)]
    change: StandingChange,
    /// Who says so.
    who: Option<String>,
}

/// Holds, releases or removes a campaign's contacts, those of a list, or one.
#[utoipa::path(post, path = "/api/v1/contacts/standing", tag = "recycling", request_body = StandingBody, responses(
    (status = 202, description = "It is in the log"),
    (status = 400, description = "The body is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn stand(State(app): State<App>, Body(body): Body<StandingBody>) -> Result<StatusCode, Problem> {
    let StandingBody { campaign, list, contact, change, who } = body;
    check_names([Some(campaign.as_str()), list.as_deref(), contact.as_deref(), who.as_deref()])
        .map_err(Problem::bad_request)?;
    let standing = Standing { at: now(), who: who.unwrap_or_else(|| WHO.to_owned()), campaign, list, contact, change };
    take(&app, vec![Intake::of_contacts(ForContacts::Standing(standing))]).await
}

/// A promised call.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallbackBody {
    /// The campaign.
    campaign: String,
    /// The contact.
    contact: String,
    /// For when: a date and time in `tz`, or RFC 3339; without it nothing is promised any more.
    at: Option<String>,
    /// The IANA zone of `at`; UTC when not given.
    tz: Option<String>,
    /// With whom.
    agent: Option<String>,
    /// On which number.
    number: Option<String>,
    /// The country of a national number.
    country: Option<String>,
    /// Who promised it.
    who: Option<String>,
}

/// Promises a call, or takes the promise back.
#[utoipa::path(post, path = "/api/v1/contacts/callback", tag = "recycling", request_body = CallbackBody, responses(
    (status = 202, description = "It is in the log"),
    (status = 400, description = "The body is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn promise(State(app): State<App>, Body(body): Body<CallbackBody>) -> Result<StatusCode, Problem> {
    let named = [Some(body.campaign.as_str()), Some(&body.contact), body.agent.as_deref(), body.who.as_deref()];
    check_names(named).map_err(Problem::bad_request)?;
    let tz = body.tz.as_deref().unwrap_or("UTC");
    let number = body
        .number
        .as_deref()
        .map(|number| calling_number(number, body.country.as_deref().or(country(&app).as_deref())))
        .transpose();
    let callback = Callback {
        given_at: now(),
        who: body.who.unwrap_or_else(|| WHO.to_owned()),
        campaign: body.campaign,
        contact: body.contact,
        callback_at: body.at.as_deref().map(|at| instant(at, tz)).transpose()?,
        agent: body.agent,
        number: number.map_err(Problem::bad_request)?,
    };
    take(&app, vec![Intake::of_contacts(ForContacts::Callback(callback))]).await
}

/// A do-not-call entry.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DoNotCallBody {
    /// The number; with a `*` at its end all that begin so.
    number: String,
    /// Only for this campaign.
    campaign: Option<String>,
    /// `add` or `remove`.
    #[schema(value_type = String)]
    listing: Listing,
    /// The country of a national number.
    country: Option<String>,
    /// Why.
    reason: Option<String>,
    /// Who says so.
    who: Option<String>,
}

/// Puts a number on a do-not-call list, or takes it off.
#[utoipa::path(post, path = "/api/v1/do-not-call", tag = "recycling", request_body = DoNotCallBody, responses(
    (status = 202, description = "It is in the log"),
    (status = 400, description = "The body is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(State(app): State<App>, Body(body): Body<DoNotCallBody>) -> Result<StatusCode, Problem> {
    let number = listed_number(&body.number, body.country.as_deref().or(country(&app).as_deref()))
        .map_err(Problem::bad_request)?;
    check_names([body.campaign.as_deref(), body.who.as_deref(), body.reason.as_deref()])
        .map_err(Problem::bad_request)?;
    let (campaign, listing, reason) = (body.campaign, body.listing, body.reason);
    let who = body.who.unwrap_or_else(|| WHO.to_owned());
    let entry = DoNotCall { at: now(), who, number, campaign, listing, reason };
    take(&app, vec![Intake::of_numbers(ForNumbers::DoNotCall(entry))]).await
}

async fn take(app: &App, said: Vec<Intake>) -> Result<StatusCode, Problem> {
    recycling(app)?.take(said).await?;
    Ok(StatusCode::ACCEPTED)
}

fn country(app: &App) -> Option<String> {
    app.doors.as_ref().and_then(|doors| doors.recycling.country()).map(str::to_owned)
}

fn recycling(app: &App) -> Result<&Arc<Recycling>, Problem> {
    app.doors
        .as_ref()
        .map(|doors| &doors.recycling)
        .ok_or_else(|| Problem::unavailable("there is no log here that could be written to".to_owned()))
}

impl From<RecyclingError> for Problem {
    fn from(error: RecyclingError) -> Self {
        Self::unavailable(error.to_string())
    }
}

pub(super) fn now() -> Micros {
    Micros(Timestamp::now().as_microsecond())
}
