//! The end up to which the log is synced, published by the writer in a small file after each fdatasync.
//!
//! Readers in other processes trust nothing beyond it. When a log is opened for writing it tells what was certainly
//! acknowledged: damage before it is damage, and the offsets it names are never given twice. The file itself is not synced
//! each time; after a power loss it may be older than the log, which is safe. Read on in `recover`.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    codec::{Cursor, put_varint},
    disk,
    segment::{Standing, sealed, unsealed},
};

const NAME: &str = "synced";
const MAGIC: [u8; 8] = *b"CTSYN\xff\xfe1";
/// Two slots are written in turn, so that a reader finds one whole whenever it looks. Each has room for the ends of about
/// 2000 partitions.
const SLOT_BYTES: usize = 16 << 10;

/// What was synced, last known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Synced {
    generation: u64,
    /// The segment that was being written.
    pub(super) segment: u64,
    /// Its synced length in bytes.
    pub(super) position: u64,
    /// The number of the next frame.
    pub(super) sequence: u64,
    /// Per slot the next offset.
    pub(super) next: Vec<u64>,
}

impl Synced {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(unsealed(MAGIC, bytes)?);
        Some(Self {
            generation: cursor.varint()?,
            segment: cursor.varint()?,
            position: cursor.varint()?,
            sequence: cursor.varint()?,
            next: (0..cursor.varint()?).map(|_| cursor.varint()).collect::<Option<_>>()?,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for number in [self.generation, self.segment, self.position, self.sequence, self.next.len() as u64] {
            put_varint(&mut body, number);
        }
        self.next.iter().for_each(|next| put_varint(&mut body, *next));
        sealed(MAGIC, &body)
    }
}

/// The file, open.
#[derive(Debug)]
pub(super) struct SyncedFile {
    file: File,
    generation: u64,
}

impl SyncedFile {
    /// Opens it for writing; creates it with its full size, so that later writes need no new space.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(NAME))?;
        if file.metadata()?.len() < 2 * SLOT_BYTES as u64 {
            file.write_all_at(&vec![0; 2 * SLOT_BYTES], 0)?;
        }
        Ok(Self { file, generation: 0 })
    }

    /// Opens it for reading.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(dir.join(NAME))?, generation: 0 })
    }

    /// The newer of the two slots. `None` if neither is whole.
    pub(super) fn read(&self) -> io::Result<Option<Synced>> {
        let bytes = disk::read_up_to(&self.file, 0, 2 * SLOT_BYTES)?;
        let (first, second) = bytes.split_at_checked(SLOT_BYTES).unwrap_or((&bytes, &[]));
        let slots = [first, second].into_iter().filter_map(Synced::parse);
        Ok(slots.max_by_key(|slot| slot.generation))
    }

    /// Goes on after the newest slot that was read.
    pub(super) fn resume(&mut self, last: Option<&Synced>) {
        self.generation = last.map_or(0, |last| last.generation);
    }

    pub(super) fn publish(&mut self, segment: u64, position: u64, standing: &Standing) -> io::Result<()> {
        self.generation += 1;
        let next = (0..standing.slots()).map(|slot| standing.next(slot)).collect();
        let mut synced = Synced { generation: self.generation, segment, position, sequence: standing.sequence, next };
        let mut bytes = synced.encode();
        if bytes.len() > SLOT_BYTES {
            synced.next.clear();
            bytes = synced.encode();
        }
        self.file.write_all_at(&bytes, (self.generation % 2) * SLOT_BYTES as u64)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
