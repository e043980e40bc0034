//! What may stand in a directory and what may not, entry by entry.

use serde_json::json;

use super::*;
use crate::Micros;

fn entry(kind: &str, fields: Value) -> Entry {
    entry_of(kind_named(kind).expect("a kind"), None, fields).expect("an entry")
}

fn sound() -> Vec<Entry> {
    vec![
        entry("user", json!({ "id": "acme", "rates": "night" })),
        entry("team", json!({ "id": "sales" })),
        entry("group", json!({ "id": "es" })),
        entry(
            "agent",
            json!({
                "id": "anna", "team": "sales", "groups": ["es"], "user": "acme", "names": ["site-a/Agent/101", "site-b/Agent/7"],
                "device": "site-a/PJSIP/101",
            }),
        ),
        entry("device", json!({ "id": "site-a/PJSIP/101", "user": "acme", "address": "10.0.0.7" })),
        entry("device", json!({ "id": "site-a/901", "kind": "external", "number": "+34911234567", "user": "acme" })),
        entry("queue", json!({ "id": "site-a/sales", "team": "sales", "members": ["anna"] })),
        entry(
            "rate",
            json!({
                "id": "es", "table": "night", "prefix": "+34", "per_minute": "0.0125", "connection": "1", "currency": "EUR",
                "from": "2024-02-29", "until": "2027-01-01",
            }),
        ),
    ]
}

#[test]
fn a_sound_directory_has_no_faults() {
    assert_eq!(faults(&sound()), []);
    assert_eq!(faults(&[]), []);
}

#[test]
fn what_cannot_be_meant_is_told_with_its_field() {
    for (kind, fields, field, says) in [
        ("user", json!({ "id": "acme" }), "id", "user `acme`: it is there twice"),
        ("user", json!({ "id": "b", "rates": "day" }), "rates", "no rate is in the table `day`"),
        ("team", json!({ "id": " " }), "id", "the id is empty"),
        ("group", json!({ "id": "a\nb" }), "id", "what nobody sees"),
        ("agent", json!({ "id": "b", "team": "mail" }), "team", "agent `b`: team `mail` is not in the directory"),
        ("agent", json!({ "id": "b", "user": "nobody" }), "user", "user `nobody` is not"),
        ("agent", json!({ "id": "b", "groups": ["es", "en"] }), "groups", "group `en` is not"),
        ("agent", json!({ "id": "b", "names": ["site-a/Agent/101"] }), "names", "is that of agent `anna` already"),
        ("agent", json!({ "id": "b", "device": "site-a/PJSIP/101" }), "device", "is that of agent `anna` already"),
        ("agent", json!({ "id": "b", "names": ["101"] }), "names", "`101` is no `<pbx>/<name>`"),
        ("agent", json!({ "id": "site-a/b" }), "id", "has a slash"),
        ("device", json!({ "id": "PJSIP" }), "id", "no `<pbx>/<name>`"),
        ("device", json!({ "id": "site-a/9", "user": "b" }), "user", "user `b` is not"),
        ("device", json!({ "id": "site-a/9", "kind": "external" }), "number", "needs its telephone's number"),
        (
            "device",
            json!({ "id": "site-a/9", "kind": "external", "number": "911234567" }),
            "number",
            "no number in E.164",
        ),
        ("device", json!({ "id": "site-a/9", "number": "+34911234567" }), "number", "only an external device"),
        ("device", json!({ "id": "site-a/9", "address": "10.0.0" }), "address", "no IP address"),
        ("queue", json!({ "id": "site-a/q", "team": "mail" }), "team", "team `mail` is not"),
        ("queue", json!({ "id": "site-a/q", "members": ["anna", "eva"] }), "members", "agent `eva` is not"),
        ("rate", json!({ "id": "b", "per_minute": "1,5", "currency": "EUR" }), "per_minute", "`1,5` is no price"),
        ("rate", json!({ "id": "b", "per_minute": "-1", "currency": "EUR" }), "per_minute", "`-1` is no price"),
        ("rate", json!({ "id": "b", "per_minute": "1", "currency": "Euro" }), "currency", "`Euro` is no currency"),
        ("rate", json!({ "id": "b", "per_minute": "1", "currency": "EUR", "prefix": "34" }), "prefix", "such as +34"),
        ("rate", json!({ "id": "b", "per_minute": "1", "currency": "EUR", "from": "2026-02-29" }), "from", "no date"),
        (
            "rate",
            json!({ "id": "b", "per_minute": "1", "currency": "EUR", "increment_s": 0 }),
            "increment_s",
            "1 to 3600",
        ),
        (
            "rate",
            json!({ "id": "b", "per_minute": "1", "currency": "EUR", "from": "2026-01-02", "until": "2026-01-02" }),
            "until",
            "ends before it begins",
        ),
    ] {
        let mut entries = sound();
        entries.push(entry(kind, fields.clone()));
        let found = faults(&entries);
        assert_eq!(found.len(), 1, "{fields}: {found:?}");
        assert_eq!((found[0].place, found[0].field), (entries.len() - 1, field), "{fields}");
        assert!(found[0].what.contains(says), "{fields}: {}", found[0].what);
    }
}

