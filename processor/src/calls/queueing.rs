//! Visits to queues: when the caller entered, how it ended, how long it took, who answered.
//!
//! The queue's own log knows best how a visit ended; AMI calls every exit an abandon and tells the rest by QUEUESTATUS, which
//! is set after the caller left.

use calltide_schemas::Micros;

use super::channel::Life;
use super::telling::Scope;
use super::timeline::Moment;
use crate::vocabulary::{QueueExit, Teller, Uid, Variable, What};

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Abandoned,
    Timeout,
    Key,
    Empty,
    Withdrawn,
    Transferred,
    Lost,
    Full,
    JoinEmpty,
    Waiting,
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Abandoned => "abandoned",
            Self::Timeout => "timeout",
            Self::Key => "key",
            Self::Empty => "empty",
            Self::Withdrawn => "withdrawn",
            Self::Transferred => "transferred",
            Self::Lost => "lost",
            Self::Full => "full",
            Self::JoinEmpty => "join_empty",
            Self::Waiting => "waiting",
        }
    }
}

/// One entry into a queue.
#[derive(Debug, Clone)]
pub(super) struct Visit<'a> {
    pub(super) queue: &'a str,
    /// The channel that waited.
    pub(super) channel: usize,
    pub(super) entered: Micros,
    pub(super) left: Option<Micros>,
    pub(super) outcome: Outcome,
    /// Who answered, and on which channel if that is known.
    pub(super) member: Option<&'a str>,
    pub(super) leg: Option<&'a Uid>,
    /// When the conversation with that member ended, by the queue.
    pub(super) completed: Option<Micros>,
}

/// The visits of a call's channels, in the order of entry.
pub(super) fn visits<'a>(
    lives: &[Life<'a>],
    members: &[usize],
    moments: &'a [Moment<'a>],
    scope: Scope,
) -> Vec<Visit<'a>> {
    let mut visits: Vec<Visit<'a>> = members.iter().flat_map(|&c| visits_of(&lives[c], c, moments, scope)).collect();
    visits.sort_by(|a, b| (a.entered, a.queue).cmp(&(b.entered, b.queue)));
    visits
}

/// What is known of a visit while its moments are read.
struct Open<'a> {
    visit: Visit<'a>,
    exit: Option<(Micros, QueueExit, bool)>,
    left: Option<Micros>,
}

impl Open<'_> {
    fn is_over(&self) -> bool {
        self.exit.is_some() || self.visit.outcome == Outcome::Answered
    }
}

/// Reads one channel's visits. A queue's log has whole seconds, so that leaving one queue and entering the next may come in
/// either order: what ends a visit belongs to the earliest one of that queue that has no end.
fn visits_of<'a>(life: &Life<'a>, channel: usize, moments: &'a [Moment<'a>], scope: Scope) -> Vec<Visit<'a>> {
    let mut opened: Vec<Open<'a>> = Vec::new();
    let mut refusals: Vec<Visit<'a>> = Vec::new();
    for moment in moments.iter().filter(|m| m.channel == channel) {
        match &moment.what {
            What::QueueJoined { queue, .. } => opened.push(enter(queue, channel, moment.at)),
            What::Connected { queue, member, leg } => {
                if let Some(open) = opened.iter_mut().find(|o| o.visit.queue == &**queue && !o.is_over()) {
                    open.visit.outcome = Outcome::Answered;
                    open.visit.member = Some(member);
                    open.visit.leg = leg.as_ref();
                    open.visit.left = Some(moment.at);
                }
            }
            What::QueueExited { queue, how } => {
                if let Some(open) = opened.iter_mut().find(|o| o.visit.queue == &**queue && !o.is_over()) {
                    open.exit = Some((moment.at, *how, moment.tellers.contains(&Teller::QueueLog)));
                }
            }
            What::QueueLeft { queue } => {
                if let Some(open) = opened.iter_mut().find(|o| o.visit.queue == &**queue && o.left.is_none()) {
                    open.left = Some(moment.at);
                }
            }
            What::Completed { queue, .. } => {
                let of_queue = |o: &&mut Open<'_>| o.visit.queue == &**queue && o.visit.outcome == Outcome::Answered;
                if let Some(open) = opened.iter_mut().filter(of_queue).find(|o| o.visit.completed.is_none()) {
                    open.visit.completed = Some(moment.at);
                }
            }
            What::Set { variable: Variable::QueueStatus, value } => match opened.last_mut() {
                Some(open) if open.left.is_some() || open.is_over() => status_told(open, value, life),
                _ => refusals.extend(refused(value, life, channel, moment.at)),
            },
            What::Created { .. }
            | What::Seen { .. }
            | What::Dialled { .. }
            | What::Ringing
            | What::Up
            | What::DialBegan { .. }
            | What::DialEnded { .. }
            | What::Entered { .. }
            | What::Left { .. }
            | What::Held
            | What::Unheld
            | What::HangupAsked { .. }
            | What::SoftHangup { .. }
            | What::Hungup { .. }
            | What::App { .. }
            | What::Set { .. }
            | What::Offered { .. }
            | What::RangOut { .. }
            | What::Transferred { .. }
            | What::PairedWith { .. }
            | What::Parked
            | What::Unparked { .. }
            | What::PickedUp { .. }
            | What::Machine
            | What::Forbidden
            | What::OriginateReason { .. }
            | What::EndedUnseen
            | What::Listed(_) => {}
        }
    }
    opened.into_iter().map(|open| close(open, life, scope)).chain(refusals).collect()
}

