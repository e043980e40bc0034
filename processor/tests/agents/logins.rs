//! Logins and check-ins: terminals, time-outs, calls that go on, members of queues, restarts of a PBX.

use super::story::check;

#[test]
fn on_two_terminals_the_last_one_checks_out() {
    check(
        "08:00 agent anna names=site-a/Agent/101
         09:00 desk-1 login anna
         09:01 site-a Agent/101 enters sales
         09:05 desk-2 login anna
         12:00 desk-1 logout anna
         13:00 desk-2 logout anna",
        "anna login 09:00-13:00 by hand
         anna checkin sales 09:01-13:00 by logout
         anna 09:00-13:00 available",
    );
}

#[test]
fn a_logout_checks_out_of_every_queue_at_that_moment() {
    check(
        "09:00 desk-1 login site-a/Agent/101
         09:01 site-a Agent/101 enters sales
         09:02 site-a Agent/101 enters support
         11:00 site-a Agent/101 leaves support
         12:00 desk-1 logout site-a/Agent/101
         12:05 site-a Agent/101 leaves sales",
        "Agent/101 login 09:00-12:00 by hand
         Agent/101 checkin sales 09:01-12:00 by logout
         Agent/101 checkin support 09:02-11:00 by hand
         Agent/101 09:00-12:00 available",
    );
}

#[test]
fn a_member_whom_the_pbx_kept_is_in_the_queue_again_with_the_next_login() {
    check(
        "09:00 desk-1 login site-a/Agent/101
         09:01 site-a Agent/101 enters sales
         12:00 desk-1 logout site-a/Agent/101
         13:00 desk-1 login site-a/Agent/101
         14:00 site-a Agent/101 leaves sales",
        "Agent/101 login 09:00-12:00 by hand
         Agent/101 checkin sales 09:01-12:00 by logout
         Agent/101 checkin sales 13:00-14:00 by hand
         Agent/101 login 13:00-…
         Agent/101 09:00-12:00 available
         Agent/101 13:00-… available",
    );
}

#[test]
fn members_from_the_configuration_are_never_checked_out() {
    check(
        "08:00 agent anna names=site-a/Agent/101
         08:00 site-a Agent/101 is in sales by configuration
         09:00 desk-1 login anna
         09:30 site-a Agent/101 pauses sales Lunch
         10:00 site-a Agent/101 unpauses sales
         12:00 desk-1 logout anna
         12:30 call 1 site-a Agent/101 sales rings
         12:30:05 call 1 talks
         12:31 call 1 ends",
        "anna login 09:00-12:00 by hand
         anna 09:00-09:30 available
         anna 09:30-10:00 paused (Lunch)
         anna 10:00-12:00 available
         anna 12:30-12:30:05 ringing sales call 1 not logged in
         anna 12:30:05-12:31 on_call sales call 1 not logged in",
    );
}

#[test]
fn a_static_member_who_never_logs_in_has_no_login() {
    check(
        "09:00 site-a Agent/101 is in sales by configuration
         10:00 call 1 site-a Agent/101 sales rings
         10:00:03 call 1 talks
         10:02 call 1 ends
         11:00 tick",
        "Agent/101 10:00-10:00:03 ringing sales call 1 not logged in
         Agent/101 10:00:03-10:02 on_call sales call 1 not logged in",
    );
}

#[test]
fn without_a_login_the_first_check_in_and_the_last_check_out_stand_for_it() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 site-a Agent/101 enters support
         11:00 site-a Agent/101 leaves sales
         12:00 site-a Agent/101 leaves support
         13:00 site-a Agent/101 enters sales",
        "Agent/101 checkin sales 09:00-11:00 by hand
         Agent/101 login 09:00-12:00 by checkout
         Agent/101 checkin support 09:10-12:00 by hand
         Agent/101 checkin sales 13:00-…
         Agent/101 login 13:00-…
         Agent/101 09:00-12:00 available
         Agent/101 13:00-… available",
    );
}

#[test]
fn a_silent_terminal_is_logged_out_at_its_last_heartbeat_plus_the_time() {
    check(
        "09:00 desk-1 login site-a/Agent/101 timeout 120
         09:01 desk-1 heartbeat site-a/Agent/101
         09:02 desk-1 heartbeat site-a/Agent/101
         09:30 tick
         09:31 desk-1 heartbeat site-a/Agent/101",
        "desk-1 refused site-a/Agent/101: site-a/Agent/101 is not logged in on desk-1, or no longer
         Agent/101 login 09:00-09:04 by timeout
         Agent/101 09:00-09:04 available",
    );
}

