//! The topics of the log: who writes them, what keys them, which table they fill.
//!
//! Documentation, the AsyncAPI document and the log's own creation come from this one list; what a record's headers say is in
//! [`headers`](crate::headers). Must not know how long records are kept, which is configured.

use crate::envelope::Source;

/// Every topic name starts so.
pub const PREFIX: &str = "calltide.";

/// Raw envelopes, keyed by PBX.
pub const EVENTS: &str = "calltide.events";

/// What the fold `contacts` is told, see [`crate::recycling`].
pub const IN_CONTACTS: &str = "calltide.in.contacts";

/// What the fold `numbers` is told.
pub const IN_NUMBERS: &str = "calltide.in.numbers";

/// What the fold `agents` is told, see [`crate::agents`]. It has one partition, wherever the log is.
pub const IN_AGENTS: &str = "calltide.in.agents";

/// Answers to agents' terminals.
pub const TERMINALS: &str = "calltide.terminals";

/// Who may be called again: of each contact the latest verdict, as long as it is `retry`.
pub const RETRY_LATER: &str = "calltide.retry-later";

/// Who may be called now.
pub const RETRY_DUE: &str = "calltide.retry-due";

/// Who goes on elsewhere.
pub const RETARGET: &str = "calltide.retarget";

/// Which dialer has what is due.
pub const LEASES: &str = "calltide.leases";

/// Without records: the tables are shared out among the lake's writers by its partitions, the nth of which stands for the nth
/// of [`crate::tables::TABLES`].
pub const LAKE_WRITERS: &str = "calltide.lake-writers";

/// Its partitions: more than there are tables, since the number is fixed when the topic is created.
pub const LAKE_WRITERS_PARTITIONS: u32 = 32;

/// What is known of a topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicDef {
    /// Full name.
    pub name: &'static str,
    /// What is in it, in a sentence.
    pub doc: &'static str,
    /// What its key is.
    pub key: &'static str,
    /// What the key keeps together, since it decides the partition.
    pub order: &'static str,
    /// Who writes to it: a role, and of the processor the fold.
    pub writer: &'static str,
    /// What its records are, as `ce_type` says.
    pub kinds: &'static [&'static str],
    /// What `ce_id` is made of.
    pub id: &'static str,
    /// Whether only the latest record of each key must be kept.
    pub compacted: bool,
    /// The table whose rows it carries, if any.
    pub table: Option<&'static str>,
}

const FOLD: &str = "processor, fold `calls`";
const CONTACTS: &str = "processor, fold `contacts`";
const NUMBERS: &str = "processor, fold `numbers`";
const AGENTS: &str = "processor, fold `agents`";

