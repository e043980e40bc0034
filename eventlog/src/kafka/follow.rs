//! Following topics: their committed records as they come, of all partitions, in each partition in order.
//!
//! For whoever wants records soon and keeps no place. Fetching never rests, so it costs more than to wait for a while and then
//! read. Must not know what records mean.

use std::{collections::HashMap, time::Duration};

use rdkafka::{
    TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult},
};

use super::{
    KafkaLog,
    client::{Consumer, Context, code, may_ask_again},
    ends::number,
    reader::consumer_config,
    record::from_kafka,
};
use crate::{ReadRecord, Result};

/// See [`KafkaLog::follow`].
pub struct Follower {
    consumer: Consumer,
    /// Our topics by their names in the cluster.
    topics: HashMap<String, String>,
}

impl KafkaLog {
    /// Follows topics from their beginnings on.
    ///
    /// # Errors
    /// [`UnknownTopic`](crate::LogError::UnknownTopic), and those of the client.
    pub fn follow(&self, topics: &[&str]) -> Result<Follower> {
        let failed = |error| Context::new(&self.inner.options.servers).failed("follow topics", error);
        let mut list = TopicPartitionList::new();
        let mut names = HashMap::new();
        for topic in topics {
            let name = self.inner.name(topic);
            for partition in 0..self.inner.spec(topic)?.partitions {
                list.add_partition_offset(&name, number(partition), rdkafka::Offset::Beginning).map_err(failed)?;
            }
            names.insert(name, (*topic).to_owned());
        }
        let mut config = consumer_config(&self.inner.options);
        // Nothing is ever committed for it; librdkafka wants a name.
        config.set("group.id", self.inner.name("calltide.followers"));
        let made: KafkaResult<Consumer> = config.create_with_context(Context::new(&self.inner.options.servers));
        let consumer = made.map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        Ok(Follower { consumer, topics: names })
    }
}

impl Follower {
    /// The next record with its topic, if one comes in time.
    ///
    /// # Errors
    /// What does not pass by itself.
    pub fn next(&self, timeout: Duration) -> Result<Option<(&str, ReadRecord)>> {
        use rdkafka::Message as _;
        match self.consumer.poll(timeout) {
            Some(Ok(message)) => {
                Ok(self.topics.get(message.topic()).map(|topic| (topic.as_str(), from_kafka(&message))))
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) if code(&error).is_some_and(may_ask_again) => Ok(None),
            Some(Err(error)) => Err(self.consumer.context().failed("follow topics", error)),
        }
    }
}
