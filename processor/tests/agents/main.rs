//! Agents as situations in the field's words: what PBXs and terminals say of them, and the sessions and states that come of it.
//!
//! Every story runs straight, with the fold restarted after every record, and with every record told twice; all must give the
//! same ([`site`]). What generated histories must hold is in [`laws`].

#![expect(clippy::unwrap_used, reason = "tests")]

mod calls;
mod directory;
mod laws;
mod logins;
mod pauses;
mod site;
mod story;
