//! The Dockerfile: the Rust that the workspace asks for, pinned images, a user without rights; all that is built is sent.

use toml::Table;

use super::Findings;
use super::services::is_pinned;

/// Everything wrong with the Dockerfile of this workspace.
pub(super) fn check(dockerfile: &str, manifest: &Table) -> Findings {
    let mut findings = Vec::new();
    let mut wrong = |what: String| findings.push(format!("Dockerfile: {what}"));
    let instructions: Vec<(&str, &str)> = dockerfile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let given = |name: &'static str| instructions.iter().filter(move |(i, _)| *i == name).map(|(_, rest)| *rest);
    let bases: Vec<&str> = given("FROM").filter_map(|rest| rest.split(' ').next()).collect();
    for base in bases.iter().filter(|base| !is_pinned(base)) {
        wrong(format!("{base} is not pinned to a version"));
    }
    let rust = manifest["workspace"]["package"]["rust-version"].as_str().unwrap_or_default();
    let same = |version: &str| version.split('.').take(2).eq(rust.split('.').take(2));
    if !bases.iter().any(|base| base.strip_prefix("rust:").is_some_and(same)) {
        wrong(format!("is not built by Rust {rust}"));
    }
    if bases.len() < 2 {
        wrong("what builds is in the image, too".to_owned());
    }
    match given("USER").next_back() {
        Some(user) if user.starts_with(|c: char| c.is_ascii_digit()) && !user.starts_with("0") => {}
        Some(_) | None => wrong("does not end with USER and the number of one without rights".to_owned()),
    }
    if given("HEALTHCHECK").next().is_none() {
        wrong("has no HEALTHCHECK".to_owned());
    }
    for copied in given("COPY").filter(|rest| rest.contains("/usr/local/bin") && !rest.contains("--chown=root")) {
        wrong(format!("who runs the program owns it: COPY {copied}"));
    }
    if given("RUN").chain(given("ADD")).any(|rest| rest.contains("curl ") || rest.contains("://")) {
        wrong("fetches what nobody has checked".to_owned());
    }
    findings
}

/// Crates of the workspace that are not sent to be built.
pub(super) fn context(ignore: &str, manifest: &Table) -> Findings {
    let sent = |path: &str| ignore.lines().any(|line| line.strip_prefix('!') == Some(path));
    let members =
        manifest["workspace"]["members"].as_array().into_iter().flatten().filter_map(|member| member.as_str());
    let wanted = members.chain(["Cargo.toml", "Cargo.lock", "src", "tests/captures"]);
    let mut findings: Findings =
        wanted.filter(|path| !sent(path)).map(|path| format!("Dockerfile.dockerignore: leaves out {path}")).collect();
    if !ignore.lines().any(|line| line == "*") {
        findings.push("Dockerfile.dockerignore: sends what it does not name".to_owned());
    }
    findings
}

#[test]
fn violations_of_the_image_are_found() {
    let manifest: Table =
        "[workspace]\nmembers = [\"a\"]\n[workspace.package]\nrust-version = \"1.95\"".parse().unwrap();
    let fine = "FROM rust:1.95.0-bookworm AS build\nFROM debian:12.12-slim\nCOPY --chown=root:root a /usr/local/bin/a\n\
                USER 10001:10001\nHEALTHCHECK CMD [\"a\"]\n";
    assert_eq!(check(fine, &manifest), Vec::<String>::new());
    for (from, to) in [
        ("1.95.0", "1.94.0"),
        ("debian:12.12-slim", "debian:stable"),
        ("USER 10001:10001\n", ""),
        ("USER 10001:10001", "USER 0"),
        ("HEALTHCHECK", "# HEALTHCHECK"),
        (" --chown=root:root", ""),
        ("USER", "RUN curl example.org\nUSER"),
    ] {
        let found = check(&fine.replace(from, to), &manifest);
        assert_eq!(found.len(), 1, "{from} → {to}: {found:?}");
    }
    let sent = "*\n!a\n!src\n!Cargo.toml\n!Cargo.lock\n!tests/captures\n";
    assert_eq!(context(sent, &manifest), Vec::<String>::new());
    assert_eq!(context(&sent.replace("!a\n", ""), &manifest), ["Dockerfile.dockerignore: leaves out a"]);
    assert_eq!(context(&sent.replace("*\n", ""), &manifest).len(), 1);
}
