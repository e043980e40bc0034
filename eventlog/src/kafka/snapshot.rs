//! A partition's state in a local file, so that restoring it on the same machine reads only what came since.
//!
//! One file per group and partition, replaced as a whole, with a checksum. It counts only for the very topic that it was made
//! from, which its first record names, and only while the topic still has every removal that came since. Anything doubtful is
//! left aside: the topic has all. Must not know what entries mean.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{restore::State, topics::REMOVED_KEPT_MS};
use crate::Partition;

const MAGIC: &[u8; 8] = b"CTKST\xff\xfe1";
/// Half as old as removals are kept by the brokers: clocks differ, and reading takes time.
const AGE_MAX: Duration = Duration::from_millis(REMOVED_KEPT_MS / 2);

/// Where the snapshot of a group's partition is.
pub(super) fn path(dir: &Path, topic: &str, partition: Partition) -> PathBuf {
    // Names of topics are made of letters, digits, dots, dashes and underscores.
    dir.join(format!("{topic}-{partition}.state"))
}

/// Replaces the snapshot.
pub(super) fn store(path: &Path, state: &State) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let beside = path.with_extension("new");
    let mut file = Summed { file: BufWriter::new(File::create(&beside)?), sum: 0 };
    file.write_all(MAGIC)?;
    for number in [now_ms(), state.read_to, state.next.map_or(0, |next| next + 1), state.entries.len() as u64] {
        file.write_all(&number.to_le_bytes())?;
    }
    let birth = state.birth.as_deref().unwrap_or_default();
    for blob in [birth].into_iter().chain(state.entries.iter().flat_map(|(key, value)| [&**key, &**value])) {
        file.write_all(&(blob.len() as u64).to_le_bytes())?;
        file.write_all(blob)?;
    }
    let sum = file.sum;
    file.write_all(&sum.to_le_bytes())?;
    file.file.into_inner()?.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(dir)?.sync_all()
}

/// The snapshot, if there is one that counts for the topic that was born so.
pub(super) fn load(path: &Path, birth: &[u8]) -> Option<State> {
    let bytes = fs::read(path).ok()?;
    let state = parse(&bytes);
    if state.is_none() {
        tracing::warn!(path = %path.display(), "a snapshot of the state is damaged or old; the topic is read instead");
    }
    state.filter(|state| state.birth.as_deref() == Some(birth))
}

fn parse(bytes: &[u8]) -> Option<State> {
    let (bytes, sum) = bytes.split_last_chunk::<4>()?;
    let mut rest = Rest(bytes.strip_prefix(MAGIC)?);
    if crc32c::crc32c(bytes) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (made, read_to, next, count) = (rest.number()?, rest.number()?, rest.number()?, rest.number()?);
    if now_ms().abs_diff(made) > u64::try_from(AGE_MAX.as_millis()).ok()? {
        return None;
    }
    let birth = Some(rest.blob()?);
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        entries.insert(rest.blob()?, rest.blob()?);
    }
    Some(State { entries, next: next.checked_sub(1), birth, read_to })
}

/// What is left to parse.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn blob(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.number()?).ok()?;
        let (blob, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(blob.to_vec())
    }
}

/// A file with the checksum of what was written.
struct Summed<W> {
    file: W,
    sum: u32,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_snapshot_comes_back_as_it_was_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("new"), "calltide.state.calls", 3);
        let entries = [("", "1"), ("call/1", ""), ("call/2", "up")].map(|(k, v)| (k.into(), v.into()));
        let state = State { entries: entries.into(), next: Some(0), birth: Some(b"b".to_vec()), read_to: 12 };
        store(&path, &state).unwrap();
        assert_eq!(load(&path, b"b"), Some(state.clone()));
        assert_eq!(load(&path, b"c"), None, "of another topic");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_eq!(parse(&flipped), None, "byte {at}");
            assert_eq!(parse(&whole[..at]), None, "cut at {at}");
        }
        let new = State { read_to: 13, next: None, ..state };
        store(&path, &new).unwrap();
        assert_eq!(load(&path, b"b"), Some(new));
    }
}
