//! Calls that come in, are dialled, ring, are answered and end.

use super::pbx::{Channel, Part, Pbx, is};

impl Pbx {
    /// Takes a line about dialling; `false` if it is about something else.
    pub(super) fn dialling(&mut self, words: &[&str]) -> bool {
        match *words {
            ["originate", number, "on", trunk, "fails", "at", "once", "with", "reason", reason, ref rest @ ..] => {
                self.originate_fails(&format!("PJSIP/{number}@{trunk}"), reason, &variables(rest));
            }
            ["originate", number, "on", trunk, ref rest @ .., "as", alias] => {
                self.originate(alias, &format!("PJSIP/{trunk}"), &format!("{number}@{trunk}"), variables(rest));
            }
            ["originate", number, "through", "Local", ref rest @ .., "as", alias] => {
                self.originate_local(alias, number, variables(rest));
            }
            ["originate", device, "as", alias] => {
                let dialled = format!("{}/sip:{0}@10.0.0.5:5060", resource(device));
                self.originate(alias, device, &dialled, Vec::new());
            }
            ["call", "from", caller, "to", exten, "on", trunk, "as", alias] => {
                self.comes_in(alias, &format!("PJSIP/{trunk}"), "from-trunk", caller, exten);
            }
            ["device", device, "calls", exten, "as", alias] => {
                self.comes_in(alias, device, "from-internal", resource(device), exten);
            }
            [caller, "dials", number, "on", trunk, "as", alias] => {
                self.dial(caller, alias, &format!("PJSIP/{trunk}"), &format!("{number}@{trunk}"));
            }
            [caller, "dials", device, "as", alias] => self.dial(caller, alias, device, resource(device)),
            [alias, "rings"] => {
                self.channel_mut(alias).state = "Ringing";
                self.ami("Newstate", &[Part::Who("", alias)]);
            }
            [alias, "answers"] => self.answers(alias),
            [alias, "is", "answered", "by", "the", "PBX"] => self.up(alias),
            [alias, "rings", "out"] => self.rings_out(alias),
            [alias, "ends", "with", "cause", cause] => self.ends(alias, cause.parse().unwrap(), true),
            [alias, "ends", "with", "cause", cause, "and", "the", "PBX", "tries", "on"] => {
                self.ends(alias, cause.parse().unwrap(), false);
            }
            [alias, "hangs", "up"] => {
                self.ami("HangupRequest", &[Part::Who("", alias), is("Cause", "16")]);
                let by = self.channel(alias).name.clone();
                self.finish(alias, 16, &by);
            }
            [alias, "is", "hung", "up", "by", "the", "PBX"] => self.hung_up_by_us(alias, 16),
            [alias, "is", "refused", "with", "cause", cause] => self.hung_up_by_us(alias, cause.parse().unwrap()),
            _ => return false,
        }
        true
    }

    fn hung_up_by_us(&mut self, alias: &str, cause: u16) {
        self.ami("SoftHangupRequest", &[Part::Who("", alias), is("Cause", &cause.to_string())]);
        self.finish(alias, cause, "");
    }

    fn comes_in(&mut self, alias: &str, endpoint: &str, context: &str, caller: &str, exten: &str) {
        let channel = Channel {
            name: endpoint.to_owned(),
            state: "Ring",
            context: context.to_owned(),
            exten: exten.to_owned(),
            number: if caller == "withheld" { String::new() } else { caller.to_owned() },
            ..Channel::default()
        };
        self.create(alias, None, channel);
    }

    fn originate(&mut self, alias: &str, endpoint: &str, dialled: &str, variables: Vec<(String, String)>) {
        self.originates += 1;
        let channel = Channel {
            name: endpoint.to_owned(),
            state: "Down",
            context: if dialled.contains("sip:") { "from-agents" } else { "from-trunk" }.to_owned(),
            exten: "s".to_owned(),
            app: ("AppDial2".to_owned(), "(Outgoing Line)".to_owned()),
            variables,
            ..Channel::default()
        };
        self.create(alias, None, channel);
        self.dial_began(None, alias, dialled);
        self.channel_mut(alias).originate = Some(dialled.to_owned());
    }

    fn originate_local(&mut self, alias: &str, number: &str, variables: Vec<(String, String)>) {
        self.originates += 1;
        let (first, second) = (alias.to_owned(), format!("{alias}2"));
        let dialled = format!("{number}@campaign-out");
        let half = |nth: &str, state| Channel {
            name: format!("Local/{dialled}-{:08x};{nth}", self.originates),
            state,
            context: "campaign-out".to_owned(),
            exten: number.to_owned(),
            ..Channel::default()
        };
        let app = ("AppDial2".to_owned(), "(Outgoing Line)".to_owned());
        let (one, two) = (Channel { app, variables: variables.clone(), ..half("1", "Down") }, half("2", "Ring"));
        self.pair(&first, one, &second, Channel { variables, ..two }, None);
        self.dial_began(None, &first, &dialled);
        self.channel_mut(&first).originate = Some(dialled);
    }

