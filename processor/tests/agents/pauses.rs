//! Pauses: in one queue or all, with reasons, across midnight and a change of the clocks.

use super::story::check;

#[test]
fn paused_in_one_queue_of_two_is_available_with_that_queue_noted() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:00 site-a Agent/101 enters support
         09:10 site-a Agent/101 pauses sales Training
         09:20 site-a Agent/101 pauses support Lunch
         09:50 site-a Agent/101 unpauses sales
         10:00 site-a Agent/101 unpauses support
         11:00 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 checkin support 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:20 available (Training) sales
         Agent/101 09:20-09:50 paused (Lunch)
         Agent/101 09:50-10:00 available (Lunch) support
         Agent/101 10:00-… available",
    );
}

#[test]
fn a_talk_during_a_pause_is_a_talk_while_paused() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 site-a Agent/101 pauses sales Lunch
         09:15 call 1 site-a PJSIP/101 - talks on PJSIP/101
         09:15 site-a Agent/101 pauses sales Lunch (PJSIP/101)
         09:17 call 1 ends
         09:30 site-a Agent/101 unpauses sales
         09:40 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:15 paused (Lunch)
         Agent/101 09:15-09:17 on_call call 1 while paused
         Agent/101 09:17-09:30 paused (Lunch)
         Agent/101 09:30-… available",
    );
}

#[test]
fn a_pause_of_all_queues_ends_in_one_of_them() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:00 site-a Agent/101 enters support
         09:10 site-a Agent/101 pauses all Lunch (log)
         09:20 site-a Agent/101 unpauses sales (log)
         09:30 site-a Agent/101 unpauses all (log)
         10:00 tick",
        "Agent/101 checkin sales 09:00-…
         Agent/101 checkin support 09:00-…
         Agent/101 login 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:20 paused (Lunch)
         Agent/101 09:20-09:30 available (Lunch) support
         Agent/101 09:30-… available",
    );
}

#[test]
fn another_reason_is_another_pause() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 site-a Agent/101 pauses sales Lunch
         09:40 site-a Agent/101 pauses sales Training
         10:00 site-a Agent/101 leaves sales",
        "Agent/101 checkin sales 09:00-10:00 by hand
         Agent/101 login 09:00-10:00 by checkout
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:40 paused (Lunch)
         Agent/101 09:40-10:00 paused (Training)",
    );
}

#[test]
fn a_pause_may_be_open_across_midnight() {
    check(
        "22:00 site-a Agent/101 enters sales
         23:30 site-a Agent/101 pauses sales Night
         2d 00:30 site-a Agent/101 unpauses sales
         2d 06:00 site-a Agent/101 leaves sales",
        "Agent/101 checkin sales 22:00-2d 06:00 by hand
         Agent/101 login 22:00-2d 06:00 by checkout
         Agent/101 22:00-23:30 available
         Agent/101 23:30-2d 00:30 paused (Night)
         Agent/101 2d 00:30-2d 06:00 available",
    );
}

#[test]
fn a_pause_of_days_is_remembered() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 site-a Agent/101 pauses sales Ill
         2d 12:00 site-a Agent/102 enters sales
         3d 12:00 site-a Agent/101 pauses sales Ill
         5d 09:00 site-a Agent/101 unpauses sales
         5d 10:00 site-a Agent/101 leaves sales
         7d 09:00 site-a Agent/101 enters sales",
        "Agent/101 checkin sales 09:00-5d 10:00 by hand
         Agent/101 login 09:00-5d 10:00 by checkout
         Agent/102 checkin sales 2d 12:00-…
         Agent/102 login 2d 12:00-…
         Agent/101 checkin sales 7d 09:00-…
         Agent/101 login 7d 09:00-…
         Agent/101 09:00-09:10 available
         Agent/101 09:10-5d 09:00 paused (Ill)
         Agent/101 5d 09:00-5d 10:00 available
         Agent/101 7d 09:00-… available
         Agent/102 2d 12:00-… available",
    );
}
