//! Tells the calls of a group anew from all facts known: pure, and the same whatever the order they came in.
//!
//! The way: facts → one timeline ([`super::timeline`]) → lives of channels ([`super::channel`]) → who is who
//! ([`super::roles`]) → conversations ([`super::talking`]), visits ([`super::queueing`]), legs ([`super::legs`]) → outcome
//! ([`super::outcome`]) → rows.

use std::collections::BTreeSet;

use calltide_schemas::Micros;
use calltide_schemas::agents::{Activity, Billable, BillableKind, Doing, LegSaid};
use calltide_schemas::numbers::e164;
use calltide_schemas::status::{Class, Status};

use super::channel::{Life, lives};
use super::legs::{Leg, legs};
use super::outcome::Known;
use super::queueing::{Outcome, Visit, visits};
use super::roles::{Cast, Company, Direction, Role, dialled_number};
use super::rows::{CallRow, LegRow, StoryRow, VisitRow};
use super::settings::{CallSettings, CampaignMatch};
use super::state::{Channel, Cut};
use super::story::story;
use super::talking::Talk;
use super::timeline::{Moment, merge};
use crate::vocabulary::{Teller, Uid, Variable, What};

/// The rows of one group's calls, not yet versioned.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) calls: Vec<CallRow>,
    pub(super) legs: Vec<LegRow>,
    pub(super) visits: Vec<VisitRow>,
    pub(super) stories: Vec<StoryRow>,
    /// What agents did and do.
    pub(super) parts: Vec<LegSaid>,
    /// What costs money.
    pub(super) billables: Vec<Billable>,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All rows.
    Everything,
    /// The rows of calls alone.
    Calls,
    /// Of a call that goes on: who waits where, and what agents do.
    UnderWay,
}

/// Tells the calls of these channels, given in the order of their ids; what is still open ended as `cut` says.
pub(super) fn tell(
    pbx: &str,
    channels: &[(&Uid, &Channel)],
    cut: Option<Cut>,
    settled: bool,
    scope: Scope,
    settings: &CallSettings,
) -> Told {
    let moments = merge(channels);
    let uids: Vec<&Uid> = channels.iter().map(|c| c.0).collect();
    let last_seen = moments.iter().filter(|m| !matches!(m.what, What::Seen { .. })).map(|m| m.at).max();
    let ended = cut.and_then(|cut| match cut {
        Cut::LastSeen => last_seen,
        Cut::Died(at) => last_seen.max(Some(at)),
    });
    let lives = lives(&uids, &moments, ended);
    let company = Company::new(&lives, &moments, settings);
    let casts = company.calls();
    let mut told = Told::default();
    for cast in &casts {
        let scene = Scene { pbx, settled, settings, company: &company, cast, casts: &casts, moments: &moments };
        scene.tell(scope, &mut told);
    }
    told
}

/// One call of the group.
struct Scene<'x, 'a, 'b> {
    pbx: &'x str,
    settled: bool,
    settings: &'x CallSettings,
    company: &'x Company<'a, 'b>,
    cast: &'x Cast,
    casts: &'x [Cast],
    moments: &'a [Moment<'a>],
}

impl<'a> Scene<'_, 'a, '_> {
    fn call_id(&self, cast: &Cast) -> String {
        format!("{}/{}", self.pbx, self.company.lives[cast.customers[0]].uid)
    }

