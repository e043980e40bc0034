//! What every service must have, whatever it is: a pinned image, a health check, limits, a user without rights.

use serde_json::Value;

use super::{Findings, entries, items, text};

/// Words in names of variables whose values nobody should read in a file that is checked in.
const SECRET: [&str; 4] = ["PASSWORD", "SECRET", "TOKEN", "KEY"];

/// Everything wrong with one service.
pub(super) fn check(name: &str, service: &Value) -> Findings {
    let mut findings = Vec::new();
    let mut wrong = |what: String| findings.push(format!("{name}: {what}"));
    let image = text(&service["image"]);
    if !is_pinned(image) {
        wrong(format!("the image `{image}` is not pinned to a version"));
    }
    let probe = &service["healthcheck"];
    if items(&probe["test"]).count() == 0 || text(&probe["test"][0]) == "NONE" || probe["disable"] == true {
        wrong("no health check".to_owned());
    }
    for limit in ["cpus", "memory", "pids"] {
        if service["deploy"]["resources"]["limits"][limit].is_null() {
            wrong(format!("no limit of {limit}"));
        }
    }
    if !matches!(text(&service["restart"]), "unless-stopped" | "always") {
        wrong("is not started again".to_owned());
    }
    let user = text(&service["user"]);
    if user.is_empty() || matches!(user.split(':').next(), Some("root" | "0")) {
        wrong("runs as root".to_owned());
    }
    if !items(&service["cap_drop"]).any(|capability| capability == "ALL") {
        wrong("keeps capabilities".to_owned());
    }
    if !items(&service["security_opt"]).any(|option| option == "no-new-privileges:true") {
        wrong("may gain privileges".to_owned());
    }
    if service["privileged"] == true || text(&service["network_mode"]) == "host" || text(&service["pid"]) == "host" {
        wrong("shares what is the host's".to_owned());
    }
    for port in items(&service["ports"]) {
        if !text(port).starts_with("127.0.0.1:") {
            wrong(format!("the port {port} is open to other machines"));
        }
    }
    for (variable, _) in entries(&service["environment"]) {
        if SECRET.iter().any(|word| variable.contains(word)) && !variable.ends_with("_FILE") {
            wrong(format!("{variable} is written down for everybody; give a file"));
        }
    }
    for volume in items(&service["volumes"]).filter(|volume| text(volume).contains("docker.sock")) {
        wrong(format!("{volume} is the engine itself"));
    }
    findings
}

/// Whether the tag or digest names one version: at least `1.2`, with whatever follows.
pub(super) fn is_pinned(image: &str) -> bool {
    if image.contains("@sha256:") {
        return true;
    }
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    let version = tag.strip_prefix('v').unwrap_or(tag).split('-').next().unwrap_or_default();
    let parts: Vec<_> = version.split('.').collect();
    parts.len() >= 2 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[test]
fn violations_of_services_are_found() {
    let fine = serde_json::json!({
        "image": "a/b:v1.2.3-alpine",
        "healthcheck": { "test": ["CMD", "true"] },
        "deploy": { "resources": { "limits": { "cpus": "1", "memory": "1G", "pids": 9 } } },
        "restart": "unless-stopped",
        "user": "1000:1000",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ports": ["127.0.0.1:1:1"],
        "environment": { "A_PASSWORD__FILE": "/run/secrets/a" },
    });
    assert_eq!(check("a", &fine), Vec::<String>::new());
    let with = |name: &str, value: Value| {
        let mut service = fine.clone();
        service[name] = value;
        check("a", &service)
    };
    for (name, value, expected) in [
        ("image", serde_json::json!("a/b:latest"), "a: the image `a/b:latest` is not pinned to a version"),
        ("healthcheck", serde_json::json!({ "disable": true, "test": ["CMD"] }), "a: no health check"),
        ("restart", Value::Null, "a: is not started again"),
        ("user", serde_json::json!("0:0"), "a: runs as root"),
        ("user", Value::Null, "a: runs as root"),
        ("cap_drop", Value::Null, "a: keeps capabilities"),
        ("security_opt", serde_json::json!([]), "a: may gain privileges"),
        ("privileged", serde_json::json!(true), "a: shares what is the host's"),
        ("ports", serde_json::json!(["80:80"]), "a: the port \"80:80\" is open to other machines"),
        (
            "environment",
            serde_json::json!({ "A_PASSWORD": "a" }),
            "a: A_PASSWORD is written down for everybody; give a file",
        ),
        (
            "volumes",
            serde_json::json!(["/var/run/docker.sock:/a"]),
            "a: \"/var/run/docker.sock:/a\" is the engine itself",
        ),
    ] {
        assert_eq!(with(name, value), [expected], "{name}");
    }
    assert_eq!(with("deploy", Value::Null).len(), 3);
    for (image, expected) in
        [("a:1", false), ("a", false), ("a:bookworm", false), ("a:4.44", true), ("a:1.2-slim", true)]
    {
        assert_eq!(is_pinned(image), expected, "{image}");
    }
}
