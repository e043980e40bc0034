//! Names in the compose files, in Prometheus' and in the gateway's configuration lead to what is there, and back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Findings, entries, items, text};

/// The folder of secrets, which is the operator's; the demonstration's shows which there are.
const SECRETS: (&str, &str) = ("${SECRETS:-secrets}", "demo/secrets");

/// Whether it is one of ours that reads the settings.
pub(super) fn is_role(service: &Value) -> bool {
    text(&service["image"]).starts_with("calltide:") && !service["environment"]["CALLTIDE_CONFIG"].is_null()
}

/// Volumes, networks, configurations and secrets that are missing or left over; services and files that are not there.
pub(super) fn check(all: &Value, exists: &dyn Fn(&str) -> bool) -> Findings {
    let mut findings = Vec::new();
    let services = &all["services"];
    let mut used: BTreeSet<(&str, String)> = BTreeSet::new();
    let name_of = |used: &Value, key: &str| text(if used.is_string() { used } else { &used[key] }).to_owned();
    for (name, service) in entries(services) {
        let networks = items(&service["networks"]).map(|network| ("networks", text(network).to_owned()));
        used.extend(networks);
        used.extend(items(&service["configs"]).map(|config| ("configs", name_of(config, "source"))));
        used.extend(items(&service["secrets"]).map(|secret| ("secrets", name_of(secret, "source"))));
        for volume in items(&service["volumes"]) {
            let source = text(volume).split(':').next().unwrap_or_default();
            if !source.starts_with('.') {
                used.insert(("volumes", source.to_owned()));
            } else if !exists(source.trim_start_matches("./")) {
                findings.push(format!("{name}: mounts {source}, which is not there"));
            }
        }
        let mut needed: Vec<&str> = entries(&service["depends_on"]).map(|(name, _)| name.as_str()).collect();
        needed.extend(text(&service["network_mode"]).strip_prefix("service:"));
        for needed in needed.into_iter().filter(|needed| services[needed].is_null()) {
            findings.push(format!("{name}: needs {needed}, which is no service"));
        }
        for file in items(&service["env_file"]).map(|file| text(file).replace(SECRETS.0, SECRETS.1)) {
            if !exists(&file) {
                findings.push(format!("{name}: reads {file}, which is not there"));
            }
        }
    }
    for kind in ["networks", "volumes", "configs", "secrets"] {
        let there: BTreeSet<String> = entries(&all[kind]).map(|(name, _)| name.clone()).collect();
        let named: BTreeSet<String> = used.iter().filter(|(k, _)| *k == kind).map(|(_, name)| name.clone()).collect();
        findings.extend(named.difference(&there).map(|name| format!("{kind}: {name} is not declared")));
        findings.extend(there.difference(&named).map(|name| format!("{kind}: {name} is used by no service")));
        for file in entries(&all[kind]).filter_map(|(_, def)| def["file"].as_str()) {
            let file = file.replace(SECRETS.0, SECRETS.1);
            if !exists(&file) {
                findings.push(format!("{kind}: there is no {file}"));
            }
        }
    }
    findings
}

/// Roles that would take each other's name, directory or port.
pub(super) fn roles(all: &Value) -> Findings {
    let mut findings = Vec::new();
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (name, service) in entries(&all["services"]).filter(|(_, service)| is_role(service)) {
        let variable = |name: &str| text(&service["environment"][name]).to_owned();
        let listen = variable("CALLTIDE_HTTP__LISTEN");
        let (host, port) = listen.rsplit_once(':').unwrap_or_default();
        let shared = text(&service["network_mode"]);
        let of_queries = text(&service["command"][0]) == "query-api";
        if of_queries != host.starts_with("127.") || of_queries == shared.is_empty() {
            findings.push(format!("{name}: listens on {listen}; queries are answered on loopback, beside the gateway"));
        }
        let place = if shared.is_empty() { format!("service:{name}") } else { shared.to_owned() };
        let volume = items(&service["volumes"]).find_map(|v| text(v).strip_suffix(":/var/lib/calltide"));
        let claims = [
            format!("the name {}", variable("CALLTIDE_LOG__NAME")),
            format!("the volume {}", volume.unwrap_or_default()),
            format!("port {port} of {place}"),
        ];
        for claim in claims {
            if let Some(before) = taken.insert(claim.clone(), name) {
                findings.push(format!("{name}: takes {claim} from {before}"));
            }
        }
    }
    findings
}

/// The gateway's servers that nobody is, and query servers that it does not know.
pub(super) fn gateway(all: &Value, configuration: &str) -> Findings {
    let known: BTreeSet<&str> = configuration
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server ")?.split([' ', ';']).next())
        .filter(|word| word.contains(':'))
        .collect();
    let roles = entries(&all["services"]).filter(|(_, service)| text(&service["command"][0]) == "query-api");
    let there: BTreeSet<&str> =
        roles.map(|(_, service)| text(&service["environment"]["CALLTIDE_HTTP__LISTEN"])).collect();
    let differ = known.symmetric_difference(&there);
    differ.map(|server| format!("gateway.conf and compose.yaml differ about {server}")).collect()
}

