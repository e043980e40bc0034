//! How far a file is: the latest believable time so far, by which its records are merged with other files'.
//!
//! A line that is a little out of order so stays where it stands, and a damaged one moves no heartbeat.

use calltide_schemas::Micros;

/// A time so much later than the one before, in microseconds, is believed only when the next one agrees: a damaged digit
/// must not carry the heartbeats into another century. A PBX that is silent for a day is rare, and its next event agrees.
const JUMP_MAX: i64 = 86_400 * 1_000_000;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileOrder {
    /// The time of the last item that had one.
    pub(crate) last: Micros,
    /// The latest time so far.
    pub(crate) latest: Micros,
    /// A time far ahead that no other has confirmed.
    doubted: Option<Micros>,
}

impl FileOrder {
    /// Of a file whose first time is known.
    pub(crate) fn from(first: Micros) -> Self {
        Self { last: first, latest: first, doubted: None }
    }

    /// The next item has that time, if any.
    pub(crate) fn read(&mut self, at: Option<Micros>) {
        let Some(at) = at else { return };
        let confirmed = self.doubted.is_some_and(|doubted| (at - doubted).abs() <= JUMP_MAX);
        if at - self.latest > JUMP_MAX && !confirmed {
            self.doubted = Some(at);
            return;
        }
        self.last = at;
        self.latest = self.latest.max(at);
        self.doubted = None;
    }
}
