//! What could not be read, or came too late: a row with its bytes and the reason, never dropped in silence.

use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Source};

use super::rows::RejectRow;
use crate::fold::Effects;

const TOPIC: &str = "calltide.rejects";

/// So much of a record is kept in its row; all of it is in the table `inputs`. A multiple of four, so that base64 stays whole.
const RAW_BYTES_MAX: usize = 64 << 10;

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_BYTES_MAX)]
}

/// Publishes a row about an envelope.
pub(super) fn reject(envelope: &Envelope<'_>, payload: &[u8], reason: &str, detail: Option<String>, out: &mut Effects) {
    let raw = match &envelope.raw {
        Some(raw) => format!("base64:{}", beginning(raw)),
        None => beginning(&String::from_utf8_lossy(payload)).to_owned(),
    };
    let told_source = envelope.header("source");
    let source = match (envelope.source, told_source) {
        (Source::Unreadable, Some("ami")) => "ami",
        (Source::Unreadable, Some("cel")) => "cel",
        (Source::Unreadable, Some("queue_log")) => "queue_log",
        (source, _) => source.name(),
    };
    let row = RejectRow {
        pbx: envelope.pbx.clone().into_owned(),
        reject_id: format!("{}:{}", envelope.journal, envelope.offset),
        source,
        reason: reason.to_owned(),
        detail: detail.or_else(|| envelope.header("detail").map(str::to_owned)),
        raw: Some(raw),
        at: envelope.at,
        version: 1,
        updated_at: envelope.at,
    };
    out.note("rejected");
    out.publish(TOPIC, "reject", envelope.at.0, &row);
}

/// Publishes a row about a record that is no envelope.
pub(super) fn unreadable_record(record: &Record, payload: &[u8], out: &mut Effects) {
    let at = Micros(record.at);
    let row = RejectRow {
        pbx: String::from_utf8_lossy(&record.key).into_owned(),
        reject_id: record.id.clone(),
        source: Source::Unreadable.name(),
        reason: "not_an_envelope".to_owned(),
        detail: None,
        raw: Some(beginning(&String::from_utf8_lossy(payload)).to_owned()),
        at,
        version: 1,
        updated_at: at,
    };
    out.note("rejected");
    out.publish(TOPIC, "reject", record.at, &row);
}
