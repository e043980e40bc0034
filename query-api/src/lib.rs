//! The query side: one engine over the lake and the log's newest facts, and the doors to it.
//!
//! It reads; nothing here writes to the log or the lake, and it must not know how calls are derived. What dialers and agents'
//! terminals say goes out by [`recycling`] and [`agents`]. Start with [`engine`], then [`reports`] for the numbers, [`http`] for the door.

pub mod agents;
pub mod engine;
pub mod format;
pub mod http;
pub mod recycling;
pub mod reports;

pub use engine::{
    Description, Engine, EngineOptions, Lacking, LakePlace, LastResort, Lost, Principal, QueryError, QueryOutput,
    Question, Sql,
};
