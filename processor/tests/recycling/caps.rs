//! The cap over 24 rolling hours, over all campaigns and people, and one call at a time.

use super::story::{by_dialer, check, check_site, rules, site};

#[test]
fn every_call_out_counts_for_twenty_four_hours_whoever_made_it() {
    let capped = rules(|rules| {
        by_dialer(rules);
        rules.attempts_24h = 2;
    });
    check(
        capped.clone(),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 handdial +34911234567 h1
        09:00:10 end h1 no_answer
        10:00:00 dial autumn/c1 +34911234567 k1
        10:00:30 end k1 busy
        06-02 09:00:05 until",
        "
        06-02 09:00:00 due autumn/c1/3 +34911234567 attempt 2
        autumn/c1: retry at 06-02 09:00:00 (calls in 24 hours)",
    );
    // Calls of theirs do not count, and one dial less is none too many.
    check(
        capped,
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 inbound i1 +34911234567
        10:00:00 dial autumn/c1 +34911234567 k1
        10:00:30 end k1 busy
        10:06:00 until",
        "
        06-01 10:05:30 due autumn/c1/2 +34911234567 attempt 2
        autumn/c1: retry at 06-01 10:05:30 (busy)",
    );
}

#[test]
fn two_campaigns_share_the_calls_that_are_left_of_a_number() {
    let one = rules(|rules| rules.attempts_24h = 1);
    check(
        one.clone(),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 load winter/w1 +34911234567
        09:10:00 dial autumn/c1 +34911234567 k1
        09:10:20 end k1 no_answer
        09:20:00 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        autumn/c1: retry at 06-02 09:10:00 (calls in 24 hours)
        winter/w1: retry at 06-02 09:10:00 (calls in 24 hours)",
    );
    // What the first one does not use is for the second.
    check(
        one,
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 load winter/w1 +34911234567
        09:10:00 hold autumn/c1
        09:20:00 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:10:00 withdrawn autumn/c1/1: held: the contact is held
        06-01 09:00:00 due winter/w1/1 +34911234567 attempt 1
        autumn/c1: held (held)
        winter/w1: retry at 06-01 09:00:00 (first dial)",
    );
}

#[test]
fn nothing_is_due_while_the_number_is_being_dialled() {
    check_site(
        &site(rules(|_| {}), rules(by_dialer)),
        "
        09:00:00 load other/x +34911234567
        09:00:00 dial other/x +34911234567 k1
        09:00:10 load autumn/c1 +34911234567
        09:02:00 end k1 busy
        09:02:10 until",
        "
        06-01 09:00:10 due autumn/c1/1 +34911234567 attempt 1
        autumn/c1: retry at 06-01 09:00:10 (first dial)
        other/x: retry at 06-01 09:07:00 (busy)",
    );
    // While it lasts, there is nothing.
    check_site(
        &site(rules(|_| {}), rules(by_dialer)),
        "
        09:00:00 load other/x +34911234567
        09:00:00 dial other/x +34911234567 k1
        09:00:10 load autumn/c1 +34911234567
        09:05:00 until",
        "autumn/c1: retry at 06-01 09:00:10 (first dial)\nother/x: held (first dial)",
    );
}

#[test]
fn what_is_dialled_is_not_taken_back() {
    check(
        rules(|_| {}),
        "
        09:00:00 load autumn/c1 +34911234567
        09:01:00 dial autumn/c1 +34911234567 k1
        09:01:10 remove autumn/c1
        09:01:30 end k1 no_answer",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        autumn/c1: closed (removed)",
    );
}

#[test]
fn what_is_due_is_taken_back_when_others_dial_the_number_or_use_up_the_cap() {
    // One campaign dials: the other's due is taken back, and comes again with a new verdict.
    check(
        rules(|_| {}),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 load winter/w1 +34911234567
        09:01:00 dial winter/w1 +34911234567 k1
        09:02:00 end k1 busy
        09:02:10 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:00:00 due winter/w1/1 +34911234567 attempt 1
        06-01 09:01:00 withdrawn autumn/c1/1: the number is being dialled
        06-01 09:01:00 due autumn/c1/2 +34911234567 attempt 1
        autumn/c1: retry at 06-01 09:01:00 (first dial)
        winter/w1: retry at 06-01 09:07:00 (busy)",
    );
    check(
        rules(|rules| rules.attempts_24h = 1),
        "
        09:00:00 load autumn/c1 +34911234567
        09:01:00 handdial +34911234567 h1
        09:02:00 end h1 no_answer
        09:02:10 until",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:02:00 withdrawn autumn/c1/1: the number was called as often as is allowed in 24 hours
        autumn/c1: retry at 06-02 09:01:00 (calls in 24 hours)",
    );
}

#[test]
fn a_call_that_was_over_before_it_was_told_to_begin_is_a_dial_too() {
    let rules = site(rules(|_| {}), rules(|_| {}));
    let mut site =
        super::story::run(&rules, "09:00:00 load autumn/c1 +34911234567\n09:00:05 until", super::site::Way::Straight);
    assert_eq!(site.dues.len(), 1);
    super::story::over_at_once(
        &mut site,
        "k1",
        ("autumn", "c1"),
        "+34911234567",
        super::story::moment("06-01 09:00:06"),
    );
    assert_eq!(site.dues.len(), 1, "nothing is taken back: {:?}", site.dues.last());
    assert_eq!(site.contact_row("autumn/c1").unwrap()["attempts"], 1);
}

#[test]
fn dialled_on_another_number_what_was_due_is_taken_back() {
    check(
        rules(|_| {}),
        "
        09:00:00 load autumn/c1 +34911234567 +34911234568
        09:01:00 dial autumn/c1 +34911234568 k1
        09:02:00 end k1 answered reached",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:01:00 withdrawn autumn/c1/1: the contact is being dialled on another number
        autumn/c1: done (reached)",
    );
}
