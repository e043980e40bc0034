//! What is due now, as the topics tell it: a thread follows due messages, withdrawals and leases, from a day ago on.
//!
//! What was dialled stays here until somebody asks for it and is refused, or its time is over: only the fold knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use calltide_eventlog::{EventLog, LogError, Offset, Record};
use calltide_schemas::Micros;
use calltide_schemas::recycling::{CallingNumber, Due, Lease, LeaseState};
use calltide_schemas::topics::{LEASES, RETRY_DUE};
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot};

/// Nothing that was due longer ago is due now, whatever the rules.
const LOOK_BACK_US: i64 = 25 * 3600 * 1_000_000;
/// How long one wait for more lasts.
const WAIT: Duration = Duration::from_millis(200);
/// After the log did not answer.
const PAUSE: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 1 << 20;
/// Messages that a stream may be behind before it loses some, which it is told.
const STREAM_BEHIND: usize = 10_000;

/// See the module.
pub struct Board {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    told: Arc<Mutex<Option<broadcast::Sender<Due>>>>,
}

#[derive(Default)]
struct State {
    dues: BTreeMap<String, Due>,
    /// When each is due, the longest waiting first.
    order: BTreeSet<(Micros, String)>,
    /// The same, campaign by campaign.
    by_campaign: BTreeMap<String, BTreeSet<(Micros, String)>>,
    /// Until when each is.
    ends: BTreeSet<(Micros, String)>,
    /// Until when somebody has it, and by which request.
    leased: BTreeMap<String, (String, Micros)>,
    /// What is being asked for by dialers of this process.
    asked: BTreeSet<String>,
    /// The verdict that is due of each contact.
    of_contact: BTreeMap<(String, String), String>,
    /// Who waits for answers.
    expected: BTreeMap<String, Expected>,
    /// Everything that was there at the start was read.
    caught_up: bool,
}

struct Expected {
    open: BTreeSet<String>,
    granted: BTreeSet<String>,
    tell: oneshot::Sender<BTreeSet<String>>,
}

impl Board {
    pub(super) fn start(log: Arc<dyn EventLog>, now: Micros) -> std::io::Result<Self> {
        let (state, stop) = (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let told = Arc::new(Mutex::new(Some(broadcast::channel(STREAM_BEHIND).0)));
        let follower = Follower {
            log,
            since: Micros(now.0.saturating_sub(LOOK_BACK_US)),
            state: Arc::clone(&state),
            stop: Arc::clone(&stop),
            told: Arc::clone(&told),
        };
        let thread = std::thread::Builder::new().name("due-board".to_owned()).spawn(move || follower.follow())?;
        Ok(Self { state, stop, thread: Some(thread), told })
    }

    /// `None` once streams were ended.
    pub(super) fn stream(&self) -> Option<broadcast::Receiver<Due>> {
        self.told.lock().as_ref().map(broadcast::Sender::subscribe)
    }

    /// Ends all streams.
    pub(super) fn end_streams(&self) {
        drop(self.told.lock().take());
    }

    /// What is due and nobody has, the longest waiting first.
    pub(super) fn due(&self, campaign: Option<&str>, limit: usize, now: Micros) -> Vec<Due> {
        let mut state = self.state.lock();
        state.forget(now);
        let free =
            |id: &String| !state.asked.contains(id) && state.leased.get(id).is_none_or(|(_, until)| *until <= now);
        let order = match campaign {
            Some(campaign) => state.by_campaign.get(campaign),
            None => Some(&state.order),
        };
        let ids = order.into_iter().flatten().take_while(|(due, _)| *due <= now).map(|(_, id)| id);
        ids.filter(|id| free(id)).filter_map(|id| state.dues.get(id)).take(limit).cloned().collect()
    }

    /// Whether everything that was told before is known.
    pub(super) fn is_ready(&self) -> bool {
        self.state.lock().caught_up
    }

    /// The number of what was leased by this request, if it was and still is.
    pub(super) fn leased(&self, lease_id: &str, verdict_id: &str, now: Micros) -> Option<CallingNumber> {
        let state = self.state.lock();
        let (by, until) = state.leased.get(verdict_id)?;
        let due = state.dues.get(verdict_id).filter(|_| by == lease_id && *until > now)?;
        Some(due.number.clone())
    }

    /// The answers to the claims of this request, when all of them are there. Until then nobody else here asks for the same.
    pub(super) fn expect(&self, lease_id: &str, open: BTreeSet<String>) -> oneshot::Receiver<BTreeSet<String>> {
        let (tell, answers) = oneshot::channel();
        let mut state = self.state.lock();
        state.asked.extend(open.iter().cloned());
        state.expected.insert(lease_id.to_owned(), Expected { open, granted: BTreeSet::new(), tell });
        answers
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("following what is due ended with a panic");
        }
    }
}

