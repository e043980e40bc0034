//! What a person did, as one sequence of states without holes or overlaps, from spans that may overlap: logins, stays, pauses,
//! calls, wrap-ups.
//!
//! At each moment the strongest state wins: on_call, hold, ringing, wrap_up, paused, available. Where nobody is logged in there
//! is only what calls show. Any window of it can be told alone, so that a change tells no more anew than it must. Pure.

use calltide_schemas::Micros;
use calltide_schemas::agents::Doing;

use super::presence::Pause;
use super::sessions::QueueStay;

/// What a person does. The first is the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum State {
    OnCall,
    Hold,
    Ringing,
    WrapUp,
    Paused,
    Available,
}

impl State {
    /// The word in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OnCall => "on_call",
            Self::Hold => "hold",
            Self::Ringing => "ringing",
            Self::WrapUp => "wrap_up",
            Self::Paused => "paused",
            Self::Available => "available",
        }
    }
}

/// A call's part in a timeline, or what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Busy {
    pub(super) state: State,
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
    pub(super) pbx: String,
    pub(super) queue: Option<String>,
    pub(super) call_id: Option<String>,
}

impl Busy {
    /// The state in which an agent is who does that.
    pub(super) const fn state_of(doing: Doing) -> State {
        match doing {
            Doing::Talking => State::OnCall,
            Doing::Hold => State::Hold,
            Doing::Ringing => State::Ringing,
        }
    }
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoggedIn {
    pub(super) session_id: String,
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
}

/// Pauses in one queue of one PBX; in all of them if it names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuePause {
    pub(super) pbx: String,
    pub(super) queue: Option<String>,
    pub(super) pause: Pause,
}

/// All that a timeline is told from.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    pub(super) logins: Vec<LoggedIn>,
    pub(super) stays: Vec<QueueStay>,
    pub(super) pauses: Vec<QueuePause>,
    pub(super) busy: Vec<Busy>,
}

/// A part of a timeline; without an end it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
}

impl Window {
    /// The smallest that holds both.
    pub(super) fn hull(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.zip(other.to).map(|(a, b)| a.max(b)) }
    }

    fn meets(self, from: Micros, to: Option<Micros>) -> bool {
        self.to.is_none_or(|end| from < end) && to.is_none_or(|to| self.from < to)
    }
}

/// A state with its time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Interval {
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
    pub(super) is: Moment,
}

/// What is so at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) pbx: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) call_id: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) while_paused: bool,
    pub(super) at_once: usize,
}

/// The states of a window, as far as `now`.
pub(super) fn intervals(spans: &Spans, window: Window, now: Micros) -> Vec<Interval> {
    let spans = spans.within(window);
    let mut told: Vec<Interval> = Vec::new();
    let edges = spans.edges(window, now);
    for (nth, &at) in edges.iter().enumerate() {
        let to = edges.get(nth + 1).copied().or(window.to);
        let Some(is) = spans.moment(at) else { continue };
        match told.last_mut().filter(|last| last.to == Some(at) && last.is == is) {
            Some(last) => last.to = to,
            None => told.push(Interval { from: at, to, is }),
        }
    }
    told
}

impl Spans {
    fn within(&self, window: Window) -> Self {
        let keep = |from, to: Option<Micros>| window.meets(from, to);
        Self {
            logins: self.logins.iter().filter(|it| keep(it.from, it.to)).cloned().collect(),
            stays: self.stays.iter().filter(|it| keep(it.stay.from, it.stay.to.map(|(to, _)| to))).cloned().collect(),
            pauses: self.pauses.iter().filter(|it| keep(it.pause.from, it.pause.to)).cloned().collect(),
            busy: self.busy.iter().filter(|it| keep(it.from, it.to)).cloned().collect(),
        }
    }

