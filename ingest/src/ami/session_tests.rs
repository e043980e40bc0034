//! A connection over memory, in paused time: pings go out, silence is noticed, and what comes is handed on.

#![expect(clippy::unwrap_used, reason = "tests")]

use calltide_schemas::Micros;
use tokio::io::{DuplexStream, duplex};

use super::*;

struct Desk {
    config: AmiConfig,
    clock: Clock,
    queue: mpsc::Sender<Chunk>,
    pieces: mpsc::Receiver<Chunk>,
    stop: watch::Sender<bool>,
}

fn desk() -> Desk {
    let (queue, pieces) = mpsc::channel(QUEUE_PIECES);
    let stop = watch::channel(false).0;
    Desk { config: AmiConfig::new("p", "h", "u", "s"), clock: Arc::new(|| Micros(5)), queue, pieces, stop }
}

async fn attend(desk: &Desk, ours: DuplexStream) -> End {
    read(&desk.config, Box::new(ours), Bytes::new(), &desk.clock, &desk.queue, &mut desk.stop.subscribe()).await
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_given_up_after_the_deadline() {
    let desk = desk();
    let (ours, mut theirs) = duplex(64 << 10);
    let began = Instant::now();
    let end = attend(&desk, ours).await;
    assert!(matches!(end, End::Lost(Loss::Silent(_))), "{end:?}");
    assert_eq!(began.elapsed(), desk.config.read_deadline);
    let mut pings = Vec::new();
    theirs.read_to_end(&mut pings).await.unwrap();
    assert!(pings.len() / PING.len() >= 9, "asked every second");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_too() {
    let desk = desk();
    let (ours, theirs) = duplex(8);
    let end = attend(&desk, ours).await;
    assert!(matches!(end, End::Lost(Loss::Silent(_))), "{end:?}");
    drop(theirs);
}

#[tokio::test(start_paused = true)]
async fn answers_keep_a_quiet_connection_and_every_byte_is_handed_on() {
    let mut desk = desk();
    let (ours, mut theirs) = duplex(64 << 10);
    let peer = tokio::spawn(async move {
        let mut ping = vec![0; PING.len()];
        for _ in 0..100 {
            theirs.read_exact(&mut ping).await.unwrap();
            theirs.write_all(b"pong").await.unwrap();
        }
    });
    let end = attend(&desk, ours).await;
    peer.await.unwrap();
    assert!(matches!(end, End::Lost(Loss::Closed)), "{end:?}");
    let mut handed = Vec::new();
    while let Ok(Chunk::Bytes { seen, bytes }) = desk.pieces.try_recv() {
        assert_eq!(seen, Micros(5));
        handed.extend_from_slice(&bytes);
    }
    assert_eq!(handed, b"pong".repeat(100));
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_says_goodbye() {
    let desk = desk();
    let (ours, mut theirs) = duplex(64 << 10);
    desk.stop.send_replace(true);
    assert!(matches!(attend(&desk, ours).await, End::Stopped));
    let mut said = String::new();
    theirs.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "Action: Logoff\r\n\r\n");
}
