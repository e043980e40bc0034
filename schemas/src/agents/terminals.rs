//! What agents' terminals say, and what they are told.
//!
//! A terminal asks; the fold decides, and answers by the request's id in the topic `terminals`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Micros;

/// A terminal says something of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terminal {
    /// When.
    pub at: Micros,
    /// The agent, by the id in the directory, or `<pbx>/<name>`.
    pub agent: String,
    /// The terminal.
    pub terminal: String,
    /// Names the request for its answer; empty where none is waited for.
    pub request_id: String,
    /// What it says.
    pub what: TerminalWhat,
}

/// What a terminal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TerminalWhat {
    /// The agent logs in there.
    Login {
        /// The terminal's IP address.
        address: Option<String>,
        /// The device that the agent names, `<pbx>/<endpoint>`.
        device: Option<String>,
        /// Without a heartbeat for so long the agent is logged out, in milliseconds; never if there is none.
        timeout_ms: Option<i64>,
    },
    /// The agent is still there.
    Heartbeat,
    /// The agent logs out there.
    Logout,
}

/// What became of what a terminal said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The request.
    pub request_id: String,
    /// The agent.
    pub agent: String,
    /// The terminal.
    pub terminal: String,
    /// Whether it was done.
    pub accepted: bool,
    /// Why not, if not.
    pub reason: Option<String>,
    /// The agent's device now, `<pbx>/<endpoint>`, if there is one.
    pub device: Option<String>,
    /// When it was answered.
    pub at: Micros,
}
