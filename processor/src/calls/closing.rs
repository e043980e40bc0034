//! When a call is published: at the first heartbeat after its end, again when it is settled, again when late facts change it.
//!
//! Each group has one timer, derived from its state. What was published is remembered by a digest of its content, so that
//! nothing is published twice and a part that turns out to belong elsewhere is withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use calltide_schemas::Micros;

use super::clock::Clock;
use super::feeding;
use super::informing;
use super::rows::Versioned;
use super::settings::CallSettings;
use super::state::{Channel, Cut, Group, Pbx, Published, State, Why};
use super::telling::{Scope, Told, tell};
use crate::fold::{Effects, content_digest};
use crate::vocabulary::Uid;

/// The topics of published rows; their place here is what the state remembers.
const TOPICS: [(&str, &str); 5] = [
    ("calltide.calls", "call"),
    ("calltide.attempts", "attempt"),
    ("calltide.legs", "leg"),
    ("calltide.queue-visits", "queue_visit"),
    ("calltide.stories", "story"),
];

/// The place of visits among them.
const VISITS_TOPIC: u8 = 3;

/// `calls` and `attempts` come first among the topics.
const CALL_TOPICS_LAST: u8 = 1;

/// Sets a group's timer anew after anything about it changed.
pub(super) fn schedule(state: &mut State, pbx: &str, id: &Uid, settings: &CallSettings) {
    let Some(of) = state.pbxs.get_mut(pbx) else { return };
    let Some(group) = of.groups.get_mut(id) else { return };
    let over = group.open == 0 || cut(group, &of.clock).is_some();
    let since = group.last.max(group.heard);
    let due = match (over, group.dirty, group.settled) {
        (false, _, _) => (since + settings.silence_us, Why::Silence),
        (true, true, _) => (group.last, Why::Tell),
        (true, false, false) => (since + settings.settle_us, Why::Settle),
        (true, false, true) => (since + settings.correct_us, Why::Expire),
    };
    // While a call goes on, its silence is only looked at when the timer that is set fires: each fact would move it.
    let later = matches!((group.due, due), (Some((at, Why::Silence)), (to, Why::Silence)) if at <= to);
    if group.due == Some(due) || later {
        return;
    }
    if let Some((at, _)) = group.due.replace(due) {
        of.timers.remove(&(at, id.clone()));
    }
    of.timers.insert((due.0, id.clone()));
    state.touch_group(pbx, id);
}

/// Does what is due by the PBX's clock, in the order of time and id.
pub(super) fn fire(state: &mut State, pbx: &str, settings: &CallSettings, out: &mut Effects) {
    loop {
        let Some(of) = state.pbxs.get_mut(pbx) else { return };
        let now = of.clock.now;
        let Some((at, id)) = of.timers.first().cloned().filter(|t| t.0 <= now) else { return };
        of.timers.remove(&(at, id.clone()));
        let Some(group) = of.groups.get_mut(&id) else { continue };
        let Some((_, why)) = group.due.take() else { continue };
        match why {
            Why::Tell => publish(state, pbx, &id, settings, out),
            Why::Settle => {
                group.settled = true;
                publish(state, pbx, &id, settings, out);
            }
            Why::Silence if group.last.max(group.heard) + settings.silence_us <= now => {
                group.cut = Some(Cut::LastSeen);
                group.dirty = true;
                out.note("closed_by_silence");
            }
            Why::Silence => {}
            Why::Expire => {
                // Long enough that a file imported days later is still recognised as old news.
                let until = now + 7 * settings.correct_us;
                state.expire(pbx, &id, until);
                continue;
            }
        }
        schedule(state, pbx, &id, settings);
    }
}

/// Whether something of the group goes on, as far as is known.
pub(super) fn goes_on(group: &Group, clock: &Clock) -> bool {
    group.open > 0 && cut(group, clock).is_none()
}

/// When what is open in the group ended, if that is known without its hang-ups: with the PBX, or with its source.
fn cut(group: &Group, clock: &Clock) -> Option<Cut> {
    group.cut.or_else(|| clock.cut(group.last).filter(|_| group.open > 0))
}

/// Publishes and settles at once what only these journals told of: nothing more can come from them.
pub(super) fn close_imported(
    state: &mut State,
    pbx: &str,
    journals: &BTreeSet<&str>,
    keep_open: bool,
    settings: &CallSettings,
    out: &mut Effects,
) {
    let Some(of) = state.pbxs.get(pbx) else { return };
    let unfinished = of.timers.iter().map(|(_, id)| id).filter(|id| {
        of.groups.get(*id).is_some_and(|g| {
            let only_here = g.journals.iter().all(|j| journals.contains(&**j));
            only_here && (g.dirty || !g.settled) && (g.open == 0 || g.cut.is_some() || !keep_open)
        })
    });
    let unfinished: BTreeSet<Uid> = unfinished.cloned().collect();
    for id in unfinished {
        let Some(of) = state.pbxs.get_mut(pbx) else { return };
        let Some(group) = of.groups.get_mut(&id) else { continue };
        if group.open > 0 {
            group.cut = cut(group, &of.clock).or(Some(Cut::LastSeen));
        }
        group.settled = true;
        publish(state, pbx, &id, settings, out);
        schedule(state, pbx, &id, settings);
    }
}

