//! Who has the machine: tests side by side, or one with a stopwatch by itself, since what it measures is the program's time
//! and not that of its neighbours.
//!
//! A place lasts as long as its site. Who already has one gets another at once; who comes anew waits behind whoever waits to
//! be alone.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static TABLE: Mutex<Table> = Mutex::new(Table { places: 0, alone: false, waiting: 0 });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// Places of this thread, which is a test's.
    static MINE: Cell<usize> = const { Cell::new(0) };
}

struct Table {
    places: usize,
    alone: bool,
    /// Tests that wait to be alone.
    waiting: usize,
}

/// A place of the thread that took it.
pub(crate) struct Place {
    alone: bool,
    /// It is given back by the thread that counts it.
    of_this_thread: PhantomData<*const ()>,
}

impl Place {
    /// Beside others.
    pub(crate) fn beside() -> Self {
        let is_new = MINE.get() == 0;
        let mut table = when(|table| !is_new || !(table.alone || table.waiting > 0));
        table.places += 1;
        Self::taken(false)
    }

    /// With nobody beside it, until it is dropped.
    ///
    /// # Panics
    /// If this thread has a place already: it would wait for itself.
    pub(crate) fn alone() -> Self {
        assert_eq!(MINE.get(), 0, "take the machine alone before anything else");
        when(|_| true).waiting += 1;
        let mut table = when(|table| table.places == 0);
        table.waiting -= 1;
        table.places += 1;
        table.alone = true;
        Self::taken(true)
    }

    fn taken(alone: bool) -> Self {
        MINE.set(MINE.get() + 1);
        Self { alone, of_this_thread: PhantomData }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        MINE.set(MINE.get() - 1);
        let mut table = when(|_| true);
        table.places -= 1;
        table.alone &= !self.alone;
        CHANGED.notify_all();
    }
}

/// The table as soon as it is so. A test that panicked leaves it as it is.
fn when(is_so: impl Fn(&Table) -> bool) -> MutexGuard<'static, Table> {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    CHANGED.wait_while(table, |table| !is_so(table)).unwrap_or_else(PoisonError::into_inner)
}
