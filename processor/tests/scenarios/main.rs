//! The calls fold against situations of a contact centre: timelines as text with the expected rows beside them, recorded
//! captures with the truth about each call, and random disorder.
//!
//! Begin with `outbound`; `timeline` says how a line becomes events, `ways` in how many ways each story is run.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod outbound;

mod agents;

mod inbound;

mod queues;

mod moves;

mod endings;

mod cuts;

mod columns;

mod disorder;

mod garbage;

mod sources;

mod captures;
mod truth;

mod expected;
mod replay;
mod timeline;
mod ways;
