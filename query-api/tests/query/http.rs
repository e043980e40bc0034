//! The HTTP door: what each address answers, in which format, and how errors look.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use calltide_query_api::http::{ServeError, ServeLimits, openapi, router, serve, serve_within};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::bench::{Bench, at};

/// Status, media type, `Link`, body.
async fn send(bench: &Bench, request: Request<Body>) -> (StatusCode, String, Option<String>, String) {
    let response = router(bench.engine.clone(), None, None).oneshot(request).await.unwrap();
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
async fn parameters_come_in_the_json_body() {
    let bench = Bench::new();
    publish_call(&bench, "pbx1/1.1", "2026-03-01T09:00:00Z");
    let ask = async |body: Value| {
        let request = Request::post("/api/v1/sql").header(header::CONTENT_TYPE, "application/json");
        let (status, _, _, body) = send(&bench, request.body(Body::from(body.to_string())).unwrap()).await;
        (status, body)
    };
    let sql = "SELECT call_id FROM calls WHERE agent = $1 AND started_at < $2 AND version >= $3 AND settled = $4";
    let (status, body) = ask(json!({"sql": sql, "parameters": ["anna", "2026-03-02", 0, false]})).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "[{\"call_id\":\"pbx1/1.1\"}]\n"));
    let (status, body) = ask(json!({"sql": sql, "parameters": ["anna", "2026-03-02", null, false]})).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "[]\n"));
    for (parameters, says) in [
        (json!(["anna"]), "has 4 parameters, 1 values"),
        (json!(["anna", "yesterday", 0, false]), "the value of $2"),
        (json!(["anna", [], 0, false]), "the value of $2 is no text"),
    ] {
        let (status, body) = ask(json!({"sql": sql, "parameters": parameters})).await;
        assert!(status == StatusCode::BAD_REQUEST && body.contains(says), "{status}: {body}");
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
async fn csv_says_that_it_has_no_lists() {
    let bench = Bench::new();
    publish_call(&bench, "pbx1/1.1", "2026-03-01T22:30:00Z");
    let path = "/api/v1/sql?q=SELECT%20array_agg(call_id)%20AS%20ids%20FROM%20calls";
    let asked = |accept: &str| Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let (status, _, _, body) = send(&bench, asked("text/csv")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("`ids`"), "{body}");
    let (_, _, _, body) = send(&bench, asked("application/json")).await;
    assert_eq!(body.trim_end(), "[{\"ids\":[\"pbx1/1.1\"]}]");
}

#[tokio::test]
async fn agents_teams_and_the_present_are_told() {
    let bench = Bench::new();
    bench.publish(
        "agent_intervals",
        json!({
            "interval_id": "p/anna@1", "person": "p/anna", "agent": "anna", "team": "blue", "session_id": "1",
            "state": "available", "at_once": 1, "started_at": at("2026-03-01T09:50:00Z"), "version": 1,
        }),
    );
    let times = "from=2026-03-01T10:00&to=2026-03-01T11:00&tz=UTC&now=2026-03-01T12:00";
    for (path, group, name) in [
        (format!("/api/v1/reports/agents?{times}"), "agent", "anna"),
        (format!("/api/v1/reports/teams?{times}"), "team", "blue"),
        (format!("/api/v1/reports/agents?by=hour&{times}"), "hour", "2026-03-01T10:00+00:00"),
    ] {
        let (status, rows) = get(&bench, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {rows}");
        assert_eq!((&rows[0][group], &rows[0]["login_ms"]), (&json!(name), &json!(3_600_000)), "{path}");
        assert_eq!(rows[1][group], "total", "{path}");
    }
    let request = Request::get("/api/v1/reports/teams").header(header::ACCEPT, "text/csv").body(Body::empty()).unwrap();
    let (_, kind, _, body) = send(&bench, request).await;
    assert!(kind == "text/csv" && body.starts_with("team,logins,first_login_at,"), "{kind}: {body}");

    let (status, live) = get(&bench, "/api/v1/live?now=2026-03-01T10:00:00Z").await;
    assert_eq!((status, &live["at"]), (StatusCode::OK, &json!("2026-03-01T10:00:00Z")));
    assert_eq!((&live["agents"][0]["state"], &live["agents"][0]["for_ms"]), (&json!("available"), &json!(600_000)));
    assert_eq!(live["queues"], json!([]));
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
        ("/api/v1/reports/outcomes?day_start=25:00", 400, "invalid"),
        ("/api/v1/reports/agents?day_start=6:00", 400, "invalid"),
        ("/api/v1/live?day_start=noon", 400, "invalid"),
        ("/api/v1/reports/queues?by=agent", 400, "invalid"),
        ("/api/v1/reports/queues?within_s=-1", 400, "invalid"),
        ("/api/v1/reports/queues?tz=Mars/Olympus", 400, "invalid"),
        ("/api/v1/reports/agents?by=colour", 400, "invalid"),
        ("/api/v1/reports/agents?short_s=-1", 400, "invalid"),
        ("/api/v1/reports/teams?tz=Mars/Olympus", 400, "invalid"),
        ("/api/v1/live?now=yesterday", 400, "invalid"),
        ("/api/v1/live?tz=Mars/Olympus", 400, "invalid"),
        ("/api/v1/calls?limit=0", 400, "invalid"),
        ("/api/v1/calls?cursor=x", 400, "invalid"),
        ("/api/v1/calls?status=anwsered", 400, "invalid"),
        ("/api/v1/calls?direction=up", 400, "invalid"),
        ("/api/v1/calls?from=2026-03-29[Europe/Moscow]", 400, "invalid"),
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
    // The second call began in the night after the first of March.
    let path = "/api/v1/reports/outcomes?by=day&tz=Europe/Berlin&day_start=06:00&from=2026-03-01&to=2026-03-02";
    let (_, rows) = get(&bench, path).await;
    assert_eq!((&rows[0]["day"], &rows[0]["total"]), (&json!("2026-03-01"), &json!(2)));
}

#[tokio::test]
async fn queues_take_their_limits_from_the_address() {
    let bench = Bench::new();
    let row = json!({
        "visit_id": "p/1#1", "call_id": "p/1", "queue": "sales", "outcome": "answered", "wait_ms": 30_000, "version": 1,
        "entered_at": at("2026-03-01T22:30:00Z"),
    });
    bench.publish("queue_visits", row);
    for (limit, level) in [("", 0.0), ("&within_s=29", 0.0), ("&within_s=30&short_s=0", 100.0)] {
        let (status, rows) = get(&bench, &format!("/api/v1/reports/queues?by=queue{limit}")).await;
        assert_eq!(status, StatusCode::OK, "{rows}");
        assert_eq!(rows[0]["queue"], "sales");
        assert_eq!(rows[1]["queue"], "total");
        assert_eq!(rows[0]["service_level_answered_pct"], level, "{limit}");
    }
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
async fn a_page_of_the_last_days_opens_no_older_files() {
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    let call = |id: &str, started: &str| json!({"call_id": id, "version": 1, "started_at": at(started)});
    let old = lake.commit("2020-01-01", &[call("p/1", "2020-01-01T09:00:00Z"), call("p/2", "2020-01-01T10:00:00Z")], 2);
    lake.commit("2020-03-05", &[call("p/3", "2020-03-05T09:00:00Z"), call("p/4", "2020-03-05T10:00:00Z")], 4);
    let kept = std::fs::read(&old).unwrap();
    std::fs::remove_file(&old).unwrap();
    let ids = |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["call_id"].clone()).collect::<Vec<_>>();
    let (status, page) = get(&bench, "/api/v1/calls?to=2020-03-06&limit=1").await;
    assert_eq!((status, ids(&page)), (StatusCode::OK, vec![json!("p/4")]));
    let (status, page) = get(&bench, "/api/v1/calls?from=2020-03-05&to=2020-03-06&limit=5").await;
    assert_eq!((status, ids(&page)), (StatusCode::OK, vec![json!("p/4"), json!("p/3")]));
    std::fs::write(&old, kept).unwrap();
    // What the last days do not fill is filled from before.
    for (limit, expected) in [(2, 2), (3, 3), (10, 4)] {
        let (status, page) = get(&bench, &format!("/api/v1/calls?to=2020-03-06&limit={limit}")).await;
        assert_eq!((status, ids(&page).len()), (StatusCode::OK, expected), "{page}");
    }
    let (_, page) = get(&bench, "/api/v1/calls?limit=10").await;
    assert_eq!(ids(&page), ["p/4", "p/3", "p/2", "p/1"]);
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
        for (part, table) in [("call", "calls"), ("legs", "legs"), ("queue_visits", "queue_visits")] {
            let rows = bench.rows(&format!("SELECT * FROM {table}")).await;
            assert_eq!(if part == "call" { json!([call[part]]) } else { call[part].clone() }, rows, "{part}");
        }
    }
}

#[tokio::test]
async fn a_call_that_may_be_among_what_is_lacking_is_not_simply_unknown() {
    let bench = Bench::new();
    publish_call(&bench, "pbx1/1.1", "2026-03-01T09:00:00Z");
    bench.log.damaged.lock().unwrap().push(0);
    for path in ["/api/v1/calls/pbx1/1.1", "/api/v1/calls", "/api/v1/reports/outcomes"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(bench.engine.clone(), None, None).oneshot(request).await.unwrap();
        let known = if path.ends_with("1.1") { StatusCode::NOT_FOUND } else { StatusCode::OK };
        assert_eq!(response.status(), known, "{path}");
        let told: Vec<_> =
            response.headers().get_all("calltide-lacking").iter().map(|told| told.to_str().unwrap()).collect();
        assert!(told.contains(&"calltide.calls/0: offsets 0 to 0 are damaged"), "{path}: {told:?}");
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
    let error = serve(open, router(bench.engine.clone(), None, None), std::future::ready(())).await.unwrap_err();
    assert!(matches!(error, ServeError::NotLoopback { .. }), "{error}");
    let local = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve(local, router(bench.engine.clone(), None, None), std::future::ready(())).await.unwrap();
}

#[tokio::test]
async fn pages_of_other_sites_cannot_ask() {
    let bench = Bench::new();
    for (name, value, wanted) in [
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-origin", StatusCode::OK),
        ("sec-fetch-site", "none", StatusCode::OK),
        ("origin", "https://example.org", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("origin", "http://localhost:8474", StatusCode::OK),
    ] {
        let request = Request::post("/api/v1/sql").header(header::HOST, "localhost:8474").header(name, value);
        let (status, _, _, body) = send(&bench, request.body(Body::from("SELECT 1")).unwrap()).await;
        assert_eq!(status, wanted, "{name}: {value}: {body}");
    }
}

#[tokio::test]
async fn whoever_sends_nothing_is_not_waited_for_and_others_are_answered() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, router(bench.engine.clone(), None, None), async {
        let _ = stopped.await;
    }));
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    half.write_all(b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nSEL").await.unwrap();
    let mut good = tokio::net::TcpStream::connect(address).await.unwrap();
    good.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    good.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Either ends by itself.
    let mut told = vec![0; 12];
    half.read_exact(&mut told).await.unwrap();
    assert_eq!(told, b"HTTP/1.1 408");
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
    stop.send(()).unwrap();
    drop(half);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_does_not_read_an_answer_loses_it_and_what_it_held_is_given_back() {
    assert!(read_large_answer(Reader::Stops).await < 36_000_000);
}

#[tokio::test]
async fn whoever_takes_an_answer_little_by_little_loses_it_too() {
    assert!(read_large_answer(Reader::Trickles).await < 36_000_000);
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Stops,
    /// Takes a little every tenth of a second, which is less than the server's patience.
    Trickles,
}

/// Asks for more than both sides' buffers hold, and reads of it in that manner. How many bytes came.
async fn read_large_answer(reader: Reader) -> usize {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bench = Bench::with(|mut options| {
        options.memory_bytes = 80 << 20;
        options
    });
    let limits = ServeLimits { send_patience: Duration::from_millis(300), ..ServeLimits::default() };
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // Small, so that the server can send again as soon as a little was taken.
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve_within(limits, listener, router(bench.engine.clone(), None, None), async {
        let _ = stopped.await;
    }));
    // Another one of these has no room beside it.
    let large = "SELECT repeat(value::text, 400) AS t FROM generate_series(100000, 115000)";
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!("POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", large.len());
    stream.write_all(format!("{head}{large}").as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // It ends although nobody reads on in time: else stopping would wait for it.
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    let ended = async {
        if reader == Reader::Trickles {
            let mut some = vec![0; 16 * 1024];
            let mut pause = tokio::time::interval(Duration::from_millis(100));
            while let Ok(count @ 1..) = stream.read(&mut some).await {
                rest.extend_from_slice(&some[..count]);
                pause.tick().await;
            }
        }
    };
    let (served, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(60), serving), ended);
    served.unwrap().unwrap().unwrap();
    // The connection may be reset at the end.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{} bytes came", rest.len());
    bench.query(large).await.unwrap();
    rest.len()
}

#[tokio::test]
async fn beyond_so_many_connections_others_wait_until_one_ends() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const ASKED: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let bench = Bench::new();
    let limits = ServeLimits { connections_max: 2, ..ServeLimits::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving =
        tokio::spawn(serve_within(limits, listener, router(bench.engine.clone(), None, None), std::future::pending()));
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut one = tokio::net::TcpStream::connect(address).await.unwrap();
        one.write_all(ASKED).await.unwrap();
        all.push(one);
    }
    let mut third = all.pop().unwrap();
    let mut answer = [0; 12];
    for _ in 0..50 {
        for one in &mut all {
            one.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            // The rest of this answer, and another one to come.
            let mut rest = Vec::new();
            while !rest.ends_with(b"ok\n") {
                rest.push(one.read_u8().await.unwrap());
            }
            one.write_all(ASKED).await.unwrap();
        }
    }
    assert_eq!(third.try_read(&mut answer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(all.pop());
    third.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    serving.abort();
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
