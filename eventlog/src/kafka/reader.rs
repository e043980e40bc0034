//! Reading partitions at any offset: cursors that stay where they are between reads, over as few connections as can be.
//!
//! One consumer carries a cursor per partition. Where one partition is read at several places at once, more consumers are
//! made, so that nobody's cursor is carried back and forth. Must not know topics' other names, nor what records mean.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult},
};

use super::{
    client::{Consumer, Context},
    cursor::{Cursor, FETCH_WAIT_MS},
    ends::{Ends, number},
    options::KafkaOptions,
};
use crate::{Batch, Offset, Partition, Result};

/// So many places of one partition are kept; who reads at more waits for the others.
const CONSUMERS_MAX: usize = 4;

/// Fetched ahead of each partition, in KiB: as much as a few reads take by who works on some, less by who may read all.
const AHEAD_KIB: &str = "16384";
const AHEAD_KIB_READER: &str = "4096";
/// And per fetch, in bytes.
const FETCH_BYTES: &str = "4194304";
/// How long fetching rests after so much was fetched ahead; a reader takes it in a few tens of milliseconds.
const REST_MS: &str = "5";
/// Consumers without a group are not watched for being polled: as long as librdkafka allows.
const NEVER_MS: &str = "86400000";

/// The settings of a consumer that reads committed records.
pub(super) fn consumer_config(options: &KafkaOptions) -> ClientConfig {
    let mut config = options.client();
    config.set("isolation.level", "read_committed");
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    config.set("enable.partition.eof", "true");
    // Where the brokers removed what was asked for, what is left is given.
    config.set("auto.offset.reset", "earliest");
    config.set("allow.auto.create.topics", "false");
    config.set("fetch.wait.max.ms", FETCH_WAIT_MS).set("fetch.queue.backoff.ms", REST_MS);
    config.set("fetch.message.max.bytes", FETCH_BYTES).set("queued.max.messages.kbytes", AHEAD_KIB);
    config
}

/// See the module.
pub(super) struct Reader {
    options: KafkaOptions,
    places: Mutex<Vec<Places>>,
    given_back: Condvar,
}

type Key = (String, Partition);

/// A consumer with its cursors; one that somebody is reading with is `None`.
struct Places {
    consumer: Arc<Consumer>,
    cursors: HashMap<Key, Option<Cursor>>,
}

impl Reader {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Self { options: options.clone(), places: Mutex::default(), given_back: Condvar::new() }
    }

    /// Reads a partition of a topic, named as in the cluster.
    pub(super) fn read(
        &self,
        ends: &Ends,
        (topic, partition): (&str, Partition),
        from: Offset,
        bytes_max: usize,
    ) -> Result<Batch> {
        let key = (topic.to_owned(), partition);
        let (at, mut cursor) = self.take(&key, from)?;
        let until = Instant::now() + self.options.patience;
        let read = cursor.read(from, bytes_max, until, || ends.end_now(topic, partition));
        let read = read.and_then(|batch| batch.ok_or_else(|| cursor.too_late()));
        if let Some(place) = self.places.lock().get_mut(at) {
            place.cursors.insert(key, Some(cursor));
        }
        self.given_back.notify_all();
        read
    }

    /// A cursor of the partition, if possible one that stands there, and the number of its consumer.
    fn take(&self, key: &Key, from: Offset) -> Result<(usize, Cursor)> {
        let mut places = self.places.lock();
        loop {
            let stands =
                |place: &Places| place.cursors.get(key).is_some_and(|c| c.as_ref().is_some_and(|c| c.next() == from));
            let here = places.iter().position(stands);
            let found = match here.or_else(|| places.iter().position(|place| !place.cursors.contains_key(key))) {
                Some(found) => found,
                None if places.len() < CONSUMERS_MAX => {
                    places.push(Places::open(&self.options)?);
                    places.len() - 1
                }
                None => match places.iter().position(|place| place.cursors.get(key).is_some_and(Option::is_some)) {
                    Some(elsewhere) => elsewhere,
                    None => {
                        self.given_back.wait(&mut places);
                        continue;
                    }
                },
            };
            let place = &mut places[found];
            let known = place.cursors.get_mut(key).and_then(Option::take);
            let cursor = known.map_or_else(|| place.cursor(key), Ok)?;
            place.cursors.insert(key.clone(), None);
            return Ok((found, cursor));
        }
    }
}

impl Places {
    fn open(options: &KafkaOptions) -> Result<Self> {
        let mut config = consumer_config(options);
        // It takes part in no group, but librdkafka wants a name before it lets partitions be assigned.
        config.set("group.id", format!("{}calltide.readers", options.prefix));
        config.set("max.poll.interval.ms", NEVER_MS).set("queued.max.messages.kbytes", AHEAD_KIB_READER);
        let context = || Context::new(&options.servers);
        let consumer: KafkaResult<Consumer> = config.create_with_context(context());
        let consumer = consumer.map_err(|e| context().failed("set up a Kafka consumer", e))?;
        Ok(Self { consumer: Arc::new(consumer), cursors: HashMap::new() })
    }

    fn cursor(&self, (topic, partition): &Key) -> Result<Cursor> {
        let partition = *partition;
        // What librdkafka has to say is served on the way.
        drop(self.consumer.poll(Duration::ZERO));
        let failed = |e| self.consumer.context().failed(format!("read {topic}, partition {partition}"), e);
        // Before it is assigned, so that no record goes elsewhere.
        let queue = self.consumer.split_partition_queue(topic, number(partition));
        let queue = queue.ok_or_else(|| failed(KafkaError::NoMessageReceived))?;
        let mut list = TopicPartitionList::new();
        let placed = list.add_partition_offset(topic, number(partition), rdkafka::Offset::Offset(0));
        let assigned = placed.and_then(|()| self.consumer.incremental_assign(&list));
        assigned.and_then(|()| self.consumer.pause(&list)).map_err(failed)?;
        Ok(Cursor::new(&self.consumer, queue, topic, partition))
    }
}
