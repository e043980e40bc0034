//! Topics as they are created, and what is said of those that are otherwise.

use std::time::Duration;

use calltide_eventlog::{Cleanup, EventLog, LogError, TopicSpec, kafka::KafkaLog};

use super::{Broker, open, options, shared};
use crate::{CALLS, EVENTS, append, topics};

fn settings(broker: &Broker, topic: &str) -> String {
    broker.tool("kafka.admin.ConfigCommand", &["--describe", "--entity-type", "topics", "--entity-name", topic])
}

/// Carries out a command as it was given to the operator.
fn mend(broker: &Broker, command: &str) {
    let mut words = command.split_whitespace();
    let class = match words.next() {
        Some("kafka-configs.sh") => "kafka.admin.ConfigCommand",
        Some("kafka-topics.sh") => "org.apache.kafka.tools.TopicCommand",
        other => panic!("{other:?}"),
    };
    assert_eq!((words.next(), words.next()), (Some("--bootstrap-server"), Some(&*broker.servers())));
    broker.tool(class, &words.collect::<Vec<_>>());
}

#[test]
fn topics_are_created_as_they_must_be() {
    let Some(broker) = shared() else { return };
    let options = options(broker);
    let log = open(&options);
    assert_eq!(log.warnings(), [""; 0]);
    log.worker("calls", EVENTS).unwrap();
    for (topic, expected) in [
        (EVENTS, &["cleanup.policy=delete", "retention.ms=86400000", "max.message.bytes=9437184"][..]),
        (CALLS, &["cleanup.policy=compact", "max.message.bytes=9437184"]),
        ("calltide.journals", &["cleanup.policy=compact"]),
        ("calltide.state.calls", &["cleanup.policy=compact", "delete.retention.ms=604800000"]),
    ] {
        let found = settings(broker, &format!("{}{topic}", options.prefix));
        for expected in expected {
            assert!(found.contains(expected), "{topic}: {expected} in {found}");
        }
    }
}

#[test]
fn wrong_settings_are_named_with_the_command_that_mends_them() {
    let Some(broker) = shared() else { return };
    let options = options(broker);
    let day = Some(Duration::from_hours(24));
    let spec = |name: &str, partitions, cleanup| TopicSpec { name: name.into(), partitions, cleanup };
    let other = [spec(EVENTS, 1, Cleanup::Delete { after: None }), spec(CALLS, 1, Cleanup::Delete { after: day })];
    drop(KafkaLog::open(&options, &other).unwrap());

    let mut mended = Vec::new();
    let log = loop {
        match KafkaLog::open(&options, &topics()) {
            Ok(log) => break log,
            Err(LogError::WrongTopic { topic, problem, command }) => {
                assert!(mended.len() < 2, "{problem} again");
                mend(broker, &command);
                let name = topic.strip_prefix(&options.prefix).unwrap().to_owned();
                mended.push((name, problem.split(';').next().unwrap().to_owned()));
            }
            Err(error) => panic!("{error}"),
        }
    };
    let expected = [
        (EVENTS.to_owned(), "it has 1 partitions and 2 are configured".to_owned()),
        (CALLS.to_owned(), "cleanup.policy is delete, not compact".to_owned()),
    ];
    assert_eq!(mended, expected);
    // Records kept longer than asked are no harm.
    let [warning] = log.warnings() else { panic!("{:?}", log.warnings()) };
    assert!(warning.contains("retention.ms is -1, not 86400000"), "{warning}");
    mend(broker, warning.split('`').nth(1).unwrap());
    assert_eq!(open(&options).warnings(), [""; 0]);
    append(&log, 1, 1);
}
