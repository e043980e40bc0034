//! A server's own time: its heartbeats, its starts and stops, and what waits for it.
//!
//! The wall clock is never asked. A start may be told late, by several logs and by every connection; what it ended is known
//! by the last sign of life before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use calltide_schemas::Micros;
use serde::{Deserialize, Serialize};

use super::state::Cut;
use crate::vocabulary::OriginateResponse;

/// The server's own time and what hangs on it.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Clock {
    /// The latest heartbeat.
    pub(super) now: Micros,
    /// The latest heartbeats, oldest first: a start may be told after heartbeats that came with it.
    beats: VecDeque<Micros>,
    /// The server's starts, each with the last heartbeat before it.
    boots: BTreeMap<Micros, Micros>,
    /// How far it was ahead of the collector's clock when it was last asked, in microseconds.
    pub(super) ahead: Option<i64>,
    /// OriginateResponses that named no channel and wait for theirs.
    pub(super) responses: BTreeSet<OriginateResponse>,
}

/// How it is known that a server was alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It was asked for its time, and answered.
    Asked,
    /// Its files have a line of that time.
    Files,
}

/// Heartbeats that are remembered: more than `settle` holds, at one a second.
const BEATS: usize = 32;
/// Starts that are remembered: calls are settled long before there are so many.
const BOOTS: usize = 8;
/// A start is told by every connection and log, to the second.
const SAME_BOOT_US: u64 = 2_000_000;

impl Clock {
    /// The server was alive at `at`; `true` if that changes when it died.
    pub(super) fn beat(&mut self, at: Micros, sign: Sign) -> bool {
        self.now = self.now.max(at);
        if sign == Sign::Asked {
            self.beats.push_back(at);
            if self.beats.len() > BEATS {
                self.beats.pop_front();
            }
        }
        let next_boot = self.boots.range_mut((Bound::Excluded(at), Bound::Unbounded)).next();
        next_boot.is_some_and(|(_, died)| {
            let later = at > *died;
            *died = (*died).max(at);
            later
        })
    }

    /// The server started at `at`; `false` if that is known.
    pub(super) fn booted(&mut self, at: Micros) -> bool {
        if self.boots.keys().any(|known| known.0.abs_diff(at.0) <= SAME_BOOT_US) {
            return false;
        }
        // Of a server that is never asked its files tell how long it lived.
        let died = self.alive_before(at).max(Some(self.now).filter(|now| *now < at && now.0 != 0));
        self.insert_boot(at, died.unwrap_or(Micros(i64::MIN)));
        true
    }

    /// The server said that it ends now; `false` if that is known.
    pub(super) fn shut_down(&mut self, at: Micros) -> bool {
        if self.boots.get(&at) == Some(&at) {
            return false;
        }
        self.insert_boot(at, at);
        true
    }

    fn insert_boot(&mut self, at: Micros, died: Micros) {
        self.boots.insert(at, died);
        if self.boots.len() > BOOTS {
            self.boots.pop_first();
        }
    }

    /// The last moment before `at` at which the server answered.
    pub(super) fn alive_before(&self, at: Micros) -> Option<Micros> {
        self.beats.iter().copied().filter(|beat| *beat < at).max()
    }

    /// When the server last started.
    pub(super) fn started(&self) -> Option<Micros> {
        self.boots.iter().rev().find(|(at, died)| at != died).map(|(at, _)| *at)
    }

    /// When it last stopped: as it said, or its last sign of life before its last start.
    pub(super) fn stopped(&self) -> Option<Micros> {
        let said = self.boots.iter().rev().find(|(at, died)| at == died).map(|(at, _)| *at);
        let alive = self.boots.last_key_value().map(|(_, died)| *died).filter(|died| died.0 != i64::MIN);
        said.max(alive)
    }

    /// How a group that was last heard of then was ended by the server's next start, if there was one.
    pub(super) fn cut(&self, last: Micros) -> Option<Cut> {
        self.boots.range((Bound::Excluded(last), Bound::Unbounded)).next().map(|(_, died)| Cut::Died(*died))
    }
}
