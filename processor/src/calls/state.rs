//! What the calls fold remembers: channels with the facts told of them, and groups of channels that belong together.
//!
//! Facts are kept as a set, not as a running interpretation: a call is told anew from all of them whenever it must be
//! published ([`super::telling`]), so that neither the order of arrival nor the source decides what comes out.
//! Every entry is small and keyed; what changed is written with the commit and is all that a restart reads.

use std::collections::{BTreeMap, BTreeSet};

use calltide_eventlog::Change;
use calltide_schemas::Micros;
use calltide_schemas::journals::Feed;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::clock::Clock;
use super::feeding::AllFed;
use super::informing::Informed;
use super::sources::Account;
use crate::vocabulary::{Fact, Uid, What};

/// Written before every state entry: another layout is another number, and the state is then derived anew.
const LAYOUT: u8 = 4;

/// A channel and everything that was told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Channel {
    /// The group it belongs to.
    pub(super) group: Uid,
    /// What was told, in the order of arrival, each once.
    pub(super) facts: Vec<Fact>,
    /// Its hang-up was told.
    pub(super) gone: bool,
    /// It is an agent's who stays on the line for a whole shift (AgentLogin): in many calls, and of none.
    pub(super) stays_up: bool,
    /// It is among the entries to be written.
    #[serde(skip)]
    touched: bool,
}

/// By (topic, key) of a published row its version and a digest of its content, `None` if it was withdrawn.
pub(super) type Published = BTreeMap<(u8, Box<str>), (i64, Option<u64>)>;

/// Channels that belong together, and what was published of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Group {
    /// Its channels.
    pub(super) channels: BTreeSet<Uid>,
    /// How many of them are not gone.
    pub(super) open: u32,
    /// The journals that told of it.
    pub(super) journals: BTreeSet<Box<str>>,
    /// The time of the latest fact.
    pub(super) last: Micros,
    /// The PBX's clock when it was told. History imported later is old, but just told: waiting counts from then.
    pub(super) heard: Micros,
    /// Nothing more can come: what is open has ended.
    pub(super) cut: Option<Cut>,
    /// Something was told since it was last published.
    pub(super) dirty: bool,
    /// Late records had their time.
    pub(super) settled: bool,
    /// When something must be done with it next.
    pub(super) due: Option<(Micros, Why)>,
    /// What was published.
    pub(super) published: Published,
    /// Of which calls recycling was told.
    pub(super) fed: AllFed,
    /// It may be a campaign dial under way of which recycling was not told yet.
    pub(super) dialling: bool,
    /// Of which legs the fold of agents was told, and of which charges.
    pub(super) informed: Informed,
    /// See `informed`.
    pub(super) billed: Informed,
    /// Something that the fold of agents is told changed since it was.
    pub(super) stirred: bool,
    /// It is among the entries to be written.
    #[serde(skip)]
    touched: bool,
}

impl Channel {
    /// A channel of which nothing is known yet.
    pub(super) fn new(group: Uid) -> Self {
        Self { group, facts: Vec::new(), gone: false, stays_up: false, touched: false }
    }
}

impl Group {
    /// The group of one channel of which nothing is known yet.
    pub(super) fn new(channel: Uid) -> Self {
        Self {
            channels: [channel].into(),
            open: 0,
            journals: BTreeSet::new(),
            last: Micros(i64::MIN),
            heard: Micros(i64::MIN),
            cut: None,
            dirty: true,
            settled: false,
            due: None,
            published: BTreeMap::new(),
            fed: AllFed::new(),
            dialling: false,
            informed: Informed::new(),
            billed: Informed::new(),
            stirred: false,
            touched: false,
        }
    }
}

/// When what was open ended, where no hang-up tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Cut {
    /// When it was last heard of: its source ended, or was silent for too long.
    LastSeen,
    /// With the PBX, whose last sign of life was then.
    Died(Micros),
}

/// Why a timer was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Why {
    /// All channels are gone, or new facts came: publish.
    Tell,
    /// Late records had their time: publish as settled.
    Settle,
    /// Nothing was heard of an open call for too long.
    Silence,
    /// Corrections are over: forget all but the channels' ids.
    Expire,
}

