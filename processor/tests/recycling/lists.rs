//! Lists: held, released, removed, loaded again; and who may not be called.

use calltide_schemas::tables::{Kind, Null, TABLES};

use super::site::Way;
use super::story::{by_dialer, check, moment, rules, run, site};

#[test]
fn a_list_is_held_and_released_as_a_whole() {
    check(
        rules(|_| {}),
        "
        09:00:00 hold autumn list=b
        09:00:00 load autumn/c1 +34911234567 list=a
        09:00:00 load autumn/c2 +34911234568 list=b
        09:00:10 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        autumn/c1: retry at 06-01 09:00:00 (first dial)
        autumn/c2: held (held)",
    );
    check(
        rules(|_| {}),
        "
        09:00:00 load autumn/c1 +34911234567 list=a
        09:00:10 hold autumn
        09:01:00 release autumn
        09:01:10 remove autumn list=a
        09:01:20 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:00:10 withdrawn autumn/c1/1: held: its list is held
        06-01 09:00:00 due autumn/c1/3 +34911234567 attempt 1
        06-01 09:01:10 withdrawn autumn/c1/3: closed: it was taken off the list
        autumn/c1: closed (removed)",
    );
}

#[test]
fn loading_again_keeps_attempts_and_a_reset_begins_anew() {
    let story = |again| {
        format!(
            "
            09:00:00 load autumn/c1 +34911234567
            09:00:00 dial autumn/c1 +34911234567 k1
            09:00:30 end k1 answered reached
            10:00:00 load autumn/c1 +34911234567 {again}
            10:00:05 until"
        )
    };
    check(rules(by_dialer), &story(""), "autumn/c1: done (reached)");
    check(rules(by_dialer), &story("reset"), "autumn/c1: held (first dial)");
}

#[test]
fn nobody_on_the_do_not_call_list_is_due_and_what_was_told_is_taken_back() {
    let because = "is on the do-not-call list since 2026-06-01 09:00:10 UTC, by a test (asked for it)";
    check(
        rules(|_| {}),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:10 dnc +34911234567 why=asked_for_it
        09:00:20 until",
        &format!(
            "
            06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
            06-01 09:00:10 withdrawn autumn/c1/1: +34911234567 {}
            autumn/c1: suppressed (do not call)",
            because.replace("asked for it", "asked_for_it")
        ),
    );
    // Between the verdict and its time.
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:03:00 dnc +34911*
        09:10:00 until",
        "autumn/c1: suppressed (do not call)",
    );
    // Before the contact was loaded, for a campaign alone, and taken off again.
    check(
        rules(|_| {}),
        "
        08:00:00 dnc +34911234567 campaign=autumn
        09:00:00 load autumn/c1 +34911234567
        09:00:00 load other/x +34911234567
        09:00:10 until",
        "
        06-01 09:00:00 due other/x/1 +34911234567 attempt 1
        autumn/c1: suppressed (do not call)
        other/x: retry at 06-01 09:00:00 (first dial)",
    );
    check(
        rules(|_| {}),
        "
        08:00:00 dnc +34911*
        09:00:00 load autumn/c1 +34911234567
        10:00:00 undnc +34911*
        10:00:10 until",
        "
        06-01 09:00:00 due autumn/c1/3 +34911234567 attempt 1
        autumn/c1: retry at 06-01 09:00:00 (first dial)",
    );
}

#[test]
fn another_number_is_called_instead_of_a_suppressed_one() {
    check(
        rules(|_| {}),
        "
        08:00:00 dnc +34911234567
        09:00:00 load autumn/c1 +34911234567 +34911234568
        09:00:10 until",
        "
        06-01 09:00:00 due autumn/c1/2 +34911234568 attempt 1
        autumn/c1: retry at 06-01 09:00:00 (first dial)",
    );
}

#[test]
fn do_not_call_during_a_call_suppresses_afterwards() {
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:10 dnc +34911234567
        09:00:30 end k1 busy
        09:10:00 until",
        "autumn/c1: suppressed (do not call)",
    );
}

#[test]
fn entries_are_kept_with_who_and_when() {
    let site = run(
        &site(rules(|_| {}), rules(|_| {})),
        "08:00:00 dnc +34911* why=court\n09:00:00 undnc +34911*\n09:00:00 dnc +34911234567 campaign=autumn",
        Way::Straight,
    );
    let row = |key: &str| &site.rows[&("calltide.do-not-call".to_owned(), key.to_owned())];
    let prefix = row("*/+34911*");
    assert_eq!((prefix["listed"].as_bool(), prefix["version"].as_i64()), (Some(false), Some(2)), "{prefix}");
    assert_eq!(prefix["first_listed_at"].as_i64(), Some(moment("06-01 08:00:00").0));
    assert_eq!(row("autumn/+34911234567")["who"], "a test");
}

#[test]
fn what_was_imported_has_a_verdict_and_dialers_are_told_nothing() {
    let rules = site(rules(|_| {}), rules(|_| {}));
    let story = "
        09:00:00 load autumn/c1 +34911234567 imported
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy imported
        09:10:00 until";
    let site = run(&rules, story, Way::Straight);
    let row = site.contact_row("autumn/c1").unwrap();
    assert_eq!((row["verdict"].as_str(), row["published"].as_bool()), (Some("retry"), Some(false)), "{row}");
    assert!(site.dues.is_empty() && site.retry_later.is_empty());
    // Loaded now, it is told.
    let loaded = run(&rules, &format!("{story}\n10:00:00 load autumn/c1 +34911234567\n10:00:10 until"), Way::Straight);
    assert_eq!(loaded.dues.len(), 1, "{:?}", loaded.dues);
    assert!(loaded.retry_later["autumn/c1"].is_some());
}

