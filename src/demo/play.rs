//! `calltide demo --play`: the two recorded PBXs for a collector elsewhere, again and again, as if it all happened now.
//!
//! Each round has its own ids, so that its calls are calls of their own. Nothing is collected or kept here.

use std::net::SocketAddr;

use calltide_ingest::playback::{Channels, More, Playback, PlaybackOptions, Recording};

use super::recorded::{RECORDINGS, SECRET, USERNAME};
use crate::bench::repeat::Repeated;
use crate::bench::step_secs;
use crate::clock;
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::query_api::{runtime, told_to_stop};

/// Plays until told to stop.
pub(super) fn run(address: SocketAddr) -> Result<()> {
    runtime()?.block_on(async {
        let mut playing = Vec::new();
        for (nth, (pbx, bytes)) in (0..).zip(RECORDINGS) {
            let port = match address.port() {
                // Any that is free.
                0 => 0,
                port => port.checked_add(nth).ok_or_else(|| Failure::new(Exit::Usage, "there is no next port"))?,
            };
            let listen = SocketAddr::new(address.ip(), port);
            let options =
                PlaybackOptions { listen, channels: Channels::Listed, ..PlaybackOptions::new(USERNAME, SECRET) };
            let playback = Playback::start_series(rounds(bytes, clock::now().0 / 1_000_000), options).await;
            let playback =
                playback.map_err(|e| Failure::new(Exit::Failed, format!("cannot listen on {listen}")).because(&e))?;
            output::note(&format!("{pbx} at {}", playback.address));
            playing.push(playback);
        }
        told_to_stop().await;
        Ok(())
    })
}

/// The recording as of `now_secs`, and then each time later by its length and a little.
fn rounds(bytes: &[u8], now_secs: i64) -> More {
    let repeated = Repeated::new(bytes.to_vec());
    let step = step_secs(&repeated);
    let shift = repeated.seconds().map_or(0, |(first, _)| now_secs - first);
    let mut round = 0;
    Box::new(move || {
        let copy = repeated.copy(round, shift + i64::from(round) * step);
        round += 1;
        Recording::new(copy).ok()
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_round_is_a_day_of_its_own() {
        let now_secs = 1_800_000_000;
        let mut more = rounds(RECORDINGS[0].1, now_secs);
        let spans = [more().unwrap().span(), more().unwrap().span()];
        assert_eq!(spans[0].0.0 / 1_000_000, now_secs);
        assert!(spans[1].0 > spans[0].1, "{spans:?}");
        assert_eq!(spans[1].1 - spans[1].0, spans[0].1 - spans[0].0);
    }
}
