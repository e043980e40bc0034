//! A member of a consumer group: partitions come and go, each with its state; what is derived is committed in transactions.
//!
//! The group's consumer decides whose a partition is, and reads it from where its state says. A partition comes with its state
//! restored; one that goes takes its state with it, and nothing of it can be committed any more. After an error the worker is
//! over: drop it and join anew. Must not know what is in records. Read on in `restore` and `transaction`.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{Consumer as _, base_consumer::PartitionQueue},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::{
    Inner, LOOK_EVERY,
    client::{Consumer, Context, Move, code},
    cursor::{Cursor, End},
    ends::{number, position},
    reader::consumer_config,
    record,
    restore::{self, State},
    topics::{Holds, Topics},
    transaction::{Addressed, Transactions},
};
use crate::{
    Batch, Change, Cleanup, Commit, LogError, Offset, Output, Partition, Polled, Result, TopicSpec, Worker,
    partition_of,
};

/// How often the group hears of its member before it would take it for dead.
const HEARTBEATS: u32 = 8;

/// Records that are there are waited for so long, then the group's news are looked at: while partitions move, librdkafka
/// fetches nothing.
const FETCH_MAX: Duration = Duration::from_millis(10);

/// A fetch waits so long for records, and is answered as soon as there are some: how often brokers are asked in vain.
const FETCH_WAIT_MS: &str = "100";

/// See [`Worker`].
pub(super) struct KafkaWorker {
    log: Arc<Inner>,
    group: String,
    /// The input, by its name in the cluster.
    input: String,
    partitions: u32,
    transactions: Transactions,
    /// Queues of partitions that are not ours, for when they come.
    queues: BTreeMap<Partition, PartitionQueue<Context>>,
    /// Partitions that came, in this order, whose state was not given out yet.
    coming: VecDeque<Partition>,
    parts: BTreeMap<Partition, Part>,
    /// Partitions that went, which was not told yet.
    gone: VecDeque<Partition>,
    /// Partitions that may have something to read, in turn, each with its end as it was asked last.
    round: VecDeque<(Partition, End)>,
    /// The partition that was read last.
    turn: Partition,
    over: bool,
    snapshot: Option<JoinHandle<()>>,
    consumer: Arc<Consumer>,
}

/// A partition of ours.
struct Part {
    cursor: Cursor,
    next: Offset,
    /// Its state has a first record.
    is_born: bool,
    /// Committed since a snapshot was made.
    changed_bytes: u64,
    /// Since when records that are there do not come.
    waits_since: Option<Instant>,
    /// What the brokers had removed before it was read.
    removed: Option<(Offset, Offset)>,
}

impl KafkaWorker {
    pub(super) fn join(log: Arc<Inner>, group: &str, input: &TopicSpec) -> Result<Self> {
        let state = TopicSpec {
            name: log.name(&restore::topic(group)),
            partitions: input.partitions,
            cleanup: Cleanup::Compact { after: None },
        };
        Topics::new(&log.options, &log.ends)?.ensure(&[(state, Holds::State)])?;
        let instance = &log.options.instance;
        let transactional_id = log.name(&format!("calltide.{group}.{instance}"));
        let transactions = Transactions::open(&log.options, group, &transactional_id)?;
        let mut config = consumer_config(&log.options);
        config.set("group.id", log.name(&format!("calltide.{group}"))).set("group.instance.id", instance);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("fetch.wait.max.ms", FETCH_WAIT_MS);
        let (silence_max, away_max) = (log.options.silence_max, log.options.away_max);
        config.set("session.timeout.ms", silence_max.as_millis().to_string());
        config.set("heartbeat.interval.ms", (silence_max / HEARTBEATS).as_millis().to_string());
        config.set("max.poll.interval.ms", away_max.max(silence_max).as_millis().to_string());
        let context = || Context::new(&log.options.servers);
        let joining = |e| context().failed(format!("join the group {group}"), e);
        let consumer: KafkaResult<Consumer> = config.create_with_context(context());
        let consumer = Arc::new(consumer.map_err(joining)?);
        let name = log.name(&input.name);
        // Before any is assigned, so that no record goes elsewhere.
        let queue = |partition| {
            let queue = consumer.split_partition_queue(&name, number(partition));
            queue.map(|queue| (partition, queue)).ok_or_else(|| joining(KafkaError::NoMessageReceived))
        };
        let queues = (0..input.partitions).map(queue).collect::<Result<_>>()?;
        consumer.subscribe(&[&name]).map_err(joining)?;
        Ok(Self {
            group: group.to_owned(),
            input: name,
            partitions: input.partitions,
            transactions,
            queues,
            coming: VecDeque::new(),
            parts: BTreeMap::new(),
            gone: VecDeque::new(),
            round: VecDeque::new(),
            turn: 0,
            over: false,
            snapshot: None,
            consumer,
            log,
        })
    }

