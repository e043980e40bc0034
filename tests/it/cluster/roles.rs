//! What each role does when all is well, and what it says when it is not.

use super::broker::{Broker, Door};
use super::doors::{certificates, passwords};
use super::topology::{Pbxs, Role, Topology};
use crate::started::{Site, address, capture, get, until};
use crate::store::server::S3;

const KAFKA: &str = "[log]\nkafka = \"127.0.0.1:1\"\n";

#[test]
fn without_kafka_the_roles_say_what_does_it_on_one_machine() {
    let site = Site::new();
    for role in ["ingest", "processor"] {
        let told = site.refused(2, &[role]);
        assert!(told.contains("[log] kafka names no broker") && told.contains("calltide up"), "{told}");
    }
}

#[test]
fn with_kafka_what_is_for_one_machine_says_what_does_it_there() {
    let site = Site::new();
    site.configured(KAFKA);
    for (command, instead) in [
        (["up", "--listen=127.0.0.1:0"], "calltide processor"),
        (["log", "verify"], "brokers"),
        (["log", "clean"], "[log] events"),
    ] {
        let told = site.refused(2, &command);
        assert!(told.contains("Kafka") && told.contains(instead), "{told}");
    }
    let told = site.refused(2, &["ingest"]);
    assert!(told.contains("no [[pbx]]"), "{told}");
}

#[test]
fn brokers_that_do_not_answer_are_named() {
    let site = Site::new();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    site.configured(&format!("[log]\nkafka = \"{free}\"\n"));
    let mut processor = site.start(&["processor", "--listen", "127.0.0.1:0"]);
    let line = processor.tells("waiting for Kafka");
    assert!(line.contains(&free.to_string()), "{line}");
    processor.stop();
    // Whoever asks meanwhile is told, too.
    let mut api = site.start(&["query-api", "--listen", "127.0.0.1:0"]);
    let url = address(&api.tells("listening"));
    api.tells("waiting for Kafka");
    assert!(get(&url, "/healthz").0.starts_with("HTTP/1.1 200"));
    for path in ["/readyz", "/api/v1/calls", "/api/v1/sql?q=SELECT%201"] {
        let (head, body) = get(&url, path);
        assert!(head.starts_with("HTTP/1.1 503") && body.contains("waiting for Kafka"), "{path}: {head}\n{body}");
    }
    api.stop();
    let told = site.refused(1, &["log", "ls"]);
    assert!(told.contains(&free.to_string()) && told.contains("hint:"), "{told}");
}

