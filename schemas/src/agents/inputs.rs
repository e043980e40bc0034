//! What the fold `agents` is told, record by record.
//!
//! All of it is in one partition. What a PBX calls agents and devices is told as it says it, with the PBX; the fold knows from
//! the directory who that is. Times of a PBX are its own clock's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Terminal;
use super::directory::DirectoryChange;
use crate::Micros;

/// A record for the fold `agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum ForAgents {
    /// So late it is.
    #[serde(rename = "agents_tick")]
    Tick(Tick),
    /// The directory changes.
    #[serde(rename = "directory_change")]
    Directory(DirectoryChange),
    /// A PBX says something of a queue's member or an agent.
    #[serde(rename = "member")]
    Member(MemberSaid),
    /// A PBX ended, or has named all members of its queues.
    #[serde(rename = "server")]
    Server(Server),
    /// A terminal says something of an agent.
    #[serde(rename = "terminal")]
    Terminal(Terminal),
    /// A phone registered, or is gone.
    #[serde(rename = "registered")]
    Registered(Registered),
    /// How it stands with an agent's part in a call.
    #[serde(rename = "agent_leg")]
    Leg(LegSaid),
    /// Something that costs money is over, or was corrected.
    #[serde(rename = "billable")]
    Billable(Billable),
}

impl ForAgents {
    /// The record's kind (`ce_type`).
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tick(_) => "agents_tick",
            Self::Directory(_) => "directory_change",
            Self::Member(_) => "member",
            Self::Server(_) => "server",
            Self::Terminal(_) => "terminal",
            Self::Registered(_) => "registered",
            Self::Leg(_) => "agent_leg",
            Self::Billable(_) => "billable",
        }
    }

    /// When it happened.
    pub const fn at(&self) -> Micros {
        match self {
            Self::Tick(said) => said.at,
            Self::Directory(said) => said.at,
            Self::Member(said) => said.at,
            Self::Server(said) => said.at,
            Self::Terminal(said) => said.at,
            Self::Registered(said) => said.at,
            Self::Leg(said) => said.at,
            Self::Billable(said) => said.answered_at,
        }
    }

    /// Its key: what it is about.
    pub fn key(&self) -> String {
        match self {
            Self::Tick(_) | Self::Directory(_) => "*".to_owned(),
            Self::Member(said) => format!("{}/{}", said.pbx, said.member.agent),
            Self::Server(said) => said.pbx.clone(),
            Self::Terminal(said) => said.agent.clone(),
            Self::Registered(said) => format!("{}/{}", said.pbx, said.device),
            Self::Leg(said) => said.leg_id.clone(),
            Self::Billable(said) => said.charge_id.clone(),
        }
    }
}

/// So late it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// By the clock of whoever derives this partition.
    pub at: Micros,
}

/// Something about a queue's member, told by one source of a PBX. The same happening told by both is taken once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberSaid {
    /// When, by its teller.
    pub at: Micros,
    /// The PBX.
    pub pbx: String,
    /// Whether the queue's log told it, which has whole seconds; else AMI did.
    pub by_log: bool,
    /// Whom it is about.
    #[serde(flatten)]
    pub member: Member,
    /// What happened.
    pub what: MemberWhat,
}

/// A member of a queue, or an agent where no queue is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// What the PBX calls the agent: the member's name, or its interface where only that is told.
    pub agent: String,
    /// The queue; of all queues if there is none.
    pub queue: Option<String>,
    /// The interface, if it is told beside the name, e.g. `PJSIP/101`.
    pub device: Option<String>,
}

