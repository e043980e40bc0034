//! The store goes away for a while: what writes waits and catches up, what asks is told which store does not answer.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use calltide_processor::lake::{LakeThread, Options, Tables};

use super::server::S3;
use super::tables::Shop;
use crate::started::{Site, capture, text, until};

/// The longest that a query of these tests may take.
const DEADLINE: Duration = Duration::from_secs(6);

#[test]
fn whatever_the_store_does_meanwhile_the_writer_catches_up_and_nothing_is_doubled() {
    let mut shop = Shop::new();
    let options = || Options { commit_every: Duration::ZERO, ..Options::default() };
    let mut thread = LakeThread::start(shop.lake(), shop.log.clone(), options(), Tables::All).unwrap();
    let mut expected = Vec::new();
    for (round, mood) in ["busy", "refuse", "fail"].into_iter().enumerate() {
        let mut put = |shop: &Shop, n: usize| {
            let id = format!("r{round}-{n}");
            shop.reject(&id, 1, 0);
            expected.push(format!("{id} 1"));
        };
        put(&shop, 0);
        thread.flush_and_wait().unwrap();
        put(&shop, 1);
        shop.s3.is(mood);
        put(&shop, 2);
        let error = thread.flush_and_wait().unwrap_err();
        let told =
            format!("{error} {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default());
        assert!(told.contains(&shop.s3.address), "{mood}: it is named: {told}");
        put(&shop, 3);
        if mood == "fail" {
            // Ending does not wait for each table; the log has what is left.
            let begun = Instant::now();
            thread.stop().unwrap();
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
            shop.s3.is("serve");
            thread = LakeThread::start(shop.lake(), shop.log.clone(), options(), Tables::All).unwrap();
        }
        shop.s3.is("serve");
        until("the writer has caught up by itself", || {
            // What waits until a time waits by the lake's own clock.
            shop.now.fetch_add(1_000_000, Ordering::Relaxed);
            shop.rows().len() == expected.len()
        });
        assert_eq!(shop.rows(), expected, "after {mood}");
    }
    thread.stop().unwrap();
}

#[test]
fn a_query_says_which_store_does_not_answer_and_within_its_deadline() {
    let mut s3 = S3::start();
    let site = Site::alone();
    site.configured(&format!("{}[query]\ndeadline = \"{} s\"\n", s3.configuration(), DEADLINE.as_secs()));
    site.done(&["import", "--pbx", "site-a", "--tz", "UTC", "--queue-log", &capture("asterisk-22.10", "queue_log")]);
    let calls = site.calls();
    assert!(!calls.is_empty());
    for mood in ["refuse", "hang", "busy"] {
        s3.is(mood);
        let begun = Instant::now();
        let told = site.refused(1, &["sql", "SELECT count(*) FROM calls"]);
        // The program itself needs a moment.
        assert!(begun.elapsed() < DEADLINE + Duration::from_secs(2), "{mood}: {:?}", begun.elapsed());
        assert!(told.contains("error: the lake at s3://calls/lake/ cannot be reached: "), "{mood}: {told}");
        assert!(told.contains("hint: "), "{mood}: {told}");
        s3.is("serve");
        assert_eq!(site.calls(), calls, "after {mood}");
    }
}

#[test]
fn collecting_begins_while_the_store_is_away() {
    let mut s3 = S3::start();
    let site = Site::new();
    site.configured(&s3.configuration());
    s3.is("refuse");
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    let told = up.tells("the lake's store does not answer");
    assert!(told.contains("s3://calls/lake/"), "{told}");
    up.tells("serving queries");
    s3.is("serve");
    site.done(&["import", "--pbx", "site-a", "--tz", "UTC", "--queue-log", &capture("asterisk-22.10", "queue_log")]);
    let calls = site.calls();
    assert!(!calls.is_empty());
    up.stop();
    assert_eq!(site.calls(), calls);
}

#[test]
fn a_store_that_is_away_at_an_import_loses_nothing() {
    let mut s3 = S3::start();
    let site = Site::new();
    site.configured(&s3.configuration());
    let file = capture("asterisk-22.10", "queue_log");
    let import = ["import", "--pbx", "site-a", "--tz", "UTC", "--queue-log", &file];
    s3.is("busy");
    let output = site.run(&import);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the lake's store does not answer") && told.contains(&s3.address), "{told}");
    s3.is("serve");
    let (_, told) = site.done(&import);
    assert!(told.contains("0 new events"), "the log had them: {told}");
    assert!(!site.calls().is_empty());
}
