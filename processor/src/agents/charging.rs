//! Who is charged for a connection, and how much: rows of `charges`, and their corrections.
//!
//! A call out is charged to the user of the internal device that placed it, a leg to an ordinary telephone to the user that
//! owns it, as the directory was when it was answered; the rates are those that stand in it now ([`super::rating`]). What was
//! charged is kept for a while: when the directory changes it is rated anew, some with each record, and what then differs
//! is published with the next version. Must not know how the directory is kept, see [`Owners`].

use calltide_eventlog::Change;
use calltide_schemas::Micros;
use calltide_schemas::agents::directory::{Agent, Device, DeviceKind, EntryKind, STANDARD, User};
use calltide_schemas::agents::{Billable, BillableKind};
use serde::{Deserialize, Serialize};

use super::rating::{RateBook, price, utc_day};
use crate::fold::{Effects, Row, content_digest};
use crate::store::Store;

/// How long a charge is rated anew, by the fold's time since it was last told: a month is invoiced within the first days of the
/// next one, and until then its tariff may turn out to be wrong. What is older stays as it was charged.
pub(super) const RERATE: Micros = Micros::from_secs(40 * 86_400);

/// How often what is older is looked for: so it is kept a tenth too long, and each charge is looked at ten times.
const SWEEP: Micros = Micros(RERATE.0 / 10);

/// The fold's time is kept by the hour, so that not every record changes it.
const HOUR: i64 = 3_600_000_000;

/// Charges that are looked at with one record: a commit of them takes some tens of milliseconds.
const LOOKED_AT_ONCE: usize = 5_000;

/// What an entry of the state is, by the first letter of its key.
const CHARGE: &[u8] = b"b";
const STANDING: &[u8] = b"k";

const TOPIC: &str = "calltide.charges";
const KIND: &str = "charge";

/// What of the directory decides about charges. Devices are named `<pbx>/<endpoint>`, external ones `<pbx>/<internal number>`.
pub(super) trait Owners {
    /// A device of the directory, as it was then.
    fn device(&self, id: &str, at: Micros) -> Option<&Device>;
    /// The external device of a PBX with that number in E.164; of several the first by id.
    fn external_by_number(&self, pbx: &str, number: &str, at: Micros) -> Option<&Device>;
    /// The agent of the directory whose device it was then.
    fn agent_of_device(&self, id: &str, at: Micros) -> Option<&Agent>;
    /// A user, as it was then.
    fn user(&self, id: &str, at: Micros) -> Option<&User>;
    /// The rates as they stand now.
    fn rates(&self) -> &RateBook;
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Charges {
    store: Store,
    standing: Standing,
}

/// How far things are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    /// The latest time that was told, in whole hours.
    now: Micros,
    /// When what is too old was last looked for.
    swept: Micros,
    /// All charges are being looked at.
    walk: Option<Walk>,
}

/// All charges are looked at, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Walk {
    /// Done up to this key.
    after: Option<Vec<u8>>,
    /// The time of what led to it.
    at: Micros,
}

/// A charge that may still change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    said: Billable,
    /// When it was last told, by the fold's time.
    told: Micros,
    version: i64,
    /// Of what was published last; none after it was taken back.
    digest: Option<u64>,
}

/// Whom it concerns.
#[derive(Debug, Default)]
struct Party {
    user: Option<String>,
    device: Option<String>,
    agent: Option<String>,
    team: Option<String>,
    /// It is said to have been placed by what only receives.
    is_from_external: bool,
}

/// A row of the table `charges`.
#[derive(Debug, Hash, Serialize)]
struct ChargeRow {
    charge_id: String,
    pbx: String,
    call_id: String,
    leg_id: Option<String>,
    what: &'static str,
    user: Option<String>,
    device: Option<String>,
    agent: Option<String>,
    team: Option<String>,
    campaign: Option<String>,
    number_e164: Option<String>,
    number_raw: Option<String>,
    started_at: Micros,
    up_ms: i64,
    billed_s: Option<i64>,
    rate: Option<String>,
    currency: Option<String>,
    amount: Option<String>,
    version: i64,
    updated_at: Micros,
}

