//! What the PBX says becomes records of the log: journals, offsets and heartbeats as collectors write them, in order or late.

use std::collections::{BTreeMap, BTreeSet};

use calltide_eventlog::Record;
use calltide_schemas::Micros;
use calltide_schemas::envelope::{Envelope, HEARTBEAT_OF_FILES, Header, Source, Text};

use super::Told;

/// Heartbeats go on so long after the last event: settled is after five seconds.
const QUIET_SECS: i64 = 10;

/// What was told, by these logs alone, with heartbeats. In the order of time; a heartbeat comes first in its second.
pub(crate) fn with_heartbeats(told: &[Told], sources: &[Source]) -> Vec<Told> {
    let logs = [Source::Ami, Source::Cel, Source::QueueLog];
    let by_ami = sources.contains(&Source::Ami);
    let is_kept = |t: &&Told| match t.source {
        Source::Gap | Source::Resync => by_ami,
        Source::Ami | Source::Cel | Source::QueueLog => sources.contains(&t.source),
        Source::Heartbeat | Source::ImportEnd | Source::Unreadable => true,
    };
    let mut kept: Vec<Told> = told.iter().filter(is_kept).cloned().collect();
    let beside = [Source::Gap, Source::Resync];
    let events = told.iter().filter(|t| logs.contains(&t.source) || beside.contains(&t.source));
    let secs: BTreeSet<i64> = events.flat_map(|t| (0..=QUIET_SECS).map(move |n| t.at / 1_000_000 + n)).collect();
    for at in secs.into_iter().map(|secs| secs * 1_000_000) {
        // While AMI is cut only files tell the time.
        let gap = told.iter().rfind(|t| t.source == Source::Gap && t.at < at);
        let cut = by_ami && gap.is_some_and(|gap| gap.fields == [CUT]);
        match (cut, sources.iter().any(|source| *source != Source::Ami)) {
            (false, _) => kept.push(heartbeat(at)),
            (true, true) => kept.push(Told { headers: vec![of_files()], ..heartbeat(at) }),
            (true, false) => {}
        }
    }
    kept.sort_by_key(|t| (t.at, t.source == Source::ImportEnd, logs.contains(&t.source)));
    kept
}

/// Why there is a gap: the line was cut.
pub(super) const CUT: &str = "closed";

fn of_files() -> (String, String) {
    let (name, value) = HEARTBEAT_OF_FILES;
    (name.to_owned(), value.to_owned())
}

pub(crate) fn heartbeat(at: i64) -> Told {
    Told { source: Source::Heartbeat, at, headers: Vec::new(), fields: Vec::new() }
}

/// The same, each event up to `late_us` after its time, and so in another order; heartbeats come at theirs.
pub(crate) fn late(told: &[Told], late_us: u64, seed: u64) -> Vec<Told> {
    let mut random = Random(seed);
    let mut arriving: Vec<(i64, Told)> = Vec::new();
    for t in told {
        let delay = match t.source {
            Source::Ami | Source::Cel | Source::QueueLog => random.below(late_us),
            // An import says that it is over after everything that it had.
            Source::ImportEnd => late_us,
            Source::Heartbeat | Source::Gap | Source::Unreadable | Source::Resync => 0,
        };
        arriving.push((t.at + i64::try_from(delay).unwrap(), t.clone()));
    }
    arriving.sort_by_key(|a| (a.0, a.1.source == Source::ImportEnd));
    arriving.into_iter().map(|a| a.1).collect()
}

/// Records in the order of arrival; each log is a journal of its own.
pub(crate) fn records(pbx: &str, told: &[Told]) -> Vec<Record> {
    let mut offsets: BTreeMap<&str, u64> = BTreeMap::new();
    told.iter()
        .map(|t| {
            let offset = offsets.entry(t.source.name()).or_insert(0);
            *offset += 1;
            record(pbx, t, *offset)
        })
        .collect()
}

/// One record; its journal is named by PBX and log.
pub(crate) fn record(pbx: &str, told: &Told, offset: u64) -> Record {
    let journal = format!("{pbx}/{}", told.source.name());
    let at = Micros(told.at);
    let mut envelope = Envelope::new(pbx, told.source, at, at + 1_000, &journal, offset);
    let header = |h: &'_ (String, String)| Header(owned(&h.0), owned(&h.1));
    envelope.headers = told.headers.iter().map(header).collect();
    envelope.fields = told.fields.iter().map(|f| owned(f)).collect();
    if told.source == Source::Gap {
        envelope.reason = envelope.fields.pop().map(|reason| reason.0);
    }
    if told.source == Source::ImportEnd {
        envelope.keep_open = envelope.fields.drain(..).any(|f| f.as_str() == "keep_open");
        let logs = ["ami", "cel", "queue_log"];
        envelope.headers = logs.iter().map(|l| Header(owned("journal"), owned(&format!("{pbx}/{l}")))).collect();
    }
    Record {
        key: pbx.as_bytes().to_vec(),
        at: told.at,
        id: format!("{journal}:{offset}"),
        kind: told.source.name().to_owned(),
        journal: Some((journal.clone(), offset)),
        payload: Some(serde_json::to_vec(&envelope).unwrap()),
    }
}

fn owned(text: &str) -> Text<'static> {
    Text(text.to_owned().into())
}

/// A small generator of random numbers (SplitMix64), so that a seed says everything.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}
