//! What became of a call: fourteen statuses in three classes, and the one function that decides among them.
//!
//! Callers gather evidence ([`Outbound`], [`Inbound`]); [`outbound`] and [`inbound`] judge it, first match wins.
//! Nothing here knows channels or events. Sources: Q.850 for the causes; Asterisk's `Reason` codes.

use serde::{Deserialize, Serialize};

/// What became of a call or attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The customer's leg was up (outbound), or a person, a conference or self-service took the call (inbound).
    Answered,
    /// Answered, then moved to another agent, queue or number.
    Transferred,
    /// Answered by a machine (outbound), or left with a mailbox (inbound).
    Voicemail,
    /// Rang out.
    NoAnswer,
    /// Busy.
    Busy,
    /// The person refused.
    Rejected,
    /// Disconnected, moved, switched off.
    OutOfService,
    /// Inbound: the caller left before anyone answered.
    Abandoned,
    /// Inbound: our side ended it unserved.
    NoAgent,
    /// Outbound: our side gave up before the ring time was over.
    Cancelled,
    /// Does not exist or is malformed.
    InvalidNumber,
    /// No circuit, network full.
    Congestion,
    /// Anything else on the exchange's or provider's side.
    DialingError,
    /// A restriction forbade it.
    DoNotCall,
}

/// The three classes that percentages are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody or something took the call.
    Connected,
    /// Nobody took it.
    Unanswered,
    /// It could not be made.
    Failed,
}

impl Class {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Connected, Self::Unanswered, Self::Failed];

    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Unanswered => "unanswered",
            Self::Failed => "failed",
        }
    }
}

impl Status {
    /// All of them, class by class, in the order of reports.
    pub const ALL: [Self; 14] = [
        Self::Answered,
        Self::Transferred,
        Self::Voicemail,
        Self::NoAnswer,
        Self::Busy,
        Self::Rejected,
        Self::OutOfService,
        Self::Abandoned,
        Self::NoAgent,
        Self::Cancelled,
        Self::InvalidNumber,
        Self::Congestion,
        Self::DialingError,
        Self::DoNotCall,
    ];

    /// The word in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Transferred => "transferred",
            Self::Voicemail => "voicemail",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::OutOfService => "out_of_service",
            Self::Abandoned => "abandoned",
            Self::NoAgent => "no_agent",
            Self::Cancelled => "cancelled",
            Self::InvalidNumber => "invalid_number",
            Self::Congestion => "congestion",
            Self::DialingError => "dialing_error",
            Self::DoNotCall => "do_not_call",
        }
    }

    /// The class: each status has exactly one.
    pub const fn class(self) -> Class {
        match self {
            Self::Answered | Self::Transferred | Self::Voicemail => Class::Connected,
            Self::NoAnswer
            | Self::Busy
            | Self::Rejected
            | Self::OutOfService
            | Self::Abandoned
            | Self::NoAgent
            | Self::Cancelled => Class::Unanswered,
            Self::InvalidNumber | Self::Congestion | Self::DialingError | Self::DoNotCall => Class::Failed,
        }
    }

    /// One of the five classic words that dialers know.
    pub const fn dial_status(self) -> &'static str {
        match self {
            Self::Answered | Self::Transferred | Self::Voicemail => "ANSWER",
            Self::Busy => "BUSY",
            Self::Congestion => "CONGESTION",
            Self::NoAnswer
            | Self::Rejected
            | Self::OutOfService
            | Self::Abandoned
            | Self::NoAgent
            | Self::Cancelled => "NO_ANSWER",
            Self::InvalidNumber | Self::DialingError | Self::DoNotCall => "FAILURE",
        }
    }

    /// The same among the nine classic statuses of reports.
    pub const fn classic(self) -> Self {
        match self {
            Self::Busy | Self::Cancelled | Self::Abandoned | Self::NoAgent => Self::NoAnswer,
            Self::Congestion => Self::DialingError,
            Self::Answered
            | Self::Transferred
            | Self::Voicemail
            | Self::NoAnswer
            | Self::Rejected
            | Self::OutOfService
            | Self::InvalidNumber
            | Self::DialingError
            | Self::DoNotCall => self,
        }
    }
}

