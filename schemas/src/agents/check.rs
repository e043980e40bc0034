//! Whether entries of a directory can be meant and fit together, whatever way they come: checked here for the configuration,
//! the API and commands.
//!
//! Must not know files and requests; whoever reads them shows the sentences, with the place where it has one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::directory::{Agent, Device, DeviceKind, DirectoryChange, Entry, EntryKind, Origin, Queue, Rate, STANDARD};
use crate::numbers::e164;

/// Longer ids are no ids.
const ID_MAX: usize = 200;
/// Digits of a price before and after its point: no sum of such prices is too large for an `i128`.
const PRICE_DIGITS_MAX: usize = 9;
/// Numbers in E.164 have so many digits at most.
const NUMBER_DIGITS_MAX: usize = 15;
/// Steps of charging are not longer than this.
const INCREMENT_MAX_S: u32 = 3_600;

/// Something wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry's place among those that were checked, from 0.
    pub place: usize,
    /// The field, as it is written.
    pub field: &'static str,
    /// What is wrong, with the entry's kind and id.
    pub what: String,
}

/// An entry as it holds, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The entry.
    pub entry: Entry,
    /// Who gave it.
    pub origin: Origin,
}

/// Why the directory cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// The configuration gave it, and it alone takes it back.
    #[error("{0} stands in the configuration, and is changed there")]
    Configured(String),
    /// There is nothing to take away.
    #[error("there is no {0} in the directory")]
    Absent(String),
    /// What would be wrong then, one sentence each.
    #[error("{}", .0.join("; "))]
    Faulty(Vec<String>),
}

/// What is wrong with these entries, which are a whole directory.
pub fn faults(entries: &[Entry]) -> Vec<Fault> {
    let known = Known::of(entries);
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeMap::new());
    let mut all = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let called = called(entry.kind(), entry.id());
        let mut fault = |field: &'static str, what: String| {
            all.push(Fault { place, field, what: format!("{called}: {what}") });
        };
        match id_fault(entry) {
            Some(what) => fault("id", what),
            None if !ids.insert((entry.kind(), entry.id())) => fault("id", "it is there twice".to_owned()),
            None => {}
        }
        match entry {
            Entry::User(user) => {
                let table = user.rates.as_deref().unwrap_or(STANDARD);
                if table != STANDARD && !known.tables.contains(table) {
                    fault("rates", format!("no rate is in the table `{table}`"));
                }
            }
            Entry::Team(_) | Entry::Group(_) => {}
            Entry::Agent(agent) => of_agent(agent, &known, &mut taken, &mut fault),
            Entry::Device(device) => of_device(device, &known, &mut fault),
            Entry::Queue(queue) => of_queue(queue, &known, &mut fault),
            Entry::Rate(rate) => of_rate(rate, &mut fault),
        }
    }
    all
}

/// Whether a change by the API or a command may be made in this directory.
///
/// # Errors
/// Why not. What was wrong before is no reason.
pub fn check_change(standing: &[Standing], change: &DirectoryChange) -> Result<(), ChangeRefused> {
    let origins: BTreeMap<_, _> = standing.iter().map(|one| ((one.entry.kind(), one.entry.id()), one.origin)).collect();
    let removed: BTreeSet<_> = change.removed.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
    let given: BTreeSet<_> = change.entries.iter().map(|entry| (entry.kind(), entry.id())).collect();
    for (kind, id) in removed.iter().chain(&given) {
        if origins.get(&(*kind, *id)).is_some_and(|origin| *origin != change.origin) {
            return Err(ChangeRefused::Configured(called(*kind, id)));
        }
    }
    if let Some((kind, id)) = removed.iter().find(|of| !origins.contains_key(*of)) {
        return Err(ChangeRefused::Absent(called(*kind, id)));
    }
    let before: Vec<Entry> = standing.iter().map(|one| one.entry.clone()).collect();
    let stays = |entry: &&Entry| {
        let of = (entry.kind(), entry.id());
        !removed.contains(&of) && !given.contains(&of)
    };
    let after: Vec<Entry> = before.iter().filter(stays).chain(&change.entries).cloned().collect();
    let was: BTreeSet<String> = faults(&before).into_iter().map(|fault| fault.what).collect();
    let new: Vec<String> =
        faults(&after).into_iter().map(|fault| fault.what).filter(|what| !was.contains(what)).collect();
    if new.is_empty() { Ok(()) } else { Err(ChangeRefused::Faulty(new)) }
}

