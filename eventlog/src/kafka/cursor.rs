//! One partition being read: it stands somewhere, and gives what comes after it without waiting where there is nothing.
//!
//! librdkafka fetches ahead of us. Whether there is nothing or merely nothing here yet is not to be seen from its queue, so
//! the partition's end is asked when the queue is empty. What lies before that end and never comes are transactions' markers
//! and records of aborted ones: they are passed over when the end of the partition was reached by a fetch made afterwards.
//! A reader's cursor fetches nothing while nothing is read; a follower's goes on, since to begin anew may take a second.

use std::{
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{Consumer as _, base_consumer::PartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    client::{Consumer, Context, code, may_ask_again},
    ends::{number, position},
    record::from_kafka,
};
use crate::{Batch, LogError, Offset, Partition, ReadRecord, Result};

/// A fetch waits so long for records before it says that there are none: while a partition is read to its end, that is how
/// long its last read may take; while it is caught up with, how often it is asked for more.
pub(super) const FETCH_WAIT_MS: &str = "5";

/// While a consumer is still taking over a partition.
const TAKING_OVER: Duration = Duration::from_millis(2);

/// Seeking is a matter of the consumer's own thread, not of brokers: on a busy machine it may take a while, but it comes.
const SEEKING: Duration = Duration::from_secs(10);

/// An end that was asked for so long ago may have been told by a leader that has gone since.
const LEADER_STAYS: Duration = Duration::from_millis(250);

/// See the module.
pub(super) struct Cursor {
    consumer: Arc<Consumer>,
    queue: PartitionQueue<Context>,
    topic: String,
    partition: Partition,
    /// Where the next read goes on by itself.
    next: Offset,
    fetching: bool,
    /// It goes on at the partition's end.
    follows: bool,
    /// Taken from the queue, but too much for the last read.
    held: Option<ReadRecord>,
}

/// What came next out of the queue.
enum Came {
    Record(ReadRecord),
    /// A fetch found the end of the partition.
    End,
    Nothing,
}

impl Cursor {
    /// Of a reader, for a partition that is, or will be, assigned to the consumer; nothing is fetched until it is asked to.
    pub(super) fn new(
        consumer: &Arc<Consumer>,
        queue: PartitionQueue<Context>,
        topic: &str,
        partition: Partition,
    ) -> Self {
        let (consumer, topic) = (Arc::clone(consumer), topic.to_owned());
        Self { consumer, queue, topic, partition, next: 0, fetching: false, follows: false, held: None }
    }

    /// The same of a follower.
    pub(super) fn following(self) -> Self {
        Self { follows: true, ..self }
    }

    /// Where it stands.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Gives the queue back.
    pub(super) fn into_queue(self) -> PartitionQueue<Context> {
        self.queue
    }

    /// Reads from `from` on. What was fetched already is given as it is; only where there is nothing of that, `end` is called
    /// for the partition's end and what lies before it is waited for; `None` if it does not come in time.
    pub(super) fn read(
        &mut self,
        from: Offset,
        bytes_max: usize,
        until: Instant,
        end: impl Fn() -> Result<Offset>,
    ) -> Result<Option<Batch>> {
        let read = self.ready(from, bytes_max).and_then(|filling| {
            let place = if filling.batch.records.is_empty() { end()? } else { 0 };
            if place > from { self.fetch(filling, place, until, &end) } else { Ok(Some(filling)) }
        });
        match read {
            Ok(Some(filling)) => {
                self.next = filling.batch.next;
                Ok(Some(filling.batch))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                // What was taken from the queue meanwhile must come again.
                self.fetching = false;
                Err(error)
            }
        }
    }

    fn ready(&mut self, from: Offset, bytes_max: usize) -> Result<Filling> {
        let mut filling = Filling::new(from, bytes_max);
        if from == self.next && self.fetching {
            self.fill(&mut filling)?;
        }
        Ok(filling)
    }

    fn fill(&mut self, filling: &mut Filling) -> Result<()> {
        if let Some(held) = self.held.take() {
            self.held = filling.take(held);
        }
        while self.held.is_none() && !filling.is_full() {
            match self.take(Instant::now())? {
                Came::Record(record) => self.held = filling.take(record),
                Came::End => return self.rest(),
                Came::Nothing => break,
            }
        }
        Ok(())
    }

    /// Waits for what is before `end`, which was asked just now.
    fn fetch(
        &mut self,
        mut filling: Filling,
        mut end: Offset,
        until: Instant,
        ask_end: &dyn Fn() -> Result<Offset>,
    ) -> Result<Option<Filling>> {
        let from = filling.batch.next;
        let (asked, mut asked_again) = (Instant::now(), false);
        let mut fresh = self.go_to(from, until)?;
        while filling.batch.next < end && filling.batch.records.is_empty() {
            match self.take(until)? {
                Came::Record(record) => {
                    self.held = filling.take(record);
                    self.fill(&mut filling)?;
                }
                // Meanwhile the partition may have got another leader, which does not know yet all that it has.
                Came::End if fresh && !asked_again && asked.elapsed() > LEADER_STAYS => {
                    (end, asked_again) = (ask_end()?, true);
                    self.stop()?;
                    fresh = self.go_to(from, until)?;
                }
                // Every record before `end` would have come first.
                Came::End if fresh => {
                    filling.batch.next = end;
                    self.rest()?;
                }
                // It may have been found before the last records were written: who goes on fetching will have them.
                Came::End if self.follows => {}
                // Once more from here.
                Came::End => {
                    self.stop()?;
                    fresh = self.go_to(from, until)?;
                }
                Came::Nothing => {
                    if !fresh {
                        self.stop()?;
                    }
                    return Ok(None);
                }
            }
        }
        Ok(Some(filling))
    }

    fn take(&self, until: Instant) -> Result<Came> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.queue.poll(left) {
                Some(Ok(message)) => return Ok(Came::Record(from_kafka(&message))),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Came::End),
                Some(Err(error)) if code(&error).is_some_and(may_ask_again) => {
                    tracing::debug!(target: "kafka", %error, topic = self.topic, partition = self.partition, "fetching");
                }
                Some(Err(error)) => return Err(self.consumer.context().failed(self.doing(), error)),
                None if left.is_zero() => return Ok(Came::Nothing),
                None => {}
            }
        }
    }

    /// The error for who waited too long.
    pub(super) fn too_late(&self) -> LogError {
        self.consumer.context().too_late(self.doing())
    }

    fn doing(&self) -> String {
        format!("read {}, partition {}", self.topic, self.partition)
    }

    /// Fetches from `from` on; returns whether it began anew for it.
    fn go_to(&mut self, from: Offset, until: Instant) -> Result<bool> {
        if self.fetching && self.next == from {
            return Ok(false);
        }
        self.stop()?;
        self.seek(from, until)?;
        self.consumer.resume(&self.list(from)).map_err(|e| self.consumer.context().failed(self.doing(), e))?;
        (self.next, self.fetching) = (from, true);
        Ok(true)
    }

    fn seek(&self, from: Offset, until: Instant) -> Result<()> {
        let until = until.max(Instant::now() + SEEKING);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let sought = self.consumer.seek_partitions(self.list(from), left);
            let error = match sought.and_then(|list| list.elements().iter().try_for_each(|part| part.error())) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Until the partition was taken over by the consumer's own thread.
            let early = matches!(
                code(&error),
                Some(
                    RDKafkaErrorCode::State | RDKafkaErrorCode::PreviousInProgress | RDKafkaErrorCode::UnknownPartition
                )
            );
            if !early || left.is_zero() {
                return Err(self.consumer.context().failed(self.doing(), error));
            }
            sleep(TAKING_OVER);
        }
    }

    /// At the end of the partition.
    fn rest(&mut self) -> Result<()> {
        if self.follows { Ok(()) } else { self.stop() }
    }

    /// Fetches no more until it is asked to.
    fn stop(&mut self) -> Result<()> {
        if std::mem::take(&mut self.fetching) {
            let paused = self.consumer.pause(&self.list(self.next));
            paused.map_err(|e| self.consumer.context().failed(self.doing(), e))?;
        }
        self.held = None;
        Ok(())
    }

    fn list(&self, offset: Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(1);
        // It fails for offsets that there are not.
        drop(list.add_partition_offset(&self.topic, number(self.partition), position(offset)));
        list
    }
}

/// A batch that is being filled.
struct Filling {
    batch: Batch,
    left: usize,
}

impl Filling {
    fn new(from: Offset, bytes_max: usize) -> Self {
        Self { batch: Batch { next: from, ..Batch::default() }, left: bytes_max }
    }

    fn is_full(&self) -> bool {
        self.left == 0 && !self.batch.records.is_empty()
    }

    /// Takes a record, or gives it back if there is no room.
    fn take(&mut self, read: ReadRecord) -> Option<ReadRecord> {
        if read.offset < self.batch.next {
            return None;
        }
        let weight = read.record.key.len() + read.record.payload.as_ref().map_or(0, Vec::len);
        if weight > self.left && !self.batch.records.is_empty() {
            return Some(read);
        }
        self.left = self.left.saturating_sub(weight);
        self.batch.next = read.offset + 1;
        self.batch.records.push(read);
        None
    }
}
