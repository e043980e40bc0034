//! The directory of a site: users, teams, agents, their groups, devices, queues, and what telephony costs.
//!
//! Entries are plain data, as they stand in the configuration, in the API and in the table `directory`. A change is a record
//! of the log: what was before it is judged by what held then. Must not know what is made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Micros;

/// Who gave an entry: what the configuration gave, it alone takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration.
    Configuration,
    /// The API or a command.
    Api,
}

/// A change of the directory, from `at` on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DirectoryChange {
    /// From when on it holds. Calls and sessions are judged by what held when they began.
    pub at: Micros,
    /// Who made it.
    pub who: String,
    /// Where it comes from.
    pub origin: Origin,
    /// New entries, and such as replace the ones with their kind and id.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// Entries that are no more, by kind and id.
    #[serde(default)]
    pub removed: Vec<(EntryKind, String)>,
    /// Whether `entries` are all that this origin has: any other that it gave before is no more.
    #[serde(default)]
    pub whole: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A [`User`].
    User,
    /// A [`Team`].
    Team,
    /// A [`Group`].
    Group,
    /// An [`Agent`].
    Agent,
    /// A [`Device`].
    Device,
    /// A [`Queue`].
    Queue,
    /// A [`Rate`].
    Rate,
}

impl EntryKind {
    /// Every kind, in the order in which they build on each other.
    pub const ALL: [Self; 7] =
        [Self::User, Self::Team, Self::Group, Self::Agent, Self::Device, Self::Queue, Self::Rate];

    /// The word in tables, paths and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Group => "group",
            Self::Agent => "agent",
            Self::Device => "device",
            Self::Queue => "queue",
            Self::Rate => "rate",
        }
    }
}

/// An entry of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// Who is billed.
    User(User),
    /// Agents under one administrator.
    Team(Team),
    /// Agents with something in common.
    Group(Group),
    /// A person who works.
    Agent(Agent),
    /// What rings.
    Device(Device),
    /// Where callers wait.
    Queue(Queue),
    /// What calls to some numbers cost.
    Rate(Rate),
}

impl Entry {
    /// What it is.
    pub const fn kind(&self) -> EntryKind {
        match self {
            Self::User(_) => EntryKind::User,
            Self::Team(_) => EntryKind::Team,
            Self::Group(_) => EntryKind::Group,
            Self::Agent(_) => EntryKind::Agent,
            Self::Device(_) => EntryKind::Device,
            Self::Queue(_) => EntryKind::Queue,
            Self::Rate(_) => EntryKind::Rate,
        }
    }

    /// Its id among those of its kind.
    pub fn id(&self) -> &str {
        match self {
            Self::User(it) => &it.id,
            Self::Team(it) => &it.id,
            Self::Group(it) => &it.id,
            Self::Agent(it) => &it.id,
            Self::Device(it) => &it.id,
            Self::Queue(it) => &it.id,
            Self::Rate(it) => &it.id,
        }
    }
}

/// The billing unit that owns agents and devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The rate table that its calls are charged by; `standard` if none is named.
    pub rates: Option<String>,
    /// Its account that may see its agents, devices and charges.
    pub account: Option<String>,
}

/// Agents, queues and campaigns under one administrator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
}

/// Agents with something in common, e.g. a language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
}

/// How an agent comes to a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceMode {
    /// It never changes.
    #[default]
    Fixed,
    /// At login, the phone that is registered from the terminal's address becomes theirs, if there is one.
    SelfAdapting,
    /// They name it at login; one that another agent uses is refused.
    Dynamic,
}

/// What a person may do. One may hold several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Administrator,
    /// One team's agents, queues, campaigns and their accounts.
    TeamAdministrator,
    /// Reads what a team administrator may.
    Supervisor,
    /// Their user's agents, devices and charges.
    User,
    /// Own figures.
    Agent,
}

/// A person who works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Their id: one for all PBXs.
    pub id: String,
    /// What people call them.
    pub name: Option<String>,
    /// Their team.
    pub team: Option<String>,
    /// Their groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The user that owns them.
    pub user: Option<String>,
    /// What PBXs call them: `<pbx>/<name>`, e.g. `site-a/Agent/101`.
    #[serde(default)]
    pub names: Vec<String>,
    /// How they come to a device.
    #[serde(default)]
    pub device_mode: DeviceMode,
    /// Their device, `<pbx>/<endpoint>`, e.g. `site-a/PJSIP/101`.
    pub device: Option<String>,
    /// What they may do; `agent` if nothing is said.
    #[serde(default)]
    pub roles: Vec<Role>,
}

/// Whether a device is ours or an ordinary telephone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// SIP, IAX or DAHDI inside. Calls out from it are charged to its user.
    #[default]
    Internal,
    /// An ordinary telephone, reached by an internal number. It only receives, and legs to it are charged to its user.
    External,
}

/// What rings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// `<pbx>/<endpoint>` of an internal one, e.g. `site-a/PJSIP/101`; `<pbx>/<internal number>` of an external one.
    pub id: String,
    /// What it is.
    #[serde(default)]
    pub kind: DeviceKind,
    /// Of an external one the telephone's number in E.164.
    pub number: Option<String>,
    /// The user that owns it.
    pub user: Option<String>,
    /// The IP address that it registers from, where the PBX does not say it.
    pub address: Option<String>,
}

/// Where callers wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// `<pbx>/<queue>`.
    pub id: String,
    /// Its team.
    pub team: Option<String>,
    /// Agents who are always in it, by their ids: members from the PBX's configuration.
    #[serde(default)]
    pub members: Vec<String>,
    /// How long an agent has after each of its calls, in seconds; else as the PBX says.
    pub wrap_up_s: Option<u32>,
}

/// What calls to the numbers with a prefix cost. Of several in a table the longest prefix counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Its id; a new one with the same id replaces it, and what was charged by it is charged anew.
    pub id: String,
    /// The rate table; `standard` if none is named.
    #[serde(default = "standard")]
    pub table: String,
    /// The beginning of the numbers, in E.164; empty for all.
    #[serde(default)]
    pub prefix: String,
    /// The price of a minute, a decimal number as text, e.g. `0.0125`.
    pub per_minute: String,
    /// The price of a connection, likewise.
    pub connection: Option<String>,
    /// Seconds that are charged at least.
    #[serde(default)]
    pub minimum_s: u32,
    /// What is beyond the minimum is charged in steps of so many seconds; 1 if nothing is said.
    #[serde(default = "one")]
    pub increment_s: u32,
    /// ISO 4217, e.g. `EUR`.
    pub currency: String,
    /// From this day on (`YYYY-MM-DD`, UTC); from the beginning if there is none.
    pub from: Option<String>,
    /// Before this day; without end if there is none.
    pub until: Option<String>,
}

/// The rate table of whoever names none.
pub const STANDARD: &str = "standard";

fn standard() -> String {
    STANDARD.to_owned()
}

const fn one() -> u32 {
    1
}
