//! What must be so of every timeline, looked at whenever one is told: a violation is counted and becomes a row of `rejects`.
//!
//! The parts of a login neither overlap nor leave holes, and so sum up to it.

use super::timeline::{Interval, LoggedIn, Window};

/// A violation, in a sentence; `None` where the window's intervals are as they must be.
pub(super) fn violated(intervals: &[Interval], logins: &[LoggedIn], window: Window) -> Option<String> {
    for pair in intervals.windows(2) {
        if pair[0].to.is_none_or(|to| to > pair[1].from) {
            return Some(format!("the states from {} and from {} overlap", pair[0].from.0, pair[1].from.0));
        }
    }
    if let Some(bad) = intervals.iter().find(|it| it.to.is_some_and(|to| to <= it.from)) {
        return Some(format!("the state from {} lasts no time", bad.from.0));
    }
    logins.iter().find_map(|login| hole(intervals, login, window))
}

/// The first moment of a login, within the window, of which no state is told as a part of that login.
fn hole(intervals: &[Interval], login: &LoggedIn, window: Window) -> Option<String> {
    let mut at = login.from.max(window.from);
    let end = match (login.to, window.to) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let of_login = intervals.iter().filter(|it| it.is.session_id.as_deref() == Some(&*login.session_id));
    for it in of_login {
        if it.from > at {
            break;
        }
        match it.to {
            Some(to) => at = at.max(to),
            None => return None,
        }
    }
    let is_whole = end.is_some_and(|end| at >= end);
    (!is_whole).then(|| format!("the login {} has no state at {}", login.session_id, at.0))
}
