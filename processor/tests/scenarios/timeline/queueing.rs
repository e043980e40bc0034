//! Queues: callers wait, members are offered them, take them or not; callers leave in every way.

use super::pbx::{Channel, Part, Pbx, Visit, is};

impl Pbx {
    /// Takes a line about a queue; `false` if it is about something else.
    pub(super) fn queueing(&mut self, words: &[&str]) -> bool {
        match *words {
            [alias, "enters", "queue", queue] => self.joins(alias, queue),
            ["queue", queue, "offers", caller, "to", "agent", member, "at", device, "as", alias] => {
                let app = ("AppQueue".to_owned(), "(Outgoing Line)".to_owned());
                let leg = Channel {
                    name: device.to_owned(),
                    state: "Down",
                    context: "from-agents".to_owned(),
                    exten: "s".to_owned(),
                    app,
                    variables: self.channel(caller).variables.clone(),
                    ..Channel::default()
                };
                self.create(alias, Some(caller), leg);
                self.offer(queue, caller, member, device, alias);
                self.channel_mut(alias).state = "Ringing";
                self.ami("Newstate", &[Part::Who("", alias)]);
            }
            ["queue", queue, "offers", caller, "to", "agent", member, "through", "Local", number, "as", alias] => {
                self.offer_through_local(queue, caller, member, number, alias);
            }
            [alias, "does", "not", "answer"] => self.member_ends(alias, 0, "NOANSWER"),
            [alias, "leaves", "the", "queue", "by", how] => self.exits(alias, how),
            [alias, "is", "refused", "by", "queue", queue, "as", status] => {
                self.runs(alias, "Queue", &format!("{queue},t,,,20"));
                self.set(alias, "QUEUESTATUS", status);
            }
            _ => return false,
        }
        true
    }

    fn joins(&mut self, alias: &str, queue: &str) {
        self.runs(alias, "Queue", &format!("{queue},t,,,20"));
        let (uid, number) = (self.uid(alias), self.channel(alias).number.clone());
        self.ami("QueueCallerJoin", &[Part::Who("", alias), is("Queue", queue), is("Position", "1"), is("Count", "1")]);
        self.queue_log(&uid, queue, "NONE", "ENTERQUEUE", &["", &number, "1"]);
        let entered = self.secs();
        self.channel_mut(alias).visit = Some(Visit { queue: queue.to_owned(), entered, connected: None });
    }

    fn offer(&mut self, queue: &str, caller: &str, member: &str, interface: &str, alias: &str) {
        let parts = [
            Part::Who("", caller),
            Part::Who("Dest", alias),
            is("Queue", queue),
            is("MemberName", member),
            is("Interface", interface),
        ];
        self.ami("AgentCalled", &parts);
        self.dial_began(Some(caller), alias, interface);
        self.channel_mut(alias).offered = Some((queue.to_owned(), member.to_owned()));
    }

    /// The member is reached through a Local channel; its second half is called `<alias>2`.
    fn offer_through_local(&mut self, queue: &str, caller: &str, member: &str, number: &str, alias: &str) {
        let half = |nth: &str, state| Channel {
            name: format!("Local/{number}@members-{:08x};{nth}", self.now % 0xffff_ffff),
            state,
            context: "members".to_owned(),
            exten: number.to_owned(),
            ..Channel::default()
        };
        let app = ("AppQueue".to_owned(), "(Outgoing Line)".to_owned());
        let (one, two) = (Channel { app, ..half("1", "Down") }, half("2", "Ring"));
        self.pair(alias, one, &format!("{alias}2"), two, Some(caller));
        self.offer(queue, caller, member, &format!("Local/{number}@members"), alias);
    }

    /// An event of the queue about one member.
    fn member_event(&mut self, event: &str, caller: &str, leg: &str, more: Part<'_>) {
        let (queue, member) = self.channel(leg).offered.clone().unwrap();
        let parts = [
            Part::Who("", caller),
            Part::Who("Dest", leg),
            is("Queue", &queue),
            is("MemberName", &member),
            is("Interface", &member),
            more,
        ];
        self.ami(event, &parts);
    }

    pub(super) fn member_answers(&mut self, leg: &str) {
        let (queue, member) = self.channel(leg).offered.clone().unwrap();
        let caller = self.channel(leg).dialled_by.clone().unwrap();
        self.up(leg);
        self.dial_ended(leg, "ANSWER");
        for other in self.dialled_by(&caller) {
            self.dial_ended(&other, "CANCEL");
            self.dial_ended(&other, "CANCEL");
            self.gone(&other, 26, "");
        }
        self.ami("QueueCallerLeave", &[Part::Who("", &caller), is("Queue", &queue), is("Position", "1")]);
        let entered = self.channel(&caller).visit.as_ref().unwrap().entered;
        let hold = (self.secs() - entered).to_string();
        self.member_event("AgentConnect", &caller, leg, is("HoldTime", &hold));
        let (uid, leg_uid) = (self.uid(&caller), self.uid(leg));
        self.queue_log(&uid, &queue, &member, "CONNECT", &[&hold, &leg_uid, "1"]);
        self.up(&caller);
        self.bridge(leg, &caller);
        let since = self.secs();
        self.channel_mut(&caller).visit.as_mut().unwrap().connected = Some((member, leg.to_owned(), since));
    }

