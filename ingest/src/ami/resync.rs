//! Which channels are up, asked once after each log-in: what ended while nobody listened is not among them.
//!
//! The answer's events are journaled like all others; behind them comes one `resync` envelope with the whole list. Events
//! that the PBX had queued before it made the list come after it, so the list tells only of what was up before the log-in.
//! `CoreShowChannels` needs the write class `reporting` or `system` (Asterisk `main/manager.c`).

use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Header, RESYNC_CHANNEL, RESYNC_SINCE, Text};

use crate::decode::ami::Frame;

/// The question.
pub(super) const ASK: &[u8] = b"Action: CoreShowChannels\r\nActionID: calltide-channels\r\n\r\n";

/// By which its answer is known.
const ID: &[u8] = b"calltide-channels";

/// The answer, as far as it has come.
#[derive(Debug)]
pub(super) struct Resync {
    /// When the connection was made, by the PBX's clock.
    since: Micros,
    channels: Vec<String>,
}

impl Resync {
    pub(super) fn new(since: Micros) -> Self {
        Self { since, channels: Vec::new() }
    }

    /// Takes in an event of the connection; `true` when the list is whole.
    pub(super) fn event(&mut self, frame: &Frame<'_>) -> bool {
        if frame.header("ActionID") != Some(ID) {
            return false;
        }
        let title = frame.title();
        if title.eq_ignore_ascii_case(b"CoreShowChannel") {
            let id = frame.header("Uniqueid").unwrap_or_default();
            self.channels.push(String::from_utf8_lossy(id).into_owned());
            return false;
        }
        // Of a list that is not whole nothing follows.
        let count = frame.header("ListItems").and_then(|n| std::str::from_utf8(n).ok()?.parse::<usize>().ok());
        title.eq_ignore_ascii_case(b"CoreShowChannelsComplete") && count == Some(self.channels.len())
    }

    /// Why the PBX does not answer, if this response says so.
    pub(super) fn refusal(frame: &Frame<'_>) -> Option<String> {
        let refused = frame.header("ActionID") == Some(ID) && !frame.title().eq_ignore_ascii_case(b"Success");
        refused.then(|| String::from_utf8_lossy(frame.header("Message").unwrap_or_default()).into_owned())
    }

    /// Writes the list into an envelope.
    pub(super) fn fill(self, envelope: &mut Envelope<'_>) {
        let header = |name: &'static str, value: String| Header(name.into(), Text(value.into()));
        let since = header(RESYNC_SINCE, self.since.0.to_string());
        let channels = self.channels.into_iter().map(|id| header(RESYNC_CHANNEL, id));
        envelope.headers = std::iter::once(since).chain(channels).collect();
    }
}
