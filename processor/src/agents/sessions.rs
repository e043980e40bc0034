//! Logins and check-ins of a person: from logins on terminals and PBXs, stays in queues, and the calls that keep them open.
//!
//! The rules of a login are all here: it lasts until the last terminal closes; a logout takes the agent out of every queue but
//! those that they are in by configuration; a call keeps the login open to its end; without any login, the first check-in and the last
//! check-out stand for it. Pure.

use calltide_schemas::Micros;

use super::presence::{EndedBy, Stay};

/// A login on one terminal or PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) from: Micros,
    pub(super) to: Option<(Micros, EndedBy)>,
    pub(super) pbx: Option<String>,
    pub(super) terminal: Option<String>,
    pub(super) device: Option<String>,
}

/// A stay in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueStay {
    pub(super) pbx: String,
    pub(super) queue: String,
    pub(super) device: Option<String>,
    pub(super) stay: Stay,
}

/// A time in which a person speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnCall {
    pub(super) from: Micros,
    pub(super) to: Option<Micros>,
}

/// What a session is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Login { terminal: Option<String> },
    Checkin { queue: String },
}

/// A login, or a stay in a queue as far as logins let it be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) kind: Kind,
    pub(super) pbx: Option<String>,
    pub(super) device: Option<String>,
    pub(super) from: Micros,
    /// When the agent logged out; the session may go on with a call.
    pub(super) logout: Option<Micros>,
    pub(super) to: Option<Micros>,
    pub(super) by: Option<EndedBy>,
}

/// The sessions of a person: logins first.
pub(super) fn sessions(logins: Vec<Login>, stays: &[QueueStay], on_call: &[OnCall]) -> Vec<Session> {
    let mut told = joined(logins, on_call);
    let checkins = checkins(stays, &told);
    told.extend(by_checkins(stays, &told));
    told.sort_by_key(|session| session.from);
    told.extend(checkins);
    // Who is called otherwise twice at one moment was nobody in between.
    told.retain(|session| session.to.is_none_or(|to| session.from < to));
    told
}

/// One session for logins that overlap: whoever is logged in on two terminals is so until the last one closes.
fn joined(mut logins: Vec<Login>, on_call: &[OnCall]) -> Vec<Session> {
    logins.sort_by(|a, b| (a.from, &a.terminal).cmp(&(b.from, &b.terminal)));
    let mut joined: Vec<Login> = Vec::new();
    for login in logins {
        match joined.last_mut().filter(|last| last.to.is_none_or(|(to, _)| login.from < to)) {
            Some(last) => {
                last.to = last.to.zip(login.to).map(|(a, b)| if b.0 >= a.0 { b } else { a });
                last.device = login.device.or(last.device.take());
            }
            None => joined.push(login),
        }
    }
    let begins: Vec<Micros> = joined.iter().skip(1).map(|login| login.from).collect();
    let nexts = begins.into_iter().map(Some).chain([None]);
    joined.into_iter().zip(nexts).map(|(login, next)| lasting(login, next, on_call)).collect()
}

/// A login as long as the calls that were up when the agent logged out.
fn lasting(login: Login, next: Option<Micros>, on_call: &[OnCall]) -> Session {
    let Login { from, to, pbx, terminal, device } = login;
    let logout = to.map(|(at, _)| at);
    let end = logout.and_then(|at| {
        let up = on_call.iter().filter(|call| call.from <= at && call.to.is_none_or(|to| at < to));
        up.map(|call| call.to).try_fold(at, |end, to| to.map(|to| end.max(to)))
    });
    // Whoever logs in again meanwhile begins a new one.
    let end = match (end, next) {
        (Some(end), Some(next)) => Some(end.min(next)),
        (None, Some(next)) => Some(next),
        (end, None) => end,
    };
    let by = end.and(to).map(|(_, by)| by);
    Session { kind: Kind::Login { terminal }, pbx, device, from, logout, to: end, by }
}

