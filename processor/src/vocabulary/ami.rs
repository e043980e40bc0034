//! AMI events to facts: one `match` on the event's name.
//!
//! Field names follow Asterisk 13 to 23 (`manager_channels.c`, `app_queue.c`, `stasis_bridges.c`); events of no interest
//! decode to nothing. It must not know calls, nor remember anything from one event to the next.

use calltide_schemas::{Micros, ami_text::unescape, envelope::Envelope, status::DialStatus};

use super::{
    Birth, BridgeKind, CompletedBy, Decoded, Listed, ListedState, OriginateResponse, QueueExit, Reading, Said, Teller,
    TransferKind, What, Who, bridge_kind, cel, dialler, filled, members,
};

/// Decodes one AMI event.
pub fn decode(event: &Envelope<'_>, reading: &Reading) -> Decoded {
    let mut out = Decoded::default();
    let e = Event { event, at: event.at };
    let Some(name) = event.headers.first().filter(|h| h.0.as_str().eq_ignore_ascii_case("Event")) else {
        // A response that carries an event's fields is not an event; collectors keep only events.
        out.problem = Some(("malformed", "an AMI record that does not begin with Event".to_owned()));
        return out;
    };
    match name.1.as_str() {
        "Newchannel" => created(e, reading, &mut out),
        "Newstate" => new_state(e, reading, &mut out),
        "Newexten" => application(e, &mut out),
        "VarSet" => {
            if let Some(what) = reading.set(e.get("Variable"), &unescape(e.get("Value"))) {
                e.say("", what, &mut out);
            }
        }
        "DialBegin" => {
            e.variables("Dest", reading, &mut out);
            e.say("Dest", What::DialBegan { caller: e.uid(""), dialled: e.get("DialString").into() }, &mut out);
        }
        "DialState" if e.get("DialStatus") == "RINGING" => e.say("Dest", What::Ringing, &mut out),
        "DialEnd" => {
            if let Some(status) = DialStatus::read(e.get("DialStatus")) {
                e.say("Dest", What::DialEnded { caller: e.uid(""), status }, &mut out);
            }
        }
        "BridgeEnter" => {
            let kind = bridge_kind(e.get("BridgeTechnology"));
            e.say("", What::Entered { bridge: e.get("BridgeUniqueid").into(), kind }, &mut out);
        }
        "BridgeLeave" => e.say("", What::Left { bridge: e.get("BridgeUniqueid").into() }, &mut out),
        "Hold" => e.say("", What::Held, &mut out),
        "Unhold" => e.say("", What::Unheld, &mut out),
        "HangupRequest" => e.say("", What::HangupAsked { cause: e.cause() }, &mut out),
        "SoftHangupRequest" => e.say("", What::SoftHangup { cause: e.cause() }, &mut out),
        "Hangup" => {
            e.variables("", reading, &mut out);
            e.say("", What::Hungup { cause: e.cause(), by: None, dial_status: None }, &mut out);
        }
        "LocalBridge" => {
            if let Some(other) = e.uid("LocalTwo") {
                e.say("LocalOne", What::PairedWith { other }, &mut out);
            }
        }
        "BlindTransfer" | "AttendedTransfer" => transferred(e, &mut out),
        "Pickup" => {
            if let Some(by) = e.uid("") {
                e.say("Target", What::PickedUp { by }, &mut out);
            }
        }
        "ParkedCall" => e.say("Parkee", What::Parked, &mut out),
        "UnParkedCall" => e.say("Parkee", What::Unparked { by: e.uid("Retriever") }, &mut out),
        "ParkedCallTimeOut" | "ParkedCallGiveUp" => e.say("Parkee", What::Unparked { by: None }, &mut out),
        "UserEvent" => user_event(e, reading, &mut out),
        "OriginateResponse" => originate(e, reading, &mut out),
        "FullyBooted" => booted(e, &mut out),
        "Shutdown" => out.said.push(Said::ShutDown { at: e.at }),
        "CoreShowChannel" => listed(e, &mut out),
        "CEL" => return cel::decode_ami(event),
        _ => queue(e, name.1.as_str(), &mut out),
    }
    out
}

