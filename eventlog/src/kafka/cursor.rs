//! One partition being read: it stands somewhere, and gives what comes after it without waiting where there is nothing.
//!
//! librdkafka fetches ahead of us. Whether there is nothing or merely nothing here yet is not to be seen from its queue, so
//! the partition's end is asked when the queue is empty. What lies before that end and never comes are transactions' markers
//! and records of aborted ones: they are passed over when the end of the partition was reached by a fetch that was begun
//! afterwards and is let be until then. A reader's cursor fetches nothing while nothing is read; a follower's goes on.

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
    /// The fetch was begun anew for what is before an end, and has not found the partition's end yet.
    anew: Option<Anew>,
    /// The next fetch is begun because the last one was not trusted.
    doubts: bool,
}

/// The end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: Offset,
    /// When it was asked.
    pub(super) asked: Instant,
}

/// An end that was asked before a fetch was begun.
#[derive(Debug, Clone, Copy)]
struct Anew {
    end: End,
    /// After one that was not trusted.
    again: bool,
}

/// What it tells that a fetch has found the partition's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtEnd {
    /// Every record before that would have come first.
    Passed(Offset),
    /// Meanwhile the partition may have got another leader, which does not know yet all that it has.
    Doubtful,
    /// It is not known where it was, or what that was is behind.
    Unknown,
}

fn at_end(anew: Option<Anew>, next: Offset, now: Instant) -> AtEnd {
    match anew {
        None => AtEnd::Unknown,
        Some(Anew { end, .. }) if end.at <= next => AtEnd::Unknown,
        Some(Anew { end, again: false }) if now.saturating_duration_since(end.asked) > LEADER_STAYS => AtEnd::Doubtful,
        Some(Anew { end, .. }) => AtEnd::Passed(end.at),
    }
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
        Self {
            consumer,
            queue,
            topic,
            partition,
            next: 0,
            fetching: false,
            follows: false,
            held: None,
            anew: None,
            doubts: false,
        }
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
    /// for the partition's end and what lies before it is waited for; `None` if it does not come in time. Where nothing is
    /// given and the place is the same, there was nothing before that end.
    pub(super) fn read(
        &mut self,
        from: Offset,
        bytes_max: usize,
        until: Instant,
        end: impl Fn() -> Result<End>,
    ) -> Result<Option<Batch>> {
        let read = self.ready(from, bytes_max).and_then(|filling| {
            if filling.batch.next > from {
                return Ok(Some(filling));
            }
            let place = end()?;
            if place.at > from { self.fetch(filling, place, until, &end) } else { Ok(Some(filling)) }
        });
        match read {
            Ok(Some(filling)) => {
                self.next = filling.batch.next;
                self.doubts &= filling.batch.records.is_empty();
                Ok(Some(filling.batch))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                // What was taken from the queue meanwhile must come again.
                (self.fetching, self.anew) = (false, None);
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

    /// Takes what has come.
    fn fill(&mut self, filling: &mut Filling) -> Result<()> {
        if let Some(held) = self.held.take() {
            self.held = filling.take(held);
        }
        while self.held.is_none() && !filling.is_full() {
            match self.take(Instant::now())? {
                Came::Record(record) => self.held = filling.take(record),
                Came::End => {
                    match at_end(self.anew.take(), filling.batch.next, Instant::now()) {
                        AtEnd::Passed(end) => filling.batch.next = end,
                        AtEnd::Doubtful => self.doubts = true,
                        AtEnd::Unknown => {}
                    }
                    return self.rest();
                }
                Came::Nothing => break,
            }
        }
        Ok(())
    }

    /// Waits for what is before `end`.
    fn fetch(
        &mut self,
        mut filling: Filling,
        mut end: End,
        until: Instant,
        ask_end: &dyn Fn() -> Result<End>,
    ) -> Result<Option<Filling>> {
        let from = filling.batch.next;
        if self.doubts {
            end = ask_end()?;
        }
        if self.next != from || !self.fetching {
            self.begin(from, end, until)?;
        }
        while filling.batch.next == from && end.at > from {
            match self.take(until)? {
                Came::Record(record) => {
                    self.held = filling.take(record);
                    self.fill(&mut filling)?;
                }
                Came::End => match at_end(self.anew.take(), from, Instant::now()) {
                    AtEnd::Passed(end) => {
                        filling.batch.next = end;
                        self.rest()?;
                    }
                    AtEnd::Doubtful => {
                        (self.doubts, end) = (true, ask_end()?);
                        self.begin(from, end, until)?;
                    }
                    // It may have been found before the last records were written: who goes on fetching will have them.
                    AtEnd::Unknown if self.follows => {}
                    AtEnd::Unknown => self.begin(from, end, until)?,
                },
                Came::Nothing => {
                    // There may be nothing but markers, of which nothing comes.
                    if self.anew.is_none() {
                        self.begin(from, end, until)?;
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

    /// Fetches from `from` on, after `end` was asked; what was fetched before and not read is forgotten.
    fn begin(&mut self, from: Offset, end: End, until: Instant) -> Result<()> {
        if !self.fetching {
            // To seek waits until the partition was paused: to resume before would be passed over, and the pause stay.
            self.seek(from, until)?;
            self.consumer.resume(&self.list(from)).map_err(|e| self.consumer.context().failed(self.doing(), e))?;
        }
        // Once more: librdkafka looks for what to fetch when one has sought (from the second record on), not when one resumes.
        self.seek(from, until)?;
        let again = std::mem::take(&mut self.doubts);
        (self.next, self.fetching, self.held, self.anew) = (from, true, None, Some(Anew { end, again }));
        Ok(())
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
        (self.held, self.anew) = (None, None);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_found_tells_of_what_was_asked_before_the_fetch() {
        let asked = Instant::now();
        let (soon, late) = (asked + LEADER_STAYS, asked + LEADER_STAYS * 2);
        let anew = |at, again| Some(Anew { end: End { at, asked }, again });
        for (what, anew, next, now, expected) in [
            ("nothing was asked", None, 5, soon, AtEnd::Unknown),
            ("markers lie before the end", anew(9, false), 5, soon, AtEnd::Passed(9)),
            ("all of it was read", anew(9, false), 9, soon, AtEnd::Unknown),
            ("more than that was read", anew(9, false), 12, late, AtEnd::Unknown),
            ("long ago", anew(9, false), 5, late, AtEnd::Doubtful),
            ("long ago, but for the second time", anew(9, true), 5, late, AtEnd::Passed(9)),
        ] {
            assert_eq!(at_end(anew, next, now), expected, "{what}");
        }
    }
}
