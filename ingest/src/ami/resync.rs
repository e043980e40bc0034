//! What is asked once after each log-in: which channels are up, since what ended while nobody listened is not among them, and
//! who is in which queue. The answers' events are journaled like all others; behind the channels comes one `resync` envelope
//! with the whole list. Events that the PBX had queued before it made the list come after it, so the list tells only of what
//! was up before the log-in. `QueueStatusComplete` is an event by itself.
//! `CoreShowChannels` needs the write class `reporting` or `system` (Asterisk `main/manager.c`), `QueueStatus` none, but the
//! queue application (`apps/app_queue.c`).

use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, Header, RESYNC_CHANNEL, RESYNC_SINCE, Text};

use crate::decode::ami::Frame;

/// The questions.
pub(super) const ASK: &[u8] = b"Action: CoreShowChannels\r\nActionID: calltide-channels\r\n\r\n\
    Action: QueueStatus\r\nActionID: calltide-queues\r\n\r\n";

/// By which the answer about channels is known, and that about queues.
const ID: &[u8] = b"calltide-channels";
const QUEUES_ID: &[u8] = b"calltide-queues";

/// What the PBX does not say, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Channels(String),
    Queues(String),
}

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

    /// What the PBX does not answer, if this response says so.
    pub(super) fn refusal(frame: &Frame<'_>) -> Option<Refusal> {
        let refused = match frame.header("ActionID")? {
            ID => Refusal::Channels,
            QUEUES_ID => Refusal::Queues,
            _ => return None,
        };
        let message = || String::from_utf8_lossy(frame.header("Message").unwrap_or_default()).into_owned();
        (!frame.title().eq_ignore_ascii_case(b"Success")).then(|| refused(message()))
    }

    /// Writes the list into an envelope.
    pub(super) fn fill(self, envelope: &mut Envelope<'_>) {
        let header = |name: &'static str, value: String| Header(name.into(), Text(value.into()));
        let since = header(RESYNC_SINCE, self.since.0.to_string());
        let channels = self.channels.into_iter().map(|id| header(RESYNC_CHANNEL, id));
        envelope.headers = std::iter::once(since).chain(channels).collect();
    }
}