    /// Where something may change, up to `now`.
    fn edges(&self, window: Window, now: Micros) -> Vec<Micros> {
        let mut edges = vec![window.from];
        let mut edge = |from: Micros, to: Option<Micros>| edges.extend([Some(from), to].into_iter().flatten());
        self.logins.iter().for_each(|it| edge(it.from, it.to));
        self.stays.iter().for_each(|it| edge(it.stay.from, it.stay.to.map(|(to, _)| to)));
        self.pauses.iter().for_each(|it| edge(it.pause.from, it.pause.to));
        self.busy.iter().for_each(|it| edge(it.from, it.to));
        edges.retain(|at| *at >= window.from && *at <= now.max(window.from) && window.to.is_none_or(|end| *at < end));
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// What is so then; nothing if the person is neither logged in nor in a call.
    fn moment(&self, at: Micros) -> Option<Moment> {
        let is_on = |from: Micros, to: Option<Micros>| from <= at && to.is_none_or(|to| at < to);
        let session_id = self.logins.iter().find(|it| is_on(it.from, it.to)).map(|it| it.session_id.clone());
        let paused = self.paused(at);
        let busy = || self.busy.iter().filter(|it| is_on(it.from, it.to));
        // Of several the strongest, of those the one that began last.
        let strongest = busy().min_by(|a, b| (a.state, b.from, &a.call_id).cmp(&(b.state, a.from, &b.call_id)));
        let at_once = busy().filter(|it| it.state <= State::Hold).count();
        let while_paused = matches!(paused, Paused::Everywhere { .. });
        if let Some(it) = strongest {
            return Some(Moment {
                state: it.state,
                reason: None,
                pbx: Some(it.pbx.clone()),
                queue: it.queue.clone(),
                call_id: it.call_id.clone(),
                session_id,
                while_paused,
                at_once,
            });
        }
        let session_id = Some(session_id?);
        let (state, reason, queue) = match paused {
            Paused::Everywhere { reason } => (State::Paused, reason, None),
            Paused::In { queues, reason } => (State::Available, reason, Some(queues)),
            Paused::Nowhere => (State::Available, None, None),
        };
        Some(Moment { state, reason, pbx: None, queue, call_id: None, session_id, while_paused: false, at_once })
    }

    /// Where the person is paused: everywhere if in every queue that they are in.
    fn paused(&self, at: Micros) -> Paused {
        let is_on = |from: Micros, to: Option<Micros>| from <= at && to.is_none_or(|to| at < to);
        let on: Vec<&QueuePause> = self.pauses.iter().filter(|it| is_on(it.pause.from, it.pause.to)).collect();
        if on.is_empty() {
            return Paused::Nowhere;
        }
        let in_queues: Vec<&QueueStay> =
            self.stays.iter().filter(|it| is_on(it.stay.from, it.stay.to.map(|(to, _)| to))).collect();
        let holds = |pause: &QueuePause, stay: &QueueStay| {
            pause.pbx == stay.pbx && pause.queue.as_ref().is_none_or(|queue| *queue == stay.queue)
        };
        let held: Vec<&&QueueStay> =
            in_queues.iter().filter(|stay| on.iter().any(|pause| holds(pause, stay))).collect();
        let latest = on.iter().max_by_key(|it| it.pause.from).and_then(|it| it.pause.reason.clone());
        match (held.len(), in_queues.len()) {
            // In no queue: what was said of all of them counts.
            (0, 0) if on.iter().any(|pause| pause.queue.is_none()) => Paused::Everywhere { reason: latest },
            (0, _) => Paused::Nowhere,
            (some, all) if some == all => Paused::Everywhere { reason: latest },
            _ => {
                let mut queues: Vec<&str> = held.iter().map(|stay| &*stay.queue).collect();
                queues.sort_unstable();
                queues.dedup();
                Paused::In { queues: queues.join(","), reason: latest }
            }
        }
    }
}

/// Where a person is paused.
enum Paused {
    Nowhere,
    In { queues: String, reason: Option<String> },
    Everywhere { reason: Option<String> },
}
