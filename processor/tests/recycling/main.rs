//! Recycling as situations in the field's words: a story of contacts, dials and calls, and what dialers and tables say of it.
//!
//! Every story runs straight, with both folds restarted after every record, and with every record told twice; all must give the
//! same ([`site`]). What generated histories must hold is in [`laws`].

#![expect(clippy::unwrap_used, reason = "tests")]

mod caps;
mod decisions;
mod laws;
mod leases;
mod lists;
mod site;
mod story;
mod times;
