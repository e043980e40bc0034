//! Dialers that share what is due: one has it for a while, and the latest verdict is looked at once more.

use super::site::Way;
use super::story::{by_dialer, rules, run, site};

/// What each claim was answered.
fn answers(story: &str) -> Vec<String> {
    let site = run(&site(rules(|_| {}), rules(by_dialer)), story, Way::Straight);
    let told = site.leases.iter().map(|lease| {
        let reason = lease.reason.as_deref().unwrap_or("granted");
        format!("{} {}: {reason}", lease.lease_id, lease.verdict_id)
    });
    told.collect()
}

#[test]
fn what_one_dialer_has_no_other_gets_until_it_runs_out_or_is_given_back() {
    let two = "
        09:00:00 load autumn/c1 +34911234567
        09:00:10 claim autumn/c1/1 +34911234567 lease=a by=one
        09:00:20 claim autumn/c1/1 +34911234567 lease=b by=two";
    assert_eq!(answers(two), ["a autumn/c1/1: granted", "b autumn/c1/1: another dialer has it"]);
    // A minute, to the second.
    let at = |time| format!("{two}\n{time} claim autumn/c1/1 +34911234567 lease=c by=two");
    assert_eq!(answers(&at("09:01:09"))[2], "c autumn/c1/1: another dialer has it");
    assert_eq!(answers(&at("09:01:10"))[2], "c autumn/c1/1: granted");
    let returned = format!(
        "{two}\n09:00:30 return autumn/c1/1 +34911234567 lease=a\n09:00:31 claim autumn/c1/1 +34911234567 lease=c"
    );
    assert_eq!(answers(&returned)[2..], ["a autumn/c1/1: it was given back", "c autumn/c1/1: granted"]);
    // What it will dial stays its own.
    let dialled = format!(
        "{two}\n09:00:30 ack autumn/c1/1 +34911234567 lease=a\n09:05:00 claim autumn/c1/1 +34911234567 lease=c"
    );
    assert_eq!(answers(&dialled)[2..], ["a autumn/c1/1: granted", "c autumn/c1/1: another dialer has it"]);
    // Whoever does not have it cannot give it back.
    let stranger = format!(
        "{two}\n09:00:30 return autumn/c1/1 +34911234567 lease=b\n09:00:31 claim autumn/c1/1 +34911234567 lease=c"
    );
    assert_eq!(answers(&stranger)[2..], ["c autumn/c1/1: another dialer has it"]);
}

#[test]
fn what_may_not_be_called_any_more_is_not_given() {
    let claim = |story: &str| {
        answers(&format!(
            "09:00:00 load autumn/c1 +34911234567\n{story}\n09:01:00 claim autumn/c1/1 +34911234567 lease=a"
        ))
        .pop()
        .unwrap()
    };
    for (story, reason) in [
        ("09:00:30 dnc +34911234567", "the contact does not wish to be called"),
        ("09:00:30 hold autumn/c1", "the contact does not wish to be called"),
        ("09:00:30 remove autumn/c1", "the contact does not wish to be called"),
        ("09:00:30 dial autumn/c1 +34911234567 k1", "the contact does not wish to be called"),
        ("09:00:30 inbound i1 +34911234567 reached", "the contact does not wish to be called"),
        ("09:00:30 dial autumn/c1 +34911234567 k1\n09:00:31 end k1 busy", "a later verdict has replaced it"),
        (
            "09:00:30 load other/x +34911234567\n09:00:31 dial other/x +34911234567 k1",
            "a later verdict has replaced it",
        ),
    ] {
        assert_eq!(claim(story), format!("a autumn/c1/1: {reason}"), "{story}");
    }
}
