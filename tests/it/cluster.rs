//! The roles apart, as processes on one real Kafka and one lake: ingest, processors, a query side.
//!
//! Needs Java 17 and Maven, as the log's own tests do. [`topology`] starts it all, [`crate::line`] is the line between a
//! site and the centre.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../eventlog/tests/log/kafka/broker.rs"]
mod broker;
mod cut;
#[path = "../../eventlog/tests/log/kafka/doors.rs"]
mod doors;
mod faults;
mod roles;
mod topology;
