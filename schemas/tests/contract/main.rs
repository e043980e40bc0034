//! The contract as others see it: checked-in documents equal what the code says, and version 1 stays readable.
//!
//! `checked_in` compares or, when asked, renews; the documents are made in `json_schema`, `asyncapi` and
//! `dictionary`.

mod asyncapi;
mod checked_in;
mod dictionary;
mod fixtures;
mod json_schema;
mod round_trip;
mod topics;
