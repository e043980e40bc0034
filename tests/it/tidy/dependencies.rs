//! What the crates depend on, by `cargo metadata` without the network: which of ours meet, and where others come from.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Findings, licences};

/// Crates of ours that others of ours may depend on. Tests may use any.
const MEETING_PLACES: [&str; 2] = ["calltide-schemas", "calltide-eventlog"];

/// The command, which puts all of them together.
const COMMAND: &str = "calltide";

/// Where other crates come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What cargo knows of the workspace in a folder of the repository, and of the crates that are built for this platform.
pub(super) fn metadata(folder: &str) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", &platform])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Crates of ours that know one another beyond the contract and the log, and dependencies on any version at all.
pub(super) fn members(metadata: &Value) -> Findings {
    let ours = || list(metadata, "packages").iter().filter(|package| package["source"].is_null());
    let names: BTreeSet<&str> = ours().map(|package| text(package, "name")).collect();
    let mut findings = Vec::new();
    for package in ours() {
        let name = text(package, "name");
        for dependency in list(package, "dependencies") {
            let on = text(dependency, "name");
            let of_ours = names.contains(on);
            let for_tests = text(dependency, "kind") == "dev";
            let must_not = match name {
                COMMAND => false,
                "calltide-schemas" | "calltide-eventlog" => of_ours,
                _ => of_ours && !MEETING_PLACES.contains(&on),
            };
            if must_not && !for_tests {
                findings.push(format!("{name} depends on {on}: crates meet only in the contract and the log"));
            }
            if !of_ours && text(dependency, "req") == "*" {
                findings.push(format!("{name} depends on any version of {on}"));
            }
        }
    }
    findings
}

/// Crates under other licences than these, or from elsewhere than the registry.
pub(super) fn outside(metadata: &Value, allowed: &BTreeSet<String>) -> Findings {
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let name = format!("{} {}", text(package, "name"), text(package, "version"));
        let source = text(package, "source");
        if !package["source"].is_null() && source != REGISTRY {
            findings.push(format!("{name} comes from {source}, not from crates.io"));
        }
        let licence = text(package, "license");
        if !licences::permits(licence, allowed) {
            findings.push(format!("{name} is licensed under `{licence}`, which deny.toml does not allow"));
        }
    }
    findings
}

#[test]
fn violations_of_dependencies_are_found() {
    let ours = |name: &str, on: &[(&str, &str, Option<&str>)]| {
        let on: Vec<Value> = on.iter().map(|(n, r, k)| serde_json::json!({"name": n, "req": r, "kind": k})).collect();
        serde_json::json!({"name": name, "version": "1", "source": null, "license": "MIT", "dependencies": on})
    };
    let packages = |packages: &[Value]| serde_json::json!({ "packages": packages });
    let ingest = ours("calltide-ingest", &[("calltide-schemas", "*", None), ("serde", "^1", None)]);
    let processor = ours("calltide-processor", &[("calltide-ingest", "*", None)]);
    let tested = ours("calltide-processor", &[("calltide-ingest", "*", Some("dev"))]);
    let schemas = ours("calltide-schemas", &[]);
    let loose = ours("calltide-schemas", &[("serde", "*", None)]);
    let deep = ours("calltide-eventlog", &[("calltide-schemas", "*", None)]);
    let found = |of: &[&Value]| members(&packages(&of.iter().map(|v| (*v).clone()).collect::<Vec<_>>()));
    assert_eq!(found(&[&ingest, &schemas, &tested]), Vec::<String>::new());
    let meeting = "calltide-processor depends on calltide-ingest: crates meet only in the contract and the log";
    assert_eq!(found(&[&ingest, &schemas, &processor]), [meeting]);
    assert_eq!(found(&[&loose]), ["calltide-schemas depends on any version of serde"]);
    assert_eq!(found(&[&deep, &schemas]).len(), 1);

    let foreign =
        serde_json::json!({"name": "a", "version": "1", "source": "git+https://example.org/a", "license": "GPL-3.0"});
    let good = serde_json::json!({"name": "b", "version": "1", "source": REGISTRY, "license": "MIT"});
    let found = outside(&packages(&[foreign, good]), &BTreeSet::from(["MIT".to_owned()]));
    assert_eq!(found.len(), 2, "{found:?}");
}
