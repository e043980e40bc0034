//! Heartbeats of a PBX whose time only its files tell: their own times, and a little beyond the last of them.
//!
//! While AMI is connected the time comes from there. Without it a line shows that the PBX was alive at its time, and for a
//! while after it its clock is taken to go on: long enough for what ended to be settled, too short for an open call to be
//! given up as silent. The fold knows such a heartbeat by its header.

use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::envelope::{HEARTBEAT_OF_FILES, Header, Source};
use calltide_schemas::journals::FOLLOWED;

use crate::decode::redact::Redaction;
use crate::encode::{Encoder, Stamp};

/// How long the time goes on behind the last line: longer than any sensible `settle`, shorter than any silence.
const IDLE_US: i64 = 120 * 1_000_000;

/// See the module.
pub(super) struct Pulse {
    encoder: Encoder,
    offset: u64,
    /// The second of the last heartbeat.
    second: i64,
    /// The latest time in the files, and when that was read.
    last: Option<(Micros, Micros)>,
}

impl Pulse {
    /// Of a follower that starts now.
    pub(super) fn new(pbx: &str, now: Micros) -> Self {
        // Two starts within a microsecond are as far apart as a process needs to start: none.
        let encoder = Encoder::new(pbx, &format!("{FOLLOWED}{pbx}/heartbeat/{}", now.0), Redaction::default());
        Self { encoder, offset: 0, second: i64::MIN, last: None }
    }

    /// A line of that time comes next.
    pub(super) fn reached(&mut self, at: Micros, now: Micros, told: bool) -> Option<Record> {
        self.knows(at, now);
        if told { None } else { self.beat(at, now) }
    }

    /// A line of that time was read; the log has it.
    pub(super) fn knows(&mut self, at: Micros, now: Micros) {
        if self.last.is_none_or(|(latest, _)| latest <= at) {
            self.last = Some((at, now));
        }
    }

    /// Nothing more came.
    pub(super) fn idle(&mut self, now: Micros, told: bool) -> Option<Record> {
        let (at, read) = self.last?;
        let since = (now - read).min(IDLE_US);
        if told || since <= 0 { None } else { self.beat(at + since, now) }
    }

    fn beat(&mut self, at: Micros, now: Micros) -> Option<Record> {
        let second = at.0.div_euclid(1_000_000);
        if second <= self.second {
            return None;
        }
        self.second = second;
        self.offset += 1;
        let stamp = Stamp { at: Micros::from_secs(second), seen: now, offset: self.offset };
        let mut envelope = self.encoder.envelope(Source::Heartbeat, stamp);
        let (name, value) = HEARTBEAT_OF_FILES;
        envelope.headers = vec![Header(name.into(), value.into())];
        Some(self.encoder.record(&envelope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_goes_on_for_a_while_behind_the_last_line() {
        let secs = Micros::from_secs;
        let mut pulse = Pulse::new("p", secs(1_000));
        let at = |record: Option<Record>| record.map(|record| record.at / 1_000_000);
        assert_eq!(at(pulse.idle(secs(1_001), false)), None, "nothing is known yet");
        assert_eq!(at(pulse.reached(secs(500), secs(1_002), false)), Some(500));
        assert_eq!(at(pulse.reached(secs(500) + 7, secs(1_002), false)), None, "one a second");
        assert_eq!(at(pulse.idle(secs(1_003), false)), Some(501));
        assert_eq!(at(pulse.idle(secs(1_003) + 5, false)), None);
        assert_eq!(at(pulse.idle(secs(1_010), true)), None, "AMI tells it");
        assert_eq!(at(pulse.idle(secs(1_010), false)), Some(508));
        assert_eq!(at(pulse.idle(secs(9_999), false)), Some(620), "and no further");
        assert_eq!(at(pulse.idle(secs(99_999), false)), None);
    }
}
