//! A call centre that never was, and its calls: campaigns that dial contacts again and again, callers who wait in queues, agents.
//!
//! What a call is like follows from the seed, its day and its number alone. Telephone numbers begin with +999, which no
//! country has. Must not know tables.

use calltide_schemas::Micros;
use calltide_schemas::status::Status;

use super::dice::Dice;
use crate::args::Generate;

/// Calls of a day's hours, in thousandths.
const HOURS: [(i64, u64); 24] = [
    (0, 2),
    (1, 1),
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 3),
    (6, 10),
    (7, 30),
    (8, 70),
    (9, 105),
    (10, 110),
    (11, 100),
    (12, 75),
    (13, 80),
    (14, 95),
    (15, 95),
    (16, 85),
    (17, 60),
    (18, 35),
    (19, 20),
    (20, 10),
    (21, 6),
    (22, 3),
    (23, 2),
];
/// The weekdays from the first day on: five busy ones, two quiet ones.
const DAYS: [u64; 7] = [20, 19, 18, 19, 17, 5, 2];
/// How often a contact is dialled, on average.
const DIALS_PER_CONTACT: u64 = 4;

const OUTBOUND: [(Status, u64); 12] = [
    (Status::Answered, 270),
    (Status::Transferred, 20),
    (Status::Voicemail, 60),
    (Status::NoAnswer, 340),
    (Status::Busy, 120),
    (Status::Rejected, 50),
    (Status::OutOfService, 30),
    (Status::NoAgent, 20),
    (Status::Cancelled, 10),
    (Status::InvalidNumber, 45),
    (Status::Congestion, 25),
    (Status::DialingError, 10),
];
const INBOUND: [(Status, u64); 5] = [
    (Status::Answered, 800),
    (Status::Transferred, 40),
    (Status::Voicemail, 20),
    (Status::Abandoned, 110),
    (Status::NoAgent, 30),
];

/// What is the same for all its calls.
#[derive(Debug)]
pub(super) struct Centre {
    asked: Generate,
    /// Calls of all days before each day, and of all.
    before: Vec<u64>,
    contacts: u64,
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// As Asterisk would: seconds and a number.
    pub(super) uniqueid: String,
    pub(super) inbound: bool,
    pub(super) campaign: u64,
    /// Outbound: who is dialled.
    pub(super) contact: Option<u64>,
    pub(super) number: String,
    pub(super) status: Status,
    /// Inbound, or an outbound call that a person answered.
    pub(super) queue: Option<u64>,
    /// Who spoke with the customer.
    pub(super) agent: Option<u64>,
    /// Whom it was offered to before, in vain.
    pub(super) missed_by: Option<u64>,
    pub(super) started_at: Micros,
    pub(super) ring_ms: i64,
    pub(super) wait_ms: i64,
    pub(super) talk_ms: i64,
    pub(super) hold_ms: i64,
}

impl Centre {
    pub(super) fn new(asked: &Generate) -> Self {
        let weight = |day: u32| DAYS[day as usize % DAYS.len()];
        let all: u64 = (0..asked.days).map(weight).sum();
        let mut sum = 0;
        let mut before = vec![0];
        for day in 0..asked.days {
            sum += weight(day);
            let share = u128::from(asked.calls) * u128::from(sum) / u128::from(all);
            before.push(u64::try_from(share).unwrap_or(asked.calls));
        }
        let contacts = asked.calls / u64::from(asked.campaigns) / DIALS_PER_CONTACT;
        Self { asked: *asked, before, contacts: contacts.max(1) }
    }

    /// How many calls a day has.
    pub(super) fn calls_on(&self, day: u32) -> u64 {
        let day = day as usize;
        self.before[day + 1] - self.before[day]
    }

    /// Tells the calls of the `nth` piece of a day.
    pub(super) fn each(&self, day: u32, nth: u64, count: u64, midnight: Micros, mut tell: impl FnMut(&Call)) {
        let mut dice = Dice::of(self.asked.seed, &[day.into(), nth]);
        for n in 0..count {
            tell(&self.call(&mut dice, midnight, nth * super::CALLS_AT_ONCE + n));
        }
    }

    fn call(&self, dice: &mut Dice, midnight: Micros, n: u64) -> Call {
        let second = dice.weighted(&HOURS) * 3600 + i64::try_from(dice.below(3600)).unwrap_or(0);
        let micros = i64::try_from(dice.below(1_000_000)).unwrap_or(0);
        let started_at = Micros(midnight.0 + second * 1_000_000 + micros);
        let inbound = dice.percent(25);
        // A few campaigns have most of the calls.
        let campaign = (dice.share().powi(3) * f64::from(self.asked.campaigns)) as u64;
        let contact = (!inbound).then(|| dice.below(self.contacts));
        let owner = contact.map_or_else(|| dice.below(90_000_000), |contact| campaign * 7_919 + contact * 13);
        let status = dice.weighted(if inbound { &INBOUND[..] } else { &OUTBOUND[..] });
        let served = matches!(status, Status::Answered | Status::Transferred);
        let answered = served || matches!(status, Status::Voicemail | Status::NoAgent);
        let queue = (inbound || served || status == Status::NoAgent).then(|| dice.below(self.asked.queues.into()));
        let agent = served.then(|| dice.below(self.asked.agents.into()));
        let missed_by = (queue.is_some() && dice.percent(12)).then(|| dice.below(self.asked.agents.into()));
        Call {
            uniqueid: format!("{}.{n}", started_at.0 / 1_000_000),
            inbound,
            campaign,
            contact,
            number: format!("+9990{:08}", owner % 100_000_000),
            status,
            queue,
            agent,
            missed_by,
            started_at,
            ring_ms: dice.length_ms(if answered { 6_000.0 } else { 18_000.0 }),
            wait_ms: if queue.is_some() { dice.length_ms(if inbound { 20_000.0 } else { 900.0 }) } else { 0 },
            talk_ms: if served { dice.length_ms(110_000.0) } else { 0 },
            hold_ms: if served && dice.percent(8) { dice.length_ms(25_000.0) } else { 0 },
        }
    }
}
