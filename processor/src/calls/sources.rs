//! Where a PBX's events come from, and how well: what came again, what never came, how late it is. The rows of `sources`.
//!
//! A record is recognised by its journal and its offset there, and by nothing else. An offset that was passed over is missing
//! until it comes; what is missing is named by its place. What the events mean is not looked at here.

use std::fmt::Write as _;

use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, GAP_CONNECTED, Source};
use calltide_schemas::journals::{Feed, MISSING};
use calltide_schemas::metrics::exposed;
use serde::{Deserialize, Serialize};

use super::rows::SourceRow;
use super::state::{Journal, Key, Pbx, State};
use crate::fold::{Effects, Measure};

const TOPIC: &str = "calltide.sources";

/// A row is renewed once in so much of its PBX's time: soon enough for whoever asks whether all is well, and far less than
/// the calls of a minute write. Files tell the time for two minutes after their last line, so the last row has that line too.
const RENEWED_EVERY_US: i64 = 60 * 1_000_000;

/// Gaps of which the place is remembered: so many fit into a cell that somebody reads. Older ones stay counted.
const PLACES: usize = 16;

/// What is known of one source of a PBX's events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// The journal of the latest record.
    journal: Box<str>,
    journals: u64,
    /// Whether the line to the PBX is up, as far as its records tell.
    connected: Option<bool>,
    first: Option<Micros>,
    last: Option<Micros>,
    seen: Micros,
    lag_us: Option<i64>,
    /// Since the row was renewed.
    lag_max_us: Option<i64>,
    events: u64,
    unreadable: u64,
    duplicates: u64,
    gaps: u64,
    missing: u64,
    /// The latest gaps, newest last.
    places: Vec<Gap>,
    version: i64,
    /// The PBX's time of the row.
    published: Micros,
    /// Something is not in the row yet.
    changed: bool,
    /// And must not wait.
    urgent: bool,
    /// It is among the entries to be written.
    #[serde(skip)]
    pub(super) touched: bool,
    /// The metrics have it as it is.
    #[serde(skip)]
    measured: bool,
}

/// Offsets of a journal that never came, first and last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    journal: Box<str>,
    first: u64,
    last: u64,
}

/// Where an offset is in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The journal begins: what is before it is elsewhere.
    First,
    Next,
    /// Behind offsets that did not come; the last that did.
    After(u64),
    /// It was passed already.
    Passed,
}

/// Takes note of a record; `false` if it came before.
pub(super) fn arrived(state: &mut State, envelope: &Envelope<'_>, out: &mut Effects) -> bool {
    let (pbx, journal, offset): (&str, &str, u64) = (&envelope.pbx, &envelope.journal, envelope.offset);
    let place = advance(state, journal, offset);
    let Some(feed) = Feed::of(envelope) else {
        match place {
            Place::Passed => out.note("duplicate_envelope"),
            // What is missing in another journal is told at the offset there.
            Place::After(_) if !journal.starts_with(MISSING) => out.note("journal_gap"),
            Place::After(_) | Place::First | Place::Next => {}
        }
        return place != Place::Passed;
    };
    if !state.pbxs.contains_key(pbx) {
        state.pbxs.insert(pbx.into(), Pbx::default());
    }
    let Some(of) = state.pbxs.get_mut(pbx) else { return false };
    let account = of.sources.entry(feed).or_default();
    account.changed = true;
    account.measured = false;
    let newly_touched = !std::mem::replace(&mut account.touched, true);
    let is_new = match place {
        Place::Passed if account.fill(journal, offset) => {
            out.note("journal_gap_filled");
            account.count(envelope);
            true
        }
        Place::Passed => {
            out.note("duplicate_envelope");
            account.duplicates += 1;
            false
        }
        Place::First | Place::Next | Place::After(_) => {
            if let Place::After(last) = place {
                out.note("journal_gap");
                account.miss(Gap { journal: journal.into(), first: last + 1, last: offset - 1 });
            }
            if feed == Feed::Ami && envelope.source == Source::Heartbeat {
                of.clock.ahead = Some(envelope.at - envelope.seen);
            }
            account.journals += u64::from(place == Place::First);
            account.heard(feed, envelope, of.clock.ahead);
            true
        }
    };
    if newly_touched {
        state.touch(Key::Account(pbx.into(), feed));
    }
    is_new
}

