//! The HTTP door: what each address answers, in which format, and how errors look.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use calltide_query_api::http::{ServeError, openapi, router, serve};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::bench::{Bench, at};

/// Status, media type, `Link`, body.
async fn send(bench: &Bench, request: Request<Body>) -> (StatusCode, String, Option<String>, String) {
    let response = router(bench.engine.clone(), None).oneshot(request).await.unwrap();
    let text = |name| response.headers().get(name).map(|v: &header::HeaderValue| v.to_str().unwrap().to_owned());
    let (status, kind, link) = (response.status(), text(header::CONTENT_TYPE), text(header::LINK));
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, kind.unwrap_or_default(), link, String::from_utf8_lossy(&body).into_owned())
}

async fn get(bench: &Bench, path: &str) -> (StatusCode, Value) {
    let (status, _, _, body) = send(bench, Request::get(path).body(Body::empty()).unwrap()).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

fn publish_call(bench: &Bench, id: &str, started: &str) {
    bench.publish(
        "calls",
        json!({
            "call_id": id, "version": 1, "direction": "inbound", "status": "answered", "class": "connected",
            "queue": "sales", "agent": "anna", "number_e164": "+4930123", "number_raw": "030123", "pbx": "pbx1",
            "started_at": at(started), "ended_at": at(started),
        }),
    );
}

#[tokio::test]
async fn sql_is_answered_by_get_and_by_both_kinds_of_post() {
    let bench = Bench::new();
    assert_eq!(get(&bench, "/api/v1/sql?q=SELECT%201%20AS%20n").await, (StatusCode::OK, json!([{"n": 1}])));
    for (kind, body) in
        [("text/plain", "SELECT 1 AS n"), ("application/json; charset=utf-8", "{\"sql\":\"SELECT 1 AS n\"}")]
    {
        let request = Request::post("/api/v1/sql").header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap();
        let (status, _, _, body) = send(&bench, request).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "[{\"n\":1}]\n"), "{kind}");
    }
}

