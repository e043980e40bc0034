//! Writes a call down for people: the facts in a few lines, then the story with the deciding line marked.
//!
//! Only words and their order are decided here. Names and numbers come from outside, so control characters are replaced.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::find::{Call, Leg, Line, Parts, Visit};
use crate::report_table::clock;

/// What stands before a line of the story that decided the status.
const MARK: &str = "▶";

/// Everything about one call.
pub(super) fn call(call: &Call, parts: &Parts, tz: &TimeZone) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<9} {value}\n"));
    line("call", format!("{}, {} on {}", call.call_id, call.direction, call.pbx));
    line("status", status(call));
    line("because", call.status_evidence.clone());
    for (name, value) in [("number", number(call)), ("campaign", campaign(call))] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("time", times(call, tz));
    line("spans", spans(call));
    if let Some(ended) = ended(call) {
        line("ended", ended);
    }
    for (name, other) in [("part of", &call.consult_of), ("joined", &call.joined_call_id)] {
        if let Some(other) = other {
            line(name, other.clone());
        }
    }
    line(
        "told by",
        format!(
            "{}; version {}{}",
            call.sources,
            call.version,
            if call.settled { ", settled" } else { ", not settled yet" }
        ),
    );
    section(&mut text, "queue visits", parts.visits.iter().map(|visit| visited(visit, tz)));
    section(&mut text, "legs", parts.legs.iter().map(|leg| offered(leg, tz)));
    story(&mut text, &parts.story, tz);
    // Names and numbers come from outside: nothing of them may move the cursor.
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Calls to choose from, the latest first.
pub(super) fn list(calls: &[Call], tz: &TimeZone) -> String {
    let width = calls.iter().map(|call| call.call_id.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for call in calls {
        let number = call.number_e164.as_ref().or(call.number_raw.as_ref()).map_or("withheld", String::as_str);
        let whom = call.agent.as_ref().map(|agent| format!(", {agent}")).unwrap_or_default();
        text.push_str(&format!(
            "{:width$}  {}  {:<8}  {number}  {}{whom}\n",
            call.call_id,
            short(&call.started_at, tz),
            call.direction,
            call.status,
        ));
    }
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn status(call: &Call) -> String {
    let handled = match call.handled_by.as_str() {
        "nobody" => String::new(),
        by => format!(
            ", handled by {}",
            call.agent.as_ref().filter(|_| by == "agent").map_or(by.to_owned(), |a| format!("agent {a}"))
        ),
    };
    let left = call.left_at.as_ref().map(|place| format!(", left at {place}")).unwrap_or_default();
    let mut flags = String::new();
    for (flag, word) in [(call.dropped, ", dropped"), (call.short, ", short")] {
        flags.push_str(if flag { word } else { "" });
    }
    format!("{} ({}){handled}{left}{flags}", call.status, call.class)
}

fn number(call: &Call) -> Option<String> {
    let raw = call.number_raw.as_ref()?;
    let known = call.number_e164.as_ref().filter(|e164| *e164 != raw).map(|e164| format!(" ({e164})"));
    let entry = call.entry.as_ref().map(|entry| format!(", dialled {entry}")).unwrap_or_default();
    Some(format!("{raw}{}{entry}", known.unwrap_or_default()))
}

fn campaign(call: &Call) -> Option<String> {
    let campaign = call.campaign.as_ref()?;
    Some(call.contact.as_ref().map_or(campaign.clone(), |contact| format!("{campaign}, contact {contact}")))
}

fn times(call: &Call, tz: &TimeZone) -> String {
    let answered = call.answered_at.as_ref().map(|at| format!(", answered {}", time_of_day(at, tz)));
    let about = if call.end_estimated { " (estimated)" } else { "" };
    format!(
        "{}{}, ended {}{about}",
        short(&call.started_at, tz),
        answered.unwrap_or_default(),
        time_of_day(&call.ended_at, tz)
    )
}

fn spans(call: &Call) -> String {
    let spans = [("ring", call.ring_ms), ("wait", call.wait_ms), ("talk", call.talk_ms), ("hold", call.hold_ms)];
    let told = spans.iter().filter_map(|(name, ms)| ms.map(|ms| format!("{name} {}", seconds(ms))));
    let told: Vec<_> = told.collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

fn ended(call: &Call) -> Option<String> {
    let by = call.hangup_by.as_ref().map(|by| format!("by {by}"));
    let cause = call.hangup_cause.map(|cause| format!("cause {cause}"));
    let transfers = match call.transfers {
        0 => None,
        1 => Some("after a transfer".to_owned()),
        several => Some(format!("after {several} transfers")),
    };
    let told: Vec<_> = [by, cause, transfers].into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn visited(visit: &Visit, tz: &TimeZone) -> String {
    let by = visit.agent.as_ref().map(|agent| format!(" by {agent}")).unwrap_or_default();
    let wait = seconds(visit.wait_ms);
    format!("{}  {}: {}{by} after {wait}", time_of_day(&visit.entered_at, tz), visit.queue, visit.outcome)
}

fn offered(leg: &Leg, tz: &TimeZone) -> String {
    let agent = leg.agent.as_deref().or(leg.device.as_deref()).unwrap_or("somebody");
    let device = leg.device.as_ref().filter(|device| *device != agent).map(|device| format!(" ({device})"));
    let queue = leg.queue.as_ref().map(|queue| format!(" for {queue}")).unwrap_or_default();
    let spans = [("rang", leg.ring_ms), ("talked", leg.talk_ms), ("held", leg.hold_ms.filter(|ms| *ms > 0))];
    let spans: String =
        spans.iter().filter_map(|(name, ms)| ms.map(|ms| format!(", {name} {}", seconds(ms)))).collect();
    format!(
        "{}  {agent}{}{queue}: {}{spans}",
        time_of_day(&leg.offered_at, tz),
        device.unwrap_or_default(),
        leg.outcome
    )
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{title}\n"));
        lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
}

fn story(text: &mut String, lines: &[Line], tz: &TimeZone) {
    if lines.is_empty() {
        return;
    }
    let widest = |of: fn(&Line) -> &str| lines.iter().map(|line| of(line).chars().count()).max().unwrap_or_default();
    let (sources, channels) = (widest(|line| &line.source), widest(|line| &line.channel));
    text.push_str(&format!("\nstory ({MARK} decided the status)\n"));
    for line in lines {
        let mark = if line.decides.is_some() { MARK } else { " " };
        let at =
            Timestamp::from_microsecond(line.at).map(|at| at.to_zoned(tz.clone()).strftime("%H:%M:%S%.3f").to_string());
        let because = line.decides.as_ref().map(|evidence| format!("   ← {evidence}")).unwrap_or_default();
        text.push_str(&format!(
            "{mark} {}  {:<sources$}  {:<channels$}  {}{because}\n",
            at.unwrap_or_default(),
            line.source,
            line.channel,
            line.what,
        ));
    }
}

/// Whole calls are told in minutes, their parts in tenths of seconds.
fn seconds(ms: i64) -> String {
    if ms < 60_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { clock(ms) }
}

fn short(rfc3339: &str, tz: &TimeZone) -> String {
    shown(rfc3339, tz, "%Y-%m-%d %H:%M:%S %Z")
}

fn time_of_day(rfc3339: &str, tz: &TimeZone) -> String {
    shown(rfc3339, tz, "%H:%M:%S%.3f")
}

fn shown(rfc3339: &str, tz: &TimeZone, format: &str) -> String {
    let at = rfc3339.parse::<Timestamp>();
    at.map_or_else(|_| rfc3339.to_owned(), |at| at.to_zoned(tz.clone()).strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Call {
        Call {
            call_id: "site-a/1.2".to_owned(),
            pbx: "site-a".to_owned(),
            direction: "outbound".to_owned(),
            campaign: Some("autumn".to_owned()),
            contact: Some("17".to_owned()),
            number_raw: Some("74951234567".to_owned()),
            status: "busy".to_owned(),
            class: "unanswered".to_owned(),
            status_evidence: "hangup_cause=17".to_owned(),
            handled_by: "nobody".to_owned(),
            started_at: "2026-03-01T09:00:00.000000Z".to_owned(),
            ended_at: "2026-03-01T09:00:04.500000Z".to_owned(),
            ring_ms: Some(4_500),
            hangup_cause: Some(17),
            settled: true,
            sources: "ami".to_owned(),
            version: 2,
            ..Call::default()
        }
    }

    #[test]
    fn a_busy_call_says_why() {
        let line = |at, what: &str, decides: Option<&str>| Line {
            at,
            source: "ami".to_owned(),
            channel: "PJSIP/trunk-1".to_owned(),
            what: what.to_owned(),
            decides: decides.map(str::to_owned),
        };
        let story = vec![line(1_000, "rings", None), line(2_000, "is gone (cause 17)", Some("hangup_cause=17"))];
        let parts = Parts { story, ..Parts::default() };
        let text = call(&busy(), &parts, &TimeZone::UTC);
        assert!(text.contains("status    busy (unanswered)\nbecause   hangup_cause=17\n"), "{text}");
        assert!(text.contains("campaign  autumn, contact 17\n"), "{text}");
        assert!(
            text.contains("▶ 00:00:00.002  ami  PJSIP/trunk-1  is gone (cause 17)   ← hangup_cause=17\n"),
            "{text}"
        );
        assert!(text.contains("  00:00:00.001  ami  PJSIP/trunk-1  rings\n"), "{text}");
    }

    #[test]
    fn what_comes_from_outside_moves_no_cursor() {
        let call_ = Call { campaign: Some("a\u{1b}[2Jb".to_owned()), ..busy() };
        assert!(!call(&call_, &Parts::default(), &TimeZone::UTC).contains('\u{1b}'));
    }
}
