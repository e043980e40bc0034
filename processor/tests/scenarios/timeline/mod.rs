//! A day at a contact centre, line by line, and the events that a PBX would write of it.
//!
//! `09:00:05 queue sales offers T to agent Agent/101 at PJSIP/101 as A` becomes what AMI, CEL and queue_log say of that, in
//! the order and with the oddities of recorded servers. Channels are called by names given with `as`. The parts: [`pbx`] the
//! words of the three logs, [`dialling`], [`queueing`] and [`moving`] what happens, [`records`] the envelopes.
//! A line that is not understood fails the test.

mod dialling;
mod moving;
mod pbx;
mod queueing;
pub(crate) mod records;

use calltide_schemas::envelope::Source;

use pbx::Pbx;
pub(crate) use pbx::Told;

/// The day of all timelines, a Monday: 2026-03-02 00:00:00 UTC.
pub(crate) const DAY_SECS: i64 = 1_772_409_600;

/// What the PBX says of a timeline, in the order of its own clock.
pub(crate) fn told(timeline: &str) -> Vec<Told> {
    let mut pbx = Pbx::new();
    for line in timeline.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no time in line: {line}"));
        pbx.clock(parse_time(time).unwrap_or_else(|| panic!("no time in line: {line}")));
        let words: Vec<&str> = rest.split_whitespace().collect();
        let understood =
            pbx.dialling(&words) || pbx.queueing(&words) || pbx.moving(&words) || machine(&mut pbx, &words);
        assert!(understood, "line not understood: {line}");
    }
    pbx.told
}

/// `HH:MM:SS` as microseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, secs) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some((DAY_SECS + hours * 3600 + minutes * 60 + secs) * 1_000_000)
}

/// What happens to the server itself.
fn machine(pbx: &mut Pbx, words: &[&str]) -> bool {
    match *words {
        ["PBX", "restarts"] => {
            pbx.ami("FullyBooted", &[pbx::is("Uptime", "2"), pbx::is("Status", "Fully Booted")]);
            pbx.queue_log("NONE", "NONE", "NONE", "QUEUESTART", &[""]);
            pbx.forget_all();
        }
        ["AMI", "reconnects"] => {
            pbx.ami("FullyBooted", &[pbx::is("Uptime", "86400"), pbx::is("Status", "Fully Booted")]);
        }
        // Before Asterisk 14 it does not say since when it is up.
        ["AMI", "reconnects", "to", "an", "old", "server"] => {
            pbx.ami("FullyBooted", &[pbx::is("Status", "Fully Booted")]);
        }
        ["AMI", "is", "cut"] => pbx.cut_ami(),
        ["AMI", "is", "back"] => pbx.restore_ami(),
        ["PBX", "shuts", "down"] => {
            pbx.ami("Shutdown", &[pbx::is("Shutdown", "Cleanly"), pbx::is("Restart", "False")]);
            pbx.forget_all();
        }
        ["heartbeat"] => pbx.say(Source::Heartbeat, Vec::new(), Vec::new()),
        ["import", "ends"] => pbx.say(Source::ImportEnd, Vec::new(), Vec::new()),
        ["import", "ends,", "calls", "stay", "open"] => {
            pbx.say(Source::ImportEnd, Vec::new(), vec!["keep_open".into()])
        }
        _ => return false,
    }
    true
}