#[tokio::test]
async fn the_format_is_what_accept_prefers() {
    let bench = Bench::new();
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("text/html, text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/csv;q=0.1, */*;q=0.8", "application/json"),
    ] {
        let request =
            Request::get("/api/v1/sql?q=SELECT%201").header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let (status, kind, _, _) = send(&bench, request).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, expected), "{accept}");
    }
    let request =
        Request::get("/api/v1/sql?q=SELECT%201").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    assert_eq!(send(&bench, request).await.0, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn errors_are_problem_details() {
    let bench = Bench::new();
    for (path, status, kind) in [
        ("/api/v1/sql?q=DROP%20TABLE%20calls", 403, "refused"),
        ("/api/v1/sql?q=SELECT%20nothing%20FROM%20calls", 400, "invalid"),
        ("/api/v1/sql?q=SELECT%201%2F0", 422, "failed"),
        ("/api/v1/sql", 400, "invalid"),
        ("/api/v1/reports/outcomes?by=colour", 400, "invalid"),
        ("/api/v1/reports/outcomes?basis=person", 400, "invalid"),
        ("/api/v1/reports/outcomes?tz=Mars/Olympus", 400, "invalid"),
        ("/api/v1/reports/outcomes?from=yesterday", 400, "invalid"),
        ("/api/v1/reports/outcomes?colour=red", 400, "invalid"),
        ("/api/v1/calls?limit=0", 400, "invalid"),
        ("/api/v1/calls?cursor=x", 400, "invalid"),
        ("/api/v1/calls/pbx1/nothing", 404, "not-found"),
        ("/nothing", 404, "not-found"),
        ("/metrics", 404, "not-found"),
    ] {
        let (code, media, _, body) = send(&bench, Request::get(path).body(Body::empty()).unwrap()).await;
        let problem: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"));
        assert_eq!((code.as_u16(), media.as_str()), (status, "application/problem+json"), "{path}: {body}");
        assert_eq!(problem["type"], format!("urn:calltide:problem:{kind}"), "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().is_some_and(|d| !d.is_empty()), "{path}");
    }
    let (status, _, _, _) = send(&bench, Request::delete("/api/v1/calls").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn outcomes_take_their_question_from_the_address() {
    let bench = Bench::new();
    publish_call(&bench, "pbx1/1.1", "2026-03-01T22:30:00Z");
    publish_call(&bench, "pbx1/1.2", "2026-03-01T23:30:00Z");
    let path = "/api/v1/reports/outcomes?by=day,queue&tz=Europe/Berlin&from=2026-03-02&to=2026-03-03&direction=inbound";
    let (status, rows) = get(&bench, path).await;
    assert_eq!(status, StatusCode::OK, "{rows}");
    let seen: Vec<_> =
        rows.as_array().unwrap().iter().map(|r| (r["day"].clone(), r["queue"].clone(), r["total"].clone())).collect();
    assert_eq!(seen, [(json!("2026-03-02"), json!("sales"), json!(1)), (json!("total"), Value::Null, json!(1))]);
}

#[tokio::test]
async fn calls_are_listed_page_by_page_newest_first() {
    let bench = Bench::new();
    for n in 1..=5 {
        publish_call(&bench, &format!("pbx1/{n}.1"), "2026-03-01T09:00:00Z");
    }
    publish_call(&bench, "pbx1/9.1", "2026-03-01T10:00:00Z");
    let mut path = "/api/v1/calls?queue=sales&number=030123&limit=4".to_owned();
    let mut seen = Vec::new();
    loop {
        let (status, _, link, body) = send(&bench, Request::get(&path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let rows: Value = serde_json::from_str(&body).unwrap();
        seen.extend(rows.as_array().unwrap().iter().map(|r| r["call_id"].as_str().unwrap().to_owned()));
        // Meanwhile a new call comes in: the pages to come do not shift.
        publish_call(&bench, "pbx1/99.1", "2026-03-01T11:00:00Z");
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen, ["pbx1/9.1", "pbx1/5.1", "pbx1/4.1", "pbx1/3.1", "pbx1/2.1", "pbx1/1.1"]);
    let (_, none) = get(&bench, "/api/v1/calls?agent=o%27brien").await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn one_call_comes_with_its_legs_visits_and_story() {
    let bench = Bench::new();
    publish_call(&bench, "pbx1/1.1", "2026-03-01T09:00:00Z");
    bench
        .publish("legs", json!({"leg_id": "pbx1/1.1#1.2", "call_id": "pbx1/1.1", "outcome": "answered", "version": 1}));
    bench.publish(
        "queue_visits",
        json!({"visit_id": "pbx1/1.1#1", "call_id": "pbx1/1.1", "queue": "sales", "version": 1}),
    );
    let story = json!([{"at": 1, "source": "ami", "what": "the call came in"}]);
    bench.publish("stories", json!({"call_id": "pbx1/1.1", "story": story.to_string(), "version": 1}));
    for path in ["/api/v1/calls/pbx1/1.1", "/api/v1/calls/pbx1%2F1.1"] {
        let (status, call) = get(&bench, path).await;
        assert_eq!(status, StatusCode::OK, "{call}");
        assert_eq!(call["call"]["call_id"], "pbx1/1.1");
        assert_eq!(call["legs"][0]["leg_id"], "pbx1/1.1#1.2");
        assert_eq!(call["queue_visits"][0]["queue"], "sales");
        assert_eq!(call["story"], story);
    }
}

#[tokio::test]
async fn health_is_told() {
    let bench = Bench::new();
    assert_eq!(get(&bench, "/healthz").await, (StatusCode::OK, json!("ok\n")));
    assert_eq!(get(&bench, "/readyz").await, (StatusCode::OK, json!("ok\n")));
    assert_eq!(get(&bench, "/openapi.json").await.1["openapi"], "3.1.0");
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    let bench = Bench::new();
    let open = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = serve(open, router(bench.engine.clone(), None), std::future::ready(())).await.unwrap_err();
    assert!(matches!(error, ServeError::NotLoopback { .. }), "{error}");
    let local = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve(local, router(bench.engine.clone(), None), std::future::ready(())).await.unwrap();
}

/// `CALLTIDE_BLESS=1` writes the document instead.
#[test]
fn the_checked_in_openapi_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let generated = openapi().unwrap();
    if std::env::var_os("CALLTIDE_BLESS").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), generated, "CALLTIDE_BLESS=1 updates {path}");
}
