//! One bit of one file is another: of a segment, an index, the published end, the list of topics, a snapshot.

use std::{collections::BTreeMap, fs, path::Path};

use calltide_eventlog::{
    EventLog, Record,
    embedded::{EmbeddedLog, Lost, verify},
};

use super::{FREELY, Figures, runs};
use crate::{
    CALLS, Dice, append, call,
    damage::{check_copy, copy, files, write},
    open_small, quick_dir,
};

const FLIPS: u64 = 10_000;
const FLIPS_OF_CLEANED: u64 = 3_000;

/// Flips a bit of a file, and says which.
fn flip_one(dir: &Path, dice: &mut Dice) -> String {
    let files: Vec<_> = files(dir).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
    let file = &files[usize::try_from(dice.below(files.len() as u64)).unwrap()];
    let mut bytes = fs::read(file).unwrap();
    let bit = usize::try_from(dice.below(bytes.len() as u64 * 8)).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
    format!("bit {bit} of {}", file.file_name().unwrap().display())
}

/// What is read of the calls, and which offsets are reported.
fn read(log: &EmbeddedLog) -> (BTreeMap<u64, Record>, Vec<(u64, u64)>) {
    let (mut there, mut lost, mut next) = (BTreeMap::new(), Vec::new(), 0);
    loop {
        let batch = log.read(CALLS, 0, next, 2000).unwrap();
        there.extend(batch.records.into_iter().map(|read| (read.offset, read.record)));
        lost.extend(batch.damaged);
        if batch.next == next {
            return (there, lost);
        }
        next = batch.next;
    }
}

#[test]
fn a_flipped_bit_of_a_cleaned_log_is_harmless_or_reported_with_its_offsets() {
    let original = quick_dir();
    let log = open_small(original.path());
    for n in 0..120 {
        append(&log, 0, n);
        log.append(CALLS, 0, vec![call(if n % 2 == 0 { n } else { 1001 })]).unwrap();
    }
    assert!(log.clean(&FREELY).unwrap().rewritten > 10);
    let (whole, lost) = read(&log);
    assert!(lost.is_empty() && whole.len() < 90, "{} calls", whole.len());
    drop(log);
    let mut dice = Dice::seeded("bit flips of a cleaned log");
    let mut figures = Figures::default();
    for _ in 0..runs(FLIPS_OF_CLEANED) {
        let dir = quick_dir();
        copy(original.path(), dir.path());
        let what = flip_one(dir.path(), &mut dice);
        let (there, lost) = read(&open_small(dir.path()));
        assert!(there.iter().all(|(offset, record)| whole.get(offset) == Some(record)), "{what}: another record");
        let is_lost = |offset: &u64| lost.iter().any(|(from, to)| (from..to).contains(&offset));
        let silent: Vec<_> = whole.keys().filter(|offset| !there.contains_key(offset) && !is_lost(offset)).collect();
        assert!(silent.is_empty(), "{what}: {silent:?} are gone without a word");
        let named: Vec<_> = verify(dir.path()).unwrap().into_iter().map(|damage| damage.lost).collect();
        for (from, to) in &lost {
            let says = |lost: &Lost| matches!(lost, Lost::Records { topic, from: f, to: t, .. } if topic == CALLS && f <= from && to <= t);
            assert!(named.iter().any(says), "{what}: {from} to {to} not in {named:?}");
        }
        figures.add(lost.iter().map(|(from, to)| to - from).sum());
    }
    figures.show("a flipped bit of a cleaned log");
    assert!(figures.reported > 0, "{figures:?}");
}

#[test]
fn a_flipped_bit_is_harmless_or_reported_with_its_offsets() {
    let original = quick_dir();
    write(original.path());
    assert_eq!(check_copy(original.path(), |_| {}), 0);
    let mut dice = Dice::seeded("bit flips");
    let mut figures = Figures::default();
    for _ in 0..runs(FLIPS) {
        let mut what = String::new();
        let lost = check_copy(original.path(), |dir| {
            what = flip_one(dir, &mut dice);
        });
        assert!(lost <= 4, "{what}: one flip hits one frame, not {lost} records");
        figures.add(lost as u64);
    }
    figures.show("a flipped bit");
    assert!(figures.reported > figures.runs / 10, "a tenth of all flips hit frames at least: {figures:?}");
}