/// How a dial ended, in Asterisk's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DialStatus {
    /// ANSWER.
    Answer,
    /// BUSY.
    Busy,
    /// CANCEL: the calling side gave up, or another leg answered.
    Cancel,
    /// CHANUNAVAIL.
    Unavailable,
    /// CONGESTION.
    Congestion,
    /// NOANSWER: also a catch-all for most failures.
    NoAnswer,
    /// Any other word (privacy screening, free text of the dialplan).
    Other,
}

impl DialStatus {
    /// Reads Asterisk's word; empty is none.
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "" => None,
            "ANSWER" => Some(Self::Answer),
            "BUSY" => Some(Self::Busy),
            "CANCEL" => Some(Self::Cancel),
            "CHANUNAVAIL" => Some(Self::Unavailable),
            "CONGESTION" => Some(Self::Congestion),
            "NOANSWER" => Some(Self::NoAnswer),
            _ => Some(Self::Other),
        }
    }

    /// Asterisk's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "ANSWER",
            Self::Busy => "BUSY",
            Self::Cancel => "CANCEL",
            Self::Unavailable => "CHANUNAVAIL",
            Self::Congestion => "CONGESTION",
            Self::NoAnswer => "NOANSWER",
            Self::Other => "other",
        }
    }
}

/// How the codes of an Originate's `Reason` are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCodes {
    /// As AMI sends them: 0 failed, 1 hang-up, 3 ring time-out, 4 answer, 5 busy, 8 congestion.
    #[default]
    Asterisk,
    /// As Issabel's own tables keep them: 0 no answer, 1 busy, 2 failure, 3 congestion, 4 answer.
    Issabel,
}

/// Whether the customer's phone rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rang {
    /// It did.
    Yes,
    /// It is known that it did not.
    Never,
    /// The sources don't tell.
    #[default]
    Unknown,
}

/// What is known of an outbound call.
#[derive(Debug, Clone, Default)]
pub struct Outbound {
    /// The customer's leg was up.
    pub up: bool,
    /// A transfer was completed.
    pub transferred: bool,
    /// What told that a machine answered, e.g. `AMDSTATUS=MACHINE`.
    pub machine: Option<String>,
    /// What told that the dial was forbidden.
    pub forbidden: Option<String>,
    /// Whether a channel towards the customer ever existed.
    pub channel: bool,
    /// Q.850 cause of the customer channel's hang-up.
    pub cause: Option<u16>,
    /// Whether the customer's phone rang.
    pub rang: Rang,
    /// The first end of the dial, in Asterisk's word.
    pub dial_status: Option<DialStatus>,
    /// Our side asked for the hang-up while it rang.
    pub given_up: bool,
    /// The Originate's Reason, and how it is read.
    pub originate: Option<(i64, ReasonCodes)>,
}

/// What is known of an inbound call.
#[derive(Debug, Clone, Default)]
pub struct Inbound {
    /// Who took it, e.g. `agent PJSIP/101` or `conference`; self-service included.
    pub taken_by: Option<String>,
    /// A transfer was completed after that.
    pub transferred: bool,
    /// A mailbox took it.
    pub mailbox: bool,
    /// What told that the caller is blocked.
    pub forbidden: Option<String>,
    /// No such number: refused on arrival with this cause.
    pub no_such_number: Option<u16>,
    /// What told that the caller hung up, e.g. `hang-up request from PJSIP/trunk-1`.
    pub caller_left: Option<String>,
}

/// A status and the fact that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What became of the call.
    pub status: Status,
    /// The fact that decided, in a few words, e.g. `hangup_cause=17`.
    pub evidence: String,
}

fn verdict(status: Status, evidence: impl Into<String>) -> Verdict {
    Verdict { status, evidence: evidence.into() }
}

