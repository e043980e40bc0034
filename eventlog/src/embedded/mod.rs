//! The log in files on one machine: one writing process, any number of reading ones.
//!
//! A sequence of segment files holds everything. A frame is one append or one worker's commit and valid as a whole or not
//! at all; what was acknowledged was synced. Nothing is removed but by [`EmbeddedLog::clean`]. What is damaged on disk is
//! reported with the offsets it hit. Must not know what records mean. Read on in `frame`, `writer`, `recover`, `clean`.

mod clean;
mod codec;
mod disk;
mod follow;
mod frame;
mod keys;
mod layout;
mod lock;
mod pin;
mod read;
mod recover;
mod rewrite;
mod scan;
mod section;
mod segment;
mod state;
mod synced;
mod verify;
mod view;
mod worker;
mod writer;

pub use clean::{Cleaned, Cleaning, Groups};
pub use verify::{Damage, Lost, verify};

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{Batch, EventLog, LogError, Offset, Partition, Pin, Record, Result, TopicSpec, Worker};
use follow::Follower;
use layout::{Carries, Layout, Stream};
use lock::Lock;
use synced::SyncedFile;
use view::Core;
use writer::{Epochs, Job, Writer, WriterThread};

/// How the embedded log writes.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedOptions {
    /// A segment file is closed when it is at least this long, in bytes; at most 1 GiB is used.
    pub segment_bytes: u64,
    /// A snapshot of a worker's state is made when the changes since the last one have at least so many bytes.
    pub snapshot_bytes: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        // Small enough that opening reads through one in well under a second, large enough that a year makes few files.
        // Restoring a worker reads at most about as many bytes of changes, well under a second.
        Self { segment_bytes: 64 << 20, snapshot_bytes: 64 << 20 }
    }
}

/// Positions within a segment are 32 bits wide, so a segment and one frame after its limit must stay below 4 GiB.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The largest append or commit, in bytes before compression.
const FRAME_BYTES_MAX: usize = 1 << 30;
/// A section is closed at this size: four of LZ4's windows, so that it costs no compression.
const SECTION_BYTES: usize = 256 << 10;

/// See the module. Dropping it writes out what is under way and closes the log, once its workers are dropped too.
#[derive(Debug)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
}

/// What the log and its workers share. The writer comes first: it ends before the lock is given back.
#[derive(Debug)]
struct Inner {
    mode: Mode,
    core: Arc<Core>,
    epochs: Arc<Epochs>,
    snapshot_bytes: u64,
}

#[derive(Debug)]
enum Mode {
    Writing { writer: Writer, _lock: Lock },
    Reading(Follower),
}

fn failed(what: &str, source: io::Error) -> LogError {
    LogError::Io { what: what.to_owned(), source }
}

