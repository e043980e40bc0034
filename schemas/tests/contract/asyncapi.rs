//! The AsyncAPI document (version 3) of all topics: key, writer, partitioning, compaction and table of each, headers, payloads.
//!
//! Payloads are references to the JSON Schemas beside it. What AsyncAPI has no word for is in `x-calltide-…` fields, and in
//! a table that the data dictionary has, too.

use std::fmt::Write;

use calltide_schemas::headers::{Form, HEADERS, HeaderDef, On};
use calltide_schemas::topics::{EVENTS, OF_THE_LOG, PREFIX, TOPICS, TopicDef};
use serde_json::{Map, Value, json};

use super::dictionary::cell;

/// The document's file, beside the JSON Schemas.
pub(super) const FILE: &str = "asyncapi.json";

/// Raised in the second part by what is added; nothing else is ever done to topics and payloads.
const VERSION: &str = "1.0.0";

const INTRODUCTION: &str = "\
Calltide's topics on Kafka, for whoever reads them. Every one of its processes writes them alike; read them with \
`isolation.level=read_committed`, since the processor publishes in transactions.

A name may have an installation's own prefix before it. A record's key decides its partition as in Kafka's own clients \
(murmur2, Java's default partitioner); the number of partitions is an installation's and fixed when a topic is created. \
In a compacted topic at least the latest record of each key is kept; the row with the highest `version` counts, and a record \
without a payload takes its row back.

";

/// The whole document.
pub(super) fn document() -> Value {
    let all = || TOPICS.iter().chain(OF_THE_LOG);
    let messages: Map<_, _> = all().flat_map(messages).collect();
    let written = all().filter(|topic| !topic.kinds.is_empty());
    let operations: Map<_, _> = written.map(|t| (format!("write-{}", short(t)), operation(t))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Calltide's topics",
            "version": VERSION,
            "description": format!("{INTRODUCTION}{}", table()),
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The cluster, as `[log] kafka` names it.",
                "variables": { "bootstrap": { "default": "localhost:9092", "description": "`host:port` of a broker" } },
            },
        },
        "channels": all().map(|topic| (short(topic).to_owned(), channel(topic))).collect::<Map<_, _>>(),
        "operations": operations,
        "components": { "messages": messages, "schemas": { "headers": headers() } },
    })
}

/// Topics with what is known of each, as a Markdown table.
pub(super) fn table() -> String {
    let mut text = String::from(
        "| topic | holds | key | written by | in one partition | compacted | table |\n|---|---|---|---|---|---|---|\n",
    );
    for topic in TOPICS.iter().chain(OF_THE_LOG) {
        let TopicDef { name, doc, key, order, writer, kinds: _, id: _, compacted, table } = topic;
        let (doc, key, compacted) = (cell(doc), cell(key), if *compacted { "yes" } else { "" });
        let table = table.map(|table| format!("`{table}`")).unwrap_or_default();
        writeln!(text, "| `{name}` | {doc} | {key} | {writer} | {order} | {compacted} | {table} |")
            .expect("text takes everything");
    }
    text
}

/// The name without what all have.
fn short(topic: &TopicDef) -> &'static str {
    topic.name.strip_prefix(PREFIX).unwrap_or(topic.name)
}

/// Whether its records are rows, which can be taken back.
fn has_rows(topic: &TopicDef) -> bool {
    topic.compacted && TOPICS.iter().any(|known| known.name == topic.name)
}

fn reference(to: &str) -> Value {
    json!({ "$ref": format!("#/{to}") })
}

/// What the names of its messages begin with; names of components have no dots.
fn message_name(topic: &TopicDef) -> String {
    short(topic).replace('.', "-")
}

fn channel(topic: &TopicDef) -> Value {
    let messages = messages(topic).into_iter().map(|(name, _)| {
        let to = reference(&format!("components/messages/{name}"));
        (name, to)
    });
    json!({
        "address": topic.name,
        "summary": topic.doc,
        "messages": messages.collect::<Map<_, _>>(),
        "bindings": { "kafka": {
            "topic": topic.name,
            "topicConfiguration": { "cleanup.policy": cleanup(topic) },
            "bindingVersion": "0.5.0",
        } },
        "x-calltide-key": topic.key,
        "x-calltide-writer": topic.writer,
        "x-calltide-partitioning": topic.order,
        "x-calltide-compacted": topic.compacted,
        "x-calltide-table": topic.table,
    })
}

