//! `generate`: invented calls, the same for the same arguments, whose tables agree with each other.

use serde_json::json;

use super::started::Site;

fn generated(seed: &str) -> Site {
    let site = Site::new();
    let arguments =
        ["generate", "--calls", "3000", "--days", "9", "--campaigns", "4", "--agents", "20", "--queues", "3"];
    let (data, told) = site.done(&[&arguments[..], &["--seed", seed]].concat());
    assert!(data.is_empty() && told.contains("3000 calls in"), "{told}");
    site
}

/// Every row of every table that has any.
fn everything(site: &Site) -> String {
    let rows = |query: &str| site.done(&["sql", query, "--format", "csv"]).0;
    [("calls", "call_id"), ("attempts", "call_id"), ("legs", "leg_id"), ("queue_visits", "visit_id")]
        .map(|(table, key)| rows(&format!("SELECT * FROM {table} ORDER BY {key}")))
        .concat()
}

#[test]
fn the_same_arguments_give_the_same_calls_and_another_seed_others() {
    let first = everything(&generated("7"));
    assert!(first.lines().count() > 3000);
    assert_eq!(first, everything(&generated("7")));
    assert_ne!(first, everything(&generated("8")));
}

#[test]
fn the_tables_agree_with_each_other() {
    let site = generated("1");
    let count = |sql: &str| site.rows(&format!("SELECT count(*) AS n FROM {sql}"))[0]["n"].clone();
    assert_eq!(count("(SELECT DISTINCT call_id FROM calls)"), json!(3000));
    assert_eq!(count("calls WHERE direction = 'outbound'"), count("attempts"));
    assert_eq!(count("calls WHERE queue IS NOT NULL"), count("queue_visits"));
    assert_eq!(count("calls WHERE agent IS NOT NULL"), count("legs WHERE outcome = 'answered'"));
    assert_eq!(count("calls WHERE agent IS NOT NULL"), count("calls WHERE status IN ('answered', 'transferred')"));
    assert_eq!(count("calls WHERE ended_at < started_at OR answered_at NOT BETWEEN started_at AND ended_at"), json!(0));
    assert_eq!(count("calls WHERE day <> to_char(started_at, '%Y-%m-%d')"), json!(0));
    assert_eq!(count("legs LEFT JOIN calls USING (call_id) WHERE calls.call_id IS NULL"), json!(0));
    assert_eq!(count("(SELECT DISTINCT day FROM calls)"), json!(9));
    let report = site.done(&["report", "outcomes", "--format", "json"]).0;
    assert!(report.contains("3000"), "{report}");
    // An agent's logins, states and calls are one row.
    let agents = site.done(&["report", "agents", "--format", "csv"]).0;
    let named = count("(SELECT DISTINCT agent FROM legs)").as_u64().unwrap();
    assert_eq!(agents.lines().count() as u64, named + 2, "{agents}");
}

#[test]
fn invented_calls_are_not_mixed_with_others_and_can_be_served() {
    let site = generated("1");
    assert!(site.refused(2, &["generate"]).contains("has data already"));
    let mut up = site.start(&["up", "--listen", "127.0.0.1:0"]);
    up.tells("serving queries");
    assert_eq!(site.rows("SELECT count(*) AS n FROM calls"), [json!({"n": 3000})]);
    up.stop();
    assert_eq!(site.rows("SELECT count(*) AS n FROM calls"), [json!({"n": 3000})]);
}

#[test]
fn a_data_directory_may_be_named_by_one_word() {
    let within = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_calltide"));
    let made =
        command.args(["generate", "--calls", "10", "--data", "big"]).current_dir(within.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(within.path().join("big/lake").is_dir());
}