impl EmbeddedLog {
    /// Opens the log in `dir` for writing, creating it and those of `topics` that it does not have.
    ///
    /// # Errors
    /// [`LogError::Locked`] while another process writes; [`LogError::DiskFull`] only when something new must be created.
    pub fn open(dir: &Path, topics: &[TopicSpec], options: EmbeddedOptions) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| disk::write_error(dir, "create the log's directory", e))?;
        let lock = Lock::take(dir)?;
        let stored = Layout::load(dir);
        if stored.is_none() && Layout::exists(dir) && !segment::list(dir).unwrap_or_default().is_empty() {
            return Err(LogError::Damaged { what: format!("the list of topics in {}, in both copies", dir.display()) });
        }
        let layout = stored.clone().unwrap_or_default().with_topics(topics)?;
        if stored.as_ref() != Some(&layout) || !Layout::damaged(dir).is_empty() {
            let written = layout.store(dir);
            // Mending a copy may wait until there is space; creating something may not.
            if stored.as_ref() != Some(&layout) {
                written?;
            }
        }
        let publishing = |e| disk::write_error(dir, "publish the log's end", e);
        let mut synced = SyncedFile::create(dir).map_err(publishing)?;
        let last = synced.read().map_err(publishing)?;
        synced.resume(last.as_ref());
        let mut recovered = recover::recover(dir, layout, last.as_ref())?;
        for (_, covers) in state::snapshots(dir).map_err(|e| failed("list the state snapshots", e))? {
            let standing = &mut recovered.view.standing;
            if let Some(covers) = covers.filter(|covers| covers.commits > standing.next(covers.slot)) {
                standing.set_next(covers.slot, covers.commits);
                standing.set_progress(covers.slot, covers.next);
            }
        }
        let view = &recovered.view;
        if let Err(error) = synced.publish(view.active_number(), view.position, &view.standing) {
            tracing::warn!(%error, "the end of the log could not be published to readers");
        }
        let core = Arc::new(Core::new(dir.to_owned(), recovered.view));
        let epochs = Arc::new(Epochs::default());
        let thread = WriterThread {
            core: Arc::clone(&core),
            epochs: Arc::clone(&epochs),
            synced,
            segment_bytes: options.segment_bytes.min(SEGMENT_BYTES_MAX),
            roll: recovered.roll,
            number_next: recovered.number_next,
            stopped: None,
        };
        let writer = Writer::start(thread).map_err(|e| failed("start the log's writing thread", e))?;
        let inner =
            Inner { mode: Mode::Writing { writer, _lock: lock }, core, epochs, snapshot_bytes: options.snapshot_bytes };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens the log in `dir` for reading, beside the process that writes, if any. Writes nothing.
    ///
    /// # Errors
    /// [`LogError::Missing`] if no log was ever opened there for writing.
    pub fn open_reader(dir: &Path) -> Result<Self> {
        let (follower, view) = Follower::open(dir)?;
        let core = Arc::new(Core::new(dir.to_owned(), view));
        let inner = Inner { mode: Mode::Reading(follower), core, epochs: Arc::default(), snapshot_bytes: u64::MAX };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes this the state of a group's partition, to go on at this offset of its input: whatever its state was, and whether
    /// that can be read. The group's worker is fenced.
    ///
    /// # Errors
    /// [`LogError::ReadOnly`] on a reader, and those of writing.
    pub fn replace_state(
        &self,
        (group, topic, partition): (&str, &str, Partition),
        state: BTreeMap<Vec<u8>, Vec<u8>>,
        next: Offset,
    ) -> Result<()> {
        self.inner.writer()?;
        worker::EmbeddedWorker::join(Arc::clone(&self.inner), group, topic)?.replace(partition, state, next)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.inner.core.dir
    }

    /// Removes what nobody needs any more: records that are older than their topic keeps them, or the oldest where the log has
    /// grown beyond its bytes; records of compacted topics whose key has a later one; changes that a snapshot covers. Offsets
    /// stay as they are.
    ///
    /// # Errors
    /// [`LogError::ReadOnly`] on a reader, [`LogError::Io`] if a file cannot be read, written or deleted.
    pub fn clean(&self, asked: &Cleaning<'_>) -> Result<Cleaned> {
        self.inner.writer()?;
        clean::clean(&self.inner.core, asked)
    }
}

impl Inner {
    fn writer(&self) -> Result<&Writer> {
        match &self.mode {
            Mode::Writing { writer, .. } => Ok(writer),
            Mode::Reading(_) => Err(LogError::ReadOnly { dir: self.core.dir.display().to_string() }),
        }
    }

    /// In a reading process: catches up with the writer.
    fn follow(&self) -> Result<()> {
        match &self.mode {
            Mode::Writing { .. } => Ok(()),
            Mode::Reading(follower) => follower.follow(&self.core),
        }
    }

    fn slot(&self, topic: &str, partition: Partition) -> Result<u32> {
        self.core.view.read().layout.topic_slot(topic, partition)
    }

