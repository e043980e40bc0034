//! The one thread that writes: it takes all frames that wait, writes them at once, syncs once, then acknowledges all.
//!
//! A full disk costs only the frames at hand: they are cut off again and writing goes on when space comes back. After any
//! other failure, a failed fsync above all, what the file holds is unknown, so nothing more is written until the log is
//! opened anew. Must not know what is in the sections. Read on in `frame` and `recover`.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::JoinHandle,
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::{
    codec::Packed,
    disk,
    frame::{self, Form, Header, Meta, Section},
    recover, segment,
    segment::Standing,
    synced::SyncedFile,
    view::Core,
};
use crate::{LogError, Offset, Result};

/// Frames are gathered up to this size for one write. More would only make the first ones wait.
const GROUP_BYTES: usize = 16 << 20;

/// The newest worker of each group, by the slot of the group's partition 0.
pub(super) type Epochs = Mutex<FxHashMap<u32, u64>>;

/// A frame to be written; offsets are given by the writer.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// Per slot the number of offsets its section takes, and its bytes.
    pub(super) sections: Vec<(u32, u32, Packed)>,
    /// The highest offset of each journal.
    pub(super) journals: BTreeMap<String, u64>,
    pub(super) newest_at: i64,
    pub(super) commit: Option<CommitJob>,
}

/// What makes a frame a worker's commit.
#[derive(Debug)]
pub(super) struct CommitJob {
    /// The slot of the worker's group, partition 0, and its name.
    pub(super) group_slot: u32,
    pub(super) group: String,
    /// The worker's turn; a newer one fences it.
    pub(super) epoch: u64,
    /// The slot whose progress moves, and where to.
    pub(super) slot: u32,
    pub(super) next: Offset,
}

#[derive(Debug)]
struct Waiting {
    job: Job,
    reply: SyncSender<Result<Offset>>,
}

/// The way to the writing thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(thread: WriterThread) -> io::Result<Self> {
        let (queue, waiting) = channel();
        let thread = std::thread::Builder::new().name("log-writer".into()).spawn(move || thread.run(&waiting))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Writes a frame durably. Returns the offset of its first section's first item. A job without sections only waits
    /// for all that were given before it.
    pub(super) fn write(&self, job: Job) -> Result<Offset> {
        let gone = || LogError::Stopped { reason: "the writing thread has ended".into() };
        let (reply, answer) = sync_channel(1);
        self.queue.as_ref().ok_or_else(gone)?.send(Waiting { job, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed by its own thread; there is nobody to tell here.
            drop(thread.join());
        }
    }
}

/// What the writing thread owns.
#[derive(Debug)]
pub(super) struct WriterThread {
    pub(super) core: Arc<Core>,
    pub(super) epochs: Arc<Epochs>,
    pub(super) synced: SyncedFile,
    pub(super) segment_bytes: u64,
    /// The next frame must go into a new segment.
    pub(super) roll: bool,
    pub(super) number_next: u64,
    /// Why nothing is written any more.
    pub(super) stopped: Option<String>,
}

/// Why a group could not be written.
enum Failure {
    Full,
    Other(String),
}

impl Failure {
    fn of(what: &str, error: &io::Error) -> Self {
        if disk::is_full(error) { Self::Full } else { Self::Other(format!("{what}: {error}")) }
    }
}

/// The frames of one group, laid out for one write.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    frames: Vec<(u64, Header, Meta)>,
    /// Next offsets of the slots that the group touches.
    next: FxHashMap<u32, u64>,
    answers: Vec<(SyncSender<Result<Offset>>, Offset)>,
}

impl WriterThread {
    fn run(mut self, queue: &Receiver<Waiting>) {
        while let Ok(first) = queue.recv() {
            let mut bytes = size(&first);
            let mut waiting = vec![first];
            while bytes < GROUP_BYTES
                && let Ok(next) = queue.try_recv()
            {
                bytes += size(&next);
                waiting.push(next);
            }
            self.serve(waiting);
        }
        // Both copies of the published end now say the same, and a power loss does not make readers see an older one.
        let view = self.core.view.read();
        let published = self.synced.publish(view.active_number(), view.position, &view.standing);
        if let Err(error) = published.and_then(|()| self.synced.sync()) {
            tracing::warn!(%error, "the end of the log could not be published to readers");
        }
    }

    fn serve(&mut self, waiting: Vec<Waiting>) {
        let mut replies = Vec::new();
        let mut group = Group::default();
        let done = self.write(waiting, &mut group, &mut replies);
        if let Err(Failure::Other(reason)) = &done {
            tracing::error!(reason, "the log stopped writing");
            self.stopped = Some(reason.clone());
        }
        for (reply, offset) in group.answers {
            let answer = match &done {
                Ok(()) => Ok(offset),
                Err(Failure::Full) => Err(LogError::DiskFull { dir: self.core.dir.display().to_string() }),
                Err(Failure::Other(reason)) => Err(LogError::Stopped { reason: reason.clone() }),
            };
            replies.push((reply, answer));
        }
        for (reply, answer) in replies {
            // Whoever asked may have gone; then nobody needs the answer.
            drop(reply.send(answer));
        }
    }