    fn fenced(&self) -> LogError {
        LogError::Fenced { group: self.group.clone() }
    }

    /// Takes part in what happens in the group, waiting for it.
    fn serve_group(&mut self, timeout: Duration) -> Result<Option<Polled>> {
        let heard = self.consumer.poll(timeout);
        if let Some(Err(error)) = heard {
            self.heard(error)?;
        }
        while let Some(moved) = self.consumer.context().next_move() {
            match moved {
                Move::Came(partition) => self.coming.push_back(partition),
                Move::Went(partition) => {
                    self.coming.retain(|coming| *coming != partition);
                    if let Some(part) = self.parts.remove(&partition) {
                        self.queues.insert(partition, part.cursor.into_queue());
                        self.gone.push_back(partition);
                    }
                }
            }
        }
        Ok(self.gone.pop_front().map(|partition| Polled::Revoked { partition }))
    }

    /// An error of the group's consumer: fatal ones end the worker, others it lives with until a deadline passes.
    fn heard(&self, error: KafkaError) -> Result<()> {
        let client = self.consumer.client();
        if let Some((fatal, reason)) = client.fatal_error() {
            tracing::warn!(target: "kafka", group = self.group, reason, "the worker is over");
            if matches!(fatal, RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fenced) {
                return Err(self.fenced());
            }
            return Err(client.context().failed(format!("work in the group {}", self.group), error));
        }
        let refused = matches!(
            code(&error),
            Some(RDKafkaErrorCode::GroupAuthorizationFailed | RDKafkaErrorCode::TopicAuthorizationFailed)
        );
        if refused {
            return Err(client.context().failed(format!("work in the group {}", self.group), error));
        }
        tracing::debug!(target: "kafka", %error, group = self.group, "in the group");
        Ok(())
    }

    /// Restores the state of the next partition that came.
    fn assign(&mut self) -> Result<Option<Polled>> {
        let Some(partition) = self.coming.front().copied() else { return Ok(None) };
        let Some(queue) = self.queues.remove(&partition) else {
            self.coming.pop_front();
            return Ok(None);
        };
        let restored = self.restore(partition);
        let State { entries, next, birth, .. } = match restored {
            Ok(state) => state,
            Err(error) => {
                self.queues.insert(partition, queue);
                return Err(error);
            }
        };
        self.coming.pop_front();
        let first = self.log.ends.begin(&self.input, partition)?;
        let removed = next.filter(|next| *next < first).map(|next| (next, first));
        let next = next.unwrap_or(first).max(first);
        let cursor = Cursor::new(&self.consumer, queue, &self.input, partition).following();
        self.parts.insert(
            partition,
            Part { cursor, next, is_born: birth.is_some(), changed_bytes: 0, waits_since: None, removed },
        );
        Ok(Some(Polled::Assigned { partition, next, state: entries.into_iter().collect() }))
    }