/// One Asterisk server.
#[derive(Debug, Default)]
pub(super) struct Pbx {
    pub(super) clock: Clock,
    /// Where its events come from.
    pub(super) sources: BTreeMap<Feed, Account>,
    pub(super) channels: FxHashMap<Uid, Channel>,
    pub(super) groups: FxHashMap<Uid, Group>,
    /// A channel by which a group is found: of a linkedid, of a bridge.
    pub(super) known_by: FxHashMap<Mark, Uid>,
    /// Channels that an Originate dialled, by what was dialled.
    pub(super) originated: FxHashMap<Box<str>, BTreeSet<Uid>>,
    /// Groups by the moment when something must be done with them.
    pub(super) timers: BTreeSet<(Micros, Uid)>,
    /// Groups with open channels.
    pub(super) open: BTreeSet<Uid>,
    /// Groups that are [`Group::dialling`].
    pub(super) dialling: BTreeSet<Uid>,
    /// Groups that are [`Group::stirred`].
    pub(super) stirred: BTreeSet<Uid>,
    /// Digests of the ids of forgotten channels, and until when they are kept.
    pub(super) gone: FxHashMap<u64, Micros>,
    /// Forgotten groups by the moment when their channels' digests go, too.
    expiring: BTreeSet<(Micros, Uid)>,
}

/// Something that several channels have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    Linkedid(Box<str>),
    Bridge(Box<str>),
}

/// A journal as far as it was taken in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Its highest offset so far.
    pub(super) last: u64,
    /// It is among the entries to be written.
    #[serde(skip)]
    pub(super) touched: bool,
}

/// All state of the fold, with the keys of what changed.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) pbxs: BTreeMap<Box<str>, Pbx>,
    pub(super) journals: BTreeMap<Box<str>, Journal>,
    changed: BTreeSet<Key>,
    expired: BTreeMap<Key, (Micros, Vec<u64>)>,
}

/// The key of a state entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Journal(Box<str>),
    Clock(Box<str>),
    Account(Box<str>, Feed),
    Channel(Box<str>, Uid),
    Group(Box<str>, Uid),
    /// The digests of a forgotten group's channels.
    Expired(Box<str>, Uid),
}

impl Key {
    fn bytes(&self) -> Vec<u8> {
        let (letter, parts): (u8, [&str; 2]) = match self {
            Self::Journal(id) => (b'j', [id, ""]),
            Self::Clock(pbx) => (b'p', [pbx, ""]),
            Self::Account(pbx, feed) => (b's', [pbx, feed.name()]),
            Self::Channel(pbx, uid) => (b'c', [pbx, uid]),
            Self::Group(pbx, id) => (b'g', [pbx, id]),
            Self::Expired(pbx, id) => (b'x', [pbx, id]),
        };
        let mut key = vec![letter];
        key.extend_from_slice(parts[0].as_bytes());
        key.push(0);
        key.extend_from_slice(parts[1].as_bytes());
        key
    }

    fn read(key: &[u8]) -> Option<Self> {
        let (letter, rest) = key.split_first()?;
        let rest = std::str::from_utf8(rest).ok()?;
        let (pbx, id) = rest.split_once('\0')?;
        let (pbx, id): (Box<str>, Box<str>) = (pbx.into(), id.into());
        Some(match letter {
            b'j' => Self::Journal(pbx),
            b'p' => Self::Clock(pbx),
            b's' => Self::Account(pbx, Feed::named(&id)?),
            b'c' => Self::Channel(pbx, id),
            b'g' => Self::Group(pbx, id),
            b'x' => Self::Expired(pbx, id),
            _ => return None,
        })
    }
}

impl State {
    /// Reads committed entries back; `false` if one of them has another layout.
    pub(super) fn restore(&mut self, entries: Vec<(Vec<u8>, Vec<u8>)>) -> bool {
        let understood = entries.into_iter().all(|(key, value)| self.restore_entry(&key, &value).is_some());
        for pbx in self.pbxs.values_mut() {
            pbx.index();
        }
        understood
    }

