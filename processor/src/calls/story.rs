//! The story of a call: one sentence per moment, and a mark on the one that decided its status.
//!
//! It only tells: nothing is decided here, and no row depends on its words.

use calltide_schemas::Micros;
use calltide_schemas::status::Verdict;
use serde::Serialize;

use super::channel::Life;
use super::roles::{Cast, Direction};
use super::timeline::Moment;
use crate::vocabulary::{CompletedBy, Dialler, QueueExit, TransferKind, Variable, What};

/// One line of the story.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: Micros,
    source: &'static str,
    channel: &'a str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decides: Option<&'a str>,
}

/// The most lines of a story: a caller who waited for an hour while a hundred telephones rang has more. Its begin and its end
/// are told, and the line that decided.
const LINES_MAX: usize = 1_000;
/// The longest sentence, in bytes: a dialplan may run an application with any data.
const SENTENCE_MAX: usize = 1_000;

/// The story as JSON; see the table `stories`.
pub(super) fn story(lives: &[Life<'_>], cast: &Cast, moments: &[Moment<'_>], verdict: &Verdict) -> String {
    let mut decided = false;
    let mut lines: Vec<Line<'_>> = moments
        .iter()
        .filter(|m| cast.members.contains(&m.channel))
        .filter_map(|moment| {
            let mut what = sentence(moment, lives)?;
            what.truncate(what.floor_char_boundary(SENTENCE_MAX));
            let decides = !decided && decides(moment, lives, cast, &verdict.evidence);
            decided |= decides;
            let life = &lives[moment.channel];
            Some(Line {
                at: moment.at,
                source: moment.tellers.first().map_or("", |t| t.name()),
                channel: if life.name.is_empty() { life.uid } else { life.name },
                what,
                decides: decides.then_some(verdict.evidence.as_str()),
            })
        })
        .collect();
    shorten(&mut lines);
    serde_json::to_string(&lines).unwrap_or_default()
}

/// Leaves out what is in the middle of too long a story, and says so.
fn shorten(lines: &mut Vec<Line<'_>>) {
    let Some(middle) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) else { return };
    let left_out = LINES_MAX / 2..LINES_MAX / 2 + middle;
    let (at, source) = (lines[left_out.start].at, lines[left_out.start].source);
    let what = format!("and {middle} more lines, which the table `inputs` has");
    let kept: Vec<_> = lines.splice(left_out, [Line { at, source, channel: "", what, decides: None }]).collect();
    // The line that decided is told, wherever it was.
    let decided = kept.into_iter().find(|line| line.decides.is_some());
    lines.splice(LINES_MAX / 2 + 1..LINES_MAX / 2 + 1, decided);
}

fn name<'a>(lives: &'a [Life<'_>], uid: Option<&'a crate::vocabulary::Uid>) -> &'a str {
    let Some(uid) = uid else { return "somebody" };
    lives.iter().find(|l| l.uid == uid && !l.name.is_empty()).map_or(uid, |l| l.name)
}

/// What happened, in a sentence about the channel; nothing for what only names it.
fn sentence(moment: &Moment<'_>, lives: &[Life<'_>]) -> Option<String> {
    let cause = |cause: &Option<u16>| cause.map(|c| format!(" (cause {c})")).unwrap_or_default();
    Some(match &moment.what {
        What::Created { context, exten, caller, .. } => {
            let (context, exten) = (context.as_deref().unwrap_or("no context"), exten.as_deref().unwrap_or("none"));
            let caller = caller.as_ref().map(|c| format!(", caller {c}")).unwrap_or_default();
            format!("appeared in {context}, extension {exten}{caller}")
        }
        What::Seen { .. } | What::PairedWith { .. } | What::QueueLeft { .. } => return None,
        What::Dialled { by: Dialler::Dialplan } => "was dialled by the dialplan".to_owned(),
        What::Dialled { by: Dialler::Originate } => "was dialled by an Originate".to_owned(),
        What::Dialled { by: Dialler::Queue } => "was dialled by a queue".to_owned(),
        What::Ringing => "rings".to_owned(),
        What::Up => "is up".to_owned(),
        What::DialBegan { caller: None, dialled } => format!("an Originate dials {dialled}"),
        What::DialBegan { caller, dialled } => format!("{} dials {dialled}", name(lives, caller.as_ref())),
        What::DialEnded { status, .. } => format!("the dial ended: {}", status.name()),
        What::Entered { bridge, .. } => format!("entered bridge {bridge}"),
        What::Left { bridge } => format!("left bridge {bridge}"),
        What::Held => "put the other side on hold".to_owned(),
        What::Unheld => "took the other side back from hold".to_owned(),
        What::HangupAsked { cause: c } => format!("its far end hung up{}", cause(c)),
        What::SoftHangup { cause: c } => format!("was asked to hang up by our side{}", cause(c)),
        What::Hungup { cause: c, .. } => format!("is gone{}", cause(c)),
        What::App { name, data, .. } => format!("runs {name}({})", data.as_deref().unwrap_or("")),
        What::Set { variable, value } => match variable {
            Variable::Campaign => format!("belongs to campaign {value}"),
            Variable::Contact => format!("calls contact {value}"),
            Variable::Amd => format!("AMDSTATUS is {value}"),
            Variable::QueueStatus => format!("QUEUESTATUS is {value}"),
            Variable::MailboxStatus => format!("VMSTATUS is {value}"),
            Variable::DialStatus => format!("DIALSTATUS is {value}"),
        },
        What::QueueJoined { queue, .. } => format!("entered queue {queue}"),
        What::QueueExited { queue, how } => left_queue(queue, *how),
        What::Offered { queue, member, .. } => format!("queue {queue} offers it to {member}"),
        What::RangOut { member, cancelled: false, .. } => format!("{member} did not answer"),
        What::RangOut { member, cancelled: true, .. } => format!("the ringing of {member} was cancelled"),
        What::Connected { queue, member, .. } => format!("queue {queue} connected it with {member}"),
        What::Completed { member, by, .. } => match by {
            CompletedBy::Agent => format!("{member} ended the conversation"),
            CompletedBy::Caller => format!("the caller ended the conversation with {member}"),
            CompletedBy::Transfer => format!("{member} transferred it"),
        },
        What::Transferred { kind, by, exten, .. } => format!(
            "was transferred ({}) by {}{}",
            match kind {
                TransferKind::Blind => "blind",
                TransferKind::Attended => "attended",
            },
            name(lives, by.as_ref()),
            exten.as_ref().map(|e| format!(" to {e}")).unwrap_or_default()
        ),
        What::Parked => "was parked".to_owned(),
        What::Unparked { .. } => "came back from parking".to_owned(),
        What::PickedUp { by } => format!("was picked up by {}", name(lives, Some(by))),
        What::Machine => "a machine answered".to_owned(),
        What::Forbidden => "the dial was forbidden".to_owned(),
        What::OriginateReason { reason } => format!("the Originate was answered with Reason {reason}"),
        What::EndedUnseen if lives[moment.channel].gone.is_some() => return None,
        What::EndedUnseen => {
            "was up when the connection to the PBX was cut, and gone when it was made again".to_owned()
        }
        What::Listed(_) => "was there when the connection to the PBX was made".to_owned(),
    })
}

