//! The directory: persons on several PBXs, devices in their three modes, changes and what was before them.

use super::site::Way;
use super::story::{check, moment, run};

#[test]
fn an_agent_on_two_pbxs_is_one_person() {
    check(
        "08:00 agent anna names=site-a/Agent/101,site-b/Agent/7
         09:00 site-a Agent/101 enters sales
         09:05 site-b Agent/7 enters support
         09:10 call 1 site-a Agent/101 sales talks
         09:12 call 1 ends
         09:13 call 2 site-b Agent/7 support talks
         09:14 call 2 ends
         09:20 site-a Agent/101 pauses sales Lunch
         09:30 site-b Agent/7 pauses support Lunch
         10:00 site-a Agent/101 leaves sales
         11:00 site-b Agent/7 leaves support",
        "anna checkin sales 09:00-10:00 by hand
         anna login 09:00-11:00 by checkout
         anna checkin support 09:05-11:00 by hand
         anna 09:00-09:10 available
         anna 09:10-09:12 on_call sales call 1
         anna 09:12-09:13 available
         anna 09:13-09:14 on_call support call 2
         anna 09:14-09:20 available
         anna 09:20-09:30 available (Lunch) sales
         anna 09:30-11:00 paused (Lunch)",
    );
}

#[test]
fn the_same_name_on_two_pbxs_is_two_agents_if_nobody_says_otherwise() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:30 site-b Agent/101 enters sales
         10:00 site-a Agent/101 leaves sales",
        "Agent/101 checkin sales 09:00-10:00 by hand
         Agent/101 login 09:00-10:00 by checkout
         Agent/101 checkin sales 09:30-…
         Agent/101 login 09:30-…
         Agent/101 09:00-10:00 available
         Agent/101 09:30-… available",
    );
}

#[test]
fn a_device_in_use_is_refused_with_who_uses_it() {
    check(
        "08:00 agent anna mode=dynamic
         08:00 agent berta mode=dynamic
         09:00 desk-1 login anna device site-a/PJSIP/101
         09:05 desk-2 login berta device site-a/PJSIP/101
         09:10 desk-1 logout anna
         09:15 desk-2 login berta device site-a/PJSIP/101
         09:20 call 1 site-a PJSIP/101 - talks on PJSIP/101
         09:21 call 1 ends",
        "desk-2 refused berta: site-a/PJSIP/101 is used by anna
         anna login 09:00-09:10 by hand
         berta login 09:15-…
         anna 09:00-09:10 available
         berta 09:15-09:20 available
         berta 09:20-09:21 on_call call 1
         berta 09:21-… available",
    );
}

#[test]
fn a_phone_at_the_terminals_address_is_taken_over_at_login() {
    check(
        "07:00 site-a PJSIP/101 registers from 10.0.0.5
         08:00 agent anna mode=self_adapting
         08:00 agent berta mode=self_adapting
         09:00 desk-1 login anna address 10.0.0.5
         09:10 call 1 site-a PJSIP/101 - talks on PJSIP/101
         09:11 call 1 ends
         09:15 desk-1 login berta address 10.0.0.5
         09:20 call 2 site-a PJSIP/101 - talks on PJSIP/101
         09:21 call 2 ends",
        "anna login 09:00-…
         berta login 09:15-…
         anna 09:00-09:10 available
         anna 09:10-09:11 on_call call 1
         anna 09:11-… available
         berta 09:15-09:20 available
         berta 09:20-09:21 on_call call 2
         berta 09:21-… available",
    );
}

#[test]
fn a_self_adapting_agent_without_a_phone_there_keeps_none() {
    let site = run(
        "08:00 agent anna mode=self_adapting
         08:00 device site-a/PJSIP/104 address=10.0.0.4
         09:00 desk-1 login anna address 10.0.0.9
         09:10 desk-2 login anna address 10.0.0.4",
        Way::Straight,
    );
    let devices: Vec<_> = site.answers.iter().map(|answer| answer.device.as_deref()).collect();
    assert_eq!(devices, [None, Some("site-a/PJSIP/104")], "the directory says from where a phone is registered, too");
}