    fn restore_entry(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match Key::read(key)? {
            Key::Journal(id) => {
                self.journals.insert(id, unpack(value)?);
            }
            Key::Clock(pbx) => self.pbxs.entry(pbx).or_default().clock = unpack(value)?,
            Key::Account(pbx, feed) => {
                self.pbxs.entry(pbx).or_default().sources.insert(feed, unpack(value)?);
            }
            Key::Channel(pbx, uid) => {
                self.pbxs.entry(pbx).or_default().channels.insert(uid, unpack(value)?);
            }
            Key::Group(pbx, id) => {
                self.pbxs.entry(pbx).or_default().groups.insert(id, unpack(value)?);
            }
            key @ Key::Expired(..) => {
                let (until, digests): (Micros, Vec<u64>) = unpack(value)?;
                if let Key::Expired(pbx, id) = &key {
                    let of = self.pbxs.entry(pbx.clone()).or_default();
                    of.gone.extend(digests.iter().map(|&d| (d, until)));
                    of.expiring.insert((until, id.clone()));
                }
                self.expired.insert(key, (until, digests));
            }
        }
        Some(())
    }

    /// Marks an entry as changed (or removed: it is looked up when it is written).
    pub(super) fn touch(&mut self, key: Key) {
        self.changed.insert(key);
    }

    /// Marks a channel as changed; most are within one commit already.
    pub(super) fn touch_channel(&mut self, pbx: &str, uid: &Uid) {
        let channel = self.pbxs.get_mut(pbx).and_then(|of| of.channels.get_mut(uid));
        if channel.is_none_or(|channel| !std::mem::replace(&mut channel.touched, true)) {
            self.changed.insert(Key::Channel(pbx.into(), uid.clone()));
        }
    }

    /// Marks a group as changed.
    pub(super) fn touch_group(&mut self, pbx: &str, id: &Uid) {
        let group = self.pbxs.get_mut(pbx).and_then(|of| of.groups.get_mut(id));
        if group.is_none_or(|group| !std::mem::replace(&mut group.touched, true)) {
            self.changed.insert(Key::Group(pbx.into(), id.clone()));
        }
    }

    /// Keeps only the digests of a group's channels, until the given time.
    pub(super) fn expire(&mut self, pbx: &str, id: &Uid, until: Micros) {
        let Some(of) = self.pbxs.get_mut(pbx) else { return };
        let forgotten = of.forget(id);
        for (uid, digest) in &forgotten {
            of.gone.insert(*digest, until);
            self.changed.insert(Key::Channel(pbx.into(), uid.clone()));
        }
        self.changed.insert(Key::Group(pbx.into(), id.clone()));
        let key = Key::Expired(pbx.into(), id.clone());
        // An id that was used before keeps the digests of then.
        let (kept_until, digests) = self.expired.entry(key.clone()).or_default();
        of.expiring.remove(&(*kept_until, id.clone()));
        *kept_until = until;
        digests.extend(forgotten.into_iter().map(|(_, digest)| digest));
        of.expiring.insert((until, id.clone()));
        self.changed.insert(key);
        self.drop_expired(pbx);
    }

    /// Forgets digests whose time is over.
    fn drop_expired(&mut self, pbx: &str) {
        let Some(of) = self.pbxs.get_mut(pbx) else { return };
        while let Some((until, id)) = of.expiring.first().filter(|(until, _)| *until <= of.clock.now).cloned() {
            let key = Key::Expired(pbx.into(), id.clone());
            for digest in self.expired.remove(&key).map(|(_, digests)| digests).unwrap_or_default() {
                of.gone.remove(&digest);
            }
            of.expiring.remove(&(until, id));
            self.changed.insert(key);
        }
    }

