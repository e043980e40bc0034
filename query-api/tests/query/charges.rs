//! The charges report, and amounts as exact decimals through lake, log and every format.
//!
//! Charges are lines: `1 acme PJSIP/101 anna support spring call_out 09:00:00 61.500 66 EUR 0.166`, `-` for nothing: the id,
//! user, device, agent, team, campaign, what, the time on 2026-03-01 (UTC) or a whole date and time, the seconds that it was up,
//! those that are charged, currency, amount.

use arrow::datatypes::DataType;
use axum::body::Body;
use axum::http::{Request, header};
use calltide_query_api::format::{Format, write};
use calltide_query_api::http::router;
use calltide_query_api::reports::charges::{ChargesQuery, Dimension, charges};
use calltide_query_api::reports::{Bucket, DayStart, Range};
use calltide_schemas::Micros;
use calltide_schemas::metrics::CHARGES;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::bench::{Bench, at, rows};

fn charge(line: &str) -> Value {
    let words: Vec<_> = line.split_whitespace().map(|word| (word != "-").then_some(word)).collect();
    let [id, user, device, agent, team, campaign, what, time, up, billed, currency, amount] = words[..] else {
        panic!("{line}")
    };
    let (id, time) = (id.unwrap(), time.unwrap());
    let started = if time.contains('T') { at(time) } else { at(&format!("2026-03-01T{time}Z")) };
    let up_ms = (up.unwrap().parse::<f64>().unwrap() * 1_000.0).round() as i64;
    json!({
        "charge_id": format!("call:p/{id}"), "call_id": format!("p/{id}"), "pbx": "p", "what": what, "user": user,
        "device": device.map(|device| format!("p/{device}")), "agent": agent, "team": team, "campaign": campaign,
        "started_at": started, "up_ms": up_ms, "billed_s": billed.map(|secs| secs.parse::<i64>().unwrap()),
        "currency": currency, "amount": amount, "rate": currency.map(|_| "es"), "version": 1,
    })
}

fn with(lines: &[&str]) -> Bench {
    let bench = Bench::new();
    lines.iter().for_each(|line| bench.publish("charges", charge(line)));
    bench
}

async fn report(bench: &Bench, query: ChargesQuery) -> Value {
    let report = charges(&bench.engine, &query).await.unwrap_or_else(|e| panic!("{query:?}: {e:?}"));
    let names: Vec<_> = report.output.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, report.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    rows(&report.output)
}

fn by(dimensions: &[Dimension]) -> ChargesQuery {
    ChargesQuery { by: dimensions.to_vec(), ..ChargesQuery::default() }
}

/// Some columns of each row.
fn pick(rows: &Value, columns: &[&str]) -> Value {
    let row = |row: &Value| columns.iter().map(|c| row[*c].clone()).collect::<Vec<_>>();
    rows.as_array().unwrap().iter().map(|r| Value::from(row(r))).collect()
}

/// The example of the dictionary, with a user who pays in francs, a call that nobody owns, and one that no rate fits.
const SEVERAL: [&str; 5] = [
    "1 acme PJSIP/101 anna support spring call_out     09:00:00 10.000 30 EUR 0.13",
    "2 acme PJSIP/102 bert support -      call_out     09:30:00 61.000 66 EUR 0.166",
    "3 acme PJSIP/101 anna support spring call_out     10:00:00  5.000  - -   -",
    "4 tyr  8001      -    -       -      external_leg 10:00:00 60.000 60 CHF 0.2",
    "5 -    -         -    -       autumn call_out     10:59:59 60.000 60 EUR 0.000001",
];

#[tokio::test]
async fn every_metric_as_computed_by_hand() {
    let rows = report(&with(&SEVERAL), by(&[Dimension::User])).await;
    let columns = ["user", "currency", "calls", "up_ms", "billed_s", "amount", "unrated", "unowned"];
    assert_eq!(columns[2..], CHARGES.iter().map(|metric| metric.name).collect::<Vec<_>>());
    assert_eq!(
        pick(&rows, &columns),
        json!([
            ["acme", "EUR", 2, 71_000, 96, 0.296, 0, 0],
            ["acme", null, 1, 5_000, 0, null, 1, 0],
            ["tyr", "CHF", 1, 60_000, 60, 0.2, 0, 0],
            [null, "EUR", 1, 60_000, 60, 0.000001, 0, 1],
            // A total for each currency, and one of what has none.
            ["total", "CHF", 1, 60_000, 60, 0.2, 0, 0],
            ["total", "EUR", 3, 131_000, 156, 0.296001, 0, 1],
            ["total", null, 1, 5_000, 0, null, 1, 0],
        ])
    );
}

