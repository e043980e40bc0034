//! What of a file is in the log already, told by the names of journals alone.
//!
//! A followed file's journal is `follow/<pbx>/<source>/<xxh3-128 of its first line>`: it stays the same through renaming and
//! copying. An imported one's is `file/<pbx>/<source>/<length>-<xxh3-128 of its content>`: a file that grew since is
//! recognised by the hash of its beginning. Either way the offset is the item's number in the file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;

use calltide_eventlog::{EventLog, LogError};
use calltide_schemas::envelope::Source;
use calltide_schemas::journals::{FOLLOWED, IMPORTED};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::READ_BYTES;

/// A first line is told by so many of its bytes; no row or line of an Asterisk has more.
const FIRST_LINE_BYTES: usize = 64 << 10;

/// Items that are in the log: those up to `offset` that end within `bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Have {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Whether the item of that number, ending at that byte, is in the log. What was torn at the end of a shorter file has the
/// same number, but ends later now.
pub(crate) fn is_known(have: &[Have], offset: u64, end: u64) -> bool {
    have.iter().any(|have| offset <= have.offset && end <= have.bytes)
}

/// How many bytes the first line has that is not blank, with what is before it, and the hash of them. `None`: it is not whole.
pub(crate) fn first_line(file: &File) -> io::Result<Option<(u64, u128)>> {
    let mut bytes = vec![0; FIRST_LINE_BYTES];
    let mut filled = 0;
    loop {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
        let blank = bytes[..filled].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let end = memchr::memchr(b'\n', &bytes[blank..filled]).map(|found| blank + found + 1);
        if let Some(end) = end.or((filled == FIRST_LINE_BYTES).then_some(filled)) {
            return Ok(Some((end as u64, xxh3_128(&bytes[..end]))));
        }
    }
    Ok(None)
}

/// The beginning of the names of the journals of followed files.
pub(crate) fn following(pbx: &str, source: Source) -> String {
    format!("{FOLLOWED}{pbx}/{}/", source.name())
}

/// The journal of a followed file by its first line, and how many of its items the log has.
pub(crate) fn followed(
    log: &dyn EventLog,
    pbx: &str,
    source: Source,
    first: u128,
) -> Result<(String, Option<u64>), LogError> {
    let journal = format!("{}{first:032x}", following(pbx, source));
    let offset = log.journals(&journal)?.into_iter().map(|(_, offset)| offset).next();
    Ok((journal, offset))
}

/// The lengths, hashes and last offsets of imported files that may be the beginning of a file of so many bytes.
fn imports(log: &dyn EventLog, pbx: &str, source: Source, bytes: u64) -> Result<Vec<(u64, String, u64)>, LogError> {
    let prefix = format!("{IMPORTED}{pbx}/{}/", source.name());
    let mut earlier = Vec::new();
    for (journal, offset) in log.journals(&prefix)? {
        let name = journal.strip_prefix(&prefix).and_then(|name| name.split_once('-'));
        if let Some((Ok(length), hash)) = name.map(|(length, hash)| (length.parse::<u64>(), hash))
            && length <= bytes
        {
            earlier.push((length, hash.to_owned(), offset));
        }
    }
    earlier.sort();
    Ok(earlier)
}

/// Why it cannot be known what the log has of a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stuck {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What imports have of a file of so many bytes, and the hash of all of it. `None` if the file is shorter.
pub(crate) fn imported(
    log: &dyn EventLog,
    pbx: &str,
    source: Source,
    file: &mut File,
    bytes: u64,
) -> Result<Option<(Vec<Have>, u128)>, Stuck> {
    let earlier = imports(log, pbx, source, bytes)?;
    let lengths: Vec<u64> = earlier.iter().map(|(length, ..)| *length).chain([bytes]).collect();
    let Some(hashes) = hash_prefixes(file, &lengths)? else { return Ok(None) };
    let have = earlier.iter().zip(&hashes).filter(|((_, hash, _), now)| *hash == format!("{now:032x}"));
    let have = have.map(|((length, _, offset), _)| Have { offset: *offset, bytes: *length }).collect();
    Ok(Some((have, hashes.last().copied().unwrap_or_default())))
}

/// The hashes of the file's beginnings of these lengths, which ascend. `None` if the file is shorter. It stands at its
/// beginning afterwards.
fn hash_prefixes(file: &mut File, lengths: &[u64]) -> io::Result<Option<Vec<u128>>> {
    file.rewind()?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut hashes = Vec::with_capacity(lengths.len());
    let mut done = 0_u64;
    for &length in lengths {
        let mut rest = io::Read::by_ref(file).take(length - done);
        loop {
            match rest.read(&mut buffer)? {
                0 => break,
                read => {
                    hasher.update(&buffer[..read]);
                    done += read as u64;
                }
            }
        }
        if done < length {
            return Ok(None);
        }
        hashes.push(hasher.digest128());
    }
    file.rewind()?;
    Ok(Some(hashes))
}