    fn customer(&self) -> &Life<'a> {
        &self.company.lives[self.cast.decisive]
    }

    /// The channels whose waiting is this call's: a consultation's is its own.
    fn waiting(&self) -> Vec<usize> {
        let consulting = |i: &usize| {
            let others = self.casts.iter().filter(|c| c.consult_of.is_some() && c.customers != self.cast.customers);
            others.into_iter().any(|c| c.members.contains(i))
        };
        self.cast.members.iter().copied().filter(|i| !consulting(i)).collect()
    }

    fn tell(&self, scope: Scope, told: &mut Told) {
        let talk = Talk::of(self.company, self.cast);
        let visits = visits(self.company.lives, &self.waiting(), self.moments, scope);
        let legs = legs(self.company, self.cast, &talk, &visits, self.moments, scope);
        if scope == Scope::UnderWay {
            let call_id = self.call_id(self.cast);
            told.parts.extend(self.parts(&legs, &call_id, scope));
            // How long they talk is told when it is over.
            told.visits.extend(visits.iter().enumerate().map(|(n, v)| self.visit_row(n, v, &[], &call_id)));
            return;
        }
        let known = Known {
            company: self.company,
            cast: self.cast,
            talk: &talk,
            visits: &visits,
            legs: &legs,
            settings: self.settings,
        };
        let verdict = known.verdict();
        let row = self.call_row(&known, &verdict);
        if scope == Scope::Calls {
            told.calls.push(row);
            return;
        }
        told.stories.push(StoryRow {
            pbx: self.pbx.to_owned(),
            call_id: row.call_id.clone(),
            started_at: row.started_at,
            story: story(self.company.lives, self.cast, self.moments, &verdict),
            version: 0,
            updated_at: Micros(0),
        });
        told.parts.extend(self.parts(&legs, &row.call_id, scope));
        told.billables.extend(self.call_out(&row));
        told.billables.extend(legs.iter().filter_map(|leg| self.external_leg(leg, &row)));
        let last = legs.iter().filter(|leg| leg.answered.is_some()).map(|leg| leg.ended).max();
        let hangup_by = |leg: &Leg<'_>| row.hangup_by.filter(|_| Some(leg.ended) == last && !leg.transferred);
        told.legs.extend(legs.iter().map(|leg| self.leg_row(leg, &row.call_id, hangup_by(leg))));
        told.visits.extend(visits.iter().enumerate().map(|(n, v)| self.visit_row(n, v, &legs, &row.call_id)));
        told.calls.push(row);
    }

    fn call_row(&self, known: &Known<'_, '_, '_>, verdict: &calltide_schemas::status::Verdict) -> CallRow {
        let (cast, life) = (self.cast, self.customer());
        let first = &self.company.lives[cast.customers[0]];
        let status = verdict.status;
        let connected = status.class() == Class::Connected;
        let agent = self.agent(known);
        let number_raw = self.number();
        let ended_at = cast.customers.iter().map(|&i| self.company.lives[i].end).max().unwrap_or(life.end);
        let dropped = known.dropped(status);
        let talk_ms = known.talk.talk_ms().max(queue_log_talk_ms(known));
        let times = self.times(known, ended_at);
        CallRow {
            pbx: self.pbx.to_owned(),
            call_id: self.call_id(cast),
            linkedid: Some(first.linkedid.to_owned()),
            direction: cast.direction.name(),
            campaign: self.campaign(known),
            contact: self.value(Variable::Contact).filter(|_| cast.direction == Direction::Outbound),
            number_e164: number_raw.as_deref().and_then(|n| e164(n, self.settings.country.as_deref())),
            number_raw,
            status: status.name(),
            class: status.class().name(),
            status_evidence: verdict.evidence.clone(),
            handled_by: known.handled_by(status),
            dial_status: status.dial_status(),
            originate_reason: self.member_lives().find_map(|l| l.originate_reason),
            hangup_cause: life.cause,
            hangup_by: life.gone.and_then(|_| known.hangup_by(status)),
            dropped,
            drop_wait_ms: life.up.filter(|_| dropped).map(|up| life.end.millis_since(up)),
            short: connected && talk_ms + known.talk.hold_ms() < self.settings.short_ms,
            dialled: status != Status::DoNotCall,
            settled: self.settled,
            end_estimated: life.gone.is_none(),
            left_at: known.left_at(status),
            queue: known.visits.first().map(|v| v.queue.to_owned()),
            agent: agent.and_then(|l| l.agent.clone()).or_else(|| self.placed_by()),
            device: agent.and_then(|l| l.device.clone()).or_else(|| self.placed_by()),
            entry: (cast.direction == Direction::Inbound && !first.exten.is_empty()).then(|| first.exten.to_owned()),
            started_at: first.created,
            answered_at: times.answered_at,
            ended_at,
            ring_ms: times.ring_ms,
            wait_ms: times.wait_ms,
            talk_ms: connected.then_some(talk_ms),
            hold_ms: connected.then(|| known.talk.hold_ms()),
            up_ms: life.up.map(|up| life.end.millis_since(up)),
            transfers: known.transfers(),
            consult_of: self.cast.consult_of.map(|call| self.call_id(&self.casts[call])),
            joined_call_id: self.joined(),
            sources: self.sources(),
            version: 0,
            updated_at: Micros(0),
        }
    }

    fn member_lives(&self) -> impl Iterator<Item = &Life<'a>> {
        self.cast.members.iter().map(|&i| &self.company.lives[i])
    }

    /// The agent who placed the call, or the first who spoke with the customer.
    fn agent<'l>(&self, known: &Known<'l, 'l, '_>) -> Option<&'l Leg<'l>> {
        let placed = known.legs.iter().find(|l| l.index == Some(self.cast.root));
        let spoke = known.legs.iter().filter(|l| l.answered.is_some()).min_by_key(|l| (l.answered, l.offered));
        match self.cast.direction {
            Direction::Outbound | Direction::Internal => placed.or(spoke),
            Direction::Inbound => spoke,
        }
    }

    /// Between our own devices: the one that calls.
    fn placed_by(&self) -> Option<String> {
        let root = &self.company.lives[self.cast.root];
        let device = self.cast.direction == Direction::Internal && !root.is_local();
        device.then(|| root.endpoint().to_owned())
    }

    /// The customer's number: the caller's for inbound, else what was dialled.
    fn number(&self) -> Option<String> {
        let life = self.customer();
        let company = self.company;
        if self.cast.direction == Direction::Inbound {
            let by_queue_log = || {
                let own = self.moments.iter().filter(|m| m.channel == self.cast.decisive);
                own.filter_map(
                    |m| if let What::QueueJoined { caller, .. } = &m.what { caller.as_deref() } else { None },
                )
                .next()
            };
            return life.caller.or_else(by_queue_log).map(str::to_owned);
        }
        let dialled = |life: &Life<'a>| life.dials.iter().find_map(|d| dialled_number(d.2));
        let by_dial_app = |life: &Life<'a>| {
            life.apps.iter().filter(|a| a.name.eq_ignore_ascii_case("Dial")).find_map(|a| dialled_number(a.data))
        };
        let root = &company.lives[self.cast.root];
        let half = company.pair[self.cast.root].map(|i| &company.lives[i]);
        let local = || {
            // `Local/<number>@<context>`
            let number = if root.is_local() { root.resource().split('@').next() } else { None };
            number.filter(|n| n.len() >= 3 && n.bytes().all(|b| b.is_ascii_digit() || b == b'+'))
        };
        let number =
            dialled(life).or_else(|| by_dial_app(root)).or_else(|| half.and_then(by_dial_app)).or_else(local).or_else(
                || (self.cast.direction == Direction::Internal && !root.exten.is_empty()).then_some(root.exten),
            );
        number.map(str::to_owned)
    }

    /// Outbound: the variable of the customer's channel, else of any of the call's. Inbound: the campaign that its queue or DID
    /// belongs to, else the first queue, else the DID.
    fn campaign(&self, known: &Known<'_, '_, '_>) -> Option<String> {
        let queue = known.visits.first().map(|v| v.queue);
        let entry = self.company.lives[self.cast.customers[0]].exten;
        let is_inbound = self.cast.direction == Direction::Inbound;
        let has = |list: &[String], name: &str| list.iter().any(|one| one == name);
        let belongs = |it: &&CampaignMatch| {
            queue.is_some_and(|queue| has(&it.queues, queue)) || (is_inbound && has(&it.dids, entry))
        };
        let configured = || self.settings.campaigns.iter().find(belongs).map(|it| it.campaign.clone());
        if is_inbound {
            return configured().or_else(|| queue.or((!entry.is_empty()).then_some(entry)).map(str::to_owned));
        }
        self.value(Variable::Campaign).or_else(|| configured().filter(|_| self.cast.direction == Direction::Outbound))
    }

    fn value(&self, variable: Variable) -> Option<String> {
        let own = self.customer().value(variable);
        let any = || {
            let mut set: Vec<(Micros, &str)> = self
                .member_lives()
                .flat_map(|l| l.sets.iter().filter(|s| s.0 == variable).map(|s| (s.2, s.1)))
                .collect();
            set.sort_unstable();
            set.first().map(|s| s.1)
        };
        own.or_else(any).map(str::to_owned)
    }

    fn times(&self, known: &Known<'_, '_, '_>, ended_at: Micros) -> Times {
        let life = self.customer();
        let person = known.legs.iter().filter_map(|l| l.answered).min();
        if self.cast.direction == Direction::Inbound {
            let system =
                ["VoiceMail", "ConfBridge", "MeetMe"].iter().filter_map(|app| life.ran(app)).map(|a| a.at).min();
            let answered_at = [person, system].into_iter().flatten().min();
            let wait_ms = Some(person.unwrap_or(ended_at).millis_since(life.created));
            return Times { answered_at, ring_ms: None, wait_ms };
        }
        let dialled_at = life.dials.first().map_or(life.created, |d| d.0);
        let wait_ms = life.up.zip(person).map(|(up, person)| person.millis_since(up));
        Times { answered_at: life.up, ring_ms: Some(life.up.unwrap_or(life.end).millis_since(dialled_at)), wait_ms }
    }

    /// Another customer's call that this one met in a bridge.
    fn joined(&self) -> Option<String> {
        let others = self.casts.iter().filter(|c| c.customers != self.cast.customers);
        let met = |c: &&Cast| c.customers.iter().any(|&a| self.cast.customers.iter().any(|&b| self.company.met(a, b)));
        others.into_iter().find(met).map(|c| self.call_id(c))
    }

    fn sources(&self) -> String {
        let mut names = BTreeSet::new();
        for moment in self.moments.iter().filter(|m| self.cast.members.contains(&m.channel)) {
            names.extend(moment.tellers.iter().map(|t| match t {
                Teller::Ami | Teller::AmiCel => "ami",
                Teller::Cel => "cel",
                Teller::QueueLog => "queue_log",
            }));
        }
        names.into_iter().collect::<Vec<_>>().join(",")
    }

    /// What each agent did. Between our own devices the one that calls has a part, too.
    fn parts(&self, legs: &[Leg<'_>], call_id: &str, scope: Scope) -> Vec<LegSaid> {
        let part = |uid: &str, agent: Option<String>, device: Option<String>, queue: Option<&str>| LegSaid {
            at: Micros(0),
            pbx: self.pbx.to_owned(),
            leg_id: format!("{call_id}#{uid}"),
            call_id: call_id.to_owned(),
            agent,
            device,
            queue: queue.map(str::to_owned),
            activities: Vec::new(),
            is_answered: false,
            withdrawn: false,
        };
        let mut parts: Vec<LegSaid> = Vec::with_capacity(legs.len());
        for leg in legs {
            // A trunk is nobody: whose telephone it reached is known by the number.
            let reached = leg.index.filter(|&index| leg.queue.is_none() && self.company.roles[index] == Role::Outside);
            let (agent, device) = match reached {
                Some(index) => (None, self.company.lives[index].dials.iter().find_map(|dial| dialled_number(dial.2))),
                None => (leg.agent.clone(), leg.device.as_deref()),
            };
            let said = part(leg.uid, agent, device.map(str::to_owned), leg.queue);
            parts.push(LegSaid { activities: leg.activities.clone(), is_answered: leg.answered.is_some(), ..said });
        }
        let root = &self.company.lives[self.cast.root];
        if let Some(device) = self.placed_by().filter(|_| self.company.roles[self.cast.root] == Role::Inside) {
            let to = (scope != Scope::UnderWay || root.gone.is_some()).then_some(root.end);
            let talks = Activity { doing: Doing::Talking, from: root.created, to };
            let said = part(root.uid, Some(device.clone()), Some(device), None);
            parts.push(LegSaid { activities: vec![talks], is_answered: true, ..said });
        }
        parts
    }

    /// What a call out costs is charged by the device that placed it.
    fn call_out(&self, row: &CallRow) -> Option<Billable> {
        let life = self.customer();
        let up = life.up.filter(|_| self.cast.direction == Direction::Outbound)?;
        let root = &self.company.lives[self.cast.root];
        let placed = self.company.roles[self.cast.root] == Role::Inside;
        Some(Billable {
            charge_id: format!("call:{}", row.call_id),
            what: BillableKind::CallOut,
            pbx: self.pbx.to_owned(),
            call_id: row.call_id.clone(),
            leg_id: None,
            device: placed.then(|| root.endpoint().to_owned()),
            campaign: row.campaign.clone(),
            number_e164: row.number_e164.clone(),
            number_raw: row.number_raw.clone(),
            answered_at: up,
            up_ms: life.end.millis_since(up),
            withdrawn: false,
        })
    }

    /// A leg by a trunk: somebody's ordinary telephone.
    fn external_leg(&self, leg: &Leg<'_>, row: &CallRow) -> Option<Billable> {
        let index = leg.index.filter(|index| self.company.roles[*index] == Role::Outside)?;
        let life = &self.company.lives[index];
        let number = life.dials.iter().find_map(|dial| dialled_number(dial.2))?;
        let up = life.up?;
        Some(Billable {
            charge_id: format!("leg:{}#{}", row.call_id, leg.uid),
            what: BillableKind::ExternalLeg,
            pbx: self.pbx.to_owned(),
            call_id: row.call_id.clone(),
            leg_id: Some(format!("{}#{}", row.call_id, leg.uid)),
            device: leg.agent.clone(),
            campaign: row.campaign.clone(),
            number_e164: e164(number, self.settings.country.as_deref()),
            number_raw: Some(number.to_owned()),
            answered_at: up,
            up_ms: life.end.millis_since(up),
            withdrawn: false,
        })
    }

    fn leg_row(&self, leg: &Leg<'_>, call_id: &str, hangup_by: Option<&'static str>) -> LegRow {
        LegRow {
            pbx: self.pbx.to_owned(),
            leg_id: format!("{call_id}#{}", leg.uid),
            call_id: call_id.to_owned(),
            agent: leg.agent.clone(),
            device: leg.device.clone(),
            queue: leg.queue.map(str::to_owned),
            offered_at: leg.offered,
            answered_at: leg.answered,
            ended_at: leg.ended,
            ring_ms: Some(leg.answered.unwrap_or(leg.ended).millis_since(leg.offered)),
            talk_ms: leg.answered.map(|_| leg.talk_ms),
            hold_ms: leg.answered.map(|_| leg.hold_ms),
            direction: self.cast.direction.name(),
            transferred: leg.transferred,
            hangup_by: hangup_by.filter(|_| leg.answered.is_some()),
            outcome: leg.outcome,
            version: 0,
            updated_at: Micros(0),
        }
    }

    fn visit_row(&self, nth: usize, visit: &Visit<'_>, legs: &[Leg<'_>], call_id: &str) -> VisitRow {
        let answered = visit.outcome == Outcome::Answered;
        let leg = legs.iter().find(|l| Some(l.uid) == visit.leg && answered);
        VisitRow {
            pbx: self.pbx.to_owned(),
            visit_id: format!("{call_id}#{}", nth + 1),
            call_id: call_id.to_owned(),
            queue: visit.queue.to_owned(),
            entered_at: visit.entered,
            left_at: visit.left,
            outcome: visit.outcome.name(),
            wait_ms: visit.left.unwrap_or(visit.entered).millis_since(visit.entered),
            agent: visit.member.filter(|_| answered).map(str::to_owned),
            talk_ms: leg.map(|l| l.talk_ms),
            hold_ms: leg.map(|l| l.hold_ms),
            version: 0,
            updated_at: Micros(0),
        }
    }
}

/// Talk that only a queue's log knows of.
fn queue_log_talk_ms(known: &Known<'_, '_, '_>) -> i64 {
    known.legs.iter().filter(|l| l.index.is_none()).map(|l| l.talk_ms).sum()
}

struct Times {
    answered_at: Option<Micros>,
    ring_ms: Option<i64>,
    wait_ms: Option<i64>,
}