#[tokio::test]
async fn amounts_of_several_currencies_are_never_summed() {
    let totals = json!([["CHF", 1, 0.2], ["EUR", 3, 0.296001], [null, 1, null]]);
    let columns = ["currency", "calls", "amount"];
    for dimensions in [&[][..], &[Dimension::Currency], &[Dimension::Currency, Dimension::Currency]] {
        assert_eq!(pick(&report(&with(&SEVERAL), by(dimensions)).await, &columns), totals, "{dimensions:?}");
    }
    // Wherever it is asked for, the currency is the last of the groups.
    let rows = report(&with(&SEVERAL), by(&[Dimension::Currency, Dimension::What, Dimension::Campaign])).await;
    assert_eq!(
        pick(&rows, &["what", "campaign", "currency", "amount"]),
        json!([
            ["call_out", "autumn", "EUR", 0.000001],
            ["call_out", "spring", "EUR", 0.13],
            ["call_out", "spring", null, null],
            ["call_out", null, "EUR", 0.166],
            ["external_leg", null, "CHF", 0.2],
            ["total", null, "CHF", 0.2],
            ["total", null, "EUR", 0.296001],
            ["total", null, null, null],
        ])
    );
}

#[tokio::test]
async fn whatever_rows_are_grouped_by_they_sum_up_to_the_totals() {
    let bench = with(&SEVERAL);
    for dimension in Dimension::ALL {
        let rows = report(&bench, by(&[dimension])).await;
        let rows = rows.as_array().unwrap();
        let is_total = |row: &&Value| row[dimension.name()] == "total";
        let totals: Vec<_> = rows.iter().filter(is_total).collect();
        assert_eq!(totals.len(), if dimension == Dimension::Currency { 0 } else { 3 }, "{dimension:?}");
        for total in totals {
            let of_currency = || rows.iter().filter(|row| !is_total(row) && row["currency"] == total["currency"]);
            for metric in CHARGES.iter().filter(|metric| metric.name != "amount") {
                let sum: i64 = of_currency().map(|row| row[metric.name].as_i64().unwrap()).sum();
                assert_eq!(total[metric.name], sum, "{} by {dimension:?}", metric.name);
            }
        }
    }
}

#[tokio::test]
async fn a_charge_belongs_to_the_bucket_and_the_range_in_which_it_was_answered() {
    let bench = with(&SEVERAL);
    for (dimension, expected) in [
        (
            Dimension::Bucket(Bucket::Hour),
            json!([["2026-03-01T12:00+03:00", 2], ["2026-03-01T13:00+03:00", 1], ["total", 3]]),
        ),
        (Dimension::Bucket(Bucket::Day), json!([["2026-03-01", 3], ["total", 3]])),
        (Dimension::Bucket(Bucket::Week), json!([["2026-02-23", 3], ["total", 3]])),
        (Dimension::Bucket(Bucket::Month), json!([["2026-03", 3], ["total", 3]])),
    ] {
        let query = ChargesQuery { by: vec![dimension], range: Range::all("Europe/Moscow", DayStart::default()) };
        let mut rows = report(&bench, query).await;
        rows.as_array_mut().unwrap().retain(|row| row["currency"] == "EUR");
        assert_eq!(pick(&rows, &[dimension.name(), "calls"]), expected);
    }
    let range = Range::all("Europe/Moscow", "13:00".parse().unwrap());
    let mut rows = report(&bench, ChargesQuery { by: vec![Dimension::Bucket(Bucket::Day)], range }).await;
    rows.as_array_mut().unwrap().retain(|row| row["currency"] == "EUR");
    assert_eq!(pick(&rows, &["day", "calls"]), json!([["2026-02-28", 2], ["2026-03-01", 1], ["total", 3]]));
    for (from, to, expected) in [
        (Some("09:30:00"), None, json!([["CHF", 1], ["EUR", 2], [null, 1]])),
        (Some("09:30:00.000001"), Some("10:59:59"), json!([["CHF", 1], [null, 1]])),
        (None, Some("09:00:00"), json!([])),
    ] {
        let moment = |time: Option<&str>| time.map(|time| Micros(at(&format!("2026-03-01T{time}Z"))));
        let range = Range { from: moment(from), to: moment(to), ..Range::default() };
        let query = ChargesQuery { range, ..by(&[]) };
        assert_eq!(pick(&report(&bench, query).await, &["currency", "calls"]), expected, "{from:?} to {to:?}");
    }
    let query = ChargesQuery { range: Range::all("Mars/Olympus'; DROP", DayStart::default()), ..by(&[]) };
    assert!(charges(&bench.engine, &query).await.unwrap_err().to_string().contains("unknown time zone"));
}

