//! Every metric that the code keeps is described in the contract, and every one described is kept.

use std::collections::{BTreeMap, BTreeSet};

use calltide_schemas::metrics::exposed::EXPOSED;

use super::Findings;

/// Where they are described.
const LIST: &str = "schemas/src/metrics/exposed.rs";

/// What begins a metric's name, in pieces, so that this file has none.
const BEGIN: &str = concat!("\"call", "tide_");

/// How a metric is named where it is kept.
const KEPT_BY: [&str; 5] = ["counter!(", "gauge!(", "histogram!(", "counter(", "gauge("];

/// Metrics that are in one place only.
pub(super) fn check(sources: &BTreeMap<&str, &str>) -> Findings {
    let described: BTreeSet<&str> = EXPOSED.iter().map(|of| of.name).collect();
    compare(sources, &described)
}

fn compare(sources: &BTreeMap<&str, &str>, described: &BTreeSet<&str>) -> Findings {
    let mut findings = Vec::new();
    let mut kept = BTreeSet::new();
    for (path, text) in sources.iter().filter(|(path, _)| path.contains("src/") && **path != LIST) {
        for line in text.lines().filter(|line| KEPT_BY.iter().any(|by| line.contains(by))) {
            for name in line.match_indices(BEGIN).filter_map(|(at, _)| line[at + 1..].split('"').next()) {
                kept.insert(name.to_owned());
                if !described.contains(name) {
                    findings.push(format!("{path}: keeps the metric {name}, which {LIST} does not describe"));
                }
            }
        }
    }
    // Those of the list that have a constant are kept by that.
    let by_constant = |name: &str| sources.get(LIST).is_some_and(|text| constant(text, name));
    let unkept = described.iter().filter(|name| !kept.contains(**name) && !by_constant(name));
    findings.extend(unkept.map(|name| format!("{LIST}: nobody keeps the metric {name}")));
    findings
}

/// Whether the list gives that metric a name in the code.
fn constant(list: &str, name: &str) -> bool {
    let declared = list.split("pub const ").skip(1).filter_map(|rest| rest.split(';').next());
    declared.filter(|rest| rest.contains(": Exposed =")).any(|rest| rest.contains(&format!("\"{name}\"")))
}

#[test]
fn a_metric_in_one_place_only_is_found() {
    let name = |end: &str| format!("{}{end}", BEGIN.trim_start_matches('"'));
    let (one, other) = (name("one_total"), name("other"));
    let code = format!("metrics::counter!(\"{one}\").increment(1);\nlet id = \"{other}\";");
    let sources = super::texts(&[("ingest/src/lib.rs", code.as_str())]);
    let found = |described: &[&str]| compare(&sources, &described.iter().copied().collect());
    assert_eq!(found(&[&one]), Vec::<String>::new());
    assert_eq!(found(&[]).len(), 1, "kept and not described");
    assert_eq!(found(&[&one, &other]), [format!("{LIST}: nobody keeps the metric {other}")]);
    let list = format!("pub const OTHER: Exposed =\n    gauge(\"{other}\", PBX, \"…\");");
    let sources = super::texts(&[("ingest/src/lib.rs", code.as_str()), (LIST, list.as_str())]);
    assert_eq!(compare(&sources, &[&*one, &*other].into()), Vec::<String>::new());
}
