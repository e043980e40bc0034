//! The rules of the house as tests: what the compiler and clippy can't hold, these do.
//!
//! Each check is a pure function from texts to findings and is itself tested on small made-up violations. Here they meet
//! the repository. Exceptions are listed where they are checked; a list may only shrink: an entry without need is a finding.
//! Read on in `source` (Rust files), `documents` (Markdown and golden files), `dependencies` (crates and licences), `metrics`.

mod dependencies;
mod documents;
pub(crate) mod files;
mod licences;
mod metrics;
mod source;

use std::collections::BTreeMap;

use files::Repository;

/// What is wrong, with the file it is in.
type Findings = Vec<String>;

fn none(findings: &Findings) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn rust_files_follow_the_rules() {
    let repository = Repository::read();
    let sources = repository.ending(".rs");
    assert!(sources.len() > 100, "only {} Rust files found", sources.len());
    none(&sources.iter().flat_map(|(path, text)| source::check(path, text)).collect());
    none(&source::unneeded_exceptions(&sources));
}

#[test]
fn documents_have_one_title_and_lead_somewhere() {
    let repository = Repository::read();
    let documents = repository.ending(".md");
    assert!(!documents.is_empty(), "no Markdown found");
    let exists = |path: &str| repository.has(path);
    none(&documents.iter().flat_map(|(path, text)| documents::check(path, text, &exists)).collect());
}

#[test]
fn what_the_architecture_names_exists() {
    let repository = Repository::read();
    let text = repository.text("ARCHITECTURE.md");
    let code: String = repository.ending(".rs").values().copied().collect::<Vec<_>>().join("\n");
    none(&documents::named(text, &|path| repository.has(path), &code));
}

#[test]
fn metrics_are_described_where_the_contract_is() {
    let repository = Repository::read();
    none(&metrics::check(&repository.ending(".rs")));
}

#[test]
fn golden_files_stay_short_enough_to_be_read() {
    let repository = Repository::read();
    none(&repository.all().flat_map(|(path, text)| documents::golden(path, text)).collect());
}

#[test]
fn no_file_knows_a_developers_machine() {
    let repository = Repository::read();
    // Recordings are what a PBX said.
    let written = repository.all().filter(|(path, _)| !path.starts_with("tests/captures/"));
    none(&written.flat_map(|(path, text)| documents::of_one_machine(path, text)).collect());
}

#[test]
fn crates_meet_only_in_the_contract_and_the_log() {
    none(&dependencies::members(&dependencies::metadata("")));
}

#[test]
fn every_crate_is_licensed_and_published_as_we_allow() {
    let repository = Repository::read();
    let allowed = licences::allowed(repository.text("deny.toml"));
    // The S3 server of the tests is a workspace of its own.
    let workspaces = ["", "tests/s3"];
    none(&workspaces.iter().flat_map(|at| dependencies::outside(&dependencies::metadata(at), &allowed)).collect());
}

/// Texts by path, for checks of many files at once.
fn texts<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    pairs.iter().copied().collect()
}
