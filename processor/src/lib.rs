//! From raw events to facts: the vocabulary of telephony, pure folds over it, the runtime that drives them with one atomic
//! commit per batch, and the lake that the facts are written to.
//!
//! Knows the log and the contract (`schemas`); must not know collectors, queries or configuration files.
//! Read [`vocabulary`], then [`calls`], then [`runtime`].

pub mod agents;
pub mod calls;
pub mod fold;
pub mod lake;
pub mod recycling;
pub mod runtime;
mod store;
pub mod vocabulary;
