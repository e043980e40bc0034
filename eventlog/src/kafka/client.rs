//! What librdkafka tells us besides records: its log, its errors, which partitions came and went, which records arrived.
//!
//! One [`Context`] type serves all clients. Nothing is decided here: whoever waits looks it up.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use parking_lot::{Condvar, Mutex};
use rdkafka::{
    ClientContext, Message, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{DeliveryResult, ProducerContext},
    types::RDKafkaRespErr,
};

use crate::{LogError, Offset, Partition};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Context {
    servers: String,
    last_error: Mutex<String>,
    moves: Mutex<VecDeque<Move>>,
}

/// A consumer of ours.
pub(super) type Consumer = BaseConsumer<Context>;

/// A partition came to a member of a group, or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Came(Partition),
    Went(Partition),
}

impl Context {
    pub(super) fn new(servers: &str) -> Self {
        Self { servers: servers.to_owned(), ..Self::default() }
    }

    /// The next partition that came or went.
    pub(super) fn next_move(&self) -> Option<Move> {
        self.moves.lock().pop_front()
    }

    /// An error in our words.
    pub(super) fn failed(&self, what: impl Into<String>, source: KafkaError) -> LogError {
        let what = what.into();
        if code(&source).is_some_and(is_absence) {
            let heard = self.last_error.lock().clone();
            let reason = if heard.is_empty() { source.to_string() } else { heard };
            return LogError::Unreachable { what, servers: self.servers.clone(), reason };
        }
        LogError::Kafka { what, source }
    }

    /// A deadline passed.
    pub(super) fn too_late(&self, what: impl Into<String>) -> LogError {
        self.failed(what, KafkaError::Global(RDKafkaErrorCode::OperationTimedOut))
    }
}

/// The code of an error, also where rdkafka keeps it to itself.
pub(super) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    if let KafkaError::AdminOp(code) = error { Some(*code) } else { error.rdkafka_error_code() }
}

/// Nobody answered, or nobody let us in.
fn is_absence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::Resolve
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::PurgeQueue
            | Code::PurgeInflight
            | Code::SSL
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::WaitingForCoordinator
    )
}

/// Whether a question may be asked again: nobody answered, or leaders are moving.
pub(super) fn may_ask_again(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    let moving = matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::NetworkException
    );
    moving || is_absence(code)
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as Level;
        match level {
            Level::Emerg | Level::Alert | Level::Critical | Level::Error | Level::Warning => {
                tracing::warn!(target: "kafka", facility, "{message}");
                if facility == "FAIL" {
                    // Behind the name of librdkafka's thread.
                    let reason = message.split_once("]: ").map_or(message, |(_, reason)| reason);
                    reason.clone_into(&mut self.last_error.lock());
                }
            }
            Level::Notice | Level::Info | Level::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason);
        // That all are down says less than why.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            reason.clone_into(&mut self.last_error.lock());
        }
    }
}

impl ConsumerContext for Context {
    /// Takes part in the rebalance; partitions come paused, since their state is restored first.
    fn rebalance(&self, consumer: &Consumer, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let comes = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let lost = !comes && consumer.assignment_lost();
        let done = if comes {
            // Any offset will do for what is paused; without one the group's would be asked for, and waited for.
            let placed = list.set_all_offsets(rdkafka::Offset::Offset(0));
            placed.and_then(|()| consumer.incremental_assign(list)).and_then(|()| consumer.pause(list))
        } else {
            consumer.incremental_unassign(list)
        };
        if let Err(error) = done {
            tracing::warn!(target: "kafka", %error, comes, "a rebalance went wrong");
        }
        let mut moves = self.moves.lock();
        for part in list.elements() {
            let Ok(partition) = Partition::try_from(part.partition()) else { continue };
            tracing::info!(target: "kafka", topic = part.topic(), partition, comes, lost, "rebalanced");
            moves.push_back(if comes { Move::Came(partition) } else { Move::Went(partition) });
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Arc<Receipt>) {
        match result {
            Ok(message) => receipt.arrived(message.offset()),
            Err((error, _)) => receipt.failed(error.clone()),
        }
    }
}

/// What became of records that were sent together to one partition.
#[derive(Debug, Default)]
pub(super) struct Receipt {
    tally: Mutex<Tally>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Tally {
    open: usize,
    offsets: Option<(Offset, Offset)>,
    error: Option<KafkaError>,
}

impl Receipt {
    /// For so many records, all still open.
    pub(super) fn of(open: usize) -> Arc<Self> {
        Arc::new(Self { tally: Mutex::new(Tally { open, ..Tally::default() }), done: Condvar::new() })
    }

    fn arrived(&self, offset: i64) {
        let offset = Offset::try_from(offset).unwrap_or_default();
        let mut tally = self.tally.lock();
        tally.offsets =
            Some(tally.offsets.map_or((offset, offset), |(first, last)| (first.min(offset), last.max(offset))));
        self.one_less(&mut tally);
    }

    fn failed(&self, error: KafkaError) {
        let mut tally = self.tally.lock();
        tally.error.get_or_insert(error);
        self.one_less(&mut tally);
    }

    fn one_less(&self, tally: &mut Tally) {
        tally.open = tally.open.saturating_sub(1);
        if tally.open == 0 {
            self.done.notify_all();
        }
    }

    /// The lowest and the highest offset, or the first error; a time-out if some are still open at the deadline.
    pub(super) fn wait(&self, until: Instant) -> KafkaResult<(Offset, Offset)> {
        let mut tally = self.tally.lock();
        while tally.open > 0 {
            if self.done.wait_until(&mut tally, until).timed_out() {
                break;
            }
        }
        match &tally.error {
            _ if tally.open > 0 => Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)),
            Some(error) => Err(error.clone()),
            None => Ok(tally.offsets.unwrap_or_default()),
        }
    }
}
