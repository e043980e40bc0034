//! How errors are told where there is one line for them, e.g. in another error's text.

use std::error::Error;

/// An error and what is below it, in one line; what only repeats a part of it is left out.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}