/// An entry from the JSON of its fields, with or without the word that says what it is.
///
/// # Errors
/// In words, for whoever wrote it.
pub fn entry_of(kind: EntryKind, id: Option<&str>, fields: Value) -> Result<Entry, String> {
    let Value::Object(mut fields) = fields else { return Err(format!("a {} is a JSON object", kind.name())) };
    for (name, said) in [("entry", Some(kind.name())), ("id", id)] {
        let Some(said) = said else { continue };
        let written = fields.entry(name).or_insert_with(|| Value::from(said));
        if written.as_str() != Some(said) {
            return Err(format!("`{name}` is {written}, but it is asked for {said}"));
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
}

/// The kind of that name.
///
/// # Errors
/// With the names that there are.
pub fn kind_named(word: &str) -> Result<EntryKind, String> {
    EntryKind::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(|| {
        let known = EntryKind::ALL.map(EntryKind::name).join(", ");
        format!("`{word}` is nothing that a directory has: known are {known}")
    })
}

/// The PBXs that an entry names, each with the field that does.
pub fn pbxs(entry: &Entry) -> Vec<(&'static str, &str)> {
    let of = |field, text| pbx_of(text).map(|pbx| (field, pbx));
    match entry {
        Entry::Agent(agent) => {
            let names = agent.names.iter().filter_map(|name| of("names", name));
            names.chain(agent.device.iter().filter_map(|device| of("device", device))).collect()
        }
        Entry::Device(Device { id, .. }) | Entry::Queue(Queue { id, .. }) => of("id", id).into_iter().collect(),
        Entry::User(_) | Entry::Team(_) | Entry::Group(_) | Entry::Rate(_) => Vec::new(),
    }
}

/// What entries may name.
struct Known<'a> {
    ids: BTreeSet<(EntryKind, &'a str)>,
    tables: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let table = |entry: &'a Entry| if let Entry::Rate(rate) = entry { Some(rate.table.as_str()) } else { None };
        Self {
            ids: entries.iter().map(|entry| (entry.kind(), entry.id())).collect(),
            tables: entries.iter().filter_map(table).collect(),
        }
    }

    /// Why there is nothing of that kind and id, if there is not.
    fn lacks(&self, kind: EntryKind, id: &str) -> Option<String> {
        (!self.ids.contains(&(kind, id))).then(|| format!("{} is not in the directory", called(kind, id)))
    }
}

fn called(kind: EntryKind, id: &str) -> String {
    format!("{} `{}`", kind.name(), id.chars().filter(|c| !c.is_control()).take(ID_MAX).collect::<String>())
}

fn id_fault(entry: &Entry) -> Option<String> {
    let id = entry.id();
    if id.trim().is_empty() {
        return Some("the id is empty".to_owned());
    }
    if id.len() > ID_MAX || id.chars().any(char::is_control) || id.trim() != id {
        return Some(format!(
            "the id is longer than {ID_MAX} bytes, or begins, ends or is written with what nobody sees"
        ));
    }
    match entry.kind() {
        EntryKind::Device | EntryKind::Queue if pbx_of(id).is_none() => {
            Some("the id is no `<pbx>/<name>`, such as `site-a/PJSIP/101`".to_owned())
        }
        EntryKind::Agent if id.contains('/') => {
            Some("the id has a slash: so are those called who are not in the directory".to_owned())
        }
        EntryKind::User
        | EntryKind::Team
        | EntryKind::Group
        | EntryKind::Agent
        | EntryKind::Device
        | EntryKind::Queue
        | EntryKind::Rate => None,
    }
}

/// `site-a` of `site-a/PJSIP/101`.
fn pbx_of(text: &str) -> Option<&str> {
    let (pbx, name) = text.split_once('/')?;
    (!pbx.is_empty() && !name.is_empty()).then_some(pbx)
}

fn of_agent<'a>(
    agent: &'a Agent,
    known: &Known<'_>,
    taken: &mut BTreeMap<(&'static str, &'a str), &'a str>,
    fault: &mut dyn FnMut(&'static str, String),
) {
    let named = [("team", EntryKind::Team, &agent.team), ("user", EntryKind::User, &agent.user)];
    for (field, kind, id) in named {
        if let Some(what) = id.as_deref().and_then(|id| known.lacks(kind, id)) {
            fault(field, what);
        }
    }
    for what in agent.groups.iter().filter_map(|group| known.lacks(EntryKind::Group, group)) {
        fault("groups", what);
    }
    let names = agent.names.iter().map(|name| ("names", name));
    for (field, name) in names.chain(agent.device.iter().map(|device| ("device", device))) {
        if pbx_of(name).is_none() {
            fault(field, format!("`{name}` is no `<pbx>/<name>`, such as `site-a/PJSIP/101`"));
        }
        let owner = *taken.entry((field, name.as_str())).or_insert(agent.id.as_str());
        if owner != agent.id {
            fault(field, format!("`{name}` is that of agent `{owner}` already"));
        }
    }
}

fn of_device(device: &Device, known: &Known<'_>, fault: &mut dyn FnMut(&'static str, String)) {
    if let Some(what) = device.user.as_deref().and_then(|user| known.lacks(EntryKind::User, user)) {
        fault("user", what);
    }
    match (device.kind, &device.number) {
        (DeviceKind::External, Some(number)) if e164(number, None).as_ref() == Some(number) => {}
        (DeviceKind::External, Some(number)) => {
            fault("number", format!("`{number}` is no number in E.164 such as +34911234567"));
        }
        (DeviceKind::External, None) => fault("number", "an external device needs its telephone's number".to_owned()),
        (DeviceKind::Internal, Some(_)) => fault("number", "only an external device has a number".to_owned()),
        (DeviceKind::Internal, None) => {}
    }
    if let Some(address) = device.address.as_deref().filter(|address| address.parse::<IpAddr>().is_err()) {
        fault("address", format!("`{address}` is no IP address"));
    }
}