/// Tells the group's calls anew and publishes what changed.
fn publish(state: &mut State, pbx: &str, id: &Uid, settings: &CallSettings, out: &mut Effects) {
    let Some(of) = state.pbxs.get_mut(pbx) else { return };
    // What is settled unchanged differs in that word alone, which only the rows of calls have.
    let scope = if of.groups.get(id).is_some_and(|group| group.dirty) { Scope::Everything } else { Scope::Calls };
    let Some(told) = tell_group(of, pbx, id, scope, settings) else { return };
    let Some(group) = of.groups.get_mut(id) else { return };
    if group.settled {
        group.cut = cut(group, &of.clock);
    }
    let now = of.clock.now.max(group.last);
    let mut press = Press { now, known: &mut group.published, kept: BTreeSet::new(), versions: BTreeMap::new(), out };
    press.told(&told);
    press.withdraw_rest(scope);
    let versions = press.versions;
    if scope == Scope::Everything {
        informing::over(group, &told, now, out);
    }
    if group.settled {
        feeding::settled(group, &told.calls, &versions, settings, out);
    }
    group.dirty = false;
    state.touch_group(pbx, id);
}

/// Tells what is known of a group's calls now.
pub(super) fn tell_group(of: &Pbx, pbx: &str, id: &Uid, scope: Scope, settings: &CallSettings) -> Option<Told> {
    let group = of.groups.get(id)?;
    let channels: Vec<(&Uid, &Channel)> = group
        .channels
        .iter()
        .filter_map(|uid| of.channels.get_key_value(uid))
        .filter(|(_, channel)| !channel.facts.is_empty())
        .collect();
    let cut = match scope {
        // What goes on does so until now.
        Scope::UnderWay => Some(Cut::Died(of.clock.now)),
        Scope::Everything | Scope::Calls => cut(group, &of.clock),
    };
    Some(tell(pbx, &channels, cut, group.settled, scope, settings))
}

/// Publishes who waits in queues, and who did, in calls that go on.
pub(super) fn publish_visits(group: &mut Group, told: &Told, now: Micros, out: &mut Effects) {
    let known = &mut group.published;
    let mut press = Press { now, known, kept: BTreeSet::new(), versions: BTreeMap::new(), out };
    told.visits.iter().for_each(|row| press.row(VISITS_TOPIC, row));
}

/// Publishes rows whose content changed.
struct Press<'a> {
    now: Micros,
    known: &'a mut Published,
    kept: BTreeSet<(u8, Box<str>)>,
    /// Of the calls that were published.
    versions: BTreeMap<String, i64>,
    out: &'a mut Effects,
}

impl Press<'_> {
    fn told(&mut self, told: &Told) {
        for row in &told.calls {
            self.row(0, row);
            if row.direction == "outbound" {
                self.row(1, row);
            }
        }
        told.legs.iter().for_each(|row| self.row(2, row));
        told.visits.iter().for_each(|row| self.row(VISITS_TOPIC, row));
        told.stories.iter().for_each(|row| self.row(4, row));
    }

    fn row(&mut self, topic: u8, row: &impl Versioned) {
        let key = (topic, Box::<str>::from(row.key()));
        let digest = content_digest(row);
        let (version, known) = self.known.get(&key).copied().unwrap_or((0, None));
        self.kept.insert(key.clone());
        if known == Some(digest) {
            return;
        }
        let mut row = row.clone();
        row.stamp(version + 1, self.now);
        if topic == 0 {
            self.versions.insert(row.key().to_owned(), version + 1);
        }
        let (topic, kind) = TOPICS[usize::from(topic)];
        self.out.publish(topic, kind, self.now.0, &row);
        self.known.insert(key, (version + 1, Some(digest)));
    }

    fn withdraw_rest(&mut self, scope: Scope) {
        let told = |topic: u8| scope == Scope::Everything || topic <= CALL_TOPICS_LAST;
        for (key, (version, digest)) in self.known.iter_mut().filter(|(key, _)| told(key.0)) {
            if digest.is_some() && !self.kept.contains(key) {
                *version += 1;
                *digest = None;
                let (topic, kind) = TOPICS[usize::from(key.0)];
                self.out.withdraw(topic, kind, &key.1, *version, self.now.0);
            }
        }
    }
}