/// Where no login is told: from the first check-in to the last check-out. A stay that a login is in is a part of that.
fn by_checkins(stays: &[QueueStay], logins: &[Session]) -> Vec<Session> {
    let mut dynamic: Vec<&QueueStay> = stays.iter().filter(|it| !it.stay.is_static).collect();
    dynamic.sort_by_key(|it| it.stay.from);
    let mut spans: Vec<(Stay, Vec<&QueueStay>)> = Vec::new();
    for it in dynamic {
        match spans.last_mut().filter(|(last, _)| last.to.is_none_or(|(to, _)| it.stay.from <= to)) {
            Some((last, of)) => {
                last.to = last.to.zip(it.stay.to).map(|(a, b)| if b.0 >= a.0 { b } else { a });
                of.push(it);
            }
            None => spans.push((it.stay, vec![it])),
        }
    }
    let is_told = |stay: &Stay| {
        let overlaps =
            |login: &Session| stay.to.is_none_or(|(to, _)| login.from < to) && login.to.is_none_or(|to| stay.from < to);
        logins.iter().any(overlaps)
    };
    spans.retain(|(span, _)| !is_told(span));
    let session = |(span, of): (Stay, Vec<&QueueStay>)| {
        let only = |of_one: fn(&QueueStay) -> Option<&str>| {
            let first = of.first().and_then(|it| of_one(it));
            first.filter(|first| of.iter().all(|it| of_one(it) == Some(first))).map(str::to_owned)
        };
        let by = span.to.map(|(_, by)| if by == EndedBy::Hand { EndedBy::Checkout } else { by });
        let to = span.to.map(|(at, _)| at);
        Session {
            kind: Kind::Login { terminal: None },
            pbx: only(|it| Some(&it.pbx)),
            device: only(|it| it.device.as_deref()),
            from: span.from,
            logout: to,
            to,
            by,
        }
    };
    spans.into_iter().map(session).collect()
}

/// Stays in queues that are no one's configuration, cut by logouts: they go on with the next login, if the PBX kept them.
fn checkins(stays: &[QueueStay], logins: &[Session]) -> Vec<Session> {
    let mut told = Vec::new();
    for it in stays.iter().filter(|it| !it.stay.is_static) {
        let whole = Session {
            kind: Kind::Checkin { queue: it.queue.clone() },
            pbx: Some(it.pbx.clone()),
            device: it.device.clone(),
            from: it.stay.from,
            logout: None,
            to: it.stay.to.map(|(at, _)| at),
            by: it.stay.to.map(|(_, by)| by),
        };
        let mut from = whole.from;
        for (nth, logout) in logins.iter().enumerate().filter_map(|(nth, login)| Some((nth, login.logout?))) {
            if logout <= from || whole.to.is_some_and(|to| to <= logout) {
                continue;
            }
            told.push(Session { from, to: Some(logout), by: Some(EndedBy::Logout), ..whole.clone() });
            let next = logins[nth + 1..].iter().map(|login| login.from).find(|at| *at >= logout);
            match next.filter(|next| whole.to.is_none_or(|to| *next < to)) {
                Some(next) => from = next,
                None => {
                    from = Micros(i64::MAX);
                    break;
                }
            }
        }
        if from.0 != i64::MAX {
            told.push(Session { from, ..whole });
        }
    }
    told
}

/// The stays of a person, one for those in one queue that overlap: sources may name the member differently. While they are in it
/// by configuration, whatever else puts them there says nothing.
pub(super) fn united(mut stays: Vec<QueueStay>) -> Vec<QueueStay> {
    let order = |it: &QueueStay| (it.pbx.clone(), it.queue.clone(), !it.stay.is_static, it.stay.from);
    stays.sort_by_cached_key(order);
    let mut out: Vec<QueueStay> = Vec::new();
    for it in stays {
        let same = |last: &&mut QueueStay| {
            let touches = last.stay.to.is_none_or(|(to, _)| it.stay.from <= to);
            let one = (&last.pbx, &last.queue, last.stay.is_static) == (&it.pbx, &it.queue, it.stay.is_static);
            one && touches && (last.stay.is_static || last.stay.to.is_none_or(|(to, _)| it.stay.from < to))
        };
        match out.last_mut().filter(same) {
            Some(last) => {
                last.stay.to = last.stay.to.zip(it.stay.to).map(|(a, b)| if b.0 >= a.0 { b } else { a });
                last.device = last.device.take().or(it.device);
            }
            None => out.push(it),
        }
    }
    let configured: Vec<QueueStay> = out.iter().filter(|it| it.stay.is_static).cloned().collect();
    out.into_iter().flat_map(|it| if it.stay.is_static { vec![it] } else { outside(it, &configured) }).collect()
}

/// What of a stay is outside of those in the same queue, which are in the order of time.
fn outside(mut it: QueueStay, configured: &[QueueStay]) -> Vec<QueueStay> {
    let mut told = Vec::new();
    for other in configured.iter().filter(|other| (&other.pbx, &other.queue) == (&it.pbx, &it.queue)) {
        let (from, to) = (other.stay.from, other.stay.to.map(|(to, _)| to));
        if to.is_some_and(|to| to <= it.stay.from) || it.stay.to.is_some_and(|(end, _)| end <= from) {
            continue;
        }
        if it.stay.from < from {
            let stay = Stay { to: Some((from, EndedBy::Directory)), ..it.stay };
            told.push(QueueStay { stay, ..it.clone() });
        }
        match to.filter(|to| it.stay.to.is_none_or(|(end, _)| *to < end)) {
            Some(to) => it.stay.from = to,
            None => return told,
        }
    }
    told.push(it);
    told
}
