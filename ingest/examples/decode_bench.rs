//! Measures framing and the writing of envelopes: `decode_bench CAPTURE [MEGABYTES]` repeats a recording of AMI.
//!
//! Prints megabytes and frames a second, on one core, for framing with all headers, and for framing, redacting and writing.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use calltide_ingest::decode::ami::{FrameKind, Framer, Item};
use calltide_ingest::decode::redact::Redaction;
use calltide_ingest::encode::{Encoder, Stamp};
use calltide_schemas::Micros;

/// As a socket or a file gives them.
const PIECE_BYTES: usize = 64 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: decode_bench CAPTURE [MEGABYTES]")?;
    let megabytes: usize = args.next().map_or(Ok(500), |text| text.parse())?;
    let capture = std::fs::read(path)?;
    let rounds = (megabytes * 1_000_000).div_ceil(capture.len().max(1));
    let encoder = Encoder::new("pbx", "ami/pbx/0", Redaction::default());

    let began = Instant::now();
    let frames = run(&capture, rounds, |item| {
        if let Item::Frame(frame) = item {
            frame.headers().for_each(|header| {
                black_box(header);
            });
        }
    });
    report("framing", began.elapsed(), capture.len() * rounds, frames);

    let began = Instant::now();
    let mut offset = 0;
    let frames = run(&capture, rounds, |item| {
        if let Item::Frame(frame) = item
            && frame.kind == FrameKind::Event
        {
            offset += 1;
            black_box(encoder.ami(frame, Stamp { at: Micros(0), seen: Micros(0), offset }));
        }
    });
    report("framing and envelopes", began.elapsed(), capture.len() * rounds, frames);
    Ok(())
}

fn run(capture: &[u8], rounds: usize, mut each: impl FnMut(&Item<'_>)) -> usize {
    let mut framer = Framer::default();
    let mut frames = 0;
    for _ in 0..rounds {
        for piece in capture.chunks(PIECE_BYTES) {
            framer.push(piece);
            while let Some(item) = framer.next() {
                frames += usize::from(matches!(item, Item::Frame(_)));
                each(&item);
            }
        }
    }
    frames
}

fn report(what: &str, took: Duration, bytes: usize, frames: usize) {
    let seconds = took.as_secs_f64();
    println!("{what}: {:.0} MB/s, {:.0} frames/s", bytes as f64 / 1e6 / seconds, frames as f64 / seconds);
}