/// Events of the queue application.
fn queue(e: Event<'_>, name: &str, out: &mut Decoded) {
    let queue = || -> Box<str> { e.get("Queue").into() };
    let member = || -> Box<str> { filled(e.get("MemberName")).unwrap_or_else(|| e.get("Interface").into()) };
    match name {
        "QueueCallerJoin" => {
            e.say("", What::QueueJoined { queue: queue(), caller: filled(e.get("CallerIDNum")) }, out);
        }
        "QueueCallerLeave" => e.say("", What::QueueLeft { queue: queue() }, out),
        "QueueCallerAbandon" => e.say("", What::QueueExited { queue: queue(), how: QueueExit::Abandon }, out),
        "AgentCalled" => {
            if let Some(leg) = e.uid("Dest") {
                e.say("", What::Offered { queue: queue(), member: member(), leg }, out);
            }
        }
        "AgentRingNoAnswer" => {
            e.say("", What::RangOut { queue: queue(), member: member(), leg: e.uid("Dest"), cancelled: false }, out);
        }
        "AgentConnect" => e.say("", What::Connected { queue: queue(), member: member(), leg: e.uid("Dest") }, out),
        "AgentComplete" => {
            let by = match e.get("Reason") {
                "agent" => CompletedBy::Agent,
                "transfer" => CompletedBy::Transfer,
                _ => CompletedBy::Caller,
            };
            e.say("", What::Completed { queue: queue(), member: member(), by }, out);
        }
        _ => members::of_ami(e, name, out),
    }
}

fn created(e: Event<'_>, reading: &Reading, out: &mut Decoded) {
    let birth = match e.get("ChannelStateDesc") {
        "Ring" => Birth::Ring,
        "Down" => Birth::Down,
        _ => Birth::Other,
    };
    let linkedid = filled(e.get("Linkedid")).unwrap_or_else(|| e.get("Uniqueid").into());
    e.say(
        "",
        What::Created {
            name: e.get("Channel").into(),
            birth,
            context: filled(e.get("Context")),
            exten: filled(e.get("Exten")),
            linkedid,
            caller: filled(e.get("CallerIDNum")),
        },
        out,
    );
    if let Some(campaign) = reading.account(e.get("AccountCode")) {
        e.say("", campaign, out);
    }
    e.variables("", reading, out);
}

fn new_state(e: Event<'_>, reading: &Reading, out: &mut Decoded) {
    match e.get("ChannelStateDesc") {
        "Ringing" => e.say("", What::Ringing, out),
        "Up" => e.say("", What::Up, out),
        _ => {}
    }
    e.variables("", reading, out);
}

fn application(e: Event<'_>, out: &mut Decoded) {
    let name = e.get("Application");
    match dialler(name) {
        Some(by) => e.say("", What::Dialled { by }, out),
        None if !name.is_empty() => e.say(
            "",
            What::App { name: name.into(), data: filled(e.get("AppData")), exten: filled(e.get("Exten")) },
            out,
        ),
        None => {}
    }
}

fn transferred(e: Event<'_>, out: &mut Decoded) {
    if e.get("Result") != "Success" {
        return;
    }
    let (kind, by) = if e.get("Event") == "BlindTransfer" {
        (TransferKind::Blind, e.uid("Transferer"))
    } else {
        (TransferKind::Attended, e.uid("OrigTransferer"))
    };
    let what = |target| What::Transferred { kind, by: by.clone(), target, exten: filled(e.get("Extension")) };
    // Without a transferee two bridges were merged or linked; the transferer's own channel tells of it.
    let subject = if e.uid("Transferee").is_some() {
        "Transferee"
    } else if kind == TransferKind::Blind {
        "Transferer"
    } else {
        "OrigTransferer"
    };
    let target = e.uid("TransferTarget").or_else(|| e.uid("SecondTransferer"));
    e.say(subject, what(target), out);
}

fn user_event(e: Event<'_>, reading: &Reading, out: &mut Decoded) {
    let name = e.get("UserEvent");
    let among = |list: &[String]| list.iter().any(|n| n.eq_ignore_ascii_case(name));
    if among(&reading.machine_events) {
        e.say("", What::Machine, out);
    } else if among(&reading.forbidden) {
        e.say("", What::Forbidden, out);
    }
}

fn originate(e: Event<'_>, reading: &Reading, out: &mut Decoded) {
    let (mut campaign, mut contact) = (None, None);
    for header in e.event.headers.iter().filter(|h| h.0.as_str().starts_with("ChanVariable")) {
        if let Some((name, value)) = header.1.as_str().split_once('=') {
            match reading.set(name, &unescape(value)) {
                Some(What::Set { variable: super::Variable::Campaign, value }) => campaign = Some(value),
                Some(What::Set { variable: super::Variable::Contact, value }) => contact = Some(value),
                _ => {}
            }
        }
    }
    out.said.push(Said::Originate(OriginateResponse {
        at: e.at,
        action_id: filled(e.get("ActionID")),
        channel: e.get("Channel").into(),
        uid: e.uid(""),
        reason: e.get("Reason").parse().unwrap_or(0),
        campaign,
        contact,
    }));
}

