//! What became of a call: gathers the evidence that `schemas::status` judges, and who handled and who ended it.
//!
//! No status is decided here: the one function that does is in the contract.

use calltide_schemas::Micros;
use calltide_schemas::status::{self, Inbound, Outbound, Rang, Status, Verdict};

use super::legs::Leg;
use super::queueing::{Outcome, Visit};
use super::roles::{Cast, Company, Direction};
use super::settings::CallSettings;
use super::talking::Talk;
use crate::vocabulary::{TransferKind, Variable};

/// All that is known of a call once its channels, conversations, visits and legs are.
pub(super) struct Known<'x, 'a, 'b> {
    pub(super) company: &'x Company<'a, 'b>,
    pub(super) cast: &'x Cast,
    pub(super) talk: &'x Talk,
    pub(super) visits: &'x [Visit<'a>],
    pub(super) legs: &'x [Leg<'a>],
    pub(super) settings: &'x CallSettings,
}

impl Known<'_, '_, '_> {
    fn customer(&self) -> &super::channel::Life<'_> {
        &self.company.lives[self.cast.decisive]
    }

    fn members(&self) -> impl Iterator<Item = &super::channel::Life<'_>> {
        self.cast.members.iter().map(|&i| &self.company.lives[i])
    }

    /// The status and what decided it.
    pub(super) fn verdict(&self) -> Verdict {
        match self.cast.direction {
            Direction::Inbound => status::inbound(&self.inbound()),
            Direction::Outbound => status::outbound(&self.outbound()),
            Direction::Internal => status::outbound(&self.internal()),
        }
    }

    fn outbound(&self) -> Outbound {
        let life = self.customer();
        let told_by_ami = life.in_ami && !life.dials.is_empty();
        let rang = match life.rang {
            Some(_) => Rang::Yes,
            None if told_by_ami => Rang::Never,
            None => Rang::Unknown,
        };
        let dialler = life.dials.iter().find_map(|d| d.1).and_then(|uid| self.company.index(uid));
        // CEL tells the result on the channel that dialled: the other Local half or the agent's.
        let behind = dialler.or(Some(self.cast.root)).filter(|&i| i != self.cast.decisive);
        let by_dialler = behind.and_then(|i| {
            let half = self.company.pair[i].and_then(|p| self.company.lives[p].dialstatus);
            self.company.lives[i].dialstatus.or(half)
        });
        Outbound {
            up: life.up.is_some(),
            transferred: self.transfers() > 0,
            machine: self.machine(),
            forbidden: self.forbidden(),
            channel: !life.name.is_empty(),
            cause: life.cause,
            rang,
            dial_status: life.dial_end.map(|d| d.1).or(by_dialler),
            given_up: life.softly.is_some() || self.originate_given_up() || behind.is_some_and(|i| self.gave_up(i)),
            originate: life.originate_reason.map(|r| (r, self.settings.reason_codes)),
        }
    }

    /// The calling side hung up while the customer's leg rang.
    fn gave_up(&self, caller: usize) -> bool {
        let caller = &self.company.lives[caller];
        let gone = self.customer().end;
        caller.asked.is_some_and(|at| at <= gone + 100_000) && !caller.is_local()
    }

    /// An originated leg's ringing ended, its far end did not end it, and it was not the time-out (which ends no dial, or is
    /// answered for with Reason 3): we hung it up.
    fn originate_given_up(&self) -> bool {
        let life = self.customer();
        let originated = life.dials.first().is_some_and(|d| d.1.is_none()) && !life.is_local();
        let ended_unasked = life.dial_end.is_some() && life.asked.is_none() && life.rang.is_some();
        originated && life.in_ami && ended_unasked && life.originate_reason != Some(3)
    }

    /// A call between our own devices is judged by the one that was dialled.
    fn internal(&self) -> Outbound {
        let called = self.legs.iter().rfind(|l| l.index != Some(self.cast.root)).and_then(|l| l.index);
        let life = &self.company.lives[called.unwrap_or(self.cast.decisive)];
        Outbound {
            up: life.up.is_some() || self.mailbox() || self.conference(),
            transferred: self.transfers() > 0,
            channel: true,
            cause: life.cause,
            rang: if life.rang.is_some() { Rang::Yes } else { Rang::Unknown },
            dial_status: life.dial_end.map(|d| d.1),
            given_up: life.softly.is_some(),
            ..Outbound::default()
        }
    }

    fn inbound(&self) -> Inbound {
        let life = self.customer();
        let agent = self.legs.iter().find(|l| l.answered.is_some()).and_then(|l| l.agent.as_deref());
        // An agent's own channel may be out of sight (a pool of agents who stay on the line): the queue says who took it.
        let by_queue = self.visits.iter().find(|v| v.outcome == Outcome::Answered).and_then(|v| v.member);
        let taken_by = agent
            .or(by_queue)
            .map(|a| format!("agent {a}"))
            .or_else(|| self.conference().then(|| "a conference".to_owned()))
            .or_else(|| self.self_service().map(|app| format!("self-service {app}")));
        let by_queue_log = self.visits.last().is_some_and(|v| v.outcome == Outcome::Abandoned) && life.name.is_empty();
        let caller_left = if self.turned_away() {
            None
        } else if life.asked.is_some() {
            Some(format!("hang-up request from {}", life.name))
        } else if life.hung_by.is_some_and(|by| by == life.name) {
            Some(format!("hangupsource={}", life.name))
        } else {
            by_queue_log.then(|| "queue_log ABANDON".to_owned())
        };
        let refused = life.up.is_none() && life.dials.is_empty() && self.visits.is_empty() && self.legs.is_empty();
        Inbound {
            taken_by,
            transferred: self.transfers() > 0,
            mailbox: self.mailbox(),
            forbidden: self.forbidden(),
            no_such_number: life.cause.filter(|c| refused && matches!(c, 1 | 28)),
            caller_left,
        }
    }

    /// Our side gave a busy or congestion tone; that the caller then hung up is only the consequence.
    fn turned_away(&self) -> bool {
        let life = self.customer();
        let tone = life.ran("Busy").is_some() || life.ran("Congestion").is_some();
        // CEL shows few applications; the cause is the tone's.
        let unseen = !life.in_ami && life.up.is_none() && matches!(life.cause, Some(17 | 34));
        tone || unseen
    }

    fn machine(&self) -> Option<String> {
        let amd = self.members().find_map(|l| l.value(Variable::Amd)).filter(|v| *v == "MACHINE");
        let event = self.members().any(|l| l.machine).then(|| "UserEvent AnsweringMachine".to_owned());
        amd.map(|v| format!("AMDSTATUS={v}")).or(event)
    }

    fn forbidden(&self) -> Option<String> {
        self.members().any(|l| l.forbidden).then(|| "told by the dialplan or dialer".to_owned())
    }

    /// A mailbox took the message: its application ran, and did not fail.
    fn mailbox(&self) -> bool {
        let mut members = self.members();
        members.any(|l| {
            let ran = l.ran("VoiceMail").or_else(|| l.ran("MiniVM"));
            ran.is_some() && l.value(Variable::MailboxStatus) != Some("FAILED")
        })
    }

    /// The application named as self-service that the customer was in.
    fn self_service(&self) -> Option<&str> {
        self.settings.self_service.iter().map(String::as_str).find(|app| self.customer().ran(app).is_some())
    }

    fn conference(&self) -> bool {
        let in_conference = |l: &super::channel::Life<'_>| {
            (l.ran("ConfBridge").is_some() || l.ran("MeetMe").is_some()) && l.up.is_some()
        };
        self.members().any(in_conference)
    }

    /// Completed transfers. Parking looks like a blind transfer and is none.
    pub(super) fn transfers(&self) -> i64 {
        let count: usize = self
            .members()
            .map(|life| {
                let parked = |at: Micros| life.parked.iter().any(|p| p.0.0.abs_diff(at.0) <= 2_000_000);
                let park_app = |at: Micros| {
                    life.apps.iter().any(|a| a.name.eq_ignore_ascii_case("Park") && a.at.0.abs_diff(at.0) <= 2_000_000)
                };
                life.transfers
                    .iter()
                    .filter(|t| t.kind == TransferKind::Attended || !(parked(t.at) || park_app(t.at)))
                    .count()
            })
            .sum();
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// Who took a connected call.
    pub(super) fn handled_by(&self, status: Status) -> &'static str {
        let by_agent = self.legs.iter().any(|l| l.answered.is_some());
        match status {
            Status::Answered | Status::Transferred if by_agent => "agent",
            Status::Answered | Status::Transferred if self.conference() || self.self_service().is_some() => "system",
            Status::Voicemail => "machine",
            Status::Answered
            | Status::Transferred
            | Status::NoAnswer
            | Status::Busy
            | Status::Rejected
            | Status::OutOfService
            | Status::Abandoned
            | Status::NoAgent
            | Status::Cancelled
            | Status::InvalidNumber
            | Status::Congestion
            | Status::DialingError
            | Status::DoNotCall => "nobody",
        }
    }

    /// Who ended it: the first of those in the last conversation whose far end hung up; nobody's doing is the system's.
    pub(super) fn hangup_by(&self, status: Status) -> Option<&'static str> {
        let life = self.customer();
        let customer_asked = life.asked.or(life.hung_by.filter(|by| *by == life.name).map(|_| life.end));
        let last_talk = self.talk.with.values().flatten().map(|s| s.1).max();
        let mut agent_asked: Option<Micros> = None;
        for leg in self.legs.iter().filter_map(|l| l.index) {
            let other = &self.company.lives[leg];
            let in_last_talk =
                self.talk.with.get(&leg).is_some_and(|spans| spans.last().map(|s| s.1 + 1_000_000) >= last_talk);
            let told = other.asked.or(life.hung_by.filter(|by| *by == other.name).map(|_| other.end));
            if in_last_talk || leg == self.cast.root {
                agent_asked = [agent_asked, told].into_iter().flatten().min();
            }
        }
        let never_up = life.up.is_none() && self.cast.direction == Direction::Outbound;
        Some(match (customer_asked, agent_asked) {
            // A phone that was never up did not hang up: it was busy, refused, or the network said why.
            (Some(_), None) if never_up && !matches!(status, Status::Busy | Status::Rejected) => "system",
            (Some(customer), Some(agent)) if agent < customer => "agent",
            (Some(_), _) => "customer",
            (None, Some(_)) => "agent",
            (None, None) => "system",
        })
    }

    /// Outbound: a person answered, an agent was sought, none came.
    pub(super) fn dropped(&self, status: Status) -> bool {
        let sought = !self.visits.is_empty() || self.legs.iter().any(|l| l.index != Some(self.cast.root));
        let reached = self.legs.iter().any(|l| l.answered.is_some());
        self.cast.direction == Direction::Outbound
            && matches!(status, Status::Answered | Status::Transferred)
            && sought
            && !reached
    }

    /// Where an unserved caller was.
    pub(super) fn left_at(&self, status: Status) -> Option<&'static str> {
        if self.cast.direction != Direction::Inbound || !matches!(status, Status::Abandoned | Status::NoAgent) {
            return None;
        }
        let life = self.customer();
        let after_queue = self.visits.last().and_then(|v| v.left);
        let last_ring = self.legs.iter().filter(|l| l.queue.is_none()).map(|l| l.ended).max();
        Some(match (self.visits.last(), last_ring) {
            (Some(visit), _) if visit.outcome == Outcome::Abandoned => "queue",
            (_, Some(rang)) if rang + 1_000_000 >= life.end => "ringing",
            (Some(_), _) if after_queue.is_some_and(|at| at + 2_000_000 >= life.end) => "queue",
            _ if life.up.is_some() => "ivr",
            _ => "closed",
        })
    }
}
