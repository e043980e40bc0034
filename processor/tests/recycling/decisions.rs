//! Each rule alone, on both sides of its bounds.

use calltide_schemas::recycling::rules::{Elsewhere, NextNumber, ResultMatch, ResultRule, RetargetRule, Target};

use super::story::{by_dialer, check, check_site, rules, site};

const MINUTE: u64 = 60;

fn result(results: &[&str], delays_s: &[u64], attempts: Option<u32>) -> ResultRule {
    let read = |text: &&str| match text.split_once(':') {
        Some((result, cause)) => ResultMatch { result: result.to_owned(), cause: cause.parse().ok() },
        None => ResultMatch { result: (*text).to_owned(), cause: None },
    };
    let name = results[0].to_owned();
    ResultRule { name, results: results.iter().map(read).collect(), delays_s: delays_s.to_vec(), attempts }
}

#[test]
fn a_contact_that_was_loaded_is_due_at_once_or_left_to_the_dialer() {
    let story = "
        09:00:00 load autumn/c1 +34911234567
        09:00:10 until";
    let due = "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        autumn/c1: retry at 06-01 09:00:00 (first dial)";
    check(rules(|_| {}), story, due);
    check(rules(by_dialer), story, "autumn/c1: held (first dial)");
}

#[test]
fn delays_grow_with_each_such_result_and_the_last_one_holds_for_the_rest() {
    let busy = rules(|rules| {
        by_dialer(rules);
        rules.results = vec![result(&["busy"], &[5 * MINUTE, 30 * MINUTE], None)];
    });
    check(
        busy,
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:06:00 dial autumn/c1 +34911234567 k2
        09:06:30 end k2 busy
        09:40:00 dial autumn/c1 +34911234567 k3
        09:40:30 end k3 busy
        10:20:00 until",
        "
        06-01 09:05:30 due autumn/c1/2 +34911234567 attempt 2
        06-01 09:36:30 due autumn/c1/3 +34911234567 attempt 3
        06-01 10:10:30 due autumn/c1/4 +34911234567 attempt 4
        autumn/c1: retry at 06-01 10:10:30 (busy)",
    );
}

#[test]
fn after_so_many_of_a_result_it_is_exhausted_and_other_results_are_counted_apart() {
    let twice = |most| {
        rules(|rules| {
            by_dialer(rules);
            rules.results =
                vec![result(&["busy"], &[5 * MINUTE], Some(most)), result(&["no_answer"], &[MINUTE], Some(most))];
        })
    };
    let story = "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:10:00 dial autumn/c1 +34911234567 k2
        09:10:30 end k2 no_answer
        09:20:00 dial autumn/c1 +34911234567 k3
        09:20:30 end k3 busy
        09:30:00 until";
    check(
        twice(2),
        story,
        "
        06-01 09:05:30 due autumn/c1/2 +34911234567 attempt 2
        06-01 09:11:30 due autumn/c1/3 +34911234567 attempt 3
        autumn/c1: exhausted (busy)",
    );
    check(
        twice(3),
        story,
        "
        06-01 09:05:30 due autumn/c1/2 +34911234567 attempt 2
        06-01 09:11:30 due autumn/c1/3 +34911234567 attempt 3
        06-01 09:25:30 due autumn/c1/4 +34911234567 attempt 4
        autumn/c1: retry at 06-01 09:25:30 (busy)",
    );
}

#[test]
fn the_cap_of_the_campaign_counts_all_results_but_no_forbidden_dials() {
    let capped = |attempts| {
        rules(|rules| {
            by_dialer(rules);
            rules.attempts = attempts;
            rules.results = vec![result(&["busy", "no_answer"], &[MINUTE], None)];
        })
    };
    let story = "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:10:00 dial autumn/c1 +34911234567 k2
        09:10:30 end k2 no_answer
        09:10:40 until";
    check(
        capped(2),
        story,
        "06-01 09:01:30 due autumn/c1/2 +34911234567 attempt 2\nautumn/c1: exhausted (attempts of the campaign)",
    );
    check(
        capped(3),
        story,
        "06-01 09:01:30 due autumn/c1/2 +34911234567 attempt 2\nautumn/c1: retry at 06-01 09:11:30 (busy)",
    );
    check(
        capped(1),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:01 end k1 do_not_call",
        "autumn/c1: suppressed (do not call)",
    );
}

#[test]
fn a_result_may_be_named_with_its_cause() {
    let by_cause = rules(|rules| {
        by_dialer(rules);
        rules.results =
            vec![result(&["dialing_error:38"], &[MINUTE], None), result(&["dialing_error"], &[60 * MINUTE], None)];
    });
    for (cause, expected) in [(38, "06-01 09:02:00 (dialing_error:38)"), (41, "06-01 10:01:00 (dialing_error)")] {
        check(
            by_cause.clone(),
            &format!(
                "
                09:00:00 load autumn/c1 +34911234567
                09:00:00 dial autumn/c1 +34911234567 k1
                09:01:00 end k1 dialing_error cause={cause}"
            ),
            &format!("autumn/c1: retry at {expected}"),
        );
    }
}

