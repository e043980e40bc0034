//! One commit as one transaction: outputs, changed state and the consumed offset, all of it or nothing.
//!
//! The transactional id is the group's and the process's, so a newer producer fences an older one; the offset goes with the
//! group's generation, so a member whose partition has moved is refused. What an error means follows librdkafka's own advice:
//! retriable is tried again until the deadline, all else ends the worker. Must not know what is committed.

use std::{
    collections::HashMap,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::Producer as _,
};

use super::{
    append::{Sender, producer_config, send},
    client::{Context, Receipt, code},
    options::KafkaOptions,
    record,
};
use crate::{LogError, Offset, Partition, Record, Result};

/// The brokers give up a transaction that is open for longer; others wait for it when a worker dies in the middle.
const TRANSACTION_MS: &str = "10000";
/// A record of it that was not acknowledged by then never will be.
const MESSAGE_MS: &str = "8000";
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(1);
/// Giving up must not take long: a newer producer or the brokers do it, too.
const ABORT: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Transactions {
    producer: Sender,
    group: String,
    patience: Duration,
}

/// A record with where it goes, by its topic's name in the cluster.
pub(super) struct Addressed {
    pub(super) topic: Arc<str>,
    pub(super) partition: Partition,
    pub(super) record: Record,
}

/// Where partitions, by their topic's name in the cluster, end when the transaction is seen by all.
pub(super) type Ends = HashMap<(Arc<str>, Partition), Offset>;

impl Transactions {
    /// Fences whoever used the id before; what they left open is over when this returns.
    pub(super) fn open(options: &KafkaOptions, group: &str, id: &str) -> Result<Self> {
        let mut config = producer_config(options);
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", TRANSACTION_MS).set("message.timeout.ms", MESSAGE_MS);
        let context = || Context::new(&options.servers);
        let producer: KafkaResult<Sender> = config.create_with_context(context());
        let producer = producer.map_err(|e| context().failed("set up a Kafka producer", e))?;
        let opened = Self { producer, group: group.to_owned(), patience: options.patience };
        let until = Instant::now() + options.patience;
        opened
            .retried(until, |left| opened.producer.init_transactions(left))
            .map_err(|error| opened.producer.client().context().failed(format!("join the group {group}"), error))?;
        Ok(opened)
    }

    /// Commits all of it or nothing. Readers see it in a moment.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if others took over, [`LogError::Aborted`] otherwise; no more can be committed after either.
    pub(super) fn commit(
        &self,
        records: &[Addressed],
        consumed: &TopicPartitionList,
        member: &ConsumerGroupMetadata,
    ) -> Result<Ends> {
        self.attempt(records, consumed, member).map_err(|error| {
            let fatal = matches!(&error, KafkaError::Transaction(error) if error.is_fatal());
            if !fatal && let Err(error) = self.producer.abort_transaction(ABORT) {
                tracing::debug!(target: "kafka", %error, group = self.group, "a transaction was left to time out");
            }
            self.word(&error)
        })
    }

    fn attempt(
        &self,
        records: &[Addressed],
        consumed: &TopicPartitionList,
        member: &ConsumerGroupMetadata,
    ) -> KafkaResult<Ends> {
        let until = Instant::now() + self.patience;
        self.producer.begin_transaction()?;
        let mut counts: HashMap<(Arc<str>, Partition), usize> = HashMap::new();
        for Addressed { topic, partition, .. } in records {
            *counts.entry((Arc::clone(topic), *partition)).or_default() += 1;
        }
        let receipts: HashMap<_, _> = counts.into_iter().map(|(part, count)| (part, Receipt::of(count))).collect();
        for Addressed { topic, partition, record } in records {
            if let Some(receipt) = receipts.get(&(Arc::clone(topic), *partition)) {
                send(&self.producer, record::to_kafka(topic, *partition, record, receipt), until)?;
            }
        }
        // Meanwhile the records are on their way.
        self.retried(until, |left| self.producer.send_offsets_to_transaction(consumed, member, left))?;
        let mut ends = Ends::new();
        for (part, receipt) in receipts {
            let (_, last) = receipt.wait(until)?;
            // After the last record there is the marker of the transaction.
            ends.insert(part, last + 2);
        }
        self.retried(until, |left| self.producer.commit_transaction(left))?;
        Ok(ends)
    }

    /// Calls until it succeeds, fails for good, or the deadline has passed.
    fn retried(&self, until: Instant, call: impl Fn(Duration) -> KafkaResult<()>) -> KafkaResult<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match call(left) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !left.is_zero() => {
                    sleep(PAUSE);
                }
                done => return done,
            }
        }
    }

    fn word(&self, error: &KafkaError) -> LogError {
        use RDKafkaErrorCode as Code;
        let group = self.group.clone();
        let of_the_client = self.producer.client().fatal_error().map(|(code, _)| code);
        let fenced = |code: &Code| {
            matches!(
                code,
                Code::Fenced
                    | Code::ProducerFenced
                    | Code::InvalidProducerEpoch
                    | Code::FencedInstanceId
                    | Code::UnknownMemberId
                    | Code::IllegalGeneration
                    | Code::AssignmentLost
            )
        };
        if code(error).iter().chain(&of_the_client).any(fenced) {
            return LogError::Fenced { group };
        }
        LogError::Aborted { group, reason: error.to_string() }
    }
}
