//! Who is charged what: a directory as lines with the times from which they hold, what calls told, and the rows that follow.

use std::collections::BTreeMap;

use calltide_schemas::agents::directory::{DirectoryChange, Entry, Origin, Rate};
use serde_json::{Value, json};

use super::*;

const PBX: &str = "site";

/// A moment of March 2026: `3T09:00` is the 3rd, nine o'clock UTC.
fn at(text: &str) -> Micros {
    let (day, time) = text.split_once('T').expect("a day and a time");
    let text = format!("2026-03-{:02}T{time}:00Z", day.parse::<u8>().expect("a day"));
    Micros(text.parse::<jiff::Timestamp>().expect("a moment").as_microsecond())
}

/// A directory that remembers its changes.
#[derive(Default)]
struct Site {
    changes: Vec<DirectoryChange>,
    book: RateBook,
}

impl Site {
    /// `device 101 acme`, `external 8001 +34612345678 acme`, `agent anna 101 support acme`, `user acme gold`,
    /// `rate es +34 0.06`, `gone device 101`; `-` for nothing.
    fn says(&mut self, since: &str, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        let told = |nth: usize| words.get(nth).filter(|word| **word != "-").map(|word| (*word).to_owned());
        let id = |nth: usize| format!("{PBX}/{}", words[nth]);
        let (mut entries, mut removed) = (Vec::new(), Vec::new());
        match words[0] {
            "device" => entries.push(Entry::Device(Device { id: id(1), user: told(2), ..Device::default() })),
            "external" => entries.push(Entry::Device(Device {
                id: id(1),
                kind: DeviceKind::External,
                number: told(2),
                user: told(3),
                address: None,
            })),
            "agent" => entries.push(Entry::Agent(Agent {
                id: words[1].to_owned(),
                device: told(2).map(|device| format!("{PBX}/{device}")),
                team: told(3),
                user: told(4),
                ..Agent::default()
            })),
            "user" => {
                entries.push(Entry::User(User { id: words[1].to_owned(), rates: told(2), ..User::default() }));
            }
            "rate" => entries.push(Entry::Rate(Rate {
                id: words[1].to_owned(),
                prefix: words[2].to_owned(),
                per_minute: words[3].to_owned(),
                table: told(4).unwrap_or_else(|| STANDARD.to_owned()),
                increment_s: 1,
                currency: "EUR".to_owned(),
                ..Rate::default()
            })),
            "gone" => {
                let kind = EntryKind::ALL.into_iter().find(|kind| kind.name() == words[1]).expect("a kind");
                removed.push((kind, if kind == EntryKind::Device { id(2) } else { words[2].to_owned() }));
            }
            other => panic!("{other}"),
        }
        for entry in &entries {
            if let Entry::Rate(rate) = entry {
                self.book.put(rate);
            }
        }
        removed.iter().filter(|(kind, _)| *kind == EntryKind::Rate).for_each(|(_, id)| self.book.remove(id));
        let (who, origin) = ("test".to_owned(), Origin::Api);
        self.changes.push(DirectoryChange { at: at(since), who, origin, entries, removed, whole: false });
    }

    /// The entries of a kind as they held then, by id.
    fn held(&self, kind: EntryKind, at: Micros) -> BTreeMap<&str, &Entry> {
        let mut held = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.at <= at) {
            held.extend(change.entries.iter().filter(|entry| entry.kind() == kind).map(|entry| (entry.id(), entry)));
            held.retain(|id, _| !change.removed.iter().any(|(of, gone)| *of == kind && gone == id));
        }
        held
    }
}

impl Owners for Site {
    fn device(&self, id: &str, at: Micros) -> Option<&Device> {
        let held = self.held(EntryKind::Device, at);
        held.get(id).and_then(|entry| if let Entry::Device(device) = entry { Some(device) } else { None })
    }

    fn external_by_number(&self, pbx: &str, number: &str, at: Micros) -> Option<&Device> {
        let fits = |entry: &&Entry| matches!(entry, Entry::Device(it) if it.number.as_deref() == Some(number) && it.id.starts_with(&format!("{pbx}/")));
        let id = self.held(EntryKind::Device, at).into_values().find(fits)?.id();
        self.device(id, at)
    }

