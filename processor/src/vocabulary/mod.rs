//! The small vocabulary of telephony facts that AMI, CEL and queue_log decode into. Folds know only these words.
//!
//! A [`Fact`] is something that happened to one channel (its subject), told by one source. Decoders are pure and total:
//! what is of no interest decodes to nothing, what contradicts itself to what can still be read of it.
//! The decoders are [`ami`], [`cel`] and [`queue_log`], one `match` on the event's name each.

pub mod ami;
pub mod cel;
mod members;
pub mod queue_log;

use std::collections::BTreeMap;

use calltide_schemas::agents::{Member, MemberWhat};
use calltide_schemas::{Micros, envelope::Envelope, envelope::Source, status::DialStatus};
use serde::{Deserialize, Serialize};

/// A channel's `Uniqueid`: a string, never parsed as a number.
pub type Uid = Box<str>;

/// Which log told a fact, best clock first: the same happening takes its time from the first that told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Teller {
    /// The CEL file: the time is when it happened, in microseconds.
    Cel,
    /// AMI: the time is when the event was written.
    Ami,
    /// `Event: CEL` over AMI.
    AmiCel,
    /// queue_log: whole seconds.
    QueueLog,
}

impl Teller {
    /// The word in tables and stories.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cel => "cel",
            Self::Ami => "ami",
            Self::AmiCel => "ami_cel",
            Self::QueueLog => "queue_log",
        }
    }
}

/// Something that happened to a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// When, by its teller.
    pub at: Micros,
    /// Who told it.
    pub teller: Teller,
    /// What happened.
    pub what: What,
}

/// The state in which a channel was born.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Birth {
    /// `Ring`: it came in from its endpoint.
    Ring,
    /// `Down`: it was dialled by us.
    Down,
    /// Any other state: neither is known.
    Other,
    /// The source does not tell (CEL).
    Unknown,
}

/// How a channel that was dialled by us shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dialler {
    /// `AppDial`: by the dialplan.
    Dialplan,
    /// `AppDial2`: by an Originate or call file.
    Originate,
    /// `AppQueue`: by a queue.
    Queue,
}

/// What kind of bridge a channel entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BridgeKind {
    /// A conversation: those in it belong to one call.
    Basic,
    /// A conference (softmix): strangers may meet there.
    Conference,
    /// A waiting place: parking, holding.
    Holding,
}

/// Variables that mean something to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Variable {
    /// The outbound list.
    Campaign,
    /// The lead of the list.
    Contact,
    /// `AMDSTATUS`.
    Amd,
    /// `QUEUESTATUS`.
    QueueStatus,
    /// `VMSTATUS`.
    MailboxStatus,
    /// `DIALSTATUS` of the channel that dialled.
    DialStatus,
}

/// How a caller left a queue without an agent, in queue_log's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum QueueExit {
    /// `ABANDON`
    Abandon,
    /// `EXITWITHTIMEOUT`
    Timeout,
    /// `EXITWITHKEY`
    Key,
    /// `EXITEMPTY`
    Empty,
    /// `WITHDRAW`
    Withdraw,
    /// `SYSCOMPAT` and what else ends a visit without a word of why.
    Other,
}

/// Who ended a queued conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CompletedBy {
    /// The agent hung up.
    Agent,
    /// The caller hung up.
    Caller,
    /// It was transferred.
    Transfer,
}

/// Which kind of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TransferKind {
    /// Without asking the target first.
    Blind,
    /// After a consultation.
    Attended,
}

