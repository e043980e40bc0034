//! The way of agents' terminals, and of whoever changes the directory: what they say goes into the log, and what the fold of
//! agents answers comes back by the request's id ([`answers`]).
//!
//! This side decides nothing: any number of these processes agree, since the fold hears them in one order.

mod answers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use calltide_eventlog::EventLog;
use calltide_schemas::Micros;
use calltide_schemas::agents::directory::DirectoryChange;
use calltide_schemas::agents::{Answer, ForAgents, Terminal, TerminalWhat};
use calltide_schemas::recycling::Intake;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use answers::Answers;

use crate::recycling::Takes;

/// How long it is waited for what came of something, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a terminal gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// What was said could not be brought into the log.
    #[error("it could not be brought into the log: {0}")]
    NotTaken(String),
    /// The fold did not answer in time.
    #[error("the fold of agents did not answer in time; is a processor running?")]
    NoAnswer,
}

/// See the module.
pub struct Terminals {
    answers: Answers,
    takes: Arc<dyn Takes>,
    heartbeat: Option<Duration>,
    patience: Duration,
    requests: AtomicU64,
    changing: Mutex<()>,
}

impl Terminals {
    /// Listens to answers from now on. An agent whose login names no other time is logged out when no heartbeat came for
    /// `heartbeat`; never if there is none.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn start(log: Arc<dyn EventLog>, takes: Arc<dyn Takes>, heartbeat: Option<Duration>) -> std::io::Result<Self> {
        let (requests, changing) = (AtomicU64::new(0), Mutex::new(()));
        Ok(Self { answers: Answers::start(log)?, takes, heartbeat, patience: PATIENCE, requests, changing })
    }

    /// The same with another patience than 5 s for what comes of something.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long it is waited for what comes of something.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// For how long a terminal's heartbeat may fail to come, if its login says nothing.
    pub const fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    /// Says something of an agent, and waits for what became of it.
    ///
    /// # Errors
    /// See [`TerminalError`].
    pub async fn say(
        &self,
        at: Micros,
        agent: &str,
        terminal: &str,
        what: TerminalWhat,
    ) -> Result<Answer, TerminalError> {
        let nth = self.requests.fetch_add(1, Ordering::Relaxed);
        let said = Terminal {
            at,
            agent: agent.to_owned(),
            terminal: terminal.to_owned(),
            request_id: format!("{agent}@{terminal}@{}@{nth}", at.0),
            what,
        };
        let answered = async {
            let answer = self.answers.expect(&said.request_id).await?;
            self.take(ForAgents::Terminal(said)).await.map(|()| answer)?.await.map_err(|_| TerminalError::NoAnswer)
        };
        timeout(self.patience, answered).await.map_err(|_| TerminalError::NoAnswer)?
    }

    /// Changes the directory. It is in the log when this returns; what came of it is in the table.
    ///
    /// # Errors
    /// When it is not in the log.
    pub async fn change(&self, change: DirectoryChange) -> Result<(), TerminalError> {
        self.take(ForAgents::Directory(change)).await
    }

    /// Whoever looks at the directory to change it does so alone, here.
    pub async fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    async fn take(&self, said: ForAgents) -> Result<(), TerminalError> {
        let takes = Arc::clone(&self.takes);
        let taken = tokio::task::spawn_blocking(move || takes.take(vec![Intake::Agents(Box::new(said))])).await;
        taken.map_err(|e| TerminalError::NotTaken(e.to_string()))?.map_err(TerminalError::NotTaken)
    }
}