/// All topics, upstream first.
pub const TOPICS: &[TopicDef] = &[
    TopicDef {
        name: EVENTS,
        doc: "what the PBX said, as it came, in an envelope",
        key: "PBX id",
        order: "all events of a PBX, each journal in its order",
        writer: "ingest, import",
        kinds: &[
            Source::Ami.name(),
            Source::Cel.name(),
            Source::QueueLog.name(),
            Source::Heartbeat.name(),
            Source::ImportEnd.name(),
            Source::Gap.name(),
            Source::Unreadable.name(),
            Source::Resync.name(),
        ],
        id: "`<journal>:<journal offset>`",
        compacted: false,
        table: Some("inputs"),
    },
    fact("calltide.calls", &["call"], "closed calls, one row each, by version", "call_id", "calls"),
    fact("calltide.attempts", &["attempt"], "outbound dials, one row each, by version", "call_id", "attempts"),
    fact("calltide.legs", &["leg"], "one agent's or device's part in a call", "leg_id", "legs"),
    fact("calltide.queue-visits", &["queue_visit"], "one entry of a caller into a queue", "visit_id", "queue_visits"),
    fact("calltide.stories", &["story"], "the story of each call, event by event", "call_id", "stories"),
    fact(
        "calltide.rejects",
        &["reject"],
        "what could not be read or came too late, with its bytes and why",
        "reject_id",
        "rejects",
    ),
    fact(
        "calltide.sources",
        &["source"],
        "each PBX's sources of events: liveness, lag, what came twice, what is missing",
        "source_id",
        "sources",
    ),
    TopicDef {
        name: IN_CONTACTS,
        doc: "what the fold `contacts` is told: lists, rules, callbacks, settled attempts, what is known of numbers, ticks",
        key: "`<campaign>/<contact>`; of what concerns all contacts a word",
        order: "everything about a contact; rules, ticks and lists are in every partition",
        writer: "processor, folds `calls`, `contacts` and `numbers`; `contacts load`, query-api",
        kinds: &[
            "rules",
            "tick",
            "contact_loaded",
            "standing",
            "callback",
            "contact_dial",
            "contact_attempt",
            "notice",
        ],
        id: "what it is about and when",
        compacted: false,
        table: None,
    },
    TopicDef {
        name: IN_NUMBERS,
        doc: "what the fold `numbers` is told: calls with each number, do-not-call entries, what contacts wish, claims, ticks",
        key: "the number; of what concerns all numbers a word",
        order: "everything about a number; ticks and prefixes are in every partition",
        writer: "processor, folds `calls` and `contacts`; `dnc`, query-api",
        kinds: &["numbers_tick", "wish", "listing", "number_dial", "number_call", "claim", "acknowledged", "reached"],
        id: "what it is about and when",
        compacted: false,
        table: None,
    },
    TopicDef {
        writer: CONTACTS,
        ..fact(
            "calltide.contacts",
            &["contact"],
            "each contact of a campaign and its latest verdict",
            "contact_key",
            "contacts",
        )
    },
    TopicDef {
        writer: CONTACTS,
        ..fact("calltide.verdicts", &["verdict"], "all verdicts, with what decided them", "verdict_id", "verdicts")
    },
    TopicDef {
        writer: CONTACTS,
        ..fact("calltide.rules", &["campaign_rules"], "the rules of campaigns, by version", "rules_id", "rules")
    },
    TopicDef {
        writer: NUMBERS,
        ..fact(
            "calltide.do-not-call",
            &["do_not_call"],
            "who may not be called: every entry, by version",
            "entry_id",
            "do_not_call",
        )
    },
    TopicDef {
        name: IN_AGENTS,
        doc: "what the fold `agents` is told: the directory, queue members, terminals, agents' parts in calls, what costs money, ticks",
        key: "what it is about: a member, a leg, an agent; `*` of what concerns all",
        order: "one partition, whatever the key",
        writer: "processor, fold `calls`; `agents`, query-api",
        kinds: &[
            "agents_tick",
            "directory_change",
            "member",
            "server",
            "terminal",
            "registered",
            "agent_leg",
            "billable",
        ],
        id: "what it is about and when",
        compacted: false,
        table: None,
    },
    TopicDef {
        writer: AGENTS,
        ..fact(
            "calltide.agent-sessions",
            &["agent_session"],
            "logins of agents, and their stays in queues",
            "session_id",
            "agent_sessions",
        )
    },
    TopicDef {
        writer: AGENTS,
        ..fact(
            "calltide.agent-intervals",
            &["agent_interval"],
            "what each agent did and does, one state after the other",
            "interval_id",
            "agent_intervals",
        )
    },
    TopicDef {
        writer: AGENTS,
        ..fact("calltide.agent-names", &["agent_name"], "who an agent or device of a PBX is", "name_id", "agent_names")
    },
    TopicDef {
        writer: AGENTS,
        ..fact(
            "calltide.directory",
            &["directory_entry"],
            "the directory's entries, each by the periods in which it held",
            "entry_id",
            "directory",
        )
    },
    TopicDef {
        writer: AGENTS,
        ..fact("calltide.charges", &["charge"], "what connections cost, and whom", "charge_id", "charges")
    },
    TopicDef {
        name: TERMINALS,
        doc: "answers to agents' terminals",
        key: "the agent",
        order: "all answers to an agent",
        writer: AGENTS,
        kinds: &["terminal_answer"],
        id: "`terminal_answer:<request_id>`",
        compacted: false,
        table: None,
    },
    TopicDef {
        name: RETRY_LATER,
        doc: "who may be called again: the row of `contacts` while its verdict is `retry`",
        key: "`<campaign>/<contact>`",
        order: "all verdicts of a contact",
        writer: CONTACTS,
        kinds: &["retry_later"],
        id: "`retry_later:<key>:<version>`",
        compacted: true,
        table: None,
    },
    TopicDef {
        name: RETRY_DUE,
        doc: "who may be called now; with `withdrawn`, who may not any more",
        key: "`<campaign>/<contact>`",
        order: "all messages of a contact's number",
        writer: NUMBERS,
        kinds: &["retry_due"],
        id: "`retry_due:<verdict_id>`, and `:withdrawn` of a withdrawal",
        compacted: false,
        table: None,
    },
    TopicDef {
        name: RETARGET,
        doc: "contacts that go on in another campaign, in a queue or with an agent",
        key: "`<campaign>/<contact>`",
        order: "all messages of a contact",
        writer: CONTACTS,
        kinds: &["retarget"],
        id: "`retarget:<verdict_id>`",
        compacted: false,
        table: None,
    },
    TopicDef {
        name: LEASES,
        doc: "answers to dialers who ask for what is due",
        key: "`<campaign>/<contact>`",
        order: "all leases of a contact's number",
        writer: NUMBERS,
        kinds: &["lease"],
        id: "`lease:<lease_id>:<verdict_id>` and when",
        compacted: false,
        table: None,
    },
];

