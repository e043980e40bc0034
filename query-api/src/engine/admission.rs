//! Who may run how many queries at once, so that neither one asker nor one kind of query keeps the others waiting.
//!
//! A query first takes a seat: each principal has so many, and whoever comes beyond is told at once to try again. When it is
//! planned it waits for its turn in the lane of its weight ([`super::weight`]): heavy queries have turns of their own, and no
//! number of them delays a light one. In each lane a principal has three quarters of the turns at most. Reports that we wrote
//! ourselves have seats of their own, beside the same principal's SQL. It knows no queries.

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
}

/// What a query's turn is counted among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Done in a moment, or one of our reports.
    Light,
    /// Reads much, or joins without a key.
    Heavy,
}

/// The seats and turns of an engine.
#[derive(Debug)]
pub(super) struct Admission {
    light: Lanes,
    heavy: Lanes,
    seats: usize,
    present: Mutex<HashMap<(Principal, Author), Arc<Own>>>,
}

/// One lane: the turns of all, and how many of them are for one principal.
#[derive(Debug)]
struct Lanes {
    turns: Arc<Semaphore>,
    of_one: usize,
}

/// What one principal has.
#[derive(Debug)]
struct Own {
    light: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    seated: Mutex<usize>,
}

impl Lanes {
    fn new(turns: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), of_one: (turns * 3 / 4).max(1) }
    }
}

impl Admission {
    /// So many queries at once in each lane, at least one; `waiting` more may wait per principal.
    pub(super) fn new(light: usize, heavy: usize, waiting: usize) -> Arc<Self> {
        let (light, heavy) = (Lanes::new(light.max(1)), Lanes::new(heavy.max(1)));
        let seats = light.of_one + heavy.of_one + waiting;
        Arc::new(Self { light, heavy, seats, present: Mutex::default() })
    }

    /// A seat, or the word that all are taken.
    pub(super) fn enter(self: &Arc<Self>, principal: Principal, author: Author) -> Result<Seat, QueryError> {
        let key = (principal, author);
        let mut present = self.present.lock();
        let own = present.entry(key.clone()).or_insert_with(|| {
            let semaphore = |lanes: &Lanes| Arc::new(Semaphore::new(lanes.of_one));
            Arc::new(Own { light: semaphore(&self.light), heavy: semaphore(&self.heavy), seated: Mutex::new(0) })
        });
        let mut seated = own.seated.lock();
        if *seated >= self.seats {
            return Err(QueryError::Busy { asked: *seated });
        }
        *seated += 1;
        drop(seated);
        Ok(Seat { admission: Arc::clone(self), own: Arc::clone(own), key })
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

    /// Waits for a turn. `None` when the engine has stopped.
    pub(super) async fn turn(&self, lane: Lane) -> Option<Turn> {
        let (lanes, own) = match lane {
            Lane::Light => (&self.admission.light, &self.own.light),
            Lane::Heavy => (&self.admission.heavy, &self.own.heavy),
        };
        let own = Arc::clone(own).acquire_owned().await.ok()?;
        let shared = Arc::clone(&lanes.turns).acquire_owned().await.ok()?;
        Some(Turn { _permits: [own, shared] })
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

/// The right to run, given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 2],
}
