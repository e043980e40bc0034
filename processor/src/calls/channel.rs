//! One channel's life, read off the timeline: born, dialled, rang, up, in which bridges, held, gone, and why.
//!
//! Knows one channel only: who it is to whom is for [`super::roles`] and [`super::talking`].

use calltide_schemas::{Micros, status::DialStatus};

use super::timeline::Moment;
use crate::vocabulary::{Birth, BridgeKind, Dialler, Listed, ListedState, Teller, TransferKind, Uid, Variable, What};

/// A stay in a bridge.
#[derive(Debug, Clone)]
pub(super) struct Stay<'a> {
    pub(super) bridge: &'a str,
    pub(super) kind: BridgeKind,
    pub(super) from: Micros,
    pub(super) to: Micros,
}

/// A transfer of a channel, told of the one who was moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer<'a> {
    pub(super) at: Micros,
    pub(super) kind: TransferKind,
    pub(super) by: Option<&'a Uid>,
}

/// An application that the channel ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct App<'a> {
    pub(super) at: Micros,
    pub(super) name: &'a str,
    pub(super) data: &'a str,
}

/// A channel's life.
#[derive(Debug, Clone)]
pub(super) struct Life<'a> {
    pub(super) uid: &'a Uid,
    /// E.g. `PJSIP/trunk-0000000b`; empty when only a queue's log knows the channel.
    pub(super) name: &'a str,
    pub(super) linkedid: &'a str,
    pub(super) birth: Birth,
    pub(super) created: Micros,
    created_told: bool,
    pub(super) context: &'a str,
    pub(super) exten: &'a str,
    pub(super) caller: Option<&'a str>,
    pub(super) dialled_by: Option<Dialler>,
    /// Dials towards it: when, by which channel, what was dialled.
    pub(super) dials: Vec<(Micros, Option<&'a Uid>, &'a str)>,
    pub(super) dial_end: Option<(Micros, DialStatus)>,
    pub(super) rang: Option<Micros>,
    pub(super) up: Option<Micros>,
    pub(super) stays: Vec<Stay<'a>>,
    /// Holds by its far end: from, and to if it was taken back.
    pub(super) holds: Vec<(Micros, Option<Micros>)>,
    /// Its far end hung up.
    pub(super) asked: Option<Micros>,
    /// Our side asked it to hang up.
    pub(super) softly: Option<Micros>,
    pub(super) gone: Option<Micros>,
    pub(super) cause: Option<u16>,
    /// CEL: the name of the channel whose far end hung up.
    pub(super) hung_by: Option<&'a str>,
    /// CEL: the result of its own dialling.
    pub(super) dialstatus: Option<DialStatus>,
    pub(super) apps: Vec<App<'a>>,
    pub(super) sets: Vec<(Variable, &'a str, Micros)>,
    pub(super) machine: bool,
    pub(super) forbidden: bool,
    pub(super) transfers: Vec<Transfer<'a>>,
    pub(super) parked: Vec<(Micros, Option<Micros>)>,
    pub(super) picked_up_by: Option<&'a Uid>,
    pub(super) originate_reason: Option<i64>,
    /// AMI told of its beginning and its end without a cut between, so that what AMI would have told and did not is known not
    /// to have been.
    pub(super) in_ami: bool,
    /// Something of it was told while AMI was not listening.
    cut_off: bool,
    /// The last moment it was heard of, or its end.
    pub(super) end: Micros,
}

impl<'a> Life<'a> {
    fn new(uid: &'a Uid) -> Self {
        Self {
            uid,
            name: "",
            linkedid: uid,
            birth: Birth::Unknown,
            created: Micros(i64::MAX),
            created_told: false,
            context: "",
            exten: "",
            caller: None,
            dialled_by: None,
            dials: Vec::new(),
            dial_end: None,
            rang: None,
            up: None,
            stays: Vec::new(),
            holds: Vec::new(),
            asked: None,
            softly: None,
            gone: None,
            cause: None,
            hung_by: None,
            dialstatus: None,
            apps: Vec::new(),
            sets: Vec::new(),
            machine: false,
            forbidden: false,
            transfers: Vec::new(),
            parked: Vec::new(),
            picked_up_by: None,
            originate_reason: None,
            in_ami: false,
            cut_off: false,
            end: Micros(i64::MIN),
        }
    }