/// As the log creates it: facts may have an age, too, which is configured.
fn cleanup(topic: &TopicDef) -> &'static [&'static str] {
    match (topic.compacted, has_rows(topic)) {
        (false, _) => &["delete"],
        (true, true) => &["compact", "delete"],
        (true, false) => &["compact"],
    }
}

fn operation(topic: &TopicDef) -> Value {
    json!({
        "action": "send",
        "channel": reference(&format!("channels/{}", short(topic))),
        "summary": format!("{} writes {}", topic.writer, topic.doc),
    })
}

/// Names and definitions: of what it carries, and of what takes a row back.
fn messages(topic: &TopicDef) -> Vec<(String, Value)> {
    if topic.kinds.is_empty() {
        return Vec::new();
    }
    let name = message_name(topic);
    let mut all = vec![(name.clone(), message(topic, payload(topic), topic.doc))];
    if has_rows(topic) {
        let doc = "the row with this key is taken back: it turned out to be a part of another, or to be none";
        all.push((format!("{name}-withdrawn"), message(topic, json!({ "type": "null" }), doc)));
    }
    all
}

fn message(topic: &TopicDef, payload: Value, doc: &str) -> Value {
    let of_events = if topic.name == EVENTS {
        HEADERS.iter().filter(|header| header.on == On::Events).map(|header| header.name).collect()
    } else {
        Vec::new()
    };
    let headers = json!({
        "type": "object",
        "allOf": [reference("components/schemas/headers")],
        "properties": {
            "content-type": { "type": "string", "const": content_type(topic) },
            "ce_type": { "type": "string", "enum": topic.kinds },
            "ce_id": { "type": "string", "description": format!("identity of the record: {}", topic.id) },
        },
        "required": of_events,
    });
    let mut message = json!({
        "summary": doc,
        "contentType": content_type(topic),
        "payload": payload,
        "bindings": { "kafka": { "key": { "type": "string", "description": topic.key }, "bindingVersion": "0.5.0" } },
    });
    // A fold's state has none.
    if !is_state(topic) {
        message["headers"] = headers;
    }
    message
}

/// Whether it is a fold's state.
fn is_state(topic: &TopicDef) -> bool {
    short(topic).starts_with("state.")
}

fn content_type(topic: &TopicDef) -> &'static str {
    if is_state(topic) { "application/octet-stream" } else { "application/json" }
}

fn payload(topic: &TopicDef) -> Value {
    if TOPICS.iter().any(|known| known.name == topic.name) {
        json!({ "$ref": format!("./{}.schema.json", short(topic)) })
    } else if is_state(topic) {
        json!({ "description": "`next`: a number; `birth`: a text in quotes; any other: bytes of the fold's own layout" })
    } else {
        json!({ "type": "integer", "description": "the offset" })
    }
}

fn headers() -> Value {
    let form = |header: &HeaderDef| match header.form {
        Form::Always(value) => json!({ "type": "string", "const": value, "description": header.doc }),
        Form::Text => json!({ "type": "string", "description": header.doc }),
        Form::Int => json!({ "type": "string", "pattern": "^-?[0-9]+$", "description": header.doc }),
        Form::Time => json!({ "type": "string", "format": "date-time", "description": header.doc }),
    };
    let properties: Map<_, _> = HEADERS.iter().map(|header| (header.name.to_owned(), form(header))).collect();
    let every = HEADERS.iter().filter(|header| header.on == On::Every).map(|header| header.name);
    json!({
        "type": "object",
        "description": "Headers of CloudEvents' binary mode for Kafka, and Calltide's own; values are UTF-8.",
        "properties": properties,
        "required": every.collect::<Vec<_>>(),
    })
}
