//! Deleting old segments: which may go, and nothing beyond that.
//!
//! Conservative: whatever cannot be shown to be unneeded stays. A record of a compacted topic keeps its segment, since its
//! key's latest record is not copied ahead yet. Must not look at the clock: the caller says what is old.

use std::fs;

use super::{
    failed,
    layout::Carries,
    segment,
    state::{self, Covers},
    view::{Core, View},
};
use crate::{Offset, Partition, Result};

/// See [`EmbeddedLog::retain`](super::EmbeddedLog::retain).
pub(super) fn retain(core: &Core, before: i64, protect: impl Fn(&str, Partition) -> Offset) -> Result<usize> {
    let covers: Vec<_> = state::snapshots(&core.dir)
        .map_err(|e| failed("list the state snapshots", e))?
        .into_iter()
        .filter_map(|(slot, covers)| covers.filter(|_| state::is_whole(&core.dir, slot)))
        .collect();
    let mut deleted = 0;
    loop {
        let oldest = {
            let view = core.view.read();
            match view.segments.as_slice() {
                [first, _, ..] if is_unneeded(&view, &covers, &protect) => first.number,
                _ => return Ok(deleted),
            }
        };
        let sealed = core.sealed(oldest).map_err(|e| failed("open a segment", e))?;
        if sealed.index.newest_at >= before {
            return Ok(deleted);
        }
        fs::remove_file(segment::path(&core.dir, oldest)).map_err(|e| failed("delete a segment", e))?;
        drop(fs::remove_file(core.dir.join(segment::index_name(oldest))));
        core.forget_deleted();
        deleted += 1;
    }
}

/// Whether nobody needs what the oldest segment holds. There must be one after it.
fn is_unneeded(view: &View, covers: &[Covers], protect: &impl Fn(&str, Partition) -> Offset) -> bool {
    let [oldest, next, ..] = view.segments.as_slice() else { return false };
    let mut slots = view.layout.slots().flat_map(|(first, stream)| {
        (0..stream.partitions).map(move |partition| (first + partition, stream, partition))
    });
    slots.all(|(slot, stream, partition)| {
        let end = next.base(slot);
        let is_empty = oldest.base(slot) == end;
        match &stream.carries {
            Carries::Compacted | Carries::Records { delete_after_ms: None } => is_empty,
            Carries::Records { delete_after_ms: Some(_) } => is_empty || protect(&stream.name, partition) >= end,
            Carries::ChangesOf { topic } => {
                let input = view.layout.topic_slot(topic, partition).map_or(Offset::MAX, |input| next.base(input));
                let covered = covers.iter().any(|covers| covers.slot == slot && covers.commits >= end);
                (is_empty || covered) && view.standing.progress(slot) >= input
            }
        }
    })
}
