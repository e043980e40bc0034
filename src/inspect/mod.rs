//! `calltide inspect`: one call in words: its row, its legs and visits, its story, and what decided its status.
//!
//! Finds the call by its id, with or without the PBX, or by the customer's number ([`find`]); [`told`] writes it down.
//! Everything it says is in the tables; nothing is derived here.

mod find;
mod told;

use jiff::tz::TimeZone;

use crate::args::{Inspect, Places};
use crate::errors::{Exit, Failure, Result};
use crate::output;
use crate::reader::Reader;
use find::Found;

/// Runs the command.
pub(crate) fn run(places: &Places, asked: &Inspect) -> Result<()> {
    let tz = TimeZone::get(&asked.tz).map_err(|_| {
        Failure::new(Exit::Usage, format!("unknown time zone `{}`", asked.tz))
            .hint("give an IANA name such as Europe/Moscow or UTC")
    })?;
    let reader = Reader::open(places)?;
    match find::find(&reader, &asked.call)? {
        Found::One(call) => {
            let parts = find::parts(&reader, &call)?;
            output::data(told::call(&call, &parts, &tz).as_bytes())
        }
        Found::Many(calls) => {
            output::data(told::list(&calls, &tz).as_bytes())?;
            output::note("several calls fit; inspect one of them by its id");
            Ok(())
        }
        Found::None => Err(Failure::new(Exit::NotFound, format!("no closed call fits `{}`", asked.call))
            .hint("give a call's id or a customer's number; a call is in the tables from the moment it has ended")),
    }
}