fn enter(queue: &str, channel: usize, at: Micros) -> Open<'_> {
    Open {
        visit: Visit {
            queue,
            channel,
            entered: at,
            left: None,
            outcome: Outcome::Lost,
            member: None,
            leg: None,
            completed: None,
        },
        exit: None,
        left: None,
    }
}

/// The visit's end as QUEUESTATUS tells it; the queue's own log and an agent's answer count before.
fn status_told(open: &mut Open<'_>, status: &str, life: &Life<'_>) {
    let told = match status {
        "TIMEOUT" => QueueExit::Timeout,
        "LEAVEEMPTY" | "LEAVEUNAVAIL" => QueueExit::Empty,
        "WITHDRAW" => QueueExit::Withdraw,
        "CONTINUE" => QueueExit::Key,
        _ => return,
    };
    match &mut open.exit {
        Some((_, known, by_log)) if !*by_log => *known = told,
        Some(_) => {}
        None => open.exit = Some((open.left.unwrap_or(life.end), told, false)),
    }
}

fn close<'a>(open: Open<'a>, life: &Life<'a>, scope: Scope) -> Visit<'a> {
    let Open { mut visit, exit, left } = open;
    if visit.outcome == Outcome::Answered {
        return visit;
    }
    if let Some((at, how, _)) = exit {
        visit.left = Some(at);
        visit.outcome = match how {
            QueueExit::Abandon => Outcome::Abandoned,
            QueueExit::Timeout => Outcome::Timeout,
            QueueExit::Key => Outcome::Key,
            QueueExit::Empty => Outcome::Empty,
            QueueExit::Withdraw => Outcome::Withdrawn,
            QueueExit::Other => Outcome::Lost,
        };
        return visit;
    }
    let moved = life.transfers.iter().any(|t| t.at >= visit.entered && left.is_none_or(|l| t.at <= l + 1_000_000));
    match left {
        Some(at) => {
            visit.left = Some(at);
            // Gone from the queue and still up: by a key, unless somebody moved the caller.
            visit.outcome = if moved { Outcome::Transferred } else { Outcome::Key };
        }
        None if scope == Scope::UnderWay && life.gone.is_none() => visit.outcome = Outcome::Waiting,
        // Nobody said that the caller left: gone with the channel, or with the PBX.
        None => {
            visit.left = Some(life.end);
            visit.outcome = if life.gone.is_some() { Outcome::Abandoned } else { Outcome::Lost };
        }
    }
    visit
}

/// A queue that did not take the caller in.
fn refused<'a>(status: &str, life: &Life<'a>, channel: usize, at: Micros) -> Option<Visit<'a>> {
    let outcome = match status {
        "FULL" => Outcome::Full,
        "JOINEMPTY" | "JOINUNAVAIL" => Outcome::JoinEmpty,
        _ => return None,
    };
    let app = life.apps.iter().rev().find(|a| a.name.eq_ignore_ascii_case("Queue") && a.at <= at)?;
    let queue = app.data.split(',').next().unwrap_or(app.data);
    let mut visit = enter(queue, channel, app.at).visit;
    visit.left = Some(at);
    visit.outcome = outcome;
    Some(visit)
}
