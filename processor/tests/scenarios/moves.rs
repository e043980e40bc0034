//! Conversations that are moved: transfers, consultations, parking, pickup, hold; and customers who meet.

use crate::ways::{check, check_with_ami};

/// A caller who talks with agent 101 of the queue from 11:00:09 on.
fn talking(then: &str) -> String {
    format!(
        "11:00:02 call from 79161000001 to support on trunk as C
         11:00:02 C is answered by the PBX
         11:00:03 C enters queue support
         11:00:04 queue support offers C to agent Agent/101 at PJSIP/101 as A
         11:00:09 A answers
         {then}"
    )
}

#[test]
fn a_blind_transfer_to_another_phone() {
    check(
        &talking(
            "11:00:19 A blind-transfers C to 102
             11:00:19 C dials PJSIP/102 as B
             11:00:22 B answers
             11:00:42 B hangs up",
        ),
        "calls direction status agent transfers wait_ms talk_ms hangup_by
               inbound transferred Agent/101 1 7 30 agent
         visits outcome agent
                answered Agent/101
         legs agent outcome talk_ms
              Agent/101 answered 10
              PJSIP/102 answered 20",
    );
}

#[test]
fn a_chain_of_transfers() {
    check(
        &talking(
            "11:00:19 A blind-transfers C to 102
             11:00:19 C dials PJSIP/102 as B
             11:00:22 B answers
             11:00:32 B blind-transfers C to 103
             11:00:32 C dials PJSIP/103 as E
             11:00:35 E answers
             11:00:45 C hangs up",
        ),
        "calls direction status transfers talk_ms hangup_by
               inbound transferred 2 30 customer
         legs agent talk_ms
              Agent/101 10
              PJSIP/102 10
              PJSIP/103 10",
    );
}

#[test]
fn an_attended_transfer() {
    check(
        &talking(
            "11:00:19 A consults PJSIP/102 as B
             11:00:22 B answers
             11:00:29 A completes the transfer to B
             11:00:49 C hangs up",
        ),
        "calls direction status transfers consult_of
               inbound transferred 1 -
               internal answered 0 pbx/1772449202.0
         legs agent outcome
              Agent/101 answered
              PJSIP/102 answered",
    );
}

#[test]
fn a_failed_consultation_leaves_the_call_as_it_was() {
    check(
        &talking(
            "11:00:19 A consults PJSIP/102 as B
             11:00:22 B ends with cause 17
             11:00:23 A returns
             11:00:43 A hangs up",
        ),
        "calls direction status transfers hangup_by consult_of
               inbound answered 0 agent -
               internal busy 0 system pbx/1772449202.0",
    );
}

#[test]
fn parking_that_times_out_is_no_transfer() {
    check(
        &talking(
            "11:00:19 A parks C
             11:00:49 C comes back from parking
             11:00:49 C dials PJSIP/101 as B
             11:00:52 B answers
             11:01:02 B hangs up",
        ),
        "calls direction status transfers talk_ms hold_ms
               inbound answered 0 20 30
         legs agent talk_ms
              Agent/101 10
              PJSIP/101 10",
    );
}

#[test]
fn another_phone_picks_the_ringing_up() {
    check(
        "11:00:00 call from 79161000001 to direct on trunk as C
         11:00:00 C dials PJSIP/101 as A
         11:00:01 A rings
         11:00:05 PJSIP/104 picks up A as P
         11:00:25 C hangs up",
        "calls direction status agent wait_ms talk_ms hangup_by
               inbound answered PJSIP/104 5 20 customer
         legs agent outcome talk_ms
              PJSIP/101 elsewhere -
              PJSIP/104 answered 20",
    );
}

#[test]
fn talk_excludes_hold() {
    check_with_ami(
        &talking(
            "11:00:19 A holds
             11:00:24 A unholds
             11:00:29 A holds
             11:00:32 A unholds
             11:00:39 A hangs up",
        ),
        "calls direction talk_ms hold_ms
               inbound 22 8
         legs agent talk_ms hold_ms
              Agent/101 22 8
         visits outcome talk_ms hold_ms
                answered 22 8",
    );
}

#[test]
fn the_customer_leaves_while_on_hold() {
    check_with_ami(
        &talking(
            "11:00:19 A holds
             11:00:25 C hangs up",
        ),
        "calls direction talk_ms hold_ms hangup_by
               inbound 10 6 customer",
    );
}

#[test]
fn two_customers_are_joined() {
    check(
        "11:00:00 call from 79161000001 to direct on trunk as C
         11:00:00 C dials PJSIP/101 as A
         11:00:03 A answers
         11:00:05 device PJSIP/101 calls 974951000009 as P
         11:00:05 P dials 74951000009 on trunk as D
         11:00:10 D answers
         11:00:20 A leaves its bridge
         11:00:20 P leaves its bridge
         11:00:20 C leaves its bridge
         11:00:20 D leaves its bridge
         11:00:20 C and D are bridged
         11:00:21 A is hung up by the PBX
         11:00:21 P is hung up by the PBX
         11:00:40 C hangs up",
        "calls direction number_raw status joined_call_id
               inbound 79161000001 answered pbx/1772449205.3
               outbound 74951000009 answered pbx/1772449200.0",
    );
}
