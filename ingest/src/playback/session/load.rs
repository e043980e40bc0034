//! Load at a steady rate: whatever is due by now goes out at once, recording after recording.
//!
//! As with Asterisk, events happen whether somebody reads or not: what could not be sent in time is sent when there is room.

use std::io;

use tokio::io::AsyncWriteExt as _;

use super::{Play, Writer};

/// The most that is written at once.
const WRITE_BYTES: usize = 64 << 10;

impl Play {
    /// Sends the events that are due, up to a limit.
    pub(super) async fn send_due(&mut self, per_second: f64, writer: &mut Writer) -> io::Result<()> {
        let since = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        // The rate and a day's seconds are far below what a float counts exactly.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let due = (since * per_second) as usize + 1;
        let mut bytes = Vec::with_capacity(WRITE_BYTES);
        while self.sent() < due && bytes.len() < WRITE_BYTES && self.next < self.recording.pieces().len() {
            let piece = &self.recording.pieces()[self.next];
            bytes.extend_from_slice(self.recording.bytes(piece.range.clone()));
            self.latest = piece.at;
            self.next += 1;
        }
        self.write_all(writer, &bytes).await?;
        writer.flush().await?;
        self.turn_over();
        Ok(())
    }
}
