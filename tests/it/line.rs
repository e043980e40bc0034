//! A TCP line that can be cut, stopped and slowed down: what is between a PBX, its site and the centre.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Good,
    /// Nothing gets through, and nobody is told.
    Stopped,
    /// Each piece takes so long, one after the other.
    Slow(Duration),
    /// Every byte comes so much later, however many are on their way.
    Far(Duration),
    /// Connections are reset, new ones too.
    Cut,
}

/// How often a stopped line looks whether it goes on.
const LOOK: Duration = Duration::from_millis(5);
/// So many pieces are on their way at most, of up to 64 KiB each.
const ON_THE_WAY: usize = 256;

/// The line; it ends with the test's process.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    way: Way,
    to: Option<SocketAddr>,
    open: Vec<TcpStream>,
}

impl Line {
    /// On a free port, to nowhere yet.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { way: Way::Good, to: None, open: Vec::new() }));
        let shared = Arc::clone(&state);
        spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let to = {
                    let state = shared.lock().unwrap();
                    state.to.filter(|_| state.way != Way::Cut)
                };
                let Some(far) = to.and_then(|to| TcpStream::connect(to).ok()) else { continue };
                [&near, &far].iter().for_each(|stream| stream.set_nodelay(true).unwrap());
                let both = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                shared.lock().unwrap().open.extend(both);
                for (from, into) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    let state = Arc::clone(&shared);
                    spawn(move || pump(from, into, &state));
                }
            }
        });
        Self { address, state }
    }

    /// Where it leads.
    pub(crate) fn leads_to(&self, to: SocketAddr) {
        self.state.lock().unwrap().to = Some(to);
    }

    /// Changes how it is.
    pub(crate) fn becomes(&self, way: Way) {
        let mut state = self.state.lock().unwrap();
        state.way = way;
        if way == Way::Cut {
            for stream in state.open.drain(..) {
                // It may have ended by itself.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Takes bytes one way until one of the ends has gone; what is on its way then arrives.
fn pump(mut from: TcpStream, into: TcpStream, state: &Arc<Mutex<State>>) {
    let (put, taken) = sync_channel(ON_THE_WAY);
    let shared = Arc::clone(state);
    spawn(move || give(&taken, into, &shared));
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let later = if let Way::Far(time) = state.lock().unwrap().way { time } else { Duration::ZERO };
        if put.send((Instant::now() + later, bytes[..read].to_vec())).is_err() {
            break;
        }
    }
}

fn give(taken: &Receiver<(Instant, Vec<u8>)>, mut into: TcpStream, state: &Mutex<State>) {
    for (due, bytes) in taken {
        sleep(due.saturating_duration_since(Instant::now()));
        loop {
            let way = state.lock().unwrap().way;
            match way {
                Way::Stopped => sleep(LOOK),
                Way::Slow(time) => {
                    sleep(time);
                    break;
                }
                Way::Good | Way::Far(_) | Way::Cut => break,
            }
        }
        if into.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Both);
}