impl Row for ChargeRow {
    fn key(&self) -> &str {
        &self.charge_id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl Charges {
    /// Whether an entry of the fold's state is one of these.
    pub(super) fn owns(key: &[u8]) -> bool {
        key.starts_with(CHARGE) || key == STANDING
    }

    /// Takes an entry in as it was committed; `false` if it was written by another version.
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        let fits = self.store.restore(key, value);
        if key == STANDING {
            self.standing = self.store.get(STANDING).unwrap_or_default();
        }
        fits
    }

    /// The entries that changed since the last call.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        self.store.changes()
    }

    /// Whether charges depend on entries of that kind: when one of them changes, [`Self::rate_anew`].
    pub(super) const fn depend_on(kind: EntryKind) -> bool {
        match kind {
            EntryKind::User | EntryKind::Agent | EntryKind::Device | EntryKind::Rate => true,
            EntryKind::Team | EntryKind::Group | EntryKind::Queue => false,
        }
    }

    /// Something that costs money was told. `at` is the fold's time.
    pub(super) fn billable(&mut self, at: Micros, said: &Billable, known: &impl Owners, out: &mut Effects) {
        self.passed(at);
        let key = [CHARGE, said.charge_id.as_bytes()].concat();
        let before: Option<Kept> = self.store.get(&key);
        if said.withdrawn {
            self.take_back(at, &key, before, out);
            return;
        }
        let (version, digest) = before.map_or((0, None), |kept| (kept.version, kept.digest));
        let mut kept = Kept { said: said.clone(), told: self.standing.now, version, digest };
        let party = party(said, known);
        if party.is_from_external {
            out.note("call out from an external device");
        }
        kept.tell(at, party, known, out);
        self.store.put(&key, &kept);
    }

    fn take_back(&mut self, at: Micros, key: &[u8], before: Option<Kept>, out: &mut Effects) {
        let Some(mut kept) = before.filter(|kept| kept.digest.is_some()) else {
            out.note("charge taken back that is not known");
            return;
        };
        kept.version += 1;
        kept.digest = None;
        kept.told = self.standing.now;
        out.withdraw(TOPIC, KIND, &kept.said.charge_id, kept.version, at.0);
        // Its version stays known: it may be told again.
        self.store.put(key, &kept);
    }

    /// The directory changed: what is kept is rated anew, by [`Self::go_on`].
    pub(super) fn rate_anew(&mut self, at: Micros) {
        self.passed(at);
        self.standing.walk = Some(Walk { after: None, at });
        self.store.put(STANDING, &self.standing);
    }

    /// So late it is.
    pub(super) fn passed(&mut self, at: Micros) {
        let now = Micros(at.0.div_euclid(HOUR) * HOUR);
        if now <= self.standing.now {
            return;
        }
        self.standing.now = now;
        if self.standing.walk.is_none() && now.0.saturating_sub(self.standing.swept.0) >= SWEEP.0 {
            self.standing.swept = now;
            self.standing.walk = Some(Walk { after: None, at });
        }
        self.store.put(STANDING, &self.standing);
    }

    /// Whether not all was looked at yet.
    pub(super) const fn has_more(&self) -> bool {
        self.standing.walk.is_some()
    }

    /// Goes on with what was begun, some charges at once: with every record.
    pub(super) fn go_on(&mut self, known: &impl Owners, out: &mut Effects) {
        let Some(Walk { after, at }) = self.standing.walk.take() else { return };
        let keys = self.store.keys(CHARGE, after.as_deref()).take(LOOKED_AT_ONCE);
        let keys: Vec<Vec<u8>> = keys.map(<[u8]>::to_vec).collect();
        keys.iter().for_each(|key| self.look_at(at, key, known, out));
        if keys.len() == LOOKED_AT_ONCE {
            self.standing.walk = Some(Walk { after: keys.last().cloned(), at });
        }
        self.store.put(STANDING, &self.standing);
    }

    fn look_at(&mut self, at: Micros, key: &[u8], known: &impl Owners, out: &mut Effects) {
        let Some(mut kept) = self.store.get::<Kept>(key) else { return };
        if self.standing.now.0.saturating_sub(kept.told.0) > RERATE.0 {
            self.store.remove(key);
            return;
        }
        if kept.digest.is_some() {
            kept.tell(at, party(&kept.said, known), known, out);
            self.store.put(key, &kept);
        }
    }
}