    /// `PJSIP/101` of `PJSIP/101-0000000c`.
    pub(super) fn endpoint(&self) -> &'a str {
        self.name.rsplit_once('-').map_or(self.name, |(endpoint, _)| endpoint)
    }

    /// `101` of `PJSIP/101-0000000c`.
    pub(super) fn resource(&self) -> &'a str {
        self.endpoint().split_once('/').map_or("", |(_, resource)| resource)
    }

    pub(super) fn is_local(&self) -> bool {
        self.name.starts_with("Local/")
    }

    /// The name that both halves of a Local pair share, and which half this is.
    pub(super) fn local_half(&self) -> Option<(&'a str, &'a str)> {
        if self.is_local() { self.name.rsplit_once(';') } else { None }
    }

    pub(super) fn ran(&self, app: &str) -> Option<&App<'a>> {
        self.apps.iter().find(|a| a.name.eq_ignore_ascii_case(app))
    }

    pub(super) fn value(&self, variable: Variable) -> Option<&'a str> {
        self.sets.iter().find(|s| s.0 == variable).map(|s| s.1)
    }

    fn take(&mut self, moment: &'a Moment<'a>) {
        let at = moment.at;
        self.in_ami |= moment.tellers.contains(&Teller::Ami);
        self.cut_off |= shows_a_cut(moment);
        // Only whichever fact came first names the channel, so a name says nothing of when it was heard of.
        if let What::Seen { name, linkedid } = &moment.what {
            if self.name.is_empty() {
                self.name = name;
                self.linkedid = linkedid;
            }
            return;
        }
        self.end = self.end.max(at);
        match &moment.what {
            What::Created { name, birth, context, exten, linkedid, caller } => {
                (self.created, self.created_told, self.birth) = (at, true, *birth);
                (self.name, self.linkedid, self.caller) = (name, linkedid, caller.as_deref());
                self.context = context.as_deref().unwrap_or("");
                self.exten = exten.as_deref().unwrap_or("");
            }
            What::Dialled { by } => self.dialled_by = self.dialled_by.or(Some(*by)),
            What::DialBegan { caller, dialled } => self.dials.push((at, caller.as_ref(), dialled)),
            What::DialEnded { status, .. } => self.dial_end = self.dial_end.or(Some((at, *status))),
            What::Ringing => self.rang = self.rang.or(Some(at)),
            What::Up => self.up = self.up.or(Some(at)),
            What::Entered { bridge, kind } => {
                self.stays.push(Stay { bridge, kind: *kind, from: at, to: Micros(i64::MAX) });
            }
            What::Left { bridge } => self.leave(bridge, at),
            What::Held => self.holds.push((at, None)),
            What::Unheld => self.holds.iter_mut().last().into_iter().for_each(|hold| hold.1 = hold.1.or(Some(at))),
            What::HangupAsked { .. } => self.asked = self.asked.or(Some(at)),
            What::SoftHangup { .. } => self.softly = self.softly.or(Some(at)),
            What::Hungup { cause, by, dial_status } => {
                self.gone = self.gone.or(Some(at));
                self.cause = self.cause.or(*cause);
                self.hung_by = self.hung_by.or(by.as_deref());
                self.dialstatus = self.dialstatus.or(*dial_status);
            }
            What::App { name, data, .. } => {
                self.apps.push(App { at, name, data: data.as_deref().unwrap_or("") });
            }
            What::Set { variable, value } => self.sets.push((*variable, value, at)),
            What::Transferred { kind, by, .. } => {
                self.transfers.push(Transfer { at, kind: *kind, by: by.as_ref() });
            }
            What::Parked => self.parked.push((at, None)),
            What::Unparked { .. } => self.parked.iter_mut().last().into_iter().for_each(|stay| stay.1 = Some(at)),
            What::PickedUp { by } => self.picked_up_by = Some(by),
            What::Machine => self.machine = true,
            What::Forbidden => self.forbidden = true,
            What::OriginateReason { reason } => self.originate_reason = Some(*reason),
            What::Listed(listed) => self.listed(at, listed),
            // Its time counts as the last moment at which it was there.
            What::EndedUnseen => {}
            What::Seen { .. }
            | What::QueueJoined { .. }
            | What::QueueLeft { .. }
            | What::QueueExited { .. }
            | What::Offered { .. }
            | What::RangOut { .. }
            | What::Connected { .. }
            | What::Completed { .. }
            | What::PairedWith { .. } => {}
        }
        // Whole seconds of a queue's log come before what happened within them: the creation itself counts.
        if !self.created_told {
            self.created = self.created.min(at);
        }
    }

    /// What the PBX showed of it when it was asked; what led there may not have been told.
    fn listed(&mut self, at: Micros, listed: &'a Listed) {
        match listed.state {
            ListedState::Up => self.up = self.up.or(Some(at)),
            ListedState::Ringing => self.rang = self.rang.or(Some(at)),
            ListedState::Other => {}
        }
        if let Some((name, data)) = &listed.app
            && self.apps.iter().all(|app| app.name != &**name)
        {
            self.apps.push(App { at, name, data });
        }
        let bridge = listed.bridge.as_ref();
        for stay in self.stays.iter_mut().filter(|stay| stay.to.0 == i64::MAX) {
            if bridge.is_none_or(|(bridge, _)| stay.bridge != &**bridge) {
                stay.to = at.max(stay.from);
            }
        }
        if let Some((bridge, kind)) = bridge
            && self.stays.iter().all(|stay| stay.to.0 != i64::MAX)
        {
            self.stays.push(Stay { bridge, kind: *kind, from: at, to: Micros(i64::MAX) });
        }
        if !self.created_told {
            // Where it is now stands for where it began, of which nothing is known.
            let or = |known: &mut &'a str, now: &'a Option<Box<str>>| {
                if known.is_empty() {
                    *known = now.as_deref().unwrap_or("");
                }
            };
            or(&mut self.context, &listed.context);
            or(&mut self.exten, &listed.exten);
            self.caller = self.caller.or(listed.caller.as_deref());
            self.created = self.created.min(at + listed.age_ms.saturating_mul(-1_000));
        }
    }

    fn leave(&mut self, bridge: &str, at: Micros) {
        if let Some(stay) = self.stays.iter_mut().find(|s| s.bridge == bridge && s.to.0 == i64::MAX) {
            stay.to = at.max(stay.from);
        }
    }

    /// Nothing lasts longer than the channel.
    fn close(&mut self, cut: Option<Micros>) {
        self.in_ami &= !self.cut_off;
        let end = self.gone.unwrap_or(self.end.max(cut.unwrap_or(self.end)));
        self.end = end;
        for stay in &mut self.stays {
            stay.to = stay.to.min(end.max(stay.from));
        }
    }
}

/// Whether the moment shows that AMI was not there to tell of all of the channel's life.
fn shows_a_cut(moment: &Moment<'_>) -> bool {
    let end = matches!(moment.what, What::Created { .. } | What::Hungup { .. });
    (end && !moment.tellers.contains(&Teller::Ami)) || matches!(moment.what, What::Listed(_) | What::EndedUnseen)
}

/// The lives of a group's channels, in the order of their ids; each begins with the first moment it was heard of.
pub(super) fn lives<'a>(uids: &[&'a Uid], moments: &'a [Moment<'a>], cut: Option<Micros>) -> Vec<Life<'a>> {
    let mut lives: Vec<Life<'a>> = uids.iter().map(|uid| Life::new(uid)).collect();
    for moment in moments {
        lives[moment.channel].take(moment);
    }
    for life in &mut lives {
        life.close(cut);
    }
    lives
}
