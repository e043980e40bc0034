//! Which files there are, whose they are, and what of them the log already has.
//!
//! A file's journal is `file/<pbx>/<source>/<length>-<xxh3-128 of its content>`. A file that grew since it was imported is
//! recognised by the hash of its beginning; what was whole in the shorter one is not imported again, nor what was followed
//! (see [`crate::logfile`]).

use std::fs::File;
use std::path::{Path, PathBuf};

use calltide_eventlog::EventLog;
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;
use calltide_schemas::journals::IMPORTED;

use super::stream::{Reader, Times};
use super::{ImportError, ImportPlan};
use crate::logfile::{Have, Stuck, first_line, followed, imported};

/// A file that is going to be imported.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) source: Source,
    pub(super) file: File,
    pub(super) bytes: u64,
    pub(super) journal: String,
    /// What gives its items their time.
    pub(super) times: Times,
    /// The first time in it.
    pub(super) first_at: Micros,
    /// What the log has: items up to that offset that end within that many bytes.
    pub(super) have: Vec<Have>,
}

/// A file with what a first look at it tells.
struct Looked {
    path: PathBuf,
    source: Source,
    file: File,
    bytes: u64,
    first: Option<(Times, Micros)>,
    system_name: Option<String>,
}

/// Opens the files of the plan and finds out whose they are. The same file given twice counts once.
pub(super) fn open(log: &dyn EventLog, plan: &ImportPlan) -> Result<(String, Vec<Opened>), ImportError> {
    let named = |source, paths: &[PathBuf]| paths.iter().map(|path| (source, path.clone())).collect::<Vec<_>>();
    let wanted =
        [named(Source::Ami, &plan.ami), named(Source::Cel, &plan.cel), named(Source::QueueLog, &plan.queue_log)]
            .concat();
    if wanted.is_empty() {
        return Err(ImportError::NoFiles);
    }
    let looked = wanted.into_iter().map(|(source, path)| look(plan, source, path)).collect::<Result<Vec<_>, _>>()?;
    let pbx = pbx_of(plan, &looked)?;
    let mut opened: Vec<Opened> = Vec::new();
    for file in looked {
        let file = identify(log, &pbx, file)?;
        if opened.iter().all(|other| other.journal != file.journal) {
            opened.push(file);
        }
    }
    Ok((pbx, opened))
}

fn pbx_of(plan: &ImportPlan, files: &[Looked]) -> Result<String, ImportError> {
    let mut names = files.iter().filter_map(|file| file.system_name.as_deref());
    let name = match (&plan.pbx, names.next()) {
        (Some(name), _) => name.as_str(),
        (None, None) => return Err(ImportError::NoPbx),
        (None, Some(name)) => match names.find(|other| *other != name) {
            Some(other) => return Err(ImportError::TwoPbxs { one: name.to_owned(), other: other.to_owned() }),
            None => name,
        },
    };
    let fits = (1..=80).contains(&name.chars().count()) && !name.chars().any(|c| c == '/' || c.is_control());
    if fits { Ok(name.to_owned()) } else { Err(ImportError::BadPbx { name: name.to_owned() }) }
}

/// Reads a file up to its first time and, where it must tell it, its PBX's name.
fn look(plan: &ImportPlan, source: Source, path: PathBuf) -> Result<Looked, ImportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ImportError::Io { path, source }
    };
    let file = File::open(&path).map_err(io(&path))?;
    let metadata = file.metadata().map_err(io(&path))?;
    if !metadata.is_file() {
        return Err(ImportError::NotAFile { path });
    }
    let bytes = metadata.len();
    let mut reader = Reader::new(file.try_clone().map_err(io(&path))?, bytes, source, plan);
    let look = reader.look(plan.pbx.is_none()).map_err(|source| ImportError::Io { path: path.clone(), source })?;
    if look.first.is_none() && look.events {
        return Err(ImportError::NoTimes { path });
    }
    if look.first.is_none() && bytes > 0 {
        return Err(ImportError::WrongKind { path, expected: expected(source) });
    }
    Ok(Looked { path, source, file, bytes, first: look.first, system_name: look.system_name })
}

const fn expected(source: Source) -> &'static str {
    match source {
        Source::Ami => "an ami recording",
        Source::Cel => "a cel_custom file with these columns",
        Source::QueueLog => "a queue_log",
        Source::Heartbeat | Source::ImportEnd | Source::Gap | Source::Unreadable | Source::Resync => "a file",
    }
}

/// Hashes a file and asks the log what it has of it.
fn identify(log: &dyn EventLog, pbx: &str, looked: Looked) -> Result<Opened, ImportError> {
    let Looked { path, source, mut file, bytes, first, system_name: _ } = looked;
    let io = |source| ImportError::Io { path: path.clone(), source };
    let (mut have, whole) = match imported(log, pbx, source, &mut file, bytes) {
        Ok(found) => found.ok_or_else(|| ImportError::Changed { path: path.clone() })?,
        Err(Stuck::Io(error)) => return Err(io(error)),
        Err(Stuck::Log(error)) => return Err(error.into()),
    };
    // A file that is followed, or was: whole lines only.
    if let Some((_, first_line)) = first_line(&file).map_err(io)?
        && let (_, Some(offset)) = followed(log, pbx, source, first_line)?
    {
        have.push(Have { offset, bytes: u64::MAX });
    }
    let journal = format!("{IMPORTED}{pbx}/{}/{bytes}-{whole:032x}", source.name());
    let (times, first_at) = first.unwrap_or_default();
    Ok(Opened { path, source, file, bytes, journal, times, first_at, have })
}
