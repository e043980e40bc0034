//! What is remembered of a contact: its numbers, its attempts, what was promised to it, and its latest verdict.
//!
//! Small on purpose, since there are millions: what a verdict was decided by and why is in the tables, not here.

use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{Elsewhere, ResultMatch};
use calltide_schemas::recycling::{Attempt, CallingNumber, Loaded};
use calltide_schemas::status::{Class, Status};
use serde::{Deserialize, Serialize};

/// Attempts that are remembered one by one. Rules look back over far fewer; of earlier ones only the number is kept.
const TRIES_MAX: usize = 100;

/// A contact of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Contact {
    pub(super) first_seen: Micros,
    /// When it was put on a list first.
    pub(super) loaded: Option<Micros>,
    /// And last.
    pub(super) loaded_last: Option<Micros>,
    /// Something about it was told as it happened: dialers are told.
    pub(super) live: bool,
    pub(super) lines: Vec<Line>,
    /// What few contacts have.
    pub(super) about: Option<Box<About>>,
    /// Only attempts that began then or later count.
    pub(super) round: Option<Micros>,
    /// By their beginnings.
    pub(super) tries: Vec<Try>,
    /// Attempts before those.
    pub(super) forgotten: u32,
    /// Dials under way.
    pub(super) open: Vec<Open>,
    pub(super) promise: Option<Promise>,
    pub(super) standing: Where,
    /// Who spoke with them elsewhere.
    pub(super) reached: Option<ReachedBy>,
    /// A due message ran out then, or a window was missed: not before.
    pub(super) not_before: Option<Micros>,
    /// Digest of where it went on, so that it is told once.
    pub(super) went_to: Option<u64>,
    /// The call of the latest attempt.
    pub(super) last_call: Option<Box<str>>,
    pub(super) verdict: Option<Given>,
    /// Of its row.
    pub(super) version: u32,
}

/// One of its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) number: CallingNumber,
    /// Why nobody may call it.
    pub(super) suppressed: Option<Box<str>>,
    /// It was called as often as is allowed until then.
    pub(super) capped_until: Option<Micros>,
    /// The list was loaded again without it.
    pub(super) replaced: bool,
}

/// See [`Contact::about`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) tz: Option<Box<str>>,
    pub(super) list: Option<Box<str>>,
    pub(super) person: Option<Box<str>>,
    pub(super) agent: Option<Box<str>>,
    pub(super) from_campaigns: Vec<String>,
    pub(super) lost_call: Option<Box<str>>,
}

/// Whether it is on its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Where {
    /// It is.
    #[default]
    Listed,
    /// It is not called for now.
    Held,
    /// It is not any more.
    Removed,
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Try {
    /// Digest of the call's id.
    pub(super) call: u64,
    pub(super) version: i64,
    pub(super) started: Micros,
    pub(super) ended: Micros,
    pub(super) status: Status,
    pub(super) cause: Option<u16>,
    pub(super) flags: u8,
    /// Which of the lines was dialled.
    pub(super) line: Option<u8>,
}

/// What the flags of a [`Try`] say.
const REACHED: u8 = 1;
const DROPPED: u8 = 2;
const SHORT: u8 = 4;
const DIALLED: u8 = 8;

/// A dial that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    /// Digest of the call's id.
    pub(super) call: u64,
    pub(super) at: Micros,
    pub(super) line: Option<u8>,
}

/// The end of a dial that is told later than that will never be: its PBX is gone for good.
const OPEN_MAX_US: i64 = 24 * 3600 * 1_000_000;

/// A call that was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise {
    pub(super) given: Micros,
    pub(super) at: Micros,
    pub(super) agent: Option<Box<str>>,
    pub(super) line: Option<u8>,
    /// The call that keeps it.
    pub(super) kept_by: Option<u64>,
}

/// Who spoke with them elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReachedBy {
    pub(super) call_id: Box<str>,
    pub(super) by: Elsewhere,
    pub(super) started: Micros,
    pub(super) ended: Micros,
}

/// What a verdict says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Kind {
    Retry,
    Exhausted,
    Done,
    Suppressed,
    Retarget,
    Invalid,
    Held,
    Closed,
}

impl Kind {
    /// The word in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Exhausted => "exhausted",
            Self::Done => "done",
            Self::Suppressed => "suppressed",
            Self::Retarget => "retarget",
            Self::Invalid => "invalid",
            Self::Held => "held",
            Self::Closed => "closed",
        }
    }
}

/// The latest verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) nth: u32,
    pub(super) kind: Kind,
    /// Of what it was decided to be, so that the same is not told twice.
    pub(super) digest: u64,
    /// The line that it wishes to be called on.
    pub(super) line: Option<u8>,
    /// It is what was promised.
    pub(super) promised: bool,
    /// It was dialled: nothing of it is to be taken back.
    pub(super) dialled: bool,
    /// The number's fold does not wait for it any more: whatever is decided next is new.
    pub(super) over: bool,
}

impl Try {
    pub(super) const fn reached(&self) -> bool {
        self.flags & REACHED != 0
    }

    pub(super) const fn dropped(&self) -> bool {
        self.flags & DROPPED != 0
    }

    pub(super) const fn short(&self) -> bool {
        self.flags & SHORT != 0
    }

    pub(super) const fn dialled(&self) -> bool {
        self.flags & DIALLED != 0
    }

    /// Whether a rule's words name its result.
    pub(super) fn is(&self, named: &ResultMatch) -> bool {
        let result = match named.result.as_str() {
            "dropped" => self.dropped(),
            "short" => self.short(),
            status => self.status.name() == status && !self.dropped(),
        };
        result && named.cause.is_none_or(|cause| self.cause == Some(cause))
    }
}

