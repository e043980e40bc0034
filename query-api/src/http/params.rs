//! Query parameters, with a problem instead of plain text when they are wrong.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::reports::outcomes::UnknownWord;

/// The parameters of a request.
pub(super) struct Params<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(params)| Self(params)).map_err(|e| Problem::bad_request(e.body_text()))
    }
}

/// A word that is none of those which may be given.
pub(super) fn unknown(what: &'static str, word: &str, known: &str) -> Problem {
    Problem::bad_request(UnknownWord { what, word: word.to_owned(), known: known.to_owned() }.to_string())
}
