//! The topics of the log: who writes them, what keys them, which table they fill.
//!
//! Documentation, the AsyncAPI document and the log's own creation come from this one list.

/// Every topic name starts so.
pub const PREFIX: &str = "calltide.";

/// Raw envelopes, keyed by PBX.
pub const EVENTS: &str = "calltide.events";

/// What is known of a topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicDef {
    /// Full name.
    pub name: &'static str,
    /// What is in it, in a sentence.
    pub doc: &'static str,
    /// What its key is.
    pub key: &'static str,
    /// Whether only the latest record of each key must be kept.
    pub compacted: bool,
    /// The table whose rows it carries, if any.
    pub table: Option<&'static str>,
}

/// All topics, upstream first.
pub const TOPICS: &[TopicDef] = &[
    TopicDef {
        name: EVENTS,
        doc: "what the PBX said, as it came, in an envelope",
        key: "PBX id",
        compacted: false,
        table: Some("inputs"),
    },
    TopicDef {
        name: "calltide.calls",
        doc: "closed calls, one row each, by version",
        key: "call_id",
        compacted: true,
        table: Some("calls"),
    },
    TopicDef {
        name: "calltide.attempts",
        doc: "outbound dials, one row each, by version",
        key: "call_id",
        compacted: true,
        table: Some("attempts"),
    },
    TopicDef {
        name: "calltide.legs",
        doc: "one agent's or device's part in a call",
        key: "leg_id",
        compacted: true,
        table: Some("legs"),
    },
    TopicDef {
        name: "calltide.queue-visits",
        doc: "one entry of a caller into a queue",
        key: "visit_id",
        compacted: true,
        table: Some("queue_visits"),
    },
    TopicDef {
        name: "calltide.stories",
        doc: "the story of each call, event by event",
        key: "call_id",
        compacted: true,
        table: Some("stories"),
    },
    TopicDef {
        name: "calltide.rejects",
        doc: "what could not be read or came too late, with its bytes and why",
        key: "reject_id",
        compacted: true,
        table: Some("rejects"),
    },
];
