//! What a query sees: the lake's rows under the log's newest facts, each call once.

use calltide_eventlog::Record;
use calltide_query_api::QueryError;
use serde_json::{Value, json};

use crate::bench::{Bench, at};

const STATUSES: &str = "SELECT call_id, status, version FROM calls ORDER BY call_id";

fn call(id: &str, status: &str, version: i64) -> Value {
    json!({"call_id": id, "status": status, "version": version, "started_at": at("2026-03-01T09:00:00Z")})
}

fn seen(id: &str, status: &str, version: i64) -> Value {
    json!({"call_id": id, "status": status, "version": version})
}

#[tokio::test]
async fn the_present_moment_can_be_asked_for() {
    let bench = Bench::new();
    bench.publish("calls", call("p/1", "answered", 1));
    let before =
        |days| format!("SELECT count(*) AS calls FROM calls WHERE started_at > now() - INTERVAL '{days} days'");
    assert_eq!(bench.rows(&before(0)).await, json!([{"calls": 0}]));
    assert_eq!(bench.rows(&before(100_000)).await, json!([{"calls": 1}]));
}

#[tokio::test]
async fn days_of_a_zone_can_be_asked_for_wherever_they_begin() {
    let bench = Bench::new();
    bench.publish("calls", json!({"call_id": "p/1", "started_at": at("2026-03-01T01:00:00Z"), "version": 1}));
    let of = "started_at, 'Europe/Berlin'";
    let sql = format!(
        "SELECT local_hour({of}) AS h, local_day({of}) AS d, local_day({of}, '06:00') AS night, local_week({of}, '06:00') AS w, \
         local_month({of}, '06:00') AS m FROM calls"
    );
    assert_eq!(
        bench.rows(&sql).await,
        json!([{
            "h": "2026-03-01T02:00+01:00", "d": "2026-03-01", "night": "2026-02-28", "w": "2026-02-23", "m": "2026-02",
        }])
    );
    for (wrong, says) in [
        ("local_day(started_at, 'UTC', '6:00')", "a day cannot begin at `6:00`"),
        ("local_day(started_at, 'UTC', call_id)", "local_day takes a time"),
        ("local_hour(started_at, 'UTC', '06:00')", "local_hour"),
    ] {
        let error = bench.query(&format!("SELECT {wrong} FROM calls")).await.unwrap_err();
        assert!(error.to_string().contains(says), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn without_a_lake_and_with_an_empty_log_there_are_no_rows() {
    let bench = Bench::new();
    assert_eq!(bench.rows("SELECT * FROM calls").await, json!([]));
    assert_eq!(bench.rows("SELECT count(*) AS n FROM attempts").await, json!([{"n": 0}]));
}

#[tokio::test]
async fn a_call_that_just_closed_is_seen_before_the_lake_has_it_and_once_when_both_have_it() {
    let bench = Bench::new();
    bench.publish("calls", call("p/1", "answered", 1));
    bench.publish("calls", call("p/2", "busy", 1));
    let expected = json!([seen("p/1", "answered", 1), seen("p/2", "busy", 1)]);
    assert_eq!(bench.rows(STATUSES).await, expected, "in the log alone");

    let mut lake = bench.lake("calls");
    lake.commit("2026-03-01", &[call("p/1", "answered", 1)], 1);
    assert_eq!(bench.rows(STATUSES).await, expected, "the first is in the lake");

    lake.commit("2026-03-01", &[call("p/2", "busy", 1)], 2);
    assert_eq!(bench.rows(STATUSES).await, expected, "both are in the lake");
}

#[tokio::test]
async fn a_correction_hides_the_row_in_the_lake_until_the_lake_has_it() {
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    for (id, status) in [("p/1", "no_answer"), ("p/2", "busy")] {
        bench.publish("calls", call(id, status, 1));
    }
    let file = lake.commit("2026-03-01", &[call("p/1", "no_answer", 1), call("p/2", "busy", 1)], 2);
    bench.publish("calls", call("p/1", "cancelled", 2));
    bench.publish("calls", call("p/1", "rejected", 3));
    let expected = json!([seen("p/1", "rejected", 3), seen("p/2", "busy", 1)]);
    assert_eq!(bench.rows(STATUSES).await, expected);
    assert_eq!(bench.rows("SELECT count(*) AS n FROM calls").await, json!([{"n": 2}]));

    lake.replace(&file, "2026-03-01", &[call("p/1", "rejected", 3), call("p/2", "busy", 1)], 4);
    assert_eq!(bench.rows(STATUSES).await, expected);
}

#[tokio::test]
async fn a_repeated_or_older_version_in_the_log_changes_nothing() {
    let bench = Bench::new();
    for (status, version) in [("no_answer", 1), ("rejected", 2), ("rejected", 2), ("no_answer", 1)] {
        bench.publish("calls", call("p/1", status, version));
    }
    assert_eq!(bench.rows(STATUSES).await, json!([seen("p/1", "rejected", 2)]));
}

#[tokio::test]
async fn a_tombstone_removes_the_row_from_lake_and_log_until_the_key_comes_again() {
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    bench.publish("calls", call("p/1", "busy", 1));
    lake.commit("2026-03-01", &[call("p/1", "busy", 1)], 1);
    bench.publish("calls", call("p/2", "busy", 1));
    bench.forget("calls", "p/1");
    bench.forget("calls", "p/2");
    assert_eq!(bench.rows(STATUSES).await, json!([]));

    bench.publish("calls", call("p/2", "answered", 1));
    assert_eq!(bench.rows(STATUSES).await, json!([seen("p/2", "answered", 1)]));
}

#[tokio::test]
async fn whoever_asks_is_told_which_facts_the_answer_lacks_until_the_lake_is_beyond_them() {
    let bench = Bench::new();
    for id in ["p/1", "p/2", "p/3", "p/4"] {
        bench.publish("calls", call(id, "busy", 1));
    }
    let lacking = async || {
        let answer = bench.query("SELECT count(*) FROM calls").await.unwrap();
        answer.lacking.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    *bench.log.cleaned.lock().unwrap() = 1;
    bench.log.damaged.lock().unwrap().push(2);
    let gone = "calltide.calls/0: offsets 0 to 0 are gone from the log before the lake had them";
    let damaged = "calltide.calls/0: offsets 2 to 2 are damaged";
    assert_eq!(lacking().await, [gone, damaged]);
    assert_eq!(lacking().await, [gone, damaged], "once each, however often it is asked");
    assert_eq!(bench.rows(STATUSES).await, json!([seen("p/2", "busy", 1), seen("p/4", "busy", 1)]));

    let mut lake = bench.lake("calls");
    lake.commit("2026-03-01", &[call("p/1", "busy", 1), call("p/2", "busy", 1)], 2);
    assert_eq!(lacking().await, [damaged], "the lake has the first one");
    lake.commit("2026-03-01", &[call("p/4", "busy", 1)], 4);
    assert_eq!(lacking().await, [""; 0], "the lake's writer has told of the damage");
}

#[tokio::test]
async fn a_new_generation_takes_the_place_of_the_old_one() {
    let bench = Bench::new();
    bench.publish("calls", call("p/1", "busy", 1));
    bench.publish("calls", call("p/2", "busy", 1));
    bench.lake("calls").commit("2026-03-01", &[call("p/1", "busy", 1), call("p/2", "busy", 1)], 2);
    assert_eq!(bench.rows(STATUSES).await, json!([seen("p/1", "busy", 1), seen("p/2", "busy", 1)]));

    // It was derived again, judged the first call otherwise, and has come to the second one only in the log.
    bench.generation("g2", "calls").commit("2026-03-01", &[call("p/1", "rejected", 1)], 1);
    assert_eq!(bench.rows(STATUSES).await, json!([seen("p/1", "rejected", 1), seen("p/2", "busy", 1)]));
}

#[tokio::test]
async fn files_of_other_days_are_not_opened() {
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    let old = lake.commit("2026-02-28", &[json!({"call_id": "p/0", "started_at": at("2026-02-28T23:59:59Z")})], 1);
    lake.commit("2026-03-01", &[call("p/1", "busy", 1)], 2);
    std::fs::remove_file(old).unwrap();

    let by_time = "SELECT call_id FROM calls WHERE started_at >= '2026-03-01' AND started_at < '2026-03-02'";
    assert_eq!(bench.rows(by_time).await, json!([{"call_id": "p/1"}]));
    assert_eq!(bench.rows("SELECT call_id FROM calls WHERE day = '2026-03-01'").await, json!([{"call_id": "p/1"}]));
    assert!(matches!(bench.query("SELECT call_id FROM calls").await, Err(QueryError::Failed { .. })));
}

#[tokio::test]
async fn files_that_are_older_than_a_column_have_nulls_in_it() {
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    lake.without = Some("transfers");
    lake.commit("2026-03-01", &[call("p/1", "busy", 1)], 1);
    bench.publish("calls", call("p/1", "busy", 1));
    bench.publish("calls", call("p/2", "busy", 1));
    let rows = bench.rows("SELECT call_id, transfers FROM calls ORDER BY call_id").await;
    assert_eq!(rows, json!([{"call_id": "p/1", "transfers": null}, {"call_id": "p/2", "transfers": 0}]));
}

#[tokio::test]
async fn attempts_are_numbered_within_their_contact_over_lake_and_log() {
    let bench = Bench::new();
    let attempt = |id: &str, minute: u32, contact: Value| {
        let started = at(&format!("2026-03-01T09:{minute:02}:00Z"));
        json!({"call_id": id, "campaign": "spring", "contact": contact, "started_at": started, "version": 1})
    };
    let early = [attempt("p/1", 1, json!("anna")), attempt("p/2", 2, json!("bert")), attempt("p/3", 3, Value::Null)];
    for row in &early {
        bench.publish("attempts", row.clone());
    }
    bench.lake("attempts").commit("2026-03-01", &early, 3);
    bench.publish("attempts", attempt("q/1", 4, json!("anna")));
    bench.publish("attempts", attempt("q/2", 0, json!("bert")));
    let rows = bench.rows("SELECT call_id, attempt_no FROM attempts ORDER BY call_id").await;
    let numbers = [("p/1", json!(1)), ("p/2", json!(2)), ("p/3", Value::Null), ("q/1", json!(2)), ("q/2", json!(1))];
    assert_eq!(rows, json!(numbers.map(|(id, n)| json!({"call_id": id, "attempt_no": n}))));
}

#[tokio::test]
async fn raw_events_are_rows_of_inputs() {
    let bench = Bench::new();
    bench.log.push(
        "calltide.events",
        Record {
            key: b"pbx1".to_vec(),
            at: at("2026-03-01T09:00:00Z"),
            id: "j:7".to_owned(),
            kind: "ami".to_owned(),
            payload: Some(b"{\"v\":1}".to_vec()),
            ..Record::default()
        },
    );
    let expected = json!([{
        "topic": "calltide.events", "partition": 0, "offset": 0, "pbx": "pbx1", "source": "ami", "id": "j:7",
        "at": "2026-03-01T09:00:00.000000Z", "payload": "{\"v\":1}", "day": "2026-03-01",
    }]);
    assert_eq!(bench.rows("SELECT * FROM inputs").await, expected);
}

#[tokio::test]
async fn many_rows_come_in_the_order_that_was_asked_for() {
    const CALLS: u32 = 60_000;
    let bench = Bench::new();
    let mut lake = bench.lake("calls");
    // No file has its rows in order.
    let calls: Vec<_> = (0..CALLS).map(|n| call(&format!("p/{:06}", n * 7_919 % CALLS), "busy", 1)).collect();
    for (rows, next) in calls.chunks(20_000).zip(1..) {
        lake.commit("2026-03-01", rows, next);
    }
    // What was out of order was so by chance, and rarely more than a few times in so many rows.
    for _ in 0..5 {
        let rows = bench.rows("SELECT call_id, version + 1 AS next FROM calls ORDER BY call_id DESC").await;
        let ids: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["call_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), CALLS as usize);
        let wrong = ids.windows(2).find(|pair| pair[0] <= pair[1]);
        assert_eq!(wrong, None);
    }
}

#[tokio::test]
async fn texts_may_be_put_together_wherever_an_order_is_told() {
    let bench = Bench::new();
    for (id, status) in [("p/2", "busy"), ("p/1", "answered")] {
        bench.publish("calls", call(id, status, 1));
    }
    let rows = bench.rows(
        "SELECT call_id, row_number() OVER (ORDER BY status || call_id) AS n, upper(status || '!') AS t FROM calls ORDER BY n",
    );
    let numbered = |id: &str, n: i32, t: &str| json!({"call_id": id, "n": n, "t": t});
    assert_eq!(rows.await, json!([numbered("p/1", 1, "ANSWERED!"), numbered("p/2", 2, "BUSY!")]));
    let query = "SELECT first_value(status ORDER BY status || call_id DESC) AS f, \
                 string_agg(call_id || '.', ',' ORDER BY status || call_id) AS l FROM calls";
    assert_eq!(bench.rows(query).await, json!([{"f": "busy", "l": "p/1.,p/2."}]));
}

#[tokio::test]
async fn a_fact_that_does_not_fit_its_table_is_named() {
    let bench = Bench::new();
    let payload = Some(b"{\"call_id\":\"p/1\"}".to_vec());
    bench.log.push("calltide.calls", Record { key: b"p/1".to_vec(), payload, ..Record::default() });
    let error = bench.query(STATUSES).await.unwrap_err();
    assert!(matches!(error, QueryError::Fact { topic: "calltide.calls", offset: 0, .. }), "{error:?}");
}

#[tokio::test]
async fn tables_and_columns_can_be_looked_up() {
    let bench = Bench::new();
    let rows = bench
        .rows("SELECT data_type, comment FROM columns WHERE table_name = 'attempts' AND column_name = 'attempt_no'")
        .await;
    assert_eq!(rows[0]["data_type"], "bigint");
    let tables =
        "SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'calls'";
    assert_eq!(bench.rows(tables).await, json!([{"n": 1}]));
    let described = bench.rows("DESCRIBE calls").await;
    assert_eq!(described[0]["column_name"], "pbx");
}
