//! A connection over memory, in paused time: pings go out, silence is noticed, and what comes is handed on.

#![expect(clippy::unwrap_used, reason = "tests")]

use calltide_schemas::Micros;
use tokio::io::{DuplexStream, duplex};

use super::super::buffer::{Chunk, Pieces};

use super::*;

struct Desk {
    config: AmiConfig,
    clock: Clock,
    buffer: Buffer,
    pieces: Pieces,
    stop: watch::Sender<bool>,
}

fn desk() -> Desk {
    desk_with(1 << 20)
}

fn desk_with(bytes_max: usize) -> Desk {
    let (buffer, pieces) = buffer("p", bytes_max);
    let stop = watch::channel(false).0;
    Desk { config: AmiConfig::new("p", "h", "u", "s"), clock: Arc::new(|| Micros(5)), buffer, pieces, stop }
}

async fn attend(desk: &mut Desk, ours: DuplexStream) -> End {
    let mut stop = desk.stop.subscribe();
    read(&desk.config, Box::new(ours), Bytes::new(), &desk.clock, &mut desk.buffer, &mut stop).await
}

/// The bytes that wait for the journal.
fn handed(pieces: &mut Pieces) -> Vec<u8> {
    let mut handed = Vec::new();
    while let Some(held) = pieces.next_now() {
        let Chunk::Bytes { seen, bytes } = &held.chunk else { panic!("{held:?}") };
        assert_eq!(*seen, Micros(5));
        handed.extend_from_slice(bytes);
    }
    handed
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_given_up_after_the_deadline() {
    let mut desk = desk();
    let (ours, mut theirs) = duplex(64 << 10);
    let began = Instant::now();
    let end = attend(&mut desk, ours).await;
    assert!(matches!(end, End::Lost(Loss::Silent(_))), "{end:?}");
    assert_eq!(began.elapsed(), desk.config.read_deadline);
    let mut pings = Vec::new();
    theirs.read_to_end(&mut pings).await.unwrap();
    assert!(pings.len() / PING.len() >= 9, "asked every second");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_too() {
    let mut desk = desk();
    let (ours, theirs) = duplex(8);
    let end = attend(&mut desk, ours).await;
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
    let end = attend(&mut desk, ours).await;
    peer.await.unwrap();
    assert!(matches!(end, End::Lost(Loss::Closed)), "{end:?}");
    assert_eq!(handed(&mut desk.pieces), b"pong".repeat(100));
}

#[tokio::test(start_paused = true)]
async fn a_lively_peer_is_asked_more_often_than_one_that_only_answers() {
    for (said, pings_max) in [(b"Event: X\r\n".as_slice(), 11), (&[b'x'; 300], 60)] {
        let mut desk = desk();
        let (ours, theirs) = duplex(64 << 10);
        let (mut asked, mut saying) = tokio::io::split(theirs);
        let count = tokio::spawn(async move {
            let mut all = String::new();
            asked.read_to_string(&mut all).await.unwrap();
            all.matches("Action: Ping").count()
        });
        let said = said.to_vec();
        let peer = tokio::spawn(async move {
            // Ten seconds.
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                saying.write_all(&said).await.unwrap();
            }
            saying.shutdown().await.unwrap();
        });
        let end = attend(&mut desk, ours).await;
        assert!(matches!(end, End::Lost(Loss::Closed)), "{end:?}");
        peer.await.unwrap();
        drop(desk);
        let pings = count.await.unwrap();
        // At ten bytes a tenth of a second, more than an answer is said only in a second and more.
        assert!((pings_max * 2 / 3..=pings_max).contains(&pings), "{pings} of at most {pings_max}");
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_says_goodbye() {
    let mut desk = desk();
    let (ours, mut theirs) = duplex(64 << 10);
    desk.stop.send_replace(true);
    assert!(matches!(attend(&mut desk, ours).await, End::Stopped));
    let mut said = String::new();
    theirs.read_to_string(&mut said).await.unwrap();
    // Whether it could still ask for the channels is a matter of luck.
    assert!(said.ends_with("Action: Logoff\r\n\r\n"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_is_not_taken_keeps_nothing_from_being_read() {
    let mut desk = desk();
    let (ours, mut theirs) = duplex(8);
    let said = b"Event: X\r\n".repeat(1000);
    let peer = tokio::spawn({
        let said = said.clone();
        async move {
            for part in said.chunks(10) {
                theirs.write_all(part).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let end = attend(&mut desk, ours).await;
    peer.await.unwrap();
    assert!(matches!(end, End::Lost(Loss::Closed)), "{end:?}");
    assert_eq!(handed(&mut desk.pieces), said, "of five seconds, each with a ping");
}

#[tokio::test(start_paused = true)]
async fn without_room_reading_waits_and_that_is_no_silence() {
    let mut desk = desk_with(8 << 10);
    let (ours, mut theirs) = duplex(64 << 10);
    // Small pieces, each read by itself: they cost what they are, not what could have been read.
    let peer = tokio::spawn(async move {
        for _ in 0..40 {
            theirs.write_all(&[b'x'; 256]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        theirs
    });
    let mut stop = desk.stop.subscribe();
    let reading = read(&desk.config, Box::new(ours), Bytes::new(), &desk.clock, &mut desk.buffer, &mut stop);
    tokio::pin!(reading);
    let longer_than_silence = desk.config.read_deadline * 3;
    assert!(timeout(longer_than_silence, &mut reading).await.is_err(), "it waits for room");
    let before = handed(&mut desk.pieces);
    assert!((5 << 10..8 << 10).contains(&before.len()), "{} bytes", before.len());
    let _ = timeout(desk.config.ping_every / 2, &mut reading).await;
    let after = handed(&mut desk.pieces);
    assert_eq!(before.len() + after.len(), 40 * 256, "it went on");
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_it_waits_for_room_it_ends_and_keeps_what_it_read() {
    let mut desk = desk_with(1 << 10);
    let (ours, mut theirs) = duplex(64 << 10);
    theirs.write_all(&[b'x'; 1000]).await.unwrap();
    let stop = desk.stop.clone();
    let later = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        theirs.write_all(&[b'y'; 1000]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send_replace(true);
        theirs
    });
    assert!(matches!(attend(&mut desk, ours).await, End::Stopped));
    let said: Vec<u8> = [[b'x'; 1000], [b'y'; 1000]].concat();
    assert_eq!(handed(&mut desk.pieces), said);
    drop(later);
}