/// What happened. Fields are as the source had them; empty ones are `None`.
#[expect(missing_docs, reason = "each variant's sentence says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum What {
    /// The channel appeared.
    Created {
        name: Box<str>,
        birth: Birth,
        context: Option<Box<str>>,
        exten: Option<Box<str>>,
        linkedid: Box<str>,
        caller: Option<Box<str>>,
    },
    /// A channel whose creation was not seen (yet) was named.
    Seen { name: Box<str>, linkedid: Box<str> },
    /// It shows that we dialled it.
    Dialled { by: Dialler },
    /// Its far end was told to ring, or rings.
    Ringing,
    /// It was answered.
    Up,
    /// A dial towards it began; `caller` is the dialling channel, if there is one.
    DialBegan { caller: Option<Uid>, dialled: Box<str> },
    /// That dial ended.
    DialEnded { caller: Option<Uid>, status: DialStatus },
    /// It entered a bridge.
    Entered { bridge: Box<str>, kind: BridgeKind },
    /// It left a bridge.
    Left { bridge: Box<str> },
    /// Its far end put the conversation on hold.
    Held,
    /// And took it back.
    Unheld,
    /// Its far end hung up.
    HangupAsked { cause: Option<u16> },
    /// Our side asked it to hang up.
    SoftHangup { cause: Option<u16> },
    /// It is gone. `by` (CEL) names the channel whose far end hung up.
    Hungup { cause: Option<u16>, by: Option<Box<str>>, dial_status: Option<DialStatus> },
    /// It runs a dialplan application.
    App { name: Box<str>, data: Option<Box<str>>, exten: Option<Box<str>> },
    /// A variable was set on it.
    Set { variable: Variable, value: Box<str> },
    /// It entered a queue as a caller.
    QueueJoined { queue: Box<str>, caller: Option<Box<str>> },
    /// It left the queue, whatever came after (AMI).
    QueueLeft { queue: Box<str> },
    /// It left the queue without an agent. AMI says `Abandon` of time-outs, too.
    QueueExited { queue: Box<str>, how: QueueExit },
    /// The queue offered it to a member's channel.
    Offered { queue: Box<str>, member: Box<str>, leg: Uid },
    /// A member did not answer, or the ringing was cancelled.
    RangOut { queue: Box<str>, member: Box<str>, leg: Option<Uid>, cancelled: bool },
    /// A member took it; `leg` is the member's channel.
    Connected { queue: Box<str>, member: Box<str>, leg: Option<Uid> },
    /// The conversation with the member ended.
    Completed { queue: Box<str>, member: Box<str>, by: CompletedBy },
    /// It was transferred by `by` (told of the one who was moved).
    Transferred { kind: TransferKind, by: Option<Uid>, target: Option<Uid>, exten: Option<Box<str>> },
    /// Its Local other half.
    PairedWith { other: Uid },
    /// It was parked.
    Parked,
    /// It came back from parking.
    Unparked { by: Option<Uid> },
    /// Its ringing was taken by another channel.
    PickedUp { by: Uid },
    /// The dialplan or dialer says: a machine answered.
    Machine,
    /// The dialplan or dialer says: a restriction forbids this.
    Forbidden,
    /// The Originate that made it was answered for: its raw Reason.
    OriginateReason { reason: i64 },
    /// It was up when the connection to the PBX was cut, and gone when it was made again.
    EndedUnseen,
    /// The PBX named it when it was asked which channels are up.
    Listed(Box<Listed>),
}

/// What the PBX shows of a channel that is up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Listed {
    /// Its Linkedid.
    pub linkedid: Box<str>,
    /// What state it is in.
    pub state: ListedState,
    /// Where it is in the dialplan.
    pub context: Option<Box<str>>,
    /// See `context`.
    pub exten: Option<Box<str>>,
    /// The caller's number.
    pub caller: Option<Box<str>>,
    /// The application that it runs, and that one's data.
    pub app: Option<(Box<str>, Box<str>)>,
    /// The bridge that it is in.
    pub bridge: Option<(Box<str>, BridgeKind)>,
    /// How long it has been there, in whole seconds as milliseconds.
    pub age_ms: i64,
}

/// What state a channel is in when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ListedState {
    /// Its far end rings.
    Ringing,
    /// It was answered.
    Up,
    /// Neither.
    Other,
}

/// An `OriginateResponse`: it names its channel only when it succeeded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OriginateResponse {
    /// When.
    pub at: Micros,
    /// The Originate's ActionID, if it had one.
    pub action_id: Option<Box<str>>,
    /// The channel's name, or `Tech/dial string` as asked for when it failed.
    pub channel: Box<str>,
    /// The channel, when there was one.
    pub uid: Option<Uid>,
    /// The raw Reason.
    pub reason: i64,
    /// Campaign and contact, when the response carries variables.
    pub campaign: Option<Box<str>>,
    /// See `campaign`.
    pub contact: Option<Box<str>>,
}

/// What one envelope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Something about a channel.
    Fact {
        /// The channel.
        uid: Uid,
        /// Its name, where the source says it: a hint for channels not seen before.
        name: Option<Box<str>>,
        /// Its Linkedid, likewise.
        linkedid: Option<Box<str>>,
        /// What happened to it.
        fact: Fact,
    },
    /// An Originate was answered for.
    Originate(OriginateResponse),
    /// The PBX started: channels from before are gone.
    Booted {
        /// When it started.
        at: Micros,
    },
    /// The PBX ends: its channels go with it.
    ShutDown {
        /// When.
        at: Micros,
    },
    /// Something about a queue's member or an agent.
    Member {
        /// When.
        at: Micros,
        /// Who told it.
        teller: Teller,
        /// Whom it is about.
        member: Member,
        /// What happened.
        what: MemberWhat,
    },
    /// All members of all queues were named just before.
    MembersListed {
        /// When.
        at: Micros,
    },
    /// A phone registered, or, without an address, is gone.
    Registered {
        /// When.
        at: Micros,
        /// The endpoint, e.g. `PJSIP/101`.
        device: Box<str>,
        /// The IP address that it is registered from.
        address: Option<Box<str>>,
    },
}