#[test]
fn a_call_goes_from_the_pbx_through_all_roles_into_the_tables() {
    let mut pbxs = Pbxs::playing(std::path::Path::new(&capture("asterisk-22.10", "ami.raw")));
    let s3 = S3::start();
    let Some(mut cluster) = Topology::over(&pbxs, &s3.configuration()) else { return };
    cluster.up();
    pbxs.finish();
    let wanted = Site::new();
    for pbx in super::topology::PBXS {
        wanted.done(&["import", "--pbx", pbx, "--ami", &capture("asterisk-22.10", "ami.raw"), "--keep-open"]);
    }
    let outcomes = |site: &Site| site.rows("SELECT call_id, status, agent, talk_ms FROM calls ORDER BY call_id");
    let wanted = outcomes(&wanted);
    assert!(wanted.len() > 10, "{}", wanted.len());
    until("every call is told", || outcomes(&cluster.reader) == wanted);
    // Two query sides serve the same, each for itself.
    let mut apis = [(); 2].map(|()| Role::configured("query-api", &configuration(&cluster.reader)));
    apis.iter_mut().for_each(Role::up);
    let told = |api: &Role| {
        get(api.url(), "/api/v1/sql?q=SELECT%20call_id,status,agent,talk_ms%20FROM%20calls%20ORDER%20BY%20call_id")
    };
    for api in &apis {
        let (head, body) = told(api);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{head}\n{body}"));
        assert_eq!(rows, wanted);
    }
    let [mut other, mut api] = apis;
    other.kill();
    assert!(told(&api).0.starts_with("HTTP/1.1 200"));
    for role in [&cluster.ingest, &cluster.processors[0], &cluster.processors[1], &api] {
        assert!(get(role.url(), "/readyz").0.starts_with("HTTP/1.1 200"), "{}", get(role.url(), "/readyz").1);
        assert!(get(role.url(), "/metrics").1.contains("# TYPE calltide_"));
    }
    assert!(cluster.ingest.metric("calltide_forward_connected") > 0.0);
    // What is imported at the centre is recognised as told, too.
    let file = capture("asterisk-16.28", "ami.raw");
    let (_, once) = cluster.reader.done(&["import", "--pbx", "old", "--ami", &file]);
    assert!(once.contains("processors derive"), "{once}");
    until("what was imported is told", || {
        !cluster.reader.rows("SELECT call_id FROM calls WHERE pbx = 'old' AND settled LIMIT 1").is_empty()
    });
    let (_, again) = cluster.reader.done(&["import", "--pbx", "old", "--ami", &file]);
    assert!(again.contains("imported old: 0 new events"), "{again}");
    let (topics, _) = cluster.reader.done(&["log", "ls"]);
    assert!(topics.contains("calltide.calls") && topics.contains("ami/north/"), "{topics}");
    let (table, _) = cluster.reader.done(&["check", "--offline"]);
    assert!(table.contains("Kafka answers"), "{table}");
    let (one, _) = cluster.reader.done(&["log", "cat", "calls", "--limit", "3"]);
    assert_eq!(one.lines().count(), 3);
    // A broker that dies takes no query side with it.
    cluster.broker.kill();
    until("queries are told that the log is away", || told(&api).0.starts_with("HTTP/1.1 503"));
    assert!(get(api.url(), "/readyz").0.starts_with("HTTP/1.1 503"));
    assert!(get(api.url(), "/healthz").0.starts_with("HTTP/1.1 200"));
    cluster.broker.run();
    until("they are answered again", || told(&api).0.starts_with("HTTP/1.1 200"));
    api.stop();
    cluster.ingest.stop();
    cluster.processors.iter_mut().for_each(Role::stop);
}

#[test]
fn with_tls_and_a_password_the_roles_are_let_in_and_without_they_are_told() {
    let mut pbxs = Pbxs::playing(std::path::Path::new(&capture("asterisk-16.28", "ami.raw")));
    let mut ca = None;
    let settings = |dir: &std::path::Path| {
        ca = certificates(dir).tls.and_then(|tls| tls.ca);
        passwords()
    };
    let Some(broker) = Broker::start_with(Door::SaslSsl, settings) else { return };
    let lake = tempfile::tempdir().unwrap();
    let log = |password: &str| {
        format!(
            "[log]\nkafka = \"{}\"\npartitions = 2\n[log.tls]\nca = \"{}\"\n[log.login]\n\
             username = \"anna\"\npassword = \"{password}\"\n",
            broker.servers(),
            ca.as_ref().unwrap().display()
        )
    };
    let tables = format!("[lake]\nurl = \"file://{}\"\n[processor]\nworkers = 1\n", lake.path().display());
    let mut ingest = Role::configured("ingest", &format!("{}{}", log("anna-secret"), pbxs.configuration()));
    let mut processor = Role::configured("processor", &format!("{}{tables}", log("anna-secret")));
    ingest.up();
    processor.up();
    pbxs.finish();
    until("calls are told", || {
        let calls = processor.site.rows("SELECT pbx, count(*) AS n FROM calls GROUP BY pbx HAVING count(*) > 5");
        calls.len() == super::topology::PBXS.len()
    });
    let stranger = Site::new();
    stranger.configured(&log("wrong"));
    let told = stranger.refused(1, &["log", "ls"]);
    assert!(told.to_lowercase().contains("authentication failed") && !told.contains("wrong\""), "{told}");
    ingest.stop();
    processor.stop();
}

fn configuration(site: &Site) -> String {
    std::fs::read_to_string(site.data().with_file_name("calltide.toml")).unwrap()
}
