//! The way of dialers: what is due now ([`board`]), who has it, and what people and programs say to recycling.
//!
//! This side decides nothing: it says what it wants to the fold of numbers, by the log, and waits for the answer. So any number
//! of these processes give no contact to two dialers.

mod board;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use calltide_eventlog::EventLog;
use calltide_schemas::Micros;
use calltide_schemas::recycling::{CallingNumber, Claim, Due, ForNumbers, Intake};
use tokio::sync::broadcast;
use tokio::time::timeout;

pub use board::Board;

/// How long the fold's answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How often more is asked for, where others were faster.
const ROUNDS: usize = 3;

/// Takes in what is said to recycling: it is in the log, or nothing happened.
pub trait Takes: Send + Sync {
    /// Blocks until it is there.
    ///
    /// # Errors
    /// Why it is not, in words.
    fn take(&self, said: Vec<Intake>) -> Result<(), String>;
}

/// Why dialers get no answer.
#[derive(Debug, thiserror::Error)]
pub enum RecyclingError {
    /// What was said could not be brought into the log.
    #[error("it could not be brought into the log: {0}")]
    NotTaken(String),
    /// The fold did not answer in time.
    #[error("the fold of numbers did not answer within {} s; is a processor running?", ANSWER_PATIENCE.as_secs())]
    NoAnswer,
}

/// What a dialer got.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Names what it got, for its acknowledgement.
    pub lease_id: String,
    /// Until when nobody else gets it.
    pub until: Micros,
    /// What is due.
    pub dues: Vec<Due>,
}

/// See the module.
pub struct Recycling {
    board: Board,
    takes: Arc<dyn Takes>,
    country: Option<String>,
    leases: AtomicU64,
}

impl Recycling {
    /// Follows what is due from now on.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn start(
        log: Arc<dyn EventLog>,
        takes: Arc<dyn Takes>,
        country: Option<String>,
        now: Micros,
    ) -> std::io::Result<Self> {
        Ok(Self { board: Board::start(log, now)?, takes, country, leases: AtomicU64::new(0) })
    }

    /// What is due, the longest waiting first.
    pub fn due(&self, campaign: Option<&str>, limit: usize, now: Micros) -> Vec<Due> {
        self.board.due(campaign, limit, now)
    }

    /// Whether everything that was told before this process began is known.
    pub fn is_ready(&self) -> bool {
        self.board.is_ready()
    }

    /// The number of what was leased by this request, if it was and still is.
    pub fn leased(&self, lease_id: &str, verdict_id: &str, now: Micros) -> Option<CallingNumber> {
        self.board.leased(lease_id, verdict_id, now)
    }

    /// Everything that dialers are told from now on.
    ///
    /// `None` once the process is ending.
    pub fn stream(&self) -> Option<broadcast::Receiver<Due>> {
        self.board.stream()
    }

    /// Ends all streams, so that a server can end.
    pub fn end_streams(&self) {
        self.board.end_streams();
    }

    /// The country whose national numbers are written, if nothing else is said.
    pub fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }

    /// Takes in what is said.
    ///
    /// # Errors
    /// When it is not in the log.
    pub async fn take(&self, said: Vec<Intake>) -> Result<(), RecyclingError> {
        let takes = Arc::clone(&self.takes);
        let taken = tokio::task::spawn_blocking(move || takes.take(said)).await;
        taken.map_err(|e| RecyclingError::NotTaken(e.to_string()))?.map_err(RecyclingError::NotTaken)
    }

    /// Gives a dialer what is due, for so long, if the latest verdict of each still says so.
    ///
    /// # Errors
    /// See [`RecyclingError`].
    pub async fn lease(
        &self,
        dialer: &str,
        campaign: Option<&str>,
        limit: usize,
        (now, lasts): (Micros, Duration),
    ) -> Result<Leased, RecyclingError> {
        let nth = self.leases.fetch_add(1, Ordering::Relaxed);
        let lease_id = format!("{dialer}-{}-{nth}", now.0);
        let until = now + i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX);
        let mut leased = Leased { lease_id: lease_id.clone(), until, dues: Vec::new() };
        for _ in 0..ROUNDS {
            let wanted = self.board.due(campaign, limit - leased.dues.len(), now);
            if wanted.is_empty() {
                break;
            }
            let claim = |due: &Due| Claim {
                at: now,
                lease_id: lease_id.clone(),
                dialer: dialer.to_owned(),
                verdict_id: due.verdict_id.clone(),
                number: due.number.clone(),
                until,
            };
            let answers = self.board.expect(&lease_id, wanted.iter().map(|due| due.verdict_id.clone()).collect());
            self.take(wanted.iter().map(|due| Intake::of_numbers(ForNumbers::Claim(claim(due)))).collect()).await?;
            let granted = timeout(ANSWER_PATIENCE, answers).await.ok().and_then(Result::ok);
            let Some(granted) = granted else {
                // What was given is theirs, whatever became of the rest.
                if leased.dues.is_empty() {
                    return Err(RecyclingError::NoAnswer);
                }
                break;
            };
            leased.dues.extend(wanted.into_iter().filter(|due| granted.contains(&due.verdict_id)));
            if leased.dues.len() >= limit {
                break;
            }
        }
        Ok(leased)
    }
}
