//! What the headers of a record in Kafka say: CloudEvents' binary mode, and what else a record of ours has. Records of a fold's
//! state have none.
//!
//! The log on Kafka writes and reads them under names of its own, since it must not depend on this crate; a test there holds
//! both to be the same. Which words `ce_type` has in a topic, and what its `ce_id` is made of, is in [`topics`](crate::topics).

/// A header.
#[derive(Debug, Clone, Copy)]
pub struct HeaderDef {
    /// Its name.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub doc: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// Which records have it.
    pub on: On,
}

/// What a header's value looks like; all are UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Always this.
    Always(&'static str),
    /// Any text.
    Text,
    /// A whole number in decimal digits, perhaps with a minus.
    Int,
    /// A time as RFC 3339 has it, in UTC.
    Time,
}

/// Which records have a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// All.
    Every,
    /// Those with a payload, i.e. all but tombstones.
    Payloads,
    /// Those of collectors.
    Events,
}

/// All headers.
pub const HEADERS: &[HeaderDef] = &[
    header("ce_specversion", Form::Always("1.0"), On::Every, "the version of CloudEvents"),
    header("ce_id", Form::Text, On::Every, "identity of the record: a repeat has the same"),
    header("ce_type", Form::Text, On::Every, "what it is"),
    header("ce_source", Form::Always("/calltide"), On::Every, "the program"),
    header(
        "ce_time",
        Form::Time,
        On::Every,
        "when it happened, to the microsecond; facts: the PBX's clock when this version was made",
    ),
    header("content-type", Form::Always("application/json"), On::Payloads, "what the payload is"),
    header("calltide_journal", Form::Text, On::Events, "the journal that it was collected in"),
    header(
        "calltide_journal_offset",
        Form::Int,
        On::Events,
        "its place there, from 1 without holes; a record at or below the last one of its journal is a repeat",
    ),
];

const fn header(name: &'static str, form: Form, on: On, doc: &'static str) -> HeaderDef {
    HeaderDef { name, doc, form, on }
}
