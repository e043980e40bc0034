//! One path that is followed, and the files that were there: the one of now, and older ones that may still have something.
//!
//! A rename or a copy that leaves an empty file behind is seen by the file's identity, its length and its first line. After
//! a start the files beside it are looked through, from the newest that was followed on: what was written to them
//! meanwhile is read before the present one. What cannot be read is said once, and tried again.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use calltide_eventlog::{EventLog, LogError};
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;

use super::FollowConfig;
use super::book::{Book, FileId};
use crate::logfile::{Pending, Stuck, first_line, followed, following};

/// Endings of packed files, which cannot be followed.
const PACKED: [&str; 4] = ["gz", "bz2", "xz", "zst"];

/// See the module.
pub(super) struct Path {
    config: FollowConfig,
    source: Source,
    path: PathBuf,
    /// Older ones first. What lies at the path is the last, if it could be opened.
    books: VecDeque<Book>,
    /// The book that is being read in this round.
    cursor: usize,
    /// The one at the path.
    current: Option<FileId>,
    begun: bool,
    /// What was said last of what is wrong.
    said: Option<String>,
    meters: Meters,
}

struct Meters {
    items: metrics::Counter,
    unreadable: metrics::Counter,
    rotations: metrics::Counter,
    readable: metrics::Gauge,
    position: metrics::Gauge,
    behind: metrics::Gauge,
    lag: metrics::Gauge,
}

impl Path {
    pub(super) fn new(config: &FollowConfig, source: Source, path: PathBuf) -> Self {
        let labels = [("pbx", config.pbx.clone()), ("source", source.name().to_owned())];
        let meters = Meters {
            items: metrics::counter!("calltide_file_items_total", &labels),
            unreadable: metrics::counter!("calltide_file_unreadable_total", &labels),
            rotations: metrics::counter!("calltide_file_rotations_total", &labels),
            readable: metrics::gauge!("calltide_file_readable", &labels),
            position: metrics::gauge!("calltide_file_position_bytes", &labels),
            behind: metrics::gauge!("calltide_file_behind_bytes", &labels),
            lag: metrics::gauge!("calltide_file_lag_seconds", &labels),
        };
        let config = config.clone();
        Self {
            config,
            source,
            path,
            books: VecDeque::new(),
            cursor: 0,
            current: None,
            begun: false,
            said: None,
            meters,
        }
    }

    /// Looks at what lies at the path now.
    pub(super) fn look(&mut self, log: &dyn EventLog, now: Micros) -> Result<(), LogError> {
        self.cursor = 0;
        match self.present(now) {
            Ok(Present::Another) => {
                self.meters.rotations.increment(1);
                let path = self.path.display();
                tracing::info!(pbx = self.config.pbx, %path, "the file was rotated: the new one is followed");
                self.catch_up(log, now)?;
            }
            Ok(Present::Same) if self.begun => {}
            Ok(Present::Same) => self.catch_up(log, now)?,
            Err(error) => {
                self.complain(&error);
                if !self.begun {
                    self.catch_up(log, now)?;
                }
            }
        }
        self.begun = true;
        self.measure();
        Ok(())
    }

    /// Shows how far the file at the path was read.
    fn measure(&self) {
        let current = self.books.iter().find(|book| self.current == Some(book.id) && !book.is_emptied());
        // What cannot be asked is complained of elsewhere.
        if let Some((position, bytes)) = current.and_then(|book| Some((book.position(), book.bytes().ok()?))) {
            self.meters.position.set(position as f64);
            self.meters.behind.set(bytes.saturating_sub(position) as f64);
        }
    }

    /// The next item of any of the files, older ones first.
    pub(super) fn next(&mut self, log: &dyn EventLog, now: Micros) -> Result<Option<Pending>, LogError> {
        while let Some(book) = self.books.get_mut(self.cursor) {
            match book.next(&self.config, log, now) {
                Ok(Some(pending)) => return Ok(Some(self.counted(pending, now))),
                Ok(None) => {}
                Err(Stuck::Log(error)) => return Err(error),
                Err(Stuck::Io(error)) => {
                    // It is opened again, and what was taken of it is counted then.
                    if self.books.remove(self.cursor).is_some_and(|book| self.current == Some(book.id)) {
                        self.current = None;
                    }
                    self.complain(&error);
                    continue;
                }
            }
            if self.is_over(self.cursor, now) {
                match self.books[self.cursor].finish(now) {
                    Some(pending) => return Ok(Some(self.counted(pending, now))),
                    None => drop(self.books.remove(self.cursor)),
                }
                continue;
            }
            self.cursor += 1;
        }
        Ok(None)
    }

    fn counted(&self, pending: Pending, now: Micros) -> Pending {
        if pending.record.is_some() {
            self.meters.lag.set((now - pending.merge_at) as f64 / 1e6);
            self.meters.items.increment(1);
            self.meters.unreadable.increment(u64::from(pending.unreadable));
        }
        pending
    }

