//! Which tables this process writes: all of them, or those that it is assigned as a member of the group of lake writers.
//!
//! The group shares out the partitions of a topic without records ([`LAKE_WRITERS`]), each standing for a table. Membership
//! is kept by a thread of its own, so that a long commit loses no table. For a moment two processes may both hold a table for
//! theirs: then the table's own progress decides, see [`super::writer`].

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use calltide_eventlog::{EventLog, Partition, Polled, Worker};
use calltide_schemas::tables::{TABLES, TableDef};
use calltide_schemas::topics::LAKE_WRITERS;
use parking_lot::RwLock;

use super::{LakeError, Result};

/// The group's name.
const GROUP: &str = "lake-writers";
/// How long one look at the group lasts.
const LOOK: Duration = Duration::from_millis(100);
/// Before it joins anew after an error.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Clone)]
pub enum Tables {
    /// All: nobody else writes.
    All,
    /// Those that were assigned to this process.
    Shared(Arc<Assigned>),
}

/// The tables of this process at the moment.
#[derive(Debug, Default)]
pub struct Assigned(RwLock<BTreeSet<Partition>>);

impl Tables {
    pub(super) fn has(&self, def: &TableDef) -> bool {
        match self {
            Self::All => true,
            Self::Shared(assigned) => {
                let place = TABLES.iter().position(|known| known.name == def.name);
                let partition = place.and_then(|place| Partition::try_from(place).ok());
                partition.is_some_and(|partition| assigned.0.read().contains(&partition))
            }
        }
    }

    /// Whether others write, too.
    pub(super) const fn are_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }
}

/// A member of the group of lake writers.
pub struct Membership {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    assigned: Arc<Assigned>,
}

impl Membership {
    /// Joins the group, on a thread that keeps trying.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn join(log: Arc<dyn EventLog>) -> Result<Self> {
        let (stop, assigned) = (Arc::new(AtomicBool::new(false)), Arc::new(Assigned::default()));
        let (stopping, tables) = (Arc::clone(&stop), Arc::clone(&assigned));
        let member = move || {
            while !stopping.load(Ordering::Acquire) {
                let member = || log.worker(GROUP, LAKE_WRITERS).and_then(|worker| follow(worker, &tables, &stopping));
                let ended = catch_unwind(AssertUnwindSafe(member));
                // Whatever it came to, others may write them now.
                tables.0.write().clear();
                match ended {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "out of the group of lake writers: it is joined anew");
                    }
                    Err(_) => tracing::error!("the membership among the lake's writers panicked, which is a defect"),
                }
                thread::sleep(PAUSE);
            }
        };
        let thread = thread::Builder::new().name("lake-writers".to_owned()).spawn(member);
        let thread = thread.map_err(LakeError::io("starting the thread of the lake's writers".to_owned()))?;
        Ok(Self { stop, thread, assigned })
    }

    /// The tables that this member writes.
    pub fn tables(&self) -> Tables {
        Tables::Shared(Arc::clone(&self.assigned))
    }

    /// Leaves the group. The writer of the tables should have ended before.
    ///
    /// # Errors
    /// [`LakeError::Ended`] after a panic.
    pub fn leave(self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| LakeError::Ended)
    }
}

fn follow(mut worker: Box<dyn Worker>, tables: &Assigned, stop: &AtomicBool) -> calltide_eventlog::Result<()> {
    while !stop.load(Ordering::Acquire) {
        match worker.poll(0, LOOK)? {
            Polled::Assigned { partition, .. } => drop(tables.0.write().insert(partition)),
            Polled::Revoked { partition } => drop(tables.0.write().remove(&partition)),
            Polled::Batch { .. } => {}
        }
    }
    Ok(())
}