/// What an envelope decodes to: what it says, or why it can't be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// In the order to be applied.
    pub said: Vec<Said>,
    /// Why the envelope could not be read: (reason, sentence).
    pub problem: Option<(&'static str, String)>,
}

impl Decoded {
    fn say(&mut self, at: Micros, teller: Teller, uid: &str, what: What) {
        if !uid.is_empty() && uid != "none" && uid != "<unknown>" {
            self.said.push(Said::Fact { uid: uid.into(), name: None, linkedid: None, fact: Fact { at, teller, what } });
        }
    }

    fn say_named(&mut self, at: Micros, teller: Teller, who: Who<'_>, what: What) {
        if !who.uid.is_empty() && who.uid != "none" && who.uid != "<unknown>" {
            self.said.push(Said::Fact {
                uid: who.uid.into(),
                name: filled(who.name),
                linkedid: filled(who.linkedid),
                fact: Fact { at, teller, what },
            });
        }
    }
}

/// A channel as an event names it.
#[derive(Debug, Clone, Copy)]
struct Who<'a> {
    uid: &'a str,
    name: &'a str,
    linkedid: &'a str,
}

/// How to read what sites name in their own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Channel variables that hold the campaign, without leading underscores; the first that is set counts.
    pub campaign: Vec<String>,
    /// Channel variables that hold the contact.
    pub contact: Vec<String>,
    /// UserEvents that say that a machine answered.
    pub machine_events: Vec<String>,
    /// UserEvents and variables that say that a restriction forbids the dial.
    pub forbidden: Vec<String>,
    /// The campaigns that channels with such an account code belong to.
    pub accounts: BTreeMap<String, String>,
}

impl Default for Reading {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        Self {
            campaign: list(&["CAMPAIGN"]),
            contact: list(&["CONTACT"]),
            machine_events: list(&["AnsweringMachine"]),
            forbidden: list(&["DoNotCall", "DNC"]),
            accounts: BTreeMap::new(),
        }
    }
}

impl Reading {
    /// What a variable of that name means, if anything.
    fn variable(&self, name: &str) -> Option<Variable> {
        let name = name.trim_start_matches('_');
        let among = |list: &[String]| list.iter().any(|n| n.eq_ignore_ascii_case(name));
        match name {
            "AMDSTATUS" => Some(Variable::Amd),
            "QUEUESTATUS" => Some(Variable::QueueStatus),
            "VMSTATUS" => Some(Variable::MailboxStatus),
            "DIALSTATUS" => Some(Variable::DialStatus),
            _ if among(&self.campaign) => Some(Variable::Campaign),
            _ if among(&self.contact) => Some(Variable::Contact),
            _ => None,
        }
    }

    /// What an account code says: as much as the variable.
    fn account(&self, code: &str) -> Option<What> {
        let campaign = self.accounts.get(code)?;
        Some(What::Set { variable: Variable::Campaign, value: campaign.as_str().into() })
    }

    /// What setting `name` to `value` says; nothing for an empty or redacted value.
    fn set(&self, name: &str, value: &str) -> Option<What> {
        if value.is_empty() || value == "[redacted]" {
            return None;
        }
        if self.forbidden.iter().any(|n| n.eq_ignore_ascii_case(name.trim_start_matches('_'))) {
            return (value != "0").then_some(What::Forbidden);
        }
        self.variable(name).map(|variable| What::Set { variable, value: value.into() })
    }
}

/// Decodes an envelope of a PBX's log. Heartbeats and the like say nothing of channels.
pub fn decode(envelope: &Envelope<'_>, reading: &Reading) -> Decoded {
    match envelope.source {
        Source::Ami => ami::decode(envelope, reading),
        Source::Cel => cel::decode(envelope, reading),
        Source::QueueLog => queue_log::decode(envelope),
        Source::Heartbeat | Source::ImportEnd | Source::Gap | Source::Unreadable | Source::Resync => Decoded::default(),
    }
}

/// `None` for empty text and for Asterisk's words for an unknown number.
fn filled(text: &str) -> Option<Box<str>> {
    (!text.is_empty() && text != "<unknown>" && text != "unknown").then(|| text.into())
}

/// What shows that a channel was dialled by us.
fn dialler(app: &str) -> Option<Dialler> {
    match app {
        "AppDial" => Some(Dialler::Dialplan),
        "AppDial2" => Some(Dialler::Originate),
        "AppQueue" => Some(Dialler::Queue),
        _ => None,
    }
}

fn bridge_kind(technology: &str) -> BridgeKind {
    match technology {
        "softmix" => BridgeKind::Conference,
        "holding_bridge" => BridgeKind::Holding,
        _ => BridgeKind::Basic,
    }
}
