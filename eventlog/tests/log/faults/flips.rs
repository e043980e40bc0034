//! One bit of one file is another: of a segment, an index, the published end, the list of topics, a snapshot.

use std::fs;

use super::{Figures, runs};
use crate::{
    Dice,
    damage::{check_copy, files, write},
    quick_dir,
};

const FLIPS: u64 = 10_000;

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
            let files: Vec<_> = files(dir).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
            let file = &files[usize::try_from(dice.below(files.len() as u64)).unwrap()];
            let mut bytes = fs::read(file).unwrap();
            let bit = usize::try_from(dice.below(bytes.len() as u64 * 8)).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(file, bytes).unwrap();
            what = format!("bit {bit} of {}", file.file_name().unwrap().display());
        });
        assert!(lost <= 4, "{what}: one flip hits one frame, not {lost} records");
        figures.add(lost as u64);
    }
    figures.show("a flipped bit");
    assert!(figures.reported > figures.runs / 10, "a tenth of all flips hit frames at least: {figures:?}");
}
