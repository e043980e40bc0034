//! Calls on the timeline: ringing, talk, hold, time after calls, several at once, corrections.

use super::story::check;

#[test]
fn the_story_of_a_call() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales rings
         09:10:05 call 1 talks
         09:11 call 1 holds
         09:11:30 call 1 talks
         09:12 call 1 ends
         09:20 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:10:05 ringing sales call 1
         Agent/101 09:10:05-09:11 on_call sales call 1
         Agent/101 09:11-09:11:30 hold sales call 1
         Agent/101 09:11:30-09:12 on_call sales call 1
         Agent/101 09:12-… available",
    );
}

#[test]
fn the_time_after_a_call_is_the_queues() {
    check(
        "09:00 site-a Agent/101 has 15 after sales
         09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales talks
         09:12 call 1 ends
         09:20 call 2 site-a Agent/101 sales talks
         09:21 call 2 ends
         09:21:05 call 3 site-a Agent/101 sales rings
         09:21:08 call 3 ends
         09:30 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:12 on_call sales call 1
         Agent/101 09:12-09:12:15 wrap_up sales call 1
         Agent/101 09:12:15-09:20 available
         Agent/101 09:20-09:21 on_call sales call 2
         Agent/101 09:21-09:21:05 wrap_up sales call 2
         Agent/101 09:21:05-09:21:08 ringing sales call 3
         Agent/101 09:21:08-09:21:15 wrap_up sales call 2
         Agent/101 09:21:15-… available",
    );
}

#[test]
fn the_time_after_a_call_goes_on_until_it_is_over() {
    check(
        "08:00 agent anna names=site-a/Agent/101
         08:00 queue site-a/sales wrap_up=60
         09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales talks
         09:12 call 1 ends
         09:12:30 tick",
        "anna checkin sales 09:00-…
         anna login 09:00-…
         anna 09:00-09:10 available
         anna 09:10-09:12 on_call sales call 1
         anna 09:12-… wrap_up sales call 1",
    );
}

#[test]
fn of_two_calls_the_stronger_state_counts_and_both_are_noted() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales talks
         09:11 call 1 holds
         09:11:05 call 2 site-a PJSIP/101 - talks on PJSIP/101
         09:11:40 call 2 ends
         09:12 call 1 talks
         09:13 call 1 ends
         09:20 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:11 on_call sales call 1
         Agent/101 09:11-09:11:05 hold sales call 1
         Agent/101 09:11:05-09:11:40 on_call call 2 of 2
         Agent/101 09:11:40-09:12 hold sales call 1
         Agent/101 09:12-09:13 on_call sales call 1
         Agent/101 09:13-… available",
    );
}

#[test]
fn a_leg_that_never_was_leaves_nothing_behind() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales rings
         09:10:05 call 1 talks
         09:12 call 1 ends
         09:13 call 1 never was",
        "Agent/101 checkin sales 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-… available",
    );
}

#[test]
fn who_did_not_answer_rang() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales rings
         09:10:15 call 1 ends
         09:11 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:10:15 ringing sales call 1
         Agent/101 09:10:15-… available",
    );
}
