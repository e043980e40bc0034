//! Who is who in a group: trunks and devices, customers and agents, and so which calls the group tells.
//!
//! Learned from the group's own channels alone (and configuration), so that history never changes an answer.
//! A customer is a trunk leg that came in, or that a campaign or an agent dialled. A trunk leg dialled for a queue's member, a
//! forward or a transfer is a leg of the call that it serves.

use std::collections::BTreeMap;

use super::channel::Life;
use super::settings::CallSettings;
use super::timeline::Moment;
use crate::vocabulary::{Birth, Dialler, Uid, What};

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Inbound,
    Outbound,
    Internal,
}

impl Direction {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }
}

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Half of a Local pair: plumbing.
    Local,
    /// A trunk's channel.
    Outside,
    /// One of our devices.
    Inside,
    /// Not a channel of anybody (a spool file's failure).
    Pseudo,
}

/// One call of a group, by the indexes of its channels.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    pub(super) direction: Direction,
    /// The customer's legs in the order of their creation: trunks tried in turn. The first names the call.
    pub(super) customers: Vec<usize>,
    /// The one that decides the outcome.
    pub(super) decisive: usize,
    /// The channel that began it all: the customer's, the agent's or a Local half.
    pub(super) root: usize,
    /// All channels of the call, customers included.
    pub(super) members: Vec<usize>,
    /// A consultation: the call of which it is one.
    pub(super) consult_of: Option<usize>,
}

/// Relations among the channels of a group.
pub(super) struct Company<'a, 'b> {
    pub(super) lives: &'b [Life<'a>],
    pub(super) roles: Vec<Role>,
    by_uid: BTreeMap<&'a str, usize>,
    /// The other half of a Local pair.
    pub(super) pair: Vec<Option<usize>>,
    /// Who caused each channel, if anyone did.
    cause: Vec<Option<usize>>,
    /// Channels that a queue offered its callers to.
    pub(super) offered: Vec<bool>,
}

impl<'a, 'b> Company<'a, 'b> {
    pub(super) fn new(lives: &'b [Life<'a>], moments: &[Moment<'_>], settings: &CallSettings) -> Self {
        let by_uid: BTreeMap<&str, usize> = lives.iter().enumerate().map(|(i, l)| (&**l.uid, i)).collect();
        let mut offered = vec![false; lives.len()];
        let mut caller = vec![None; lives.len()];
        for moment in moments {
            let leg = if let What::Offered { leg, .. } = &moment.what {
                Some(leg)
            } else if let What::Connected { leg, .. } | What::RangOut { leg, .. } = &moment.what {
                leg.as_ref()
            } else {
                None
            };
            if let Some(&index) = leg.and_then(|leg| by_uid.get(&**leg)) {
                offered[index] = true;
                caller[index] = caller[index].or(Some(moment.channel));
            }
        }
        let roles = lives.iter().map(|life| role(life, settings)).collect();
        let mut company = Self { lives, roles, pair: pairs(lives), by_uid, cause: caller, offered };
        company.find_causes();
        company
    }

    pub(super) fn index(&self, uid: &Uid) -> Option<usize> {
        self.by_uid.get(&**uid).copied()
    }

    fn find_causes(&mut self) {
        for index in 0..self.lives.len() {
            let life = &self.lives[index];
            let dialled_by = life.dials.iter().find_map(|d| d.1).and_then(|uid| self.index(uid));
            let second_half = life.local_half().is_some_and(|(_, half)| half == "2");
            let cause = match dialled_by {
                _ if second_half => self.pair[index],
                Some(caller) => Some(caller),
                None => self.cause[index].or_else(|| self.by_linkedid(index)),
            };
            self.cause[index] = cause.filter(|&c| c != index);
        }
    }

    /// Where nobody told who dialled (CEL): the channel whose id the linkedid is, or the Local half that it runs behind.
    fn by_linkedid(&self, index: usize) -> Option<usize> {
        let life = &self.lives[index];
        let came_in = life.birth == Birth::Ring || (life.birth == Birth::Unknown && life.dialled_by.is_none());
        if came_in && !life.is_local() {
            return None;
        }
        self.by_uid.get(life.linkedid).copied()
    }

    /// The channel at the beginning of the chain that led to this one.
    pub(super) fn root(&self, index: usize) -> usize {
        let mut at = index;
        // A chain longer than the group has channels is a circle.
        for _ in 0..self.lives.len() {
            match self.cause[at] {
                Some(cause) => at = cause,
                None => return at,
            }
        }
        at
    }

    /// A trunk's channel that came in from its endpoint.
    fn came_in(&self, index: usize) -> bool {
        let life = &self.lives[index];
        // A CEL file that ends right after a channel began: one that came in had a number to go to, or somebody calling.
        let only_begun =
            life.birth == Birth::Unknown && life.apps.is_empty() && life.up.is_none() && life.gone.is_none();
        let born_by_us = life.birth == Birth::Down
            || life.dialled_by.is_some()
            || !life.dials.is_empty()
            || (only_begun && life.exten == "s" && life.caller.is_none());
        self.roles[index] == Role::Outside && !born_by_us
    }

