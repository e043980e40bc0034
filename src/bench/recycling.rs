//! Recycling alone: a state of many contacts in a hundred campaigns, verdicts a second, memory, restart, and how soon after its
//! time what is due is on its topic.
//!
//! Both folds run as in `up`, on threads of their own over an embedded log that is synced; tables are not written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calltide_eventlog::EventLog;
use calltide_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use calltide_processor::recycling::Profile;
use calltide_schemas::Micros;
use calltide_schemas::recycling::rules::{CampaignRules, FirstDial, SiteRules};
use calltide_schemas::recycling::{Attempt, Callback, CallingNumber, Due, ForContacts, Intake, Loaded};
use calltide_schemas::status::Status;
use calltide_schemas::topics::RETRY_DUE;

use super::stopwatch::Processors;
use crate::clock;
use crate::config::Config;
use crate::errors::{Exit, Failure, Result};
use crate::fold::{AtEnd, Derives, FoldThread, Time};
use crate::intake;

const CAMPAIGNS: u64 = 100;
/// Contacts told at once.
const AT_ONCE: u64 = 2_000;
/// Attempts that are told of the contacts in state, and contacts of which a call is promised.
const ATTEMPTS: u64 = 200_000;
const PROMISES: u64 = 10_000;
/// Promised calls are due so many a second.
const PROMISES_A_SECOND: u64 = 500;
const READ_BYTES: usize = 4 << 20;

/// Measures and tells.
pub(crate) fn measure(contacts: u64) -> Result<String> {
    let dir = tempfile::tempdir().map_err(|e| Failure::new(Exit::Failed, "cannot make a folder").because(&e))?;
    let log = EmbeddedLog::open(dir.path(), &Config::default().log.topics(), EmbeddedOptions::default())?;
    let log: Arc<dyn EventLog> = Arc::new(log);
    let before = resident_kb();
    let folds = Both::start(&log, Time::Stands)?;
    let began = clock::now();

    let watch = Processors::start();
    for first in (0..contacts).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
        let last = (first + AT_ONCE).min(contacts);
        intake::append(&*log, (first..last).map(|nth| loaded(nth, began)).collect())?;
    }
    folds.caught_up()?;
    let mut text = watch.line_of("recycling: contacts loaded", contacts, "verdicts");

    let attempts = ATTEMPTS.min(contacts);
    let watch = Processors::start();
    for first in (0..attempts).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
        let last = (first + AT_ONCE).min(attempts);
        intake::append(&*log, (first..last).map(|nth| busy(nth * (contacts / attempts), began)).collect())?;
    }
    folds.caught_up()?;
    text += &watch.line_of("recycling: attempts", attempts, "verdicts");
    let bytes = resident_kb().saturating_sub(before) as f64 * 1024.0;
    folds.stop()?;

    let started = Instant::now();
    let folds = Both::start(&log, Time::GoesOn)?;
    folds.caught_up()?;
    let ready = started.elapsed().as_secs_f64();
    let again = resident_kb().saturating_sub(before) as f64 * 1024.0;
    text += &format!(
        "{:<26} {:.0} bytes a contact in memory, {:.0} after a restart, which took {ready:.1} s ({contacts} contacts in {CAMPAIGNS} campaigns)\n",
        "recycling: state",
        bytes / contacts as f64,
        again / contacts as f64,
    );
    text += &promised(&*log, contacts)?;
    folds.stop()?;
    Ok(text)
}

/// Both folds of recycling.
struct Both {
    contacts: FoldThread,
    numbers: FoldThread,
}

impl Both {
    fn start(log: &Arc<dyn EventLog>, time: Time) -> Result<Self> {
        let start = |derives| FoldThread::start(Arc::clone(log), derives, time, AtEnd::CatchUp);
        let contacts = Derives::Contacts(rules());
        log.append(contacts.topic(), 0, contacts.first().into_iter().collect())?;
        Ok(Self { contacts: start(contacts)?, numbers: start(Derives::Numbers)? })
    }

