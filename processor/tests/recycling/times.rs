//! Windows, zones, holidays, callbacks, and what runs out.

use calltide_schemas::recycling::rules::{CampaignRules, CampaignState, Window};

use super::story::{by_dialer, check, check_verdict, moment, rules};

fn hours(from: u16, to: u16) -> impl FnOnce(&mut CampaignRules) {
    move |rules| {
        let (from_minute, to_minute) = (from * 60, to * 60);
        rules.windows = vec![Window { days: vec![1, 2, 3, 4, 5], from_minute, to_minute }];
    }
}

#[test]
fn what_is_due_out_of_hours_is_due_in_the_next_ones_in_the_contacts_zone() {
    for (loaded, expected) in [
        // Germany is two hours ahead in summer.
        ("06-01 06:59:59", "06-01 07:00:00"),
        ("06-01 07:00:00", "06-01 07:00:00"),
        ("06-01 17:59:59", "06-01 17:59:59"),
        ("06-01 18:00:00", "06-02 07:00:00"),
        // Friday evening.
        ("06-05 18:00:00", "06-08 07:00:00"),
    ] {
        check_verdict(
            rules(hours(9, 20)),
            &format!("{loaded} load autumn/c1 +4930123456\n{loaded} until"),
            &format!("autumn/c1: retry at {expected} (first dial)"),
        );
    }
}

#[test]
fn a_zone_that_is_given_goes_before_the_numbers() {
    let story = "06-01 05:00:00 load autumn/c1 +4930123456 tz=Asia/Tokyo";
    check_verdict(rules(hours(9, 20)), story, "autumn/c1: retry at 06-01 05:00:00 (first dial)");
    let of_campaign = rules(|rules| {
        hours(9, 20)(rules);
        rules.tz = Some("Asia/Tokyo".to_owned());
    });
    check_verdict(
        of_campaign,
        "06-01 05:00:00 load autumn/c1 +4930123456",
        "autumn/c1: retry at 06-01 05:00:00 (first dial)",
    );
}

#[test]
fn where_a_number_may_be_in_several_zones_all_must_be_open() {
    // From New York to Hawaii: 9 in Honolulu is 15 in New York, 19 UTC.
    check_verdict(
        rules(hours(9, 20)),
        "06-01 12:00:00 load autumn/c1 +12125551234",
        "autumn/c1: retry at 06-01 19:00:00 (first dial)",
    );
}

#[test]
fn clocks_that_change_do_not_move_the_hours() {
    // Sunday 03-29 in Germany; the Monday after begins an hour earlier in UTC than the Friday before.
    for (loaded, expected) in [("03-27 00:00:00", "03-27 08:00:00"), ("03-29 00:00:00", "03-30 07:00:00")] {
        check_verdict(
            rules(hours(9, 20)),
            &format!("{loaded} load autumn/c1 +4930123456"),
            &format!("autumn/c1: retry at {expected} (first dial)"),
        );
    }
}

#[test]
fn hours_may_go_over_midnight_and_a_holiday_is_closed() {
    check_verdict(
        rules(hours(20, 2)),
        "06-01 21:30:00 load autumn/c1 +4930123456",
        "autumn/c1: retry at 06-01 21:30:00 (first dial)",
    );
    check_verdict(
        rules(hours(20, 2)),
        "06-02 00:00:00 load autumn/c1 +4930123456",
        "autumn/c1: retry at 06-02 18:00:00 (first dial)",
    );
    let holiday = rules(|rules| {
        hours(9, 20)(rules);
        rules.holidays = vec!["2026-06-01".to_owned()];
    });
    check_verdict(
        holiday,
        "06-01 08:00:00 load autumn/c1 +4930123456",
        "autumn/c1: retry at 06-02 07:00:00 (first dial)",
    );
}

#[test]
fn what_nobody_dials_before_the_hours_end_is_taken_back_and_due_again_in_the_next() {
    check(
        rules(hours(9, 20)),
        "
        06-01 17:59:00 load autumn/c1 +4930123456
        06-02 07:00:10 until",
        "
        06-01 17:59:00 due autumn/c1/1 +4930123456 attempt 1
        06-01 18:00:01 withdrawn autumn/c1/1: nobody dialled in time
        06-02 07:00:00 due autumn/c1/2 +4930123456 attempt 1
        autumn/c1: retry at 06-02 07:00:00 (first dial)",
    );
}

#[test]
fn what_became_due_while_nothing_worked_is_not_told_out_of_hours() {
    // Ticks stop in the morning and go on in the night.
    let rules = super::story::site(rules(hours(9, 20)), rules(hours(9, 20)));
    let mut site =
        super::story::run(&rules, "06-01 06:00:00 load autumn/c1 +4930123456 tz=UTC", super::site::Way::Straight);
    site.jump(moment("06-01 23:00:00"));
    assert_eq!(site.dues.len(), 0, "{:?}", site.dues);
    let row = site.contact_row("autumn/c1").unwrap();
    assert_eq!(row["due_at"].as_i64(), Some(moment("06-02 09:00:00").0), "{row}");
}