impl Kept {
    /// Publishes it if it is another row than before.
    fn tell(&mut self, at: Micros, party: Party, known: &impl Owners, out: &mut Effects) {
        let mut row = row(&self.said, party, known, out);
        let digest = content_digest(&row);
        if self.digest == Some(digest) {
            return;
        }
        self.digest = Some(digest);
        self.version += 1;
        (row.version, row.updated_at) = (self.version, at);
        out.publish(TOPIC, KIND, at.0, &row);
    }
}

/// The row without its version.
fn row(said: &Billable, party: Party, known: &impl Owners, out: &mut Effects) -> ChargeRow {
    let at = said.answered_at;
    let user = party.user.as_deref().and_then(|id| known.user(id, at));
    let table = user.and_then(|user| user.rates.as_deref()).unwrap_or(STANDARD);
    let tariff = known.rates().find(table, said.number_e164.as_deref(), utc_day(at));
    let priced = tariff.map(|tariff| price(tariff, said.up_ms));
    if priced.as_ref().is_some_and(|price| price.amount.is_none()) {
        out.note("charge beyond any amount");
    }
    ChargeRow {
        charge_id: said.charge_id.clone(),
        pbx: said.pbx.clone(),
        call_id: said.call_id.clone(),
        leg_id: said.leg_id.clone(),
        what: said.what.name(),
        user: party.user,
        device: party.device,
        agent: party.agent,
        team: party.team,
        campaign: said.campaign.clone(),
        number_e164: said.number_e164.clone(),
        number_raw: said.number_raw.clone(),
        started_at: at,
        up_ms: said.up_ms,
        billed_s: priced.as_ref().map(|price| price.billed_s),
        rate: tariff.map(|tariff| tariff.id.clone()),
        currency: tariff.map(|tariff| tariff.currency.clone()),
        amount: priced.and_then(|price| price.amount).map(|amount| amount.to_string()),
        version: 0,
        updated_at: Micros(0),
    }
}

fn party(said: &Billable, known: &impl Owners) -> Party {
    match said.what {
        BillableKind::CallOut => caller(said, known),
        BillableKind::ExternalLeg => telephone(said, known),
    }
}

/// Who placed a call out. A dialer is nobody's device.
fn caller(said: &Billable, known: &impl Owners) -> Party {
    let Some(device) = &said.device else { return Party::default() };
    let (id, at) = (format!("{}/{device}", said.pbx), said.answered_at);
    let listed = known.device(&id, at);
    if listed.is_some_and(|device| device.kind == DeviceKind::External) {
        return Party { device: Some(id), is_from_external: true, ..Party::default() };
    }
    of_device(id, listed, at, known)
}

/// Whose ordinary telephone a leg reached: by its number, else by the internal number that it is reached through, which also
/// decides between several with one number.
fn telephone(said: &Billable, known: &impl Owners) -> Party {
    let at = said.answered_at;
    let id = said.device.as_deref().map(|device| format!("{}/{}", said.pbx, internal_number(device)));
    let by_id = id.as_deref().and_then(|id| known.device(id, at)).filter(|it| it.kind == DeviceKind::External);
    let by_number = said.number_e164.as_deref().and_then(|number| known.external_by_number(&said.pbx, number, at));
    let same = by_id.filter(|it| it.number.is_some() && it.number == said.number_e164);
    match same.or(by_number).or(by_id) {
        Some(device) => of_device(device.id.clone(), Some(device), at, known),
        None => Party { device: id, ..Party::default() },
    }
}

/// A queue's member may be called `Local/8001@from-queue/n`: the internal number is `8001`.
fn internal_number(device: &str) -> &str {
    let Some(local) = device.strip_prefix("Local/") else { return device };
    local.split_once('@').map_or(local, |(number, _)| number)
}

/// A device is paid by the user that owns it, else by the user of the agent whose it is.
fn of_device(id: String, listed: Option<&Device>, at: Micros, known: &impl Owners) -> Party {
    let agent = known.agent_of_device(&id, at);
    Party {
        user: listed.and_then(|device| device.user.clone()).or_else(|| agent.and_then(|agent| agent.user.clone())),
        device: Some(id),
        agent: agent.map(|agent| agent.id.clone()),
        team: agent.and_then(|agent| agent.team.clone()),
        is_from_external: false,
    }
}

#[cfg(test)]
mod tests;