/// Topics beside these on Kafka, by which processes work together. Whoever reads facts needs none of them, and nobody else may
/// write to them.
pub const OF_THE_LOG: &[TopicDef] = &[
    TopicDef {
        name: "calltide.journals",
        doc: "how far each journal has come: its highest offset that is surely in the topic of events",
        key: "journal",
        order: "one partition, whatever the key",
        writer: "ingest, import",
        kinds: &["journal"],
        id: "empty",
        compacted: true,
        table: None,
    },
    state(
        "calltide.state.calls",
        &["state"],
        "the state of the fold `calls`, written by the transactions that write its outputs; bytes of its own layout",
        FOLD,
    ),
    state("calltide.state.contacts", &["contacts_state"], "the same of the fold `contacts`", CONTACTS),
    state("calltide.state.numbers", &["numbers_state"], "the same of the fold `numbers`", NUMBERS),
    state("calltide.state.agents", &["agents_state"], "the same of the fold `agents`", AGENTS),
    empty(LAKE_WRITERS, "nothing: processors share the tables out among themselves by its partitions"),
    TopicDef {
        compacted: true,
        ..empty("calltide.state.lake-writers", "nothing: how far the tables are is in the tables' own commits")
    },
];

const fn fact(
    name: &'static str,
    kinds: &'static [&'static str],
    doc: &'static str,
    key: &'static str,
    table: &'static str,
) -> TopicDef {
    let order = "all versions of a row, in their order";
    let id = "`<ce_type>:<key>:<version>`";
    TopicDef { name, doc, key, order, writer: FOLD, kinds, id, compacted: true, table: Some(table) }
}

const fn state(
    name: &'static str,
    kinds: &'static [&'static str],
    doc: &'static str,
    writer: &'static str,
) -> TopicDef {
    TopicDef {
        name,
        doc,
        key: "`=` and the entry's key; `next`: the offset of the input at which the work goes on; `birth`: tells the partition from any other",
        order: "the state of the input's partition with the same number, whatever the key",
        writer,
        kinds,
        id: "empty",
        compacted: true,
        table: None,
    }
}

const fn empty(name: &'static str, doc: &'static str) -> TopicDef {
    let (key, order, writer, id) = ("none", "nothing", "nobody", "none");
    TopicDef { name, doc, key, order, writer, kinds: &[], id, compacted: false, table: None }
}
