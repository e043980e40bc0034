//! Where words go: data to stdout, everything else to stderr. The only place that prints.
//!
//! Whoever reads stdout may leave early (`calltide sql … | head`): that is no error.

use std::io::{ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use crate::errors::{Failure, Result};

/// Writes data to stdout.
pub(crate) fn data(bytes: &[u8]) -> Result<()> {
    data_to_the_end(bytes).map(drop)
}

/// The same, and says whether anybody still reads.
pub(crate) fn data_to_the_end(bytes: &[u8]) -> Result<ControlFlow<()>> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::io("write to", Path::new("the output"), &error)),
    }
}

/// Tells the person at the terminal something that is not data.
pub(crate) fn note(text: &str) {
    complain(&format!("{text}\n"));
}

/// Writes to stderr, as it is. Where even that is closed, there is nobody to tell.
pub(crate) fn complain(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