    /// Writes and syncs a group. Jobs refused on the way are answered in `refused`, all others in `group.answers`.
    fn write(
        &mut self,
        waiting: Vec<Waiting>,
        group: &mut Group,
        refused: &mut Refused,
    ) -> std::result::Result<(), Failure> {
        let mut accepted = Vec::with_capacity(waiting.len());
        for Waiting { job, reply } in waiting {
            match self.refusal(&job) {
                Some(error) => refused.push((reply, Err(error))),
                None => accepted.push((job, reply)),
            }
        }
        let full = self.core.view.read().position >= self.segment_bytes;
        let empty = accepted.iter().all(|(job, _)| job.sections.is_empty());
        let rolled = if (full || self.roll) && !empty { self.roll_over() } else { Ok(()) };
        let (position, file, sequence) = self.lay_out(accepted, group);
        rolled?;
        if group.frames.is_empty() {
            return Ok(());
        }
        if let Err(error) = file.write_all_at(&group.bytes, position) {
            let failure = Failure::of("write to the log", &error);
            // A part of the group may be there. It must not come back when the log is opened again.
            return Err(file
                .set_len(position)
                .map_or_else(|e| Failure::of("cut an unfinished write", &e), |()| failure));
        }
        if let Err(error) = file.sync_data() {
            // Which pages reached the disk is unknown, and asking again may falsely say that all did: stop, whatever
            // the reason. Cutting the group off keeps records from appearing whose append failed.
            drop(file.set_len(position));
            return Err(Failure::Other(format!("sync the log: {error}")));
        }
        self.publish(group, position, sequence);
        Ok(())
    }

    fn refusal(&self, job: &Job) -> Option<LogError> {
        if let Some(reason) = &self.stopped {
            return Some(LogError::Stopped { reason: reason.clone() });
        }
        let commit = job.commit.as_ref()?;
        let newest = self.epochs.lock().get(&commit.group_slot).copied();
        (newest != Some(commit.epoch)).then(|| LogError::Fenced { group: commit.group.clone() })
    }

    /// Gives offsets and sequence numbers and builds the bytes. Returns where they go.
    fn lay_out(
        &self,
        accepted: Vec<(Job, SyncSender<Result<Offset>>)>,
        group: &mut Group,
    ) -> (u64, Arc<fs::File>, u64) {
        let view = self.core.view.read();
        let first_sequence = view.standing.sequence;
        for (job, reply) in accepted {
            let (slots, bodies) = split(job.sections);
            let sections = slots.into_iter().zip(&bodies);
            let sections: Vec<_> =
                sections.map(|((slot, count), body)| section(group, &view.standing, slot, count, body)).collect();
            group.answers.push((reply, sections.first().map_or(0, |section| section.first)));
            if sections.is_empty() {
                continue;
            }
            let progress = job.commit.map(|commit| (commit.slot, commit.next));
            let meta =
                Meta { sections, progress, journals: job.journals.into_iter().collect(), newest_at: job.newest_at };
            let at = view.position + group.bytes.len() as u64;
            let sequence = first_sequence + group.frames.len() as u64;
            let header = frame::put_frame(&mut group.bytes, sequence, first_sequence, &meta, &bodies);
            group.frames.push((at, header, meta));
        }
        (view.position, Arc::clone(&view.active), first_sequence)
    }

    fn publish(&mut self, group: &Group, position: u64, sequence: u64) {
        let mut view = self.core.view.write();
        for ((at, header, meta), number) in group.frames.iter().zip(sequence..) {
            view.index.add(*at, header, meta);
            view.standing.apply(number, meta);
        }
        view.position = position + group.bytes.len() as u64;
        let published = self.synced.publish(view.active_number(), view.position, &view.standing);
        drop(view);
        if let Err(error) = published {
            // The frames are safe; other processes see them with the next group that can be published.
            tracing::warn!(%error, "the end of the log could not be published to readers");
        }
        self.core.announce();
    }

    /// Seals the last segment and begins a new one.
    fn roll_over(&mut self) -> std::result::Result<(), Failure> {
        let (sealed, index, standing) = {
            let view = self.core.view.read();
            (view.active_number(), view.index.encode(), view.standing.clone())
        };
        let (file, position) = recover::create_segment(&self.core.dir, self.number_next, &standing)
            .map_err(|e| Failure::of("begin a new segment", &e))?;
        if let Err(error) = disk::replace(&self.core.dir, &segment::index_name(sealed), &index) {
            tracing::warn!(%error, segment = sealed, "the index beside a segment could not be written");
        }
        let mut view = self.core.view.write();
        view.roll(self.number_next, Arc::new(file), position, None);
        self.number_next += 1;
        self.roll = false;
        Ok(())
    }
}

type Refused = Vec<(SyncSender<Result<Offset>>, Result<Offset>)>;

fn size(waiting: &Waiting) -> usize {
    waiting.job.sections.iter().map(|(_, _, packed)| packed.stored.len()).sum()
}

fn split(sections: Vec<(u32, u32, Packed)>) -> (Vec<(u32, u32)>, Vec<Packed>) {
    sections.into_iter().map(|(slot, count, packed)| ((slot, count), packed)).unzip()
}

fn section(group: &mut Group, standing: &Standing, slot: u32, count: u32, body: &Packed) -> Section {
    let next = group.next.entry(slot).or_insert_with(|| standing.next(slot));
    let first = *next;
    *next += u64::from(count);
    Section {
        slot,
        first,
        count,
        raw_len: u32::try_from(body.raw_len).unwrap_or(u32::MAX),
        stored_len: u32::try_from(body.stored.len()).unwrap_or(u32::MAX),
        crc: body.crc,
        form: Form::Dense,
    }
}
