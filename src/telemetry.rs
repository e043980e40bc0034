//! Tells on stderr what happens while a command runs.
//!
//! `CALLTIDE_LOG` says how much, in the form of tracing's filters, e.g. `debug` or `calltide_ingest=debug`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How much a command says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Warnings and errors: it answers on stdout and is done.
    Quiet,
    /// What it does as well: it runs for long.
    Talking,
}

/// Starts telling. To be called once.
pub(crate) fn start(voice: Voice) {
    let usual = match voice {
        // The table format's own warnings are for programmers.
        Voice::Quiet => "error,calltide=warn",
        Voice::Talking => "error,calltide=info",
    };
    let asked = std::env::var("CALLTIDE_LOG").ok().and_then(|filter| EnvFilter::try_new(filter).ok());
    tracing_subscriber::fmt()
        .with_env_filter(asked.unwrap_or_else(|| EnvFilter::new(usual)))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