    /// A trunk's channel that was dialled to reach a customer, not to serve a call that is there already.
    fn is_dialled_customer(&self, index: usize) -> bool {
        if self.roles[index] != Role::Outside || self.came_in(index) || self.offered[index] {
            return false;
        }
        let root = self.root(index);
        match self.roles[root] {
            Role::Outside => root == index,
            // An agent's own call, or one that was made for the agent; a leg of a queue has the caller as its root.
            Role::Inside => !self.offered[root],
            Role::Local => true,
            Role::Pseudo => false,
        }
    }

    /// The calls that these channels tell.
    pub(super) fn calls(&self) -> Vec<Cast> {
        let mut casts: Vec<Cast> = Vec::new();
        let mut order: Vec<usize> = (0..self.lives.len()).collect();
        order.sort_by_key(|&i| (self.lives[i].created, self.lives[i].uid));
        for &index in &order {
            if self.came_in(index) {
                casts.push(cast(Direction::Inbound, index, index));
            } else if self.is_dialled_customer(index) {
                let root = self.root(index);
                match casts.iter_mut().find(|c| c.direction == Direction::Outbound && c.root == root) {
                    Some(tried_before) => tried_before.customers.push(index),
                    None => casts.push(cast(Direction::Outbound, index, root)),
                }
            }
        }
        if casts.is_empty() {
            casts.extend(self.without_customer(&order));
        }
        for cast in &mut casts {
            let up = cast.customers.iter().copied().find(|&i| self.lives[i].up.is_some());
            cast.decisive = up.or(cast.customers.last().copied()).unwrap_or(cast.decisive);
        }
        self.assign(&mut casts);
        self.add_consultations(&mut casts);
        casts
    }

    /// The Local pair that a consultation runs behind: its first half was made by a feature, not dialled by anybody.
    fn is_consultation(&self, second: usize) -> bool {
        let is_second = self.lives[second].local_half().is_some_and(|(_, half)| half == "2");
        is_second
            && self.pair[second].is_some_and(|first| {
                let life = &self.lives[first];
                let made_by_us = life.dialled_by.is_some() || !life.dials.is_empty() || self.offered[first];
                !made_by_us && matches!(life.birth, Birth::Down | Birth::Unknown)
            })
    }

    /// A consultation is an internal call of its own; who came to talk with the customer stays a part of the customer's call.
    fn add_consultations(&self, casts: &mut Vec<Cast>) {
        let calls = casts.len();
        for second in 0..self.lives.len() {
            let of = (0..calls).find(|&c| casts[c].members.contains(&second) && !casts[c].customers.contains(&second));
            let (Some(of), true) = (of, self.is_consultation(second)) else { continue };
            let mut consultation = cast(Direction::Internal, second, second);
            consultation.consult_of = Some(of);
            let customers = casts[of].customers.clone();
            let belongs = |&i: &usize| {
                let behind = i == second || self.pair[second] == Some(i);
                behind || (self.cause_chain(i).any(|c| c == second) && !self.reaches(i, second, &customers))
            };
            consultation.members = casts[of].members.iter().copied().filter(belongs).collect();
            consultation.decisive = second;
            // The pair itself stays in both: it is the way on which the target came to the customer.
            let leaves = |i: &usize| belongs(i) && self.roles[*i] != Role::Local;
            casts[of].members.retain(|i| !leaves(i));
            casts.push(consultation);
        }
    }

    /// Whether a channel behind a consultation's pair came to the customer by it or directly.
    fn reaches(&self, index: usize, second: usize, customers: &[usize]) -> bool {
        let first = self.pair[second];
        customers.iter().any(|&c| self.met(c, index) || first.is_some_and(|first| self.met(c, first)))
    }

    /// The channels that led to this one, nearest first.
    pub(super) fn cause_chain(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let mut at = Some(index);
        std::iter::from_fn(move || {
            at = at.and_then(|i| self.cause[i]);
            at
        })
        .take(self.lives.len())
    }

    /// Calls between our own devices, and attempts that never reached a trunk.
    fn without_customer(&self, order: &[usize]) -> Option<Cast> {
        let real = |&i: &usize| self.roles[i] != Role::Pseudo && self.lives[i].ran("AgentLogin").is_none();
        let first = order.iter().copied().find(real)?;
        let originated =
            self.lives[first].dialled_by == Some(Dialler::Originate) || self.lives[first].birth == Birth::Down;
        let no_device = order.iter().all(|&i| self.roles[i] == Role::Local || self.roles[i] == Role::Pseudo);
        if self.roles[first] == Role::Local && originated && no_device {
            return Some(cast(Direction::Outbound, first, first));
        }
        if self.lives[first].name.is_empty() {
            // No channel was ever seen: an Originate that failed before there was one, or, by a queue's own log alone,
            // somebody who waited and so came in.
            let direction = if originated { Direction::Outbound } else { Direction::Inbound };
            return Some(cast(direction, first, first));
        }
        let spies = self.lives[first].apps.iter().any(|a| a.name.eq_ignore_ascii_case("ChanSpy"));
        (!spies).then(|| cast(Direction::Internal, first, first))
    }

