//! Query parameters, with a problem instead of plain text when they are wrong; and those that say which time is asked for.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::reports::outcomes::UnknownWord;
use crate::reports::{DayStart, Range};

/// The parameters of a request.
pub(super) struct Params<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(params)| Self(params)).map_err(|e| Problem::bad_request(e.body_text()))
    }
}

/// The parameters by which a time is asked for, as they stand in the address. Each door has them among its own, so that it can
/// say what they mean there and refuse what it does not know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) tz: Option<&'a str>,
    pub(super) day_start: Option<&'a str>,
}

impl Times<'_> {
    /// What they mean: everything, UTC and midnight where nothing is said.
    pub(super) fn range(self) -> Result<Range, Problem> {
        let day_start = self.day_start.map(str::parse::<DayStart>).transpose();
        let day_start = day_start.map_err(|e| Problem::bad_request(e.to_string()))?;
        let all = Range::all(self.tz.unwrap_or("UTC"), day_start.unwrap_or_default());
        Ok(all.between(self.from, self.to)?)
    }
}

/// A word that is none of those which may be given.
pub(super) fn unknown(what: &'static str, word: &str, known: &str) -> Problem {
    Problem::bad_request(UnknownWord { what, word: word.to_owned(), known: known.to_owned() }.to_string())
}
