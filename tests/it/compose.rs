//! The files of `compose/` hold together: what a container engine, Prometheus and Grafana would only complain about when started.
//!
//! Each check is a pure function from texts to findings and is itself tested on small made-up violations, as in `tidy`. Here
//! they meet the repository, and the program is asked whether it knows the settings that it is given.
//! Read on in `services` (each service), `links` (what they name), `image` (the Dockerfile) and `figures` (metrics).

#![expect(clippy::unwrap_used, reason = "tests")]

mod figures;
mod image;
mod links;
mod services;

use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use crate::tidy::files::Repository;

/// What is wrong, with the place it is in.
type Findings = Vec<String>;

/// The services alone, and with the demonstration's.
const BASE: &str = "compose/compose.yaml";
const DEMO: &str = "compose/compose.demo.yaml";

fn none(findings: &Findings) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// A YAML file, merge keys resolved.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// A mapping's entries; nothing where there is none.
fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A sequence's items; nothing where there is none.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One file laid over another as an engine does it: mappings are united, everything else is replaced. (An engine adds up lists
/// of a service that both have; the demonstration changes no service.)
fn laid_over(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let mut all: Map<String, Value> = base;
            for (name, value) in over {
                let before = all.remove(&name).unwrap_or_default();
                all.insert(name, laid_over(before, value));
            }
            Value::Object(all)
        }
        (_, over) => over,
    }
}

/// Both files together.
fn demonstration(repository: &Repository) -> Value {
    laid_over(yaml(repository.text(BASE)), yaml(repository.text(DEMO)))
}

#[test]
fn every_service_is_pinned_limited_watched_and_unprivileged() {
    let repository = Repository::read();
    for file in [BASE, DEMO] {
        let all = yaml(repository.text(file));
        assert!(entries(&all["services"]).count() > 0, "no services in {file}");
        none(&entries(&all["services"]).flat_map(|(name, service)| services::check(name, service)).collect());
    }
}

#[test]
fn what_services_name_is_there_and_what_is_there_is_named() {
    let repository = Repository::read();
    let exists = |path: &str| repository.has(&format!("compose/{path}"));
    none(&links::check(&demonstration(&repository), &exists));
    none(&links::roles(&demonstration(&repository)));
    let gateway = repository.text("compose/gateway.conf");
    none(&links::gateway(&yaml(repository.text(BASE)), gateway));
    none(&links::targets(&yaml(repository.text(BASE)), &yaml(repository.text("compose/prometheus.yaml")), gateway));
}

#[test]
fn the_image_is_built_from_this_repository_as_it_is() {
    let repository = Repository::read();
    let manifest: toml::Table = repository.text("Cargo.toml").parse().unwrap();
    let dockerfile = repository.text("compose/Dockerfile");
    none(&image::check(dockerfile, &manifest));
    none(&image::context(repository.text("compose/Dockerfile.dockerignore"), &manifest));
    let wanted = format!("calltide:{}", manifest["workspace"]["package"]["version"].as_str().unwrap());
    let all = demonstration(&repository);
    let ours = entries(&all["services"]).map(|(_, service)| text(&service["image"]));
    none(&ours.filter(|i| i.starts_with("calltide:") && *i != wanted).map(|i| format!("{i}, not {wanted}")).collect());
}

#[test]
fn every_metric_that_is_shown_or_watched_is_told_by_the_program() {
    let repository = Repository::read();
    let known = figures::told(&repository);
    assert!(known.len() > 20, "{known:?}");
    let dashboard: Value = serde_json::from_str(repository.text("compose/grafana/dashboards/calltide.json")).unwrap();
    let alerts = yaml(repository.text("compose/alerts.yaml"));
    let sources = yaml(repository.text("compose/grafana/provisioning/datasources/prometheus.yaml"));
    none(&figures::dashboard(&dashboard, &sources));
    let (shown, watched) = (figures::expressions(&dashboard), figures::expressions(&alerts));
    assert!(shown.len() > 15 && watched.len() > 5, "{shown:?} {watched:?}");
    none(&shown.iter().chain(&watched).flat_map(|expression| figures::unknown(expression, &known)).collect());
}

#[test]
fn the_program_knows_every_setting_that_it_is_given() {
    let repository = Repository::read();
    let folder = tempfile::tempdir().unwrap();
    let files = ["calltide.toml", "demo/calltide.toml"];
    let all = demonstration(&repository);
    let ours = || entries(&all["services"]).filter(|(_, service)| links::is_role(service));
    assert!(ours().count() >= 5);
    for (file, (name, service)) in files.iter().flat_map(|file| ours().map(move |service| (file, service))) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_calltide"));
        command.env_clear().args(["check", "--running"]).current_dir(folder.path()).stdin(Stdio::null());
        command.envs(entries(&service["environment"]).map(|(name, value)| (name, text(value))));
        // Nobody is there to be asked: what is looked for is a complaint about the settings, which come first.
        command.env("CALLTIDE_HTTP__LISTEN", "127.0.0.1:1");
        command.env("CALLTIDE_CONFIG", format!("{}/compose/{file}", env!("CARGO_MANIFEST_DIR")));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name} with {file}: {told}");
        assert!(told.contains("nothing answers"), "{name} with {file}: {told}");
    }
}
