//! Calls as they are made: each becomes something definite, which is written down beside it.

use std::path::Path;

use super::ami::{Ami, Message, is};
use super::servers::{Server, servers};

/// Both servers, who makes calls on them, and what the calls were made to be.
pub(super) struct Floor {
    // Before the servers: they go first.
    on_pbx: Ami,
    on_carrier: Ami,
    pub(super) pbx: Server,
    // Runs as long as it is held.
    _carrier: Server,
    numbers: usize,
    pub(super) made: Vec<Made>,
}

/// What a call was made to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// The customer's channel on the PBX, by which the call is known.
    pub(super) uniqueid: String,
    /// As far as the logs that were heard tell it.
    pub(super) number: Option<String>,
    pub(super) status: &'static str,
    /// Whether an agent spoke.
    pub(super) reached: bool,
    /// Whether its end could not be known.
    pub(super) estimated: bool,
}

/// A call that is up.
pub(super) struct Call {
    number: String,
    /// The customer's channel on the PBX.
    uniqueid: String,
    /// The customer's telephone on the carrier.
    telephone: String,
}

impl Floor {
    pub(super) fn open(root: &Path) -> Self {
        let (mut pbx, mut carrier) = servers(root);
        let (on_carrier, on_pbx) = (carrier.start(), pbx.start());
        Self { on_pbx, on_carrier, pbx, _carrier: carrier, numbers: 0, made: Vec::new() }
    }

    /// Ends the PBX without a word, and with it whatever is up there.
    pub(super) fn kill_pbx(&mut self) {
        self.pbx.kill();
    }

    pub(super) fn start_pbx(&mut self) {
        self.on_pbx = self.pbx.start();
    }

    fn number(&mut self, end: &str) -> String {
        self.numbers += 1;
        format!("7495{:05}{end}", self.numbers)
    }

    /// The campaign dials a number with this end, for so long.
    pub(super) fn dials(&mut self, end: &str, seconds: u32) -> Call {
        let number = self.number(end);
        let (pbx, carrier) = (self.on_pbx.mark(), self.on_carrier.mark());
        self.on_pbx.say(&[
            ("Action", "Originate"),
            ("Channel", &format!("PJSIP/{number}@trunk")),
            ("Context", "campaign"),
            ("Exten", "s"),
            ("Priority", "1"),
            ("Timeout", &(seconds * 1000).to_string()),
            ("CallerID", "74950000000"),
            ("Variable", "__CAMPAIGN=spring"),
            ("Variable", &format!("__CONTACT=c{number}")),
            ("Async", "true"),
        ]);
        self.trunk_call(number, pbx, carrier)
    }

    /// An agent dials by hand: first the agent's phone is rung, then the number.
    pub(super) fn dials_by_hand(&mut self, end: &str) -> (Call, String) {
        let number = self.number(end);
        let (pbx, carrier) = (self.on_pbx.mark(), self.on_carrier.mark());
        self.on_pbx.say(&[
            ("Action", "Originate"),
            ("Channel", "PJSIP/104"),
            ("Context", "from-internal"),
            ("Exten", &format!("9{number}")),
            ("Priority", "1"),
            ("Timeout", "30000"),
            ("Async", "true"),
        ]);
        let agent = self.on_pbx.hears(pbx, "the agent's channel", |e| begins(e, "PJSIP/104-"))["Channel"].clone();
        (self.trunk_call(number, pbx, carrier), agent)
    }

    fn trunk_call(&self, number: String, pbx: usize, carrier: usize) -> Call {
        let ours = self.on_pbx.hears(pbx, "the trunk's channel", |e| begins(e, "PJSIP/trunk-"));
        let theirs = self
            .on_carrier
            .hears(carrier, &format!("the call to {number}"), |e| begins(e, "PJSIP/line-") && is(e, "Exten", &number));
        Call { number, uniqueid: ours["Uniqueid"].clone(), telephone: theirs["Channel"].clone() }
    }

    /// A customer calls this extension.
    pub(super) fn customer_calls(&mut self, extension: &str) -> Call {
        let number = self.number("99");
        let pbx = self.on_pbx.mark();
        let telephone = format!("telephone-{number}");
        self.on_carrier.say(&[
            ("Action", "Originate"),
            ("Channel", &format!("PJSIP/line/sip:{extension}@{}:5060", self.pbx.address)),
            ("ChannelId", &telephone),
            ("Context", "caller"),
            ("Exten", "s"),
            ("Priority", "1"),
            ("Timeout", "600000"),
            ("CallerID", &number),
            ("Async", "true"),
        ]);
        let ours = self.on_pbx.hears(pbx, "the customer's channel", |e| begins(e, "PJSIP/trunk-"));
        Call { number, uniqueid: ours["Uniqueid"].clone(), telephone }
    }