    /// A member's leg ends before it was answered.
    pub(super) fn member_ends(&mut self, leg: &str, cause: u16, status: &'static str) {
        let (queue, member) = self.channel(leg).offered.clone().unwrap();
        let caller = self.channel(leg).dialled_by.clone().unwrap();
        self.member_event("AgentRingNoAnswer", &caller, leg, is("RingTime", "1000"));
        let uid = self.uid(&caller);
        self.queue_log(&uid, &queue, &member, "RINGNOANSWER", &["1000"]);
        self.dial_ended(leg, status);
        if status == "NOANSWER" {
            self.dial_ended(leg, "CANCEL");
        }
        self.gone(leg, cause, "");
    }

    /// The caller hangs up while waiting.
    pub(super) fn stop_waiting(&mut self, alias: &str) {
        if self.channel(alias).visit.as_ref().is_some_and(|v| v.connected.is_none()) {
            self.leaves_queue(alias, "ABANDON");
        }
    }

    fn leaves_queue(&mut self, alias: &str, event: &str) {
        let Some(visit) = self.channel_mut(alias).visit.take() else { panic!("{alias} waits in no queue") };
        let uid = self.uid(alias);
        for leg in self.dialled_by(alias) {
            let member = self.channel(&leg).offered.clone().unwrap().1;
            self.dial_ended(&leg, "CANCEL");
            self.queue_log(&uid, &visit.queue, &member, "RINGCANCELED", &["1000"]);
            self.gone(&leg, 0, "");
        }
        let waited = (self.secs() - visit.entered).to_string();
        let queue = || is("Queue", &visit.queue);
        // An exit by key leaves no such event.
        if event != "EXITWITHKEY" {
            self.ami("QueueCallerAbandon", &[Part::Who("", alias), queue(), is("HoldTime", &waited)]);
        }
        let data: &[&str] = if event == "EXITWITHKEY" { &["0", "1", "1", &waited] } else { &["1", "1", &waited] };
        self.queue_log(&uid, &visit.queue, "NONE", event, data);
        self.ami("QueueCallerLeave", &[Part::Who("", alias), queue(), is("Position", "1")]);
    }

    fn exits(&mut self, alias: &str, how: &str) {
        let (event, status) = match how {
            "timeout" => ("EXITWITHTIMEOUT", "TIMEOUT"),
            "key" => ("EXITWITHKEY", ""),
            "empty" => ("EXITEMPTY", "LEAVEEMPTY"),
            "withdrawal" => ("WITHDRAW", "WITHDRAW"),
            _ => panic!("nobody leaves a queue by {how}"),
        };
        self.leaves_queue(alias, event);
        if !status.is_empty() {
            self.set(alias, "QUEUESTATUS", status);
        }
    }

    /// The conversation of a queue's caller and its member ends: one of them hangs up.
    pub(super) fn end_queue_talk(&mut self, alias: &str) {
        let connected = |c: &Channel, caller: &str| {
            let leg = c.visit.as_ref().and_then(|v| v.connected.as_ref()).map(|c| c.1.as_str());
            leg.is_some_and(|leg| caller == alias || leg == alias)
        };
        let caller = self.channels.iter().find(|(name, c)| connected(c, name)).map(|(name, _)| name.clone());
        let Some(caller) = caller else { return };
        self.complete(&caller, if caller == alias { "caller" } else { "agent" }, &[]);
    }

    /// The queue's last word on a conversation.
    pub(super) fn complete(&mut self, caller: &str, reason: &str, moved: &[&str]) {
        let visit = self.channel_mut(caller).visit.take().unwrap();
        let (member, leg, since) = visit.connected.unwrap();
        let (held, talked) = ((since - visit.entered).to_string(), (self.secs() - since).to_string());
        if self.channels.contains_key(&leg) {
            self.member_event("AgentComplete", caller, &leg, is("Reason", reason));
        }
        let uid = self.uid(caller);
        let event = match (reason, moved) {
            ("agent", _) => "COMPLETEAGENT",
            ("caller", _) => "COMPLETECALLER",
            (_, ["BRIDGE", ..]) => "ATTENDEDTRANSFER",
            _ => "BLINDTRANSFER",
        };
        let mut data: Vec<&str> = moved.to_vec();
        data.extend([held.as_str(), talked.as_str(), "1"]);
        self.queue_log(&uid, &visit.queue, &member, event, &data);
    }
}