    /// The entries that changed since the last call.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        for key in &changed {
            self.untouch(key);
        }
        changed.into_iter().map(|key| Change { value: self.pack_entry(&key), key: key.bytes() }).collect()
    }

    fn untouch(&mut self, key: &Key) {
        match key {
            Key::Channel(pbx, uid) => {
                if let Some(channel) = self.pbxs.get_mut(pbx).and_then(|of| of.channels.get_mut(uid)) {
                    channel.touched = false;
                }
            }
            Key::Group(pbx, id) => {
                if let Some(group) = self.pbxs.get_mut(pbx).and_then(|of| of.groups.get_mut(id)) {
                    group.touched = false;
                }
            }
            Key::Journal(id) => {
                if let Some(journal) = self.journals.get_mut(id) {
                    journal.touched = false;
                }
            }
            Key::Account(pbx, feed) => {
                if let Some(account) = self.pbxs.get_mut(pbx).and_then(|of| of.sources.get_mut(feed)) {
                    account.touched = false;
                }
            }
            Key::Clock(_) | Key::Expired(..) => {}
        }
    }

    fn pack_entry(&self, key: &Key) -> Option<Vec<u8>> {
        match key {
            Key::Journal(id) => self.journals.get(id).and_then(pack),
            Key::Clock(pbx) => self.pbxs.get(pbx).and_then(|p| pack(&p.clock)),
            Key::Account(pbx, feed) => self.pbxs.get(pbx).and_then(|p| p.sources.get(feed)).and_then(pack),
            Key::Channel(pbx, uid) => self.pbxs.get(pbx).and_then(|p| p.channels.get(uid)).and_then(pack),
            Key::Group(pbx, id) => self.pbxs.get(pbx).and_then(|p| p.groups.get(id)).and_then(pack),
            Key::Expired(..) => self.expired.get(key).and_then(pack),
        }
    }
}

fn pack<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![LAYOUT]).ok()
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&LAYOUT, rest)) => postcard::from_bytes(rest).ok(),
        Some(_) | None => None,
    }
}

impl Pbx {
    /// Builds what can be derived from channels and groups.
    fn index(&mut self) {
        let channels = std::mem::take(&mut self.channels);
        let uids: BTreeSet<&Uid> = channels.keys().collect();
        for uid in uids {
            let channel = &channels[uid];
            // As when they were told: bridges are not found by who stays up for a shift.
            for fact in
                channel.facts.iter().filter(|fact| !channel.stays_up || !matches!(fact.what, What::Entered { .. }))
            {
                self.mark(uid, &fact.what);
            }
        }
        self.channels = channels;
        for (id, group) in &self.groups {
            if group.open > 0 {
                self.open.insert(id.clone());
            }
            if group.dialling {
                self.dialling.insert(id.clone());
            }
            if group.stirred {
                self.stirred.insert(id.clone());
            }
            self.timers.extend(group.due.map(|(at, _)| (at, id.clone())));
        }
    }

    /// Remembers what a fact lets a channel be found by; returns the channel that was found by it before.
    pub(super) fn mark(&mut self, uid: &Uid, what: &What) -> Option<Uid> {
        if let What::DialBegan { caller: None, dialled } = what {
            self.originated.entry(dialled.clone()).or_default().insert(uid.clone());
        }
        let mark = super::gather::mark(what)?;
        match self.known_by.get(&mark) {
            Some(found) => Some(found.clone()),
            None => {
                self.known_by.insert(mark, uid.clone());
                None
            }
        }
    }

    /// Removes a group with its channels and all that led to them.
    fn forget(&mut self, id: &Uid) -> Vec<(Uid, u64)> {
        let Some(group) = self.groups.remove(id) else { return Vec::new() };
        self.open.remove(id);
        if let Some((at, _)) = group.due {
            self.timers.remove(&(at, id.clone()));
        }
        let mut digests = Vec::new();
        for uid in group.channels {
            let Some(channel) = self.channels.remove(&uid) else { continue };
            for fact in &channel.facts {
                if let Some(mark) = super::gather::mark(&fact.what)
                    && self.known_by.get(&mark) == Some(&uid)
                {
                    self.known_by.remove(&mark);
                }
                if let What::DialBegan { caller: None, dialled } = &fact.what
                    && let Some(uids) = self.originated.get_mut(dialled)
                {
                    uids.remove(&uid);
                    if uids.is_empty() {
                        self.originated.remove(dialled);
                    }
                }
            }
            let digest = digest(uid.as_bytes());
            digests.push((uid, digest));
        }
        digests
    }
}

/// A stable 64-bit digest.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}