    fn agent_of_device(&self, id: &str, at: Micros) -> Option<&Agent> {
        let agents = self.held(EntryKind::Agent, at).into_values();
        let mut agents = agents.filter_map(|entry| if let Entry::Agent(agent) = entry { Some(agent) } else { None });
        agents.find(|agent| agent.device.as_deref() == Some(id))
    }

    fn user(&self, id: &str, at: Micros) -> Option<&User> {
        let held = self.held(EntryKind::User, at);
        held.get(id).and_then(|entry| if let Entry::User(user) = entry { Some(user) } else { None })
    }

    fn rates(&self) -> &RateBook {
        &self.book
    }
}

/// A call out of one minute.
fn call(id: &str, device: Option<&str>, answered: &str) -> Billable {
    Billable {
        charge_id: format!("call:{PBX}/{id}"),
        what: BillableKind::CallOut,
        pbx: PBX.to_owned(),
        call_id: format!("{PBX}/{id}"),
        leg_id: None,
        device: device.map(str::to_owned),
        campaign: None,
        number_e164: Some("+34912345678".to_owned()),
        number_raw: Some("912345678".to_owned()),
        answered_at: at(answered),
        up_ms: 60_000,
        withdrawn: false,
    }
}

/// A leg of one minute to an ordinary telephone.
fn leg(id: &str, device: &str, number: Option<&str>, answered: &str) -> Billable {
    Billable {
        charge_id: format!("leg:{PBX}/{id}#1"),
        what: BillableKind::ExternalLeg,
        leg_id: Some(format!("{PBX}/{id}#1")),
        number_e164: number.map(str::to_owned),
        ..call(id, Some(device), answered)
    }
}

fn taken_back(said: &Billable) -> Billable {
    Billable { pbx: String::new(), call_id: String::new(), withdrawn: true, ..said.clone() }
}

/// The fold's part, with what it published.
#[derive(Default)]
struct Desk {
    site: Site,
    charges: Charges,
    out: Effects,
}

impl Desk {
    fn with(lines: &[&str]) -> Self {
        let mut desk = Self::default();
        lines.iter().for_each(|line| desk.site.says("1T00:00", line));
        desk
    }

    fn told(&mut self, now: &str, said: &Billable) {
        self.charges.billable(at(now), said, &self.site, &mut self.out);
    }

    fn directory(&mut self, now: &str, since: &str, line: &str) {
        self.site.says(since, line);
        self.charges.rate_anew(at(now));
        while self.charges.has_more() {
            self.charges.go_on(&self.site, &mut self.out);
        }
    }

    /// What was published since the last call: `<id> v<version> <user> <device> <agent> <team> <rate> <amount>`, `-` for nothing.
    fn published(&mut self) -> Vec<String> {
        let outputs = std::mem::take(&mut self.out.outputs);
        let rows = outputs.iter().map(|output| {
            assert_eq!(output.topic, TOPIC);
            let key = std::str::from_utf8(&output.record.key).expect("text");
            let Some(payload) = &output.record.payload else { return format!("{key} gone") };
            let row: Value = serde_json::from_slice(payload).expect("JSON");
            assert_eq!(output.record.id, format!("{KIND}:{key}:{}", row["version"]));
            let words = ["user", "device", "agent", "team", "rate", "amount"]
                .map(|name| row[name].as_str().unwrap_or("-").to_owned());
            format!("{key} v{} {}", row["version"], words.join(" "))
        });
        rows.collect()
    }
}

const STANDARD_RATES: [&str; 2] = ["rate es +34 0.06", "rate gold +34 0.03 gold"];

fn check(directory: &[&str], said: &Billable, expected: &str) {
    let mut desk = Desk::with(&[&STANDARD_RATES[..], directory].concat());
    desk.told("10T10:00", said);
    assert_eq!(desk.published(), [format!("{} v1 {expected}", said.charge_id)], "{directory:?}");
}