    fn restore(&self, partition: Partition) -> Result<State> {
        // Answered only when no transaction that the member before began for this partition is open any more.
        let mut place = TopicPartitionList::with_capacity(1);
        add_place(&mut place, &self.input, partition, 0);
        let committed = self.consumer.committed_offsets(place, self.log.options.patience);
        let doing = || format!("find out where {} is in partition {partition}", self.group);
        committed.map_err(|e| self.consumer.context().failed(doing(), e))?;
        State::restore(&self.log, &self.group, partition)
    }

    /// Asks where our partitions end; the one that was read last comes last.
    fn begin_round(&mut self) -> Result<()> {
        let parts: Vec<_> = self.parts.keys().map(|partition| (self.input.as_str(), *partition)).collect();
        if !parts.is_empty() {
            let asked = Instant::now();
            let ends = self.log.ends.ends(&parts)?.into_iter().map(|at| End { at, asked });
            self.round = parts.iter().map(|(_, partition)| *partition).zip(ends).collect();
            let behind = self.round.iter().take_while(|(partition, _)| *partition <= self.turn).count();
            self.round.rotate_left(behind);
        }
        Ok(())
    }

    /// The next partition in turn that has something to read.
    fn read(&mut self, bytes_max: usize) -> Result<Option<Polled>> {
        if self.round.is_empty() {
            self.begin_round()?;
        }
        while let Some((partition, end)) = self.round.pop_front() {
            let Some(part) = self.parts.get_mut(&partition) else { continue };
            if let Some((from, to)) = part.removed.take() {
                let batch = Batch { next: to, damaged: vec![(from, to)], ..Batch::default() };
                return Ok(Some(Polled::Batch { partition, batch }));
            }
            // Markers of transactions are no batch: there is nothing to commit.
            while part.next < end.at {
                let until = Instant::now() + FETCH_MAX;
                let known = Cell::new(Some(end));
                let ask_end = || known.take().map_or_else(|| self.log.ends.end_now(&self.input, partition), Ok);
                let Some(batch) = part.cursor.read(part.next, bytes_max, until, ask_end)? else {
                    if *part.waits_since.get_or_insert(until) + self.log.options.patience < until {
                        return Err(part.cursor.too_late());
                    }
                    break;
                };
                (part.next, part.waits_since) = (batch.next, None);
                if !batch.records.is_empty() {
                    self.turn = partition;
                    return Ok(Some(Polled::Batch { partition, batch }));
                }
            }
        }
        Ok(None)
    }

    fn poll_until(&mut self, bytes_max: usize, until: Instant) -> Result<Polled> {
        let (mut rest, mut pause) = (Duration::ZERO, LOOK_EVERY);
        loop {
            if let Some(moved) = self.serve_group(rest)? {
                return Ok(moved);
            }
            if let Some(assigned) = self.assign()? {
                return Ok(assigned);
            }
            if let Some(batch) = self.read(bytes_max)? {
                return Ok(batch);
            }
            rest = until.saturating_duration_since(Instant::now()).min(pause);
            pause *= 2;
            if rest.is_zero() {
                let (partition, next) = self.parts.first_key_value().map_or((0, 0), |(p, part)| (*p, part.next));
                return Ok(Polled::Batch { partition, batch: Batch { next, ..Batch::default() } });
            }
        }
    }

    /// Where outputs go: each to the partition of its key.
    fn addressed(&self, outputs: Vec<Output>) -> Result<Vec<Addressed>> {
        let mut topics: BTreeMap<String, (Arc<str>, u32)> = BTreeMap::new();
        let mut addressed = Vec::with_capacity(outputs.len());
        for Output { topic, record } in outputs {
            if !topics.contains_key(&topic) {
                let spec = self.log.spec(&topic)?;
                topics.insert(topic.clone(), (self.log.name(&topic).into(), spec.partitions));
            }
            if let Some((topic, partitions)) = topics.get(&topic) {
                let partition = partition_of(&record.key, *partitions);
                addressed.push(Addressed { topic: Arc::clone(topic), partition, record });
            }
        }
        Ok(addressed)
    }

