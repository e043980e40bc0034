//! The doors of agents' terminals and of the directory, before a processor that answers as the test says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use calltide_eventlog::Record;
use calltide_query_api::agents::Terminals;
use calltide_query_api::http::{Doors, router};
use calltide_query_api::recycling::{Recycling, Takes};
use calltide_schemas::Micros;
use calltide_schemas::agents::directory::{DirectoryChange, Entry, Origin};
use calltide_schemas::agents::{Answer, ForAgents, Terminal, TerminalWhat};
use calltide_schemas::recycling::Intake;
use calltide_schemas::tables::table;
use calltide_schemas::topics::TERMINALS;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::bench::{Bench, MemoryLog};

/// Whether somebody reads what is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Processor {
    Runs,
    IsAway,
}

/// Hears what is said, and answers as the fold does: but for a device that somebody has.
struct Fold {
    log: Arc<MemoryLog>,
    processor: Processor,
    heard: Mutex<Vec<ForAgents>>,
}

impl Takes for Fold {
    fn take(&self, said: Vec<Intake>) -> Result<(), String> {
        for one in said {
            let Intake::Agents(said) = one else { return Err("another fold's".to_owned()) };
            self.heard.lock().unwrap().push((*said).clone());
            match *said {
                _ if self.processor == Processor::IsAway => {}
                ForAgents::Terminal(said) => self.answer(&said),
                ForAgents::Directory(change) => change_rows(&self.log, &change),
                ForAgents::Tick(_)
                | ForAgents::Member(_)
                | ForAgents::Server(_)
                | ForAgents::Registered(_)
                | ForAgents::Leg(_)
                | ForAgents::Billable(_) => return Err("nothing that comes by these doors".to_owned()),
            }
        }
        Ok(())
    }
}

impl Fold {
    fn answer(&self, said: &Terminal) {
        let device = if let TerminalWhat::Login { device, .. } = &said.what { device.clone() } else { None };
        let is_taken = device.as_deref() == Some("a/PJSIP/taken");
        let answer = Answer {
            request_id: said.request_id.clone(),
            agent: said.agent.clone(),
            terminal: said.terminal.clone(),
            accepted: !is_taken,
            reason: is_taken.then(|| "agent eva uses a/PJSIP/taken".to_owned()),
            device,
            at: said.at,
        };
        let payload = serde_json::to_vec(&answer).ok();
        self.log.push(TERMINALS, Record { key: said.agent.clone().into_bytes(), payload, ..Record::default() });
    }
}

/// Rows of the table `directory`, of which no entry ever comes twice here.
fn change_rows(log: &MemoryLog, change: &DirectoryChange) {
    let row = |kind: &str, id: &str, definition: &str, until: Option<i64>| {
        let row = json!({
            "entry_id": format!("{kind}/{id}"), "entry": kind, "id": id, "definition": definition, "who": change.who,
            "origin": if change.origin == Origin::Api { "api" } else { "configuration" },
            "since_at": change.at.0, "until_at": until, "version": if until.is_some() { 2 } else { 1 },
            "updated_at": change.at.0,
        });
        let payload = Some(row.to_string().into_bytes());
        let key = format!("{kind}/{id}").into_bytes();
        log.push(table("directory").unwrap().topic, Record { key, payload, ..Record::default() });
    };
    for entry in &change.entries {
        row(entry.kind().name(), entry.id(), &serde_json::to_string(entry).unwrap(), None);
    }
    for (kind, id) in &change.removed {
        row(kind.name(), id, "{}", Some(change.at.0));
    }
}

/// A bench with doors.
struct Desk {
    bench: Bench,
    fold: Arc<Fold>,
    doors: Doors,
}

impl Desk {
    fn new(processor: Processor) -> Self {
        let bench = Bench::new();
        let fold = Arc::new(Fold { log: bench.log.clone(), processor, heard: Mutex::default() });
        let takes = || Arc::clone(&fold) as Arc<dyn Takes>;
        let recycling = Arc::new(Recycling::start(bench.log.clone(), takes(), None, Micros(0)).unwrap());
        let terminals = Terminals::start(bench.log.clone(), takes(), Some(Duration::from_secs(120))).unwrap();
        let terminals = match processor {
            Processor::Runs => terminals,
            // It never answers, however long that is waited for.
            Processor::IsAway => terminals.with_patience(Duration::from_millis(100)),
        };
        let doors = Doors { recycling, terminals: Arc::new(terminals) };
        Self { bench, fold, doors }
    }

