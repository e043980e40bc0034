//! Calls over HTTP: a list by filters, page by page, and everything about one call.
//!
//! A page goes on where the last one ended by (`started_at`, `call_id`), newest first, so that calls which come in meanwhile
//! shift nothing. The next page's address is in the header `Link` with `rel="next"`.

use std::fmt::Write as _;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use calltide_schemas::Micros;
use calltide_schemas::status::Status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::params::{Params, Times, unknown};
use super::problem::Problem;
use super::{App, accept};
use crate::QueryOutput;
use crate::format::{self, Format};
use crate::reports::outcomes::Direction;

/// Rows of a page when nothing is said, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// So many days before the end are looked through first, and then, if they did not fill a page.
const DAYS_FIRST: [i64; 2] = [2, 30];
const DAY_MICROS: i64 = 86_400_000_000;

/// Which calls.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsParams {
    /// Calls that started then or later: a date or time in `tz`, or RFC 3339.
    from: Option<String>,
    /// Calls that started earlier than this.
    to: Option<String>,
    /// IANA time zone of `from` and `to`; UTC when not given.
    tz: Option<String>,
    /// The campaign.
    campaign: Option<String>,
    /// inbound, outbound or internal.
    direction: Option<String>,
    /// One of the fourteen statuses.
    status: Option<String>,
    /// The agent.
    agent: Option<String>,
    /// The queue.
    queue: Option<String>,
    /// The customer's number, in E.164 or as the PBX had it.
    number: Option<String>,
    /// The PBX.
    pbx: Option<String>,
    /// Where the last page ended, from its `Link`.
    cursor: Option<String>,
    /// Rows of a page: 100, at most 1,000.
    limit: Option<usize>,
}

/// Calls, newest first.
#[utoipa::path(get, path = "/api/v1/calls", tag = "calls", params(CallsParams), responses(
    (status = 200, description = "The rows, in JSON, CSV or Arrow by `Accept`; `Link` has the next page"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    Params(params): Params<CallsParams>,
) -> Result<Response, Problem> {
    let format = accept::format(&headers)?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit {limit} is not between 1 and {LIMIT_MAX}")));
    }
    let page = first_rows(newest(&app, &conditions(&params)?, limit).await?, limit);
    let cursor = page.truncated.then(|| cursor_after(&page)).flatten();
    let mut response = accept::answer(page, format)?;
    if let Some(cursor) = cursor {
        let next = CallsParams { cursor: Some(cursor), ..params };
        if let Ok(link) = HeaderValue::from_str(&format!("</api/v1/calls?{}>; rel=\"next\"", next.query())) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// The newest calls, and one more than a page has, which tells whether there is another page. The last days are looked through
/// first: mostly they fill a page, and files of other days are not opened for it.
async fn newest(app: &App, wanted: &Conditions, limit: usize) -> Result<QueryOutput, Problem> {
    let inquiry = app.engine.inquiry(&["calls"]).await?;
    let rows = async |since: &str| {
        let Conditions { sql, .. } = wanted;
        let order = "ORDER BY started_at DESC, call_id DESC";
        inquiry.report(&format!("SELECT * FROM calls WHERE true{sql}{since} {order} LIMIT {}", limit + 1)).await
    };
    let now = Micros(Timestamp::now().as_microsecond());
    let end = wanted.end.map_or(now, |end| end.min(now));
    for days in DAYS_FIRST {
        let since = Micros(end.0.saturating_sub(days * DAY_MICROS));
        if wanted.start.is_some_and(|start| start >= since) {
            break;
        }
        let page = rows(&format!(" AND started_at >= {}", moment(since))).await?;
        if page.rows() > limit {
            return Ok(page);
        }
    }
    Ok(rows("").await?)
}

impl CallsParams {
    /// As they stand in an address.
    fn query(&self) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("from", &self.from),
            ("to", &self.to),
            ("tz", &self.tz),
            ("campaign", &self.campaign),
            ("direction", &self.direction),
            ("status", &self.status),
            ("agent", &self.agent),
            ("queue", &self.queue),
            ("number", &self.number),
            ("pbx", &self.pbx),
            ("cursor", &self.cursor),
            ("limit", &limit),
        ] {
            query.extend_pairs(value.as_ref().map(|value| (name, value)));
        }
        query.finish()
    }
}

/// A misspelt word is not one that no call has.
fn one_of(what: &'static str, word: Option<&str>, known: &[&str]) -> Result<(), Problem> {
    match word {
        Some(word) if !known.contains(&word) => Err(unknown(what, word, &known.join(", "))),
        Some(_) | None => Ok(()),
    }
}

/// What the calls of a page have in common.
struct Conditions {
    /// Each with `AND` before it.
    sql: String,
    /// They started then or later, and then or earlier.
    start: Option<Micros>,
    end: Option<Micros>,
}

