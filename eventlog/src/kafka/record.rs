//! A record as it is in Kafka: its headers are those of CloudEvents' binary mode, and what else a [`Record`] has.
//!
//! The journal has headers of its own; records of a group's state, which nobody else reads, have none. The timestamp is what the
//! brokers keep records by. Must not know what payloads mean.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::BaseRecord,
};

use super::{client::Receipt, ends::number, options::RECORD_BYTES_MAX};
use crate::{Partition, ReadRecord, Record};

const ID: &str = "ce_id";
const KIND: &str = "ce_type";
const TIME: &str = "ce_time";
const SOURCE: &str = "ce_source";
const VERSION: &str = "ce_specversion";
const CONTENT: &str = "content-type";
const JOURNAL: &str = "calltide_journal";
const JOURNAL_OFFSET: &str = "calltide_journal_offset";

/// The kind of a record of a group's state.
pub(super) const STATE: &str = "state";

/// What headers and framing of a record take beside its own bytes.
const FRAMING_BYTES: usize = 512;

/// A record that is older than this when it is written gets a timestamp this old: what is imported late is kept as long as
/// what came in time, and not removed at once.
const LATE: Duration = Duration::from_secs(60 * 60);
/// A clock ahead by more than this must not keep a record for ever; brokers refuse an hour by default.
const AHEAD: Duration = Duration::from_secs(30 * 60);

/// The timestamp, in milliseconds, of a record that is written now: its own time, unless that is far away.
pub(super) fn timestamp(at: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    at.div_euclid(1000).clamp(ms(now.saturating_sub(LATE)).max(1), ms(now + AHEAD))
}

/// The timestamp, in milliseconds, that no record whose time is not before `at` has an earlier one than.
pub(super) fn timestamp_before(at: i64) -> i64 {
    at.div_euclid(1000).max(0)
}

/// Whether a record is small enough.
pub(super) fn fits(record: &Record) -> bool {
    let journal = record.journal.as_ref().map_or(0, |(journal, _)| journal.len());
    let named = record.id.len() + record.kind.len() + journal;
    record.key.len() + record.payload.as_ref().map_or(0, Vec::len) + named + FRAMING_BYTES <= RECORD_BYTES_MAX
}

/// A record as it is sent.
pub(super) fn to_kafka<'a>(
    topic: &'a str,
    partition: Partition,
    record: &'a Record,
    receipt: &Arc<Receipt>,
) -> BaseRecord<'a, [u8], [u8], Arc<Receipt>> {
    BaseRecord {
        topic,
        partition: Some(number(partition)),
        payload: record.payload.as_deref(),
        key: Some(&record.key),
        timestamp: Some(timestamp(record.at)),
        headers: (record.kind != STATE).then(|| headers(record)),
        delivery_opaque: Arc::clone(receipt),
    }
}

fn headers(record: &Record) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(8)
        .insert(Header { key: ID, value: Some(&record.id) })
        .insert(Header { key: KIND, value: Some(&record.kind) })
        .insert(Header { key: SOURCE, value: Some("/calltide") })
        .insert(Header { key: VERSION, value: Some("1.0") });
    if let Ok(time) = jiff::Timestamp::from_microsecond(record.at) {
        headers = headers.insert(Header { key: TIME, value: Some(&time.to_string()) });
    }
    if record.payload.is_some() {
        headers = headers.insert(Header { key: CONTENT, value: Some("application/json") });
    }
    if let Some((journal, offset)) = &record.journal {
        headers = headers
            .insert(Header { key: JOURNAL, value: Some(journal) })
            .insert(Header { key: JOURNAL_OFFSET, value: Some(&offset.to_string()) });
    }
    headers
}

/// A record as it was read; one that others wrote has what there is of it.
pub(super) fn from_kafka(message: &BorrowedMessage<'_>) -> ReadRecord {
    let mut record = Record {
        key: message.key().unwrap_or_default().to_vec(),
        payload: message.payload().map(<[u8]>::to_vec),
        at: message.timestamp().to_millis().unwrap_or_default().saturating_mul(1000),
        ..Record::default()
    };
    let (mut journal, mut journal_offset) = (None, None);
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        let text = || header.value.and_then(|value| std::str::from_utf8(value).ok());
        match header.key {
            ID => record.id = text().unwrap_or_default().to_owned(),
            KIND => record.kind = text().unwrap_or_default().to_owned(),
            TIME => {
                let time = text().and_then(|text| text.parse::<jiff::Timestamp>().ok());
                record.at = time.map_or(record.at, jiff::Timestamp::as_microsecond);
            }
            JOURNAL => journal = text().map(str::to_owned),
            JOURNAL_OFFSET => journal_offset = text().and_then(|text| text.parse().ok()),
            _ => {}
        }
    }
    record.journal = journal.zip(journal_offset);
    ReadRecord { offset: u64::try_from(message.offset()).unwrap_or_default(), record }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_the_records_own_unless_far_away() {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros());
        let now = now.unwrap_or_default();
        let hour = 60 * 60 * 1_000_000;
        assert_eq!(timestamp(now), now / 1000);
        assert_eq!(timestamp(now - hour / 2), (now - hour / 2) / 1000);
        for (far, bound) in [(i64::MIN, now - hour), (-1, now - hour), (i64::MAX, now + hour / 2)] {
            // The clock goes on meanwhile.
            assert!((timestamp(far) - bound / 1000).abs() < 10_000, "{far}");
        }
    }
}
