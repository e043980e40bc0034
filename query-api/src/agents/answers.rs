//! What the fold of agents answers to terminals: a thread follows their topic from its end on, and gives each answer to
//! whoever waits for it here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use calltide_eventlog::{EventLog, LogError, Offset};
use calltide_schemas::agents::Answer;
use calltide_schemas::topics::TERMINALS;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::TerminalError;

/// How long one wait for more lasts.
const WAIT: Duration = Duration::from_millis(200);
/// After the log did not answer.
const PAUSE: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 1 << 20;

/// By the request's id.
type Expected = Arc<Mutex<BTreeMap<String, oneshot::Sender<Answer>>>>;

/// See the module.
pub(super) struct Answers {
    expected: Expected,
    listening: watch::Receiver<bool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    pub(super) fn start(log: Arc<dyn EventLog>) -> std::io::Result<Self> {
        let (expected, stop) = (Expected::default(), Arc::new(AtomicBool::new(false)));
        let (listens, listening) = watch::channel(false);
        let follower = Follower { log, expected: Arc::clone(&expected), listens, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name("terminals".to_owned()).spawn(move || follower.follow())?;
        Ok(Self { expected, listening, stop, thread: Some(thread) })
    }

    /// The answer to a request that is made after this: waits until none can be missed.
    pub(super) async fn expect(&self, request_id: &str) -> Result<oneshot::Receiver<Answer>, TerminalError> {
        let mut listening = self.listening.clone();
        listening.wait_for(|listening| *listening).await.map_err(|_| TerminalError::NoAnswer)?;
        let (tell, answer) = oneshot::channel();
        let mut expected = self.expected.lock();
        // Whoever asked may have gone.
        expected.retain(|_, tell| !tell.is_closed());
        expected.insert(request_id.to_owned(), tell);
        Ok(answer)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("following the answers to terminals ended with a panic");
        }
    }
}

struct Follower {
    log: Arc<dyn EventLog>,
    expected: Expected,
    listens: watch::Sender<bool>,
    stop: Arc<AtomicBool>,
}

impl Follower {
    fn follow(&self) {
        let mut places = None;
        let mut moment = 0;
        while !self.stop.load(Ordering::Acquire) {
            match self.read(&mut places) {
                Ok(true) => {}
                Ok(false) => {
                    self.listens.send_if_modified(|listens| !std::mem::replace(listens, true));
                    moment = self.log.wait(moment, WAIT);
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "answers to terminals cannot be followed for now");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Reads what is new; `false` if nothing is. The first time it only looks where the ends are.
    fn read(&self, places: &mut Option<Vec<Offset>>) -> Result<bool, LogError> {
        let ends = self.log.ends(&[TERMINALS])?.into_iter().next().unwrap_or_default();
        let Some(places) = places else {
            *places = Some(ends);
            return Ok(false);
        };
        let mut any = false;
        for ((partition, place), end) in (0..).zip(places.iter_mut()).zip(ends) {
            if *place >= end {
                continue;
            }
            let batch = self.log.read(TERMINALS, partition, *place, READ_BYTES)?;
            any |= batch.next > *place;
            *place = batch.next;
            batch
                .records
                .iter()
                .filter_map(|read| read.record.payload.as_deref())
                .for_each(|payload| self.tell(payload));
        }
        Ok(any)
    }

    fn tell(&self, payload: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<Answer>(payload) else { return };
        if let Some(tell) = self.expected.lock().remove(&answer.request_id) {
            // Whoever asked may have gone.
            let _ = tell.send(answer);
        }
    }
}