/// Moves a journal on to an offset, if that is ahead.
fn advance(state: &mut State, journal: &str, offset: u64) -> Place {
    let Some(known) = state.journals.get_mut(journal) else {
        state.journals.insert(journal.into(), Journal { last: offset, touched: true });
        state.touch(Key::Journal(journal.into()));
        return Place::First;
    };
    if offset <= known.last {
        return Place::Passed;
    }
    let before = std::mem::replace(&mut known.last, offset);
    if !std::mem::replace(&mut known.touched, true) {
        state.touch(Key::Journal(journal.into()));
    }
    if offset == before + 1 { Place::Next } else { Place::After(before) }
}

impl Account {
    /// A record came in the order of its journal.
    fn heard(&mut self, feed: Feed, envelope: &Envelope<'_>, ahead: Option<i64>) {
        if *self.journal != *envelope.journal {
            self.journal = (&*envelope.journal).into();
        }
        self.seen = self.seen.max(envelope.seen);
        self.count(envelope);
        match envelope.source {
            Source::Ami | Source::Cel | Source::QueueLog if !feed.is_imported() => {
                let lag = (envelope.seen - envelope.at).saturating_add(ahead.unwrap_or(0));
                self.lag_us = Some(lag);
                self.lag_max_us = self.lag_max_us.max(Some(lag));
            }
            Source::Heartbeat if feed == Feed::Ami => self.line(true),
            Source::Gap if feed == Feed::Ami => self.line(envelope.reason.as_deref() == Some(GAP_CONNECTED)),
            Source::Ami
            | Source::Cel
            | Source::QueueLog
            | Source::Heartbeat
            | Source::Gap
            | Source::ImportEnd
            | Source::Unreadable
            | Source::Resync => {}
        }
    }

    fn count(&mut self, envelope: &Envelope<'_>) {
        match envelope.source {
            Source::Ami | Source::Cel | Source::QueueLog => {
                self.events += 1;
                self.first = Some(self.first.map_or(envelope.at, |first| first.min(envelope.at)));
                self.last = self.last.max(Some(envelope.at));
            }
            Source::Unreadable => self.unreadable += 1,
            Source::Heartbeat | Source::Gap | Source::ImportEnd | Source::Resync => {}
        }
    }

    fn line(&mut self, up: bool) {
        self.urgent |= self.connected.replace(up) != Some(up);
    }

    fn miss(&mut self, gap: Gap) {
        self.gaps += 1;
        self.missing = self.missing.saturating_add(gap.last - gap.first).saturating_add(1);
        self.places.push(gap);
        if self.places.len() > PLACES {
            self.places.remove(0);
        }
    }

    /// Takes an offset out of what is missing; `false` if it is not.
    fn fill(&mut self, journal: &str, offset: u64) -> bool {
        let within = |gap: &Gap| *gap.journal == *journal && (gap.first..=gap.last).contains(&offset);
        let Some(nth) = self.places.iter().rposition(within) else { return false };
        let gap = self.places.remove(nth);
        let rest = [(gap.first, offset - 1), (offset + 1, gap.last)].into_iter().filter(|(first, last)| first <= last);
        let rest: Vec<Gap> = rest.map(|(first, last)| Gap { journal: gap.journal.clone(), first, last }).collect();
        self.missing = self.missing.saturating_sub(1);
        self.gaps = self.gaps + rest.len() as u64 - 1;
        self.places.splice(nth..nth, rest);
        true
    }

    fn is_due(&self, now: Micros) -> bool {
        self.changed && (self.urgent || self.version == 0 || now - self.published >= RENEWED_EVERY_US)
    }

    fn gap_places(&self) -> Option<String> {
        let mut text = String::new();
        for Gap { journal, first, last } in self.places.iter().rev() {
            let separator = if text.is_empty() { "" } else { " " };
            // Writing to a String can't fail.
            let _ = write!(text, "{separator}{journal}:{first}-{last}");
        }
        (!text.is_empty()).then_some(text)
    }
}

/// The server started or stopped, which all its rows tell.
pub(super) fn server_changed(state: &mut State, pbx: &str) {
    hurry(state, pbx, |_, account| {
        account.changed = true;
        true
    });
}

/// Whether anything but imports tells of a PBX.
pub(super) fn is_collected(state: &State, pbx: &str) -> bool {
    state.pbxs.get(pbx).is_some_and(|of| of.sources.keys().any(|feed| !feed.is_imported()))
}

/// An import has given everything that it had.
pub(super) fn import_ended(state: &mut State, pbx: &str) {
    hurry(state, pbx, |feed, account| feed.is_imported() && account.changed);
}

