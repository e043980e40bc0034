//! Who is in a queue, and paused there, from what was told of one member: a set of facts, each once, whoever told it.
//!
//! A happening of a member has no name but its queue, its agent and when it was: what AMI and the queue's log tell of the same
//! second is the same, and takes AMI's time. Pure; who the member is, is not for here.

use calltide_schemas::Micros;
use calltide_schemas::agents::MemberWhat;
use serde::{Deserialize, Serialize};

/// Something that happened to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberFact {
    pub(super) at: Micros,
    pub(super) by: Teller,
    pub(super) what: Happened,
}

/// Who told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Teller {
    Ami,
    /// It has whole seconds.
    Log,
    /// Both: the time is AMI's.
    Both,
}

/// What happened to a member, or to the PBX that it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Happened {
    Said(MemberWhat),
    /// The PBX ended, and with it who was added while it ran.
    PbxEnded,
    /// Files ended that are all that is known of the PBX.
    FilesEnded,
    /// The PBX named its members, and this one was not among them.
    NotListed,
    /// From then on somebody else is meant by it, or until then somebody else was.
    HandedOver,
}

/// How a stay, or a login, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum EndedBy {
    Hand,
    Timeout,
    Logout,
    Restart,
    Unseen,
    Checkout,
    Directory,
}

impl EndedBy {
    /// The word in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Timeout => "timeout",
            Self::Logout => "logout",
            Self::Restart => "restart",
            Self::Unseen => "unseen",
            Self::Checkout => "checkout",
            Self::Directory => "directory",
        }
    }
}

/// A stay in a queue, or a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) from: Micros,
    pub(super) to: Option<(Micros, EndedBy)>,
    /// From the PBX's configuration: it is never checked out automatically.
    pub(super) is_static: bool,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
    pub(super) reason: Option<String>,
}

/// What is known of a member of one queue, or, without a queue, of an agent on a PBX.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Presence {
    pub(super) stays: Vec<Stay>,
    pub(super) pauses: Vec<Pause>,
    /// From when, and for how many milliseconds.
    pub(super) wrap_ups: Vec<(Micros, i64)>,
}

/// How far the times of one happening are apart at most in both sources: the log's second, and one for its being written late.
const SAME_US: i64 = 2_000_000;

/// Keeps a fact once, in the order of time; returns from when on it changes what is known, or `None` if it is known.
pub(super) fn remember(facts: &mut Vec<MemberFact>, fact: MemberFact) -> Option<Micros> {
    let same = |known: &MemberFact| known.by == fact.by && known.at == fact.at && known.what == fact.what;
    // What both told is told again by the log's second, or by AMI's own time.
    let again = |known: &MemberFact| match (known.by, fact.by) {
        (Teller::Both, Teller::Log) => is_same_happening(known, &fact),
        (Teller::Both, Teller::Ami) => known.at == fact.at && known.what == fact.what,
        _ => false,
    };
    if facts.iter().any(|known| same(known) || again(known)) {
        return None;
    }
    let twin = facts.iter().position(|known| is_other(known.by, fact.by) && is_same_happening(known, &fact));
    let since = match twin {
        Some(nth) => {
            let twin = facts.remove(nth);
            let by_ami = if fact.by == Teller::Ami { &fact } else { &twin };
            let told = MemberFact { by: Teller::Both, at: by_ami.at, what: by_ami.what.clone() };
            let since = told.at.min(twin.at);
            insert(facts, told);
            since
        }
        None => {
            let since = fact.at;
            insert(facts, fact);
            since
        }
    };
    Some(since)
}

fn insert(facts: &mut Vec<MemberFact>, fact: MemberFact) {
    let place = facts.partition_point(|known| known.at <= fact.at);
    facts.insert(place, fact);
}

const fn is_other(a: Teller, b: Teller) -> bool {
    matches!((a, b), (Teller::Ami, Teller::Log) | (Teller::Log, Teller::Ami))
}

/// Whether both tell of one happening. What the log says of it may lack a reason.
fn is_same_happening(a: &MemberFact, b: &MemberFact) -> bool {
    let kinds = match (&a.what, &b.what) {
        (Happened::Said(a), Happened::Said(b)) => {
            std::mem::discriminant(a) == std::mem::discriminant(b) && !matches!(a, MemberWhat::Listed { .. })
        }
        _ => false,
    };
    // One with AMI's time against one of the log's second.
    let (ami, log) = if a.by == Teller::Log { (b.at, a.at) } else { (a.at, b.at) };
    let after = ami - log;
    let told_differently = a.by != b.by;
    kinds && told_differently && (-SAME_US / 2..SAME_US).contains(&after)
}

/// What the facts of a member say; `of_all` are those of the agent in all queues.
pub(super) fn presence(own: &[MemberFact], of_all: &[MemberFact]) -> Presence {
    let is_pause = |fact: &&MemberFact| {
        matches!(
            fact.what,
            Happened::Said(MemberWhat::Paused(_) | MemberWhat::Unpaused) | Happened::PbxEnded | Happened::FilesEnded
        )
    };
    // What the log says of all queues it says of each as well, and AMI knows better when that was.
    let is_known = |fact: &&MemberFact| own.iter().any(|of_queue| is_same_happening(of_queue, fact));
    let of_all = of_all.iter().filter(is_pause).filter(|fact| !is_known(fact));
    let mut facts: Vec<&MemberFact> = own.iter().chain(of_all).collect();
    facts.sort_by_key(|fact| fact.at);
    let mut reading = Reading::default();
    facts.into_iter().for_each(|fact| reading.take(fact));
    reading.close()
}