    /// As the configuration gives them.
    fn configured(self, entries: Value) -> Self {
        let change = DirectoryChange {
            at: Micros(1_700_000_000_000_000),
            who: "the configuration".to_owned(),
            origin: Origin::Configuration,
            entries: serde_json::from_value::<Vec<Entry>>(entries).unwrap(),
            removed: Vec::new(),
            whole: true,
        };
        change_rows(&self.bench.log, &change);
        self
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let router = router(self.bench.engine.clone(), None, Some(self.doors.clone()));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(asked(method, path, &body)).await
    }

    /// What was said last.
    fn heard(&self) -> Option<ForAgents> {
        self.fold.heard.lock().unwrap().last().cloned()
    }

    fn terminal(&self) -> Terminal {
        let Some(ForAgents::Terminal(said)) = self.heard() else { panic!("{:?}", self.heard()) };
        said
    }
}

fn asked(method: Method, path: &str, body: &Value) -> Request<Body> {
    let mut request = Request::new(Body::from(if body.is_null() { String::new() } else { body.to_string() }));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    request
}

const ANNA: &str = "/api/v1/agents/anna/terminals";

#[tokio::test]
async fn a_terminal_is_told_what_became_of_a_login() {
    let desk = Desk::new(Processor::Runs);
    let login =
        json!({ "terminal": "t1", "action": "login", "address": "10.0.0.7", "device": "a/PJSIP/1", "timeout_s": 30 });
    let told = desk.ask(Method::POST, ANNA, login).await;
    assert_eq!(told, (StatusCode::OK, json!({ "accepted": true, "device": "a/PJSIP/1" })));
    let said = desk.terminal();
    assert_eq!((said.agent.as_str(), said.terminal.as_str()), ("anna", "t1"));
    let (address, device) = (Some("10.0.0.7".to_owned()), Some("a/PJSIP/1".to_owned()));
    assert_eq!(said.what, TerminalWhat::Login { address, device, timeout_ms: Some(30_000) });

    let refused = json!({ "terminal": "t1", "action": "login", "device": "a/PJSIP/taken" });
    let (status, problem) = desk.ask(Method::POST, ANNA, refused).await;
    assert_eq!((status, &problem["detail"]), (StatusCode::CONFLICT, &json!("agent eva uses a/PJSIP/taken")));
    for (action, what) in [("heartbeat", TerminalWhat::Heartbeat), ("logout", TerminalWhat::Logout)] {
        let told = desk.ask(Method::POST, ANNA, json!({ "terminal": "t1", "action": action })).await;
        assert_eq!(told, (StatusCode::OK, json!({ "accepted": true, "device": null })));
        assert_eq!(desk.terminal().what, what);
    }
    let said: Vec<ForAgents> = desk.fold.heard.lock().unwrap().clone();
    let id =
        |said: &ForAgents| if let ForAgents::Terminal(said) = said { said.request_id.clone() } else { String::new() };
    assert_eq!(said.iter().map(id).collect::<BTreeSet<_>>().len(), 4, "each request has its name: {said:?}");
}

#[tokio::test]
async fn agents_who_are_not_in_the_directory_are_named_with_their_pbx() {
    let desk = Desk::new(Processor::Runs);
    let path = "/api/v1/agents/site-a%2FAgent%2F101/terminals";
    let (status, _) = desk.ask(Method::POST, path, json!({ "terminal": "t1", "action": "heartbeat" })).await;
    assert_eq!((status, desk.terminal().agent.as_str()), (StatusCode::OK, "site-a/Agent/101"));
}

