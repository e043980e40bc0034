//! Callers: who took them, or where they were when they left.

use crate::ways::{check, check_with_ami};

#[test]
fn answered_by_an_agent_of_the_queue() {
    check(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C enters queue support
         10:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
         10:00:02 queue support offers C to agent Agent/102 at PJSIP/102 as B
         10:00:06 B answers
         10:00:26 C hangs up",
        "calls direction campaign number_raw number_e164 entry status status_evidence handled_by hangup_by agent queue wait_ms talk_ms left_at
               inbound support 79161000001 +79161000001 support answered taken_by_agent_Agent/102 agent customer Agent/102 support 6 20 -
         attempts
         visits queue outcome wait_ms agent talk_ms
                support answered 5 Agent/102 20
         legs device outcome talk_ms
              PJSIP/101 elsewhere -
              PJSIP/102 answered 20",
    );
}

#[test]
fn the_caller_leaves_while_waiting() {
    check(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C enters queue support
         10:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
         10:00:08 C hangs up",
        "calls status left_at hangup_by wait_ms agent
               abandoned queue customer 8 -
         visits outcome wait_ms
                abandoned 7
         legs agent outcome
              Agent/101 caller_left",
    );
}

#[test]
fn the_caller_leaves_a_ringing_phone() {
    check(
        "10:00:00 call from 79161000001 to direct on trunk as C
         10:00:00 C dials PJSIP/101 as A
         10:00:01 A rings
         10:00:09 C hangs up",
        "calls status left_at hangup_by
               abandoned ringing customer
         legs agent outcome
              PJSIP/101 caller_left",
    );
}

#[test]
fn the_caller_leaves_the_menu() {
    check(
        "10:00:00 call from 79161000001 to ivr on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C runs Read
         10:00:05 C hangs up",
        "calls status left_at queue
               abandoned ivr -",
    );
}

#[test]
fn our_side_ends_it_unserved() {
    check(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C enters queue support
         10:00:31 C leaves the queue by timeout
         10:00:31 C is hung up by the PBX",
        "calls status left_at hangup_by
               no_agent queue system
         visits outcome wait_ms
                timeout 30",
    );
    check_with_ami(
        "10:00:00 call from 79161000001 to direct on trunk as C
         10:00:00 C dials PJSIP/101 as A
         10:00:01 A rings
         10:00:21 A rings out
         10:00:21 C is hung up by the PBX",
        "calls status left_at
               no_agent ringing
         legs agent outcome
              PJSIP/101 missed",
    );
    check(
        "10:00:00 call from 79161000001 to ivr on trunk as C
         10:00:00 C is answered by the PBX
         10:00:05 C is hung up by the PBX",
        "calls status left_at
               no_agent ivr",
    );
}

#[test]
fn our_phones_causes_are_not_the_customers() {
    for (cause, outcome) in [(17, "refused"), (21, "refused"), (20, "unreachable"), (3, "unreachable")] {
        check(
            &format!(
                "10:00:00 call from 79161000001 to direct on trunk as C
                 10:00:00 C dials PJSIP/101 as A
                 10:00:01 A ends with cause {cause}
                 10:00:01 C is refused with cause {cause}"
            ),
            &format!("calls status hangup_cause\n no_agent {cause}\n legs agent outcome\n PJSIP/101 {outcome}"),
        );
    }
}

#[test]
fn no_such_number() {
    check(
        "10:00:00 call from 79161000001 to 999 on trunk as C
         10:00:00 C is refused with cause 1",
        "calls status class status_evidence
               invalid_number failed hangup_cause=1_on_arrival",
    );
}

#[test]
fn closed() {
    check(
        "10:00:00 call from 79161000001 to closed on trunk as C
         10:00:01 C is refused with cause 16",
        "calls status left_at
               no_agent closed",
    );
}

#[test]
fn a_mailbox_takes_the_message() {
    check(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C enters queue support
         10:00:13 C leaves the queue by timeout
         10:00:13 C runs VoiceMail 200@default
         10:00:20 C hangs up",
        "calls status status_evidence handled_by left_at
               voicemail mailbox machine -",
    );
    check_with_ami(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 C is answered by the PBX
         10:00:13 C runs VoiceMail 200@default
         10:00:13 C sets VMSTATUS FAILED
         10:00:14 C is hung up by the PBX",
        "calls status
               no_agent",
    );
}

#[test]
fn a_conference_takes_the_caller() {
    check(
        "10:00:00 call from 79161000001 to conf on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C joins conference 300
         10:00:03 call from 79161000002 to conf on trunk as D
         10:00:03 D is answered by the PBX
         10:00:04 D joins conference 300
         10:00:20 C hangs up
         10:00:25 D hangs up",
        "calls number_raw status handled_by joined_call_id
               79161000001 answered system -
               79161000002 answered system -",
    );
}

#[test]
fn a_blocked_caller() {
    check_with_ami(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 user event DoNotCall on C
         10:00:01 C is refused with cause 21",
        "calls direction status dialled
               inbound do_not_call false",
    );
}

#[test]
fn a_withheld_number_is_null() {
    check(
        "10:00:00 call from withheld to direct on trunk as C
         10:00:00 C dials PJSIP/101 as A
         10:00:04 A answers
         10:00:24 A hangs up",
        "calls number_raw number_e164 status agent hangup_by wait_ms talk_ms
               - - answered PJSIP/101 agent 4 20",
    );
}

#[test]
fn forwarded_out_by_the_trunk() {
    check(
        "10:00:00 call from 79161000001 to forward on trunk as C
         10:00:00 C dials 79031000009 on trunk as X
         10:00:05 X answers
         10:00:25 C hangs up",
        "calls direction number_raw status
               inbound 79161000001 answered
         legs outcome talk_ms
              answered 20",
    );
}

#[test]
fn several_callers_at_once() {
    check(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 call from 79161000002 to support on trunk as D
         10:00:00 C is answered by the PBX
         10:00:00 D is answered by the PBX
         10:00:01 C enters queue support
         10:00:01 D enters queue support
         10:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
         10:00:03 A answers
         10:00:06 D hangs up
         10:00:23 A hangs up",
        "calls number_raw status agent talk_ms
               79161000001 answered Agent/101 20
               79161000002 abandoned - -
         visits outcome wait_ms
                answered 2
                abandoned 5",
    );
}

#[test]
fn between_our_own_phones() {
    check(
        "10:00:00 device PJSIP/101 calls 102 as A
         10:00:00 A dials PJSIP/102 as B
         10:00:04 B answers
         10:00:24 A hangs up",
        "calls direction status
               internal answered
         attempts",
    );
}
