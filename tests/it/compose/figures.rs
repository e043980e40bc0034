//! Metrics in dashboards and alerts are those that the program tells; the dashboard is one that Grafana can show.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Findings, items, text};
use crate::tidy::files::Repository;

/// What the names of our metrics begin with.
const PREFIX: &str = "calltide_";

/// What is added to the name of a histogram or summary.
const PARTS: [&str; 3] = ["_sum", "_count", "_bucket"];

/// Dashboards of this version and later are as ours is; Grafana takes older ones, too.
const SCHEMA_MIN: i64 = 39;

/// The names that the crates and the command give to metrics: every such string in their code.
pub(super) fn told(repository: &Repository) -> BTreeSet<String> {
    let code = repository.ending(".rs");
    let ours = code.iter().filter(|(path, _)| path.starts_with("src/") || path.contains("/src/"));
    let quoted = format!("\"{PREFIX}");
    ours.flat_map(|(_, text)| names(text, &quoted)).collect()
}

/// Words that begin with our prefix, behind `before`'s own first characters.
fn names<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(before).map(move |(at, _)| {
        let rest = &text[at + before.len() - PREFIX.len()..];
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    })
}

/// Every PromQL expression in a dashboard or a file of rules.
pub(super) fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("expr", Value::String(expression)) => vec![expression.clone()],
                _ => expressions(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(expressions).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Metrics of ours in an expression that nobody tells.
pub(super) fn unknown(expression: &str, known: &BTreeSet<String>) -> Findings {
    let is_known = |name: &str| {
        known.contains(name)
            || PARTS.iter().any(|part| name.strip_suffix(part).is_some_and(|name| known.contains(name)))
    };
    let names: Vec<String> = names(expression, PREFIX).collect();
    if names.is_empty() && !expression.contains("up ") {
        return vec![format!("`{expression}` shows nothing of ours")];
    }
    let unknown = names.into_iter().filter(|name| !is_known(name));
    unknown.map(|name| format!("`{expression}`: the program tells no {name}")).collect()
}

/// What Grafana would not show, or not where it belongs.
pub(super) fn dashboard(dashboard: &Value, sources: &Value) -> Findings {
    let mut findings = Vec::new();
    let known: BTreeSet<&str> = items(&sources["datasources"]).map(|source| text(&source["uid"])).collect();
    let mut ids = BTreeSet::new();
    let mut places: Vec<[i64; 4]> = Vec::new();
    if text(&dashboard["uid"]).is_empty() || dashboard["schemaVersion"].as_i64() < Some(SCHEMA_MIN) {
        findings.push("the dashboard has no uid or is of an old form".to_owned());
    }
    for panel in items(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        if title.is_empty() || !ids.insert(panel["id"].as_i64()) {
            findings.push(format!("a panel `{title}` without a title, or with an id that another has"));
        }
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_i64().unwrap_or(-1));
        let lies_on = |[ox, oy, ow, oh]: &[i64; 4]| x < ox + ow && *ox < x + w && y < oy + oh && *oy < y + h;
        if x < 0 || y < 0 || w < 1 || h < 1 || x + w > 24 || places.iter().any(lies_on) {
            findings.push(format!("the panel `{title}` is off the grid or on another one"));
        }
        places.push([x, y, w, h]);
        if panel["type"] == "row" {
            continue;
        }
        if !known.contains(text(&panel["datasource"]["uid"])) {
            findings.push(format!("the panel `{title}` asks a source that is not provisioned"));
        }
        if items(&panel["targets"]).next().is_none() || text(&panel["description"]).is_empty() {
            findings.push(format!("the panel `{title}` shows nothing or does not say what"));
        }
    }
    findings
}

#[test]
fn metrics_that_nobody_tells_are_found() {
    let known: BTreeSet<String> =
        names("counter!(\"calltide_a_total\") gauge(\"calltide_b\")", "\"calltide_").collect();
    assert_eq!(known, BTreeSet::from(["calltide_a_total".to_owned(), "calltide_b".to_owned()]));
    for fine in ["sum(rate(calltide_a_total[1m]))", "calltide_b{quantile=\"0.5\"} / calltide_b_sum", "count(up == 0)"] {
        assert_eq!(unknown(fine, &known), Vec::<String>::new(), "{fine}");
    }
    assert_eq!(
        unknown("calltide_b + calltide_c", &known),
        ["`calltide_b + calltide_c`: the program tells no calltide_c"]
    );
    assert_eq!(unknown("process_open_fds", &known).len(), 1);
    let rules = serde_json::json!({ "groups": [{ "rules": [{ "expr": "a" }, { "expr": "b" }] }] });
    assert_eq!(expressions(&rules), ["a", "b"]);
}

#[test]
fn panels_that_would_not_be_seen_are_found() {
    let sources = serde_json::json!({ "datasources": [{ "uid": "prometheus" }] });
    let panel = |id: i64, x: i64, uid: &str| {
        serde_json::json!({ "id": id, "title": "t", "type": "stat", "description": "d", "datasource": { "uid": uid },
            "gridPos": { "x": x, "y": 0, "w": 12, "h": 4 }, "targets": [{ "expr": "up " }] })
    };
    let found = |panels: Vec<Value>| {
        dashboard(&serde_json::json!({ "uid": "u", "schemaVersion": 39, "panels": panels }), &sources)
    };
    assert_eq!(found(vec![panel(1, 0, "prometheus"), panel(2, 12, "prometheus")]), Vec::<String>::new());
    assert_eq!(found(vec![panel(1, 0, "prometheus"), panel(1, 12, "prometheus")]).len(), 1);
    assert_eq!(found(vec![panel(1, 0, "prometheus"), panel(2, 6, "prometheus")]).len(), 1);
    assert_eq!(found(vec![panel(1, 13, "prometheus")]).len(), 1);
    assert_eq!(found(vec![panel(1, 0, "other")]).len(), 1);
}
