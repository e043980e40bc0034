//! One file that is read while it grows: from its beginning, each item once.
//!
//! Its journal is known as soon as its first line is whole. What the log has is counted, not appended. It must not know
//! where the file lies, nor whether it was renamed.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use calltide_eventlog::EventLog;
use calltide_schemas::Micros;
use calltide_schemas::envelope::Source;
use xxhash_rust::xxh3::xxh3_128;

use super::FollowConfig;
use crate::decode::cel::Row;
use crate::decode::time::LocalClock;
use crate::encode::{Encoder, Stamp};
use crate::logfile::{
    Decoder, FileOrder, Have, Pending, Piece, READ_BYTES, Stuck, first_line, followed, imported, is_known,
};

/// A file, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// See the module.
pub(super) struct Book {
    pub(super) id: FileId,
    pub(super) source: Source,
    file: File,
    named: Option<Named>,
    decoder: Decoder,
    order: Option<FileOrder>,
    /// Items so far.
    offset: u64,
    /// Bytes read.
    read: u64,
    /// When it last gave something, or was opened.
    grew: Micros,
    /// Its content is gone from the file.
    emptied: bool,
    buffer: Vec<u8>,
}

/// What its first line tells.
struct Named {
    bytes: u64,
    hash: u128,
    encoder: Encoder,
    have: Vec<Have>,
}

impl Book {
    pub(super) fn new(file: File, id: FileId, source: Source, config: &FollowConfig, now: Micros) -> Self {
        let decoder = Decoder::new(source, &config.cel_columns, &LocalClock::new(config.tz.clone()));
        Self {
            id,
            source,
            file,
            named: None,
            decoder,
            order: None,
            offset: 0,
            read: 0,
            grew: now,
            emptied: false,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// The hash of its first line, if that is whole.
    pub(super) fn first_line(&self) -> Option<u128> {
        self.named.as_ref().map(|named| named.hash)
    }

    /// How many of its bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    /// How many bytes its file has now.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// When it last gave something.
    pub(super) fn grew(&self) -> Micros {
        self.grew
    }

    /// What is in its file now is another book's.
    pub(super) fn empty(&mut self) {
        self.emptied = true;
    }

    pub(super) fn is_emptied(&self) -> bool {
        self.emptied
    }

    /// Whether what was read of it is not in it any more: it was cut, and perhaps written anew.
    pub(super) fn was_truncated(&self, bytes: u64) -> io::Result<bool> {
        let Some(named) = &self.named else { return Ok(bytes < self.read) };
        if bytes < self.read {
            return Ok(true);
        }
        let mut first = vec![0; usize::try_from(named.bytes).unwrap_or_default()];
        match self.file.read_exact_at(&mut first, 0) {
            Ok(()) => Ok(xxh3_128(&first) != named.hash),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next item, as far as the file goes now.
    pub(super) fn next(
        &mut self,
        config: &FollowConfig,
        log: &dyn EventLog,
        now: Micros,
    ) -> Result<Option<Pending>, Stuck> {
        if self.named.is_none() && (self.emptied || !self.name(config, log)?) {
            return Ok(None);
        }
        loop {
            if let Some(pending) = self.item(now, Rest::Open) {
                return Ok(Some(pending));
            }
            match if self.emptied { 0 } else { self.file.read(&mut self.buffer)? } {
                0 => return Ok(None),
                read => {
                    self.decoder.push(&self.buffer[..read]);
                    self.read += read as u64;
                    self.grew = now;
                }
            }
        }
    }

    /// What is left when nothing more will come: a line that was not finished. To be called until it gives nothing.
    pub(super) fn finish(&mut self, now: Micros) -> Option<Pending> {
        self.item(now, Rest::Open).or_else(|| self.item(now, Rest::Over))
    }

    fn name(&mut self, config: &FollowConfig, log: &dyn EventLog) -> Result<bool, Stuck> {
        let Some((bytes, hash)) = first_line(&self.file)? else { return Ok(false) };
        let (journal, offset) = followed(log, &config.pbx, self.source, hash)?;
        let have = match offset {
            Some(offset) => vec![Have { offset, bytes: u64::MAX }],
            // What was imported before is not taken again. Once the file is followed its own journal says it all.
            None => {
                let bytes = self.file.metadata()?.len();
                imported(log, &config.pbx, self.source, &mut self.file, bytes)?
                    .map(|(have, _)| have)
                    .unwrap_or_default()
            }
        };
        let encoder = Encoder::new(&config.pbx, &journal, config.redaction.clone());
        self.named = Some(Named { bytes, hash, encoder, have });
        Ok(true)
    }

    fn item(&mut self, now: Micros, rest: Rest) -> Option<Pending> {
        let Named { encoder, have, .. } = self.named.as_ref()?;
        let (source, order, offset) = (self.source, &mut self.order, &mut self.offset);
        // Counting again what is known must not cost what reading it did.
        let counted = |offset| have.iter().any(|have| offset <= have.offset && have.bytes == u64::MAX);
        let each = |piece: Piece<'_>| {
            let at = match &piece {
                Piece::Row(Row { at, .. }) | Piece::Line(at, _) => Some(*at),
                Piece::Frame(_) | Piece::Banner | Piece::Garbage(_) => None,
            };
            // Without any time in it yet, what is unreadable is as old as it was seen.
            let order = order.get_or_insert_with(|| FileOrder::from(at.unwrap_or(now)));
            order.read(at);
            *offset += 1;
            let stamp = Stamp { at: at.unwrap_or(order.last), seen: now, offset: *offset };
            let unreadable = matches!(piece, Piece::Garbage(_));
            let record = if counted(*offset) { None } else { piece.encode(source, encoder, stamp) };
            (record, order.latest, unreadable)
        };
        let (record, merge_at, unreadable) = match rest {
            Rest::Open => self.decoder.next(each),
            Rest::Over => self.decoder.finish(each),
        }?;
        let record = record.filter(|_| !is_known(have, self.offset, self.decoder.position()));
        Some(Pending { merge_at, record, unreadable })
    }
}

/// Whether more may come of a file.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Open,
    Over,
}