    /// One transaction of all of them.
    fn transact(&mut self, commits: Vec<(Partition, Commit)>) -> Result<()> {
        let state: Arc<str> = self.log.name(&restore::topic(&self.group)).into();
        let mut records = Vec::new();
        let mut consumed = TopicPartitionList::with_capacity(commits.len());
        let mut changed_bytes = Vec::with_capacity(commits.len());
        for (partition, Commit { outputs, changes, next }) in commits {
            records.append(&mut self.addressed(outputs)?);
            if partition >= self.partitions {
                return Err(LogError::UnknownTopic { topic: format!("{}, partition {partition}", self.input) });
            }
            let (false, Some(part)) = (self.over, self.parts.get(&partition)) else { return Err(self.fenced()) };
            let birth = (!part.is_born).then(restore::birth);
            let size = |change: &Change| change.value.as_ref().map_or(0, Vec::len) as u64;
            changed_bytes.push((partition, changes.iter().map(size).sum::<u64>()));
            let changed = birth.into_iter().chain(restore::records(changes, next));
            records.extend(changed.map(|record| Addressed { topic: Arc::clone(&state), partition, record }));
            add_place(&mut consumed, &self.input, partition, next);
        }
        if let Some(Addressed { topic, record, .. }) = records.iter().find(|to| !record::fits(&to.record)) {
            // It would fail for ever, whoever tried.
            let what = format!("commit record {} to {topic}", record.id);
            let source = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
            return Err(LogError::Kafka { what, source });
        }
        let member = self.consumer.group_metadata().ok_or_else(|| self.fenced())?;
        let ends = self.transactions.commit(&records, &consumed, &member)?;
        self.log.ends.will_be(ends);
        for (partition, bytes) in changed_bytes {
            if let Some(part) = self.parts.get_mut(&partition) {
                part.is_born = true;
                part.changed_bytes += bytes;
            }
            self.snapshot_if_due(partition);
        }
        Ok(())
    }
}

impl KafkaWorker {
    /// Makes a snapshot in the background when much has changed, unless one is being made.
    fn snapshot_if_due(&mut self, partition: Partition) {
        let options = &self.log.options;
        let Some(part) = self.parts.get_mut(&partition) else { return };
        let is_made = self.snapshot.as_ref().is_some_and(|thread| !thread.is_finished());
        if options.snapshots.is_none() || part.changed_bytes < options.snapshot_bytes || is_made {
            return;
        }
        part.changed_bytes = 0;
        let (log, group) = (Arc::clone(&self.log), self.group.clone());
        // To read on from the last one makes the next.
        let making = move || {
            if let Err(error) = State::restore(&log, &group, partition) {
                tracing::warn!(error = &error as &dyn std::error::Error, group, "a snapshot of the state was not made");
            }
        };
        match std::thread::Builder::new().name("log-snapshot".to_owned()).spawn(making) {
            Ok(thread) => self.snapshot = Some(thread),
            Err(error) => tracing::warn!(%error, "no thread for a snapshot of the state"),
        }
    }
}

fn add_place(list: &mut TopicPartitionList, topic: &str, partition: Partition, offset: Offset) {
    // It fails for offsets that there are not.
    drop(list.add_partition_offset(topic, number(partition), position(offset)));
}

impl Drop for KafkaWorker {
    fn drop(&mut self) {
        if let Some(Err(_)) = self.snapshot.take().map(JoinHandle::join) {
            tracing::error!(group = self.group, "making a snapshot of the state panicked");
        }
    }
}

impl Worker for KafkaWorker {
    fn poll(&mut self, bytes_max: usize, timeout: Duration) -> Result<Polled> {
        if self.over {
            return Err(self.fenced());
        }
        let polled = self.poll_until(bytes_max, Instant::now() + timeout);
        self.over = polled.is_err();
        polled
    }

    fn commit_all(&mut self, commits: Vec<(Partition, Commit)>) -> Result<()> {
        let committed = self.transact(commits);
        self.over |= !matches!(committed, Ok(()) | Err(LogError::UnknownTopic { .. }));
        committed
    }
}