fn left_queue(queue: &str, how: QueueExit) -> String {
    match how {
        QueueExit::Abandon => format!("left queue {queue}: abandoned"),
        QueueExit::Timeout => format!("left queue {queue}: time-out"),
        QueueExit::Key => format!("left queue {queue}: by key"),
        QueueExit::Empty => format!("left queue {queue}: no agents there"),
        QueueExit::Withdraw => format!("was withdrawn from queue {queue}"),
        QueueExit::Other => format!("left queue {queue}"),
    }
}

/// Whether this is the moment that the evidence is about.
fn decides(moment: &Moment<'_>, lives: &[Life<'_>], cast: &Cast, evidence: &str) -> bool {
    let decisive = moment.channel == cast.decisive;
    match &moment.what {
        What::Up => decisive && evidence == "customer leg up",
        What::Hungup { .. } => {
            decisive && (evidence.starts_with("hangup_cause=") || evidence.starts_with("hangupsource="))
        }
        What::HangupAsked { .. } => decisive && evidence.starts_with("hang-up request"),
        What::SoftHangup { .. } => {
            evidence.starts_with("hung up by our side") || evidence.starts_with("ended by our side")
        }
        What::DialEnded { .. } => decisive && evidence.starts_with("dial_status="),
        What::Transferred { .. } => evidence == "transfer completed",
        What::Machine => evidence.starts_with("UserEvent"),
        What::Set { variable: Variable::Amd, .. } => evidence.starts_with("AMDSTATUS="),
        What::App { name, .. } => match evidence {
            "mailbox" => name.eq_ignore_ascii_case("VoiceMail") || name.eq_ignore_ascii_case("MiniVM"),
            "taken by a conference" => name.eq_ignore_ascii_case("ConfBridge") || name.eq_ignore_ascii_case("MeetMe"),
            _ => false,
        },
        What::QueueExited { .. } => evidence == "queue_log ABANDON",
        What::Connected { member, .. } => evidence.strip_prefix("taken by agent ") == Some(member),
        What::Entered { .. } => {
            let by = evidence.strip_prefix("taken by agent ");
            cast.direction == Direction::Inbound && by == Some(lives[moment.channel].endpoint())
        }
        What::Forbidden => evidence.starts_with("told by the dialplan"),
        What::OriginateReason { .. } => evidence.starts_with("originate_reason="),
        What::Created { .. }
        | What::Seen { .. }
        | What::Dialled { .. }
        | What::Ringing
        | What::DialBegan { .. }
        | What::Left { .. }
        | What::Held
        | What::Unheld
        | What::Set { .. }
        | What::QueueJoined { .. }
        | What::QueueLeft { .. }
        | What::Offered { .. }
        | What::RangOut { .. }
        | What::Completed { .. }
        | What::PairedWith { .. }
        | What::Parked
        | What::Unparked { .. }
        | What::PickedUp { .. }
        | What::EndedUnseen
        | What::Listed(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_a_story_keeps_its_begin_its_end_and_the_line_that_decided() {
        let line = |n: usize| Line {
            at: Micros(n as i64),
            source: "ami",
            channel: "c",
            what: n.to_string(),
            decides: (n == LINES_MAX + 7).then_some("cause:16"),
        };
        let mut short: Vec<_> = (0..LINES_MAX).map(line).collect();
        shorten(&mut short);
        assert_eq!(short.len(), LINES_MAX);
        let mut long: Vec<_> = (0..3 * LINES_MAX).map(line).collect();
        shorten(&mut long);
        let told: Vec<_> = long.iter().map(|line| line.what.as_str()).collect();
        let (half, middle) = (LINES_MAX / 2, LINES_MAX * 2);
        assert_eq!(told[half - 1], (half - 1).to_string());
        assert_eq!(told[half], format!("and {middle} more lines, which the table `inputs` has"));
        assert_eq!((told[half + 1], long[half + 1].decides), ((LINES_MAX + 7).to_string().as_str(), Some("cause:16")));
        assert_eq!(told[half + 2], (half + middle).to_string());
        assert_eq!(
            (long.len(), *told.last().unwrap_or(&"")),
            (LINES_MAX + 2, (3 * LINES_MAX - 1).to_string().as_str())
        );
    }
}
