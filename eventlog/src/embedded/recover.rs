//! Opening a log: finds its segments, where each began, and what of the last one counts.
//!
//! A frame that is not whole is a torn tail, and cut, only if nothing tells that it had been synced: it lies beyond the
//! published end and no frame of a later group follows it (a group is written only after the one before was synced).
//! Everything else that is not whole is damage: its offsets are kept as lost, and writing goes on in a new segment.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

use super::{
    disk, failed,
    layout::Layout,
    scan::{self, Found, Scan},
    segment::{self, Head, Index, Standing},
    synced::Synced,
    view::{Segment, View},
};
use crate::Result;

/// A log as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) view: View,
    /// The last segment ends in damage, so that the next frame must go into a new one.
    pub(super) roll: bool,
    /// The number of the next segment.
    pub(super) number_next: u64,
}

/// Opens a log for writing, cutting a torn tail. Creates its first segment if there is none.
pub(super) fn recover(dir: &Path, layout: Layout, synced: Option<&Synced>) -> Result<Recovered> {
    let io_failed = |e| failed("read the log's segments", e);
    let mut numbers = segment::list(dir).map_err(io_failed)?;
    while let Some(&last) = numbers.last() {
        if !is_stillborn(dir, last, synced).map_err(io_failed)? {
            break;
        }
        fs::remove_file(segment::path(dir, last)).map_err(io_failed)?;
        numbers.pop();
    }
    let mut view = if numbers.is_empty() {
        first_segment(dir, layout, synced.map_or(1, |synced| synced.segment + 1))?
    } else {
        open_last(dir, layout, &numbers, true).map_err(io_failed)?
    };
    let number = view.active_number();
    let synced_to = synced.filter(|synced| synced.segment == number).map_or(0, |synced| synced.position);
    let found = look(&view, synced_to).map_err(io_failed)?;
    let cut = torn_at(&found, synced_to, view.standing.sequence);
    let length = view.active.metadata().map_err(io_failed)?.len();
    let end = cut.unwrap_or(length);
    if end < length {
        tracing::warn!(segment = number, bytes = length - end, "cut an unfinished write from the end of the log");
        view.active.set_len(end).map_err(|e| failed("cut the log's end", e))?;
    }
    let bad_end = found.iter().take_while(|found| from(found) < end).last().is_some_and(is_bad);
    for found in found {
        if let Found::Frame { position, header, meta } = found
            && position < end
        {
            view.index.add(position, &header, &meta);
            view.standing.apply(header.sequence, &meta);
        }
    }
    view.position = end;
    let lost_end = synced.is_some_and(|s| s.segment > number || (s.segment == number && s.position > length));
    if let Some(synced) = synced.filter(|synced| synced.segment >= number) {
        never_again(&mut view, synced);
    }
    // What was found beyond the published end may lie in memory only: it must be as safe as what readers see.
    view.active.sync_data().map_err(|e| failed("sync the log's end", e))?;
    let number_next = synced.map_or(0, |synced| synced.segment).max(number) + 1;
    Ok(Recovered { view, roll: bad_end || lost_end, number_next })
}

/// Opens a log for reading, up to the published end.
pub(super) fn open_synced(dir: &Path, layout: Layout, synced: &Synced) -> io::Result<View> {
    let mut numbers = segment::list(dir)?;
    numbers.retain(|number| *number <= synced.segment);
    if numbers.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut view = open_last(dir, layout, &numbers, false)?;
    let length = view.active.metadata()?.len();
    let limit = if view.active_number() == synced.segment { synced.position.min(length) } else { length };
    view.scan_to(limit)?;
    never_again(&mut view, synced);
    Ok(view)
}

/// Offsets that were given are not given again, even where the frames that held them are gone. Commits of workers are:
/// a worker whose last commit is gone does that part of its input again.
pub(super) fn never_again(view: &mut View, synced: &Synced) {
    view.standing.sequence = view.standing.sequence.max(synced.sequence);
    for (slot, next) in (0..).zip(&synced.next) {
        let records = view.layout.stream_of(slot).is_some_and(|(stream, _)| stream.is_topic());
        if records && *next > view.standing.next(slot) {
            view.standing.set_next(slot, *next);
        }
    }
}

/// A segment that was being created when the power went: nothing was ever acknowledged in it.
fn is_stillborn(dir: &Path, number: u64, synced: Option<&Synced>) -> io::Result<bool> {
    let file = File::open(segment::path(dir, number))?;
    let named = synced.is_some_and(|synced| synced.segment >= number);
    if named || segment::read_head(&file)?.is_some() {
        return Ok(false);
    }
    let mut scan = Scan::new(&file, 0, file.metadata()?.len(), 0);
    Ok(scan.all(|found| found.is_ok_and(|found| is_bad(&found))))
}

fn first_segment(dir: &Path, layout: Layout, number: u64) -> Result<View> {
    let standing = Standing::start();
    let (file, position) = create_segment(dir, number, &standing)
        .map_err(|e| disk::write_error(dir, "create the log's first segment", e))?;
    let segments = vec![Segment::new(number, &standing, None)];
    Ok(View { layout, segments, active: Arc::new(file), index: Index::default(), position, standing })
}

/// Creates a segment durably. Returns it with the position of its first frame.
pub(super) fn create_segment(dir: &Path, number: u64, standing: &Standing) -> io::Result<(File, u64)> {
    use std::os::unix::fs::FileExt;
    let path = segment::path(dir, number);
    let head = segment::head(standing, None);
    let create = || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&head, 0)?;
        file.sync_all()?;
        disk::sync_dir(dir)?;
        Ok((file, head.len() as u64))
    };
    create().inspect_err(|_| drop(fs::remove_file(&path)))
}