/// Facts are read one after the other.
#[derive(Default)]
struct Reading {
    known: Presence,
    stay: Option<Stay>,
    pause: Option<Pause>,
}

impl Reading {
    fn take(&mut self, fact: &MemberFact) {
        let at = fact.at;
        match &fact.what {
            Happened::Said(MemberWhat::CheckedIn | MemberWhat::LoggedIn) => self.enter(at, false),
            Happened::Said(MemberWhat::CheckedOut | MemberWhat::LoggedOut) => self.leave(at, EndedBy::Hand),
            Happened::Said(MemberWhat::Paused(reason)) => self.pause(at, reason.clone()),
            Happened::Said(MemberWhat::Unpaused) => self.unpause(at),
            Happened::Said(MemberWhat::Listed { is_static, since, is_paused, reason }) => {
                let left = self.known.stays.last().and_then(|stay| stay.to).map(|(to, _)| to);
                let from =
                    since.filter(|since| left.is_none_or(|left| *since >= left)).map_or(at, |since| since.min(at));
                self.enter(from, *is_static);
                if *is_paused { self.pause(at, reason.clone()) } else { self.unpause(at) }
            }
            Happened::Said(MemberWhat::WrapUp(ms)) => self.known.wrap_ups.push((at, *ms)),
            // A queue's, not a member's.
            Happened::Said(MemberWhat::WrapUpSetting(_)) => {}
            Happened::PbxEnded => self.lose(at, EndedBy::Restart),
            Happened::NotListed | Happened::FilesEnded => self.lose(at, EndedBy::Unseen),
            Happened::HandedOver => self.leave(at, EndedBy::Directory),
        }
    }

    fn enter(&mut self, at: Micros, is_static: bool) {
        let stay = self.stay.get_or_insert(Stay { from: at, to: None, is_static });
        stay.is_static |= is_static;
    }

    fn leave(&mut self, at: Micros, by: EndedBy) {
        if let Some(stay) = self.stay.take() {
            self.known.stays.push(Stay { to: Some((at, by)), ..stay });
        }
        self.unpause(at);
    }

    /// What only the running PBX knew is gone; what its configuration says is there again.
    fn lose(&mut self, at: Micros, by: EndedBy) {
        match self.stay {
            Some(Stay { is_static: true, .. }) => self.unpause(at),
            Some(_) | None => self.leave(at, by),
        }
    }

    fn pause(&mut self, at: Micros, reason: Option<String>) {
        match &self.pause {
            // Told again, or by each queue of all.
            Some(pause) if pause.reason == reason || reason.is_none() => {}
            Some(_) => {
                self.unpause(at);
                self.pause = Some(Pause { from: at, to: None, reason });
            }
            None => self.pause = Some(Pause { from: at, to: None, reason }),
        }
    }

    fn unpause(&mut self, at: Micros) {
        if let Some(pause) = self.pause.take() {
            self.known.pauses.push(Pause { to: Some(at), ..pause });
        }
    }

    fn close(mut self) -> Presence {
        self.known.stays.extend(self.stay);
        self.known.pauses.extend(self.pause);
        self.known
    }
}

/// What is still so after these facts, as facts: that the member is in the queue, and paused, each since when.
pub(super) fn standing(facts: &[MemberFact]) -> Vec<MemberFact> {
    let known = presence(facts, &[]);
    let stay = known.stays.last().filter(|stay| stay.to.is_none()).map(|stay| {
        let logged_in = facts.iter().any(|fact| fact.what == Happened::Said(MemberWhat::LoggedIn));
        let what = match (stay.is_static, logged_in) {
            (true, _) => MemberWhat::Listed { is_static: true, since: None, is_paused: false, reason: None },
            (false, true) => MemberWhat::LoggedIn,
            (false, false) => MemberWhat::CheckedIn,
        };
        (stay.from, what)
    });
    let pause = known.pauses.last().filter(|pause| pause.to.is_none());
    let pause = pause.map(|pause| (pause.from, MemberWhat::Paused(pause.reason.clone())));
    let fact = |(at, what)| MemberFact { at, by: Teller::Both, what: Happened::Said(what) };
    stay.into_iter().chain(pause).map(fact).collect()
}

/// Leaves of the facts before `horizon` only what is still so then. No session that is kept began before.
pub(super) fn forget(facts: &mut Vec<MemberFact>, horizon: Micros) {
    let old = facts.partition_point(|fact| fact.at < horizon);
    let mut kept = standing(&facts[..old]);
    for stay in kept.iter_mut().filter(|fact| !matches!(fact.what, Happened::Said(MemberWhat::Paused(_)))) {
        stay.at = stay.at.max(horizon);
    }
    facts.splice(..old, kept);
}