#[tokio::test]
async fn a_login_comes_from_where_the_request_does_and_lasts_as_is_configured() {
    let desk = Desk::new(Processor::Runs);
    for (peer, forwarded, expected) in [
        (None, None, None),
        (Some("192.0.2.9:1024"), None, Some("192.0.2.9")),
        (Some("192.0.2.9:1024"), Some("10.0.0.7"), Some("192.0.2.9")),
        (Some("127.0.0.1:1024"), Some("10.0.0.6, 10.0.0.7"), Some("10.0.0.7")),
        (Some("127.0.0.1:1024"), Some("unknown"), Some("127.0.0.1")),
    ] {
        let mut request = asked(Method::POST, ANNA, &json!({ "terminal": "t1", "action": "login" }));
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        if let Some(forwarded) = forwarded {
            request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        assert_eq!(desk.send(request).await.0, StatusCode::OK);
        let address = expected.map(str::to_owned);
        let expected = TerminalWhat::Login { address, device: None, timeout_ms: Some(120_000) };
        assert_eq!(desk.terminal().what, expected, "{peer:?} {forwarded:?}");
    }
    let forever = json!({ "terminal": "t1", "action": "login", "address": "::1", "timeout_s": 0 });
    assert_eq!(desk.ask(Method::POST, ANNA, forever).await.0, StatusCode::OK);
    let address = Some("::1".to_owned());
    assert_eq!(desk.terminal().what, TerminalWhat::Login { address, device: None, timeout_ms: None });
}

#[tokio::test]
async fn what_no_terminal_can_mean_is_refused_before_it_is_said() {
    let desk = Desk::new(Processor::Runs);
    for (body, says) in [
        (json!({ "action": "login" }), "missing field `terminal`"),
        (json!({ "terminal": "t1", "action": "log_in" }), "unknown variant `log_in`"),
        (json!({ "terminal": "t1", "action": "login", "devise": "x" }), "unknown field `devise`"),
        (json!({ "terminal": " ", "action": "login" }), "is empty"),
        (json!({ "terminal": "t1", "action": "login", "address": "desk" }), "`desk` is no IP address"),
        (json!({ "terminal": "t1", "action": "login", "timeout_s": 604_801 }), "0 is never"),
        (json!({ "terminal": "t1", "action": "logout", "device": "a/1" }), "belong to a login"),
    ] {
        let (status, problem) = desk.ask(Method::POST, ANNA, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{body}: {problem}");
    }
    assert_eq!(desk.heard(), None);
}

#[tokio::test]
async fn without_a_processor_a_terminal_is_told_to_try_again() {
    let desk = Desk::new(Processor::IsAway);
    let (status, problem) = desk.ask(Method::POST, ANNA, json!({ "terminal": "t1", "action": "logout" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(problem["detail"].as_str().unwrap().contains("is a processor running?"), "{problem}");
}

#[tokio::test]
async fn where_no_log_can_be_written_nothing_can_be_said() {
    let bench = Bench::new();
    for (method, path) in [(Method::POST, ANNA), (Method::PUT, "/api/v1/directory/team/sales")] {
        let request = asked(method, path, &json!({ "terminal": "t1", "action": "logout" }));
        let request = if path == ANNA { request } else { asked(Method::PUT, path, &json!({})) };
        let response = router(bench.engine.clone(), None, None).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_log_nobody_out_and_change_nothing() {
    let desk = Desk::new(Processor::Runs);
    for (method, path, body) in [
        (Method::POST, ANNA, json!({ "terminal": "t1", "action": "logout" })),
        (Method::PUT, "/api/v1/directory/team/sales", json!({})),
        (Method::DELETE, "/api/v1/directory/team/sales", Value::Null),
    ] {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://elsewhere.example")] {
            let mut request = asked(method.clone(), path, &body);
            request.headers_mut().insert(name, value.parse().unwrap());
            assert_eq!(desk.send(request).await.0, StatusCode::FORBIDDEN, "{method} {path} {name}");
        }
    }
    assert_eq!(desk.heard(), None);
}

#[tokio::test]
async fn the_directory_is_shown_and_changed_entry_by_entry() {
    let desk = Desk::new(Processor::Runs).configured(json!([{ "entry": "team", "id": "sales", "name": "Sales" }]));
    let (status, all) = desk.ask(Method::GET, "/api/v1/directory", Value::Null).await;
    assert_eq!((status, all.as_array().unwrap().len()), (StatusCode::OK, 1));
    let sales = json!({
        "entry": "team", "id": "sales", "definition": { "entry": "team", "id": "sales", "name": "Sales" },
        "origin": "configuration", "who": "the configuration", "since_at": all[0]["since_at"],
    });
    assert_eq!(all[0], sales);

    let anna = "/api/v1/directory/agent/anna";
    assert_eq!(desk.ask(Method::GET, anna, Value::Null).await.0, StatusCode::NOT_FOUND);
    let body = json!({ "team": "sales", "names": ["site-a/Agent/101"] });
    let (status, row) = desk.ask(Method::PUT, &format!("{anna}?who=eva"), body).await;
    assert_eq!((status, &row["origin"], &row["who"]), (StatusCode::OK, &json!("api"), &json!("eva")), "{row}");
    assert_eq!(row["definition"]["team"], "sales");
    assert_eq!(desk.ask(Method::GET, anna, Value::Null).await, (StatusCode::OK, row));
    let (status, row) = desk.ask(Method::PUT, "/api/v1/directory/device/site-a/PJSIP/101", json!({})).await;
    assert_eq!((status, &row["id"], &row["who"]), (StatusCode::OK, &json!("site-a/PJSIP/101"), &json!("the HTTP API")));
    let (_, agents) = desk.ask(Method::GET, "/api/v1/directory?kind=agent", Value::Null).await;
    assert_eq!(agents.as_array().unwrap().len(), 1, "{agents}");

    assert_eq!(desk.ask(Method::DELETE, anna, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(desk.ask(Method::GET, anna, Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_change_that_may_not_be_is_not_made() {
    let team = json!({ "entry": "team", "id": "sales" });
    let desk = Desk::new(Processor::Runs).configured(json!([team]));
    let (status, _) = desk.ask(Method::PUT, "/api/v1/directory/group/es", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = desk.ask(Method::PUT, "/api/v1/directory/agent/eva", json!({ "groups": ["es"] })).await;
    assert_eq!(status, StatusCode::OK);
    let before = desk.fold.heard.lock().unwrap().len();
    for (method, path, body, status, says) in [
        (Method::PUT, "team/sales", json!({ "name": "Mail" }), 409, "team `sales` stands in the configuration"),
        (Method::DELETE, "team/sales", Value::Null, 409, "team `sales` stands in the configuration"),
        (Method::DELETE, "team/mail", Value::Null, 404, "there is no team `mail`"),
        (Method::DELETE, "group/es", Value::Null, 409, "agent `eva`: group `es` is not in the directory"),
        (Method::PUT, "agent/anna", json!({ "team": "mail" }), 400, "team `mail` is not in the directory"),
        (Method::PUT, "agent/anna", json!({ "taem": "sales" }), 400, "unknown field `taem`"),
        (Method::PUT, "agent/anna", json!({ "id": "eva" }), 400, "asked for anna"),
        (Method::PUT, "rate/es", json!({ "per_minute": "x", "currency": "EUR" }), 400, "`x` is no price"),
        (Method::PUT, "agents/anna", json!({}), 404, "known are user, team"),
    ] {
        let path = format!("/api/v1/directory/{path}");
        let (code, problem) = desk.ask(method.clone(), &path, body).await;
        assert_eq!(code.as_u16(), status, "{method} {path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{method} {path}: {problem}");
    }
    assert_eq!(desk.ask(Method::GET, "/api/v1/directory?kind=agents", Value::Null).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(desk.fold.heard.lock().unwrap().len(), before);
}

#[tokio::test]
async fn a_change_that_nobody_takes_in_is_in_the_log_all_the_same() {
    let desk = Desk::new(Processor::IsAway);
    let (status, _) = desk.ask(Method::PUT, "/api/v1/directory/team/sales", json!({ "name": "Sales" })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let Some(ForAgents::Directory(change)) = desk.heard() else { panic!("{:?}", desk.heard()) };
    assert_eq!((change.entries[0].id(), change.whole, change.origin), ("sales", false, Origin::Api));
}