/// Lets those rows not wait that `which` names.
fn hurry(state: &mut State, pbx: &str, which: fn(Feed, &mut Account) -> bool) {
    let Some(of) = state.pbxs.get_mut(pbx) else { return };
    let mut hurried = Vec::new();
    for (feed, account) in &mut of.sources {
        if which(*feed, account) {
            account.urgent = true;
            hurried.push(*feed);
        }
    }
    hurried.into_iter().for_each(|feed| state.touch(Key::Account(pbx.into(), feed)));
}

/// Publishes the rows of a PBX that are due.
pub(super) fn publish(state: &mut State, pbx: &str, at: Micros, out: &mut Effects) {
    let Some(of) = state.pbxs.get_mut(pbx) else { return };
    let now = of.clock.now.max(at);
    let due: Vec<Feed> = of.sources.iter().filter(|(_, account)| account.is_due(now)).map(|(feed, _)| *feed).collect();
    for feed in due {
        let Some(of) = state.pbxs.get_mut(pbx) else { return };
        let Some(account) = of.sources.get_mut(&feed) else { continue };
        account.version += 1;
        account.published = now;
        (account.changed, account.urgent) = (false, false);
        let lag_max_us = account.lag_max_us.take();
        if let Some(row) = row(of, pbx, feed, lag_max_us) {
            out.publish(TOPIC, "source", now.0, &row);
        }
        state.touch(Key::Account(pbx.into(), feed));
    }
}

fn row(of: &Pbx, pbx: &str, feed: Feed, lag_max_us: Option<i64>) -> Option<SourceRow> {
    let account = of.sources.get(&feed)?;
    let millis = |micros: i64| micros.saturating_add(500).div_euclid(1_000);
    // Whatever a broken collector counts up to, the table can hold it.
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Some(SourceRow {
        pbx: pbx.to_owned(),
        source_id: format!("{pbx}/{}", feed.name()),
        source: feed.source().name(),
        way: feed.way(),
        connected: account.connected,
        journal: account.journal.clone().into_string(),
        journals: count(account.journals),
        first_event_at: account.first,
        last_event_at: account.last,
        last_seen_at: account.seen,
        lag_ms: account.lag_us.map(millis),
        lag_max_ms: lag_max_us.map(millis),
        clock_ahead_ms: of.clock.ahead.map(millis),
        events: count(account.events),
        unreadable: count(account.unreadable),
        duplicates: count(account.duplicates),
        gaps: count(account.gaps),
        missing: count(account.missing),
        gap_places: account.gap_places(),
        pbx_started_at: of.clock.started(),
        pbx_stopped_at: of.clock.stopped(),
        version: account.version,
        updated_at: account.published,
    })
}

/// What `/metrics` shows of the sources that changed since it was last asked.
pub(super) fn measures(state: &mut State) -> Vec<Measure> {
    let mut measures = Vec::new();
    for (pbx, of) in &mut state.pbxs {
        let before = measures.len();
        for (feed, account) in of.sources.iter_mut().filter(|(_, account)| !account.measured) {
            account.measured = true;
            let seconds = |at: Micros| at.0 as f64 / 1e6;
            let values = [
                (exposed::SOURCE_EVENTS, Some(account.events as f64)),
                (exposed::SOURCE_UNREADABLE, Some(account.unreadable as f64)),
                (exposed::SOURCE_DUPLICATES, Some(account.duplicates as f64)),
                (exposed::SOURCE_GAPS, Some(account.gaps as f64)),
                (exposed::SOURCE_MISSING, Some(account.missing as f64)),
                (exposed::SOURCE_LAST_EVENT, account.last.map(seconds)),
                (exposed::SOURCE_LAST_SEEN, Some(seconds(account.seen))),
                (exposed::SOURCE_LAG, account.lag_us.map(|lag| lag as f64 / 1e6)),
                (exposed::SOURCE_CONNECTED, account.connected.map(|up| f64::from(u8::from(up)))),
            ];
            measures.extend(values.into_iter().filter_map(|(of, value)| {
                let labels = vec![("pbx", pbx.to_string()), ("source", feed.name().to_owned())];
                value.map(|value| Measure { of, labels, value })
            }));
        }
        if let Some(started) = of.clock.started().filter(|_| measures.len() > before) {
            let labels = vec![("pbx", pbx.to_string())];
            measures.push(Measure { of: exposed::PBX_STARTED, labels, value: started.0 as f64 / 1e6 });
        }
    }
    measures
}