/// Roles whose figures Prometheus does not ask for, and what it asks that nobody is.
pub(super) fn targets(all: &Value, prometheus: &Value, gateway: &str) -> Findings {
    let mut findings = Vec::new();
    let mut asked = BTreeSet::new();
    for job in items(&prometheus["scrape_configs"]) {
        let path = job["metrics_path"].as_str().unwrap_or("/metrics");
        for target in items(&job["static_configs"]).flat_map(|group| items(&group["targets"])) {
            let host = text(target).split(':').next().unwrap_or_default();
            if all["services"][host].is_null() {
                findings.push(format!("prometheus.yaml asks {target}, which is no service"));
            }
            match path.strip_suffix("/metrics") {
                Some("") => drop(asked.insert(host.to_owned())),
                Some(behind) if gateway.contains(&format!("location = {path} ")) => {
                    asked.insert(behind.trim_start_matches('/').to_owned());
                }
                Some(_) | None => {
                    findings.push(format!("prometheus.yaml asks for {path}, which gateway.conf does not know"))
                }
            }
        }
    }
    for (name, _) in entries(&all["services"]).filter(|(name, service)| is_role(service) && !asked.contains(*name)) {
        findings.push(format!("prometheus.yaml does not ask {name}"));
    }
    findings
}

#[test]
fn names_that_lead_nowhere_are_found() {
    let exists = |path: &str| path == "there";
    let all = serde_json::json!({
        "services": {
            "a": { "networks": ["n", "m"], "volumes": ["v:/v", "./gone:/g"], "configs": [{ "source": "c" }],
                   "depends_on": { "b": {} }, "network_mode": "service:d", "env_file": ["${SECRETS:-secrets}/e"] },
        },
        "networks": { "n": null, "left": null }, "volumes": { "v": null },
        "configs": { "c": { "file": "there" }, "f": { "file": "gone" } },
    });
    let expected = [
        "a: mounts ./gone, which is not there",
        "a: needs b, which is no service",
        "a: needs d, which is no service",
        "a: reads demo/secrets/e, which is not there",
        "networks: m is not declared",
        "networks: left is used by no service",
        "configs: f is used by no service",
        "configs: there is no gone",
    ];
    assert_eq!(check(&all, &exists), expected);
}

#[test]
fn roles_in_each_others_way_are_found() {
    let role = |command: &str, mode: Option<&str>, name: &str, listen: &str, volume: &str| {
        let environment = serde_json::json!({
            "CALLTIDE_CONFIG": "c", "CALLTIDE_LOG__NAME": name, "CALLTIDE_HTTP__LISTEN": listen,
        });
        serde_json::json!({ "image": "calltide:1.0", "command": [command], "network_mode": mode,
            "environment": environment, "volumes": [format!("{volume}:/var/lib/calltide")] })
    };
    let all = |a: Value, b: Value| serde_json::json!({ "services": { "a": a, "b": b } });
    let processor = |name, volume| role("processor", None, name, "0.0.0.0:1", volume);
    let query = |name, listen, mode| role("query-api", mode, name, listen, name);
    assert_eq!(roles(&all(processor("x", "v"), processor("y", "w"))), Vec::<String>::new());
    assert_eq!(roles(&all(processor("x", "v"), processor("x", "w"))), ["b: takes the name x from a"]);
    assert_eq!(roles(&all(processor("x", "v"), processor("y", "v"))), ["b: takes the volume v from a"]);
    let inside = Some("service:q");
    let both = all(query("x", "127.0.0.1:1", inside), query("y", "127.0.0.1:1", inside));
    assert_eq!(roles(&both), ["b: takes port 1 of service:q from a"]);
    let open = all(query("x", "0.0.0.0:1", inside), processor("y", "v"));
    assert_eq!(roles(&open).len(), 1);
    assert_eq!(roles(&all(query("x", "127.0.0.1:1", None), processor("y", "v"))).len(), 1);

    let compose = all(query("x", "127.0.0.1:1", inside), processor("y", "v"));
    let conf = "upstream q {\n    server 127.0.0.1:1 max_fails=2;\n}\nserver {\n location = /a/metrics {}\n}";
    assert_eq!(gateway(&compose, conf), Vec::<String>::new());
    assert_eq!(gateway(&compose, "server 127.0.0.1:2;").len(), 2);
    let jobs = |host: &str, path: &str| {
        let target = |host: &str| serde_json::json!([{ "targets": [format!("{host}:1")] }]);
        serde_json::json!({ "scrape_configs": [
            { "static_configs": target("b") }, { "metrics_path": path, "static_configs": target(host) },
        ] })
    };
    assert_eq!(targets(&compose, &jobs("a", "/a/metrics"), conf), Vec::<String>::new());
    let expected = ["prometheus.yaml asks \"c:1\", which is no service"];
    assert_eq!(targets(&compose, &jobs("c", "/a/metrics"), conf), expected);
    let expected =
        ["prometheus.yaml asks for /b/metrics, which gateway.conf does not know", "prometheus.yaml does not ask a"];
    assert_eq!(targets(&compose, &jobs("a", "/b/metrics"), conf), expected);
}