#[test]
fn nobody_is_timed_out_while_a_call_is_up() {
    check(
        "09:00 desk-1 login site-a/Agent/101 timeout 120
         09:01 call 1 site-a Agent/101 - rings
         09:01:05 call 1 talks
         09:20 call 1 ends
         09:30 tick",
        "Agent/101 login 09:00-09:20 by timeout
         Agent/101 09:00-09:01 available
         Agent/101 09:01-09:01:05 ringing call 1
         Agent/101 09:01:05-09:20 on_call call 1",
    );
}

#[test]
fn a_heartbeat_during_the_call_keeps_the_login() {
    check(
        "09:00 desk-1 login site-a/Agent/101 timeout 120
         09:01 call 1 site-a Agent/101 - talks
         09:10 desk-1 heartbeat site-a/Agent/101
         09:11 call 1 ends
         09:11:30 tick",
        "Agent/101 login 09:00-…
         Agent/101 09:00-09:01 available
         Agent/101 09:01-09:11 on_call call 1
         Agent/101 09:11-… available",
    );
}

#[test]
fn a_logout_during_a_call_checks_out_at_once_and_ends_with_the_call() {
    check(
        "09:00 desk-1 login site-a/Agent/101
         09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales rings
         09:10:05 call 1 talks
         09:12 desk-1 logout site-a/Agent/101
         09:15 call 1 ends",
        "Agent/101 checkin sales 09:00-09:12 by logout
         Agent/101 login 09:00-09:15 by hand, logged out 09:12
         Agent/101 09:00-09:10 available
         Agent/101 09:10-09:10:05 ringing sales call 1
         Agent/101 09:10:05-09:15 on_call sales call 1",
    );
}

#[test]
fn who_logged_out_and_still_speaks_is_logged_in_as_far_as_is_known() {
    check(
        "09:00 desk-1 login site-a/Agent/101
         09:10 call 1 site-a Agent/101 - talks
         09:12 desk-1 logout site-a/Agent/101
         09:14 tick",
        "Agent/101 login 09:00-…, logged out 09:12
         Agent/101 09:00-09:10 available
         Agent/101 09:10-… on_call call 1",
    );
}

#[test]
fn a_pbx_that_restarts_has_lost_who_was_in_its_queues() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:05 site-a Agent/101 pauses sales Lunch
         10:00 site-a ends
         10:02 site-a Agent/101 enters sales
         11:00 site-a Agent/101 leaves sales",
        "Agent/101 checkin sales 09:00-10:00 by restart
         Agent/101 login 09:00-10:00 by restart
         Agent/101 checkin sales 10:02-11:00 by hand
         Agent/101 login 10:02-11:00 by checkout
         Agent/101 09:00-09:05 available
         Agent/101 09:05-10:00 paused (Lunch)
         Agent/101 10:02-11:00 available",
    );
}

#[test]
fn who_logged_in_elsewhere_stays_so_through_a_restart_of_the_pbx() {
    check(
        "09:00 desk-1 login site-a/Agent/101
         09:01 site-a Agent/101 enters sales
         10:00 site-a ends
         10:01 site-a Agent/101 is in sales since 10:00:30
         11:00 desk-1 logout site-a/Agent/101",
        "Agent/101 login 09:00-11:00 by hand
         Agent/101 checkin sales 09:01-10:00 by restart
         Agent/101 checkin sales 10:00:30-11:00 by logout
         Agent/101 09:00-11:00 available",
    );
}

#[test]
fn who_is_not_among_the_members_has_left_unseen() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:00 site-a Agent/102 enters sales
         10:00 site-a Agent/102 is in sales
         10:00:01 site-a listed all",
        "Agent/101 checkin sales 09:00-10:00:01 by unseen
         Agent/101 login 09:00-10:00:01 by unseen
         Agent/102 checkin sales 09:00-…
         Agent/102 login 09:00-…
         Agent/101 09:00-10:00:01 available
         Agent/102 09:00-… available",
    );
}

#[test]
fn a_login_on_the_pbx_is_a_login() {
    check(
        "09:00 site-a Agent/101 logs in
         09:00 site-a Agent/101 enters sales
         12:00 site-a Agent/101 logs out",
        "Agent/101 checkin sales 09:00-12:00 by logout
         Agent/101 login 09:00-12:00 by hand
         Agent/101 09:00-12:00 available",
    );
}