/// Judges an outbound call: the first rule that fits.
pub fn outbound(known: &Outbound) -> Verdict {
    if known.up {
        return match &known.machine {
            _ if known.transferred => verdict(Status::Transferred, "transfer completed"),
            Some(machine) => verdict(Status::Voicemail, machine),
            None => verdict(Status::Answered, "customer leg up"),
        };
    }
    if let Some(forbidden) = &known.forbidden {
        return verdict(Status::DoNotCall, forbidden);
    }
    if known.channel {
        return by_cause(known);
    }
    match known.originate {
        Some((reason, codes)) => verdict(by_reason(reason, codes), format!("originate_reason={reason}")),
        None => verdict(Status::DialingError, "no channel"),
    }
}

fn by_cause(known: &Outbound) -> Verdict {
    let never_rang = known.rang == Rang::Never;
    let cause = known.cause.unwrap_or(0);
    let evidence = format!("hangup_cause={cause}");
    match cause {
        17 => verdict(Status::Busy, evidence),
        21 if never_rang => verdict(Status::DialingError, format!("{evidence}, never rang")),
        21 => verdict(Status::Rejected, evidence),
        20 | 22 | 27 => verdict(Status::OutOfService, evidence),
        1 | 28 => verdict(Status::InvalidNumber, evidence),
        34 | 42 | 44 => verdict(Status::Congestion, evidence),
        0 | 16 | 18 | 19 | 26 | 31 | 127 => by_dial(known, cause),
        _ => verdict(Status::DialingError, evidence),
    }
}

/// Causes that say nothing of why: the dial's own end does.
fn by_dial(known: &Outbound, cause: u16) -> Verdict {
    let dial = |status, word: DialStatus| verdict(status, format!("dial_status={}", word.name()));
    match known.dial_status {
        Some(word @ DialStatus::Busy) => dial(Status::Busy, word),
        Some(word @ DialStatus::Congestion) => dial(Status::Congestion, word),
        Some(word @ DialStatus::Unavailable) => dial(Status::DialingError, word),
        Some(word @ DialStatus::Cancel) => dial(Status::Cancelled, word),
        Some(DialStatus::Answer | DialStatus::NoAnswer | DialStatus::Other) | None => match cause {
            _ if known.given_up => verdict(Status::Cancelled, "hung up by our side while ringing"),
            31 | 127 if known.rang == Rang::Never => {
                verdict(Status::DialingError, format!("hangup_cause={cause}, never rang"))
            }
            _ => verdict(Status::NoAnswer, format!("hangup_cause={cause}, not answered")),
        },
    }
}

fn by_reason(reason: i64, codes: ReasonCodes) -> Status {
    match (codes, reason) {
        (ReasonCodes::Asterisk, 1 | 3) | (ReasonCodes::Issabel, 0) => Status::NoAnswer,
        (ReasonCodes::Asterisk, 5) | (ReasonCodes::Issabel, 1) => Status::Busy,
        (ReasonCodes::Asterisk, 8) | (ReasonCodes::Issabel, 3) => Status::Congestion,
        (_, 4) => Status::Answered,
        (ReasonCodes::Asterisk | ReasonCodes::Issabel, _) => Status::DialingError,
    }
}

/// Judges an inbound call: the first rule that fits. Causes of our own phones never count.
pub fn inbound(known: &Inbound) -> Verdict {
    if let Some(taken_by) = &known.taken_by {
        return if known.transferred {
            verdict(Status::Transferred, "transfer completed")
        } else {
            verdict(Status::Answered, format!("taken by {taken_by}"))
        };
    }
    if known.mailbox {
        return verdict(Status::Voicemail, "mailbox");
    }
    if let Some(forbidden) = &known.forbidden {
        return verdict(Status::DoNotCall, forbidden);
    }
    if let Some(left) = &known.caller_left {
        return verdict(Status::Abandoned, left);
    }
    match known.no_such_number {
        Some(cause) => verdict(Status::InvalidNumber, format!("hangup_cause={cause} on arrival")),
        None => verdict(Status::NoAgent, "ended by our side, nobody answered"),
    }
}

#[cfg(test)]
mod tests;