    /// Whether nothing more will come of an older file: what lies at the path now is being written, and it is quiet.
    fn is_over(&self, nth: usize, now: Micros) -> bool {
        if self.books[nth].is_emptied() {
            return true;
        }
        let followed_by_another = self.books.range(nth + 1..).any(|book| book.first_line().is_some());
        let linger = i64::try_from(self.config.linger.as_micros()).unwrap_or(i64::MAX);
        followed_by_another && now - self.books[nth].grew() >= linger
    }

    /// Opens what lies at the path if it is another file than before, or has another content.
    fn present(&mut self, now: Micros) -> std::io::Result<Present> {
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("not a file"));
        }
        self.meters.readable.set(1.0);
        if let Some(what) = self.said.take() {
            tracing::info!(pbx = self.config.pbx, path = %self.path.display(), what, "the file can be read again");
        }
        let id = FileId::of(&metadata);
        let rotated = self.current.replace(id).is_some_and(|before| before != id);
        let known = self.books.iter().position(|book| book.id == id && !book.is_emptied());
        if let Some(known) = known {
            if !self.books[known].was_truncated(metadata.len())? {
                // Renamed and back again, it is read on.
                let last = self.books.remove(known);
                self.books.extend(last);
                return Ok(Present::Same);
            }
            self.emptied(known, now);
        }
        self.books.push_back(Book::new(file, id, self.source, &self.config, now));
        Ok(if rotated || known.is_some() { Present::Another } else { Present::Same })
    }

    /// The content of a book is gone from its file. If a copy of it was made, the rest is read there.
    fn emptied(&mut self, nth: usize, now: Micros) {
        let first = self.books[nth].first_line();
        let present = self.books[nth].id;
        let copy = self.beside().into_iter().find(|beside| first == Some(beside.first_line) && beside.id != present);
        match copy {
            Some(copy) => self.books[nth] = Book::new(copy.file, copy.id, self.source, &self.config, now),
            None => self.books[nth].empty(),
        }
    }

    /// What was written, while nobody looked, to files that are no longer at the path: those beside it, from the newest that
    /// is known on. Where none was ever followed they are history, and an import's matter.
    fn catch_up(&mut self, log: &dyn EventLog, now: Micros) -> Result<(), LogError> {
        let (pbx, source) = (self.config.pbx.clone(), self.source);
        if log.journals(&following(&pbx, source))?.is_empty() {
            return Ok(());
        }
        let is_known = |first| Ok(followed(log, &pbx, source, first)?.1.is_some());
        let present = File::open(&self.path).and_then(|file| first_line(&file)).ok().flatten();
        let present_is_known = present.map(|(_, hash)| is_known(hash)).transpose()?.unwrap_or(false);
        // Before what lies at the path now, older ones first.
        let place = self.books.iter().position(|book| self.current == Some(book.id)).unwrap_or(self.books.len());
        for beside in self.beside() {
            if self.books.iter().any(|book| book.id == beside.id) {
                break;
            }
            let known = is_known(beside.first_line)?;
            if known || !present_is_known {
                self.books.insert(place, Book::new(beside.file, beside.id, source, &self.config, now));
            }
            if known {
                break;
            }
        }
        Ok(())
    }

    /// The files beside the followed one that were it before, by their names: `queue_log.1`, `queue_log-20261128`. The
    /// newest comes first.
    fn beside(&self) -> Vec<Beside> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(OsStr::to_str)) else {
            return Vec::new();
        };
        let folder = if folder.as_os_str().is_empty() { FilePath::new(".") } else { folder };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let rotated = entries.filter(|entry| {
            let rest = entry.file_name().to_str().and_then(|other| other.strip_prefix(name)).map(str::to_owned);
            rest.is_some_and(|rest| rest.starts_with(['.', '-', '_']))
        });
        let mut found: Vec<Beside> = rotated.filter_map(|entry| self.open_beside(&entry.path())).collect();
        found.sort_by_key(|beside| std::cmp::Reverse(beside.changed));
        found
    }

    fn open_beside(&self, path: &FilePath) -> Option<Beside> {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let packed = path.extension().and_then(OsStr::to_str).is_some_and(|ending| PACKED.contains(&ending));
        if packed {
            return None;
        }
        let file = File::open(path).ok()?;
        let (_, first_line) = first_line(&file).ok()??;
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some(Beside { file, id: FileId::of(&metadata), first_line, changed })
    }

    fn complain(&mut self, error: &std::io::Error) {
        self.meters.readable.set(0.0);
        let what = error.to_string();
        if self.said.as_ref() != Some(&what) {
            tracing::warn!(pbx = self.config.pbx, path = %self.path.display(), error = what, "the file cannot be followed now");
            self.said = Some(what);
        }
    }
}

/// What lies at the path.
enum Present {
    /// What was there before, or the first.
    Same,
    /// Another file, or one that was emptied.
    Another,
}

/// A file beside the followed one.
struct Beside {
    file: File,
    id: FileId,
    first_line: u128,
    changed: SystemTime,
}
