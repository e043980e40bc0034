//! Finds calls by id or number, and what belongs to one.
//!
//! Asks the tables in SQL as anybody could; how a call is told is not known here.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use calltide_query_api::Principal;
use calltide_query_api::format::{self, Format};

use crate::errors::{Exit, Failure, Result};
use crate::reader::Reader;

/// The most calls that are listed to choose from.
const LISTED: usize = 20;
/// Fewer digits are no number to search by its end.
const DIGITS_MIN: usize = 5;

/// A row of `calls`, as far as it is told. Times are RFC 3339.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Call {
    pub(super) call_id: String,
    pub(super) pbx: String,
    pub(super) direction: String,
    pub(super) campaign: Option<String>,
    pub(super) contact: Option<String>,
    pub(super) number_raw: Option<String>,
    pub(super) number_e164: Option<String>,
    pub(super) status: String,
    pub(super) class: String,
    pub(super) status_evidence: String,
    pub(super) handled_by: String,
    pub(super) hangup_cause: Option<i64>,
    pub(super) hangup_by: Option<String>,
    pub(super) dropped: bool,
    pub(super) short: bool,
    pub(super) settled: bool,
    pub(super) end_estimated: bool,
    pub(super) left_at: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) entry: Option<String>,
    pub(super) started_at: String,
    pub(super) answered_at: Option<String>,
    pub(super) ended_at: String,
    pub(super) ring_ms: Option<i64>,
    pub(super) wait_ms: Option<i64>,
    pub(super) talk_ms: Option<i64>,
    pub(super) hold_ms: Option<i64>,
    pub(super) transfers: i64,
    pub(super) consult_of: Option<String>,
    pub(super) joined_call_id: Option<String>,
    pub(super) sources: String,
    pub(super) version: i64,
}

/// A row of `legs`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Leg {
    pub(super) agent: Option<String>,
    pub(super) device: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) offered_at: String,
    pub(super) ring_ms: Option<i64>,
    pub(super) talk_ms: Option<i64>,
    pub(super) hold_ms: Option<i64>,
    pub(super) outcome: String,
}

/// A row of `queue_visits`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Visit {
    pub(super) queue: String,
    pub(super) entered_at: String,
    pub(super) outcome: String,
    pub(super) wait_ms: i64,
    pub(super) agent: Option<String>,
}

/// A line of the story. `at` is in microseconds.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Line {
    pub(super) at: i64,
    pub(super) source: String,
    #[serde(default)]
    pub(super) channel: String,
    pub(super) what: String,
    pub(super) decides: Option<String>,
}

/// What belongs to a call.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) legs: Vec<Leg>,
    pub(super) visits: Vec<Visit>,
    pub(super) story: Vec<Line>,
}

/// How many calls fit.
pub(super) enum Found {
    None,
    One(Box<Call>),
    Many(Vec<Call>),
}

/// Looks for the call: first the very id, then the id without its PBX, then the number or its end.
pub(super) fn find(reader: &Reader, asked: &str) -> Result<Found> {
    let digits: String = asked.chars().filter(char::is_ascii_digit).collect();
    let is_number = asked.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c)) && !digits.is_empty();
    let mut ways = vec![format!("call_id = {}", quoted(asked)), ends_with("call_id", &format!("/{asked}"))];
    if is_number {
        ways.push(format!("ltrim(number_raw, '+') = {0} OR ltrim(number_e164, '+') = {0}", quoted(&digits)));
    }
    if is_number && digits.len() >= DIGITS_MIN {
        ways.push(format!("{} OR {}", ends_with("number_raw", &digits), ends_with("number_e164", &digits)));
    }
    for way in ways {
        let mut calls: Vec<Call> =
            rows(reader, &format!("SELECT * FROM calls WHERE {way} ORDER BY started_at DESC LIMIT {LISTED}"))?;
        match calls.len() {
            0 => {}
            1 => return Ok(calls.pop().map_or(Found::None, |call| Found::One(Box::new(call)))),
            _ => return Ok(Found::Many(calls)),
        }
    }
    Ok(Found::None)
}

/// Legs, visits and the story of a call.
pub(super) fn parts(reader: &Reader, call: &Call) -> Result<Parts> {
    #[derive(Deserialize)]
    struct Story {
        story: String,
    }
    let of_call = format!("WHERE call_id = {}", quoted(&call.call_id));
    let legs = rows(reader, &format!("SELECT * FROM legs {of_call} ORDER BY offered_at, leg_id"))?;
    let visits = rows(reader, &format!("SELECT * FROM queue_visits {of_call} ORDER BY entered_at, visit_id"))?;
    let stories: Vec<Story> = rows(reader, &format!("SELECT story FROM stories {of_call}"))?;
    let story =
        stories.first().map_or(Ok(Vec::new()), |row| serde_json::from_str(&row.story)).map_err(|e| unreadable(&e))?;
    Ok(Parts { legs, visits, story })
}

fn rows<T: DeserializeOwned>(reader: &Reader, sql: &str) -> Result<Vec<T>> {
    let answer = reader.ask(async |engine| engine.query(&Principal::local(), sql).await)?;
    reader.tell_of_lacking(&answer);
    let json = format::write(&answer, Format::Json).map_err(|e| unreadable(&e))?;
    serde_json::from_slice(&json).map_err(|e| unreadable(&e))
}

fn unreadable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failed, "the call cannot be shown").because(error)
}

/// A text as an SQL literal: the engine's dialect knows no other escape than the doubled quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn ends_with(column: &str, end: &str) -> String {
    format!("ends_with({column}, {})", quoted(end))
}
