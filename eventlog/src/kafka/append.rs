//! Appending: idempotent, acknowledged by all replicas in sync, in order, many records per request.
//!
//! What fails leaves no hole: of records sent together the first ones may arrive, never later ones alone. So librdkafka is
//! told to give nothing up by itself; when the caller's patience ends, all that is under way is thrown away, with the producer.
//! Must not know which topics there are.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer},
};

use super::{
    client::{Context, Receipt, code},
    options::KafkaOptions,
    record,
};
use crate::{LogError, Offset, Partition, Record, Result};

/// Waiting for more records before a request is sent, in milliseconds: appends are batches already.
const LINGER_MS: &str = "1";
/// A request, in bytes before compression. Five of them may be on their way: over a long line that is what arrives in the time
/// of an answer.
const REQUEST_BYTES: &str = "4000000";
/// Records that wait to be sent; more than one append has.
const WAITING_MAX: &str = "1000000";
/// Looking for room when so many wait.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// At the end, for what nobody waits for.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The settings that every producer of ours has.
pub(super) fn producer_config(options: &KafkaOptions) -> ClientConfig {
    let mut config = options.client();
    config.set("enable.idempotence", "true").set("acks", "all");
    config.set("compression.type", "lz4");
    config.set("linger.ms", LINGER_MS).set("batch.size", REQUEST_BYTES);
    config.set("queue.buffering.max.messages", WAITING_MAX);
    config
}

/// With a thread of its own for what was delivered: whoever waited for that by rdkafka's polls would burn a processor.
pub(super) type Sender = ThreadedProducer<Context>;

/// See the module.
pub(super) struct Appender {
    options: KafkaOptions,
    sender: Mutex<Option<Arc<Sender>>>,
    /// By journal the highest offset that was told, in the order in which it was.
    told: Mutex<BTreeMap<String, u64>>,
}

impl Appender {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Self { options: options.clone(), sender: Mutex::default(), told: Mutex::default() }
    }

    /// Appends to partitions of a topic, named as in the cluster; returns the offsets of the first records when all are
    /// acknowledged.
    pub(super) fn append(&self, topic: &str, parts: &BTreeMap<Partition, Vec<Record>>) -> Result<Vec<Offset>> {
        let until = Instant::now() + self.options.patience;
        let sender = self.sender()?;
        if let Some(record) = parts.values().flatten().find(|record| !record::fits(record)) {
            let source = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
            return Err(LogError::Kafka { what: format!("append record {} to {topic}", record.id), source });
        }
        let sent: KafkaResult<Vec<_>> = parts
            .iter()
            .map(|(partition, records)| {
                let receipt = Receipt::of(records.len());
                let record = |record| record::to_kafka(topic, *partition, record, &receipt);
                records.iter().try_for_each(|r| send(&sender, record(r), until)).map(|()| receipt)
            })
            .collect();
        let arrived = |receipt: Arc<Receipt>| receipt.wait(until).map(|(first, _)| first);
        let outcome: KafkaResult<_> = sent.and_then(|receipts| receipts.into_iter().map(arrived).collect());
        outcome.map_err(|error| {
            let error = sender.client().context().failed(format!("append to {topic}"), error);
            self.throw_away(&sender);
            error
        })
    }

    /// Writes down where journals are now, after their records were acknowledged. Nobody waits for it: it may be behind.
    pub(super) fn tell(&self, topic: &str, ends: BTreeMap<&str, u64>) {
        let mut told = self.told.lock();
        let Ok(sender) = self.sender() else { return };
        for (journal, end) in ends {
            if told.get(journal).is_some_and(|before| *before >= end) {
                continue;
            }
            let key = journal.as_bytes().to_vec();
            let payload = Some(end.to_string().into_bytes());
            let record = Record { key, kind: "journal".to_owned(), payload, ..Record::default() };
            if sender.send(record::to_kafka(topic, 0, &record, &Receipt::of(1))).is_ok() {
                told.insert(journal.to_owned(), end);
            }
        }
    }

    /// Where journals are, as this process told.
    pub(super) fn told(&self) -> BTreeMap<String, u64> {
        self.told.lock().clone()
    }

    fn sender(&self) -> Result<Arc<Sender>> {
        let mut sender = self.sender.lock();
        if let Some(sender) = sender.as_ref().filter(|sender| sender.client().fatal_error().is_none()) {
            return Ok(Arc::clone(sender));
        }
        let mut config = producer_config(&self.options);
        config.set("enable.gapless.guarantee", "true").set("message.timeout.ms", "0");
        let context = || Context::new(&self.options.servers);
        let made: KafkaResult<Sender> = config.create_with_context(context());
        let made = Arc::new(made.map_err(|e| context().failed("set up a Kafka producer", e))?);
        *sender = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Nothing of what is under way may arrive after its caller was told that it failed, unless it was sent already.
    fn throw_away(&self, failed: &Arc<Sender>) {
        let mut sender = self.sender.lock();
        if sender.as_ref().is_some_and(|present| Arc::ptr_eq(present, failed)) {
            *sender = None;
        }
        failed.purge(PurgeConfig::default().queue().inflight());
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.get_mut().take()
            && sender.in_flight_count() > 0
            && let Err(error) = sender.flush(LAST_WORDS)
        {
            tracing::warn!(target: "kafka", %error, "where the journals end was not written down");
        }
    }
}

/// Hands a record over, waiting for room.
pub(super) fn send(
    sender: &Sender,
    mut record: BaseRecord<'_, [u8], [u8], Arc<Receipt>>,
    until: Instant,
) -> KafkaResult<()> {
    loop {
        match sender.send(record) {
            Ok(()) => return Ok(()),
            Err((error, back)) if code(&error) == Some(RDKafkaErrorCode::QueueFull) && Instant::now() < until => {
                record = back;
                std::thread::sleep(LOOK_AGAIN);
            }
            Err((error, _)) => return Err(error),
        }
    }
}