/// What happened to a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberWhat {
    /// It entered the queue.
    CheckedIn,
    /// It left the queue.
    CheckedOut,
    /// It takes no calls, and why.
    Paused(Option<String>),
    /// It takes calls again.
    Unpaused,
    /// The agent logged in on the PBX (`AgentLogin`).
    LoggedIn,
    /// And out.
    LoggedOut,
    /// It was in the queue when the PBX was asked.
    Listed {
        /// From the PBX's configuration.
        is_static: bool,
        /// Since when it is in the queue, if that is told.
        since: Option<Micros>,
        /// Whether it takes no calls.
        is_paused: bool,
        /// Why, if that is told.
        reason: Option<String>,
    },
    /// It has so many milliseconds after a call that ends now.
    WrapUp(i64),
    /// It has so many milliseconds after each call of this queue.
    WrapUpSetting(i64),
}

impl MemberWhat {
    /// A word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CheckedIn => "checked_in",
            Self::CheckedOut => "checked_out",
            Self::Paused(_) => "paused",
            Self::Unpaused => "unpaused",
            Self::LoggedIn => "logged_in",
            Self::LoggedOut => "logged_out",
            Self::Listed { .. } => "listed",
            Self::WrapUp(_) => "wrap_up",
            Self::WrapUpSetting(_) => "wrap_up_setting",
        }
    }
}

/// Something about a whole PBX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    /// When.
    pub at: Micros,
    /// The PBX.
    pub pbx: String,
    /// What.
    pub what: ServerWhat,
}

/// What happened to a PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerWhat {
    /// It ended: that was the last moment it was alive.
    Ended,
    /// Files of it ended that are all that is known of it.
    FilesEnded,
    /// It named all members of its queues just before: who is not among them has left, unseen.
    AllListed,
}

/// A phone registered, or is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// When.
    pub at: Micros,
    /// The PBX.
    pub pbx: String,
    /// The endpoint, e.g. `PJSIP/101`.
    pub device: String,
    /// The IP address that it is registered from; none when it is not any more.
    pub address: Option<String>,
}

/// What an agent does at a moment of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It rings.
    Ringing,
    /// They speak.
    Talking,
    /// The other end is on hold.
    Hold,
}

/// A span of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// What.
    pub doing: Doing,
    /// From when.
    pub from: Micros,
    /// Until when; none while it goes on.
    pub to: Option<Micros>,
}

/// How it stands with an agent's part in a call; what is told later replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LegSaid {
    /// When this was so, by the PBX's clock.
    pub at: Micros,
    /// The PBX.
    pub pbx: String,
    /// The leg, as in the table `legs`.
    pub leg_id: String,
    /// Its call.
    pub call_id: String,
    /// What the PBX calls the agent, else the device.
    pub agent: Option<String>,
    /// What rang.
    pub device: Option<String>,
    /// The queue that offered the call.
    pub queue: Option<String>,
    /// What the agent did and does, in order, without holes.
    pub activities: Vec<Activity>,
    /// Whether it was answered.
    pub is_answered: bool,
    /// Whether it was a mistake: there is no such leg.
    pub withdrawn: bool,
}

/// What costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillableKind {
    /// A call out: charged to the user of the internal device that placed it.
    CallOut,
    /// A leg to an external device: charged to the user that owns it.
    ExternalLeg,
}

impl BillableKind {
    /// The word in the table `charges`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallOut => "call_out",
            Self::ExternalLeg => "external_leg",
        }
    }
}

/// A connection by a trunk that was answered, and is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Billable {
    /// Names it: `call:<call_id>` or `leg:<leg_id>`.
    pub charge_id: String,
    /// What it is.
    pub what: BillableKind,
    /// The PBX.
    pub pbx: String,
    /// The call.
    pub call_id: String,
    /// The leg, of a leg.
    pub leg_id: Option<String>,
    /// The device that placed the call, e.g. `PJSIP/101`.
    pub device: Option<String>,
    /// The campaign, of a campaign's call.
    pub campaign: Option<String>,
    /// The number in E.164, where it could be understood.
    pub number_e164: Option<String>,
    /// The number as it was dialled.
    pub number_raw: Option<String>,
    /// When it was answered.
    pub answered_at: Micros,
    /// How long it was up.
    pub up_ms: i64,
    /// Whether it was a mistake: there is no such connection.
    pub withdrawn: bool,
}
