//! Agents' own words: the directory of a site, what the fold `agents` is told, and what terminals are told.
//!
//! The fold reads [`ForAgents`] from [`topics::IN_AGENTS`](crate::topics::IN_AGENTS), which has one partition: who is who may
//! change at any time, and a person works on several PBXs. Terminals read [`Answer`]. What follows from it is the fold's matter.

pub mod check;
pub mod directory;
mod inputs;
mod tariff;
mod terminals;

pub use inputs::{
    Activity, Billable, BillableKind, Doing, ForAgents, LegSaid, Member, MemberSaid, MemberWhat, Registered, Server,
    ServerWhat, Tick,
};
pub use tariff::{BadRate, Tariff};
pub use terminals::{Answer, Terminal, TerminalWhat};
