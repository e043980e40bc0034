//! Dials to customers: what became of each, by every fact that may decide.

use crate::ways::{check, check_files, check_with_ami};

/// A dial that the network or the customer ends with a cause, straight to a trunk; the phone rang before or not.
fn ends(cause: u16, rang: &str, status: &str, evidence: &str) {
    let timeline = format!(
        "09:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
         {rang}
         09:00:05 T ends with cause {cause}"
    );
    let row = format!(
        "calls direction campaign contact number_raw status status_evidence dialled
               outbound spring c1 74951000001 {status} {evidence} true"
    );
    check_with_ami(&timeline, &row);
}

const RINGS: &str = "09:00:02 T rings";
const NEVER: &str = "";

#[test]
fn each_cause_has_its_status() {
    for (cause, status) in [
        (17, "busy"),
        (21, "rejected"),
        (20, "out_of_service"),
        (22, "out_of_service"),
        (27, "out_of_service"),
        (1, "invalid_number"),
        (28, "invalid_number"),
        (34, "congestion"),
        (42, "congestion"),
        (44, "congestion"),
        (3, "dialing_error"),
        (38, "dialing_error"),
        (41, "dialing_error"),
        (47, "dialing_error"),
        (50, "dialing_error"),
        (58, "dialing_error"),
        (111, "dialing_error"),
    ] {
        ends(cause, RINGS, status, &format!("hangup_cause={cause}"));
    }
}

#[test]
fn a_refusal_without_ringing_is_the_carriers() {
    ends(21, NEVER, "dialing_error", "hangup_cause=21,_never_rang");
    ends(21, RINGS, "rejected", "hangup_cause=21");
}

#[test]
fn switched_off_and_never_rang() {
    ends(31, NEVER, "dialing_error", "hangup_cause=31,_never_rang");
    ends(127, NEVER, "dialing_error", "hangup_cause=127,_never_rang");
    ends(31, RINGS, "no_answer", "hangup_cause=31,_not_answered");
    ends(18, NEVER, "no_answer", "hangup_cause=18,_not_answered");
}

#[test]
fn the_files_know_the_cause_but_not_the_ringing() {
    check_files(
        "09:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
         09:00:05 T ends with cause 21",
        "calls direction campaign number_raw status
               outbound - - rejected",
    );
}

#[test]
fn rings_out() {
    check_with_ami(
        "09:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
         09:00:01 T rings
         09:00:31 T rings out",
        "calls status class dial_status originate_reason hangup_cause hangup_by ring_ms wait_ms talk_ms
               no_answer unanswered NO_ANSWER 3 19 system 31 - -
         attempts contact status
                  c1 no_answer
         legs",
    );
}

#[test]
fn our_side_gives_up_while_it_rings() {
    check_with_ami(
        "09:00:00 originate 74951000001 on trunk for campaign spring as T
         09:00:01 T rings
         09:00:06 T is hung up by the PBX",
        "calls status status_evidence ring_ms
               cancelled dial_status=CANCEL 6",
    );
}

#[test]
fn the_dials_own_word_decides_where_the_cause_says_nothing() {
    let by_dialplan = |end: &str, status: &str| {
        check_with_ami(
            &format!(
                "09:00:00 device PJSIP/101 calls 974951000001 as A
                 09:00:01 A dials 74951000001 on trunk as T
                 09:00:02 T rings
                 {end}"
            ),
            &format!("calls direction number_raw agent status\n outbound 74951000001 PJSIP/101 {status}"),
        );
    };
    by_dialplan("09:00:09 A hangs up", "cancelled");
    by_dialplan("09:00:09 T rings out\n 09:00:10 A is hung up by the PBX", "no_answer");
    by_dialplan("09:00:09 T ends with cause 17\n 09:00:10 A is hung up by the PBX", "busy");
}

#[test]
fn answered_by_an_agent_of_the_queue() {
    let timeline = "
        09:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
        09:00:01 T rings
        09:00:03 T answers
        09:00:03 T enters queue sales
        09:00:04 queue sales offers T to agent Agent/101 at PJSIP/101 as A
        09:00:09 A answers
        09:00:40 A hangs up";
    check_with_ami(
        timeline,
        "calls campaign contact number_raw number_e164 status handled_by hangup_by agent device queue ring_ms wait_ms talk_ms hold_ms up_ms short dropped settled
               spring c1 74951000001 +74951000001 answered agent agent Agent/101 PJSIP/101 sales 3 6 31 0 37 false false true
         attempts contact status
                  c1 answered
         visits queue outcome wait_ms agent talk_ms
                sales answered 6 Agent/101 31
         legs agent device queue outcome ring_ms talk_ms offered_at answered_at ended_at
              Agent/101 PJSIP/101 sales answered 5 31 09:00:04 09:00:09 09:00:40",
    );
    // CEL knows neither the number of a call originated straight to a trunk, nor its variables.
    check_files(
        timeline,
        "calls campaign number_raw status handled_by hangup_by agent queue wait_ms talk_ms
               - - answered agent agent Agent/101 sales 6 31
         visits queue outcome wait_ms agent
                sales answered 6 Agent/101
         legs agent outcome talk_ms
              Agent/101 answered 31",
    );
}

