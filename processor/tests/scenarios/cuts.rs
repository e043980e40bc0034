//! AMI is cut in the middle of calls, and made again: what the files know fills the gap; what nobody saw is estimated.

use crate::expected::compare;
use crate::replay::Replay;
use crate::timeline::records::{records, with_heartbeats};
use crate::timeline::told;
use crate::ways::{ALL, AMI, PBX, check_files, check_told, replay};
use calltide_processor::calls::CallSettings;

/// A talk that ends while AMI is cut.
const ENDS_UNHEARD: &str = "
    12:00:00 call from 79161000001 to support on trunk as C
    12:00:00 C enters queue support
    12:00:00 queue support offers C to agent Agent/101 at PJSIP/101 as A
    12:00:04 A answers
    12:00:30 AMI is cut
    12:01:04 C hangs up
    12:02:00 AMI is back";

#[test]
fn what_ended_during_the_cut_ends_with_it_unless_a_file_knows() {
    check_told(
        ENDS_UNHEARD,
        AMI,
        "calls status agent end_estimated talk_ms sources
               answered Agent/101 true 26 ami",
    );
    check_told(
        ENDS_UNHEARD,
        ALL,
        "calls status agent end_estimated talk_ms sources
               answered Agent/101 false 60 ami,cel,queue_log",
    );
}

#[test]
fn a_call_that_came_and_went_during_the_cut_is_told_by_files_once() {
    let story = "
        12:00:00 call from 79161000009 to support on trunk as X
        12:00:00 X enters queue support
        12:00:02 X hangs up
        12:00:30 AMI is cut
        12:00:40 call from 79161000001 to support on trunk as C
        12:00:40 C enters queue support
        12:00:41 queue support offers C to agent Agent/101 at PJSIP/101 as A
        12:00:44 A answers
        12:01:04 C hangs up
        12:02:00 AMI is back";
    check_told(story, AMI, "calls status sources\n abandoned ami");
    let expected = "calls status end_estimated sources
                          abandoned false ami,cel,queue_log
                          answered false cel,queue_log";
    check_told(story, ALL, expected);
}

#[test]
fn a_call_that_began_during_the_cut_goes_on() {
    let story = "
        12:00:00 AMI is cut
        12:00:10 call from 79161000001 to support on trunk as C
        12:00:10 C enters queue support
        12:00:11 queue support offers C to agent Agent/101 at PJSIP/101 as A
        12:00:14 A answers
        12:00:30 AMI is back
        12:01:04 C hangs up";
    // Since when they talked is not told: it counts from the moment at which they were seen.
    check_told(story, AMI, "calls direction status agent end_estimated talk_ms\n inbound answered PJSIP/101 false 34");
    check_told(story, ALL, "calls direction status agent end_estimated talk_ms\n inbound answered Agent/101 false 50");
    check_files(story, "calls direction status agent end_estimated talk_ms\n inbound answered Agent/101 false 50");
}

#[test]
fn a_call_that_lives_through_the_cut_is_not_touched() {
    let story = "
        12:00:00 call from 79161000001 to support on trunk as C
        12:00:00 C enters queue support
        12:00:00 queue support offers C to agent Agent/101 at PJSIP/101 as A
        12:00:04 A answers
        12:00:30 AMI is cut
        12:01:00 AMI is back
        12:02:04 C hangs up";
    for sources in [AMI, ALL] {
        check_told(
            story,
            sources,
            "calls status agent end_estimated talk_ms
                   answered Agent/101 false 120",
        );
    }
}

#[test]
fn what_rang_unheard_is_not_known_never_to_have_rung() {
    // Straight to a trunk; AMI would have told of its ringing, but was not there.
    let story = "
        12:00:00 originate 74951000001 on trunk for campaign spring contact c1 as T
        12:00:06 AMI is cut
        12:00:08 T rings
        12:00:14 T ends with cause 21
        12:00:30 AMI is back";
    check_told(story, AMI, "calls status end_estimated\n no_answer true");
    check_told(story, ALL, "calls status end_estimated status_evidence\n rejected false hangup_cause=21");
}

#[test]
fn a_file_that_comes_hours_later_corrects_the_end() {
    let (mut first, files): (Vec<_>, Vec<_>) = with_heartbeats(&told(ENDS_UNHEARD), ALL)
        .into_iter()
        .partition(|t| !matches!(t.source.name(), "cel" | "queue_log"));
    let estimated = replay(&records(PBX, &first)).tables();
    compare(&estimated, "calls status end_estimated talk_ms\n answered true 26", "before");
    first.extend(files);
    let last = first.iter().map(|t| t.at).max().unwrap();
    first.extend((1..=10).map(|n| crate::timeline::records::heartbeat(last + n * 1_000_000)));
    let mut corrected = Replay::new(&CallSettings::default());
    for record in records(PBX, &first) {
        corrected.take(&record);
        corrected.restart();
    }
    compare(&corrected.tables(), "calls status end_estimated talk_ms\n answered false 60", "the file is imported");
}

#[test]
fn a_shutdown_ends_what_was_up_at_that_moment() {
    check_told(
        "12:00:00 call from 79161000001 to support on trunk as C
         12:00:00 C enters queue support
         12:00:00 queue support offers C to agent Agent/101 at PJSIP/101 as A
         12:00:04 A answers
         12:01:04 PBX shuts down",
        AMI,
        "calls status agent end_estimated talk_ms
               answered Agent/101 true 60",
    );
}