#[tokio::test]
async fn a_corrected_charge_hides_the_row_in_the_lake() {
    let bench = with(&SEVERAL);
    bench.lake("charges").commit("2026-03-01", &SEVERAL.map(charge), 5);
    let amount = "SELECT amount, version FROM charges WHERE charge_id = 'call:p/1'";
    assert_eq!(bench.rows(amount).await, json!([{"amount": 0.13, "version": 1}]));
    let mut anew = charge("1 tyr PJSIP/101 anna support spring call_out 09:00:00 10.000 30 EUR 0.145");
    anew["version"] = json!(2);
    bench.publish("charges", anew);
    bench.forget("charges", "call:p/4");
    assert_eq!(bench.rows(amount).await, json!([{"amount": 0.145, "version": 2}]));
    let rows = report(&bench, by(&[Dimension::User])).await;
    assert_eq!(
        pick(&rows, &["user", "currency", "amount"]),
        json!([
            ["acme", "EUR", 0.166],
            ["acme", null, null],
            ["tyr", "EUR", 0.145],
            [null, "EUR", 0.000001],
            ["total", "EUR", 0.311001],
            ["total", null, null],
        ])
    );
}

/// What binary fractions would not hold: from the lake, from the log, and both together.
#[tokio::test]
async fn amounts_are_exact_in_every_format() {
    let lines = [
        "1 acme - - - - call_out 09:00:00 1 1 EUR 0.1",
        "2 acme - - - - call_out 09:00:00 1 1 EUR 0.2",
        "3 acme - - - - call_out 09:00:00 1 1 EUR 0.000001",
        "4 acme - - - - call_out 09:00:00 1 1 EUR 123456789012.123456",
        "5 acme - - - - call_out 09:00:00 1 1 EUR 12",
    ];
    let sql = "SELECT \"user\", currency, sum(amount) AS amount FROM charges GROUP BY 1, 2";
    for in_lake in [0, 3, 5] {
        let bench = with(&lines);
        if in_lake > 0 {
            bench.lake("charges").commit(
                "2026-03-01",
                &lines[..in_lake].iter().map(|l| charge(l)).collect::<Vec<_>>(),
                in_lake as u64,
            );
        }
        let text = async |sql: &str, format| {
            String::from_utf8(write(&bench.query(sql).await.unwrap(), format).unwrap()).unwrap()
        };
        let json = "[{\"user\":\"acme\",\"currency\":\"EUR\",\"amount\":123456789024.423457}]\n";
        assert_eq!(text(sql, Format::Json).await, json, "{in_lake}");
        assert_eq!(text(sql, Format::Csv).await, "user,currency,amount\nacme,EUR,123456789024.423457\n", "{in_lake}");
        let each = "SELECT amount FROM charges ORDER BY amount";
        let told = "amount\n0.000001\n0.100000\n0.200000\n12.000000\n123456789012.123456\n";
        assert_eq!(text(each, Format::Csv).await, told, "{in_lake}");
        assert_eq!(bench.query(each).await.unwrap().schema.field(0).data_type(), &DataType::Decimal128(18, 6));
        let few = "SELECT count(*) AS n FROM charges WHERE amount BETWEEN 0.1 AND 12";
        assert_eq!(bench.rows(few).await, json!([{"n": 3}]), "{in_lake}");
    }
    let bench = Bench::new();
    let column = "SELECT data_type FROM columns WHERE table_name = 'charges' AND column_name = 'amount'";
    assert_eq!(bench.rows(column).await, json!([{"data_type": "numeric"}]));
}

#[tokio::test]
async fn the_report_is_asked_for_over_http() {
    let bench = with(&SEVERAL);
    let get = async |path: &str, accept: &str| {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let response = router(bench.engine.clone(), None, None).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let path = "/api/v1/reports/charges?by=user,month&from=2026-03-01&to=2026-03-02&tz=Europe/Madrid";
    let expected = "user,month,currency,calls,up_ms,billed_s,amount,unrated,unowned\n\
                    acme,2026-03,EUR,2,71000,96,0.296000,0,0\n\
                    acme,2026-03,,1,5000,0,,1,0\n\
                    tyr,2026-03,CHF,1,60000,60,0.200000,0,0\n\
                    ,2026-03,EUR,1,60000,60,0.000001,0,1\n\
                    total,,CHF,1,60000,60,0.200000,0,0\n\
                    total,,EUR,3,131000,156,0.296001,0,1\n\
                    total,,,1,5000,0,,1,0\n";
    assert_eq!(get(path, "text/csv").await, (200, expected.to_owned()));
    let sql = "/api/v1/sql?q=SELECT%20%22user%22,currency,sum(amount)%20FROM%20charges%20WHERE%20amount%20IS%20NOT%20NULL%20\
               GROUP%20BY%201,2%20ORDER%20BY%201,2";
    let (status, body) = get(sql, "application/json").await;
    assert_eq!(status, 200, "{body}");
    let amounts: Vec<_> =
        body.split(',').filter_map(|part| part.split_once("amount)\":").map(|(_, amount)| amount)).collect();
    assert_eq!(amounts, ["0.296000}", "0.200000}", "0.000001}]\n"], "{body}");
    for wrong in ["by=queue", "by=user,colour", "tz=Mars/Olympus", "within_s=20"] {
        let (status, body) = get(&format!("/api/v1/reports/charges?{wrong}"), "application/json").await;
        assert_eq!(status, 400, "{wrong}: {body}");
    }
}