    pub(super) fn talks(&self, call: &Call) {
        self.on_pbx.hears(0, "that they talk", |e| is(e, "Event", "BridgeEnter") && is(e, "Uniqueid", &call.uniqueid));
    }

    pub(super) fn waits(&self, call: &Call) {
        let joined = |e: &Message| is(e, "Event", "QueueCallerJoin") && is(e, "Uniqueid", &call.uniqueid);
        self.on_pbx.hears(0, "that the queue has it", joined);
    }

    /// The telephone that it is for rings: its own channel's, or one of the channels that it led to.
    pub(super) fn rings(&self, call: &Call) {
        let of_it = |e: &Message| is(e, "Linkedid", &call.uniqueid) || is(e, "Uniqueid", &call.uniqueid);
        self.on_pbx.hears(0, "that it rings", |e| {
            is(e, "Event", "Newstate") && is(e, "ChannelStateDesc", "Ringing") && of_it(e)
        });
    }

    /// The agent's side hangs up.
    pub(super) fn agent_hangs_up(&self, channel: &str) {
        self.on_pbx.say(&[("Action", "Hangup"), ("Channel", channel)]);
    }

    pub(super) fn customer_hangs_up(&self, call: &Call) {
        self.on_carrier.say(&[("Action", "Hangup"), ("Channel", &call.telephone)]);
    }

    /// It is over, and that is what it was.
    pub(super) fn ended(&mut self, call: Call, status: &'static str, reached: bool) {
        self.on_pbx.hears(0, "its end", |e| is(e, "Event", "Hangup") && is(e, "Uniqueid", &call.uniqueid));
        self.made.push(Made { uniqueid: call.uniqueid, number: Some(call.number), status, reached, estimated: false });
    }

    /// It was up when the PBX died; nobody knows more of its end.
    pub(super) fn died(&mut self, call: Call, status: &'static str, reached: bool) {
        // For the carrier it is still up.
        self.customer_hangs_up(&call);
        self.made.push(Made { uniqueid: call.uniqueid, number: Some(call.number), status, reached, estimated: true });
    }

    /// A customer is dialled, speaks with an agent, and hangs up.
    pub(super) fn an_answered_dial(&mut self) {
        let call = self.dials("00", 30);
        self.talks(&call);
        self.customer_hangs_up(&call);
        self.ended(call, "answered", true);
    }

    /// A customer calls, speaks with an agent of the queue, and hangs up.
    pub(super) fn an_answered_caller(&mut self) {
        let call = self.customer_calls("sales");
        self.talks(&call);
        self.customer_hangs_up(&call);
        self.ended(call, "answered", true);
    }

    /// A customer waits in a queue and gives up.
    pub(super) fn an_abandoned_caller(&mut self) {
        let call = self.customer_calls("support");
        self.waits(&call);
        self.customer_hangs_up(&call);
        self.ended(call, "abandoned", false);
    }

    /// A number that does not come to a talk.
    pub(super) fn a_dial(&mut self, end: &str, status: &'static str) {
        let call = self.dials(end, if end == "03" { 3 } else { 30 });
        self.ended(call, status, false);
    }

    /// One call of every kind.
    pub(super) fn every_kind(&mut self) {
        self.an_answered_dial();
        for (end, status) in [
            ("02", "busy"),
            ("03", "no_answer"),
            ("04", "congestion"),
            ("05", "invalid_number"),
            ("06", "rejected"),
            ("07", "out_of_service"),
        ] {
            self.a_dial(end, status);
        }
        // The customer is the one who ends it.
        let call = self.dials("01", 30);
        self.ended(call, "answered", true);
        let (call, agent) = self.dials_by_hand("03");
        self.rings(&call);
        self.agent_hangs_up(&agent);
        self.ended(call, "cancelled", false);
        let (call, _) = self.dials_by_hand("00");
        self.talks(&call);
        self.customer_hangs_up(&call);
        self.ended(call, "answered", true);
        self.an_answered_caller();
        self.an_abandoned_caller();
        let call = self.customer_calls("soon");
        self.ended(call, "no_agent", false);
        let call = self.customer_calls("anna");
        self.talks(&call);
        self.customer_hangs_up(&call);
        self.ended(call, "answered", true);
        let call = self.customer_calls("carl");
        self.rings(&call);
        self.customer_hangs_up(&call);
        self.ended(call, "abandoned", false);
    }
}

/// Whether a channel of that kind appeared.
fn begins(message: &Message, name: &str) -> bool {
    is(message, "Event", "Newchannel") && message.get("Channel").is_some_and(|channel| channel.starts_with(name))
}
