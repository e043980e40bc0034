//! What the functions of one query may build at a time, all of them together.
//!
//! Each call in a plan has a part of its query's budget and says in it what it last built: the sum over all parts is about
//! what one batch of rows takes on its way. So many calls may share a budget, and none keeps what it does not use. A constant
//! has a cap of its own, since it may be copied into each row at any time. It knows no functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use datafusion::common::{Result, exec_err};

/// Longest constant, be it written or computed: as a column it stands in each of 8,192 rows at once, for each thread.
pub(in crate::engine) const CONSTANT_BYTES_MAX: u64 = 4_096;

/// One query's budget.
#[derive(Debug)]
pub(super) struct Budget {
    taken: AtomicI64,
    max: u64,
}

/// One call's part of it.
#[derive(Debug)]
pub(super) struct Part {
    last: AtomicI64,
    of: Arc<Budget>,
}

/// What a call's result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value for all rows.
    Constant,
    /// A value for each row.
    Rows,
}

impl Budget {
    pub(super) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicI64::new(0), max })
    }

    pub(super) fn part(self: &Arc<Self>) -> Part {
        Part { last: AtomicI64::new(0), of: Arc::clone(self) }
    }
}

impl Part {
    /// Takes so many bytes in the place of those that were taken before, or says that `what` would build too much.
    pub(super) fn take(&self, what: &str, bytes: u64, shape: Shape) -> Result<()> {
        if shape == Shape::Constant {
            if bytes > CONSTANT_BYTES_MAX {
                return exec_err!(
                    "{what} would build {bytes} bytes for all rows alike, at most {CONSTANT_BYTES_MAX} are allowed"
                );
            }
            return Ok(());
        }
        let max = self.of.max;
        let new = i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes > max {
            return exec_err!("{what} would build {bytes} bytes from a batch of rows, at most {max} are allowed");
        }
        let change = new - self.last.swap(new, Ordering::Relaxed);
        let taken = self.of.taken.fetch_add(change, Ordering::Relaxed) + change;
        if u64::try_from(taken).unwrap_or(0) > max {
            return exec_err!(
                "{what} would build {bytes} bytes from a batch of rows, all functions of the query {taken}, at most {max} are allowed"
            );
        }
        Ok(())
    }
}
