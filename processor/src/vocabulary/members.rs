//! What AMI and the queue's log tell of agents beside calls: who is in which queue, paused, logged in, and from where phones
//! are registered.
//!
//! Field names follow Asterisk 11 to 23 (`app_queue.c`, `app_agent_pool.c`, `pjsip_options.c`, `chan_sip.c`). It must not know
//! who a member is.

use calltide_schemas::Micros;
use calltide_schemas::agents::{Member, MemberWhat};

use super::ami::Event;
use super::{Decoded, Said, Teller, filled};

/// Nobody has longer after a call.
const A_DAY_S: std::ops::RangeInclusive<i64> = 0..=24 * 3_600;

/// An AMI event about a member, an agent or a phone.
pub(super) fn of_ami(e: Event<'_>, name: &str, out: &mut Decoded) {
    match name {
        "QueueMemberAdded" => {
            out.said.push(ami(e, if e.get("Membership") == "static" { listed(e) } else { MemberWhat::CheckedIn }));
            if e.get("Paused") == "1" {
                out.said.push(ami(e, paused(e)));
            }
            out.said.extend(wrap_up(e));
        }
        "QueueMemberRemoved" => out.said.push(ami(e, MemberWhat::CheckedOut)),
        "QueueMemberPause" | "QueueMemberPaused" => out.said.push(ami(e, paused(e))),
        "QueueMember" => {
            out.said.push(ami(e, listed(e)));
            out.said.extend(wrap_up(e));
        }
        "QueueStatusComplete" => out.said.push(Said::MembersListed { at: e.at }),
        "AgentLogin" | "Agentlogin" => out.said.extend(agent(e, MemberWhat::LoggedIn)),
        "AgentLogoff" | "Agentlogoff" => out.said.extend(agent(e, MemberWhat::LoggedOut)),
        "ContactStatus" => out.said.extend(contact(e)),
        "PeerStatus" => out.said.extend(peer(e)),
        _ => {}
    }
}

/// A line of the queue's log about a member; its fields are queue, agent, and the first of its data.
pub(super) fn of_queue_log(at: Micros, event: &str, [queue, agent, data]: [&str; 3]) -> Vec<Said> {
    let queue = filled(queue).filter(|queue| &**queue != "NONE").map(String::from);
    let Some(agent) = filled(agent).filter(|agent| &**agent != "NONE") else { return Vec::new() };
    let is_login = matches!(event, "AGENTLOGIN" | "AGENTLOGOFF" | "AGENTCALLBACKLOGIN" | "AGENTCALLBACKLOGOFF");
    let agent = if is_login { pooled(&agent) } else { agent.into() };
    let member = Member { agent, queue, device: None };
    let say = |what| Said::Member { at, teller: Teller::QueueLog, member: member.clone(), what };
    let reason = || filled(data).map(String::from);
    match event {
        "ADDMEMBER" if data == "PAUSED" => vec![say(MemberWhat::CheckedIn), say(MemberWhat::Paused(None))],
        "ADDMEMBER" => vec![say(MemberWhat::CheckedIn)],
        "REMOVEMEMBER" => vec![say(MemberWhat::CheckedOut)],
        "PAUSE" | "PAUSEALL" => vec![say(MemberWhat::Paused(reason()))],
        "UNPAUSE" | "UNPAUSEALL" => vec![say(MemberWhat::Unpaused)],
        "AGENTLOGIN" | "AGENTCALLBACKLOGIN" => vec![say(MemberWhat::LoggedIn)],
        "AGENTLOGOFF" | "AGENTCALLBACKLOGOFF" => vec![say(MemberWhat::LoggedOut)],
        "WRAPUPSTART" => {
            let secs = data.parse::<i64>().ok().filter(|secs| A_DAY_S.contains(secs));
            secs.map(|secs| say(MemberWhat::WrapUp(secs * 1_000))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn ami(e: Event<'_>, what: MemberWhat) -> Said {
    // The list of members and events before Asterisk 13 have other names for the same.
    let one_of = |names: [&str; 2]| names.into_iter().find_map(|name| filled(e.get(name))).map(String::from);
    // A member whose state is that of an agent is called so by `AgentLogin`.
    let of_pool = e.get("StateInterface").strip_prefix("Agent:").and_then(filled).map(|id| pooled(&id));
    let device = of_pool.or_else(|| one_of(["Interface", "Location"]));
    let agent = one_of(["MemberName", "Name"]).or_else(|| device.clone()).unwrap_or_default();
    let member = Member { agent, queue: filled(e.get("Queue")).map(String::from), device };
    Said::Member { at: e.at, teller: Teller::Ami, member, what }
}

/// An agent's login names the bare id; queues call the same agent `Agent/<id>`.
fn pooled(id: &str) -> String {
    if id.contains('/') { id.to_owned() } else { format!("Agent/{id}") }
}

fn paused(e: Event<'_>) -> MemberWhat {
    // `Reason` before Asterisk 13.
    let reason = || filled(e.get("PausedReason")).or_else(|| filled(e.get("Reason"))).map(String::from);
    if e.get("Paused") == "1" { MemberWhat::Paused(reason()) } else { MemberWhat::Unpaused }
}

fn listed(e: Event<'_>) -> MemberWhat {
    MemberWhat::Listed {
        is_static: e.get("Membership") == "static",
        since: e.get("LoginTime").parse().ok().filter(|secs| *secs > 0).map(Micros::from_secs),
        is_paused: e.get("Paused") == "1",
        reason: filled(e.get("PausedReason")).map(String::from),
    }
}

/// `Wrapuptime` of the member's queue, in seconds (Asterisk 16 and later).
fn wrap_up(e: Event<'_>) -> Option<Said> {
    let secs: i64 = e.get("Wrapuptime").parse().ok()?;
    A_DAY_S.contains(&secs).then(|| ami(e, MemberWhat::WrapUpSetting(secs * 1_000)))
}

fn agent(e: Event<'_>, what: MemberWhat) -> Option<Said> {
    let member = Member { agent: pooled(&filled(e.get("Agent"))?), queue: None, device: None };
    Some(Said::Member { at: e.at, teller: Teller::Ami, member, what })
}

/// PJSIP: the address is in the contact's URI, e.g. `sip:101@10.0.0.5:5060;transport=udp`.
fn contact(e: Event<'_>) -> Option<Said> {
    let device = format!("PJSIP/{}", filled(e.get("EndpointName"))?);
    let gone = matches!(e.get("ContactStatus"), "Removed" | "Unreachable");
    let address = e.get("URI").split('@').nth(1).and_then(host);
    // A contact without an address says nothing of one.
    (gone || address.is_some()).then(|| Said::Registered {
        at: e.at,
        device: device.into(),
        address: address.filter(|_| !gone),
    })
}

/// SIP and IAX: `Address` is `10.0.0.5:5060`, or the host alone with the port beside it.
fn peer(e: Event<'_>) -> Option<Said> {
    let device = filled(e.get("Peer"))?;
    let address = match e.get("PeerStatus") {
        "Registered" | "Reachable" => Some(host(e.get("Address"))?),
        "Unregistered" | "Unreachable" | "Rejected" => None,
        _ => return None,
    };
    Some(Said::Registered { at: e.at, device, address })
}

/// The host of `host`, `host:port`, `[v6]:port`, whatever parameters follow.
fn host(text: &str) -> Option<Box<str>> {
    let text = text.split([';', '>']).next()?;
    if let Some(v6) = text.strip_prefix('[') {
        return filled(v6.split(']').next()?);
    }
    let is_v6 = text.matches(':').count() > 1;
    filled(if is_v6 { text } else { text.split(':').next()? })
}