/// A login-time FullyBooted comes with every connection; its Uptime tells when the PBX really started. Asterisk 13 does not say
/// it: there a start shows by the queue's log, and by which channels are up afterwards.
fn booted(e: Event<'_>, out: &mut Decoded) {
    if let Ok(uptime_secs) = e.get("Uptime").parse::<i64>() {
        out.said.push(Said::Booted { at: e.at + uptime_secs.saturating_mul(-1_000_000) });
    }
}

/// A channel of the answer to `CoreShowChannels`. The bridge's technology is not said; conferences and parking show by the
/// application.
fn listed(e: Event<'_>, out: &mut Decoded) {
    let app = e.get("Application");
    if let Some(by) = dialler(app) {
        e.say("", What::Dialled { by }, out);
    }
    let state = match e.get("ChannelStateDesc") {
        "Up" => ListedState::Up,
        "Ringing" => ListedState::Ringing,
        _ => ListedState::Other,
    };
    let kind = match app {
        "ConfBridge" | "MeetMe" => BridgeKind::Conference,
        "Park" | "ParkAndAnnounce" => BridgeKind::Holding,
        _ => BridgeKind::Basic,
    };
    let shown = dialler(app).is_none() && !app.is_empty();
    let listed = Listed {
        linkedid: filled(e.get("Linkedid")).unwrap_or_else(|| e.get("Uniqueid").into()),
        state,
        context: filled(e.get("Context")),
        exten: filled(e.get("Exten")),
        caller: filled(e.get("CallerIDNum")),
        app: shown.then(|| (app.into(), e.get("ApplicationData").into())),
        bridge: filled(e.get("BridgeId")).map(|bridge| (bridge, kind)),
        age_ms: clock_time_ms(e.get("Duration")).unwrap_or(0),
    };
    e.say("", What::Listed(Box::new(listed)), out);
}

/// `HH:MM:SS`; the hours may have more digits.
fn clock_time_ms(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, secs) = (parts.next()??, parts.next()??, parts.next()??);
    let secs = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(secs)?;
    secs.checked_mul(1_000).filter(|ms| parts.next().is_none() && *ms >= 0)
}

/// An event's fields, by name.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    event: &'a Envelope<'a>,
    pub(super) at: Micros,
}

impl<'a> Event<'a> {
    pub(super) fn get(&self, name: &str) -> &'a str {
        self.event.header(name).unwrap_or("")
    }

    /// A field of the snapshot with that prefix, e.g. `Dest` + `Uniqueid`.
    fn of(&self, prefix: &str, name: &str) -> &'a str {
        self.event
            .headers
            .iter()
            .find(|h| {
                let key = h.0.as_str();
                key.len() == prefix.len() + name.len() && key.starts_with(prefix) && key.ends_with(name)
            })
            .map_or("", |h| h.1.as_str())
    }

    fn uid(&self, prefix: &str) -> Option<Box<str>> {
        // `UniqueId` in parking events of some versions, `Uniqueid` everywhere else.
        let id = self.of(prefix, "Uniqueid");
        filled(if id.is_empty() { self.of(prefix, "UniqueId") } else { id })
    }

    fn cause(&self) -> Option<u16> {
        self.get("Cause").parse().ok()
    }

    fn say(&self, prefix: &str, what: What, out: &mut Decoded) {
        let Some(uid) = self.uid(prefix) else { return };
        let who = Who { uid: &uid, name: self.of(prefix, "Channel"), linkedid: self.of(prefix, "Linkedid") };
        out.say_named(self.at, Teller::Ami, who, what);
    }

    /// Campaign and contact as the snapshot carries them (`channelvars` of manager.conf).
    fn variables(&self, prefix: &str, reading: &Reading, out: &mut Decoded) {
        for header in &self.event.headers {
            let key = header.0.as_str();
            if key.strip_prefix(prefix) == Some("ChanVariable") {
                let Some((name, value)) = header.1.as_str().split_once('=') else { continue };
                if let Some(what @ (What::Set { .. } | What::Forbidden)) = reading.set(name, &unescape(value)) {
                    self.say(prefix, what, out);
                }
            }
        }
    }
}