#[test]
fn nobody_for_the_customer() {
    let timeline = "
        09:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
        09:00:03 T answers
        09:00:03 T enters queue sales
        09:00:04 queue sales offers T to agent Agent/101 at PJSIP/101 as A
        09:00:08 T hangs up";
    check(
        timeline,
        "calls status handled_by dropped drop_wait_ms hangup_by agent short
               answered nobody true 5 customer - true
         visits queue outcome wait_ms
                sales abandoned 5
         legs agent outcome
              Agent/101 caller_left",
    );
}

#[test]
fn a_machine() {
    check_with_ami(
        "09:00:00 originate 74951000001 on trunk for campaign spring as T
         09:00:03 T answers
         09:00:03 T runs AMD
         09:00:06 T sets AMDSTATUS MACHINE
         09:00:07 T is hung up by the PBX",
        "calls status status_evidence handled_by
               voicemail AMDSTATUS=MACHINE machine",
    );
    check_with_ami(
        "09:00:00 originate 74951000001 on trunk for campaign spring as T
         09:00:03 T answers
         09:00:06 user event AnsweringMachine on T
         09:00:07 T is hung up by the PBX",
        "calls status status_evidence handled_by
               voicemail UserEvent_AnsweringMachine machine",
    );
    check_with_ami(
        "09:00:00 originate 74951000001 on trunk for campaign spring as T
         09:00:03 T answers
         09:00:06 T sets AMDSTATUS HUMAN
         09:00:17 T hangs up",
        "calls status handled_by dropped
               answered nobody false",
    );
}

#[test]
fn a_restriction_forbids_the_dial() {
    check_with_ami(
        "09:00:00 originate 74951000001 through Local for campaign spring contact c1 as L
         09:00:00 user event DoNotCall on L2
         09:00:01 L2 is hung up by the PBX",
        "calls status class dialled dial_status
               do_not_call failed false FAILURE",
    );
}

#[test]
fn no_channel_at_all() {
    for (reason, status) in
        [(0, "dialing_error"), (1, "no_answer"), (3, "no_answer"), (5, "busy"), (8, "congestion"), (7, "dialing_error")]
    {
        check_with_ami(
            &format!(
                "09:00:00 originate 74951000001 on nowhere fails at once with reason {reason} for campaign spring contact c9"
            ),
            &format!(
                "calls call_id campaign contact number_raw direction status status_evidence originate_reason
                       pbx/originate/dial-1 spring c9 74951000001 outbound {status} originate_reason={reason} {reason}"
            ),
        );
    }
}

#[test]
fn through_a_local_channel() {
    check_with_ami(
        "09:00:00 originate 74951000001 through Local for campaign spring contact c1 as L
         09:00:01 L2 dials 74951000001 on trunk as T
         09:00:02 T rings
         09:00:05 T answers
         09:00:05 L enters queue sales
         09:00:06 queue sales offers L to agent Agent/101 at PJSIP/101 as A
         09:00:08 A answers
         09:00:28 T hangs up",
        "calls direction campaign contact number_raw status hangup_by agent wait_ms talk_ms
               outbound spring c1 74951000001 answered customer Agent/101 3 20
         visits queue outcome wait_ms
                sales answered 3",
    );
    check(
        "09:00:00 originate 74951000001 through Local for campaign spring contact c1 as L
         09:00:01 L2 dials 74951000001 on trunk as T
         09:00:02 T rings
         09:00:05 T ends with cause 17",
        "calls direction number_raw status
               outbound 74951000001 busy
         legs",
    );
}

#[test]
fn trunks_tried_in_turn_are_one_attempt() {
    let tried = |end: &str, expected: &str| {
        check(
            &format!(
                "09:00:00 originate 74951000001 through Local for campaign spring contact c1 as L
                 09:00:01 L2 dials 74951000001 on trunk as T
                 09:00:02 T ends with cause 34 and the PBX tries on
                 09:00:02 L2 dials 74951000001 on trunk2 as U
                 09:00:03 U rings
                 {end}"
            ),
            expected,
        );
    };
    tried("09:00:07 U ends with cause 17", "calls number_raw status\n 74951000001 busy\n attempts status\n busy");
    tried(
        "09:00:07 U answers
         09:00:08 L enters queue sales
         09:00:09 U hangs up",
        "calls call_id status dropped\n pbx/1772442001.2 answered true",
    );
}

#[test]
fn click_to_call_rings_the_agent_first() {
    let call = |end: &str, expected: &str| {
        check(
            &format!(
                "09:00:00 originate PJSIP/101 as A
                 09:00:01 A rings
                 09:00:03 A answers
                 09:00:03 A dials 74951000001 on trunk as T
                 09:00:04 T rings
                 {end}"
            ),
            expected,
        );
    };
    call(
        "09:00:08 T answers
         09:00:38 T hangs up",
        "calls direction number_raw status agent talk_ms contact
               outbound 74951000001 answered PJSIP/101 30 -",
    );
    call(
        "09:00:08 T ends with cause 17
         09:00:09 A is hung up by the PBX",
        "calls direction number_raw status agent
               outbound 74951000001 busy PJSIP/101",
    );
}

#[test]
fn short_is_under_ten_seconds() {
    let talk = |secs: u32, short: bool| {
        check(
            &format!(
                "09:00:00 device PJSIP/101 calls 974951000001 as A
                 09:00:01 A dials 74951000001 on trunk as T
                 09:00:10 T answers
                 09:00:{} A hangs up",
                10 + secs
            ),
            &format!("calls status talk_ms short\n answered {secs} {short}"),
        );
    };
    talk(9, true);
    talk(11, false);
}
