//! The fold of agents alone: a day of calls by ten thousand agents, each part told as it goes on; rows and changed state out, as
//! the runtime would commit them.
//!
//! What comes before is done before, so that it is not measured; log and lake are not there.

use calltide_eventlog::{Change, Record};
use calltide_processor::agents::{Agents, for_agents};
use calltide_processor::fold::{Effects, Fold as _};
use calltide_schemas::Micros;
use calltide_schemas::agents::{Activity, Doing, ForAgents, LegSaid, Member, MemberSaid, MemberWhat};

use super::stopwatch::Stopwatch;
use super::{PBX, line};

const AGENTS: u64 = 10_000;
/// A shift, in which the calls come evenly.
const SHIFT_US: i64 = 8 * 3_600 * 1_000_000;
const SECOND: i64 = 1_000_000;
/// Parts of calls that are told between two commits, as at heartbeats of a busy site.
const PER_COMMIT: usize = 1_000;
/// Records made at once, so that making them is outside of what is timed and memory stays small.
const AT_ONCE: u64 = 20_000;

/// Measures and tells.
pub(crate) fn measure(calls: u64) -> String {
    let mut fold = Agents::new();
    let began = Micros::from_secs(1_800_000_000);
    let members: Vec<Record> = (0..AGENTS).map(|nth| for_agents(&checks_in(nth, began))).collect();
    let mut told = Told::default();
    told.take(&mut fold, &members);
    let mut told = Told::default();
    for first in (0..calls).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
        let records = parts(first..(first + AT_ONCE).min(calls), calls, began);
        told.take(&mut fold, &records);
    }
    let mut text = line("agents: parts to states", told.records, "records", told.state_bytes, told.secs);
    text += &format!(
        "{:<24} {} rows published of {calls} calls by {AGENTS} agents; the MB/s are state written\n",
        "", told.rows
    );
    text
}

#[derive(Default)]
struct Told {
    records: usize,
    rows: usize,
    state_bytes: usize,
    secs: f64,
}

impl Told {
    fn take(&mut self, fold: &mut Agents, records: &[Record]) {
        let started = Stopwatch::start();
        for commit in records.chunks(PER_COMMIT) {
            let mut effects = Effects::default();
            commit.iter().for_each(|record| fold.apply(record, &mut effects));
            self.rows += effects.outputs.len();
            let written = |change: &Change| change.key.len() + change.value.as_ref().map_or(0, Vec::len);
            self.state_bytes += fold.changes().iter().map(written).sum::<usize>();
        }
        self.secs += started.secs();
        self.records += records.len();
    }
}

fn checks_in(nth: u64, at: Micros) -> ForAgents {
    let device = Some(format!("PJSIP/{nth}"));
    let member = Member { agent: format!("Agent/{nth}"), queue: Some(format!("queue-{}", nth % 20)), device };
    ForAgents::Member(MemberSaid { at, pbx: PBX.to_owned(), by_log: false, member, what: MemberWhat::CheckedIn })
}

/// Each call rings for five seconds, is spoken in for a minute and a half, and ends: told thrice, in the order of time.
fn parts(calls: std::ops::Range<u64>, all: u64, began: Micros) -> Vec<Record> {
    let begins =
        |nth: u64| began + SECOND + i64::try_from(u128::from(nth) * SHIFT_US as u128 / u128::from(all)).unwrap_or(0);
    let mut said: Vec<LegSaid> = Vec::new();
    for nth in calls {
        let rings = begins(nth);
        let (talks, ends) = (rings + 5 * SECOND, rings + 95 * SECOND);
        let act = |doing, from, to| Activity { doing, from, to };
        let part = |at, activities: Vec<Activity>| LegSaid {
            at,
            pbx: PBX.to_owned(),
            leg_id: format!("{PBX}/1800000000.{nth}#1800000000.{nth}1"),
            call_id: format!("{PBX}/1800000000.{nth}"),
            agent: Some(format!("Agent/{}", nth % AGENTS)),
            device: Some(format!("PJSIP/{}", nth % AGENTS)),
            queue: Some(format!("queue-{}", nth % 20)),
            is_answered: activities.len() > 1,
            activities,
            withdrawn: false,
        };
        said.push(part(rings, vec![act(Doing::Ringing, rings, None)]));
        said.push(part(talks, vec![act(Doing::Ringing, rings, Some(talks)), act(Doing::Talking, talks, None)]));
        let whole = vec![act(Doing::Ringing, rings, Some(talks)), act(Doing::Talking, talks, Some(ends))];
        said.push(part(ends, whole));
    }
    said.sort_by_key(|part| part.at);
    said.into_iter().map(|part| for_agents(&ForAgents::Leg(part))).collect()
}