    fn write(&self, job: Job) -> Result<Offset> {
        let writer = self.writer()?;
        let raw: usize = job.sections.iter().map(|(_, _, packed)| packed.raw_len).sum();
        if raw > FRAME_BYTES_MAX {
            let reason = format!("{raw} bytes at once, at most {FRAME_BYTES_MAX} are possible");
            return Err(failed("write to the log", io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        writer.write(job)
    }

    /// Waits until everything that was given to the writer is written.
    fn drain(&self) -> Result<()> {
        match &self.mode {
            Mode::Writing { writer, .. } => writer.write(Job::default()).map(drop),
            Mode::Reading(follower) => follower.follow(&self.core),
        }
    }

    /// The slot of a group's partition 0 and its partitions; the writer adds a group that is new.
    fn group(&self, group: &str, topic: &str) -> Result<(u32, Partition)> {
        self.follow()?;
        let mut view = self.core.view.write();
        view.layout.topic_slot(topic, 0)?;
        let partitions = view.layout.topics().iter().find(|spec| spec.name == topic).map_or(0, |spec| spec.partitions);
        if let Some(slot) = view.layout.group_slot(group, topic) {
            return Ok((slot, partitions));
        }
        self.writer()?;
        let mut layout = view.layout.clone();
        let carries = Carries::ChangesOf { topic: topic.to_owned() };
        layout.streams.push(Stream { name: group.to_owned(), partitions, carries, compacted_ms: None });
        layout.store(&self.core.dir)?;
        let slot = u32::try_from(view.layout.slot_count()).unwrap_or(u32::MAX);
        view.layout = layout;
        Ok((slot, partitions))
    }

    /// Adds a section per topic and partition, in the order in which they first occur.
    fn add_outputs<'a>(&self, job: &mut Job, outputs: impl Iterator<Item = (&'a str, &'a Record)>) -> Result<()> {
        let mut parts: Vec<(u32, Vec<&Record>)> = Vec::new();
        let layout = &self.core.view.read().layout;
        for (topic, record) in outputs {
            let slot = layout.slot_of_key(topic, &record.key)?;
            match parts.iter_mut().find(|(known, _)| *known == slot) {
                Some((_, records)) => records.push(record),
                None => parts.push((slot, vec![record])),
            }
        }
        for (slot, records) in parts {
            add_records(job, slot, &records);
        }
        Ok(())
    }
}

/// Adds records of one slot, in sections small enough that reading a few of them does not unpack all.
fn add_records(job: &mut Job, slot: u32, records: &[&Record]) {
    let (mut raw, mut count) = (Vec::new(), 0);
    for record in records {
        if raw.len() >= SECTION_BYTES {
            job.sections.push((slot, count, codec::pack(std::mem::take(&mut raw))));
            count = 0;
        }
        codec::put_record(&mut raw, record);
        count += 1;
        job.newest_at = job.newest_at.max(record.at);
        if let Some((journal, offset)) = &record.journal {
            match job.journals.get_mut(journal) {
                Some(highest) => *highest = (*highest).max(*offset),
                None => drop(job.journals.insert(journal.clone(), *offset)),
            }
        }
    }
    job.sections.push((slot, count, codec::pack(raw)));
}

impl EventLog for EmbeddedLog {
    fn topics(&self) -> Vec<TopicSpec> {
        self.inner.topics()
    }

    fn append(&self, topic: &str, partition: Partition, records: Vec<Record>) -> Result<Offset> {
        self.inner.writer()?;
        let slot = self.inner.slot(topic, partition)?;
        if records.is_empty() {
            return Ok(self.inner.core.view.read().standing.next(slot));
        }
        let mut job = Job::default();
        add_records(&mut job, slot, &records.iter().collect::<Vec<_>>());
        self.inner.write(job)
    }

    fn append_by_key(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        self.inner.writer()?;
        let mut job = Job::default();
        self.inner.add_outputs(&mut job, records.iter().map(|record| (topic, record)))?;
        if job.sections.is_empty() { Ok(()) } else { self.inner.write(job).map(drop) }
    }

    fn read(&self, topic: &str, partition: Partition, from: Offset, bytes_max: usize) -> Result<Batch> {
        self.inner.read(topic, partition, from, bytes_max)
    }

    fn offset_at(&self, topic: &str, partition: Partition, at: i64) -> Result<Offset> {
        self.inner.offset_at(topic, partition, at)
    }

    fn pin(&self, topic: &str, partition: Partition, from: Offset) -> Result<Pin> {
        self.inner.follow()?;
        let slot = self.inner.slot(topic, partition)?;
        let locked = pin::pin(&self.inner.core, slot, from).map_err(|e| failed("pin a segment", e))?;
        Ok(Pin::holding(locked))
    }

    fn bounds(&self, topic: &str, partition: Partition) -> Result<(Offset, Offset)> {
        self.inner.follow()?;
        let slot = self.inner.slot(topic, partition)?;
        let view = self.inner.core.view.read();
        Ok((view.first_kept(slot), view.standing.next(slot)))
    }

    fn journals(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        self.inner.follow()?;
        let view = self.inner.core.view.read();
        let from = view.standing.journals.range(prefix.to_owned()..);
        let matching = from.take_while(|(journal, _)| journal.starts_with(prefix));
        Ok(matching.map(|(journal, offset)| (journal.clone(), *offset)).collect())
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.inner.wait(seen, timeout)
    }

    fn worker(&self, group: &str, topic: &str) -> Result<Box<dyn Worker>> {
        Ok(Box::new(worker::EmbeddedWorker::join(Arc::clone(&self.inner), group, topic)?))
    }
}

/// Where a log is, for those who open it for reading only.
fn missing(dir: &Path) -> LogError {
    LogError::Missing { dir: PathBuf::from(dir).display().to_string() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs::File;

    use super::*;
    use crate::Cleanup;

    fn append(log: &EmbeddedLog) -> Result<Offset> {
        log.append("calltide.calls", 0, vec![Record { payload: Some(b"{}".to_vec()), ..Record::default() }])
    }

    /// A log whose next write goes to a device instead of its segment.
    fn log_that_writes_to(device: &str) -> (tempfile::TempDir, EmbeddedLog) {
        let dir = tempfile::tempdir().unwrap();
        let topic =
            TopicSpec { name: "calltide.calls".into(), partitions: 1, cleanup: Cleanup::Compact { after: None } };
        let log = EmbeddedLog::open(dir.path(), &[topic], EmbeddedOptions::default()).unwrap();
        assert_eq!(append(&log).unwrap(), 0);
        log.inner.core.view.write().active = Arc::new(File::options().read(true).write(true).open(device).unwrap());
        (dir, log)
    }

    #[test]
    fn a_failed_sync_stops_the_log_until_it_is_opened_again() {
        // It takes writes, but cannot be synced.
        let (dir, log) = log_that_writes_to("/dev/null");
        assert!(matches!(append(&log), Err(LogError::Stopped { .. })));
        let segment = File::options().read(true).write(true).open(segment::path(dir.path(), 1)).unwrap();
        log.inner.core.view.write().active = Arc::new(segment);
        assert!(matches!(append(&log), Err(LogError::Stopped { .. })), "even where the disk would work again");
        assert_eq!(log.read("calltide.calls", 0, 0, 1).unwrap().records.len(), 1, "reading goes on");
        drop(log);
        let log = EmbeddedLog::open(dir.path(), &[], EmbeddedOptions::default()).unwrap();
        assert_eq!(append(&log).unwrap(), 1);
    }

    #[test]
    fn an_unfinished_write_that_cannot_be_cut_off_stops_the_log() {
        // It is always full, and has no length to set.
        let (_dir, log) = log_that_writes_to("/dev/full");
        assert!(matches!(append(&log), Err(LogError::Stopped { .. })));
        assert!(matches!(append(&log), Err(LogError::Stopped { .. })));
    }
}