    /// Both halves of a Local channel.
    pub(super) fn pair(&mut self, one: &str, first: Channel, two: &str, second: Channel, linked: Option<&str>) {
        self.create(one, linked, first);
        self.create(two, Some(one), second);
        self.channel_mut(one).pair = Some(two.to_owned());
        self.channel_mut(two).pair = Some(one.to_owned());
        self.ami("LocalBridge", &[Part::Who("LocalOne", one), Part::Who("LocalTwo", two)]);
    }

    /// An Originate that never makes a channel.
    fn originate_fails(&mut self, channel: &str, reason: &str, variables: &[(String, String)]) {
        self.originates += 1;
        let action = format!("dial-{}", self.originates);
        let mut parts = vec![
            is("ActionID", &action),
            is("Response", "Failure"),
            is("Channel", channel),
            is("Reason", reason),
            is("Uniqueid", "<unknown>"),
            is("CallerIDNum", "5550100"),
        ];
        parts.extend(variables.iter().map(|(n, v)| Part::Is("ChanVariable", format!("{n}={v}"))));
        self.ami("OriginateResponse", &parts);
    }

    pub(super) fn dial(&mut self, caller: &str, alias: &str, endpoint: &str, dialled: &str) {
        if self.channel(caller).app.0 != "Dial" {
            self.runs(caller, "Dial", &format!("PJSIP/{dialled},30"));
        }
        let outside = dialled.contains('@');
        let channel = Channel {
            name: endpoint.to_owned(),
            state: "Down",
            context: if outside { "from-trunk" } else { "from-agents" }.to_owned(),
            exten: "s".to_owned(),
            app: ("AppDial".to_owned(), "(Outgoing Line)".to_owned()),
            variables: self.channel(caller).variables.clone(),
            ..Channel::default()
        };
        self.create(alias, Some(caller), channel);
        self.dial_began(Some(caller), alias, dialled);
    }

    pub(super) fn dial_began(&mut self, caller: Option<&str>, alias: &str, dialled: &str) {
        let mut parts: Vec<Part<'_>> = caller.map(|c| Part::Who("", c)).into_iter().collect();
        parts.extend([Part::Who("Dest", alias), is("DialString", dialled)]);
        self.ami("DialBegin", &parts);
        let channel = self.channel_mut(alias);
        channel.dialled_by = caller.map(str::to_owned);
        channel.dial_open = true;
    }

    pub(super) fn dial_ended(&mut self, alias: &str, status: &'static str) {
        let caller = self.channel(alias).dialled_by.clone();
        let mut parts: Vec<Part<'_>> = caller.iter().map(|c| Part::Who("", c)).collect();
        parts.extend([Part::Who("Dest", alias), is("DialStatus", status)]);
        self.ami("DialEnd", &parts);
        self.channel_mut(alias).dial_open = false;
        if let Some(caller) = caller.filter(|c| self.channel(c).app.0 == "Dial") {
            self.channel_mut(&caller).dialstatus = status;
            self.set(&caller, "DIALSTATUS", status);
        }
    }

    /// An Originate is answered for, just before or after the end of its dial.
    fn originate_answered(&mut self, alias: &str, reason: &str) {
        let Some(dialled) = self.channel_mut(alias).originate.take() else { return };
        let c = self.channel(alias).clone();
        let success = reason == "4";
        let technology = c.name.split('/').next().unwrap_or("");
        let asked = if success { c.name.clone() } else { format!("{technology}/{dialled}") };
        let parts = [
            is("ActionID", &format!("dial-{}", c.uid)),
            is("Response", if success { "Success" } else { "Failure" }),
            is("Channel", &asked),
            is("Reason", reason),
            is("Uniqueid", if success { &c.uid } else { "<unknown>" }),
            is("CallerIDNum", "5550100"),
        ];
        self.ami("OriginateResponse", &parts);
    }

    fn answers(&mut self, alias: &str) {
        if self.channel(alias).offered.is_some() {
            return self.member_answers(alias);
        }
        self.up(alias);
        if self.channel(alias).originate.is_some() {
            self.originate_answered(alias, "4");
            self.dial_ended(alias, "ANSWER");
            return;
        }
        self.dial_ended(alias, "ANSWER");
        let caller = self.channel(alias).dialled_by.clone().unwrap_or_else(|| panic!("nobody dialled {alias}"));
        for other in self.dialled_by(&caller) {
            self.dial_ended(&other, "CANCEL");
            self.gone(&other, 26, "");
        }
        self.up(&caller);
        if let Some(half) = self.channel(&caller).pair.clone() {
            self.up(&half);
            if self.channel(&half).originate.is_some() {
                self.originate_answered(&half, "4");
                self.dial_ended(&half, "ANSWER");
            }
        }
        self.bridge(alias, &caller);
    }