    /// What one tells the other is processed, too; nothing here goes to and fro more often.
    fn caught_up(&self) -> Result<()> {
        for _ in 0..2 {
            self.contacts.caught_up()?;
            self.numbers.caught_up()?;
        }
        Ok(())
    }

    fn stop(self) -> Result<()> {
        self.contacts.stop().and(self.numbers.stop())
    }
}

fn rules() -> SiteRules {
    // Nothing is due but what is promised.
    let usual = Profile::Calltide.rules();
    let default = CampaignRules { first_dial: FirstDial::Dialer, windows: Vec::new(), ..usual };
    SiteRules { at: Micros(0), who: "a measurement".to_owned(), campaigns: [].into(), default }
}

fn campaign(nth: u64) -> String {
    format!("campaign-{}", nth % CAMPAIGNS)
}

fn number(nth: u64) -> CallingNumber {
    CallingNumber(format!("+349{nth:08}"))
}

fn loaded(nth: u64, at: Micros) -> Intake {
    let (campaign, contact) = (campaign(nth), format!("c{nth}"));
    let numbers = vec![number(nth)];
    Intake::of_contacts(ForContacts::Loaded(Loaded { at, campaign, contact, numbers, live: true, ..Loaded::default() }))
}

fn busy(nth: u64, at: Micros) -> Intake {
    Intake::of_contacts(ForContacts::Attempt(Attempt {
        call_id: format!("site-a/{nth}"),
        version: 2,
        withdrawn: false,
        live: true,
        campaign: campaign(nth),
        contact: format!("c{nth}"),
        number: Some(number(nth)),
        status: Status::Busy,
        cause: Some(17),
        reached: false,
        dropped: false,
        short: false,
        dialled: true,
        started_at: at,
        ended_at: at,
    }))
}

/// Promises calls for the next seconds, and looks when each is due on its topic.
fn promised(log: &dyn EventLog, contacts: u64) -> Result<String> {
    let promises = PROMISES.min(contacts);
    let begin = clock::now() + 5_000_000;
    let at = |nth: u64| begin + i64::try_from(nth * 1_000_000 / PROMISES_A_SECOND).unwrap_or(0);
    let promise = |nth: u64| {
        // Contacts that no attempt was told of come last.
        let nth = contacts - 1 - nth;
        Intake::of_contacts(ForContacts::Callback(Callback {
            given_at: clock::now(),
            who: "a measurement".to_owned(),
            campaign: campaign(nth),
            contact: format!("c{nth}"),
            callback_at: Some(at(contacts - 1 - nth)),
            agent: None,
            number: None,
        }))
    };
    let mut next = log.bounds(RETRY_DUE, 0)?.1;
    intake::append(log, (0..promises).map(promise).collect())?;
    let mut late = Vec::new();
    let patience = Instant::now() + Duration::from_secs(promises / PROMISES_A_SECOND + 30);
    let mut moment = 0;
    while (late.len() as u64) < promises && Instant::now() < patience {
        let batch = log.read(RETRY_DUE, 0, next, READ_BYTES)?;
        let seen = clock::now();
        next = batch.next;
        let dues =
            batch.records.iter().filter_map(|read| serde_json::from_slice::<Due>(read.record.payload.as_ref()?).ok());
        late.extend(dues.filter(|due| !due.withdrawn && due.due_at >= begin).map(|due| seen.millis_since(due.due_at)));
        moment = log.wait(moment, Duration::from_millis(5));
    }
    late.sort_unstable();
    let share = |part: f64| late.get(((late.len() as f64 * part) as usize).min(late.len().saturating_sub(1))).copied();
    let shown = |part| share(part).map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
    Ok(format!(
        "{:<26} published after their time: p50 {}, p99 {}, all by {} ({} of {promises}, {PROMISES_A_SECOND} a second)\n",
        "recycling: due",
        shown(0.5),
        shown(0.99),
        shown(1.0),
        late.len()
    ))
}

/// What this process holds now.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    now.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|kb| kb.trim().parse().ok()).unwrap_or(0)
}
