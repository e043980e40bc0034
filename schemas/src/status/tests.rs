//! One test per row of the status table, in the table's order, and the laws over all statuses.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn dialled() -> Outbound {
    Outbound { channel: true, rang: Rang::Yes, ..Outbound::default() }
}

#[track_caller]
fn check(known: Outbound, status: Status) {
    assert_eq!(outbound(&known).status, status, "{known:?}");
}

#[test]
fn a_leg_that_was_up_is_answered_whatever_the_cause() {
    for cause in [0, 1, 16, 17, 34, 127] {
        check(Outbound { up: true, cause: Some(cause), ..dialled() }, Status::Answered);
    }
}

#[test]
fn a_completed_transfer_is_transferred_even_after_a_machine() {
    check(Outbound { up: true, transferred: true, machine: Some("amd".into()), ..dialled() }, Status::Transferred);
}

#[test]
fn a_machine_is_voicemail_only_when_the_leg_was_up() {
    check(Outbound { up: true, machine: Some("AMDSTATUS=MACHINE".into()), ..dialled() }, Status::Voicemail);
    check(Outbound { machine: Some("AMDSTATUS=MACHINE".into()), cause: Some(17), ..dialled() }, Status::Busy);
}

#[test]
fn a_forbidden_dial_is_do_not_call() {
    check(Outbound { forbidden: Some("UserEvent DoNotCall".into()), cause: Some(21), ..dialled() }, Status::DoNotCall);
}

#[test]
fn each_cause_has_its_status() {
    for (cause, status) in [
        (17, Status::Busy),
        (21, Status::Rejected),
        (20, Status::OutOfService),
        (22, Status::OutOfService),
        (27, Status::OutOfService),
        (1, Status::InvalidNumber),
        (28, Status::InvalidNumber),
        (34, Status::Congestion),
        (42, Status::Congestion),
        (44, Status::Congestion),
        (3, Status::DialingError),
        (38, Status::DialingError),
        (41, Status::DialingError),
        (47, Status::DialingError),
        (50, Status::DialingError),
        (58, Status::DialingError),
        (99, Status::DialingError),
    ] {
        check(Outbound { cause: Some(cause), dial_status: Some(DialStatus::NoAnswer), ..dialled() }, status);
    }
}

#[test]
fn a_refusal_by_the_carrier_before_any_ringing_is_a_dialing_error() {
    check(Outbound { cause: Some(21), rang: Rang::Never, ..dialled() }, Status::DialingError);
    check(Outbound { cause: Some(21), rang: Rang::Unknown, ..dialled() }, Status::Rejected);
}

#[test]
fn causes_that_say_nothing_leave_it_to_the_dial() {
    for cause in [None, Some(0), Some(16), Some(18), Some(19), Some(26), Some(31), Some(127)] {
        for (word, status) in [
            (Some(DialStatus::Busy), Status::Busy),
            (Some(DialStatus::Congestion), Status::Congestion),
            (Some(DialStatus::Unavailable), Status::DialingError),
            (Some(DialStatus::Cancel), Status::Cancelled),
            (Some(DialStatus::NoAnswer), Status::NoAnswer),
            (Some(DialStatus::Other), Status::NoAnswer),
            (None, Status::NoAnswer),
        ] {
            check(Outbound { cause, dial_status: word, ..dialled() }, status);
        }
        check(Outbound { cause, given_up: true, ..dialled() }, Status::Cancelled);
    }
}

#[test]
fn interworking_causes_before_any_ringing_are_dialing_errors() {
    for cause in [31, 127] {
        check(Outbound { cause: Some(cause), rang: Rang::Never, ..dialled() }, Status::DialingError);
        check(Outbound { cause: Some(cause), rang: Rang::Unknown, ..dialled() }, Status::NoAnswer);
    }
}

#[test]
fn without_a_channel_the_originate_reason_is_all_there_is() {
    let reason = |reason, codes| Outbound { originate: Some((reason, codes)), ..Outbound::default() };
    for (code, status) in [
        (0, Status::DialingError),
        (1, Status::NoAnswer),
        (3, Status::NoAnswer),
        (5, Status::Busy),
        (8, Status::Congestion),
        (77, Status::DialingError),
    ] {
        check(reason(code, ReasonCodes::Asterisk), status);
    }
    for (code, status) in [(0, Status::NoAnswer), (1, Status::Busy), (2, Status::DialingError), (3, Status::Congestion)]
    {
        check(reason(code, ReasonCodes::Issabel), status);
    }
    check(Outbound::default(), Status::DialingError);
}

#[test]
fn inbound_calls_are_judged_by_who_took_them_and_who_left() {
    let taken = Some("agent PJSIP/101".to_owned());
    let left = Some("hang-up request".to_owned());
    for (known, status) in [
        (Inbound { taken_by: taken.clone(), caller_left: left.clone(), ..Inbound::default() }, Status::Answered),
        (Inbound { taken_by: taken, transferred: true, ..Inbound::default() }, Status::Transferred),
        (Inbound { mailbox: true, caller_left: left.clone(), ..Inbound::default() }, Status::Voicemail),
        (Inbound { forbidden: Some("blocked".into()), ..Inbound::default() }, Status::DoNotCall),
        (Inbound { caller_left: left, no_such_number: Some(1), ..Inbound::default() }, Status::Abandoned),
        (Inbound { no_such_number: Some(1), ..Inbound::default() }, Status::InvalidNumber),
        (Inbound::default(), Status::NoAgent),
    ] {
        assert_eq!(inbound(&known).status, status, "{known:?}");
    }
}

#[test]
fn every_status_has_a_word_a_class_and_a_classic_form() {
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        assert_eq!(status.classic().class(), status.class(), "{status:?} changes its class in the classic form");
    }
    let classic: std::collections::BTreeSet<_> = Status::ALL.iter().map(|s| s.classic()).collect();
    assert_eq!(classic.len(), 9);
}