fn of_queue(queue: &Queue, known: &Known<'_>, fault: &mut dyn FnMut(&'static str, String)) {
    if let Some(what) = queue.team.as_deref().and_then(|team| known.lacks(EntryKind::Team, team)) {
        fault("team", what);
    }
    for what in queue.members.iter().filter_map(|agent| known.lacks(EntryKind::Agent, agent)) {
        fault("members", what);
    }
}

fn of_rate(rate: &Rate, fault: &mut dyn FnMut(&'static str, String)) {
    let prices = [("per_minute", Some(&rate.per_minute)), ("connection", rate.connection.as_ref())];
    for (field, price) in prices.into_iter().filter_map(|(field, price)| Some((field, price?))) {
        if !is_price(price) {
            fault(field, format!("`{price}` is no price such as 0.0125"));
        }
    }
    let digits = rate.prefix.strip_prefix('+').unwrap_or_default();
    let is_prefix = (1..=NUMBER_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !rate.prefix.is_empty() && !is_prefix {
        fault("prefix", format!("`{}` is no beginning of numbers such as +34", rate.prefix));
    }
    if rate.table.trim().is_empty() {
        fault("table", "the table has no name".to_owned());
    }
    if !(1..=INCREMENT_MAX_S).contains(&rate.increment_s) {
        fault("increment_s", format!("a step has 1 to {INCREMENT_MAX_S} seconds, not {}", rate.increment_s));
    }
    if rate.currency.len() != 3 || !rate.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        fault("currency", format!("`{}` is no currency such as EUR", rate.currency));
    }
    let dates = [("from", &rate.from), ("until", &rate.until)];
    for (field, date) in dates.into_iter().filter_map(|(field, date)| Some((field, date.as_ref()?))) {
        if !is_date(date) {
            fault(field, format!("`{date}` is no date such as 2026-12-25"));
        }
    }
    // As text they have the order of the days.
    if let (Some(from), Some(until)) = (&rate.from, &rate.until)
        && from >= until
    {
        fault("until", "it ends before it begins".to_owned());
    }
}

fn is_price(text: &str) -> bool {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    [whole, rest]
        .into_iter()
        .all(|digits| (1..=PRICE_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// `YYYY-MM-DD`, of the calendar.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_shaped = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    let number = |part: &str| part.parse::<u32>().unwrap_or_default();
    if !is_shaped {
        return false;
    }
    let (year, month, day) = (number(&text[..4]), number(&text[5..7]), number(&text[8..]));
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