#[test]
fn a_result_that_no_rule_names_is_not_called_again() {
    check(
        rules(|rules| {
            by_dialer(rules);
            rules.results = Vec::new();
        }),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:01:00 end k1 rejected",
        "autumn/c1: exhausted (no rule)",
    );
}

#[test]
fn whoever_was_reached_is_done_and_connected_without_an_agent_has_its_own_ends() {
    for (end, expected) in [
        ("answered reached", "done (reached)"),
        ("transferred reached", "done (reached)"),
        ("answered reached short", "done (reached)"),
        ("answered", "done (connected without an agent)"),
        ("voicemail", "retry at 06-01 13:01:00 (voicemail)"),
        // The lock-out of three days.
        ("answered dropped", "retry at 06-04 09:01:00 (dropped)"),
    ] {
        check(
            rules(by_dialer),
            &format!(
                "
                09:00:00 load autumn/c1 +34911234567
                09:00:00 dial autumn/c1 +34911234567 k1
                09:01:00 end k1 {end}"
            ),
            &format!("autumn/c1: {expected}"),
        );
    }
    check(
        rules(|rules| {
            by_dialer(rules);
            rules.results = vec![result(&["short"], &[MINUTE], None)];
        }),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:01:00 end k1 answered reached short",
        "autumn/c1: retry at 06-01 09:02:00 (short)",
    );
}

#[test]
fn the_lock_out_after_a_drop_holds_whatever_the_delay() {
    check(
        rules(|rules| {
            by_dialer(rules);
            rules.drop_lockout_s = 600;
            rules.results = vec![result(&["dropped"], &[MINUTE, 60 * MINUTE], None)];
        }),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:01:00 end k1 answered dropped
        09:12:00 dial autumn/c1 +34911234567 k2
        09:13:00 end k2 answered dropped",
        "06-01 09:11:00 due autumn/c1/2 +34911234567 attempt 2\nautumn/c1: retry at 06-01 10:13:00 (dropped)",
    );
}

#[test]
fn a_number_that_does_not_exist_is_given_up_and_the_next_one_tried() {
    let invalid = |after| {
        rules(|rules| {
            by_dialer(rules);
            rules.invalid_after = after;
            rules.next_number = NextNumber::Same;
            rules.results = vec![result(&["invalid_number"], &[MINUTE], None)];
        })
    };
    let story = "
        09:00:00 load autumn/c1 +34911234567 +34911234568
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 invalid_number
        09:05:00 until";
    check(
        invalid(1),
        story,
        "06-01 09:01:30 due autumn/c1/2 +34911234568 attempt 2\nautumn/c1: retry at 06-01 09:01:30 (invalid_number)",
    );
    check(
        invalid(2),
        story,
        "06-01 09:01:30 due autumn/c1/2 +34911234567 attempt 2\nautumn/c1: retry at 06-01 09:01:30 (invalid_number)",
    );
    check(
        invalid(1),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 invalid_number",
        "autumn/c1: invalid (invalid number)",
    );
}

#[test]
fn numbers_are_dialled_in_turn_or_the_same_again() {
    for (next_number, number) in [(NextNumber::Rotate, "+34911234568"), (NextNumber::Same, "+34911234567")] {
        check(
            rules(|rules| {
                by_dialer(rules);
                rules.next_number = next_number;
            }),
            "
            09:00:00 load autumn/c1 +34911234567 +34911234568
            09:00:00 dial autumn/c1 +34911234567 k1
            09:00:30 end k1 busy
            09:06:00 until",
            &format!("06-01 09:05:30 due autumn/c1/2 {number} attempt 2\nautumn/c1: retry at 06-01 09:05:30 (busy)"),
        );
    }
}

