//! The wall clock, as a closure that everything else is given.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use calltide_schemas::Micros;

/// Tells the present moment.
pub(crate) type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// The machine's clock.
pub(crate) fn wall() -> Clock {
    Arc::new(now)
}

/// The present moment by the machine's clock.
pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
