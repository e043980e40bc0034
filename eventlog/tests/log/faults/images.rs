//! Power losses: images of the disk on which any of the pages that were written and not yet synced are missing or torn.
//!
//! One append or commit is done at a time, and the files are copied before and after it. Everything before was synced, since
//! it was acknowledged; what the operation wrote may be on disk or not, page by page of 4 KiB, torn at sectors of 512 bytes.
//! New files may be there or not, as the order allows: a published end or an index is only written when what it speaks of
//! was synced. That the log does sync in this order is taken for granted here, not seen.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use calltide_eventlog::{
    Change, Commit, EventLog, Output, Polled,
    embedded::{EmbeddedLog, EmbeddedOptions, verify},
};

use super::{Figures, runs};
use crate::{ALL, CALLS, Dice, EVENTS, assigned, call, damage::files, event, ids, quick_dir, topics};

const IMAGES: u64 = 200;
const PAGE: usize = 4096;
const SECTOR: usize = 512;

type Files = BTreeMap<String, Vec<u8>>;

/// What was acknowledged, or would be by the operation under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    events: u64,
    commits: u64,
}

fn open(dir: &Path) -> EmbeddedLog {
    let options = EmbeddedOptions { segment_bytes: 40_000, snapshot_bytes: 10_000 };
    EmbeddedLog::open(dir, &topics(), options).unwrap()
}

fn snapshot(dir: &Path) -> Files {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(dir).iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

#[test]
fn a_power_loss_takes_only_what_was_not_acknowledged() {
    let mut dice = Dice::seeded("power losses");
    let mut figures = Figures::default();
    let dir = quick_dir();
    let log = open(dir.path());
    let mut worker = log.worker("calls", EVENTS).unwrap();
    assigned(&mut *worker, 2);
    let mut told = Told::default();
    let mut lost = 0;
    while figures.runs < runs(IMAGES) {
        let (before, acknowledged) = (snapshot(dir.path()), told);
        if dice.below(2) == 0 || told.commits >= told.events {
            let many = 1 + dice.below(300);
            log.append(EVENTS, 0, (told.events..told.events + many).map(event).collect()).unwrap();
            told.events += many;
        } else {
            let next = told.commits + 1 + dice.below(told.events - told.commits);
            let outputs = (told.commits..next).map(|n| Output { topic: CALLS.into(), record: call(n) });
            let change = Change { key: b"next".to_vec(), value: Some(next.to_string().into_bytes()) };
            worker.commit(0, Commit { outputs: outputs.collect(), changes: vec![change], next }).unwrap();
            told.commits = next;
        }
        let after = snapshot(dir.path());
        for _ in 0..3 {
            let image = quick_dir();
            let what = lose_power(&before, &after, image.path(), &mut dice);
            let found = check(image.path(), acknowledged, told, &what);
            lost += u64::from(found == acknowledged);
            figures.add(0);
        }
    }
    assert!(lost > figures.runs / 5 && lost < figures.runs, "{lost} of {} images lost the operation", figures.runs);
    figures.show("a power loss with unsynced pages");
}

/// Writes an image between the two, and says how it was made.
fn lose_power(before: &Files, after: &Files, image: &Path, dice: &mut Dice) -> String {
    let mut what = String::new();
    let grown = |name: &&String| name.ends_with(".seg") && before.get(*name) != after.get(*name);
    // The segment was synced at the end of the operation, then came the rest.
    let synced = dice.below(4) == 0;
    for name in after.keys().filter(grown) {
        let (old, new) = (before.get(name), &after[name]);
        if old.is_none() && !synced && dice.below(3) == 0 {
            what.push_str(&format!("{name} absent; "));
            continue;
        }
        // The head of a new segment is synced before anything is written behind it.
        let kept = old.map_or_else(|| new.len().min(PAGE / 8), Vec::len);
        let bytes = if synced { new.clone() } else { torn(new, kept, dice, &mut what) };
        fs::write(image.join(name), bytes).unwrap();
    }
    for (name, new) in after.iter().filter(|(name, _)| !grown(name)) {
        let old = before.get(name);
        let bytes = match (synced && dice.below(2) == 0, old) {
            (true, _) => new,
            (false, Some(old)) => old,
            (false, None) => continue,
        };
        fs::write(image.join(name), bytes).unwrap();
    }
    what
}

/// `new` up to `kept`, and behind it each page as it is, missing, or torn at a sector; cut anywhere or whole in length.
fn torn(new: &[u8], kept: usize, dice: &mut Dice, what: &mut String) -> Vec<u8> {
    let mut bytes = new.to_vec();
    let mut from = kept;
    while from < bytes.len() {
        let to = bytes.len().min((from / PAGE + 1) * PAGE);
        let lost = match dice.below(3) {
            0 => from..from,
            1 => from..to,
            _ => {
                let sectors = (from / SECTOR..to.div_ceil(SECTOR)).len() as u64;
                let at = (from / SECTOR + usize::try_from(dice.below(sectors)).unwrap()) * SECTOR;
                if dice.below(2) == 0 { from..at.clamp(from, to) } else { at.clamp(from, to)..to }
            }
        };
        if !lost.is_empty() {
            what.push_str(&format!("{lost:?} lost; "));
        }
        bytes[lost].fill(0);
        from = to;
    }
    if dice.below(2) == 0 {
        let length = kept + usize::try_from(dice.below((new.len() - kept) as u64 + 1)).unwrap();
        what.push_str(&format!("cut at {length} of {}; ", new.len()));
        bytes.truncate(length);
    }
    bytes
}

/// Everything acknowledged is there, and the operation under way wholly or not at all. Says what is there.
fn check(image: &Path, least: Told, most: Told, what: &str) -> Told {
    let log = open(image);
    let events = ids(&log, EVENTS, 0).len() as u64;
    assert!(events == least.events || events == most.events, "{events} events, not {least:?} or {most:?}: {what}");
    let calls = ids(&log, CALLS, 0).len() as u64;
    assert!(calls == least.commits || calls == most.commits, "{calls} calls, not {least:?} or {most:?}: {what}");
    let mut worker = log.worker("calls", EVENTS).unwrap();
    let (next, state) = assigned(&mut *worker, 2).swap_remove(0);
    assert_eq!(next, calls, "as many calls as progress says: {what}");
    let expected = (calls > 0).then(|| (b"next".to_vec(), calls.to_string().into_bytes()));
    assert_eq!(state, expected.into_iter().collect::<Vec<_>>(), "{what}");
    // It goes on: offsets that nobody was told of are given now.
    assert_eq!(log.append(EVENTS, 0, vec![event(events)]).unwrap(), events, "{what}");
    if let Polled::Batch { batch, .. } = worker.poll(ALL, Duration::ZERO).unwrap() {
        assert_eq!(batch.damaged, [], "{what}");
    }
    drop((worker, log));
    assert_eq!(verify(image).unwrap(), [], "{what}");
    Told { events, commits: calls }
}
