//! queue_log lines to facts: one `match` on the event's word. Times are whole seconds; the subject is the caller's channel.
//!
//! Lines of agents and members (ADDMEMBER, PAUSE, AGENTLOGIN, …) say nothing of a call: see `members`.

use calltide_schemas::envelope::Envelope;

use super::{CompletedBy, Decoded, QueueExit, Said, Teller, TransferKind, What, filled, members};

/// Decodes one line: time, call id, queue, agent, event, data….
pub fn decode(line: &Envelope<'_>) -> Decoded {
    let mut out = Decoded::default();
    let field = |n: usize| line.fields.get(n).map_or("", |f| f.as_str());
    if line.fields.len() < 5 {
        out.problem = Some(("malformed", "a queue_log line with fewer than five fields".to_owned()));
        return out;
    }
    let (uid, event) = (field(1), field(4));
    let queue = || -> Box<str> { field(2).into() };
    let member = || -> Box<str> { field(3).into() };
    let exited = |how| What::QueueExited { queue: queue(), how };
    let completed = |by| What::Completed { queue: queue(), member: member(), by };
    let moved = |kind, exten| What::Transferred { kind, by: None, target: None, exten };
    let what = match event {
        "QUEUESTART" => {
            out.said.push(Said::Booted { at: line.at });
            return out;
        }
        "ENTERQUEUE" => What::QueueJoined { queue: queue(), caller: filled(field(6)) },
        "CONNECT" => What::Connected { queue: queue(), member: member(), leg: filled(field(6)) },
        "COMPLETEAGENT" => completed(CompletedBy::Agent),
        "COMPLETECALLER" => completed(CompletedBy::Caller),
        "ABANDON" => exited(QueueExit::Abandon),
        "EXITWITHTIMEOUT" => exited(QueueExit::Timeout),
        "EXITWITHKEY" => exited(QueueExit::Key),
        "EXITEMPTY" => exited(QueueExit::Empty),
        "WITHDRAW" => exited(QueueExit::Withdraw),
        "SYSCOMPAT" => exited(QueueExit::Other),
        "RINGNOANSWER" => What::RangOut { queue: queue(), member: member(), leg: None, cancelled: false },
        "RINGCANCELED" => What::RangOut { queue: queue(), member: member(), leg: None, cancelled: true },
        "BLINDTRANSFER" | "TRANSFER" => {
            out.say(line.at, Teller::QueueLog, uid, completed(CompletedBy::Transfer));
            moved(TransferKind::Blind, filled(field(5)))
        }
        "ATTENDEDTRANSFER" => {
            out.say(line.at, Teller::QueueLog, uid, completed(CompletedBy::Transfer));
            moved(TransferKind::Attended, None)
        }
        _ => {
            if event == "AGENTLOGIN" {
                // The channel on which the agent stays for the shift.
                let app = What::App { name: "AgentLogin".into(), data: None, exten: None };
                out.say(line.at, Teller::QueueLog, uid, app);
            }
            out.said.extend(members::of_queue_log(line.at, event, [field(2), field(3), field(5)]));
            return out;
        }
    };
    if uid != "NONE" && uid != "REALTIME" && uid != "MANAGER" && uid != "CLI" {
        out.say(line.at, Teller::QueueLog, uid, what);
    }
    out
}
