//! Recycling's own words: the rules of campaigns, what its two folds are told, and what dialers are told.
//!
//! The fold `contacts` reads [`ForContacts`] from [`topics::IN_CONTACTS`](crate::topics::IN_CONTACTS), the fold `numbers`
//! reads [`ForNumbers`] from [`topics::IN_NUMBERS`](crate::topics::IN_NUMBERS). Dialers read [`Due`], [`Retargeted`] and
//! [`Lease`]. What a verdict is decided by is in [`rules`]; how, is the folds' matter.

mod between;
mod dialers;
mod inputs;
mod intake;
mod key;
pub mod rules;

pub use between::{Notice, Reached, Wanted, Wish, Word};
pub use dialers::{Due, Lease, LeaseState, Retargeted};
pub use inputs::{
    Acknowledged, Acknowledgement, Attempt, Call, Callback, Claim, Dial, DoNotCall, ForContacts, ForNumbers, Listing,
    Loaded, Standing, StandingChange, Tick,
};
pub use intake::{Intake, IntakeKey, LoadAs, NewContact, calling_number, check_names, listed_number};
pub use key::{CallingNumber, ContactKey, verdict_id};