#[test]
fn a_call_out_is_charged_to_the_user_of_the_device_that_placed_it() {
    let from = |device| call("1", device, "10T09:00");
    check(&["device PJSIP/101 acme"], &from(Some("PJSIP/101")), "acme site/PJSIP/101 - - es 0.06");
    check(&["device PJSIP/101 acme", "user acme gold"], &from(Some("PJSIP/101")), "acme site/PJSIP/101 - - gold 0.03");
    check(&["device PJSIP/101 acme", "user acme -"], &from(Some("PJSIP/101")), "acme site/PJSIP/101 - - es 0.06");
    check(&["device PJSIP/101 acme", "user acme tin"], &from(Some("PJSIP/101")), "acme site/PJSIP/101 - - - -");
    check(
        &["device PJSIP/101 acme", "agent anna PJSIP/101 support other"],
        &from(Some("PJSIP/101")),
        "acme site/PJSIP/101 anna support es 0.06",
    );
    // The device is not in the directory, or belongs to no user: that of the agent whose device it is.
    for device in ["device PJSIP/102 acme", "device PJSIP/101 -"] {
        check(
            &[device, "agent anna PJSIP/101 support other"],
            &from(Some("PJSIP/101")),
            "other site/PJSIP/101 anna support es 0.06",
        );
    }
    check(&["agent anna PJSIP/101 - -"], &from(Some("PJSIP/101")), "- site/PJSIP/101 anna - es 0.06");
    check(&["device PJSIP/102 acme"], &from(Some("PJSIP/101")), "- site/PJSIP/101 - - es 0.06");
    check(&["device PJSIP/101 acme"], &from(None), "- - - - es 0.06");
}

#[test]
fn a_leg_to_an_ordinary_telephone_is_charged_to_the_user_that_owns_it() {
    let mobile = Some("+34612345678");
    let to = |device, number| leg("1", device, number, "10T09:00");
    let external = "external 8001 +34612345678 acme";
    // By its number, whatever the queue calls it; by the internal number, where the other is not known or not the telephone's.
    for (device, number) in [
        ("Anna", mobile),
        ("8001", mobile),
        ("8001", None),
        ("Local/8001@from-queue/n", None),
        ("8001", Some("+34699999999")),
    ] {
        check(
            &[external],
            &to(device, number),
            match number {
                None => "acme site/8001 - - - -",
                Some(_) => "acme site/8001 - - es 0.06",
            },
        );
    }
    check(&[external, "agent anna 8001 support other"], &to("8001", mobile), "acme site/8001 anna support es 0.06");
    check(
        &["external 8001 +34612345678 -", "agent anna 8001 - other"],
        &to("8001", mobile),
        "other site/8001 anna - es 0.06",
    );
    // Another's telephone that is reached by this internal number, today.
    check(
        &[external, "external 8002 +34699999999 tyr"],
        &to("8001", Some("+34699999999")),
        "tyr site/8002 - - es 0.06",
    );
    // Of several with one number the one that was dialled.
    check(&[external, "external 8002 +34612345678 tyr"], &to("8002", mobile), "tyr site/8002 - - es 0.06");
    check(&[external, "external 8002 +34612345678 tyr"], &to("Anna", mobile), "acme site/8001 - - es 0.06");
    // Nobody's, and a device of ours that has the name.
    check(&[external], &to("8003", Some("+34699999999")), "- site/8003 - - es 0.06");
    check(&["device 8001 acme"], &to("8001", mobile), "- site/8001 - - es 0.06");
}

#[test]
fn an_external_device_only_receives() {
    let said = call("1", Some("8001"), "10T09:00");
    check(&["external 8001 +34612345678 acme", "agent anna 8001 support acme"], &said, "- site/8001 - - es 0.06");
    let mut desk = Desk::with(&["external 8001 +34612345678 acme"]);
    desk.told("10T10:00", &said);
    assert_eq!(desk.out.notes, BTreeMap::from([("call out from an external device", 1)]));
}

#[test]
fn the_directory_of_the_time_of_the_answer_decides() {
    let mut desk = Desk::with(&STANDARD_RATES);
    for (since, line) in [
        ("2T09:00", "device PJSIP/101 acme"),
        ("3T09:00", "device PJSIP/101 tyr"),
        ("4T09:00", "gone device PJSIP/101"),
        ("3T12:00", "user tyr gold"),
    ] {
        desk.site.says(since, line);
    }
    for (nth, (answered, expected)) in [
        ("2T08:59", "- site/PJSIP/101 - - es 0.06"),
        ("2T09:00", "acme site/PJSIP/101 - - es 0.06"),
        ("3T08:59", "acme site/PJSIP/101 - - es 0.06"),
        ("3T09:00", "tyr site/PJSIP/101 - - es 0.06"),
        ("3T12:00", "tyr site/PJSIP/101 - - gold 0.03"),
        ("4T09:00", "- site/PJSIP/101 - - es 0.06"),
    ]
    .into_iter()
    .enumerate()
    {
        let said = call(&nth.to_string(), Some("PJSIP/101"), answered);
        desk.told("10T10:00", &said);
        assert_eq!(desk.published(), [format!("{} v1 {expected}", said.charge_id)], "{answered}");
    }
}