#[test]
fn retry_later_has_who_may_be_called_and_forgets_the_rest() {
    let rules = site(rules(|_| {}), rules(|_| {}));
    let story = "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 load autumn/c2 +34911234568
        09:01:00 dial autumn/c2 +34911234568 k1
        09:01:30 end k1 answered reached";
    let site = run(&rules, story, Way::Straight);
    assert_eq!(site.retry_later["autumn/c1"].as_ref().unwrap()["verdict"], "retry");
    assert_eq!(site.retry_later["autumn/c2"], None);
}

#[test]
fn rules_that_change_decide_all_contacts_again_and_verdicts_name_the_version() {
    let patient = site(rules(|_| {}), rules(|_| {}));
    let mut eager = patient.clone();
    eager.at = moment("06-01 09:10:00");
    eager.campaigns.get_mut("autumn").unwrap().attempts = 1;
    let story: String = (0..1200).map(|n| format!("09:00:00 load autumn/c{n} +3491{n:07}\n")).collect();
    let mut site =
        run(&patient, &(story + "09:00:00 dial autumn/c7 +34910000007 k1\n09:00:10 end k1 busy"), Way::Straight);
    let versions = |site: &super::site::Site| -> Vec<_> {
        let rows = site.rows.iter().filter(|((topic, _), _)| topic == "calltide.contacts");
        rows.map(|(_, row)| row["rules_version"].as_i64().unwrap()).collect()
    };
    assert_eq!(versions(&site), vec![1; 1200]);
    site.rules(&eager);
    site.rules(&eager);
    assert_eq!(versions(&site), vec![2; 1200]);
    assert_eq!(site.contact_row("autumn/c7").unwrap()["verdict"], "exhausted");
    assert_eq!(site.contact_row("autumn/c8").unwrap()["verdict"], "retry");
    let kept = site.rows.keys().filter(|(topic, _)| topic == "calltide.rules").map(|(_, key)| key.as_str());
    assert_eq!(kept.collect::<Vec<_>>(), ["*@1", "autumn@1", "autumn@2"]);
}

#[test]
fn a_verdict_says_what_it_was_decided_by() {
    let story = "
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy cause=17";
    let site = run(&site(rules(|_| {}), rules(|_| {})), story, Way::Straight);
    let verdict = site.verdicts.last().unwrap();
    assert_eq!(verdict["reason"], "busy, 1. of 5: the delay is 5m; due from 2026-06-01 09:05:30 UTC");
    assert_eq!(verdict["trigger"], "contact_attempt");
    let facts: serde_json::Value = serde_json::from_str(verdict["facts"].as_str().unwrap()).unwrap();
    assert_eq!(facts["last_call_id"], "k1");
    assert_eq!((facts["last_cause"].as_i64(), facts["delay_s"].as_i64()), (Some(17), Some(300)));
    assert_eq!(facts["zones"], "Atlantic/Canary, Europe/Madrid");
}

#[test]
fn rows_are_as_the_tables_say() {
    let story = "
        08:00:00 dnc +34922* why=law
        09:00:00 load autumn/c1 +34911234567 tz=UTC list=a person=eva agent=anna
        09:00:00 load autumn/c2 +34922234567
        09:01:00 dial autumn/c1 +34911234567 k1
        09:01:30 end k1 busy cause=17";
    let site = run(&site(rules(|_| {}), rules(|_| {})), story, Way::Straight);
    let mut seen = std::collections::BTreeSet::new();
    for ((topic, key), row) in &site.rows {
        let table = TABLES.iter().find(|table| table.topic == topic).unwrap();
        seen.insert(table.name);
        let row = row.as_object().unwrap();
        assert_eq!(row.len(), table.columns.len(), "{}", table.name);
        assert_eq!(row[table.key.unwrap()], key.as_str());
        for column in table.columns {
            let value = &row[column.name];
            let fits = match column.kind {
                Kind::Text | Kind::Decimal => value.is_string(),
                Kind::Int | Kind::Time => value.is_i64(),
                Kind::Bool => value.is_boolean(),
            };
            assert!(fits || (value.is_null() && column.null == Null::Yes), "{}.{} is {value}", table.name, column.name);
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["contacts", "do_not_call", "rules", "verdicts"]);
}

#[test]
fn a_promise_does_not_get_past_a_list_that_is_held() {
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:02:00 end k1 answered reached
        09:03:00 callback autumn/c1 for=06-01T09:10:00
        09:04:00 hold autumn/c1
        09:11:00 until",
        "autumn/c1: held (held)",
    );
}

#[test]
fn whoever_comes_back_to_a_list_is_judged_by_the_lists_of_then() {
    check(
        rules(by_dialer),
        "
        08:00:00 dnc +34911234567
        09:00:00 load autumn/c1 +34911234567
        09:01:00 remove autumn/c1
        09:02:00 undnc +34911234567
        09:03:00 load autumn/c1 +34911234567",
        "autumn/c1: held (first dial)",
    );
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:01:00 remove autumn
        09:02:00 load autumn/c1 +34911234567",
        "autumn/c1: held (first dial)",
    );
}

#[test]
fn a_promise_to_nobody_is_none() {
    check(rules(by_dialer), "09:00:00 callback autumn/c1 for=06-01T09:10:00", "");
}

#[test]
fn a_list_that_is_loaded_again_has_the_numbers_of_then() {
    check(
        rules(|_| {}),
        "
        09:00:00 load autumn/c1 +34911234567
        09:01:00 load autumn/c1 +34911234568
        09:01:10 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:01:00 withdrawn autumn/c1/1: retry: it was not dialled yet; due from 2026-06-01 09:00:00 UTC
        06-01 09:00:00 due autumn/c1/2 +34911234568 attempt 1
        autumn/c1: retry at 06-01 09:00:00 (first dial)",
    );
}