/// A view that ends at the begin of the last segment.
fn open_last(dir: &Path, layout: Layout, numbers: &[u64], write: bool) -> io::Result<View> {
    let mut segments = Vec::new();
    let mut before: Option<(File, Head)> = None;
    for &number in numbers {
        let file = OpenOptions::new().read(true).write(write).open(segment::path(dir, number))?;
        let head = match segment::read_head(&file)? {
            Some(head) => head,
            None => {
                tracing::error!(segment = number, "the head of a segment is damaged; worked out from its neighbours");
                Head { standing: begin_without_head(before.as_ref(), &file)?, start: 0, cleaned: None }
            }
        };
        segments.push(Segment::new(number, &head.standing, head.cleaned.as_ref()));
        before = Some((file, head));
    }
    let (file, head) = before.ok_or(io::ErrorKind::NotFound)?;
    let Head { standing, start: position, .. } = head;
    Ok(View { layout, segments, active: Arc::new(file), index: Index::default(), position, standing })
}

/// Where things stood when a segment began whose head is damaged: where the one before it ended, else at its own frames.
fn begin_without_head(before: Option<&(File, Head)>, file: &File) -> io::Result<Standing> {
    if let Some((_, Head { cleaned: Some(cleaned), .. })) = before {
        return Ok(cleaned.end.clone());
    }
    let mut standing = before.map_or_else(Standing::start, |(_, head)| head.standing.clone());
    if let Some((file, head)) = before {
        for found in Scan::new(file, head.start, file.metadata()?.len(), standing.sequence) {
            if let Found::Frame { header, meta, .. } = found? {
                standing.apply(header.sequence, &meta);
            }
        }
        return Ok(standing);
    }
    let mut seen = Standing::start();
    for found in Scan::new(file, 0, file.metadata()?.len(), 0) {
        let Found::Frame { meta, header, .. } = found? else { continue };
        if standing.sequence == 1 {
            standing.sequence = header.sequence;
        }
        for section in meta.sections {
            if seen.next(section.slot) == 0 {
                seen.set_next(section.slot, 1);
                standing.set_next(section.slot, section.first);
            }
        }
    }
    Ok(standing)
}

/// All that lies in the last segment. Frames beyond the published end count only if their sections are whole, too.
fn look(view: &View, synced_to: u64) -> io::Result<Vec<Found>> {
    let length = view.active.metadata()?.len();
    let whole_or_bad = |found| match found {
        Ok(Found::Frame { position, header, meta }) if position >= synced_to => {
            if scan::is_whole(&view.active, position, &header, &meta)? {
                Ok(Found::Frame { position, header, meta })
            } else {
                Ok(Found::Bad { from: position, to: position + header.frame_len() })
            }
        }
        other => other,
    };
    Scan::new(&view.active, view.position, length, view.standing.sequence).map(whole_or_bad).collect()
}

/// Where a torn tail begins, if there is one.
fn torn_at(found: &[Found], synced_to: u64, mut sequence: u64) -> Option<u64> {
    for (at, here) in found.iter().enumerate() {
        match here {
            Found::Frame { header, .. } => sequence = header.sequence + 1,
            Found::Bad { from, .. } => {
                let later = |found: &Found| matches!(found, Found::Frame { header, .. } if header.group > sequence);
                // A head (position 0) was synced before any frame came after it: never a torn one.
                if *from > 0 && *from >= synced_to && !found[at..].iter().any(later) {
                    return Some(*from);
                }
            }
        }
    }
    None
}

fn from(found: &Found) -> u64 {
    match found {
        Found::Frame { position, .. } => *position,
        Found::Bad { from, .. } => *from,
    }
}

fn is_bad(found: &Found) -> bool {
    matches!(found, Found::Bad { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::frame::{Meta, put_frame};

    /// What lies in a segment, in words: `3/1` is frame 3 of the group that began with frame 1, `bad` is not whole.
    /// Each takes 100 bytes after a head of 100. Tells where a torn tail begins.
    fn check(found: &str, synced_to: u64, expected: Option<u64>) {
        let place = |(at, word): (u64, &str)| match word.split_once('/') {
            None => Found::Bad { from: 100 * at, to: 100 * at + 100 },
            Some((sequence, group)) => {
                let number = |text: &str| text.parse().unwrap_or(0);
                let header = put_frame(&mut Vec::new(), number(sequence), number(group), &Meta::default(), &[]);
                Found::Frame { position: 100 * at, header, meta: Meta::default() }
            }
        };
        let places: Vec<_> = (1..).zip(found.split_whitespace()).map(place).collect();
        assert_eq!(torn_at(&places, synced_to, 1), expected, "{found}");
    }

    #[test]
    fn a_tail_is_torn_only_where_nothing_says_that_it_was_synced() {
        check("1/1 2/2 3/3", 0, None);
        check("1/1 2/2 bad", 0, Some(300));
        check("1/1 2/2 bad", 300, Some(300));
        // The published end says that it had been acknowledged.
        check("1/1 2/2 bad", 400, None);
        check("1/1 bad 3/3", 400, None);
        // Only the later part of a group that was never synced reached the disk.
        check("1/1 bad 3/2", 0, Some(200));
        check("1/1 bad 3/2 bad", 0, Some(200));
        // A later group was begun, so the damaged frame's had been synced.
        check("1/1 bad 3/3", 0, None);
        check("1/1 bad 3/2 4/4", 0, None);
        check("1/1 bad 3/3 bad", 0, Some(400));
        check("bad", 0, Some(100));
    }
}