#[test]
fn a_corrected_tariff_changes_what_was_charged_by_it_and_nothing_else() {
    let mut desk = Desk::with(&["rate es +34 0.06", "rate fr +33 0.10", "device PJSIP/101 acme"]);
    let spain = call("1", Some("PJSIP/101"), "10T09:00");
    let france = Billable { number_e164: Some("+33123456789".to_owned()), ..call("2", Some("PJSIP/101"), "10T09:00") };
    let nowhere = Billable { number_e164: Some("+4930123456".to_owned()), ..call("3", Some("PJSIP/101"), "10T09:00") };
    for said in [&spain, &france, &nowhere] {
        desk.told("10T10:00", said);
    }
    assert_eq!(desk.published().len(), 3);
    desk.directory("11T10:00", "11T10:00", "rate es +34 0.09");
    assert_eq!(desk.published(), ["call:site/1 v2 acme site/PJSIP/101 - - es 0.09"]);
    desk.directory("11T11:00", "11T11:00", "rate es +34 0.09");
    assert_eq!(desk.published(), [""; 0], "nothing is another");
    desk.directory("11T12:00", "11T12:00", "rate de +49 0.02");
    assert_eq!(desk.published(), ["call:site/3 v2 acme site/PJSIP/101 - - de 0.02"]);
    desk.directory("11T13:00", "11T13:00", "gone rate es");
    assert_eq!(desk.published(), ["call:site/1 v3 acme site/PJSIP/101 - - - -"]);
    // A device that turns out to have been another's, from the morning on.
    desk.directory("12T10:00", "10T08:00", "device PJSIP/101 tyr");
    assert_eq!(desk.published().len(), 3);
    // One that is another's from now on changes nothing of the past.
    desk.directory("12T11:00", "12T11:00", "device PJSIP/101 acme");
    assert_eq!(desk.published(), [""; 0]);
}

#[test]
fn the_row_is_told_in_full() {
    let mut desk = Desk::with(&["rate es +34 0.0125", "device PJSIP/101 acme"]);
    let said =
        Billable { campaign: Some("spring".to_owned()), up_ms: 61_500, ..call("1", Some("PJSIP/101"), "10T09:00") };
    desk.told("10T10:00", &said);
    let payload = desk.out.outputs[0].record.payload.as_deref().expect("a row");
    assert_eq!(
        serde_json::from_slice::<Value>(payload).expect("JSON"),
        json!({
            "charge_id": "call:site/1", "pbx": "site", "call_id": "site/1", "leg_id": null, "what": "call_out",
            "user": "acme", "device": "site/PJSIP/101", "agent": null, "team": null, "campaign": "spring",
            "number_e164": "+34912345678", "number_raw": "912345678", "started_at": at("10T09:00"), "up_ms": 61_500,
            // 62 × 0.0125 / 60 = 0.0129166…
            "billed_s": 62, "rate": "es", "currency": "EUR", "amount": "0.012917", "version": 1, "updated_at": at("10T10:00"),
        })
    );
    let columns = calltide_schemas::tables::table("charges").expect("the table").columns;
    let row: serde_json::Map<String, Value> = serde_json::from_slice(payload).expect("JSON");
    assert!(columns.iter().all(|column| row.contains_key(column.name)) && row.len() == columns.len());
}

