//! Recycling: who may be called again, when, and why. Two folds: [`Contacts`] decides, [`Numbers`] publishes what is due.
//!
//! A contact's verdict is decided anew from what is known of it ([`deciding`]) whenever something about it was told. A verdict
//! `retry` becomes a wish to the fold of numbers, which alone knows what other campaigns do with the number, refuses what must
//! not be, and tells dialers when the time has come ([`publishing`]). Their time is that of ticks in their own topics.

mod contact;
mod contacts;
mod deciding;
mod leasing;
mod number;
mod numbers;
mod profiles;
mod publishing;
mod rows;
mod rulebook;
mod simulation;
mod telling;
mod windows;
mod zones;

pub use contacts::Contacts;
pub use numbers::Numbers;
pub use profiles::{Profile, VICIDIAL_DELAY_MIN_S};
pub use simulation::{Outcome, Rules, Simulation};
pub use zones::is_zone;

use calltide_eventlog::{Output, Record};
use calltide_schemas::Micros;
use calltide_schemas::recycling::{CallingNumber, ContactKey, ForContacts, ForNumbers};
use calltide_schemas::topics::{IN_CONTACTS, IN_NUMBERS};
use serde::Serialize;

use crate::fold::Effects;

/// A record for the fold of contacts, keyed as it must be.
pub fn for_contacts(of: &ContactKey, said: &ForContacts) -> Record {
    record(of.to_string(), said.kind(), said.at(), said)
}

/// A record for the fold of numbers, keyed as it must be.
pub fn for_numbers(of: &CallingNumber, said: &ForNumbers) -> Record {
    record(of.0.clone(), said.kind(), said.at(), said)
}

/// A record that concerns every partition of its topic; its key says nothing.
pub fn for_all(kind: &str, at: Micros, said: &impl Serialize) -> Record {
    record("*".to_owned(), kind, at, said)
}

fn record(key: String, kind: &str, at: Micros, said: &impl Serialize) -> Record {
    Record {
        id: format!("{kind}:{key}:{}", at.0),
        key: key.into_bytes(),
        at: at.0,
        kind: kind.to_owned(),
        journal: None,
        payload: serde_json::to_vec(said).ok(),
    }
}

impl Effects {
    /// Tells the fold of contacts.
    pub(crate) fn tell_contact(&mut self, of: &ContactKey, said: &ForContacts) {
        self.outputs.push(Output { topic: IN_CONTACTS.to_owned(), record: for_contacts(of, said) });
    }

    /// Tells the fold of numbers.
    pub(crate) fn tell_number(&mut self, of: &CallingNumber, said: &ForNumbers) {
        self.outputs.push(Output { topic: IN_NUMBERS.to_owned(), record: for_numbers(of, said) });
    }

    /// Tells dialers something; `id` is the same if it is told again.
    pub(crate) fn tell_dialers(
        &mut self,
        topic: &str,
        kind: &str,
        key: &ContactKey,
        id: String,
        at: Micros,
        message: &impl Serialize,
    ) {
        let record = Record { id, ..record(key.to_string(), kind, at, message) };
        self.outputs.push(Output { topic: topic.to_owned(), record });
    }
}

/// A stable 64-bit digest.
fn digest(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}
