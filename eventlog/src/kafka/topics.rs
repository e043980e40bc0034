//! Topics as they must be: created where they are missing, looked at where they are there.
//!
//! What would lose records or put them in the wrong place is an error, what merely keeps them otherwise than asked a warning;
//! either names the command that mends it. Settings of topics that are there are never changed: they are the operator's.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::{
    client::{Context, code, may_ask_again},
    ends::{Ends, number},
    options::{KafkaOptions, RECORD_BYTES_MAX},
};
use crate::{Cleanup, LogError, Result, TopicSpec};

/// Room for a record and what goes around it.
const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX + (1 << 20);
/// Between two looks at a topic that is being created.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is in a topic, which decides its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Records,
    /// A group's state: restored by reading all of it, so it is compacted soon and in small pieces.
    State,
}

/// How long a state's removed entries can be seen, in milliseconds: snapshots of the state must not be older.
pub(super) const REMOVED_KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// A setting as it must be.
struct Setting {
    name: &'static str,
    value: String,
    must: Must,
}

/// How a setting is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// Exactly this, or nothing is done with the topic.
    Be,
    /// At least this number, or nothing is done with the topic.
    BeAtLeast,
    /// This, or a warning says so.
    BeOrWarn,
    /// At least this number, or a warning says so.
    BeAtLeastOrWarn,
    /// Only for topics that are created here.
    Begin,
}

/// Of a topic of which the cluster keeps so many copies.
fn settings(cleanup: Cleanup, holds: Holds, copies: usize) -> Vec<Setting> {
    let setting = |name, value: String, must| Setting { name, value, must };
    let mut all = vec![
        setting("max.message.bytes", BATCH_BYTES_MAX.to_string(), Must::BeAtLeast),
        setting("message.timestamp.type", "CreateTime".to_owned(), Must::BeOrWarn),
        // A copy that lags must not become the one that counts.
        setting("unclean.leader.election.enable", "false".to_owned(), Must::BeOrWarn),
    ];
    if copies > 2 {
        // What one broker alone has acknowledged goes with its disk.
        all.push(setting("min.insync.replicas", "2".to_owned(), Must::BeAtLeastOrWarn));
    }
    match cleanup {
        Cleanup::Delete { after } => {
            let ms = after.map_or_else(|| "-1".to_owned(), |after| after.as_millis().to_string());
            all.push(setting("cleanup.policy", "delete".to_owned(), Must::Be));
            all.push(setting("retention.ms", ms, Must::BeOrWarn));
            all.push(setting("retention.bytes", "-1".to_owned(), Must::BeOrWarn));
        }
        Cleanup::Compact { after: None } => all.push(setting("cleanup.policy", "compact".to_owned(), Must::Be)),
        Cleanup::Compact { after: Some(after) } => {
            all.push(setting("cleanup.policy", "compact,delete".to_owned(), Must::Be));
            all.push(setting("retention.ms", after.as_millis().to_string(), Must::BeOrWarn));
        }
    }
    if holds == Holds::State {
        all.push(setting("delete.retention.ms", REMOVED_KEPT_MS.to_string(), Must::BeAtLeast));
        all.push(setting("segment.bytes", (64 << 20).to_string(), Must::Begin));
        all.push(setting("min.cleanable.dirty.ratio", "0.2".to_owned(), Must::Begin));
    }
    all
}

/// Asks for topics and creates them.
pub(super) struct Topics<'a> {
    options: &'a KafkaOptions,
    ends: &'a Ends,
    admin: AdminClient<Context>,
}

impl<'a> Topics<'a> {
    pub(super) fn new(options: &'a KafkaOptions, ends: &'a Ends) -> Result<Self> {
        let context = || Context::new(&options.servers);
        let admin = options.client().create_with_context(context());
        let admin = admin.map_err(|e| context().failed("set up a Kafka client", e))?;
        Ok(Self { options, ends, admin })
    }

    /// Creates those of the topics that are not there, and looks whether all are as they must be. Names are the cluster's.
    /// Returns what does no harm, but is otherwise than asked.
    pub(super) fn ensure(&self, topics: &[(TopicSpec, Holds)]) -> Result<Vec<String>> {
        self.create(topics)?;
        let copies = topics.iter().map(|(spec, _)| self.check_partitions(spec)).collect::<Result<Vec<_>>>()?;
        self.check_settings(topics, &copies)
    }

    fn create(&self, topics: &[(TopicSpec, Holds)]) -> Result<()> {
        let copies = self.options.replication.map_or(1, usize::from);
        let wanted: Vec<_> =
            topics.iter().map(|(spec, holds)| (spec, settings(spec.cleanup, *holds, copies))).collect();
        let replication = self.options.replication.map_or(-1, i32::from);
        let mut topics = Vec::with_capacity(wanted.len());
        for (spec, settings) in &wanted {
            let new = NewTopic::new(&spec.name, number(spec.partitions), TopicReplication::Fixed(replication));
            topics.push(settings.iter().fold(new, |new, setting| new.set(setting.name, &setting.value)));
        }
        let results = self.asking("create topics", || block_on(self.admin.create_topics(&topics, &self.patience())))?;
        for result in results {
            match result {
                Ok(name) => tracing::info!(topic = name, "created"),
                // Whether it is there is seen below.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists | RDKafkaErrorCode::TopicAuthorizationFailed)) => {}
                Err((name, error)) => {
                    let what = format!("create the topic {name}");
                    return Err(self.ends.consumer().context().failed(what, KafkaError::AdminOp(error)));
                }
            }
        }
        Ok(())
    }