#[test]
fn a_list_of_members_says_nothing_of_who_is_logged_in() {
    check(
        "09:00 site-a Agent/101 logs in
         10:00 site-a listed all
         11:00 site-a Agent/101 logs out",
        "Agent/101 login 09:00-11:00 by hand
         Agent/101 09:00-11:00 available",
    );
}

#[test]
fn who_left_and_came_back_within_a_second_is_there() {
    check(
        "09:00:10 site-a Agent/101 enters sales (log)
         09:00:10 site-a Agent/101 enters sales
         09:00:11 site-a Agent/101 leaves sales
         09:00:12 site-a Agent/101 enters sales
         10:00 tick",
        "Agent/101 checkin sales 09:00:10-09:00:11 by hand
         Agent/101 login 09:00:10-09:00:11 by checkout
         Agent/101 checkin sales 09:00:12-…
         Agent/101 login 09:00:12-…
         Agent/101 09:00:10-09:00:11 available
         Agent/101 09:00:12-… available",
    );
}

#[test]
fn a_member_whom_the_pbx_keeps_for_days_is_in_the_queue_while_logged_in() {
    check(
        "09:00 desk-1 login site-a/Agent/101
         09:00 site-a Agent/101 enters sales
         17:00 desk-1 logout site-a/Agent/101
         2d 09:00 desk-1 login site-a/Agent/101
         2d 17:00 desk-1 logout site-a/Agent/101
         3d 09:00 desk-1 login site-a/Agent/101
         3d 17:00 desk-1 logout site-a/Agent/101
         4d 09:00 desk-1 login site-a/Agent/101
         4d 10:00 site-a Agent/101 pauses sales Lunch",
        "Agent/101 checkin sales 09:00-17:00 by logout
         Agent/101 login 09:00-17:00 by hand
         Agent/101 checkin sales 2d 09:00-2d 17:00 by logout
         Agent/101 login 2d 09:00-2d 17:00 by hand
         Agent/101 checkin sales 3d 09:00-3d 17:00 by logout
         Agent/101 login 3d 09:00-3d 17:00 by hand
         Agent/101 checkin sales 4d 09:00-…
         Agent/101 login 4d 09:00-…
         Agent/101 09:00-17:00 available
         Agent/101 2d 09:00-2d 17:00 available
         Agent/101 3d 09:00-3d 17:00 available
         Agent/101 4d 09:00-4d 10:00 available
         Agent/101 4d 10:00-… paused (Lunch)",
    );
}

#[test]
fn what_the_queues_log_tells_again_is_the_same_whatever_comes_first() {
    let expected = "Agent/101 checkin sales 09:00:00-11:00:10 by hand
         Agent/101 login 09:00:00-11:00:10 by checkout
         Agent/101 09:00:00-09:05:07 available
         Agent/101 09:05:07-09:06 paused (Lunch)
         Agent/101 09:06-11:00:10 available"
        .replace("09:00:00", "09:00");
    check(
        "09:00 site-a Agent/101 enters sales (log)
         09:00 site-a Agent/101 enters sales (PJSIP/101)
         09:05:06 site-a Agent/101 pauses sales Lunch (log)
         09:05:07 site-a Agent/101 pauses sales Lunch
         09:06 site-a Agent/101 unpauses sales
         09:06 site-a Agent/101 unpauses sales (log)
         11:00:10 site-a Agent/101 leaves sales
         11:00:10 site-a Agent/101 leaves sales (log)",
        &expected,
    );
}

#[test]
fn a_log_that_names_the_interface_means_the_member() {
    check(
        "09:00 site-a PJSIP/101 enters sales (log)
         09:05 call 1 site-a Agent/101 sales rings on PJSIP/101
         09:05:05 call 1 talks
         09:07 call 1 ends
         09:10 site-a PJSIP/101 leaves sales (log)",
        "Agent/101 checkin sales 09:00-09:10 by hand
         Agent/101 login 09:00-09:10 by checkout
         Agent/101 09:00-09:05 available
         Agent/101 09:05-09:05:05 ringing sales call 1
         Agent/101 09:05:05-09:07 on_call sales call 1
         Agent/101 09:07-09:10 available",
    );
}
