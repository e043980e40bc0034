//! The contract between the parts of Calltide: envelopes, topics, tables, statuses and metrics.
//!
//! Pure: no I/O, no clock, and nothing of the other crates. Everything here is data or a function of its arguments.
//! Read [`envelope`] for what comes in, [`tables`] for what goes out, [`status`] for how a call is judged.

pub mod agents;
pub mod ami_text;
pub mod envelope;
pub mod errors;
pub mod headers;
pub mod journals;
pub mod lake;
pub mod metrics;
pub mod numbers;
pub mod recycling;
pub mod status;
pub mod tables;
pub mod time;
pub mod topics;

pub use time::Micros;