    /// Waits until the topic is known, then counts its partitions. Returns how many copies of each there are.
    fn check_partitions(&self, spec: &TopicSpec) -> Result<usize> {
        let until = Instant::now() + self.options.patience;
        let name = &spec.name;
        let (found, copies) = loop {
            let what = || format!("find the topic {name}");
            let left = until.saturating_duration_since(Instant::now());
            let consumer = self.ends.consumer();
            let metadata = consumer.fetch_metadata(Some(name), left);
            let metadata = metadata.map_err(|e| consumer.context().failed(what(), e))?;
            let topic = metadata.topics().first();
            let partitions = topic.map(|topic| topic.partitions()).unwrap_or_default();
            match topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from) {
                None if !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0) => {
                    let copies = partitions.iter().map(|partition| partition.replicas().len()).min();
                    break (u32::try_from(partitions.len()).unwrap_or_default(), copies.unwrap_or_default());
                }
                Some(error) if !may_ask_again(error) || left.is_zero() => {
                    return Err(consumer.context().failed(what(), KafkaError::MetadataFetch(error)));
                }
                None if left.is_zero() => return Err(consumer.context().too_late(what())),
                Some(_) | None => std::thread::sleep(LOOK_AGAIN),
            }
        };
        if found == spec.partitions {
            return Ok(copies);
        }
        let servers = &self.options.servers;
        let wanted = spec.partitions;
        Err(LogError::WrongTopic {
            topic: name.clone(),
            problem: format!(
                "it has {found} partitions and {wanted} are configured; give {found} in the configuration, or more to an \
                 empty topic: keys of one that has records would move"
            ),
            command: format!(
                "kafka-topics.sh --bootstrap-server {servers} --alter --topic {name} --partitions {wanted}"
            ),
        })
    }

    fn check_settings(&self, topics: &[(TopicSpec, Holds)], copies: &[usize]) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let names: Vec<_> = topics.iter().map(|(spec, _)| ResourceSpecifier::Topic(&spec.name)).collect();
        let asked = || block_on(self.admin.describe_configs(&names, &self.patience()));
        let found = self.asking("look at the topics' settings", asked)?;
        for (((spec, holds), copies), found) in topics.iter().zip(copies).zip(found) {
            match found {
                Ok(found) => {
                    self.check(spec, settings(spec.cleanup, *holds, *copies), &found, &mut warnings)?;
                }
                Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    tracing::warn!(
                        topic = spec.name,
                        "not allowed to look at its settings: they are taken to be right"
                    );
                }
                Err(error) => {
                    let what = format!("look at the settings of {}", spec.name);
                    return Err(self.ends.consumer().context().failed(what, KafkaError::AdminOp(error)));
                }
            }
        }
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(warnings)
    }

    fn check(
        &self,
        spec: &TopicSpec,
        settings: Vec<Setting>,
        found: &ConfigResource,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        for setting in settings {
            let value = found.get(setting.name).and_then(|entry| entry.value.clone()).unwrap_or_default();
            let number = |text: &str| text.parse::<u64>().unwrap_or_default();
            let right = match setting.must {
                Must::Be | Must::BeOrWarn => value == setting.value,
                Must::BeAtLeast | Must::BeAtLeastOrWarn => number(&value) >= number(&setting.value),
                Must::Begin => true,
            };
            if right {
                continue;
            }
            let Setting { name, value: wanted, must } = setting;
            let servers = &self.options.servers;
            let (topic, problem) = (spec.name.clone(), format!("{name} is {value}, not {wanted}"));
            let command = format!(
                "kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic} \
                 --add-config {name}={wanted}"
            );
            if matches!(must, Must::BeOrWarn | Must::BeAtLeastOrWarn) {
                warnings.push(format!("topic {topic}: {problem}; `{command}` mends it"));
            } else {
                return Err(LogError::WrongTopic { topic, problem, command });
            }
        }
        Ok(())
    }

    fn patience(&self) -> AdminOptions {
        let patience = Some(self.options.patience);
        AdminOptions::new().request_timeout(patience).operation_timeout(patience)
    }

    /// Repeats a question of the admin client until it is answered or the patience ends.
    fn asking<T>(&self, what: &str, ask: impl Fn() -> KafkaResult<T>) -> Result<T> {
        let until = Instant::now() + self.options.patience;
        loop {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) if code(&error).is_some_and(may_ask_again) && Instant::now() < until => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(error) => return Err(self.admin.inner().context().failed(what, error)),
            }
        }
    }
}
