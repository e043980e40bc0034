//! What is in Kafka is what the contract says to whoever reads it: headers and topics, read as any client does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use calltide_eventlog::{Change, Commit, EventLog, Output, Polled, Record};
use calltide_schemas::headers::{Form, HEADERS, On};
use calltide_schemas::topics::{OF_THE_LOG, TOPICS, TopicDef};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::{Broker, open, options, shared};
use crate::{CALLS, EVENTS, call, event};

/// Longer than any read takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every record of a topic's first partition, up to the end that it has now.
fn read(broker: &Broker, topic: &str, mut look: impl FnMut(&BorrowedMessage<'_>)) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.servers()).set("group.id", "somebody");
    config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "{topic} does not end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => look(&message),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(0))) => return,
            Some(Err(error)) => panic!("{topic}: {error}"),
            None => {}
        }
    }
}

fn headers(message: &BorrowedMessage<'_>) -> BTreeMap<String, String> {
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    message
        .headers()
        .into_iter()
        .flat_map(|headers| headers.iter())
        .map(|header| (header.key.to_owned(), text(header.value)))
        .collect()
}

/// Whether a record has the headers that it should have, each of its form, and no others.
fn assert_as_told(topic: &TopicDef, found: &BTreeMap<String, String>, has_payload: bool, is_event: bool) {
    let on = |on: On| match on {
        On::Every => true,
        On::Payloads => has_payload,
        On::Events => is_event,
    };
    let wanted: BTreeSet<&str> = HEADERS.iter().filter(|header| on(header.on)).map(|header| header.name).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{}", topic.name);
    for header in HEADERS.iter().filter(|header| wanted.contains(header.name)) {
        let value = &found[header.name];
        let fits = match header.form {
            Form::Always(always) => value == always,
            Form::Text => true,
            Form::Int => value.parse::<i64>().is_ok(),
            Form::Time => value.ends_with('Z') && value.contains('T'),
        };
        assert!(fits, "{}: {} is {value}", topic.name, header.name);
    }
    assert!(!has_payload || found["content-type"] == "application/json", "{}: {}", topic.name, found["content-type"]);
    assert!(topic.kinds.contains(&found["ce_type"].as_str()), "{}: ce_type {}", topic.name, found["ce_type"]);
}

#[test]
fn records_have_the_headers_that_the_contract_tells() {
    let Some(broker) = shared() else { return };
    let options = options(broker);
    let log = open(&options);
    log.append(EVENTS, 0, vec![event(1)]).unwrap();
    let mut worker = log.worker("calls", EVENTS).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no batch came");
        if let Polled::Batch { partition, batch } = worker.poll(1000, Duration::from_millis(10)).unwrap()
            && !batch.records.is_empty()
        {
            let output = |record| Output { topic: CALLS.into(), record };
            let outputs = vec![output(call(1)), output(Record { payload: None, ..call(1) })];
            let changes = vec![Change { key: b"a".to_vec(), value: Some(b"{}".to_vec()) }];
            worker.commit(partition, Commit { outputs, changes, next: batch.next }).unwrap();
            break;
        }
    }
    drop(worker);
    // Where the journals end is written when the log is closed, at the latest.
    drop(log);
    for (name, records) in [(EVENTS, 1), (CALLS, 2), ("calltide.journals", 1), ("calltide.state.calls", 3)] {
        let topic = TOPICS.iter().chain(OF_THE_LOG).find(|topic| topic.name == name).unwrap();
        let mut count = 0;
        read(broker, &format!("{}{name}", options.prefix), |message| {
            if name.starts_with("calltide.state.") {
                assert!(message.headers().is_none(), "{name}");
            } else {
                assert_as_told(topic, &headers(message), message.payload().is_some(), name == EVENTS);
            }
            assert!(message.key().is_some_and(|key| !key.is_empty()), "{name}: no key");
            count += 1;
        });
        assert_eq!(count, records, "{name}");
    }
}