#[test]
fn a_change_is_refused_where_it_makes_something_wrong_that_was_right() {
    let standing = |origin| sound().into_iter().map(|entry| Standing { entry, origin }).collect::<Vec<_>>();
    let change = |entries: Vec<Entry>, removed: Vec<(EntryKind, String)>| DirectoryChange {
        at: Micros(1),
        who: "me".to_owned(),
        origin: Origin::Api,
        entries,
        removed,
        whole: false,
    };
    let ours = standing(Origin::Api);
    let put = |fields| change(vec![entry("agent", fields)], Vec::new());
    let remove = |kind, id: &str| change(Vec::new(), vec![(kind, id.to_owned())]);
    assert_eq!(check_change(&ours, &put(json!({ "id": "eva", "team": "sales" }))), Ok(()));
    assert_eq!(check_change(&ours, &put(json!({ "id": "anna" }))), Ok(()), "a new one takes the old one's place");
    let refused = check_change(&ours, &put(json!({ "id": "eva", "team": "mail" })));
    assert_eq!(
        refused,
        Err(ChangeRefused::Faulty(vec!["agent `eva`: team `mail` is not in the directory".to_owned()]))
    );
    let refused = check_change(&ours, &remove(EntryKind::Group, "es"));
    assert_eq!(
        refused,
        Err(ChangeRefused::Faulty(vec!["agent `anna`: group `es` is not in the directory".to_owned()]))
    );
    assert_eq!(check_change(&ours, &remove(EntryKind::Device, "site-a/901")), Ok(()));
    let refused = check_change(&ours, &remove(EntryKind::Agent, "eva"));
    assert_eq!(refused, Err(ChangeRefused::Absent("agent `eva`".to_owned())));
    let theirs = standing(Origin::Configuration);
    for change in [put(json!({ "id": "anna" })), remove(EntryKind::Agent, "anna")] {
        assert_eq!(check_change(&theirs, &change), Err(ChangeRefused::Configured("agent `anna`".to_owned())));
    }
    // What was wrong before is not held against somebody who changes something else.
    let mut faulty = ours;
    faulty.push(Standing { entry: entry("agent", json!({ "id": "bob", "team": "gone" })), origin: Origin::Api });
    assert_eq!(check_change(&faulty, &put(json!({ "id": "eva" }))), Ok(()));
}

#[test]
fn an_entry_is_read_with_and_without_what_it_is() {
    let read = |fields| entry_of(EntryKind::Team, Some("sales"), fields);
    let sales = read(json!({ "name": "Sales" })).expect("a team");
    assert_eq!(read(json!({ "entry": "team", "id": "sales", "name": "Sales" })), Ok(sales));
    for (fields, says) in [
        (json!([]), "is a JSON object"),
        (json!({ "id": "mail" }), "`id` is \"mail\", but it is asked for sales"),
        (json!({ "entry": "user" }), "but it is asked for team"),
        (json!({ "nmae": "Sales" }), "unknown field `nmae`"),
    ] {
        let refused = read(fields).expect_err("it is none");
        assert!(refused.contains(says), "{refused}");
    }
    assert!(kind_named("agents").expect_err("none").contains("known are user, team, group, agent"));
}
