//! Which of the result formats a request wants, and the result written so.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use super::problem::Problem;
use crate::format::{Format, Pieces};
use crate::{Lacking, QueryOutput};

/// What can be had, the default first.
const KNOWN: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("text/csv", Format::Csv),
    ("application/vnd.apache.arrow.stream", Format::Arrow),
];

/// Present, with the value `true`, when the row cap cut a result off.
const TRUNCATED: HeaderName = HeaderName::from_static("calltide-truncated");

/// Present when facts could not be had that belong into the result: which, as [`Lacking`] says it.
const LACKING: HeaderName = HeaderName::from_static("calltide-lacking");
/// Most of them: a head has its limits, too.
const LACKING_MAX: usize = 20;

/// The format that `Accept` prefers; JSON when it says nothing.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let wishes: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    if wishes.is_empty() {
        return Ok(Format::Json);
    }
    let mut best: Option<(f32, Format)> = None;
    for wish in wishes.iter().flat_map(|v| v.split(',')) {
        let mut parts = wish.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        let matches = |kind: &str| match range.split_once('/') {
            Some(("*", "*")) => true,
            Some((group, "*")) => kind.split_once('/').is_some_and(|(g, _)| g == group),
            Some(_) | None => range == kind,
        };
        let found = KNOWN.into_iter().find(|(kind, _)| matches(kind));
        if let Some((_, format)) = found
            && quality > best.map_or(0.0, |(q, _)| q)
        {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(|| Problem::not_acceptable(&KNOWN.map(|(kind, _)| kind).join(", ")))
}

/// The result in that format, sent as it is written: what was sent is let go.
pub(super) fn answer(output: QueryOutput, format: Format) -> Result<Response, Problem> {
    let (truncated, lacking) = (output.truncated, Arc::clone(&output.lacking));
    if let Some(list) =
        output.schema.fields().iter().find(|field| format == Format::Csv && field.data_type().is_nested())
    {
        let detail = format!("CSV has no lists, as in column `{}`: ask for JSON or Arrow", list.name());
        return Err(Problem::bad_request(detail));
    }
    let mut pieces = Pieces::new(output, format).map_err(|e| Problem::internal(e.to_string()))?;
    // What cannot be written at all is told as a problem; after the first piece the answer has begun.
    let first = pieces.next().transpose().map_err(|e| Problem::internal(e.to_string()))?;
    let body = Body::from_stream(futures::stream::iter(first.map(Ok).into_iter().chain(pieces)));
    let kind = KNOWN.into_iter().find(|(_, f)| *f == format).map_or("text/plain", |(kind, _)| kind);
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    if truncated {
        response.headers_mut().insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    tell_of_lacking(&mut response, &lacking);
    Ok(response)
}

/// Says in the head of an answer which facts it lacks.
pub(super) fn tell_of_lacking(response: &mut Response, lacking: &[Lacking]) {
    for lacking in lacking.iter().take(LACKING_MAX) {
        if let Ok(told) = HeaderValue::from_str(&lacking.to_string()) {
            response.headers_mut().append(LACKING, told);
        }
    }
}
