//! Reads through everything that a log keeps and tells what is damaged. Changes nothing.
//!
//! Must not know what records mean; it reads as `read` does, and names files and positions besides.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    EmbeddedLog, failed,
    layout::Layout,
    scan::{self, Found, Scan},
    segment,
    state::{self, Covers},
    view::{Core, Piece},
};
use crate::{Offset, Partition, Result};

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which file.
    pub file: PathBuf,
    /// Where in it the damaged bytes begin; 0 for the file as a whole, or where it is missing.
    pub position: u64,
    /// What is lost by it.
    pub lost: Lost,
}

/// What damage has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum Lost {
    /// Records of a topic, offsets `[from, to)`.
    Records { topic: String, partition: Partition, from: Offset, to: Offset },
    /// State changes of a worker group, commits `[from, to)`, where no later snapshot covers them.
    Changes { group: String, partition: Partition, from: u64, to: u64 },
    /// The snapshot of a group's state; it can be worked out again as long as all changes are there.
    Snapshot { group: String, partition: Partition },
    /// Nothing: what was there is known from elsewhere.
    Nothing,
}

/// Reads through the log in `dir`, up to its published end, and returns what is damaged, in the order of files.
///
/// # Errors
/// [`LogError::Missing`](crate::LogError::Missing) without a log, `Io` where a file cannot be opened.
pub fn verify(dir: &Path) -> Result<Vec<Damage>> {
    let log = EmbeddedLog::open_reader(dir)?;
    let core = &log.inner.core;
    let mut damage = Vec::new();
    for name in Layout::damaged(dir) {
        damage.push(Damage { file: dir.join(name), position: 0, lost: Lost::Nothing });
    }
    let bad = bad_places(core)?;
    let mut named = vec![false; bad.len()];
    let snapshots = snapshots(core)?;
    for (slot, stream, partition) in slots(core) {
        let covered = snapshots.get(&slot).copied().flatten().unwrap_or_default();
        let first = core.view.read().first_kept(slot);
        if !stream.is_topic && covered < first {
            // They went with their segment.
            let file = segment::path(dir, segment_of(core, slot, first));
            damage.push(Damage { file, position: 0, lost: stream.lost(partition, covered, first) });
        }
        // Changes that a snapshot has are needed no more.
        let mut pieces = core.pieces(slot, first.max(covered));
        let (mut number, mut after) = (0, 0);
        while let Some(piece) = pieces.next()? {
            match piece {
                Piece::Whole { entry, .. } => {
                    (number, after) = (segment_of(core, slot, entry.first), entry.position.into())
                }
                Piece::Removed { .. } => {}
                Piece::Lost { from, to } => {
                    let within = segment_of(core, slot, from);
                    let start = if within == number { after } else { 0 };
                    let place = bad
                        .iter()
                        .position(|(segment, from, to)| *segment == within && (*from >= start || *to > start));
                    if let Some(place) = place {
                        named[place] = true;
                    }
                    let position = place.map_or(0, |place| bad[place].1);
                    let lost = stream.lost(partition, from, to);
                    damage.push(Damage { file: segment::path(dir, within), position, lost });
                }
            }
        }
    }
    for ((number, position, _), named) in bad.iter().zip(named) {
        if !named {
            damage.push(Damage { file: segment::path(dir, *number), position: *position, lost: Lost::Nothing });
        }
    }
    damage.extend(bad_snapshots(core, &snapshots));
    damage.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
    Ok(damage)
}

struct Named {
    name: String,
    is_topic: bool,
}

impl Named {
    fn lost(&self, partition: Partition, from: Offset, to: Offset) -> Lost {
        if self.is_topic {
            Lost::Records { topic: self.name.clone(), partition, from, to }
        } else {
            Lost::Changes { group: self.name.clone(), partition, from, to }
        }
    }
}

fn slots(core: &Core) -> Vec<(u32, Named, Partition)> {
    let view = core.view.read();
    let slots = view.layout.slots().flat_map(|(first, stream)| {
        let named = move || Named { name: stream.name.clone(), is_topic: stream.is_topic() };
        (0..stream.partitions).map(move |partition| (first + partition, named(), partition))
    });
    slots.collect()
}

/// The number of the segment in which an offset is or should be.
fn segment_of(core: &Core, slot: u32, offset: Offset) -> u64 {
    let view = core.view.read();
    let after = view.segments.partition_point(|segment| segment.base(slot) <= offset);
    view.segments.get(after.max(1) - 1).map_or(0, |segment| segment.number)
}

/// Segment, begin and end of all bytes that are not what was written.
fn bad_places(core: &Core) -> Result<Vec<(u64, u64, u64)>> {
    let numbers: Vec<u64> = core.view.read().segments.iter().map(|segment| segment.number).collect();
    let mut bad = Vec::new();
    for number in numbers {
        let reading = |e| failed("read a segment", e);
        let file = match std::fs::File::open(segment::path(&core.dir, number)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            file => file.map_err(reading)?,
        };
        let length = file.metadata().map_err(reading)?.len();
        let view = core.view.read();
        let limit = if view.active_number() == number { view.position.min(length) } else { length };
        drop(view);
        let start = segment::read_head(&file).map_err(reading)?.map_or(0, |head| head.start);
        for found in Scan::new(&file, start, limit, 0) {
            match found.map_err(reading)? {
                Found::Bad { from, to } => bad.push((number, from, to)),
                Found::Frame { position, header, meta } => {
                    if !scan::is_whole(&file, position, &header, &meta).map_err(reading)? {
                        bad.push((number, position, position + header.frame_len()));
                    }
                }
            }
        }
    }
    Ok(bad)
}

/// By slot how many commits the last snapshot of a group covers; `None` where it is not what was written.
fn snapshots(core: &Core) -> Result<BTreeMap<u32, Option<u64>>> {
    let snapshots = state::snapshots(&core.dir).map_err(|e| failed("list the state snapshots", e))?;
    let whole = |(slot, covers): (u32, Option<Covers>)| {
        (slot, covers.filter(|_| state::is_whole(&core.dir, slot)).map(|covers| covers.commits))
    };
    Ok(snapshots.into_iter().map(whole).collect())
}

fn bad_snapshots(core: &Core, snapshots: &BTreeMap<u32, Option<u64>>) -> Vec<Damage> {
    let bad = snapshots.iter().filter(|(_, covered)| covered.is_none());
    let view = core.view.read();
    let damage = bad.map(|(slot, _)| {
        let stream = view.layout.stream_of(*slot);
        let (group, partition) =
            stream.map_or((String::new(), 0), |(stream, partition)| (stream.name.clone(), partition));
        Damage { file: state::path(&core.dir, *slot), position: 0, lost: Lost::Snapshot { group, partition } }
    });
    damage.collect()
}