fn conditions(params: &CallsParams) -> Result<Conditions, Problem> {
    let mut sql = String::new();
    one_of("direction", params.direction.as_deref(), &Direction::ALL.map(Direction::name))?;
    one_of("status", params.status.as_deref(), &Status::ALL.map(Status::name))?;
    for (column, value) in [
        ("campaign", &params.campaign),
        ("direction", &params.direction),
        ("status", &params.status),
        ("agent", &params.agent),
        ("queue", &params.queue),
        ("pbx", &params.pbx),
    ] {
        if let Some(value) = value {
            let _ = write!(sql, " AND {column} = {}", quoted(value));
        }
    }
    if let Some(number) = &params.number {
        // E.164 with or without its sign.
        let number = number.trim_start_matches('+');
        let _ = write!(sql, " AND (number_e164 = {0} OR number_raw = {0})", quoted(number));
    }
    let (from, to, tz) = (params.from.as_deref(), params.to.as_deref(), params.tz.as_deref());
    let range = Times { from, to, tz, ..Times::default() }.range()?;
    let (start, mut end) = (range.from, range.to);
    for (sign, at) in [(">=", start), ("<", end)] {
        if let Some(at) = at {
            let _ = write!(sql, " AND started_at {sign} {}", moment(at));
        }
    }
    if let Some(cursor) = &params.cursor {
        let ended = cursor.split_once(':').and_then(|(at, id)| Some((Micros(at.parse().ok()?), id)));
        let Some((at, id)) = ended else {
            return Err(Problem::bad_request(format!("`{cursor}` is no cursor of this list")));
        };
        end = Some(end.map_or(at, |end| end.min(at)));
        let (at, id) = (moment(at), quoted(id));
        let _ = write!(sql, " AND started_at <= {at} AND (started_at < {at} OR call_id < {id})");
    }
    Ok(Conditions { sql, start, end })
}

fn first_rows(output: QueryOutput, limit: usize) -> QueryOutput {
    // The caps of all queries may be narrower.
    let truncated = output.truncated || output.rows() > limit;
    let mut room = limit;
    let mut batches = Vec::new();
    for batch in &output.batches {
        let rows = batch.num_rows().min(room);
        room -= rows;
        batches.push(batch.slice(0, rows));
    }
    batches.retain(|batch| batch.num_rows() > 0);
    output.with_rows(batches, truncated)
}

fn cursor_after(page: &QueryOutput) -> Option<String> {
    let last = page.batches.last()?;
    let row = last.num_rows().checked_sub(1)?;
    let at = last.column_by_name("started_at")?.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
    let id = last.column_by_name("call_id")?.as_string_opt::<i32>()?.value(row);
    Some(format!("{at}:{id}"))
}

/// Everything about one call.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Call {
    /// Its row in `calls`.
    #[schema(value_type = Object)]
    call: Box<RawValue>,
    /// Its rows in `legs`, in the order in which they were offered.
    #[schema(value_type = Vec<Object>)]
    legs: Box<RawValue>,
    /// Its rows in `queue_visits`, in the order of entry.
    #[schema(value_type = Vec<Object>)]
    queue_visits: Box<RawValue>,
    /// What happened, line by line: `at` (microseconds UTC), `source`, `what` and, where it decided, `decides`.
    #[schema(value_type = Vec<Object>)]
    story: Box<RawValue>,
}

/// One call with its legs, its visits to queues, and its story.
#[utoipa::path(get, path = "/api/v1/calls/{id}", tag = "calls", params(
    ("id" = String, Path, description = "The call's id, e.g. `pbx1/1700000000.1`; its slash may be sent as it is, a `#` as `%23`"),
), responses(
    (status = 200, description = "The call", body = Call),
    (status = 404, description = "There is no such call", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let inquiry = app.engine.inquiry(&["calls", "legs", "queue_visits", "stories"]).await?;
    let of_call = format!("WHERE call_id = {}", quoted(&id));
    let rows = async |select: &str, order: &str| inquiry.report(&format!("{select} {of_call} {order}")).await;
    let calls = rows("SELECT * FROM calls", "").await?;
    let mut response = match serde_json::from_str::<Vec<Box<RawValue>>>(json(&calls)?.get()).map_err(unreadable)?.pop()
    {
        Some(call) => {
            let legs = json(&rows("SELECT * FROM legs", "ORDER BY offered_at, leg_id").await?)?;
            let queue_visits = json(&rows("SELECT * FROM queue_visits", "ORDER BY entered_at, visit_id").await?)?;
            let story = lines(&rows("SELECT story FROM stories", "").await?)?;
            axum::Json(Call { call, legs, queue_visits, story }).into_response()
        }
        None => Problem::not_found(format!("there is no call {id}")).into_response(),
    };
    // All of it is of one moment, so each statement lacks the same.
    accept::tell_of_lacking(&mut response, &calls.lacking);
    Ok(response)
}

pub(super) fn json(output: &QueryOutput) -> Result<Box<RawValue>, Problem> {
    let bytes = format::write(output, Format::Json).map_err(|e| Problem::internal(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(unreadable)
}

/// A story is kept as JSON text in its one column.
fn lines(output: &QueryOutput) -> Result<Box<RawValue>, Problem> {
    let story = output.batches.iter().find(|b| b.num_rows() > 0).and_then(|b| b.column(0).as_string_opt::<i32>());
    serde_json::from_str(story.map_or("[]", |texts| texts.value(0))).map_err(unreadable)
}

pub(super) fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal(format!("it cannot be shown: {error}"))
}

/// A text as an SQL literal. The engine's dialect knows no other escapes than the doubled quote.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A moment as a literal of the columns' own type, so that whole files can be left out by it.
fn moment(at: Micros) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.0)
}