#[test]
fn a_fixed_device_does_not_change() {
    check(
        "08:00 agent anna device=site-a/PJSIP/101
         09:00 desk-1 login anna device site-a/PJSIP/102
         09:01 desk-1 login anna
         09:10 call 1 site-a PJSIP/101 - talks on PJSIP/101
         09:11 call 1 ends
         09:12 desk-1 login carl",
        "desk-1 refused anna: the device of anna is site-a/PJSIP/101 and does not change
         desk-1 refused carl: no agent carl is in the directory
         anna login 09:01-…
         anna 09:01-09:10 available
         anna 09:10-09:11 on_call call 1
         anna 09:11-… available",
    );
}

#[test]
fn who_is_first_named_has_what_was_before() {
    check(
        "09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales talks
         09:12 call 1 ends
         10:00 agent anna names=site-a/Agent/101
         11:00 site-a Agent/101 leaves sales",
        "anna checkin sales 09:00-11:00 by hand
         anna login 09:00-11:00 by checkout
         anna 09:00-09:10 available
         anna 09:10-09:12 on_call sales call 1
         anna 09:12-11:00 available",
    );
}

#[test]
fn history_is_judged_by_the_directory_of_its_time() {
    check(
        "08:00 agent anna names=site-a/Agent/101
         08:00 agent berta names=site-a/Agent/102
         09:00 site-a Agent/101 enters sales
         09:10 call 1 site-a Agent/101 sales talks
         09:12 call 1 ends
         10:00 agent anna names=site-a/Agent/109
         10:00 agent berta names=site-a/Agent/101
         10:10 call 2 site-a Agent/101 sales talks
         10:12 call 2 ends
         11:00 site-a Agent/101 leaves sales",
        "anna checkin sales 09:00-10:00 by directory
         anna login 09:00-10:00 by directory
         berta checkin sales 10:00-11:00 by hand
         berta login 10:00-11:00 by checkout
         anna 09:00-09:10 available
         anna 09:10-09:12 on_call sales call 1
         anna 09:12-10:00 available
         berta 10:00-10:10 available
         berta 10:10-10:12 on_call sales call 2
         berta 10:12-11:00 available",
    );
}

#[test]
fn who_is_named_while_logged_in_stays_logged_in() {
    check(
        "09:00 desk-1 login site-a/Agent/101 timeout 7200
         09:30 agent anna names=site-a/Agent/101 mode=dynamic
         10:00 desk-1 heartbeat anna
         11:00 desk-1 logout anna",
        "anna login 09:00-11:00 by hand
         anna 09:00-11:00 available",
    );
}

#[test]
fn a_device_brings_its_queues_to_whoever_takes_it() {
    check(
        "08:00 agent anna mode=dynamic
         08:30 site-a PJSIP/101 enters sales
         09:00 desk-1 login anna device site-a/PJSIP/101
         09:10 site-a PJSIP/101 pauses sales Lunch
         09:30 site-a PJSIP/101 unpauses sales
         10:00 desk-1 logout anna",
        "PJSIP/101 checkin sales 08:30-09:00 by directory
         PJSIP/101 login 08:30-09:00 by directory
         anna checkin sales 09:00-10:00 by directory
         anna login 09:00-10:00 by hand
         PJSIP/101 checkin sales 10:00-…
         PJSIP/101 login 10:00-…
         PJSIP/101 08:30-09:00 available
         PJSIP/101 10:00-… available
         anna 09:00-09:10 available
         anna 09:10-09:30 paused (Lunch)
         anna 09:30-10:00 available",
    );
}

#[test]
fn who_is_always_in_a_queue_is_so_as_long_as_the_directory_says() {
    let day = "08:00 agent anna names=site-a/Agent/101
         08:00 queue site-a/sales members=anna
         09:00 desk-1 login anna
         09:00 site-a Agent/101 enters support
         09:10 site-a Agent/101 pauses support Lunch
         09:20 queue site-a/sales members=berta
         09:30 queue site-a/sales members=anna,berta
         09:40 queue site-a/sales is gone
         09:50 site-a Agent/101 unpauses support
         10:00 desk-1 logout anna";
    // Paused in one of two queues, in all, in one of two, in all.
    check(
        day,
        "anna checkin support 09:00-10:00 by logout
         anna login 09:00-10:00 by hand
         anna 09:00-09:10 available
         anna 09:10-09:20 available (Lunch) support
         anna 09:20-09:30 paused (Lunch)
         anna 09:30-09:40 available (Lunch) support
         anna 09:40-09:50 paused (Lunch)
         anna 09:50-10:00 available",
    );
}