#[test]
fn a_promised_call_goes_before_delays_and_caps_with_its_agent_but_never_out_of_hours() {
    let hours = rules(|rules| {
        by_dialer(rules);
        hours(9, 20)(rules);
        rules.attempts = 1;
    });
    check(
        hours.clone(),
        "
        06-01 08:00:00 load autumn/c1 +4930123456
        06-01 08:00:00 dial autumn/c1 +4930123456 k1
        06-01 08:00:30 end k1 busy
        06-01 08:01:00 callback autumn/c1 for=06-01T08:10:00 agent=anna
        06-01 08:11:00 until",
        "
        06-01 08:10:00 due autumn/c1/3 +4930123456 attempt 2 with anna
        autumn/c1: retry at 06-01 08:10:00 (callback)",
    );
    check(
        hours.clone(),
        "
        06-01 08:00:00 load autumn/c1 +4930123456
        06-01 08:01:00 callback autumn/c1 for=06-01T22:00:00",
        "autumn/c1: retry at 06-02 07:00:00 (callback)",
    );
    check(
        hours.clone(),
        "
        06-01 08:00:00 load autumn/c1 +4930123456
        06-01 08:00:10 dnc +4930123456
        06-01 08:01:00 callback autumn/c1 for=06-01T08:10:00",
        "autumn/c1: suppressed (do not call)",
    );
    // Kept, it is over; taken back, too.
    check(
        hours.clone(),
        "
        06-01 08:00:00 load autumn/c1 +4930123456
        06-01 08:01:00 callback autumn/c1 for=06-01T08:10:00
        06-01 08:10:10 dial autumn/c1 +4930123456 k1
        06-01 08:12:00 end k1 answered reached",
        "
        06-01 08:10:00 due autumn/c1/2 +4930123456 attempt 1
        autumn/c1: done (reached)",
    );
    check(
        hours,
        "
        06-01 08:00:00 load autumn/c1 +4930123456
        06-01 08:01:00 callback autumn/c1 for=06-01T08:10:00
        06-01 08:02:00 callback autumn/c1",
        "autumn/c1: held (first dial)",
    );
}

#[test]
fn who_asked_to_be_called_again_is_called_though_they_were_reached() {
    check(
        rules(by_dialer),
        "
        08:00:00 load autumn/c1 +4930123456
        08:00:00 dial autumn/c1 +4930123456 k1
        08:02:00 callback autumn/c1 for=06-01T10:00:00 agent=anna
        08:03:00 end k1 answered reached
        10:00:05 until",
        "
        06-01 10:00:00 due autumn/c1/2 +4930123456 attempt 2 with anna
        autumn/c1: retry at 06-01 10:00:00 (callback)",
    );
}

#[test]
fn a_campaign_that_ends_closes_its_contacts_and_takes_back_what_is_due() {
    check(
        rules(|rules| rules.ends_at = Some(moment("06-01 10:00:00"))),
        "
        09:00:00 load autumn/c1 +4930123456
        10:00:05 until",
        "
        06-01 09:00:00 due autumn/c1/1 +4930123456 attempt 1
        06-01 10:00:00 withdrawn autumn/c1/1: closed: the campaign ended at 2026-06-01 10:00:00 UTC
        autumn/c1: closed (campaign ended)",
    );
    check(
        rules(|rules| rules.state = CampaignState::Paused),
        "09:00:00 load autumn/c1 +4930123456",
        "autumn/c1: held (held)",
    );
}

#[test]
fn a_call_that_is_settled_after_the_campaigns_end_opens_nothing_again() {
    check(
        rules(|rules| {
            by_dialer(rules);
            rules.ends_at = Some(moment("06-01 10:00:00"));
        }),
        "
        09:59:00 load autumn/c1 +4930123456
        09:59:50 dial autumn/c1 +4930123456 k1
        10:00:05 until
        10:00:06 end k1 busy
        10:10:00 until",
        "autumn/c1: closed (campaign ended)",
    );
}

#[test]
fn what_is_overdue_is_due_once_however_often_the_list_is_loaded() {
    check(
        rules(hours(9, 20)),
        "
        06-01 10:00:00 hold autumn
        06-01 10:00:00 load autumn/c1 +4930123456 tz=UTC
        06-02 10:00:00 release autumn
        06-02 10:05:00 load autumn/c1 +4930123456 tz=UTC
        06-02 10:10:00 load autumn/c1 +4930123456 tz=UTC
        06-02 10:11:00 until",
        "
        06-02 10:00:00 due autumn/c1/2 +4930123456 attempt 1
        autumn/c1: retry at 06-02 10:00:00 (first dial)",
    );
}