    /// Gives each channel to its call: the one whose customer or beginning it comes from, else the one it talked with.
    fn assign(&self, casts: &mut [Cast]) {
        if let [only] = casts {
            only.members = (0..self.lives.len()).collect();
            return;
        }
        for index in 0..self.lives.len() {
            let root = self.root(index);
            let own = casts
                .iter()
                .position(|c| c.root == root || c.customers.contains(&root) || c.customers.contains(&index));
            match own {
                Some(own) => casts[own].members.push(index),
                None => {
                    for cast in casts.iter_mut().filter(|c| c.customers.iter().any(|&i| self.met(i, index))) {
                        cast.members.push(index);
                    }
                }
            }
        }
        // Who talked with another call's customer, too, has a part in both.
        for cast in 0..casts.len() {
            let customers = casts[cast].customers.clone();
            for index in 0..self.lives.len() {
                let is_customer = casts.iter().any(|c| c.customers.contains(&index));
                let new = !casts[cast].members.contains(&index);
                if new && !is_customer && customers.iter().any(|&i| self.met(i, index)) {
                    casts[cast].members.push(index);
                }
            }
            casts[cast].members.sort_unstable();
        }
    }

    /// Whether two channels were in one bridge at the same time.
    pub(super) fn met(&self, a: usize, b: usize) -> bool {
        self.lives[a]
            .stays
            .iter()
            .any(|x| self.lives[b].stays.iter().any(|y| x.bridge == y.bridge && x.from < y.to && y.from < x.to))
    }
}

fn cast(direction: Direction, customer: usize, root: usize) -> Cast {
    Cast { direction, customers: vec![customer], decisive: customer, root, members: Vec::new(), consult_of: None }
}

/// The halves of Local channels, by the name they share.
fn pairs(lives: &[Life<'_>]) -> Vec<Option<usize>> {
    let mut halves: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pair = vec![None; lives.len()];
    for (index, life) in lives.iter().enumerate() {
        let Some((name, _)) = life.local_half() else { continue };
        if let Some(other) = halves.insert(name, index) {
            pair[index] = Some(other);
            pair[other] = Some(index);
        }
    }
    pair
}

fn role(life: &Life<'_>, settings: &CallSettings) -> Role {
    if life.is_local() {
        return Role::Local;
    }
    if life.name.starts_with("OutgoingSpoolFailed") || life.name.starts_with("Surrogate/") {
        return Role::Pseudo;
    }
    let endpoint = life.endpoint();
    if settings.trunks.iter().any(|p| p.is_match(endpoint)) {
        return Role::Outside;
    }
    if settings.devices.iter().any(|p| p.is_match(endpoint)) {
        return Role::Inside;
    }
    if life.dials.iter().any(|d| dialled_number(d.2).is_some()) {
        return Role::Outside;
    }
    if settings.outside_contexts.iter().any(|p| p.is_match(life.context)) {
        return Role::Outside;
    }
    let short_number = !life.resource().is_empty()
        && life.resource().len() <= 6
        && life.resource().bytes().all(|b| b.is_ascii_digit());
    if short_number || life.name.is_empty() || settings.inside_contexts.iter().any(|p| p.is_match(life.context)) {
        return Role::Inside;
    }
    Role::Outside
}

/// The number in `number@trunk` (PJSIP) or `trunk/number` (SIP, DAHDI, IAX2), technology before it or not; `None` when a device
/// was dialled. A PJSIP contact (`101/sip:101@10.0.0.5`) is a device.
pub(super) fn dialled_number(dialled: &str) -> Option<&str> {
    let dialled = match dialled.split_once('/') {
        Some((tech, rest)) if is_technology(tech) => rest,
        _ => dialled,
    };
    if dialled.contains("sip:") {
        return None;
    }
    let dialled = dialled.split(['&', ',']).next().unwrap_or(dialled);
    let number = match dialled.split_once('@') {
        Some((number, _)) => number,
        None => dialled.rsplit_once('/').map(|(_, number)| number)?,
    };
    let digits = number.trim_start_matches('+');
    // Two digits are a line of a group; three and more are a number, short codes included.
    (digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit() || b"*#w".contains(&b))).then_some(number)
}

fn is_technology(word: &str) -> bool {
    const KNOWN: [&str; 10] = ["PJSIP", "SIP", "IAX2", "DAHDI", "Zap", "Local", "Khomp", "Dongle", "OOH323", "Motif"];
    KNOWN.iter().any(|k| k.eq_ignore_ascii_case(word))
}
