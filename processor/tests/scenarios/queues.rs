//! Visits to queues and offers to members: every way in which they end.

use crate::ways::{check, check_files, check_with_ami};

/// A caller who waits in a queue from 10:00:01 on.
fn waits(then: &str) -> String {
    format!(
        "10:00:00 call from 79161000001 to support on trunk as C
         10:00:00 C is answered by the PBX
         10:00:01 C enters queue support
         {then}"
    )
}

#[test]
fn left_by_time_out_key_emptiness_and_withdrawal() {
    for (how, outcome) in [("timeout", "timeout"), ("key", "key"), ("empty", "empty"), ("withdrawal", "withdrawn")] {
        check(
            &waits(&format!("10:00:11 C leaves the queue by {how}\n 10:00:15 C is hung up by the PBX")),
            &format!("visits queue outcome wait_ms agent talk_ms\n support {outcome} 10 - -"),
        );
    }
}

#[test]
fn a_queue_that_does_not_take_the_caller_in() {
    for (status, outcome) in [("FULL", "full"), ("JOINEMPTY", "join_empty"), ("JOINUNAVAIL", "join_empty")] {
        let timeline = format!(
            "10:00:00 call from 79161000001 to tiny on trunk as C
             10:00:00 C is answered by the PBX
             10:00:01 C is refused by queue tiny as {status}
             10:00:02 C is hung up by the PBX"
        );
        check_with_ami(
            &timeline,
            &format!("calls status queue\n no_agent tiny\n visits queue outcome wait_ms\n tiny {outcome} 0"),
        );
        // Neither CEL nor the queue's own log has a word of it.
        check_files(&timeline, "calls status queue\n no_agent -\n visits");
    }
}

#[test]
fn from_one_queue_to_the_next() {
    check(
        &waits(
            "10:00:11 C leaves the queue by timeout
             10:00:11 C enters queue overflow
             10:00:12 queue overflow offers C to agent Agent/201 at PJSIP/201 as A
             10:00:15 A answers
             10:00:35 A hangs up",
        ),
        "calls campaign queue status agent wait_ms
               support support answered Agent/201 15
         visits queue outcome wait_ms
                support timeout 10
                overflow answered 4",
    );
}

#[test]
fn moved_to_a_queue_by_a_transfer() {
    check_with_ami(
        "10:00:00 device PJSIP/105 calls 79161000001 as A
         10:00:00 A dials 79161000001 on trunk as C
         10:00:03 C answers
         10:00:13 A blind-transfers C to 500
         10:00:13 C enters queue support
         10:00:23 C hangs up",
        "calls direction status agent talk_ms dropped
               outbound transferred PJSIP/105 10 false
         visits queue outcome wait_ms
                support abandoned 10",
    );
}

#[test]
fn the_pbx_died_while_the_caller_waited() {
    // It says at 10:00:31 that it has been up for 20 s; its last sign of life before that ends the call.
    check(
        &waits("10:00:31 PBX restarts"),
        "calls status end_estimated ended_at
               no_agent true 10:00:11
         visits outcome
                lost",
    );
}

#[test]
fn a_member_does_not_answer_and_the_next_one_does() {
    check(
        &waits(
            "10:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
             10:00:17 A does not answer
             10:00:18 queue support offers C to agent Agent/102 at PJSIP/102 as B
             10:00:20 B answers
             10:00:40 C hangs up",
        ),
        "calls status agent wait_ms
               answered Agent/102 20
         legs agent device outcome ring_ms talk_ms
              Agent/101 PJSIP/101 missed 15 -
              Agent/102 PJSIP/102 answered 2 20",
    );
}

#[test]
fn a_member_refuses_is_busy_or_not_there() {
    for (cause, outcome) in [(21, "refused"), (17, "refused"), (20, "unreachable")] {
        check_with_ami(
            &waits(&format!(
                "10:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
                 10:00:04 A ends with cause {cause}
                 10:00:10 C hangs up"
            )),
            &format!("calls status\n abandoned\n legs agent outcome\n Agent/101 {outcome}"),
        );
    }
}

#[test]
fn a_member_reached_through_a_local_channel() {
    check_with_ami(
        &waits(
            "10:00:02 queue support offers C to agent Agent/201 through Local 104 as M
             10:00:02 M2 dials PJSIP/104 as A
             10:00:03 A rings
             10:00:05 A answers
             10:00:05 M answers
             10:00:25 A hangs up",
        ),
        "calls status agent wait_ms talk_ms
               answered Agent/201 5 20
         visits outcome agent wait_ms
                answered Agent/201 4",
    );
}

#[test]
fn an_agent_who_stays_up_for_a_shift() {
    let mut timeline = "08:00:00 device PJSIP/201 calls *11 as W
         08:00:00 W is answered by the PBX
         08:00:01 W logs in as agent 1001\n"
        .to_owned();
    for (nth, minute) in [(1, 10), (2, 20)] {
        timeline += &format!(
            "08:{minute}:00 call from 7916100000{nth} to support on trunk as C{nth}
             08:{minute}:00 C{nth} is answered by the PBX
             08:{minute}:01 C{nth} enters queue support
             08:{minute}:02 queue support offers C{nth} to agent Agent/1001 through Local 1001 as M{nth}
             08:{minute}:02 M{nth}2 runs AgentRequest 1001
             08:{minute}:03 M{nth}2 is answered by the PBX
             08:{minute}:03 M{nth}2 and W are bridged
             08:{minute}:03 M{nth} answers
             08:{minute}:33 C{nth} hangs up\n"
        );
    }
    timeline += "09:00:00 W hangs up";
    check_with_ami(
        &timeline,
        "calls direction number_raw status agent
               inbound 79161000001 answered Agent/1001
               inbound 79161000002 answered Agent/1001
         visits outcome agent wait_ms
                answered Agent/1001 2
                answered Agent/1001 2",
    );
}

#[test]
fn only_the_queues_own_log() {
    crate::ways::check_log_alone(
        &waits(
            "10:00:02 queue support offers C to agent Agent/101 at PJSIP/101 as A
             10:00:05 A answers
             10:00:25 A hangs up
             10:00:26 import ends",
        ),
        "calls direction number_raw status agent talk_ms
               inbound 79161000001 answered Agent/101 20
         visits queue outcome wait_ms agent
                support answered 4 Agent/101
         legs agent outcome
              Agent/101 answered",
    );
}
