//! Who may plan: planning cannot be interrupted, so that two hard texts must not keep everybody else from it.
//!
//! Long texts have places of their own, of which each asker has one; short ones and our own reports have others. It knows no
//! plans.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::QueryError;
use super::admission::{Author, Principal};

/// A text up to this long is planned in milliseconds, unless somebody meant it not to be.
const SHORT_BYTES_MAX: usize = 2_048;

/// The places.
#[derive(Debug)]
pub(super) struct Planners {
    reports: Arc<Semaphore>,
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    long_of_one: Mutex<HashMap<Principal, Weak<Semaphore>>>,
}

/// The right to plan, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Planners {
    /// So many of each kind at once.
    pub(super) fn new(places: usize) -> Self {
        let places = || Arc::new(Semaphore::new(places));
        Self { reports: places(), short: places(), long: places(), long_of_one: Mutex::default() }
    }

    /// Waits for a place for a question of so many bytes.
    pub(super) async fn permit(
        &self,
        principal: &Principal,
        author: Author,
        bytes: usize,
    ) -> Result<Permit, QueryError> {
        let mut permits = Vec::new();
        let places = match author {
            Author::Report | Author::Probe => &self.reports,
            Author::Asker if bytes <= SHORT_BYTES_MAX => &self.short,
            Author::Asker => {
                let own = self.own(principal);
                permits.push(own.acquire_owned().await.map_err(|_| QueryError::Ended)?);
                &self.long
            }
        };
        permits.push(Arc::clone(places).acquire_owned().await.map_err(|_| QueryError::Ended)?);
        Ok(Permit { _permits: permits })
    }

    /// One place for each asker, there for as long as somebody waits for it or has it.
    fn own(&self, principal: &Principal) -> Arc<Semaphore> {
        let mut all = self.long_of_one.lock();
        if let Some(own) = all.get(principal).and_then(Weak::upgrade) {
            return own;
        }
        all.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(1));
        all.insert(principal.clone(), Arc::downgrade(&own));
        own
    }
}