impl Contact {
    /// One that is heard of for the first time.
    pub(super) fn new(at: Micros) -> Self {
        Self { first_seen: at, ..Self::default() }
    }

    /// Attempts that count.
    pub(super) fn counted(&self) -> impl DoubleEndedIterator<Item = &Try> {
        self.tries.iter().filter(|tried| self.round.is_none_or(|round| tried.started >= round))
    }

    /// How many dials of this round are over.
    pub(super) fn dials(&self) -> u32 {
        let earlier = if self.round.is_some() { 0 } else { self.forgotten };
        let dialled = self.counted().filter(|tried| tried.dialled()).count();
        u32::try_from(dialled).unwrap_or(u32::MAX).saturating_add(earlier)
    }

    /// Whether a dial is under way.
    pub(super) fn is_dialled(&self, at: Micros) -> bool {
        self.open.iter().any(|open| open.at + OPEN_MAX_US > at)
    }

    /// The best class of all attempts.
    pub(super) fn best_class(&self) -> Option<Class> {
        self.tries.iter().map(|tried| tried.status.class()).min()
    }

    /// The number's fold does not wait for the latest verdict any more.
    pub(super) fn end_verdict(&mut self) {
        if let Some(given) = &mut self.verdict {
            given.over = true;
        }
    }

    /// What few contacts have.
    pub(super) fn about(&self) -> About {
        self.about.as_deref().cloned().unwrap_or_default()
    }

    /// The place of a number among its lines; a new one is added.
    pub(super) fn line(&mut self, number: &CallingNumber) -> Option<u8> {
        let known = self.lines.iter().position(|line| line.number == *number);
        let place = known.unwrap_or_else(|| {
            let (number, suppressed, capped_until) = (number.clone(), None, None);
            self.lines.push(Line { number, suppressed, capped_until, replaced: false });
            self.lines.len() - 1
        });
        u8::try_from(place).ok()
    }

    /// Takes in that it was put on a list.
    pub(super) fn load(&mut self, said: &Loaded) {
        let again = self.loaded.is_some() || !self.tries.is_empty();
        // An older call that is told again begins nothing.
        let is_later = |at: Option<Micros>| at.is_none_or(|at| said.at > at);
        let is_news = is_later(self.loaded_last) && is_later(self.reached.as_ref().map(|it| it.ended));
        let is_lost = said.lost_call.is_some() && self.about().lost_call.as_deref() != said.lost_call.as_deref();
        if is_lost && again && !is_news {
            return;
        }
        if again && (said.reset || is_lost) {
            self.round = Some(said.at);
            (self.promise, self.reached, self.not_before, self.went_to) = (None, None, None, None);
        }
        self.loaded = self.loaded.or(Some(said.at));
        self.loaded_last = self.loaded_last.max(Some(said.at));
        self.live |= said.live;
        if self.standing == Where::Removed {
            self.standing = Where::Listed;
        }
        for number in &said.numbers {
            self.line(number);
        }
        self.lines.iter_mut().for_each(|line| line.replaced = !said.numbers.contains(&line.number));
        let was = self.about();
        let kept = |said: &Option<String>, was: Option<Box<str>>| said.as_deref().map(Into::into).or(was);
        let about = About {
            tz: kept(&said.tz, was.tz),
            list: kept(&said.list, was.list),
            person: kept(&said.person, was.person),
            agent: kept(&said.agent, was.agent),
            from_campaigns: if said.from_campaigns.is_empty() {
                was.from_campaigns
            } else {
                said.from_campaigns.clone()
            },
            lost_call: kept(&said.lost_call, was.lost_call),
        };
        self.about = (about != About::default()).then(|| Box::new(about));
    }

    /// Takes in an attempt, or its correction. `false`: it is known.
    pub(super) fn attempt(&mut self, said: &Attempt, call: u64) -> bool {
        let dialling = self.open.len();
        self.open.retain(|open| open.call != call);
        let is_over = self.open.len() < dialling;
        let known = self.tries.iter().position(|tried| tried.call == call);
        if let Some(at) = known {
            if self.tries[at].version >= said.version {
                return is_over;
            }
            self.tries.remove(at);
        }
        self.live |= said.live;
        if said.withdrawn {
            let was_last = known == Some(self.tries.len());
            if was_last {
                self.last_call = None;
            }
            return known.is_some() || is_over;
        }
        let line = said.number.as_ref().and_then(|number| self.line(number));
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(said.reached, REACHED)
            | flag(said.dropped, DROPPED)
            | flag(said.short, SHORT)
            | flag(said.dialled, DIALLED);
        let (version, started, ended) = (said.version, said.started_at, said.ended_at);
        let tried = Try { call, version, started, ended, status: said.status, cause: said.cause, flags, line };
        let at = self.tries.partition_point(|other| (other.started, other.call) <= (started, call));
        self.tries.insert(at, tried);
        if at + 1 == self.tries.len() {
            self.last_call = Some(said.call_id.as_str().into());
        }
        // What was promised was kept, or is no longer needed.
        let kept = |it: &Promise| it.kept_by == Some(call) || started >= it.at || (said.reached && started > it.given);
        if self.promise.as_ref().is_some_and(kept) {
            self.promise = None;
        }
        if self.tries.len() > TRIES_MAX {
            self.forgotten += u32::from(self.tries.remove(0).dialled());
        }
        true
    }
}
