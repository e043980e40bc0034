//! Where partitions begin and end, asked of their leaders: one request per broker for any number of partitions.
//!
//! The end that readers see is the last stable offset, before the first open transaction; writers may be beyond it. Must not
//! read records.

use std::{
    collections::HashMap,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    Offset as Place, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::{
    client::{Consumer, Context, code, may_ask_again},
    cursor::End,
    options::KafkaOptions,
};
use crate::{Offset, Partition, Result};

/// Between two attempts to ask while leaders move or brokers are away.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Who is not let in by then is told: longer than one connection is tried.
const GREETING_MAX: Duration = Duration::from_secs(10);

/// Between two looks at why no broker answers.
const GREETING: Duration = Duration::from_millis(200);

/// About how long the markers of a transaction are on their way.
const MARKER: Duration = Duration::from_millis(2);

/// Which records count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Those of committed transactions.
    Committed,
    /// Those of open transactions, too.
    All,
}

/// Asks for offsets.
pub(super) struct Ends {
    consumer: Consumer,
    patience: Duration,
    /// What this process committed and has not seen yet: by partition, the end that it will make.
    committed: Mutex<HashMap<(Arc<str>, Partition), Offset>>,
}

impl Ends {
    pub(super) fn new(options: &KafkaOptions, isolation: Isolation) -> Result<Self> {
        let mut config = options.client();
        let level = match isolation {
            Isolation::Committed => "read_committed",
            Isolation::All => "read_uncommitted",
        };
        config.set("isolation.level", level);
        let context = Context::new(&options.servers);
        let consumer = config.create_with_context(context);
        let consumer = consumer.map_err(|e| Context::new(&options.servers).failed("set up a Kafka client", e))?;
        Ok(Self { consumer, patience: options.patience, committed: Mutex::default() })
    }

    /// Waits for a broker that lets us in. Who is refused is told at once; where nobody answers it is tried until the deadline.
    pub(super) fn greet(&self) -> Result<()> {
        let until = Instant::now() + self.patience.min(GREETING_MAX);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.consumer.client().fetch_cluster_id(left.min(GREETING)).is_some() {
                return Ok(());
            }
            let refused = std::iter::from_fn(|| self.consumer.poll(MARKER)).find_map(|heard| {
                let code = heard.as_ref().err().and_then(code);
                matches!(code, Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)).then_some(heard)
            });
            if let Some(Err(error)) = refused {
                return Err(self.consumer.context().failed("connect", error));
            }
            if left.is_zero() {
                return Err(self.consumer.context().too_late("connect"));
            }
        }
    }

    /// The ends of partitions, each named by its topic in the cluster, after what this process committed. A transaction is
    /// committed before its markers are in all partitions: so long as they are on their way, they are waited for.
    pub(super) fn ends(&self, parts: &[(&str, Partition)]) -> Result<Vec<Offset>> {
        self.ends_within(parts, self.patience)
    }

    /// The same with another deadline.
    pub(super) fn ends_within(&self, parts: &[(&str, Partition)], patience: Duration) -> Result<Vec<Offset>> {
        let until = Instant::now() + patience;
        loop {
            let ends = self.ask(parts, Place::End, patience)?;
            let mut committed = self.committed.lock();
            if committed.is_empty() {
                return Ok(ends);
            }
            let seen = |(topic, partition): &(Arc<str>, Partition)| {
                let at = parts.iter().position(|part| *part == (&**topic, *partition));
                at.and_then(|at| ends.get(at).copied())
            };
            // What does not come by the deadline never will: the topic is another one.
            let late = Instant::now() >= until;
            committed.retain(|part, expected| seen(part).is_none_or(|end| end < *expected && !late));
            if !committed.keys().any(|part| seen(part).is_some()) {
                return Ok(ends);
            }
            drop(committed);
            sleep(MARKER);
        }
    }

    /// Records before these ends were committed.
    pub(super) fn will_be(&self, ends: HashMap<(Arc<str>, Partition), Offset>) {
        let mut committed = self.committed.lock();
        for (part, end) in ends {
            let expected = committed.entry(part).or_default();
            *expected = end.max(*expected);
        }
    }

    /// The end of one partition.
    pub(super) fn end(&self, topic: &str, partition: Partition) -> Result<Offset> {
        Ok(self.ends(&[(topic, partition)])?.first().copied().unwrap_or_default())
    }

    /// The same with when it was asked.
    pub(super) fn end_now(&self, topic: &str, partition: Partition) -> Result<End> {
        let asked = Instant::now();
        Ok(End { at: self.end(topic, partition)?, asked })
    }

    /// The first offset that is still kept.
    pub(super) fn begin(&self, topic: &str, partition: Partition) -> Result<Offset> {
        Ok(self.ask(&[(topic, partition)], Place::Beginning, self.patience)?.first().copied().unwrap_or_default())
    }

    /// The first offset with a timestamp not before this one, or the end.
    pub(super) fn at_timestamp(&self, topic: &str, partition: Partition, ms: i64) -> Result<Offset> {
        let found = self.ask(&[(topic, partition)], Place::Offset(ms), self.patience)?;
        match found.first() {
            Some(offset) if *offset != Offset::MAX => Ok(*offset),
            Some(_) | None => self.end(topic, partition),
        }
    }

    /// The client, for questions about topics.
    pub(super) fn consumer(&self) -> &Consumer {
        // What librdkafka has to say is served on the way.
        drop(self.consumer.poll(Duration::ZERO));
        &self.consumer
    }

    /// Asks until there is an answer for all of them. What is not there is [`Offset::MAX`].
    fn ask(&self, parts: &[(&str, Partition)], place: Place, patience: Duration) -> Result<Vec<Offset>> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let error = match self.ask_once(parts, place, left) {
                Ok(offsets) => return Ok(offsets),
                Err(error) => error,
            };
            let doing = || format!("find out where {} ends", parts.first().map_or("the log", |(topic, _)| topic));
            if !code(&error).is_some_and(may_ask_again) || Instant::now() + ASK_AGAIN >= until {
                return Err(self.consumer().context().failed(doing(), error));
            }
            sleep(ASK_AGAIN);
        }
    }

    fn ask_once(&self, parts: &[(&str, Partition)], place: Place, left: Duration) -> KafkaResult<Vec<Offset>> {
        let mut list = TopicPartitionList::with_capacity(parts.len());
        for (topic, partition) in parts {
            list.add_partition_offset(topic, number(*partition), place)?;
        }
        let answers = self.consumer().offsets_for_times(list, left)?;
        let offset = |part: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            part.error()?;
            match part.offset() {
                Place::Offset(offset) => Ok(Offset::try_from(offset).unwrap_or_default()),
                Place::Beginning | Place::End | Place::Stored | Place::Invalid | Place::OffsetTail(_) => {
                    Ok::<_, KafkaError>(Offset::MAX)
                }
            }
        };
        answers.elements().iter().map(offset).collect()
    }
}

/// A partition as librdkafka counts.
pub(super) fn number(partition: Partition) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// An offset as librdkafka counts.
pub(super) fn position(offset: Offset) -> Place {
    Place::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}