#[test]
fn after_so_many_in_a_row_it_goes_on_elsewhere_but_never_back() {
    let to = |to: Target| {
        let retarget = RetargetRule { name: "give up".to_owned(), after: 2, results: Vec::new(), to };
        rules(|rules| {
            by_dialer(rules);
            rules.retargets = vec![retarget];
            rules.results = vec![result(&["busy", "no_answer", "congestion"], &[MINUTE], None)];
        })
    };
    let others = rules(|_| {});
    let twice = "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:00:40 dial autumn/c1 +34911234567 k2
        09:00:50 end k2 no_answer
        09:01:00 until";
    check_site(
        &site(to(Target::Campaign("mail".to_owned())), others.clone()),
        twice,
        "
        06-01 09:00:50 due mail/c1/1 +34911234567 attempt 1
        06-01 09:00:50 retarget autumn/c1/3 to Campaign(\"mail\")
        autumn/c1: retarget (give up)
        mail/c1: retry at 06-01 09:00:50 (first dial)",
    );
    check_site(
        &site(to(Target::Queue("600".to_owned())), others.clone()),
        twice,
        "06-01 09:00:50 retarget autumn/c1/3 to Queue(\"600\")\nautumn/c1: retarget (give up)",
    );
    // A failed one between them, and it is no run.
    check_site(
        &site(to(Target::Agent("anna".to_owned())), others),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:00:40 dial autumn/c1 +34911234567 k2
        09:00:50 end k2 congestion
        09:00:51 dial autumn/c1 +34911234567 k3
        09:00:52 end k3 busy",
        "autumn/c1: retry at 06-01 09:01:52 (busy)",
    );
    // There and back: the same rules hold in the other campaign.
    let back = to(Target::Campaign("autumn".to_owned()));
    check_site(
        &site(to(Target::Campaign("mail".to_owned())), back),
        &format!(
            "{twice}
            09:02:00 dial mail/c1 +34911234567 k3
            09:02:10 end k3 busy
            09:02:20 dial mail/c1 +34911234567 k4
            09:02:30 end k4 busy"
        ),
        "
        06-01 09:00:50 retarget autumn/c1/3 to Campaign(\"mail\")
        autumn/c1: retarget (give up)
        mail/c1: exhausted (give up)",
    );
}

#[test]
fn whoever_was_reached_elsewhere_is_done_unless_that_is_switched_off() {
    let reached = |by: Vec<Elsewhere>| rules(|rules| rules.reached_by = by);
    let inbound = "
        09:00:00 load autumn/c1 +34911234567
        09:00:05 inbound i1 +34911234567 reached
        09:00:10 until";
    check(
        reached(vec![Elsewhere::Inbound]),
        inbound,
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:00:05 withdrawn autumn/c1/1: somebody spoke with them
        autumn/c1: done (reached elsewhere)",
    );
    check(
        reached(vec![Elsewhere::Manual]),
        inbound,
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:00:05 withdrawn autumn/c1/1: somebody spoke with them
        06-01 09:00:05 due autumn/c1/2 +34911234567 attempt 1
        autumn/c1: retry at 06-01 09:00:05 (first dial)",
    );
    check(
        reached(vec![Elsewhere::Manual]),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 handdial +34911234567 h1
        09:00:01 end h1 answered reached",
        "06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:00:01 withdrawn autumn/c1/1: somebody spoke with them
        autumn/c1: done (reached elsewhere)",
    );
    let dialer = rules(by_dialer);
    check_site(
        &site(rules(|_| {}), dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 load other/x +34911234567
        09:00:10 dial other/x +34911234567 k1
        09:00:20 end k1 answered reached",
        "
        06-01 09:00:00 due autumn/c1/1 +34911234567 attempt 1
        06-01 09:00:10 withdrawn autumn/c1/1: the number is being dialled
        autumn/c1: done (reached elsewhere)
        other/x: done (reached)",
    );
}

#[test]
fn contacts_of_one_person_are_reached_together() {
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567 person=eva
        09:00:00 load other/x +34911234568 person=eva
        09:00:10 dial other/x +34911234568 k1
        09:00:20 end k1 answered reached",
        "autumn/c1: done (reached elsewhere)\nother/x: done (reached)",
    );
}

#[test]
fn a_correction_decides_again() {
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy
        09:01:30 end k1 answered reached version=3
        09:10:00 until",
        "autumn/c1: done (reached)",
    );
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy withdrawn
        09:10:00 until",
        "autumn/c1: held (first dial)",
    );
    // An earlier version that comes late changes nothing.
    check(
        rules(by_dialer),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 answered reached version=3
        09:00:30 end k1 busy version=2",
        "autumn/c1: done (reached)",
    );
}

#[test]
fn a_contact_that_only_its_dials_tell_of_has_a_verdict_too() {
    check(
        rules(|_| {}),
        "
        09:00:00 dial autumn/c1 +34911234567 k1
        09:00:30 end k1 busy",
        "autumn/c1: retry at 06-01 09:05:30 (busy)",
    );
}

#[test]
fn the_lock_out_holds_whatever_comes_after_the_drop() {
    check(
        rules(|rules| {
            by_dialer(rules);
            rules.drop_lockout_s = 3600;
        }),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:01:00 end k1 answered dropped
        09:02:00 dial autumn/c1 +34911234567 k2
        09:03:00 end k2 busy",
        "autumn/c1: retry at 06-01 10:01:00 (busy)",
    );
}

#[test]
fn where_a_contact_went_is_told_once_however_often_it_is_held_and_released() {
    let retarget =
        RetargetRule { name: "give up".to_owned(), after: 1, results: Vec::new(), to: Target::Queue("600".to_owned()) };
    check(
        rules(|rules| {
            by_dialer(rules);
            rules.retargets = vec![retarget];
        }),
        "
        09:00:00 load autumn/c1 +34911234567
        09:00:00 dial autumn/c1 +34911234567 k1
        09:01:00 end k1 busy
        09:02:00 hold autumn/c1
        09:03:00 release autumn/c1",
        "06-01 09:01:00 retarget autumn/c1/2 to Queue(\"600\")\nautumn/c1: retarget (give up)",
    );
}