impl State {
    fn due(&mut self, due: Due) {
        let id = due.verdict_id.clone();
        if due.withdrawn {
            self.remove(&id);
        } else if !self.dues.contains_key(&id) {
            // Of a contact one verdict alone is the latest.
            let contact = (due.campaign.clone(), due.contact.clone());
            if let Some(earlier) = self.of_contact.insert(contact, id.clone()) {
                self.remove(&earlier);
            }
            self.order.insert((due.due_at, id.clone()));
            self.by_campaign.entry(due.campaign.clone()).or_default().insert((due.due_at, id.clone()));
            self.ends.insert((due.valid_until, id.clone()));
            self.dues.insert(id, due);
        }
    }

    fn lease(&mut self, lease: Lease) {
        let id = lease.verdict_id.clone();
        match (lease.state, lease.until) {
            (LeaseState::Granted, Some(until)) => drop(self.leased.insert(id.clone(), (lease.lease_id.clone(), until))),
            (LeaseState::Returned, _) => drop(self.leased.remove(&id)),
            // Whoever has it is told of by a lease of their own.
            (LeaseState::Elsewhere, _) => {}
            (LeaseState::Granted | LeaseState::Refused | LeaseState::Dialled, _) => self.remove(&id),
        }
        self.asked.remove(&id);
        let Some(expected) = self.expected.get_mut(&lease.lease_id) else { return };
        if expected.open.remove(&id) && lease.state == LeaseState::Granted {
            expected.granted.insert(id);
        }
        if expected.open.is_empty()
            && let Some(expected) = self.expected.remove(&lease.lease_id)
        {
            // Whoever asked may have gone.
            let _ = expected.tell.send(expected.granted);
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(due) = self.dues.remove(id) {
            self.order.remove(&(due.due_at, id.to_owned()));
            if let Some(of) = self.by_campaign.get_mut(&due.campaign) {
                of.remove(&(due.due_at, id.to_owned()));
                if of.is_empty() {
                    self.by_campaign.remove(&due.campaign);
                }
            }
            self.ends.remove(&(due.valid_until, id.to_owned()));
            let contact = (due.campaign.clone(), due.contact.clone());
            if self.of_contact.get(&contact).is_some_and(|latest| latest == id) {
                self.of_contact.remove(&contact);
            }
        }
        self.leased.remove(id);
    }

    /// Forgets what is over.
    fn forget(&mut self, now: Micros) {
        while let Some((_, id)) = self.ends.first().filter(|(end, _)| *end <= now).cloned() {
            self.remove(&id);
        }
        for expected in self.expected.values().filter(|expected| expected.tell.is_closed()) {
            // Whoever asked has gone.
            self.asked.retain(|id| !expected.open.contains(id));
        }
        self.expected.retain(|_, expected| !expected.tell.is_closed());
    }
}

struct Follower {
    log: Arc<dyn EventLog>,
    since: Micros,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Option<broadcast::Sender<Due>>>>,
}

impl Follower {
    fn follow(&self) {
        let mut places = BTreeMap::new();
        let mut moment = 0;
        while !self.stop.load(Ordering::Acquire) {
            match self.read(&mut places) {
                Ok(true) => {}
                Ok(false) => {
                    self.state.lock().caught_up = true;
                    moment = self.log.wait(moment, WAIT);
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "what is due cannot be followed for now");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Reads what is new; `false` if nothing is.
    fn read(&self, places: &mut BTreeMap<(&'static str, u32), Offset>) -> Result<bool, LogError> {
        let topics = [RETRY_DUE, LEASES];
        let mut any = false;
        for (topic, ends) in topics.into_iter().zip(self.log.ends(&topics)?) {
            for (partition, end) in (0..).zip(ends) {
                let from = match places.get(&(topic, partition)) {
                    Some(from) => *from,
                    None => self.log.offset_at(topic, partition, self.since.0)?,
                };
                places.insert((topic, partition), from);
                if from >= end {
                    continue;
                }
                let batch = self.log.read(topic, partition, from, READ_BYTES)?;
                any |= batch.next > from;
                places.insert((topic, partition), batch.next);
                batch.records.into_iter().for_each(|read| self.take(topic, &read.record));
            }
        }
        Ok(any)
    }

    fn take(&self, topic: &str, record: &Record) {
        let Some(payload) = &record.payload else { return };
        let mut state = self.state.lock();
        if topic == LEASES {
            if let Ok(lease) = serde_json::from_slice(payload) {
                state.lease(lease);
            }
        } else if let Ok(due) = serde_json::from_slice::<Due>(payload) {
            if let Some(told) = self.told.lock().as_ref().filter(|_| state.caught_up) {
                // Nobody may be listening.
                let _ = told.send(due.clone());
            }
            state.due(due);
        }
    }
}