#[test]
fn a_desk_that_is_shared_is_whose_it_was_at_that_time() {
    let day = "08:00 site-a anna enters sales (PJSIP/101)
         08:10 call 1 site-a PJSIP/101 - talks on PJSIP/101
         11:00 site-a anna leaves sales (PJSIP/101)
         12:00 site-a berta enters sales (PJSIP/101)
         12:05 site-a anna enters sales (PJSIP/102)
         12:10 call 1 ends
         12:20 call 2 site-a PJSIP/101 - talks on PJSIP/101
         12:30 call 2 ends
         13:00 site-a PJSIP/101 pauses sales Lunch (log)
         14:00 site-a berta leaves sales (PJSIP/101)
         15:00 site-a anna leaves sales (PJSIP/102)";
    check(
        day,
        "anna checkin sales 08:00-11:00 by hand
         anna login 08:00-11:00 by checkout
         berta checkin sales 12:00-14:00 by hand
         berta login 12:00-14:00 by checkout
         anna checkin sales 12:05-15:00 by hand
         anna login 12:05-15:00 by checkout
         anna 08:00-08:10 available
         anna 08:10-11:00 on_call call 1
         anna 11:00-12:05 on_call call 1 not logged in
         anna 12:05-12:10 on_call call 1
         anna 12:10-15:00 available
         berta 12:00-12:20 available
         berta 12:20-12:30 on_call call 2
         berta 12:30-13:00 available
         berta 13:00-14:00 paused (Lunch)",
    );
    let site = run(day, Way::Straight);
    let mut devices: Vec<(String, &str)> = site
        .of("calltide.agent-sessions")
        .filter(|row| row["kind"] == "checkin")
        .map(|row| (row["session_id"].to_string(), row["device"].as_str().unwrap()))
        .collect();
    devices.sort();
    let devices: Vec<_> = devices.into_iter().map(|(_, device)| device).collect();
    assert_eq!(devices, ["PJSIP/101", "PJSIP/102", "PJSIP/101"]);
}

#[test]
fn who_is_in_a_queue_by_configuration_and_by_hand_is_checked_in_outside_of_the_configuration() {
    check(
        "08:00 agent anna names=site-a/Agent/101
         08:00 queue site-a/sales members=berta
         08:30 site-a Agent/101 enters sales
         09:00 queue site-a/sales members=anna
         10:00 queue site-a/sales members=berta
         12:00 site-a Agent/101 leaves sales",
        "anna checkin sales 08:30-09:00 by directory
         anna login 08:30-09:00 by directory
         anna checkin sales 10:00-12:00 by hand
         anna login 10:00-12:00 by checkout
         anna 08:30-09:00 available
         anna 10:00-12:00 available",
    );
}

#[test]
fn what_is_told_of_the_device_of_a_listed_member_is_theirs() {
    check(
        "10:00 site-a berta enters support (PJSIP/101)
         11:00 site-a berta leaves support (PJSIP/101)
         12:00 site-a anna is in sales since 08:00 (PJSIP/101)
         12:05 site-a PJSIP/101 pauses sales Lunch (log)",
        "anna checkin sales 08:00-…
         anna login 08:00-…
         berta checkin support 10:00-11:00 by hand
         berta login 10:00-11:00 by checkout
         anna 08:00-12:05 available
         anna 12:05-… paused (Lunch)
         berta 10:00-11:00 available",
    );
}

#[test]
fn an_entry_that_comes_back_leaves_its_former_end_as_it_was() {
    let site = run(
        "08:00 queue site-a/sales members=anna
         09:00 queue site-a/sales members=berta
         10:00 queue site-a/sales is gone
         11:00 queue site-a/sales members=carl",
        Way::Straight,
    );
    let rows = site.of("calltide.directory");
    let times =
        rows.map(|row| (row["since_at"].as_i64().unwrap(), row["until_at"].as_i64(), row["updated_at"].as_i64()));
    let hours = |at: i64| (at - moment("1d", "00:00").0) / 3_600_000_000;
    let told: Vec<_> = times.map(|(since, until, told)| (hours(since), until.map(hours), told.map(hours))).collect();
    assert_eq!(told, [(8, Some(9), Some(9)), (9, Some(10), Some(10)), (11, None, Some(11))]);
}