#[test]
fn what_is_told_again_is_published_if_it_changed_and_taken_back_if_it_was_a_mistake() {
    let mut desk = Desk::with(&["rate es +34 0.06", "device PJSIP/101 acme"]);
    let said = call("1", Some("PJSIP/101"), "10T09:00");
    let longer = Billable { up_ms: 120_000, ..said.clone() };
    let paid = |version: u32, amount: &str| format!("call:site/1 v{version} acme site/PJSIP/101 - - es {amount}");
    for (said, expected) in [
        (&said, vec![paid(1, "0.06")]),
        (&said, vec![]),
        (&longer, vec![paid(2, "0.12")]),
        (&taken_back(&said), vec!["call:site/1 gone".to_owned()]),
        (&taken_back(&said), vec![]),
        // The tombstone was the third version.
        (&longer, vec![paid(4, "0.12")]),
        (&said, vec![paid(5, "0.06")]),
    ] {
        desk.told("10T10:00", said);
        assert_eq!(desk.published(), expected);
    }
    assert_eq!(desk.out.notes, BTreeMap::from([("charge taken back that is not known", 1)]));
    desk.told("10T10:00", &taken_back(&said));
    desk.published();
    desk.directory("10T11:00", "10T11:00", "rate es +34 0.09");
    assert_eq!(desk.published(), [""; 0], "what was taken back stays so");
}

#[test]
fn what_is_older_than_the_kept_period_stays_as_it_was_charged() {
    for (days, expected) in [(0, "0.09"), (40, "0.09"), (41, "0.06")] {
        let mut desk = Desk::with(&["rate es +34 0.06", "device PJSIP/101 acme"]);
        desk.told("1T00:00", &call("1", Some("PJSIP/101"), "1T00:00"));
        desk.published();
        let now = Micros(at("1T00:00").0 + days * 24 * HOUR);
        desk.site.says("1T00:00", "rate es +34 0.09");
        desk.charges.passed(now);
        desk.charges.rate_anew(now);
        desk.charges.go_on(&desk.site, &mut desk.out);
        let told = desk.published();
        let anew = ["call:site/1 v2 acme site/PJSIP/101 - - es 0.09".to_owned()];
        assert_eq!(told, if expected == "0.09" { &anew[..] } else { &[] }, "after {days} days");
    }
}

#[test]
fn what_is_too_old_is_forgotten_as_time_passes() {
    let mut desk = Desk::with(&["rate es +34 0.06"]);
    desk.told("1T00:00", &call("old", None, "1T00:00"));
    desk.told("20T00:00", &call("new", None, "20T00:00"));
    for hours in 0..24 * 46 {
        desk.charges.passed(Micros(at("1T00:00").0 + hours * HOUR));
        desk.charges.go_on(&desk.site, &mut desk.out);
    }
    let kept: Vec<_> =
        desk.charges.store.keys(CHARGE, None).map(|key| String::from_utf8_lossy(key).into_owned()).collect();
    assert_eq!(kept, ["bcall:site/new"]);
}

/// Restarted after every record, and with many charges at once, the same is published.
#[test]
fn nothing_is_lost_between_records() {
    const MANY: usize = 2 * LOOKED_AT_ONCE + 10;
    let mut desk = Desk::with(&["rate es +34 0.06"]);
    let mut state: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let restart = |charges: &mut Charges, state: &mut BTreeMap<Vec<u8>, Vec<u8>>| {
        for Change { key, value } in charges.changes() {
            match value {
                Some(value) => state.insert(key.to_vec(), value),
                None => state.remove(&key.to_vec()),
            };
        }
        let mut restored = Charges::default();
        for (key, value) in &*state {
            assert!(Charges::owns(key) && restored.restore(key, value));
        }
        assert_eq!(restored.standing, charges.standing);
        *charges = restored;
    };
    for nth in 0..MANY {
        desk.told("10T10:00", &call(&nth.to_string(), None, "10T09:00"));
    }
    desk.charges.go_on(&desk.site, &mut desk.out);
    restart(&mut desk.charges, &mut state);
    assert_eq!(desk.published().len(), MANY);
    desk.site.says("11T10:00", "rate es +34 0.09");
    desk.charges.rate_anew(at("11T10:00"));
    restart(&mut desk.charges, &mut state);
    let mut records = 0;
    while desk.charges.has_more() {
        desk.charges.go_on(&desk.site, &mut desk.out);
        restart(&mut desk.charges, &mut state);
        records += 1;
    }
    let mut told = desk.published();
    assert!(told.iter().all(|row| row.ends_with(" v2 - - - - es 0.09")), "{:?}", told.first());
    told.sort();
    told.dedup();
    assert_eq!((told.len(), records), (MANY, 3));
    assert!(!Charges::default().restore(b"b", &[0]), "another layout");
    assert!(!Charges::owns(b"k2") && !Charges::owns(b"m"));
}
