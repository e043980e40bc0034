//! Encrypted connections, certificates on both sides, passwords; and what is said to who is not let in.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use calltide_eventlog::{
    LogError, Polled,
    kafka::{KafkaLog, KafkaOptions, Login, Mechanism, Security, Tls},
};

use super::{
    Broker,
    broker::Door,
    doors::{KEYS, certificates, passwords},
    open, options,
};
use crate::{EVENTS, append, ids, topics};

/// Writes, reads and commits.
fn assert_works(options: &KafkaOptions) {
    let log = open(options);
    append(&log, 0, 1);
    assert_eq!(ids(&log, EVENTS, 0).len(), 1);
    let mut worker = calltide_eventlog::EventLog::worker(&log, "calls", EVENTS).unwrap();
    loop {
        match worker.poll(1000, Duration::from_secs(60)).unwrap() {
            Polled::Batch { partition, batch } if !batch.records.is_empty() => {
                let next = batch.next;
                return worker.commit(partition, calltide_eventlog::Commit { next, ..Default::default() }).unwrap();
            }
            Polled::Batch { .. } | Polled::Assigned { .. } | Polled::Revoked { .. } => {}
        }
    }
}

/// Says soon who did not answer, and something of why.
fn assert_refused(options: &KafkaOptions, why: &str) {
    let options = KafkaOptions { patience: Duration::from_secs(5), ..options.clone() };
    let began = Instant::now();
    let refused = KafkaLog::open(&options, &topics()).map(drop);
    let Err(error @ LogError::Unreachable { .. }) = refused else { panic!("{refused:?}") };
    let text = error.to_string().to_lowercase();
    assert!(text.contains(&options.servers) && text.contains(why), "{why}: {text}");
    assert!(began.elapsed() < options.patience * 4, "{:?}", began.elapsed());
}

#[test]
fn certificates_on_both_sides() {
    let mut security = Security::default();
    let settings = |dir: &Path| {
        security = certificates(dir);
        format!("{KEYS}ssl.client.auth=required\n")
    };
    let Some(broker) = Broker::start_with(Door::Ssl, settings) else { return };
    let options = KafkaOptions { security, ..options(&broker) };
    assert_works(&options);
    let tls = options.security.tls.clone().unwrap();
    let with = |tls| KafkaOptions { security: Security { tls, login: None }, ..options.clone() };
    assert_refused(&with(Some(Tls { identity: None, ..tls.clone() })), "certificate");
    let other: Option<PathBuf> = tls.ca.as_ref().map(|ca| ca.with_file_name("other-ca.pem"));
    assert_refused(&with(Some(Tls { ca: other, ..tls })), "certificate verify failed");
    assert_refused(&with(None), "");
}

#[test]
fn passwords_over_tls() {
    let mut security = Security::default();
    let settings = |dir: &Path| {
        security = certificates(dir);
        passwords()
    };
    let Some(broker) = Broker::start_with(Door::SaslSsl, settings) else { return };
    let tls = security.tls.map(|tls| Tls { identity: None, ..tls });
    let with = |mechanism, password: &str| {
        let login = Some(Login { mechanism, user: "anna".into(), password: password.into() });
        KafkaOptions { security: Security { tls: tls.clone(), login }, ..options(&broker) }
    };
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        assert_works(&with(mechanism, "anna-secret"));
        assert_refused(&with(mechanism, "wrong"), "authentication failed");
    }
    let shown = format!("{:?}", with(Mechanism::Plain, "anna-secret"));
    assert!(!shown.contains("anna-secret"), "{shown}");
}

#[test]
fn who_does_not_answer_is_named() {
    // Bound, but nobody takes connections from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = silent.local_addr().unwrap().to_string();
    assert_refused(&KafkaOptions::new(&servers, "one"), "");
    drop(silent);
    assert_refused(&KafkaOptions::new(&servers, "one"), "connection refused");
    assert_refused(&KafkaOptions::new("nowhere.invalid:9092", "one"), "resolve");
}
