//! Who may run how many queries at once, so that neither one asker nor one kind of query keeps the others waiting.
//!
//! A query takes a seat among its principal's, which are many. Planned, it asks for a turn in the lane of its weight
//! ([`super::weight`]): heavy and light ones have turns and waiting places apart, and a principal has three quarters of the
//! turns at most. Whoever finds no place to wait is told at once to try again. Our own reports count apart from the same
//! principal's SQL. It knows no queries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::QueryError;

/// Who asks: what limits are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// A principal of that name.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Whoever is on this machine: the only one while no users are configured.
    pub fn local() -> Self {
        Self::named("local")
    }
}

/// Who wrote a query: our own reports need no caps on their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Author {
    Asker,
    Report,
    /// Asks whether queries are answered; it never waits behind reports.
    Probe,
}

/// What a query's turn is counted among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Done in a moment, or one of our reports.
    Light,
    /// Reads much, or joins without a key.
    Heavy,
}

/// Most queries of one principal between asking and a turn: planning takes milliseconds.
const SEATS: usize = 512;

/// The seats and turns of an engine.
#[derive(Debug)]
pub(super) struct Admission {
    light: Turns,
    heavy: Turns,
    waiting_max: usize,
    present: Mutex<HashMap<(Principal, Author), Arc<Own>>>,
}

/// The turns of one lane, and how many of them are for one principal.
#[derive(Debug)]
struct Turns {
    all: Arc<Semaphore>,
    of_one: usize,
}

/// What one principal has.
#[derive(Debug)]
struct Own {
    light: OwnLane,
    heavy: OwnLane,
    seated: Mutex<usize>,
}

#[derive(Debug)]
struct OwnLane {
    turns: Arc<Semaphore>,
    waiting: Mutex<usize>,
}

impl Turns {
    fn new(turns: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(turns)), of_one: (turns * 3 / 4).max(1) }
    }

    fn own(&self) -> OwnLane {
        OwnLane { turns: Arc::new(Semaphore::new(self.of_one)), waiting: Mutex::default() }
    }
}

impl Admission {
    /// So many queries at once in each lane, at least one; in each, `waiting` more may wait per principal.
    pub(super) fn new(light: usize, heavy: usize, waiting: usize) -> Arc<Self> {
        let (light, heavy) = (Turns::new(light.max(1)), Turns::new(heavy.max(1)));
        Arc::new(Self { light, heavy, waiting_max: waiting, present: Mutex::default() })
    }

    /// A seat, or the word that all are taken.
    pub(super) fn enter(self: &Arc<Self>, principal: Principal, author: Author) -> Result<Seat, QueryError> {
        let key = (principal, author);
        let mut present = self.present.lock();
        let new = || Arc::new(Own { light: self.light.own(), heavy: self.heavy.own(), seated: Mutex::default() });
        let own = Arc::clone(present.entry(key.clone()).or_insert_with(new));
        let mut seated = own.seated.lock();
        if *seated >= SEATS {
            return Err(QueryError::Busy { asked: *seated });
        }
        *seated += 1;
        drop(seated);
        Ok(Seat { admission: Arc::clone(self), own, key })
    }
}

/// A place among a principal's queries, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    admission: Arc<Admission>,
    own: Arc<Own>,
    key: (Principal, Author),
}

impl Seat {
    /// How many queries of this principal are there, this one included.
    pub(super) fn seated(&self) -> usize {
        *self.own.seated.lock()
    }

    /// Waits for a turn, or says that too many do.
    pub(super) async fn turn(&self, lane: Lane) -> Result<Turn, QueryError> {
        let (shared, own) = match lane {
            Lane::Light => (&self.admission.light, &self.own.light),
            Lane::Heavy => (&self.admission.heavy, &self.own.heavy),
        };
        let place = Waiting::among(&own.waiting);
        // The one that gets a turn at once counts too, for a moment.
        if place.nth > self.admission.waiting_max && own.turns.available_permits() == 0 {
            return Err(QueryError::Busy { asked: self.seated() });
        }
        let own = Arc::clone(&own.turns).acquire_owned().await.map_err(|_| QueryError::Ended)?;
        let shared = Arc::clone(&shared.all).acquire_owned().await.map_err(|_| QueryError::Ended)?;
        Ok(Turn { _permits: [own, shared] })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut present = self.admission.present.lock();
        let mut seated = self.own.seated.lock();
        *seated -= 1;
        if *seated == 0 {
            present.remove(&self.key);
        }
    }
}

/// A place among those who wait, given back when dropped.
struct Waiting<'a> {
    count: &'a Mutex<usize>,
    nth: usize,
}

impl<'a> Waiting<'a> {
    fn among(count: &'a Mutex<usize>) -> Self {
        let mut waiting = count.lock();
        *waiting += 1;
        Self { count, nth: *waiting }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.count.lock() -= 1;
    }
}

/// The right to run, given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 2],
}