    /// The channels that it dials and that have not answered.
    pub(super) fn dialled_by(&self, caller: &str) -> Vec<String> {
        let ringing = self.channels.iter().filter(|(_, c)| c.dial_open && c.dialled_by.as_deref() == Some(caller));
        ringing.map(|(alias, _)| alias.clone()).collect()
    }

    fn rings_out(&mut self, alias: &str) {
        self.dial_ended(alias, "NOANSWER");
        self.originate_answered(alias, "3");
        let caller = self.channel(alias).dialled_by.clone();
        self.gone(alias, if caller.is_some() { 0 } else { 19 }, "");
        self.local_halves_end(caller, 16);
    }

    /// Its far end, or the network, ends the dial with a cause.
    fn ends(&mut self, alias: &str, cause: u16, for_good: bool) {
        let text = cause.to_string();
        self.ami("HangupRequest", &[Part::Who("", alias), is("Cause", &text)]);
        let by = self.channel(alias).name.clone();
        let status = match cause {
            17 => "BUSY",
            34 | 42 | 44 => "CONGESTION",
            3 | 20 => "CHANUNAVAIL",
            _ => "NOANSWER",
        };
        if self.channel(alias).offered.is_some() {
            return self.member_ends(alias, cause, status);
        }
        self.dial_ended(alias, status);
        self.originate_answered(alias, "0");
        let caller = self.channel(alias).dialled_by.clone();
        self.gone(alias, cause, &by);
        if for_good {
            self.local_halves_end(caller, cause);
        }
    }

    /// The Local channel that dialled has nothing more to do.
    fn local_halves_end(&mut self, caller: Option<String>, cause: u16) {
        let Some(second) = caller.filter(|c| self.channels.get(c).is_some_and(|c| c.pair.is_some())) else { return };
        let first = self.channel(&second).pair.clone().unwrap();
        self.leave(&first);
        self.gone(&second, cause, "");
        if self.channel(&first).dial_open {
            let status = if cause == 17 { "BUSY" } else { "NOANSWER" };
            self.dial_ended(&first, status);
        }
        self.originate_answered(&first, "0");
        self.gone(&first, cause, "");
    }

    /// The channel ends, and with it what hangs on it: ringing legs, its conversation, the halves between.
    pub(super) fn finish(&mut self, alias: &str, cause: u16, by: &str) {
        self.stop_waiting(alias);
        for ringing in self.dialled_by(alias) {
            self.dial_ended(&ringing, "CANCEL");
            self.gone(&ringing, 0, "");
        }
        self.end_queue_talk(alias);
        if self.channel(alias).dial_open {
            self.dial_ended(alias, "CANCEL");
            self.originate_answered(alias, "0");
        }
        let was_up = self.channel(alias).state == "Up";
        let together = self.together(alias);
        for one in &together {
            self.leave(one);
        }
        for one in &together {
            self.ami("SoftHangupRequest", &[Part::Who("", one), is("Cause", "16")]);
        }
        let caller = self.channel(alias).dialled_by.clone();
        self.gone(alias, if was_up || cause != 16 { cause } else { 0 }, by);
        for one in &together {
            self.gone(one, 16, by);
        }
        if !was_up {
            self.local_halves_end(caller, 16);
        }
    }

    /// All that end with a channel: through bridges of two and Local halves; who consults goes back instead.
    fn together(&mut self, alias: &str) -> Vec<String> {
        let mut found = vec![alias.to_owned()];
        let mut next = 0;
        while let Some(one) = found.get(next).cloned() {
            next += 1;
            let bridge = self.channel(&one).bridge.clone().unwrap_or_default();
            let talks = super::pbx::technology(&bridge) == "simple_bridge";
            let mut others = if talks { self.partners(&one) } else { Vec::new() };
            others.extend(self.channel(&one).pair.clone().filter(|pair| self.channels.contains_key(pair)));
            for other in others {
                let shift = self.channel(&other).app.0 == "AgentLogin";
                if self.channel(&other).consults_from.is_some() || shift {
                    self.leave(&other);
                } else if !found.contains(&other) {
                    found.push(other);
                }
            }
        }
        self.leave(alias);
        found.remove(0);
        found
    }
}

fn resource(device: &str) -> &str {
    device.split_once('/').map_or(device, |(_, resource)| resource)
}

/// `for campaign spring contact c1`
fn variables(words: &[&str]) -> Vec<(String, String)> {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match *words {
        [] => Vec::new(),
        ["for", "campaign", campaign] => vec![set("CAMPAIGN", campaign)],
        ["for", "campaign", campaign, "contact", contact] => vec![set("CONTACT", contact), set("CAMPAIGN", campaign)],
        _ => panic!("what an originate is for: {words:?}"),
    }
}
