//! What importing and following a PBX's log files share: the pieces they consist of, the order of their times, and what of
//! them the log has already.
//!
//! A file's items are counted from 1, whole lines and unreadable ones alike; that number is the offset in its journal.
//! It must not know why a file is read, nor what its lines mean.

mod known;
mod order;
mod pieces;

pub(crate) use known::{Have, Stuck, first_line, followed, following, imported, is_known};
pub(crate) use order::FileOrder;
pub(crate) use pieces::{Decoder, Pending, Piece};

/// Bytes read at once.
pub(crate) const READ_BYTES: usize = 256 << 10;
